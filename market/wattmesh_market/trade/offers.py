"""Offers, and the choice of the cheapest mix of them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from hashlib import blake2b
from itertools import groupby
from typing import NamedTuple

MIN_TRADE_WH = 10
"""Less than this is not worth a contract; the backstop takes it."""
_ANY_MICRO = 2**62
"""More than any price."""


class Offer(NamedTuple):
    """What one seller can spare in one slot; a buyer may take any part of it.

    `provider` is whose energy it is where the seller is a platform that sells for others; None: its own. A household
    that gets it pays `local_fee_micro_per_kwh` on top, a utility does not. `selects` says whether the seller wants
    to be asked for a quote before its terms are taken.
    """

    seller: str
    item_id: str
    price_micro_per_kwh: int
    available_wh: int
    provider: str | None = None
    local_fee_micro_per_kwh: int = 0
    selects: bool = True


class Pick(NamedTuple):
    """The part of an offer that a buyer takes."""

    offer: Offer
    energy_wh: int


class Block(NamedTuple):
    """Energy at a price: what a kWh costs its seller at least, or is worth to its buyer at most (None: any price)."""

    price_micro_per_kwh: int | None
    energy_wh: int


def at_price(blocks: Iterable[Block], price_micro_per_kwh: int) -> int:
    """How much (Wh) of what a buyer wants is worth a price."""
    return sum([wh for micro, wh in blocks if micro is None or micro >= price_micro_per_kwh])


def feasible(offers: Iterable[Offer], wants: Sequence[Block], lot: int = 0) -> list[Offer]:
    """Offers of at least 10 Wh that are worth their price to the buyer, the cheapest first.

    Among equal prices the larger offer comes first, for fewer contracts, then whom the lot favours.
    """
    return list(_in_turn(offers, wants, lot))


def _in_turn(offers: Iterable[Offer], wants: Sequence[Block], lot: int) -> Iterator[Offer]:
    """The same, one by one: lots are drawn only where somebody gets that far."""
    most_micro = _most_micro(wants)
    if most_micro is None:
        return
    among = [one for one in offers if one.price_micro_per_kwh <= most_micro and one.available_wh >= MIN_TRADE_WH]
    among.sort(key=_rank)
    for _, equal in groupby(among, _rank):
        yield from sorted(equal, key=lambda offer: _drawn(lot, offer))


def _most_micro(wants: Sequence[Block]) -> int | None:
    """The most at which at least 10 Wh are worth their price; None where it is less at any price."""
    wanted_wh = 0
    for micro, energy_wh in sorted([(_ANY_MICRO if micro is None else micro, wh) for micro, wh in wants], reverse=True):
        wanted_wh += energy_wh
        if wanted_wh >= MIN_TRADE_WH:
            return micro
    return None


def _rank(offer: Offer) -> tuple[int, int]:
    return offer.price_micro_per_kwh, -offer.available_wh


def choose(offers: Iterable[Offer], wants: Sequence[Block], lot: int = 0) -> tuple[Pick, ...]:
    """The cheapest way to cover as much of what is wanted as the offers can.

    Offers are divisible and cost nothing but their price, so taking them in order of price is optimal (the fractional
    knapsack, Dantzig 1957). Only `feasible` offers are taken, in its order, and a rest below 10 Wh is left to the
    backstop.
    """
    picks: list[Pick] = []
    taken_wh = 0
    for offer in _in_turn(offers, wants, lot):
        energy_wh = min(at_price(wants, offer.price_micro_per_kwh) - taken_wh, offer.available_wh)
        if energy_wh < MIN_TRADE_WH:
            break
        picks.append(Pick(offer, energy_wh))
        taken_wh += energy_wh
    return tuple(picks)


def _drawn(lot: int, offer: Offer) -> bytes:
    """An offer's place among equal ones: another in each draw, so that in the long run nobody is favoured."""
    return blake2b(f"{lot}/{offer.seller}/{offer.item_id}".encode(), digest_size=8).digest()
