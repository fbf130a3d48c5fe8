"""A household's devices at work: what each is still to be given, what it is expected to take, and what it took."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from wattmesh_market.energy.devices.flexible import (
    DeviceReading,
    FlexibleLoad,
    Need,
    Schedule,
    at_once,
    windows,
)
from wattmesh_market.energy.forecast import Forecast
from wattmesh_market.energy.profiles import SlotProfile
from wattmesh_market.energy.slots import SLOT_S
from wattmesh_market.parties.books import Books
from wattmesh_market.schedule import AHEAD_S

_COMING_S = SLOT_S + AHEAD_S
"""How far ahead (of grid time) a window may begin that is scheduled already."""

Scheduling = Callable[[Sequence[Need], int, int | None], Sequence[Schedule]]
"""When to give devices what they need, as it is thought at the start of a slot. What is left of the slot itself (PV
less load, with what is bought and sold, in Wh) is given where it is known; None: as expected.

It must follow from what was known when the slot began: it is asked while the slot lasts and, to meter, after its end.
"""


def run_at_once(needs: Sequence[Need], slot: int, left_wh: int | None) -> Sequence[Schedule]:  # noqa: ARG001 - no matter
    """Every device runs from the start of its window, whatever that costs."""
    return at_once(needs)


@dataclass(frozen=True)
class Needs:
    """What devices need, by their configuration and by what the books say that they were given."""

    devices: Sequence[FlexibleLoad]
    books: Books
    utc_offset_s: int

    def windows(self, slot: int, until: int) -> list[DeviceReading]:
        """The windows that go on in a slot or begin from then on and before `until`, as they stand before it."""
        reading = self.books.readings.get(slot - SLOT_S)
        last = {one.name: one for one in reading.devices} if reading else {}
        return [
            window
            for device in self.devices
            for window in windows(device, last.get(device.name), slot, until, self.utc_offset_s)
        ]

    def until(self, slot: int, until: int) -> list[Need]:
        """What is to be given from a slot on, in windows that begin before `until`."""
        limits = {device.name: device.limit_wh for device in self.devices}
        return [
            Need(one.name, max(slot, one.begin), one.end, one.left_wh, limits[one.name])
            for one in self.windows(slot, until)
        ]


class Appliances:
    """The devices of one household, and a forecast of all that it has."""

    def __init__(self, needs: Needs, house: Forecast) -> None:
        """`house` is the forecast without devices. They run at once; `scheduling` may be another, of a strategy."""
        self.needs = needs
        self.house = house
        self.scheduling: Scheduling = run_at_once
        self._expected: dict[int, int] = {}
        self._made = -1

    def expected(self, slot: int) -> SlotProfile:
        """PV, and the load of house and devices, of a slot that is not metered, nor further than is traded ahead."""
        now = self.needs.books.standing.next_slot
        if self._made != now:
            self._made, self._expected = now, {}
            for schedule in self.scheduling(self.needs.until(now, now + _COMING_S), now, None):
                for at, energy_wh in schedule.items():
                    self._expected[at] = self._expected.get(at, 0) + energy_wh
        pv_wh, load_wh = self.house.expected(slot)
        return SlotProfile(pv_wh, load_wh + self._expected.get(slot, 0))

    def run(self, slot: int, left_wh: int) -> tuple[DeviceReading, ...]:
        """What each device takes in the slot that is metered, in which `left_wh` are left without them."""
        schedules = self.scheduling(self.needs.until(slot, slot + _COMING_S), slot, left_wh)
        return tuple(
            one._replace(taken_wh=taken_wh, left_wh=one.left_wh - taken_wh)
            for one, schedule in zip(self.needs.windows(slot, slot + _COMING_S), schedules, strict=True)
            if one.begin <= slot
            for taken_wh in [schedule.get(slot, 0)]
        )
