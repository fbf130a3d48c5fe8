"""What each household would have exchanged with its utility without any market. Pure.

The same PV, load and battery, metered by the agents' own battery model with no trades, promises or room kept for any.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from wattmesh_cli.kpi import Alone, Rows, Slots
from wattmesh_market.energy.battery import Battery, SlotPlan, meter_slot


def alone(rows: Rows, battery: Callable[[str], Battery], slots: Slots) -> dict[str, Alone]:
    """All households, each from the level that it had at the start of the first of these slots.

    The capacity is that of each reading, as it may change in a run; the other limits are those of `battery`.
    """
    return {household: _alone(rows, household, battery(household), slots) for household in rows.households}


def _alone(rows: Rows, household: str, battery: Battery, slots: Slots) -> Alone:
    readings = [reading for reading in rows.readings[household] if reading.slot in slots]
    level_wh = readings[0].level_before_wh if readings else 0
    net_wh: dict[int, int] = {}
    for reading in readings:
        of_capacity = replace(battery, capacity_wh=reading.capacity_wh)
        metered = meter_slot(of_capacity, level_wh, SlotPlan(reading.slot, reading.pv_wh, reading.load_wh))
        level_wh = metered.level_after_wh
        net_wh[reading.slot] = metered.imported_wh - metered.exported_wh
    return Alone(net_wh, level_wh)
