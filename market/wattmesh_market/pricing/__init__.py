"""What a kWh costs: the price a household asks as seller, and the most it pays as buyer. `fixed` is the default.

A pricing is two pure functions of a view. To add one, write them in a file of their own, with prices within the bounds
of `PricingView`, and name it in `PRICINGS`: resources may then name it (`make crds chart`).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from wattmesh_market.pricing import fixed, level, mid_market, zero_intelligence
from wattmesh_market.pricing.view import PricingView

__all__ = ["PRICINGS", "Pricing", "PricingView", "pricing_named"]


@dataclass(frozen=True)
class Pricing:
    """What is asked, and the most that is paid, in millionths of the currency per kWh."""

    ask: Callable[[PricingView], int]
    bid: Callable[[PricingView], int]


PRICINGS: Mapping[str, Pricing] = {
    "fixed": Pricing(fixed.ask, fixed.bid),
    "level": Pricing(level.ask, level.bid),
    "mid-market": Pricing(mid_market.ask, mid_market.bid),
    "zero-intelligence": Pricing(zero_intelligence.ask, zero_intelligence.bid),
}


def pricing_named(name: str) -> Pricing:
    """The pricing of that name; ValueError lists the names there are."""
    if name not in PRICINGS:
        raise ValueError(f"no pricing {name!r}; there are: {', '.join(sorted(PRICINGS))}")
    return PRICINGS[name]
