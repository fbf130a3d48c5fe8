"""What a household looks at to name a price, and the bounds that every price keeps."""

from __future__ import annotations

import hashlib
from typing import NamedTuple


class PricingView(NamedTuple):
    """A household before a delivery slot: prices in millionths of the currency per kWh, energy in Wh.

    The utility's price is what a buyer pays it in that slot, all in. What is asked goes to the seller; a buyer pays it
    and the local grid fee, so what is bid covers both. `sell_price_micro_per_kwh` and `max_buy_price_micro_per_kwh` are
    the household's own, None where it wrote none. `level_wh` is what was stored when the current slot began: it does
    not move with what is reserved, so a quote costs what the offer said.
    """

    slot: int
    seed: int
    utility_price_micro_per_kwh: int
    local_grid_fee_micro_per_kwh: int
    feed_in_micro_per_kwh: int
    sell_price_micro_per_kwh: int | None
    max_buy_price_micro_per_kwh: int | None
    capacity_wh: int
    level_wh: int
    sell_above_wh: int
    buy_target_wh: int

    @property
    def least_ask_micro_per_kwh(self) -> int:
        """The floor of a seller: its own price where it wrote one, never less than 0 or the feed-in it would get."""
        return max(self.feed_in_micro_per_kwh, self.sell_price_micro_per_kwh or 0)

    @property
    def most_ask_micro_per_kwh(self) -> int:
        """The ceiling of a seller: a buyer pays no more than at the utility; where that is lower, its floor."""
        return max(self.least_ask_micro_per_kwh, self.utility_price_micro_per_kwh - self.local_grid_fee_micro_per_kwh)

    @property
    def middle_ask_micro_per_kwh(self) -> int:
        """Halfway between the feed-in and what a neighbour could ask at most; never below 0."""
        ceiling_micro = self.utility_price_micro_per_kwh - self.local_grid_fee_micro_per_kwh
        return max(0, (self.feed_in_micro_per_kwh + ceiling_micro) // 2)

    @property
    def most_bid_micro_per_kwh(self) -> int:
        """The most a buyer pays: its own limit where it wrote one, and never more than its utility asks."""
        utility_micro, own_micro = self.utility_price_micro_per_kwh, self.max_buy_price_micro_per_kwh
        return utility_micro if own_micro is None else min(own_micro, utility_micro)

    @property
    def least_bid_micro_per_kwh(self) -> int:
        """The least that is worth bidding: for less than the feed-in, after the fee, nobody need sell."""
        least_micro = max(0, self.feed_in_micro_per_kwh + self.local_grid_fee_micro_per_kwh)
        return min(least_micro, self.most_bid_micro_per_kwh)

    def chance(self, what: str, low: int, high: int) -> int:
        """A whole number from `low` to `high`, each as likely; the same for the same household, slot and purpose."""
        raw = hashlib.blake2b(f"{self.seed}/{what}/{self.slot}".encode(), digest_size=8).digest()
        return low + int.from_bytes(raw, "big") % (high - low + 1)
