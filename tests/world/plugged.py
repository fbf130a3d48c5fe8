"""Plug-ins for tests, good and bad: they are at the top of a module, so that other processes find them."""

from __future__ import annotations

from random import Random
from typing import Any, cast

from wattmesh_market.energy.devices.demand import DeviceWindow
from wattmesh_market.energy.forecast import Metered
from wattmesh_market.energy.profiles import Profile, SlotProfile
from wattmesh_market.mechanisms.orders import Match, Orders
from wattmesh_market.pricing import Pricing, PricingView
from wattmesh_market.strategies import Buy, Decision, Hold, Sell, StrategyView
from wattmesh_market.trade.offers import Block


def fair(view: StrategyView) -> Decision:
    """Sell half of what there is in the middle between feed-in and tariff; buy what the house lacks for any price."""
    now = view.ahead[0]
    if view.sellable_wh > view.buyable_wh:
        middle = (now.feed_in_micro_per_kwh + now.price_micro_per_kwh) // 2
        return Sell(view.sellable_wh // 2, max(middle, view.least_ask_micro_per_kwh))
    return Buy((Block(None, min(view.buyable_wh, max(0, now.load_wh - now.pv_wh))),))


def broken(view: StrategyView) -> Decision:
    """Divides by what is 0 from the afternoon on."""
    if view.time.hour < 12:
        return fair(view)
    raise ZeroDivisionError(f"at {view.slot}")


def wild(view: StrategyView) -> Decision:
    """Sells more than there is, for less than it may."""
    return Sell(view.sellable_wh + 1, view.least_ask_micro_per_kwh - 1)


def wordy(view: StrategyView) -> Decision:
    """Says what it wants in words."""
    return cast("Decision", "sell" if view.sellable_wh else Hold)


def quits(view: StrategyView) -> Decision:
    """Ends the process that asks it, as scripts do."""
    raise SystemExit(view.slot)


def chancy(view: StrategyView) -> Decision:
    """Anything that may be answered, and now and then what may not; the same to whoever sees the same."""
    chance = Random(f"{view.seed}/{view.slot}/{view.bought_wh}/{view.sold_wh}/{view.level_wh}")
    what = chance.randrange(10)
    if what == 0:
        raise RuntimeError("it does not like this slot")
    if what == 1:
        return Sell(view.sold_wh + view.sellable_wh + 1)
    if what == 2:
        return Buy((Block(view.most_bid_micro_per_kwh + 1, 100),))
    if what <= 5:
        dearer = chance.choice([0, 1, 50_000])
        return Sell(chance.randint(0, view.sellable_wh), view.least_ask_micro_per_kwh + dearer)
    parts = [Block(chance.randint(0, max(0, view.most_bid_micro_per_kwh)), view.buyable_wh // 3) for _ in range(3)]
    answers: list[Decision] = [Buy(tuple(parts)), Buy((Block(None, view.buyable_wh),)), Sell(), Hold()]
    return chance.choice(answers)


def trips(window: DeviceWindow) -> int:
    """A car that drives further on Mondays, and not at all on Sundays."""
    return {0: min(window.needs_wh * 2, window.most_wh), 6: 0}.get(window.time.weekday(), window.needs_wh)


def thirsty(window: DeviceWindow) -> int:
    """Needs more than it can take."""
    return window.most_wh + 1


class Oracle:
    """A forecast that knows nothing of the evening."""

    def __init__(self, profile: Profile, _: Metered) -> None:
        self._profile = profile

    def expected(self, slot: int) -> SlotProfile:
        """What the profile expects, until 18:00 UTC."""
        if slot % 86_400 >= 18 * 3600:
            raise LookupError("no weather for that slot")
        return self._profile.forecast(slot)


def _ask(view: PricingView) -> int:
    if view.slot % 86_400 >= 12 * 3600:
        return -1
    return view.most_ask_micro_per_kwh


TORN = Pricing(_ask, lambda view: view.most_bid_micro_per_kwh)
"""A pricing that asks less than nothing from noon on."""


def pairs(orders: Orders) -> list[Match]:
    """The first bid that is worth the first ask has it, at the seller's price."""
    if not (orders.asks and orders.bids) or orders.bids[0].price_micro < orders.asks[0].price_micro:
        return []
    (seller, price, offered_wh), (buyer, _, wanted_wh) = orders.asks[0], orders.bids[0]
    return [Match(buyer, seller, min(offered_wh, wanted_wh), price)]


def doubling(orders: Orders) -> list[Match]:
    """Gives the first buyer twice what it asks for."""
    return [
        Match(match.buyer, match.seller, 2 * match.energy_wh + 1, match.price_micro) for match in pairs(orders)
    ] or [cast("Any", None)]
