"""A household whose strategy is a plug-in: what that sees goes in, a decision that can be comes out."""

from __future__ import annotations

from wattmesh_market.energy.availability import buyable_wh
from wattmesh_market.energy.battery import NO_BATTERY, SlotPlan, meter_slot
from wattmesh_market.energy.forecast import Forecast
from wattmesh_market.energy.slots import DAY_S, SLOT_S, slot_energy_wh
from wattmesh_market.energy.tariff import Rates
from wattmesh_market.parties.books import Books
from wattmesh_market.parties.config import HouseholdConfig
from wattmesh_market.parties.planning import traded_in
from wattmesh_market.plugins import Plugin
from wattmesh_market.plugins.watch import Watch
from wattmesh_market.pricing import PricingView
from wattmesh_market.strategies import Decision, Hold, OwnTrade, SlotAhead, StrategyView
from wattmesh_market.strategies.checked import checked
from wattmesh_market.strategies.view import AHEAD_SLOTS
from wattmesh_market.trade.contracts import OVER, Side


class Outside:
    """What one household decides by a plug-in. Where that does not answer, it holds."""

    def __init__(
        self,
        plugin: Plugin,
        config: HouseholdConfig,
        utc_offset_s: int,
        rates: Rates,
        forecast: Forecast,
        books: Books,
        watch: Watch,
    ) -> None:
        self._plugin = plugin
        self._config = config
        self._utc_offset_s = utc_offset_s
        self._battery = config.battery or NO_BATTERY
        self._rates = rates
        self._forecast = forecast
        self._books = books
        self._watch = watch

    def decide(self, slot: int, possible_wh: int, limits: PricingView) -> Decision:
        """What the plug-in says of a slot in which `possible_wh` can still be sold, at prices within `limits`."""
        view = self._view(slot, possible_wh, limits)
        answer = self._watch.ask(
            self._plugin, self._config.subscriber_id, slot, lambda: checked(self._plugin.target(view), view)
        )
        return Hold() if answer is None else answer

    def _view(self, slot: int, possible_wh: int, limits: PricingView) -> StrategyView:
        config, standing, battery = self._config, self._books.standing, self._battery
        trading, now_slot = config.trading, standing.next_slot
        of_slot = traded_in(self._books, battery, slot)
        ahead = tuple([self._ahead(at) for at in range(slot, slot + AHEAD_SLOTS * SLOT_S, SLOT_S)])
        incoming = [promise for promise in self._books.promises(Side.BUYER) if promise.slot >= now_slot]
        lacking_wh = max(0, ahead[0].load_wh - ahead[0].pv_wh - of_slot.bought_wh)
        carried_wh = slot_energy_wh(config.connection_w) - of_slot.bought_wh
        return StrategyView(
            household=config.subscriber_id,
            seed=config.seed,
            slot=slot,
            now_slot=now_slot,
            utc_offset_s=self._utc_offset_s,
            battery=battery,
            level_wh=standing.battery_wh,
            expected_level_wh=self._level_wh(slot),
            bought_wh=of_slot.bought_wh,
            sold_wh=of_slot.sold_wh,
            buyable_wh=max(0, min(lacking_wh + buyable_wh(battery, standing.battery_wh, incoming, slot), carried_wh)),
            sellable_wh=possible_wh,
            least_ask_micro_per_kwh=limits.least_ask_micro_per_kwh,
            most_bid_micro_per_kwh=limits.most_bid_micro_per_kwh,
            buy_below_wh=trading.buy_below_wh,
            buy_target_wh=trading.buy_target_wh,
            sell_above_wh=trading.sell_above_wh,
            ahead=ahead,
            trades=tuple(
                [one for at in range(now_slot - DAY_S, slot + SLOT_S, SLOT_S) for one in self._trades(at)],
            ),
        )

    def _ahead(self, slot: int) -> SlotAhead:
        rates, (pv_wh, load_wh) = self._rates, self._forecast.expected(slot)
        return SlotAhead(slot, rates.all_in(slot), rates.feed_in(slot), rates.local_grid_fee(slot), pv_wh, load_wh)

    def _level_wh(self, slot: int) -> int:
        """What is expected to be stored when a slot begins, with what is traded by now."""
        standing = self._books.standing
        level_wh = standing.battery_wh
        for at in range(standing.next_slot, slot, SLOT_S):
            pv_wh, load_wh = self._forecast.expected(at)
            sold_wh, bought_wh, held_wh, room_wh = traded_in(self._books, self._battery, at)
            plan = SlotPlan(at, pv_wh, load_wh, bought_wh, sold_wh, held_wh, room_wh)
            level_wh = meter_slot(self._battery, level_wh, plan).level_after_wh
        return level_wh

    def _trades(self, slot: int) -> list[OwnTrade]:
        """What the household has traded in a slot, but for what nobody stands by."""
        return sorted(
            OwnTrade(
                slot,
                side is Side.BUYER,
                contract.counterparty,
                delivery.energy_wh,
                (delivery.amount_micro - delivery.fee_micro) * 1000 // delivery.energy_wh,
            )
            for side in Side
            for contract, delivery in self._books.deliveries(side, slot)
            if delivery.state not in OVER and not contract.in_doubt and delivery.energy_wh
        )
