"""YAML text → documents of plain values, with exact numbers and every mistake of the notation."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from math import inf
from typing import Any

import yaml
from yaml.constructor import ConstructorError
from yaml.nodes import MappingNode, Node, ScalarNode, SequenceNode

from wattmesh_operator.resources.mistakes import Mistake, Origin

MOST_DOCUMENTS = 5_000
"""In a file. Each takes some milliseconds to read."""
MOST_VALUES = 100_000
"""In a document, with those that aliases and merge keys repeat: a few lines could stand for millions of them."""
_DOCUMENT_MARKER = re.compile(r"^---(?=\s|$)", re.MULTILINE)


@dataclass(frozen=True)
class Document:
    """One document: its value (None if it could not be read), and what is wrong with it as YAML.

    It has no origin where it comes from no file.
    """

    origin: Origin | None
    value: Any
    mistakes: tuple[Mistake, ...]


class _ExactLoader(yaml.SafeLoader):
    """YAML as kubectl reads it, numbers exact: no sexagesimal 17:00, no timestamps, decimals as Decimal."""


_PLAIN_TAGS = ("null", "bool", "str", "seq", "map")
_ExactLoader.yaml_constructors = {
    tag: constructor
    for tag, constructor in yaml.SafeLoader.yaml_constructors.items()
    if tag is None or tag.removeprefix("tag:yaml.org,2002:") in _PLAIN_TAGS
}
_ExactLoader.yaml_implicit_resolvers = {
    first: [(tag, pattern) for tag, pattern in resolvers if tag.rsplit(":", 1)[1] in ("null", "bool", "merge")]
    for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
}
_INT = re.compile(r"[-+]?(0|[1-9][0-9]*)\Z")
_FLOAT = re.compile(r"[-+]?(\.[0-9]+|(0|[1-9][0-9]*)(\.[0-9]*)?)([eE][-+]?[0-9]+)?\Z")
_ExactLoader.add_implicit_resolver("tag:yaml.org,2002:int", _INT, list("-+0123456789"))
_ExactLoader.add_implicit_resolver("tag:yaml.org,2002:float", _FLOAT, list("-+.0123456789"))


def _construct_number(_: yaml.SafeLoader, node: ScalarNode) -> int | Decimal:
    try:
        return int(node.value) if node.tag.endswith(":int") else Decimal(node.value)
    except (ValueError, InvalidOperation):
        raise ConstructorError(None, None, "not a number, or too long for one", node.start_mark) from None


def _construct_bool(_: yaml.SafeLoader, node: ScalarNode) -> bool:
    try:
        return yaml.SafeLoader.bool_values[node.value.lower()]
    except KeyError:
        raise ConstructorError(None, None, "neither true nor false", node.start_mark) from None


_ExactLoader.add_constructor("tag:yaml.org,2002:int", _construct_number)
_ExactLoader.add_constructor("tag:yaml.org,2002:float", _construct_number)
_ExactLoader.add_constructor("tag:yaml.org,2002:bool", _construct_bool)


def read_documents(source: str, text: str) -> list[Document]:
    """The documents of a multi-document YAML text, without the empty ones; `source` names the text in mistakes.

    A document that cannot be read does not hide those after it. Raises nothing.
    """
    documents: list[Document] = []
    starts = [0, *(found.start() for found in _DOCUMENT_MARKER.finditer(text))]
    if len(starts) > MOST_DOCUMENTS:
        what = f"has {len(starts)} documents; at most {MOST_DOCUMENTS} are read from a file"
        return [Document(Origin(source), None, (Mistake(Origin(source), None, "", what),))]
    lines = 0
    for start, end in zip(starts, [*starts[1:], len(text)], strict=True):
        document = _read(source, text[start:end], lines, len(documents) + 1)
        lines += text.count("\n", start, end)
        if document is not None:
            documents.append(document)
    return documents


def _read(source: str, text: str, lines_before: int, number: int) -> Document | None:
    """The document that `text` holds, `lines_before` its first line in the file; None if it is empty."""
    origin = Origin(source, number, lines_before + 1)

    def unreadable(what: str) -> Document:
        return Document(origin, None, (Mistake(origin, None, "", what),))

    try:
        loader = _ExactLoader(text)
        node = loader.get_single_node()
        if node is None or node.tag == "tag:yaml.org,2002:null":
            return None
        origin = Origin(source, number, lines_before + node.start_mark.line + 1)
        if _values(node, {}) > MOST_VALUES:
            return unreadable(f"has more than {MOST_VALUES} values, with those that aliases and merge keys repeat")
        repeated = tuple(
            Mistake(origin, None, path, f"is there twice, again in line {lines_before + line}; keep one")
            for path, line in _repeated_keys(node)
        )
        return Document(origin, loader.construct_document(node), repeated)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark
        position = f" in line {lines_before + mark.line + 1}, column {mark.column + 1}" if mark else ""
        return unreadable(f"is not valid YAML{position}: {error.problem or error.context}")
    except yaml.YAMLError as error:  # a character that YAML does not allow
        return unreadable(f"is not valid YAML: {' '.join(str(error).split())}")
    except RecursionError:
        return unreadable("is not valid here: nested too deeply")


def _values(node: Node, known: dict[int, float]) -> float:
    """How many values a node stands for, with each repetition by an alias or merge key; infinite if it holds itself.

    `known` has the nodes counted before, so this takes as long as the text is.
    """
    if id(node) not in known:
        known[id(node)] = inf
        parts: list[Node] = []
        if isinstance(node, SequenceNode):
            parts = node.value
        elif isinstance(node, MappingNode):
            parts = [part for pair in node.value for part in pair]
        known[id(node)] = 1 + sum(_values(part, known) for part in parts)
    return known[id(node)]


def _repeated_keys(root: Node) -> Iterator[tuple[str, int]]:
    """Path and line (from 1) of every key that its mapping already has. Visits what an alias repeats only once."""
    visited: set[int] = set()
    pending: list[tuple[str, Node]] = [("", root)]
    while pending:
        path, node = pending.pop(0)
        if id(node) in visited:
            continue
        visited.add(id(node))
        if isinstance(node, SequenceNode):
            pending += [(f"{path}[{i}]", item) for i, item in enumerate(node.value)]
        elif isinstance(node, MappingNode):
            seen: set[str] = set()
            for key, value in node.value:
                if not isinstance(key, ScalarNode):
                    continue
                key_path = f"{path}.{key.value}" if path else key.value
                if key.value in seen:
                    yield key_path, key.start_mark.line + 1
                seen.add(key.value)
                pending.append((key_path, value))
