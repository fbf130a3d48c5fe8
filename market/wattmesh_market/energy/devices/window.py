"""When a device may run: the same hours of every day, or of some."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import time
from typing import ClassVar, NamedTuple

from wattmesh_market.energy.slots import DAY_S, SLOT_S, require_slot_borders
from wattmesh_market.energy.tariff import on_days


class Span(NamedTuple):
    """A window on one day: from slot `begin` to slot `end` (not included)."""

    begin: int
    end: int


@dataclass(frozen=True)
class Window:
    """Hours from `start` to `end` in local time; past midnight where `end` is before `start`, a day where it is equal.

    `days` and `months` are those in which it begins; none: all.
    """

    __pydantic_config__: ClassVar = {"extra": "forbid"}

    start: time
    end: time
    days: tuple[str, ...] = ()
    months: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        require_slot_borders(self.start, self.end)

    @property
    def slots(self) -> int:
        """How many slots it has."""
        return ((_second(self.end) - _second(self.start)) % DAY_S or DAY_S) // SLOT_S

    def spans(self, first: int, until: int, utc_offset_s: int) -> Iterator[Span]:
        """Each that begins from slot `first` on and before slot `until`."""
        begin = first + (_second(self.start) - first - utc_offset_s) % DAY_S
        for slot in range(begin, until, DAY_S):
            if not (self.days or self.months) or on_days(self.days, self.months, slot, utc_offset_s):
                yield Span(slot, slot + self.slots * SLOT_S)


def _second(at: time) -> int:
    return at.hour * 3600 + at.minute * 60
