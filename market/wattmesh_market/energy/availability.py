"""What a household can still promise: energy to buyers, room to its own purchases."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import NamedTuple

from wattmesh_market.energy.battery import Battery
from wattmesh_market.energy.slots import SLOT_S


class Promise(NamedTuple):
    """Energy promised for a slot and not delivered yet: a reservation or a commitment, at the terminals.

    Of a seller's `energy_wh`, `sun_wh` is surplus that was expected of the slot when it was promised; the rest is held
    in the store.
    """

    slot: int
    energy_wh: int
    sun_wh: int = 0

    @property
    def stored_wh(self) -> int:
        """What the store must give for it (at the terminals)."""
        return self.energy_wh - self.sun_wh


def drawn_wh(battery: Battery, promises: Iterable[Promise]) -> int:
    """What must leave the store to keep promises to buyers."""
    return sum([battery.drawn_wh(promise.stored_wh) for promise in promises])


def held_wh(battery: Battery, promises: Iterable[Promise], start: int) -> int:
    """What must be stored above the minimum level when slot `start` begins, to keep promises to buyers.

    That is what they draw, and what leaks until then of it and of the minimum level below it.
    """
    if not battery.self_discharge_ppm_per_day:
        return drawn_wh(battery, promises)
    drawn = _drawn_by_slot(battery, promises, start)
    if not drawn:
        return 0
    level_wh = battery.min_level_wh
    for slot in range(max(drawn), start - SLOT_S, -SLOT_S):
        level_wh = battery.before_leak_wh(level_wh + drawn.get(slot, 0), slot)
    return level_wh - battery.min_level_wh


def room_wh(battery: Battery, purchases: Iterable[Promise]) -> int:
    """What room must stay in the store for purchases that are under way."""
    return battery.stored_wh(sum([purchase.energy_wh for purchase in purchases]))


def sellable_wh(
    battery: Battery, level_wh: int, floor_wh: int, promises: Sequence[Promise], start: int, slot: int
) -> int:
    """What the store can still promise for `slot`: above `floor_wh` and not promised, within power x slot.

    `level_wh` is stored when slot `start` begins; `promises` are all open ones, of any slot. Below the battery's
    minimum level nothing is sold, whatever the floor. It is the most with which `held_wh` of all promises stays within
    what is stored above the floor.
    """
    left_wh = level_wh - max(0, floor_wh - battery.min_level_wh)
    if left_wh <= battery.min_level_wh:
        return 0
    if promises or battery.self_discharge_ppm_per_day:
        drawn = _drawn_by_slot(battery, promises, start)
        for at in range(start, slot + SLOT_S, SLOT_S):
            left_wh -= battery.leaked_wh(left_wh, at) + drawn.get(at, 0)
    later = [promise for promise in promises if promise.slot > slot]
    spare_wh = left_wh - battery.min_level_wh - held_wh(battery, later, slot + SLOT_S)
    power_wh = battery.discharge_limit_wh - sum([promise.stored_wh for promise in promises if promise.slot == slot])
    return max(0, min(battery.dischargeable_wh(spare_wh), power_wh))


def sunny_wh(surplus_wh: int, promises: Iterable[Promise], slot: int) -> int:
    """What can still be promised for `slot` of the surplus that is expected of it: what no other promise counts on."""
    return max(0, surplus_wh - sum([promise.sun_wh for promise in promises if promise.slot == slot]))


def buyable_wh(battery: Battery, level_wh: int, purchases: Iterable[Promise], slot: int) -> int:
    """What can still be bought for `slot` and will fit, within power x slot, whatever is carried beyond `level_wh`.

    What leaks until then only makes room.
    """
    purchases = tuple(purchases)
    space_wh = battery.chargeable_wh(battery.capacity_wh - level_wh) - sum([p.energy_wh for p in purchases])
    power_wh = battery.charge_limit_wh - sum([purchase.energy_wh for purchase in purchases if purchase.slot == slot])
    return max(0, min(space_wh, power_wh)) if battery.capacity_wh else 0


def _drawn_by_slot(battery: Battery, promises: Iterable[Promise], start: int) -> dict[int, int]:
    """What promises draw, by slot; one that is overdue draws in the slot that comes next."""
    drawn: dict[int, int] = {}
    for promise in promises:
        if promise.stored_wh:
            slot = max(promise.slot, start)
            drawn[slot] = drawn.get(slot, 0) + battery.drawn_wh(promise.stored_wh)
    return drawn
