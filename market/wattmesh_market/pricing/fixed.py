"""What the manifest says, in every slot, wherever the utility's price may be."""

from __future__ import annotations

from wattmesh_market.pricing.view import PricingView


def ask(view: PricingView) -> int:
    """The household's own price; without one, the least that is worth asking."""
    own_micro = view.sell_price_micro_per_kwh
    return view.least_ask_micro_per_kwh if own_micro is None else own_micro


def bid(view: PricingView) -> int:
    """All that it is ready to pay: sellers are paid what they ask, so bidding less would only mean fewer of them."""
    return view.most_bid_micro_per_kwh
