"""A buyer's filter: a JSONPath (RFC 9535) over catalogs, each an array of one, and what of a catalog it finds.

A query that several nodes answer may be compared, though the RFC forbids that: it holds when one of them does, as the
specification's own examples have it. What a few words could make costly is not offered: regular expressions, functions
but `length`, `count` and `value`, the whole document within a filter, several descents, lists but of names and numbers.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, Final

from jsonpath import CompoundJSONPath, JSONPath, JSONPathEnvironment, NodeList, function_extensions
from jsonpath.exceptions import JSONPathError, JSONPathSyntaxError
from jsonpath.filter import BaseExpression, FilterContextPath, FilterQuery, RootFilterQuery
from jsonpath.parse import Parser
from jsonpath.segments import JSONPathRecursiveDescentSegment
from jsonpath.selectors import Filter as FilterSelector
from jsonpath.selectors import IndexSelector, JSONPathSelector, NameSelector, SliceSelector, WildcardSelector
from jsonpath.stream import TokenStream

from wattmesh_beckn.codec.v2.catalogs import trimmed
from wattmesh_beckn.errors import invalid

Json = dict[str, Any]
Filter = Callable[[Json], Json | None]
"""Gives what a filter finds of a catalog; None when that is nothing."""

MOST_QUERIES: Final = 8
_PATH: Final = "message.intent.filters.expression"


def compiled(expression: str) -> Filter:
    """The filter of an expression: Refusal (400) says what is wrong with it."""
    if not expression.startswith("$"):
        raise invalid("the filter is no JSONPath: it must begin with $, the array of catalogs", _PATH)
    try:
        path = _ENVIRONMENT.compile(expression)
    except RecursionError:
        raise invalid("the filter is nested too deep", _PATH) from None
    except (JSONPathError, ArithmeticError, ValueError) as error:  # a number beyond all bounds
        raise invalid(f"the filter is no JSONPath: {str(error).partition(chr(10))[0]}", _PATH) from None
    if isinstance(path, CompoundJSONPath):
        raise invalid("the filter must be one path, without | or &", _PATH)
    if (problem := _costly(path)) is not None:
        raise invalid(f"the filter is not offered: {problem}", _PATH)
    return lambda catalog: _found(path, catalog)


def _found(path: JSONPath, catalog: Json) -> Json | None:
    """A catalog with the offers that a path leads to or into; the whole one where it leads to anything else."""
    offers = set[int]()
    try:
        for match in path.finditer([catalog]):
            within = match.parts[1:3]
            if len(within) < 2 or within[0] != "offers" or not isinstance(within[1], int):
                return catalog
            offers.add(within[1])
    except (JSONPathError, TypeError, ValueError) as error:  # a function of what it is not for
        raise invalid(f"the filter cannot be applied: {str(error).partition(chr(10))[0]}", _PATH) from None
    return trimmed(catalog, sorted(offers)) if offers else None


class _NoRegularExpressions(Parser):
    """Some take longer than the world will last, on a text of thirty letters."""

    def parse_regex(self, stream: TokenStream) -> BaseExpression:
        """Refuse it."""
        raise JSONPathSyntaxError("regular expressions are not offered", token=stream.current())


class _Environment(JSONPathEnvironment):
    """JSONPath as said at the head of this module."""

    parser_class = _NoRegularExpressions

    def setup_function_extensions(self) -> None:
        """See JSONPathEnvironment."""
        extensions = function_extensions
        self.function_extensions |= {
            "length": extensions.Length(),
            "count": extensions.Count(),
            "value": extensions.Value(),
        }

    def compare(self, left: object, operator: str, right: object) -> bool:
        """See JSONPathEnvironment. One of several nodes will do."""
        if operator in _COMPARISONS and _several(left) is not _several(right):
            pairs = ((a, b) for a in _each(left) for b in _each(right))
            return any(super(_Environment, self).compare(a, operator, b) for a, b in pairs)
        return super().compare(left, operator, right)


_COMPARISONS = frozenset(("==", "!=", "<", "<=", ">", ">="))
_OF_THE_RFC = (NameSelector, IndexSelector, SliceSelector, WildcardSelector, FilterSelector)
_ENVIRONMENT = _Environment(well_typed=False)


def _several(value: object) -> bool:
    return isinstance(value, NodeList) and len(value) > 1


def _each(value: object) -> Iterator[object]:
    if isinstance(value, NodeList) and len(value) > 1:
        yield from (match.obj for match in value)
    else:
        yield value


def _costly(path: JSONPath) -> str | None:
    """What makes a path costly, or None."""
    descents = queries = 0
    for one in _paths(path):
        queries += 1
        for segment in one.segments:
            descents += isinstance(segment, JSONPathRecursiveDescentSegment)
            if not all(isinstance(selector, _OF_THE_RFC) for selector in segment.selectors):
                return "there are names, numbers, slices, * and filters"
            if len(segment.selectors) > 1 and not _are_distinct(segment.selectors):
                return "a list may have names and numbers, each once"
        for expression in _expressions(one):
            if isinstance(expression, RootFilterQuery | FilterContextPath):
                return "within a filter a path begins with @"
    if descents > 1:
        return "it may descend (..) once"
    if queries > MOST_QUERIES:
        return f"it may have {MOST_QUERIES} paths, its own and those within filters"
    return None


def _are_distinct(selectors: tuple[JSONPathSelector, ...]) -> bool:
    plain = all(isinstance(one, NameSelector | IndexSelector) for one in selectors)
    return plain and len({str(one) for one in selectors}) == len(selectors)


def _paths(path: JSONPath) -> Iterator[JSONPath]:
    """A path and those within its filters."""
    yield path
    for expression in _expressions(path):
        if isinstance(expression, FilterQuery):
            yield from _paths(expression.path)


def _expressions(path: JSONPath) -> Iterator[BaseExpression]:
    """All expressions of a path's own filters, without those of filters within."""
    for segment in path.segments:
        for selector in segment.selectors:
            if isinstance(selector, FilterSelector):
                yield from _parts(selector.expression)


def _parts(expression: BaseExpression) -> Iterator[BaseExpression]:
    yield expression
    if not isinstance(expression, FilterQuery):
        for child in expression.children():
            yield from _parts(child)
