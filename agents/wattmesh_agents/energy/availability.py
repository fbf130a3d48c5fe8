"""What a household can still promise: energy to buyers, room to its own purchases."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from wattmesh_agents.energy.battery import Battery


@dataclass(frozen=True)
class Promise:
    """Energy promised for a slot and not delivered yet: a reservation or a commitment, `energy_wh` at the terminals."""

    slot: int
    energy_wh: int


def held_wh(battery: Battery, promises: Iterable[Promise]) -> int:
    """What must stay in the store to keep promises to buyers."""
    return sum(battery.drawn_wh(promise.energy_wh) for promise in promises)


def room_wh(battery: Battery, purchases: Iterable[Promise]) -> int:
    """What room must stay in the store for purchases that are under way."""
    return battery.stored_wh(sum(purchase.energy_wh for purchase in purchases))


def sellable_wh(battery: Battery, level_wh: int, floor_wh: int, promises: Iterable[Promise], slot: int) -> int:
    """What can still be promised for `slot`: stored above `floor_wh` and not promised, within power x slot.

    `promises` are all open ones, of any slot. Below the battery's minimum level nothing is sold, whatever the floor.
    """
    promises = tuple(promises)
    floor_wh = max(floor_wh, battery.min_level_wh)
    spare_wh = battery.dischargeable_wh(level_wh - floor_wh - held_wh(battery, promises))
    power_wh = battery.slot_limit_wh - sum(promise.energy_wh for promise in promises if promise.slot == slot)
    return max(0, min(spare_wh, power_wh))


def buyable_wh(battery: Battery, level_wh: int, purchases: Iterable[Promise], slot: int) -> int:
    """What can still be bought for `slot` and will fit, within power x slot."""
    purchases = tuple(purchases)
    space_wh = battery.chargeable_wh(battery.capacity_wh - level_wh) - sum(p.energy_wh for p in purchases)
    power_wh = battery.slot_limit_wh - sum(purchase.energy_wh for purchase in purchases if purchase.slot == slot)
    return max(0, min(space_wh, power_wh)) if battery.capacity_wh else 0
