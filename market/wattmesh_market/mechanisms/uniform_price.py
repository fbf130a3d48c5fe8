"""A call auction: all orders of a slot are cleared at once, at one price at which supply meets demand.

Of the prices that clear the market it takes the middle (the k-double auction with k = 1/2: K. Chatterjee and W.
Samuelson, Operations Research 31 (1983) 835-851; many traders: R. Wilson, Econometrica 53 (1985) 1101-1115).
"""

from __future__ import annotations

from wattmesh_market.mechanisms.orders import Match, Order, Orders, drawn
from wattmesh_market.trade.offers import MIN_TRADE_WH


def match(orders: Orders) -> list[Match]:
    """The cheapest asks meet the highest bids as long as a bid is not below the ask; all pay the same price.

    Pairs of less than 10 Wh are left out: that is no contract.
    """
    asks = sorted(orders.asks, key=lambda one: (one.price_micro, drawn(orders.lot, one.party)))
    bids = sorted(orders.bids, key=lambda one: (-one.price_micro, drawn(orders.lot, one.party)))
    pairs: dict[tuple[str, str], int] = {}
    at = of = 0
    ask_left_wh, bid_left_wh = (side[0].energy_wh if side else 0 for side in (asks, bids))
    low_micro = high_micro = 0
    while at < len(asks) and of < len(bids) and bids[of].price_micro >= asks[at].price_micro:
        energy_wh = min(ask_left_wh, bid_left_wh)
        pair = (bids[of].party, asks[at].party)
        pairs[pair] = pairs.get(pair, 0) + energy_wh
        low_micro, high_micro = asks[at].price_micro, bids[of].price_micro
        ask_left_wh -= energy_wh
        bid_left_wh -= energy_wh
        if ask_left_wh:
            high_micro = low_micro
        if bid_left_wh:
            low_micro = high_micro
        if not ask_left_wh:
            at, ask_left_wh = _next(asks, at)
        if not bid_left_wh:
            of, bid_left_wh = _next(bids, of)
    # Who is next in the line, and is not served, holds the price on its side.
    if low_micro < high_micro:
        if of < len(bids):
            low_micro = max(low_micro, bids[of].price_micro)
        if at < len(asks):
            high_micro = min(high_micro, asks[at].price_micro)
    price_micro = (low_micro + high_micro) // 2
    return [Match(*pair, energy_wh, price_micro) for pair, energy_wh in pairs.items() if energy_wh >= MIN_TRADE_WH]


def _next(orders: list[Order], at: int) -> tuple[int, int]:
    at += 1
    return at, orders[at].energy_wh if at < len(orders) else 0
