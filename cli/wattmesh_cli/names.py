"""Subscriber ids ↔ names for people: `rooftop-0.default` is `rooftop-0` where only one namespace has it."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable

_ID = re.compile(r"[a-z0-9][-a-z0-9.]*[a-z0-9]")


class UnknownName(Exception):
    """No party has this name, or several have. The message is one line for the user."""


class Names:
    """The names of a market's parties."""

    def __init__(self, ids: Iterable[str]) -> None:
        self._ids = sorted(set(ids))
        count = Counter(_first(name) for name in self._ids)
        self._short = {name: _first(name) if count[_first(name)] == 1 else name for name in self._ids}

    def short(self, party: str) -> str:
        """The name for people."""
        return self._short.get(party, party)

    def shorten(self, text: str) -> str:
        """A text with every id in it shortened."""
        return _ID.sub(lambda found: self.short(found[0]), text)

    def resolve(self, name: str) -> str:
        """The id that a user means by an id or a short name; UnknownName when there is none, or more than one."""
        found = [party for party in self._ids if name in (party, _first(party))]
        if name in found:
            return name
        if not found:
            raise UnknownName(f"{name}: no such party; there is {', '.join(map(self.short, self._ids)) or 'none'}")
        if len(found) > 1:
            raise UnknownName(f"{name}: could be {' or '.join(found)}; name one in full")
        return found[0]


def _first(party: str) -> str:
    return party.partition(".")[0]
