"""A household's pricing at work: what it asks and bids by its name, and the bounds of both."""

from __future__ import annotations

from wattmesh_market.energy.battery import NO_BATTERY
from wattmesh_market.energy.tariff import Rates
from wattmesh_market.parties.books import Books
from wattmesh_market.parties.config import HouseholdConfig
from wattmesh_market.plugins.watch import Watch
from wattmesh_market.pricing import PricingView, pricing_named


class Priced:
    """What one household names. Prices are in millionths of the currency per kWh."""

    def __init__(self, config: HouseholdConfig, rates: Rates, books: Books, watch: Watch) -> None:
        self._config = config
        self._rates = rates
        self._books = books
        self._watch = watch
        self._capacity_wh = (config.battery or NO_BATTERY).capacity_wh
        self._pricing = pricing_named(config.trading.pricing)
        self.plugged = self._pricing.plugin is not None
        """Whether the pricing is a plug-in."""

    def view(self, slot: int) -> PricingView:
        """What it looks at, and the bounds."""
        trading, rates = self._config.trading, self._rates
        return PricingView(
            slot=slot,
            seed=self._config.seed,
            utility_price_micro_per_kwh=rates.all_in(slot),
            local_grid_fee_micro_per_kwh=rates.local_grid_fee(slot),
            feed_in_micro_per_kwh=rates.feed_in(slot),
            sell_price_micro_per_kwh=trading.sell_price_micro_per_kwh,
            max_buy_price_micro_per_kwh=trading.max_buy_price_micro_per_kwh,
            capacity_wh=self._capacity_wh,
            level_wh=self._books.standing.battery_wh,
            sell_above_wh=trading.sell_above_wh,
            buy_target_wh=trading.buy_target_wh,
        )

    def known(self, slot: int) -> bool:
        """Whether there are prices for a slot; a plug-in may have no answer that counts."""
        return not self.plugged or self._asked(slot) is not None

    def ask_micro(self, slot: int) -> int:
        """What it asks, without grid fee; the least that can be where that is not known."""
        if not self.plugged:
            return self._pricing.ask(self.view(slot))
        prices = self._asked(slot)
        return self.view(slot).least_ask_micro_per_kwh if prices is None else prices[0]

    def bid_micro(self, slot: int) -> int:
        """The most that it pays, with grid fee; nothing where that is not known."""
        if not self.plugged:
            return self._pricing.bid(self.view(slot))
        prices = self._asked(slot)
        return 0 if prices is None else prices[1]

    def _asked(self, slot: int) -> tuple[int, int] | None:
        pricing, view = self._pricing, self.view(slot)
        if pricing.plugin is None:
            return pricing.ask(view), pricing.bid(view)
        party = self._config.subscriber_id
        return self._watch.ask(pricing.plugin, party, slot, lambda: (pricing.ask(view), pricing.bid(view)))
