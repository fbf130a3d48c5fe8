"""What each household would have done without any market: with the same PV and load, and nobody but its utility.

Either its battery takes what the sun gives too much and gives it back when it is needed (`alone`), or the household
follows its strategy on a feeder of its own (`alone_by_strategy`).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace

from wattmesh_cli.books import Reading
from wattmesh_cli.kpi import Cost, Rows, Slots
from wattmesh_common.price_files import series_of
from wattmesh_common.profile_files import profile_of
from wattmesh_common.runtime import RuntimeConfig
from wattmesh_market.energy.battery import Battery, SlotPlan, meter_slot
from wattmesh_market.energy.profiles import Profile, SlotProfile
from wattmesh_market.energy.slots import SLOT_S
from wattmesh_market.parties.books import Books, Changes
from wattmesh_market.parties.config import HouseholdConfig
from wattmesh_market.parties.household import Household
from wattmesh_market.parties.party import Now, Surroundings, standing_at
from wattmesh_market.parties.utility import Utility
from wattmesh_market.study.feeder import Feeder
from wattmesh_operator.plan import GatewayPlan, runtime_config


def alone(rows: Rows, battery: Callable[[str], Battery], slots: Slots) -> dict[str, tuple[Reading, ...]]:
    """What all households would have metered with plain self-consumption, each from the level that it had at the start
    of the first of these slots.

    The capacity is that of each reading, as it may change in a run; the other limits are those of `battery`.
    """
    return {household: _alone(rows, household, battery(household), slots) for household in rows.households}


def _alone(rows: Rows, household: str, battery: Battery, slots: Slots) -> tuple[Reading, ...]:
    readings = [reading for reading in rows.readings[household] if reading.slot in slots]
    level_wh = readings[0].level_before_wh if readings else 0
    before = [one.carried_uwh for one in rows.readings[household] if readings and one.slot < readings[0].slot]
    carried_uwh = before[-1] if before else 0
    found = []
    for reading in readings:
        of_capacity = replace(battery, capacity_wh=reading.capacity_wh)
        plan = SlotPlan(reading.slot, reading.pv_wh, reading.load_wh)
        metered = meter_slot(of_capacity, level_wh, plan, carried_uwh)
        level_wh, carried_uwh = metered.level_after_wh, metered.carried_uwh
        found.append(
            Reading(household, reading.slot, capacity_wh=reading.capacity_wh, state="booked", **metered._asdict())
        )
    return tuple(found)


def alone_by_strategy(rows: Rows, plan: GatewayPlan, slots: Slots) -> dict[str, Cost]:
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
                found[household.subscriber_id] = _by_strategy(pod, household, utilities, readings)
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
    pod: RuntimeConfig, config: HouseholdConfig, utilities: Iterable[RuntimeConfig], readings: list[Reading]
) -> Cost:
    first, until = readings[0].slot, readings[-1].slot + SLOT_S
    grid, now = pod.clock.grid_time, Now()
    around = Surroundings(pod.currency, pod.gateway.subscriber_id, grid, now)
    metered = {reading.slot: SlotProfile(reading.pv_wh, reading.load_wh) for reading in readings}
    profile = _Metered(profile_of(config, grid.utc_offset_s), metered)
    start = standing_at(first, config.battery)._replace(level_wh=readings[0].level_before_wh)
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
    return Cost(bill_micro, household.books.standing.level_wh)
