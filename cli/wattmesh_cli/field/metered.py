"""A feeder's households as they were metered, and the least that they could have paid together."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence

import numpy as np

from wattmesh_cli.books import SLOT_S, LedgerEntry, Reading
from wattmesh_cli.field.optimum import Demand, Home, Optimum, Store, optimum
from wattmesh_cli.field.program import Values
from wattmesh_cli.kpi import Rows, Slots
from wattmesh_cli.terms import Terms
from wattmesh_market.energy.slots import SLOTS_PER_DAY

_PPM = 1_000_000


def metered_optimum(
    rows: Rows, terms: Terms, slots: Slots, stored_micro_per_kwh: Callable[[str], float]
) -> dict[str, Optimum]:
    """The optimum of each feeder in these slots, from the levels that its batteries had at their start.

    `stored_micro_per_kwh` is what a kWh left in a household's battery is worth. Unsolved.
    """
    feeders: defaultdict[str, list[str]] = defaultdict(list)
    for household in rows.households:
        if any(reading.slot in slots for reading in rows.readings[household]):
            feeders[terms.households[household].feeder].append(household)
    return {
        feeder: _of_feeder(rows, terms, slots, households, stored_micro_per_kwh)
        for feeder, households in feeders.items()
    }


def _of_feeder(
    rows: Rows, terms: Terms, slots: Slots, households: Sequence[str], stored_micro_per_kwh: Callable[[str], float]
) -> Optimum:
    readings = {name: [one for one in rows.readings[name] if one.slot in slots] for name in households}
    first = min(of[0].slot for of in readings.values())
    end = max(of[-1].slot for of in readings.values()) + SLOT_S
    at = range(first, end, SLOT_S)
    homes = {name: home(terms, name, of, at, stored_micro_per_kwh(name)) for name, of in readings.items()}
    sold = (entry for name in households for entry in rows.ledger[name] if entry.slot in at)
    return optimum(homes, demand_of(sold, frozenset(rows.utilities), at))


def home(terms: Terms, household: str, readings: Iterable[Reading], at: range, stored_micro_per_kwh: float) -> Home:
    """A household over the slots `at`; where it has no reading it neither needs nor stores anything."""
    by_slot = {reading.slot: reading for reading in readings}
    battery, prices = terms.battery(household), terms.prices
    there = np.array([slot in by_slot for slot in at], dtype=np.float64)
    store = None
    if battery.capacity_wh:
        known = [by_slot[slot] for slot in at if slot in by_slot]
        capacity_wh, last = [], known[0].capacity_wh
        for slot in at:
            last = by_slot[slot].capacity_wh if slot in by_slot else last
            capacity_wh.append(float(last))
        store = Store(
            level_wh=known[0].level_before_wh,
            min_level_wh=battery.min_level_wh,
            capacity_wh=np.array(capacity_wh),
            charge_wh=there * battery.charge_limit_wh,
            discharge_wh=there * battery.discharge_limit_wh,
            charge_efficiency=battery.charge_efficiency_ppm / _PPM,
            discharge_efficiency=battery.discharge_efficiency_ppm / _PPM,
            leak=there * battery.self_discharge_ppm_per_day / _PPM / SLOTS_PER_DAY,
        )
    return Home(
        net_wh=_each(at, lambda slot: by_slot[slot].load_wh - by_slot[slot].pv_wh if slot in by_slot else 0),
        tariff_micro=_each(at, lambda slot: terms.cheapest_micro(household, slot)),
        feed_in_micro=_each(at, lambda slot: prices.feed_in_micro(household, slot)),
        local_fee_micro=_each(at, lambda slot: terms.local_fee_micro(household, slot)),
        store=store,
        stored_micro_per_kwh=stored_micro_per_kwh,
    )


def demand_of(entries: Iterable[LedgerEntry], utilities: frozenset[str], at: range) -> Demand | None:
    """What utilities bought on the market in each slot, at the mean price that they paid; None if nothing."""
    sold_wh: defaultdict[int, int] = defaultdict(int)
    earned_micro: defaultdict[int, int] = defaultdict(int)
    for entry in entries:
        if entry.kind == "trade" and entry.counterparty in utilities and entry.energy_wh < 0:
            sold_wh[entry.slot] -= entry.energy_wh
            earned_micro[entry.slot] += entry.amount_micro
    if not sold_wh:
        return None
    return Demand(
        _each(at, lambda slot: sold_wh.get(slot, 0)),
        _each(at, lambda slot: 1000 * earned_micro[slot] / sold_wh[slot] if slot in sold_wh else 0),
    )


def _each(at: range, value: Callable[[int], float]) -> Values:
    return np.array([value(slot) for slot in at], dtype=np.float64)
