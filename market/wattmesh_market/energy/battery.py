"""The battery, and the metering of one slot.

Energies at the terminals and in the store differ by efficiency; both are whole Wh, rounded against the owner, so
nothing is ever made by rounding.
"""

from __future__ import annotations

from dataclasses import dataclass
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

    @property
    def charge_limit_wh(self) -> int:
        """The most that enters at the terminals in one slot."""
        return slot_energy_wh(self.charge_power_w)

    @property
    def discharge_limit_wh(self) -> int:
        """The most that leaves at the terminals in one slot."""
        return slot_energy_wh(self.discharge_power_w)

    def stored_wh(self, charged_wh: int) -> int:
        """What arrives in the store of `charged_wh` at the terminals."""
        return charged_wh * self.charge_efficiency_ppm // _PPM

    def drawn_wh(self, discharged_wh: int) -> int:
        """What must leave the store for `discharged_wh` at the terminals."""
        return -(-discharged_wh * _PPM // self.discharge_efficiency_ppm)

    def chargeable_wh(self, room_wh: int) -> int:
        """The least at the terminals that fills `room_wh` of the store; more would only be lost."""
        return -(-max(0, room_wh) * _PPM // self.charge_efficiency_ppm)

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

    `bought_wh` and `sold_wh` are contracted for this slot; `held_wh` (in the store) is promised to buyers of later
    slots, `room_wh` (in the store) is kept for purchases of later slots.
    """

    slot: int
    pv_wh: int
    load_wh: int
    bought_wh: int = 0
    sold_wh: int = 0
    held_wh: int = 0
    room_wh: int = 0


class Metered(NamedTuple):
    """One slot as metered, in Wh. Always:

    level after - level before = pv - load + bought - sold + imported - exported - losses.
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


def meter_slot(battery: Battery, level_wh: int, plan: SlotPlan) -> Metered:
    """Run one slot.

    What was stored leaks first. A sale is served next and from the store only, so what is sold was there. Surplus then
    charges and deficit discharges within power, capacity, minimum level, what is held and what room is kept; the rest
    is exchanged with the backstop. A level above capacity (the battery was made smaller) is lost, and counted so.
    """
    level = min(level_wh, battery.capacity_wh)
    level -= battery.leaked_wh(level, plan.slot)
    gone_wh = level_wh - level
    free_wh = level - battery.min_level_wh - plan.held_wh
    out_limit_wh = min(battery.discharge_limit_wh, battery.dischargeable_wh(free_wh))
    sold_wh = min(plan.sold_wh, out_limit_wh)
    net_wh = plan.pv_wh - plan.load_wh + plan.bought_wh - sold_wh
    imported_wh = exported_wh = 0
    if net_wh >= 0:
        room_wh = battery.capacity_wh - level - plan.room_wh
        charged_wh = min(net_wh, battery.charge_limit_wh, battery.chargeable_wh(room_wh))
        stored_wh = battery.stored_wh(charged_wh)
        level += stored_wh
        losses_wh = charged_wh - stored_wh
        exported_wh = net_wh - charged_wh
    else:
        discharged_wh = min(-net_wh, out_limit_wh)
        drawn_wh = battery.drawn_wh(discharged_wh)
        level -= drawn_wh
        losses_wh = drawn_wh - discharged_wh
        imported_wh = -net_wh - discharged_wh
    return Metered(
        level_before_wh=level_wh,
        level_after_wh=level,
        pv_wh=plan.pv_wh,
        load_wh=plan.load_wh,
        bought_wh=plan.bought_wh,
        sold_wh=sold_wh,
        imported_wh=imported_wh,
        exported_wh=exported_wh,
        losses_wh=losses_wh + gone_wh,
    )
