"""What a mechanism is told, and what it says. Prices are in millionths of the currency per kWh, grid fee included."""

from __future__ import annotations

from hashlib import blake2b
from typing import NamedTuple


class Order(NamedTuple):
    """Energy (Wh) that a party would sell at no less, or buy at no more, than a price."""

    party: str
    price_micro: int
    energy_wh: int


class Orders(NamedTuple):
    """All orders for a slot. `lot` decides among equal prices."""

    asks: tuple[Order, ...]
    bids: tuple[Order, ...]
    lot: int


class Match(NamedTuple):
    """What a buyer gets of a seller (Wh), and at which price."""

    buyer: str
    seller: str
    energy_wh: int
    price_micro: int


def drawn(lot: int, name: str) -> bytes:
    """A place among equals: another in each draw, so that in the long run nobody is favoured."""
    return blake2b(f"{lot}/{name}".encode(), digest_size=8).digest()
