"""A household's devices at work: what each is still to be given, what it is expected to take, and what it took."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from wattmesh_market.energy.battery import Battery
from wattmesh_market.energy.devices.demand import Demand
from wattmesh_market.energy.devices.flexible import (
    DeviceReading,
    FlexibleLoad,
    Need,
    Schedule,
    at_once,
    windows,
)
from wattmesh_market.energy.devices.vehicle import Charger, Moved, Wishes, vehicle_slot
from wattmesh_market.energy.forecast import Forecast
from wattmesh_market.energy.profiles import SlotProfile
from wattmesh_market.energy.slots import SLOT_S
from wattmesh_market.parties.books import Books, Standing
from wattmesh_market.schedule import AHEAD_S

_COMING_S = SLOT_S + AHEAD_S
"""How far ahead (of grid time) a window may begin that is scheduled already."""


class Control(Protocol):
    """Who decides when devices run.

    Each answer must follow from what was known when a slot began: it is asked while the slot lasts and, to meter it,
    after its end, where a pod may have started again meanwhile.
    """

    def schedules(self, needs: Sequence[Need], slot: int) -> Sequence[Schedule]:
        """When to give devices what they need, as thought at the start of a slot."""
        ...

    def taken(self, needs: Sequence[Need], slot: int, left_wh: int) -> Sequence[int]:
        """What each takes in that slot, in which PV less load, with what is bought and sold, leaves `left_wh`."""
        ...

    def wishes_of_vehicle(self, store: Battery, slot: int, end: int, now: int) -> Wishes | None:
        """What the house wishes of a car's store in a slot, as thought in slot `now`; the car leaves at slot `end`.

        None: nothing.
        """
        ...


class AtOnce:
    """By rules: every device runs from the start of its window, whatever that costs, and a car keeps what it has."""

    def schedules(self, needs: Sequence[Need], slot: int) -> Sequence[Schedule]:  # noqa: ARG002 - whenever that is
        """See `Control`."""
        return at_once(needs)

    def taken(self, needs: Sequence[Need], slot: int, left_wh: int) -> Sequence[int]:  # noqa: ARG002 - whatever is left
        """See `Control`."""
        return [schedule.get(slot, 0) for schedule in at_once(needs)]

    def wishes_of_vehicle(self, store: Battery, slot: int, end: int, now: int) -> Wishes | None:  # noqa: ARG002 - nothing
        """See `Control`."""
        return None


@dataclass(frozen=True)
class Needs:
    """What devices need, by their configuration or plug-ins, and by what the books say that they were given."""

    devices: Sequence[FlexibleLoad]
    books: Books
    utc_offset_s: int
    demand: Demand

    def windows(self, slot: int, until: int) -> list[DeviceReading]:
        """The windows that go on in a slot or begin from then on and before `until`, as they stand before it."""
        reading = self.books.readings.get(slot - SLOT_S)
        last = {one.name: one for one in reading.devices} if reading else {}
        return [
            window
            for device in self.devices
            for window in windows(device, last.get(device.name), slot, until, self.utc_offset_s, self.demand.of)
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
        """`house` is the forecast without devices. They run at once; a strategy may take `control`."""
        self.needs = needs
        self.house = house
        self.control: Control = AtOnce()
        self._expected: dict[int, int] = {}
        self._made = -1
        self._car = next((device for device in needs.devices if device.store is not None), None)

    def expected(self, slot: int) -> SlotProfile:
        """PV, and the load of house and devices, of a slot that is not metered, nor further than is traded ahead.

        What a car's store is expected to take is load, what it gives spares some.
        """
        standing = self.needs.books.standing
        now = standing.next_slot
        if self._made != now:
            self._made, self._expected = now, {}
            schedules = self.control.schedules(self.needs.until(now, now + _COMING_S), now)
            for schedule in schedules:
                for at, energy_wh in schedule.items():
                    self._expected[at] = self._expected.get(at, 0) + energy_wh
            if self._car is not None:
                self._expect_of_car(self._car, schedules, standing)
        pv_wh, load_wh = self.house.expected(slot)
        return SlotProfile(pv_wh, load_wh + self._expected.get(slot, 0))

    def _expect_of_car(self, car: FlexibleLoad, schedules: Sequence[Schedule], standing: Standing) -> None:
        level_wh, now = standing.vehicle_wh, standing.next_slot
        for one, schedule in zip(self.needs.windows(now, now + _COMING_S), schedules, strict=True):
            if one.name != car.name:
                continue
            for at in range(max(now, one.begin), min(one.end, now + _COMING_S), SLOT_S):
                pv_wh, load_wh = self.house.expected(at)
                taken_wh, before_wh = self._expected.get(at, 0), level_wh
                one = _given(one, schedule.get(at, 0))
                charged_wh, discharged_wh, level_wh = self._moved(
                    car, one, before_wh, at, now, pv_wh - load_wh - taken_wh
                )
                self._expected[at] = taken_wh + charged_wh - discharged_wh

    def run(self, slot: int, left_wh: int, sold_wh: int, vehicle_wh: int) -> tuple[DeviceReading, ...]:
        """What each device takes in the slot that is metered, in which `left_wh` are left without them, with `sold_wh`
        for neighbours taken off; a car's store holds `vehicle_wh` for the house when it begins.
        """
        windows = self.needs.windows(slot, slot + _COMING_S)
        taken = self.control.taken(self.needs.until(slot, slot + _COMING_S), slot, left_wh)
        found = tuple(_given(one, wh) for one, wh in zip(windows, taken, strict=True) if one.begin <= slot)
        car = self._car
        if car is None:
            return found
        surplus_wh = left_wh - sum([one.taken_wh for one in found])
        if surplus_wh < 0:  # the car is for the house alone
            surplus_wh = min(0, surplus_wh + sold_wh)
        return tuple(
            _with_store(one, self._moved(car, one, vehicle_wh, slot, slot, surplus_wh), vehicle_wh)
            if one.name == car.name
            else one
            for one in found
        )

    def _moved(
        self, car: FlexibleLoad, one: DeviceReading, level_wh: int, slot: int, now: int, surplus_wh: int
    ) -> Moved:
        """What the car's store takes or gives in a slot, by what the car was given in it."""
        wishes = None
        if car.store is not None:
            wishes = self.control.wishes_of_vehicle(car.store.battery(car.limit_wh, car.limit_wh), slot, one.end, now)
        if car.store is None or wishes is None:
            return Moved(0, 0, level_wh)
        later_wh = (one.end - slot - SLOT_S) // SLOT_S * car.limit_wh - one.left_wh
        charger = Charger(car.limit_wh, one.taken_wh, later_wh)
        return vehicle_slot(car.store, level_wh, charger, slot, surplus_wh, wishes)


def _with_store(one: DeviceReading, moved: Moved, before_wh: int) -> DeviceReading:
    charged_wh, discharged_wh, after_wh = moved
    return one._replace(
        charged_wh=charged_wh, discharged_wh=discharged_wh, level_before_wh=before_wh, level_after_wh=after_wh
    )


def _given(one: DeviceReading, taken_wh: int) -> DeviceReading:
    return one._replace(taken_wh=taken_wh, left_wh=one.left_wh - taken_wh)
