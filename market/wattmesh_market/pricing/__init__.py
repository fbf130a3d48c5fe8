"""What a kWh costs: the price a household asks as seller, and the most it pays as buyer. `fixed` is the default.

A pricing is two pure functions of a view, with prices within the bounds of `PricingView`. Those of `PRICINGS` are built
in, in a file of their own each. A plug-in is an object with `ask` and `bid`, such as a `Pricing` or a module, in the
group `wattmesh.pricings`: see `plugins`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from wattmesh_market.plugins import Catalog, Kind, Plugin
from wattmesh_market.plugins.watch import whole
from wattmesh_market.pricing import fixed, level, mid_market, zero_intelligence
from wattmesh_market.pricing.view import PricingView

__all__ = ["PRICINGS", "Pricing", "PricingView", "pricing_named", "pricings"]


@dataclass(frozen=True)
class Pricing:
    """What is asked, and the most that is paid, in millionths of the currency per kWh.

    What is asked has no grid fee in it; what is paid has. Those of a `plugin` raise Nonsense beyond the view's bounds.
    """

    ask: Callable[[PricingView], int]
    bid: Callable[[PricingView], int]
    plugin: Plugin | None = None


PRICINGS: Mapping[str, Pricing] = {
    "fixed": Pricing(fixed.ask, fixed.bid),
    "level": Pricing(level.ask, level.bid),
    "mid-market": Pricing(mid_market.ask, mid_market.bid),
    "zero-intelligence": Pricing(zero_intelligence.ask, zero_intelligence.bid),
}


def _of_plugin(plugin: Plugin) -> Pricing:
    ask, bid = getattr(plugin.target, "ask", None), getattr(plugin.target, "bid", None)
    if not (callable(ask) and callable(bid)):
        raise ValueError(
            f"must have functions ask and bid, from PricingView to a whole number; {plugin.target!r} has not"
        )

    def within_ask(view: PricingView) -> int:
        return whole(ask(view), "what is asked", view.least_ask_micro_per_kwh, view.most_ask_micro_per_kwh)

    def within_bid(view: PricingView) -> int:
        most_micro = view.most_bid_micro_per_kwh
        return whole(bid(view), "what is bid", min(0, most_micro), most_micro)

    return Pricing(within_ask, within_bid, plugin)


pricings = Catalog(Kind.PRICING, PRICINGS, _of_plugin)


def pricing_named(name: str) -> Pricing:
    """The pricing of that name; ValueError lists the names there are."""
    return pricings[name]
