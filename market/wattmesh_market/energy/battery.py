"""The battery, and the metering of one slot.

Energies at the terminals and in the store differ by efficiency. Both are metered in whole Wh; what the store holds
beyond a whole Wh is carried from slot to slot, so nothing is made by rounding and nothing is lost.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import ClassVar, NamedTuple

from wattmesh_market.energy.slots import SLOT_S, SLOTS_PER_DAY, slot_energy_wh
from wattmesh_market.units import require_amounts

_PPM = 1_000_000
_PERIOD, _STEP = 75_025, 46_368
"""Neighbours of the Fibonacci sequence: their ratio is that of the golden section, in whole numbers."""
_WHOLE = _PPM * SLOTS_PER_DAY * _PERIOD


@dataclass(frozen=True)
class Battery:
    """Limits of a battery, powers measured at the terminals, and what it holds when the household enters the books.

    Of what is stored a share leaks each day. A household without a battery has `NO_BATTERY`.
    """

    __pydantic_config__: ClassVar = {"extra": "forbid"}

    capacity_wh: int
    min_level_wh: int
    charge_power_w: int
    discharge_power_w: int
    charge_efficiency_ppm: int
    discharge_efficiency_ppm: int
    self_discharge_ppm_per_day: int = 0
    initial_level_wh: int = 0

    def __post_init__(self) -> None:
        require_amounts(
            capacity_wh=self.capacity_wh,
            min_level_wh=self.min_level_wh,
            charge_power_w=self.charge_power_w,
            discharge_power_w=self.discharge_power_w,
            initial_level_wh=self.initial_level_wh,
        )
        if not (0 < self.charge_efficiency_ppm <= _PPM and 0 < self.discharge_efficiency_ppm <= _PPM):
            raise ValueError(f"a battery's efficiencies must be from 1 to {_PPM} ppm")
        if not 0 <= self.self_discharge_ppm_per_day <= _PPM:
            raise ValueError(f"self-discharge must be from 0 to {_PPM} ppm per day")

    @cached_property
    def charge_limit_wh(self) -> int:
        """The most that enters at the terminals in one slot."""
        return slot_energy_wh(self.charge_power_w)

    @cached_property
    def discharge_limit_wh(self) -> int:
        """The most that leaves at the terminals in one slot."""
        return slot_energy_wh(self.discharge_power_w)

    def stored_wh(self, charged_wh: int) -> int:
        """The most that `charged_wh` at the terminals raises the level, whatever is carried."""
        return -(-charged_wh * self.charge_efficiency_ppm // _PPM)

    def drawn_wh(self, discharged_wh: int) -> int:
        """The most that `discharged_wh` at the terminals lowers the level, whatever is carried."""
        return -(-discharged_wh * _PPM // self.discharge_efficiency_ppm)

    def chargeable_wh(self, room_wh: int) -> int:
        """The most at the terminals that `room_wh` of the store takes, whatever is carried: almost a Wh more."""
        return max(0, room_wh * _PPM - (_PPM - 1)) // self.charge_efficiency_ppm

    def dischargeable_wh(self, store_wh: int) -> int:
        """The most at the terminals that `store_wh` of the store gives."""
        return max(0, store_wh) * self.discharge_efficiency_ppm // _PPM

    def leaked_wh(self, level_wh: int, slot: int) -> int:
        """Self-discharge of a store that holds `level_wh` when `slot` begins: a 96th of a day's share, in whole Wh.

        Nothing is remembered from slot to slot: a fraction of a Wh is rounded up where the slot's number times the
        golden ratio, modulo 1, is at least what the fraction lacks to 1. Over 75 025 slots that is exact (Hermite's
        identity), and over fewer off by a Wh or two at most, as these multiples are spread evenly (Kuipers and
        Niederreiter: Uniform Distribution of Sequences, 1974). More stored never leaves less.
        """
        if not self.self_discharge_ppm_per_day:
            return 0
        return (level_wh * self._leak + _phase(slot)) // _WHOLE

    def before_leak_wh(self, level_wh: int, slot: int) -> int:
        """The least that a store must hold when `slot` begins to hold `level_wh` (above 0) once that has leaked."""
        return (_WHOLE * (level_wh - 1) + _phase(slot)) // (_WHOLE - self._leak) + 1

    @property
    def _leak(self) -> int:
        return self.self_discharge_ppm_per_day * _PERIOD


def _phase(slot: int) -> int:
    return slot // SLOT_S * _STEP % _PERIOD * (_WHOLE // _PERIOD)


NO_BATTERY = Battery(0, 0, 0, 0, _PPM, _PPM)


class SlotPlan(NamedTuple):
    """What meets the battery in a slot, in Wh.

    `bought_wh` and `sold_wh` are contracted for this slot; `relief_wh` is sold to a utility, as far as sun and store
    give it. `held_wh` (in the store) is promised to buyers of later slots, `room_wh` (in the store) is kept for
    purchases of later slots. The owner's own wishes are levels: up to `fill_wh` it charges from the grid, above
    `reserve_wh` it uses what is stored itself, above `full_wh` (None: at capacity) it feeds surplus in.
    """

    slot: int
    pv_wh: int
    load_wh: int
    bought_wh: int = 0
    sold_wh: int = 0
    held_wh: int = 0
    room_wh: int = 0
    relief_wh: int = 0
    fill_wh: int = 0
    reserve_wh: int = 0
    full_wh: int | None = None


class Metered(NamedTuple):
    """One slot as metered, in Wh. Always:

    level after - level before = pv - load + bought - sold + imported - exported - losses.

    Of what was sold, `covered_wh` came from the backstop, as sun and store did not give it. `carried_uwh` (millionths
    of a Wh) is what the store holds beyond `level_after_wh`.
    """

    level_before_wh: int
    level_after_wh: int
    pv_wh: int
    load_wh: int
    bought_wh: int
    sold_wh: int
    imported_wh: int
    exported_wh: int
    losses_wh: int
    covered_wh: int = 0
    carried_uwh: int = 0


def meter_slot(battery: Battery, level_wh: int, plan: SlotPlan, carried_uwh: int = 0) -> Metered:
    """Run one slot that begins with `level_wh` and `carried_uwh` in the store.

    What was stored leaks first. What is sold to neighbours is delivered in any case: from the sun that the house does
    not need, from the store as far as later promises leave it, else from the backstop; a utility gets only what sun and
    store give. Then comes the house itself. Surplus charges, deficit discharges, within power, capacity, minimum level,
    what is held, what room is kept and what the owner wishes; the rest is exchanged with the backstop. A level above
    capacity (the battery was made smaller) is lost, and counted so.
    """
    level_uwh = min(level_wh * _PPM + carried_uwh, battery.capacity_wh * _PPM)
    level_uwh -= battery.leaked_wh(level_uwh // _PPM, plan.slot) * _PPM
    least_uwh = (battery.min_level_wh + plan.held_wh) * _PPM
    power_wh = battery.discharge_limit_wh
    house_wh = plan.pv_wh - plan.load_wh + plan.bought_wh

    # Promises first: sun, then store.
    missing_wh = max(0, plan.sold_wh - max(0, house_wh))
    from_store_wh = min(missing_wh, power_wh, _dischargeable(battery, level_uwh - least_uwh)) if missing_wh else 0
    covered_wh = missing_wh - from_store_wh
    sun_wh = max(0, house_wh - plan.sold_wh)
    relief_sun_wh = relief_store_wh = 0
    if plan.relief_wh:
        relief_sun_wh = min(plan.relief_wh, sun_wh)
        most_wh = _dischargeable(battery, level_uwh - _drawn(battery, from_store_wh) - least_uwh)
        relief_store_wh = min(plan.relief_wh - relief_sun_wh, power_wh - from_store_wh, most_wh)
        from_store_wh += relief_store_wh
        sun_wh -= relief_sun_wh

    # Then the house.
    needed_wh, own_wh = max(0, -house_wh), 0
    if needed_wh:
        own_uwh = level_uwh - _drawn(battery, from_store_wh) - max(least_uwh, plan.reserve_wh * _PPM)
        own_wh = min(needed_wh, power_wh - from_store_wh, _dischargeable(battery, own_uwh))
    discharged_wh = from_store_wh + own_wh
    charged_wh = grid_wh = 0
    if not discharged_wh:
        most_wh = battery.capacity_wh - plan.room_wh
        if sun_wh:
            full_wh = most_wh if plan.full_wh is None else min(most_wh, plan.full_wh)
            charged_wh = min(sun_wh, battery.charge_limit_wh, _chargeable(battery, full_wh, level_uwh, plan.room_wh))
        if plan.fill_wh:
            grid_wh = _chargeable(battery, min(most_wh, plan.fill_wh), level_uwh, plan.room_wh) - charged_wh
            grid_wh = max(0, min(grid_wh, battery.charge_limit_wh - charged_wh))
    level_uwh -= _drawn(battery, discharged_wh)
    level_uwh += (charged_wh + grid_wh) * battery.charge_efficiency_ppm
    level_after_wh, carried_uwh = divmod(min(level_uwh, battery.capacity_wh * _PPM), _PPM)

    sold_wh = plan.sold_wh + relief_sun_wh + relief_store_wh
    imported_wh = covered_wh + needed_wh - own_wh + grid_wh
    exported_wh = sun_wh - charged_wh
    losses_wh = level_wh + house_wh - sold_wh + imported_wh - exported_wh - level_after_wh
    return Metered(
        level_wh,
        level_after_wh,
        plan.pv_wh,
        plan.load_wh,
        plan.bought_wh,
        sold_wh,
        imported_wh,
        exported_wh,
        losses_wh,
        covered_wh,
        carried_uwh,
    )


def _drawn(battery: Battery, discharged_wh: int) -> int:
    """What leaves the store (millionths of a Wh) for `discharged_wh` at the terminals."""
    return -(-discharged_wh * _PPM * _PPM // battery.discharge_efficiency_ppm)


def _dischargeable(battery: Battery, store_uwh: int) -> int:
    """The most at the terminals that `store_uwh` of the store gives."""
    return max(0, store_uwh) * battery.discharge_efficiency_ppm // (_PPM * _PPM)


def _chargeable(battery: Battery, up_to_wh: int, level_uwh: int, room_wh: int) -> int:
    """What at the terminals fills the store up to a level: the least that does, or where room is kept the most that
    leaves it.
    """
    space_uwh = max(0, up_to_wh * _PPM - level_uwh)
    return space_uwh // battery.charge_efficiency_ppm if room_wh else -(-space_uwh // battery.charge_efficiency_ppm)
