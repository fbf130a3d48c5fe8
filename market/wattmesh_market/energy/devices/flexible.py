"""A load that needs an energy within a window, at any time of it: a car that is plugged in, a heat pump with its tank,
a washing machine.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar, NamedTuple

from wattmesh_market.energy.devices.vehicle import VehicleStore
from wattmesh_market.energy.devices.window import Span, Window
from wattmesh_market.energy.slots import SLOT_S, slot_energy_wh
from wattmesh_market.ids import require_name
from wattmesh_market.units import require_amounts


@dataclass(frozen=True)
class FlexibleLoad:
    """A device that needs `energy_wh` in each of its windows and takes at most `power_w`; it may pause.

    A `plugin` of that name says what each window needs in place of `energy_wh`. `store` is what the house may use of a
    car's store. ValueError where its power is too small for what it needs.
    """

    __pydantic_config__: ClassVar = {"extra": "forbid"}

    name: str
    window: Window
    energy_wh: int
    power_w: int
    store: VehicleStore | None = None
    plugin: str | None = None

    def __post_init__(self) -> None:
        require_name(self.name)
        require_amounts(energy_wh=self.energy_wh, power_w=self.power_w)
        if self.energy_wh > self.most_wh:
            raise ValueError(
                f"{self.name} needs {self.energy_wh} Wh in a window, but can take {self.most_wh} Wh at most"
            )

    @property
    def limit_wh(self) -> int:
        """The most that it takes in a slot."""
        return slot_energy_wh(self.power_w)

    @property
    def most_wh(self) -> int:
        """The most that it takes in a window."""
        return self.window.slots * self.limit_wh


class DeviceReading(NamedTuple):
    """What a device took in a slot (`taken_wh`, a part of the household's load).

    Of what it needs in the window from slot `begin` to slot `end` (not included), `left_wh` is left after the slot. The
    rest is of a car's store that the house may use: what it was charged and discharged beside that, and its level.
    """

    name: str
    begin: int
    end: int
    needs_wh: int
    left_wh: int
    taken_wh: int
    charged_wh: int = 0
    discharged_wh: int = 0
    level_before_wh: int = 0
    level_after_wh: int = 0


class Need(NamedTuple):
    """What a device is still to be given from slot `begin` to slot `end` (not included), at most `limit_wh` a slot."""

    name: str
    begin: int
    end: int
    energy_wh: int
    limit_wh: int

    @property
    def slots(self) -> range:
        """The slots in which it may be given."""
        return range(self.begin, self.end, SLOT_S)

    def after(self, slot: int) -> Need:
        """What of it can be given from a slot on."""
        begin = max(self.begin, slot)
        return self._replace(begin=begin, energy_wh=min(self.energy_wh, (self.end - begin) // SLOT_S * self.limit_wh))


Schedule = Mapping[int, int]
"""What a device takes by slot (Wh); nothing in any other."""


def under_way(load: FlexibleLoad, last: DeviceReading | None, slot: int) -> DeviceReading | None:
    """How far a window that goes on in a slot had come before, by the reading of the slot before; None: there is none.

    It goes on as it has begun, whatever is configured meanwhile; only what a charger that was made smaller cannot give
    any more is not needed any more.
    """
    if last is None or last.end <= slot:
        return None
    less_wh = max(0, last.left_wh - (last.end - slot) // SLOT_S * load.limit_wh)
    return DeviceReading(load.name, last.begin, last.end, last.needs_wh - less_wh, last.left_wh - less_wh, 0)


def windows(
    load: FlexibleLoad,
    last: DeviceReading | None,
    slot: int,
    until: int,
    utc_offset_s: int,
    needs_wh: Callable[[FlexibleLoad, Span], int],
) -> Iterator[DeviceReading]:
    """The windows of a device that go on in a slot or begin from then on and before `until`, before they are given
    more; `needs_wh` is what one needs that begins.

    One that had begun before there was a reading of it (a household that enters the books, a new device) is left out.
    """
    going_on = under_way(load, last, slot)
    if going_on is not None:
        yield going_on
    for span in load.window.spans(slot if going_on is None else going_on.end, until, utc_offset_s):
        energy_wh = needs_wh(load, span)
        yield DeviceReading(load.name, *span, energy_wh, energy_wh, 0)


def at_once(needs: Sequence[Need]) -> list[Schedule]:
    """Each device runs from the start of its window at its power, until it has what it needs."""
    found: list[Schedule] = []
    for need in needs:
        left_wh = need.energy_wh
        schedule: dict[int, int] = {}
        for slot in need.slots:
            if not left_wh:
                break
            schedule[slot] = min(left_wh, need.limit_wh)
            left_wh -= schedule[slot]
        found.append(schedule)
    return found
