"""Planning by what a stored kWh is worth: what to ask, what to bid, how much, and what the battery does meanwhile.

Sellers ask the middle between what the energy is worth to them and what the buyer would pay the utility, as in the
mid-market rate of `pricing/mid_market.py`; buyers bid all that the energy is worth to them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import NamedTuple

from wattmesh_market.energy.battery import Battery, SlotPlan, meter_slot
from wattmesh_market.energy.forecast import Forecast
from wattmesh_market.energy.slots import DAY_S, SLOT_S
from wattmesh_market.energy.tariff import Tariff, all_in_micro_per_kwh
from wattmesh_market.energy.value import Prospect, Worth, worths

_PPM = 1_000_000
PLANNED_EVERY_S = 4 * 3600
"""How often a household looks ahead anew."""
AHEAD = 144
"""How many slots it looks ahead: the coming day, and the night after it."""


class Wishes(NamedTuple):
    """Levels of the store (Wh): up to `fill_wh` it is charged from the grid, above `reserve_wh` the house uses it, above
    `full_wh` surplus is fed in.
    """

    fill_wh: int
    reserve_wh: int
    full_wh: int


class Want(NamedTuple):
    """Energy (Wh) that is worth a price (millionths of the currency per kWh) to a buyer."""

    price_micro: int
    energy_wh: int


class Bearings(NamedTuple):
    """Where a household stands before it trades for a slot: stored when the slot now running began, what it has promised
    and bought for that slot and the traded one (Wh at the terminals), and what later promises hold and need room for.
    """

    level_wh: int
    sold_now_wh: int
    bought_now_wh: int
    sold_wh: int
    bought_wh: int
    held_wh: int
    room_wh: int


class Planner:
    """One household's plan."""

    def __init__(
        self,
        battery: Battery,
        tariff: Tariff,
        utc_offset_s: int,
        forecast: Forecast,
        local_micro: Callable[[int, int], int],
    ) -> None:
        """`local_micro` says what energy of neighbours is expected to cost in a slot, as of another."""
        self.battery = battery
        self._tariff = tariff
        self._utc_offset_s = utc_offset_s
        self._forecast = forecast
        self._local_micro = local_micro
        self._anchor = -1
        self._worths: Sequence[Worth] = ()
        self._wishes: tuple[int, Wishes] = (-1, Wishes(0, 0, 0))

    def worth(self, slot: int) -> Worth:
        """What stored energy is worth at the end of a slot."""
        anchor = slot // PLANNED_EVERY_S * PLANNED_EVERY_S
        if anchor != self._anchor:
            self._anchor = anchor
            ahead = [self._prospect(anchor + number * SLOT_S, anchor) for number in range(AHEAD)]
            feed_in = self._tariff.feed_in_micro_per_kwh
            self._worths = worths(self.battery, ahead, feed_in * self.battery.discharge_efficiency_ppm // _PPM)
        return self._worths[(slot - anchor) // SLOT_S]

    def _prospect(self, slot: int, anchor: int) -> Prospect:
        # What is known of the coming day is expected of the one after it, too.
        pv_wh, load_wh = self._forecast.expected(anchor + (slot - anchor) % DAY_S)
        tariff = self._tariff
        buy = all_in_micro_per_kwh(tariff, slot, self._utc_offset_s)
        feed_in = min(buy, tariff.feed_in_micro_per_kwh)
        fee = tariff.local_grid_fee_micro_per_kwh
        sell = max(feed_in, min(buy - fee, self._local_micro(slot, anchor)))
        return Prospect(pv_wh - load_wh, buy, sell, SOLD_WH, feed_in)

    def wishes(self, slot: int) -> Wishes:
        """What the battery shall do in a slot, by itself."""
        if self._wishes[0] != slot:
            worth, battery, tariff = self.worth(slot), self.battery, self._tariff
            buy = all_in_micro_per_kwh(tariff, slot, self._utc_offset_s)
            fill = worth.level_at(buy * _PPM // battery.charge_efficiency_ppm)
            reserve = worth.level_at(buy * battery.discharge_efficiency_ppm // _PPM)
            full = worth.level_at(tariff.feed_in_micro_per_kwh * _PPM // battery.charge_efficiency_ppm)
            self._wishes = slot, Wishes(fill, reserve, full)
        return self._wishes[1]


SOLD_WH = 150
