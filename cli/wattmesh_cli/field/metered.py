"""A feeder's households as they were metered, and what was possible for them."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from math import floor

import numpy as np

from wattmesh_cli.alone import alone_by_strategy
from wattmesh_cli.books import SLOT_S, LedgerEntry, Reading
from wattmesh_cli.field.optimum import Demand, Home, Shiftable, Store, optimum
from wattmesh_cli.field.program import Values
from wattmesh_cli.kpi import Cost, Possible, Rows, Slots, Stored, possible, supplied_micro
from wattmesh_cli.terms import Terms
from wattmesh_market.energy.slots import SLOTS_PER_DAY
from wattmesh_operator.plan import GatewayPlan

_PPM = 1_000_000


def metered_possible(
    rows: Rows, plan: GatewayPlan, terms: Terms, slots: Slots, alone: Mapping[str, Sequence[Reading]]
) -> Possible:
    """How near the households came to what was possible in these slots. `alone` is what they would have metered with
    plain self-consumption. Unsolved.
    """
    prices = terms.prices
    plain = {name: Cost(supplied_micro(of, prices), of[-1].level_after_wh) for name, of in alone.items() if of}
    return possible(
        rows,
        prices,
        slots,
        [plain, alone_by_strategy(rows, plan, slots, terms.devices)],
        {stored: optimum_micro(rows, terms, slots, stored) for stored in Stored},
    )


def optimum_micro(rows: Rows, terms: Terms, slots: Slots, stored: Stored) -> int:
    """The least that all households could have paid together in these slots, feeder by feeder, less what is left in
    their batteries at that value of it. Unsolved.
    """
    cost_micro = 0.0
    for homes, demand in metered_feeders(rows, terms, slots, stored):
        cost_micro += optimum(homes, demand).cost_micro(homes)
    return floor(cost_micro)


def metered_feeders(
    rows: Rows, terms: Terms, slots: Slots, stored: Stored
) -> Iterator[tuple[dict[str, Home], Demand | None]]:
    """Of each feeder the households that were metered in these slots, with the levels that they had at the start, and
    what its utilities bought on the market.
    """
    feeders: defaultdict[str, dict[str, list[Reading]]] = defaultdict(dict)
    for name in rows.households:
        if readings := [reading for reading in rows.readings[name] if reading.slot in slots]:
            feeders[terms.households[name].feeder][name] = readings
    for readings_of in feeders.values():
        first = min(readings[0].slot for readings in readings_of.values())
        at = range(first, max(readings[-1].slot for readings in readings_of.values()) + SLOT_S, SLOT_S)
        entries = (entry for name in readings_of for entry in rows.ledger[name])
        yield (
            {name: home(terms, readings, at, stored) for name, readings in readings_of.items()},
            demand_of(entries, frozenset(rows.utilities), at),
        )


def home(terms: Terms, readings: Sequence[Reading], at: range, stored: Stored) -> Home:
    """The household of these readings over the slots `at`; in one without a reading it needs and stores nothing."""
    household, prices = readings[0].party, terms.prices
    by_slot = {reading.slot: reading for reading in readings}
    battery = terms.battery(household)
    taken_wh = {reading.slot: sum(device.taken_wh for device in reading.by_device) for reading in readings}
    of_devices = terms.devices(household)
    vehicle_wh = vehicle_before_wh = 0
    if of_devices is not None:
        vehicle_wh, vehicle_before_wh = of_devices.vehicle_wh, of_devices.vehicle_before(readings[0])
    there = np.array([slot in by_slot for slot in at], dtype=np.float64)
    store = None
    if battery.capacity_wh:
        # In a gap the store is as it was.
        known = np.maximum.accumulate([index if slot in by_slot else 0 for index, slot in enumerate(at)])
        store = Store(
            level_wh=readings[0].level_before_wh - vehicle_before_wh,
            min_level_wh=battery.min_level_wh,
            capacity_wh=np.array(
                [max(0, by_slot.get(at[index], readings[0]).capacity_wh - vehicle_wh) for index in known],
                dtype=np.float64,
            ),
            charge_wh=there * battery.charge_limit_wh,
            discharge_wh=there * battery.discharge_limit_wh,
            charge_efficiency=battery.charge_efficiency_ppm / _PPM,
            discharge_efficiency=battery.discharge_efficiency_ppm / _PPM,
            leak=there * battery.self_discharge_ppm_per_day / _PPM / SLOTS_PER_DAY,
        )
    return Home(
        pv_wh=_each(at, lambda slot: by_slot[slot].pv_wh if slot in by_slot else 0),
        load_wh=_each(at, lambda slot: by_slot[slot].load_wh - taken_wh[slot] if slot in by_slot else 0),
        tariff_micro=_each(at, lambda slot: terms.cheapest_micro(household, slot)),
        feed_in_micro=_each(at, lambda slot: prices.feed_in_micro(household, slot)),
        local_fee_micro=_each(at, lambda slot: prices.local_fee_micro(household, slot)),
        store=store,
        stored_micro_per_kwh=prices.stored_micro(household, by_slot, stored),
        devices=tuple(devices_of(terms, readings, at)),
        vehicle=vehicle_of(terms, readings, at, vehicle_before_wh) if vehicle_wh else None,
    )


def vehicle_of(terms: Terms, readings: Sequence[Reading], at: range, level_wh: int) -> Store | None:
    """What the house may use of its car over the slots `at`: while that is plugged in, and as much as was left in it at
    the end of each such time is left again. That it is for the house alone, and shares the charger with what the car
    needs, does not hold here, which makes the bound no worse.
    """
    car = next(device for device in terms.households[readings[0].party].devices if device.store is not None)
    if car.store is None:
        return None
    capacity_wh = float(max(level_wh, car.store.capacity_wh))
    limit_wh, least_wh = np.zeros(len(at)), np.zeros(len(at))
    for reading in readings:
        for device in reading.by_device:
            if device.name == car.name:
                place = (reading.slot - at.start) // SLOT_S
                limit_wh[place] = max(car.limit_wh, device.charged_wh, device.discharged_wh)
                capacity_wh = max(capacity_wh, device.level_before_wh, device.level_after_wh)
                if device.end == reading.slot + SLOT_S:
                    least_wh[place] = device.level_after_wh
    return Store(
        level_wh=level_wh,
        min_level_wh=0,
        capacity_wh=np.full(len(at), capacity_wh),
        charge_wh=limit_wh,
        discharge_wh=limit_wh,
        charge_efficiency=car.store.charge_efficiency_ppm / _PPM,
        discharge_efficiency=car.store.discharge_efficiency_ppm / _PPM,
        leak=np.zeros(len(at)),
        least_wh=least_wh,
    )


def devices_of(terms: Terms, readings: Sequence[Reading], at: range) -> Iterator[Shiftable]:
    """The household's devices over the slots `at`: each is free to take at any time of a window what it took in it."""
    limits_wh = {device.name: device.limit_wh for device in terms.households[readings[0].party].devices}
    taken: defaultdict[str, defaultdict[int, dict[int, int]]] = defaultdict(lambda: defaultdict(dict))
    for reading in readings:
        for device in reading.by_device:
            taken[device.name][device.begin][(reading.slot - at.start) // SLOT_S] = device.taken_wh
    for name, windows in taken.items():
        limit_wh, least_wh, most_wh = (np.zeros(len(at)) for _ in range(3))
        sum_wh = 0
        for of in windows.values():
            first, last = min(of), max(of)
            # What was declared last may be less than what a device was when it took this.
            limit_wh[first : last + 1] = max(limits_wh.get(name, 0), *of.values())
            least_wh[first:last] = sum_wh
            sum_wh += sum(of.values())
            most_wh[first:] = least_wh[last:] = sum_wh
        yield Shiftable(limit_wh, least_wh, most_wh)


def demand_of(entries: Iterable[LedgerEntry], utilities: frozenset[str], at: range) -> Demand | None:
    """What utilities bought on the market in each slot, at the mean price that they paid; None if nothing."""
    sold_wh: defaultdict[int, int] = defaultdict(int)
    earned_micro: defaultdict[int, int] = defaultdict(int)
    for entry in entries:
        to_utility = entry.counterparty in utilities and entry.energy_wh < 0
        if entry.kind == "trade" and to_utility and entry.slot in at:
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
