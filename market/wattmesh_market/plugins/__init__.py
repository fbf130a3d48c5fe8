"""Plug-ins: strategies, pricings, forecasts, mechanisms and devices that are not wattmesh's own.

They come by entry point, from any installed distribution (`pip install`), or are given in Python. A plug-in is looked
for when a resource or command names it, and loaded once in a process. It never shadows a built-in of its name.

A plug-in runs in the process that trades: it is trusted as any installed code is. `watch` bounds the harm of mistakes.
"""

from __future__ import annotations

import pickle
import sys
from collections.abc import Callable, Iterable, Mapping
from enum import StrEnum
from functools import cache
from importlib.metadata import EntryPoint, entry_points
from typing import Any, Generic, NamedTuple, TypeVar

from wattmesh_market.plugins.naming import given_name, is_given_name

T = TypeVar("T")


class Kind(StrEnum):
    """What a plug-in is."""

    STRATEGY = "strategy"
    PRICING = "pricing"
    FORECAST = "forecast"
    MECHANISM = "mechanism"
    DEVICE = "device"

    @property
    def group(self) -> str:
        """The group of entry points that such plug-ins are in."""
        return "wattmesh.strategies" if self is Kind.STRATEGY else f"wattmesh.{self}s"


class Plugin(NamedTuple):
    """A plug-in and where it comes from: `origin` is distribution and version, or says that it was given in Python."""

    kind: Kind
    name: str
    origin: str
    target: Any

    def __str__(self) -> str:
        return f"{self.kind} {self.name} ({self.origin})"


class Given(NamedTuple):
    """What was given in Python under a name, to be known in another process, too."""

    kind: Kind
    name: str
    target: Any


IN_PYTHON = "given in Python"
_ELSEWHERE = "where other processes cannot find it: define it at the top of a module, or use one process"
_given: dict[tuple[Kind, str], Any] = {}
_catalogs: list[Catalog[Any]] = []


def give(kind: Kind, target: object) -> str:
    """Make an object of this process known as a plug-in; returns the name under which it is found from now on.

    The same object, and another one of the same code and values, has the same name in every process.
    """
    name = given_name(target)
    _given.setdefault((kind, name), target)
    return name


def take(given: Iterable[Given]) -> None:
    """Know what was given in another process."""
    for kind, name, target in given:
        _given.setdefault((kind, name), target)


def given_of(names: Iterable[tuple[Kind, str]]) -> tuple[Given, ...]:
    """Those of the names that were given in Python, each once."""
    return tuple(Given(kind, name, _given[kind, name]) for kind, name in sorted(set(names)) if (kind, name) in _given)


def require_portable(given: Iterable[Given]) -> None:
    """ValueError unless other processes of this machine can be handed what was given in Python."""
    for one in given:
        module = getattr(one.target, "__module__", None) or type(one.target).__module__
        if module == "__main__" and not hasattr(sys.modules["__main__"], "__file__"):
            raise ValueError(f"{one.kind} {one.name} is defined at a prompt or in a notebook, {_ELSEWHERE}")
        try:
            pickle.dumps(one.target)
        except Exception as error:  # noqa: BLE001 - whatever an object raises that cannot be pickled
            raise ValueError(f"{one.kind} {one.name} cannot be pickled ({error}), {_ELSEWHERE}") from None


@cache
def _installed(kind: Kind) -> tuple[EntryPoint, ...]:
    return tuple(sorted(entry_points(group=kind.group), key=lambda one: (one.name, _origin(one))))


def look_again() -> None:
    """Forget what was installed when it was last looked for: something was installed or uninstalled since."""
    _installed.cache_clear()
    for catalog in _catalogs:
        catalog.forget()


def _origin(entry: EntryPoint) -> str:
    return "of no distribution" if entry.dist is None else f"{entry.dist.name} {entry.dist.version}"


class Catalog(Generic[T]):
    """All of one kind, by name: the built-in ones, and what `made` makes of plug-ins."""

    def __init__(self, kind: Kind, built_in: Mapping[str, T], made: Callable[[Plugin], T]) -> None:
        """`made` raises ValueError, with the words that follow the plug-in's name, where it is none of that kind."""
        self.kind = kind
        self.built_in = built_in
        self._made_of = made
        self._made: dict[str, T] = {}
        _catalogs.append(self)

    def forget(self) -> None:
        """Look for plug-ins anew from now on."""
        self._made.clear()

    def __getitem__(self, name: str) -> T:
        """The one of that name; ValueError says what there is, or why it cannot be had."""
        if name in self.built_in:
            return self.built_in[name]
        if name not in self._made:
            plugin = self._find(name)
            try:
                self._made[name] = self._made_of(plugin)
            except ValueError as error:
                raise ValueError(f"{plugin} {error}") from None
        return self._made[name]

    def origin(self, name: str) -> str | None:
        """Where the plug-in of that name comes from; None where it is built in, or is not there."""
        if name in self.built_in:
            return None
        if (self.kind, name) in _given:
            return IN_PYTHON
        return next((_origin(one) for one in _installed(self.kind) if one.name == name), None)

    def give(self, target: object) -> str:
        """As `give`; ValueError where it is none of this kind."""
        plugin = Plugin(self.kind, given_name(target), IN_PYTHON, target)
        try:
            self._made.setdefault(plugin.name, self._made_of(plugin))
        except ValueError as error:
            raise ValueError(f"{plugin} {error}") from None
        return give(self.kind, target)

    def _find(self, name: str) -> Plugin:
        if (self.kind, name) in _given:
            return Plugin(self.kind, name, IN_PYTHON, _given[self.kind, name])
        found = [one for one in _installed(self.kind) if one.name == name]
        if not found:  # it may have been installed since
            look_again()
            found = [one for one in _installed(self.kind) if one.name == name]
        if not found:
            raise ValueError(self._unknown(name))
        if len(found) > 1:
            origins = " and ".join(map(_origin, found))
            raise ValueError(f"{self.kind} {name!r} is in {origins}: uninstall one of them, or rename it there")
        try:
            target = found[0].load()
        except Exception as error:  # noqa: BLE001 - whatever the plug-in's module does
            cause = f"{type(error).__name__}: {error}"
            text = f"{self.kind} {name} ({_origin(found[0])}) cannot be loaded from {found[0].value}: {cause}"
            raise ValueError(text) from None
        return Plugin(self.kind, name, _origin(found[0]), target)

    def _unknown(self, name: str) -> str:
        there = [one for one in _installed(self.kind) if one.name not in self.built_in]
        names = [*sorted(self.built_in), *(f"{one.name} ({_origin(one)})" for one in there)]
        shadowed = [f"{one.name} of {_origin(one)}" for one in _installed(self.kind) if one.name in self.built_in]
        text = f"no {self.kind} {name!r}; there are: {', '.join(names) or 'none'}"
        if shadowed:
            text += f"; not taken, as the name is built in: {', '.join(shadowed)}"
        if is_given_name(name):
            return f"{text}. It was given in Python, and is there only where the same program gives it"
        return f"{text}. Install the package that has it among its entry points of {self.kind.group}"
