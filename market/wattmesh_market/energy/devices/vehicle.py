"""Vehicle-to-home: what the house may use of a car's store while that is plugged in.

It is there whenever the car comes, beside what the car then needs, and there again when the car leaves.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, NamedTuple

from wattmesh_market.energy.battery import Battery, SlotPlan, meter_slot
from wattmesh_market.energy.slots import SLOT_S
from wattmesh_market.units import require_amounts

_PPM = 1_000_000


@dataclass(frozen=True)
class VehicleStore:
    """That part of a car's store, and how much of what is charged and discharged is lost."""

    __pydantic_config__: ClassVar = {"extra": "forbid"}

    capacity_wh: int
    charge_efficiency_ppm: int
    discharge_efficiency_ppm: int

    def __post_init__(self) -> None:
        require_amounts(capacity_wh=self.capacity_wh)
        self.battery(0, 0)

    def battery(self, charge_wh: int, discharge_wh: int) -> Battery:
        """It as a battery behind the meter that takes and gives so much in a slot at most, at its terminals."""
        watt = 3600 // SLOT_S
        efficiencies = (self.charge_efficiency_ppm, self.discharge_efficiency_ppm)
        return Battery(self.capacity_wh, 0, charge_wh * watt, discharge_wh * watt, *efficiencies)


class Wishes(NamedTuple):
    """Levels of a store (Wh): up to `fill_wh` it is charged from the grid, above `reserve_wh` the house uses it.

    Above `full_wh` surplus is fed in.
    """

    fill_wh: int
    reserve_wh: int
    full_wh: int


class Charger(NamedTuple):
    """What a charger can do for the store (Wh at its terminals): in a slot `limit_wh` in or out at most, of which the
    car takes `taken_wh` for itself, and `later_wh` in what is left of the window, beside what the car needs then.
    """

    limit_wh: int
    taken_wh: int
    later_wh: int


class Moved(NamedTuple):
    """What a store took and gave in a slot, one of them, at its terminals, and its level after it (Wh)."""

    charged_wh: int
    discharged_wh: int
    level_wh: int


def vehicle_slot(
    store: VehicleStore, level_wh: int, charger: Charger, slot: int, surplus_wh: int, wishes: Wishes
) -> Moved:
    """Run one slot, in which the house has `surplus_wh` (negative: it lacks that), with devices and all.

    Only what the house lacks is given. The level stays so high that the store can be full again when the car leaves,
    but for a Wh a slot, which is lost by rounding.
    """
    later_wh = charger.later_wh * store.charge_efficiency_ppm // _PPM
    least_wh = store.capacity_wh - later_wh
    battery = store.battery(charger.limit_wh - charger.taken_wh, 0 if charger.taken_wh else charger.limit_wh)
    plan = SlotPlan(
        slot,
        max(0, surplus_wh),
        max(0, -surplus_wh),
        fill_wh=max(wishes.fill_wh, least_wh),
        reserve_wh=max(wishes.reserve_wh, least_wh),
        full_wh=max(wishes.full_wh, least_wh),
    )
    metered = meter_slot(battery, level_wh, plan)
    charged_wh = metered.pv_wh + metered.imported_wh - metered.load_wh - metered.exported_wh
    return Moved(max(0, charged_wh), max(0, -charged_wh), metered.level_after_wh)
