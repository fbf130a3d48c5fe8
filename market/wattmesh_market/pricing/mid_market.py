"""The mid-market rate: neighbours share evenly what they save by trading with each other instead of with the utility.

C. Long, J. Wu, C. Zhang, L. Thomas, M. Cheng, N. Jenkins: Peer-to-peer energy trading in a community microgrid. IEEE
Power & Energy Society General Meeting (2017). There, too, what neighbours cannot give or take is exchanged with the
utility at its own prices.
"""

from __future__ import annotations

from wattmesh_market.pricing.view import PricingView


def ask(view: PricingView) -> int:
    """The middle between the feed-in and the utility's price less the local grid fee, within the household's floor."""
    return min(max(view.middle_ask_micro_per_kwh, view.least_ask_micro_per_kwh), view.most_ask_micro_per_kwh)


def bid(view: PricingView) -> int:
    """The same middle and the fee that comes on top of it, within the household's limit."""
    return min(view.middle_ask_micro_per_kwh + view.local_grid_fee_micro_per_kwh, view.most_bid_micro_per_kwh)
