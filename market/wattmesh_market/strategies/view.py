"""What a strategy that is a plug-in sees of a household, and what it may answer."""

from __future__ import annotations

from datetime import datetime
from typing import NamedTuple

from wattmesh_market.energy.battery import Battery
from wattmesh_market.energy.slots import local

AHEAD_SLOTS = 144
"""How many slots a strategy sees ahead: the coming day, and the night after it."""


class SlotAhead(NamedTuple):
    """What is known and expected of a slot: prices in millionths of the currency per kWh, energy in Wh.

    `price_micro_per_kwh` is what a kWh of the utility costs, grid fee included; beyond what is published, what it costs
    on the last day that is. A neighbour's kWh costs what the neighbour asks, and `local_grid_fee_micro_per_kwh`.
    """

    slot: int
    price_micro_per_kwh: int
    feed_in_micro_per_kwh: int
    local_grid_fee_micro_per_kwh: int
    pv_wh: int
    load_wh: int


class OwnTrade(NamedTuple):
    """A delivery of a contract of the household: energy in Wh, price per kWh in millionths without grid fee."""

    slot: int
    bought: bool
    partner: str
    energy_wh: int
    price_micro_per_kwh: int


class StrategyView(NamedTuple):
    """A household before a delivery slot: slots as unix seconds of grid time, energy in Wh, prices in millionths of the
    currency per kWh. It does not change, and nothing in it does.

    `slot` is what is to be decided; its gate closes when it begins. `level_wh` is stored when `now_slot` begins, the
    first that was not metered yet, and `expected_level_wh` is expected to be when `slot` begins. `bought_wh` and
    `sold_wh` are agreed for the slot already; `buyable_wh` (what the house is expected to lack, and what its store
    takes) and `sellable_wh` (what store and expected sun give, beyond what is promised) are what can still be.
    A price asked is at least `least_ask_micro_per_kwh` (the owner's sellPrice, the feed-in, 0), a bid (grid fee
    included) at most `most_bid_micro_per_kwh` (the owner's maxBuyPrice, the utility's price).

    `buy_below_wh`, `buy_target_wh` and `sell_above_wh` are the owner's thresholds. `ahead` has `AHEAD_SLOTS` slots from
    `slot` on; `trades` are the household's own from a day before `now_slot` up to `slot`, in order. `seed` is the
    household's own, for what shall be random and yet the same in each run.
    """

    household: str
    seed: int
    slot: int
    now_slot: int
    utc_offset_s: int
    battery: Battery
    level_wh: int
    expected_level_wh: int
    bought_wh: int
    sold_wh: int
    buyable_wh: int
    sellable_wh: int
    least_ask_micro_per_kwh: int
    most_bid_micro_per_kwh: int
    buy_below_wh: int
    buy_target_wh: int
    sell_above_wh: int
    ahead: tuple[SlotAhead, ...]
    trades: tuple[OwnTrade, ...]

    @property
    def time(self) -> datetime:
        """When the slot begins, in local time."""
        return local(self.slot, self.utc_offset_s)
