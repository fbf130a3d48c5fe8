"""What a pass works out anew only where that has changed which it is made of."""

from __future__ import annotations

from collections.abc import Callable, Hashable
from typing import Any, Generic, TypeVar

K = TypeVar("K", bound=Hashable)
V = TypeVar("V")


class Memo(Generic[K, V]):
    """The last value of each key, and what it was made of.

    What a value is made of is compared by equality, which costs nothing where both are the same object: cached objects
    of the API server, plans and answers of pods are, until they change.
    """

    def __init__(self) -> None:
        self._kept: dict[K, tuple[tuple[Any, ...], V]] = {}
        self._used: set[K] = set()

    def get(self, key: K, made_of: tuple[Any, ...], make: Callable[[], V]) -> V:
        """The value of `key`, from `make` where it was made of anything else before. It must never be changed."""
        self._used.add(key)
        kept = self._kept.get(key)
        if kept is not None and kept[0] == made_of:
            return kept[1]
        value = make()
        self._kept[key] = (made_of, value)
        return value

    def sweep(self) -> None:
        """Forget what was not asked for since the last time: it is gone."""
        for key in self._kept.keys() - self._used:
            del self._kept[key]
        self._used.clear()
