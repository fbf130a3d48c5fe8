"""Offers, and the choice of the cheapest mix of them."""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

MIN_TRADE_WH = 10
"""Less than this is not worth a contract; the backstop takes it."""


class Offer(NamedTuple):
    """What one seller can spare in one slot; a buyer may take any part of it."""

    seller: str
    item_id: str
    price_micro_per_kwh: int
    available_wh: int


class Pick(NamedTuple):
    """The part of an offer that a buyer takes."""

    offer: Offer
    energy_wh: int


def feasible(offers: Iterable[Offer], max_price_micro_per_kwh: int | None = None) -> list[Offer]:
    """Offers of at least 10 Wh within the price limit, the cheapest first.

    Among equal prices the larger offer comes first, for fewer contracts, then the seller's id, then the item's.
    """
    return sorted(
        [
            offer
            for offer in offers
            if offer.available_wh >= MIN_TRADE_WH
            and (max_price_micro_per_kwh is None or offer.price_micro_per_kwh <= max_price_micro_per_kwh)
        ],
        key=lambda offer: (offer.price_micro_per_kwh, -offer.available_wh, offer.seller, offer.item_id),
    )


def choose(offers: Iterable[Offer], need_wh: int, max_price_micro_per_kwh: int | None = None) -> tuple[Pick, ...]:
    """The cheapest way to cover as much of `need_wh` as the offers can.

    Offers are divisible and cost nothing but their price, so taking them in order of price is optimal (the fractional
    knapsack, Dantzig 1957). Only `feasible` offers are taken, in its order, and a rest below 10 Wh is left to the
    backstop.
    """
    picks: list[Pick] = []
    for offer in feasible(offers, max_price_micro_per_kwh):
        if need_wh < MIN_TRADE_WH:
            break
        energy_wh = min(need_wh, offer.available_wh)
        picks.append(Pick(offer, energy_wh))
        need_wh -= energy_wh
    return tuple(picks)
