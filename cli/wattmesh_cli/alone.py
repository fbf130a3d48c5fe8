"""What each household would have done without any market: with the same PV and load, and nobody but its utility.

Either its battery takes what the sun gives too much and gives it back when it is needed (`alone`), or the household
follows its strategy on a feeder of its own (`alone_by_strategy`). Where it plans, its devices run when it is cheapest.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from wattmesh_cli.books import Reading
from wattmesh_cli.kpi import Cost, Rows, Slots
from wattmesh_common.price_files import series_of
from wattmesh_common.profile_files import profile_of
from wattmesh_common.runtime import RuntimeConfig
from wattmesh_market.energy.battery import Battery, SlotPlan, meter_slot
from wattmesh_market.energy.devices.flexible import Need
from wattmesh_market.energy.profiles import Profile, SlotProfile
from wattmesh_market.energy.slots import SLOT_S
from wattmesh_market.parties.books import Books, Changes
from wattmesh_market.parties.config import HouseholdConfig
from wattmesh_market.parties.household import Household
from wattmesh_market.parties.party import Now, Surroundings, standing_at
from wattmesh_market.parties.utility import Utility
from wattmesh_market.strategies.shifting import ENDLESS_WH, Offer, cheapest
from wattmesh_market.study.feeder import Feeder
from wattmesh_operator.plan import GatewayPlan, runtime_config


@dataclass(frozen=True)
class Devices:
    """A household's devices: the most that each takes in a slot (Wh) by name, what a kWh costs and earns in a slot
    (millionths), whether they run `by_plan`, and what the house may use of the store of the car of that name.
    """

    limits_wh: Mapping[str, int]
    tariff_micro: Callable[[int], int]
    feed_in_micro: Callable[[int], int]
    by_plan: bool
    car: str | None = None
    vehicle_wh: int = 0

    def vehicle_before(self, reading: Reading) -> int:
        """What is in the car for the house at a slot's start; away, it has all that it had when it left."""
        levels = [device.level_before_wh for device in reading.by_device if device.name == self.car]
        return min(levels[0] if levels else self.vehicle_wh, reading.level_before_wh)


def alone(
    rows: Rows,
    battery: Callable[[str], Battery],
    slots: Slots,
    devices: Callable[[str], Devices | None] = lambda _: None,
) -> dict[str, tuple[Reading, ...]]:
    """What all households would have metered with plain self-consumption, each from the level that it had at the start
    of the first of these slots.

    The capacity is that of each reading, as it may change in a run; the other limits are those of `battery`. Devices
    run as they were metered, but those of a plan by tariff and own sun. A car keeps what it has for the house.
    """
    return {
        household: _alone(rows, household, battery(household), slots, devices(household))
        for household in rows.households
    }


def _alone(rows: Rows, household: str, battery: Battery, slots: Slots, devices: Devices | None) -> tuple[Reading, ...]:
    readings = [reading for reading in rows.readings[household] if reading.slot in slots]
    level_wh = readings[0].level_before_wh if readings else 0
    before = [one.carried_uwh for one in rows.readings[household] if readings and one.slot < readings[0].slot]
    carried_uwh = before[-1] if before else 0
    found = []
    loads_wh = {reading.slot: reading.load_wh for reading in readings}
    vehicle_wh = devices.vehicle_wh if devices is not None else 0
    if devices is not None and readings:
        level_wh -= devices.vehicle_before(readings[0])
        if devices.by_plan:
            loads_wh = _shifted(readings, devices)
    for reading in readings:
        of_capacity = replace(battery, capacity_wh=max(0, reading.capacity_wh - vehicle_wh))
        plan = SlotPlan(reading.slot, reading.pv_wh, loads_wh[reading.slot])
        metered = meter_slot(of_capacity, level_wh, plan, carried_uwh)
        level_wh, carried_uwh = metered.level_after_wh, metered.carried_uwh
        metered = metered._replace(
            level_before_wh=metered.level_before_wh + vehicle_wh, level_after_wh=metered.level_after_wh + vehicle_wh
        )
        found.append(
            Reading(household, reading.slot, capacity_wh=reading.capacity_wh, state="booked", **metered._asdict())
        )
    return tuple(found)


def _shifted(readings: Sequence[Reading], devices: Devices) -> dict[int, int]:
    """The load of each slot, were each device given in each window what it took, of the sun or where it is cheapest."""
    windows: defaultdict[tuple[str, int], list[tuple[int, int]]] = defaultdict(list)
    surplus_wh, loads_wh = {}, {}
    for reading in readings:
        taken_wh = 0
        for device in reading.by_device:
            windows[device.name, device.begin].append((reading.slot, device.taken_wh))
            taken_wh += device.taken_wh
        loads_wh[reading.slot] = reading.load_wh - taken_wh
        surplus_wh[reading.slot] = reading.pv_wh - loads_wh[reading.slot]
    needs = []
    for (name, _), taken in windows.items():
        first, last = taken[0][0], taken[-1][0]
        # What was declared last may be less than what a device was when it took this.
        limit_wh = max(devices.limits_wh.get(name, 0), *(wh for _, wh in taken))
        needs.append(Need(name, first, last + SLOT_S, sum(wh for _, wh in taken), limit_wh))

    def offers(slot: int, given_wh: int) -> list[Offer]:
        sun = (devices.feed_in_micro(slot), slot, max(0, surplus_wh[slot] - given_wh))
        return [sun, (devices.tariff_micro(slot), slot, ENDLESS_WH)]

    for shifted in cheapest(needs, offers):
        for slot, energy_wh in shifted.schedule.items():
            loads_wh[slot] += energy_wh
    return loads_wh


def alone_by_strategy(
    rows: Rows, plan: GatewayPlan, slots: Slots, devices: Callable[[str], Devices | None] = lambda _: None
) -> dict[str, Cost]:
    """What each household that was metered in these slots would have paid with its own strategy and forecast, could it
    trade with its feeder's utilities only; and what would be left in its battery.
    """
    pods = [runtime_config(pod, gateway_url="", epoch=0.0) for pod in plan.pods]
    found = {}
    for pod in pods:
        for household in pod.households:
            readings = [of for of in rows.readings.get(household.subscriber_id, ()) if of.slot in slots]
            if readings:
                utilities = [other for other in pods for one in other.utilities if one.feeder == household.feeder]
                found[household.subscriber_id] = _by_strategy(
                    pod, household, utilities, readings, devices(household.subscriber_id)
                )
    return found


@dataclass(frozen=True)
class _Metered:
    """A household's profile, with what was metered where it was."""

    profile: Profile
    metered: Mapping[int, SlotProfile]

    def actual(self, slot: int) -> SlotProfile:
        return self.metered.get(slot) or self.profile.actual(slot)

    def forecast(self, slot: int) -> SlotProfile:
        return self.profile.forecast(slot)


def _by_strategy(
    pod: RuntimeConfig,
    config: HouseholdConfig,
    utilities: Iterable[RuntimeConfig],
    readings: list[Reading],
    of_household: Devices | None,
) -> Cost:
    first, until = readings[0].slot, readings[-1].slot + SLOT_S
    grid, now = pod.clock.grid_time, Now()
    around = Surroundings(pod.currency, pod.gateway.subscriber_id, grid, now)
    taken_wh = {reading.slot: sum(device.taken_wh for device in reading.by_device) for reading in readings}
    metered = {
        reading.slot: SlotProfile(reading.pv_wh, reading.load_wh - taken_wh[reading.slot]) for reading in readings
    }
    profile = _Metered(profile_of(config, grid.utc_offset_s), metered)
    start = standing_at(first, config)._replace(level_wh=readings[0].level_before_wh)
    if of_household is not None:
        start = start._replace(vehicle_wh=of_household.vehicle_before(readings[0]))
    household = Household(config, profile, around, Books(start), pod.pod, series_of(config.backstop.tariff))
    others = [
        # What was metered was taken then; nothing of it is held now.
        Utility(replace(utility, installed=()), around, Books(standing_at(first)), other.pod, series_of(utility.tariff))
        for other in utilities
        for utility in other.utilities
    ]
    for party in (household, *others):
        party.books.changes = Changes(reversible=False)
    feeder = Feeder([household, *others], now, grid)
    feeder.end_trading(until)
    for slot in range(first, until, SLOT_S):
        feeder.run_slot(slot)
    feeder.settle(until)
    bill_micro = -sum(entry.amount_micro for entry in household.books.changes.ledger)
    # What its devices were given less by then, in windows that are not over, is as good as drawn from the store.
    of_devices_wh = sum(
        device.taken_wh for reading in household.books.changes.readings.values() for device in reading.devices
    )
    owed_wh = sum(taken_wh.values()) - of_devices_wh
    return Cost(bill_micro, household.books.standing.level_wh - owed_wh)
