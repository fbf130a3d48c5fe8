"""Zero intelligence with a budget constraint (ZI-C): random prices, at which nobody can lose.

D. K. Gode, S. Sunder: Allocative Efficiency of Markets with Zero-Intelligence Traders: Market as a Partial Substitute
for Individual Rationality. Journal of Political Economy 101 (1993) 119-137. It shows what the market does by itself,
without anyone's skill. A kWh costs a seller its floor, and to a buyer it is worth its limit.
"""

from __future__ import annotations

from wattmesh_market.pricing.view import PricingView


def ask(view: PricingView) -> int:
    """Any price between floor and ceiling."""
    return view.chance("ask", view.least_ask_micro_per_kwh, view.most_ask_micro_per_kwh)


def bid(view: PricingView) -> int:
    """Any price between the feed-in and the household's limit."""
    return view.chance("bid", view.least_bid_micro_per_kwh, view.most_bid_micro_per_kwh)
