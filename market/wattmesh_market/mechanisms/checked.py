"""What a mechanism from outside answers, as matches that can be, or Nonsense with the words for its author."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from wattmesh_market.mechanisms.orders import Match, Order, Orders
from wattmesh_market.plugins import Plugin
from wattmesh_market.plugins.watch import Nonsense, whole
from wattmesh_market.trade.offers import MIN_TRADE_WH
from wattmesh_market.units import MAX_CONFIGURED


@dataclass(frozen=True)
class Plugged:
    """A mechanism that is a plug-in. A call raises Nonsense where its answer cannot be."""

    plugin: Plugin

    @classmethod
    def of(cls, plugin: Plugin) -> Plugged:
        """That of a plug-in; ValueError where it is no function."""
        if not callable(plugin.target):
            raise ValueError(f"must be a function from Orders to a list of Match, not {type(plugin.target).__name__}")
        return cls(plugin)

    def __call__(self, orders: Orders) -> list[Match]:
        """Who is matched with whom."""
        return checked(self.plugin.target(orders), orders)


def checked(answer: object, orders: Orders) -> list[Match]:
    """The matches, of whole numbers of Python, where each keeps to the orders of both and each pair is there once.

    A seller asks one price of all, and nobody sells below its asks or buys above its bids. Less than a contract is
    worth is left out.
    """
    if not isinstance(answer, list | tuple):
        raise Nonsense(f"it must be a list of Match, not {type(answer).__name__}")
    found: dict[tuple[str, str], Match] = {}
    prices: dict[str, int] = {}
    sold_wh: dict[str, int] = {}
    bought: dict[str, list[Match]] = {}
    buyers, sellers = {one.party for one in orders.bids}, {one.party for one in orders.asks}
    for one in answer:
        if not isinstance(one, tuple) or len(one) != 4:
            raise Nonsense(f"it must be a list of Match, not of {type(one).__name__}")
        buyer, seller, energy, price = one
        if buyer not in buyers or seller not in sellers:
            raise Nonsense(f"no bid of {buyer!r:.80} and ask of {seller!r:.80} to match")
        if (buyer, seller) in found:
            raise Nonsense(f"{buyer} and {seller} are matched twice")
        match = Match(buyer, seller, whole(energy, "a match's energy", 0, MAX_CONFIGURED),
                      whole(price, "a match's price", 0, MAX_CONFIGURED))  # fmt: skip
        if prices.setdefault(seller, match.price_micro) != match.price_micro:
            raise Nonsense(f"{seller} has two prices in a slot")
        found[buyer, seller] = match
        sold_wh[seller] = sold_wh.get(seller, 0) + match.energy_wh
        bought.setdefault(buyer, []).append(match)
    for seller, energy_wh in sold_wh.items():
        _keeps(seller, energy_wh, [one for one in orders.asks if one.price_micro <= prices[seller]], orders.asks)
    for buyer, matches in bought.items():
        # What is bought dearest must be worth it, and all that is dearer than a price together.
        for least in {one.price_micro for one in matches}:
            energy_wh = sum(one.energy_wh for one in matches if one.price_micro >= least)
            _keeps(buyer, energy_wh, [one for one in orders.bids if one.price_micro >= least], orders.bids)
    return [match for match in found.values() if match.energy_wh >= MIN_TRADE_WH]


def _keeps(party: str, energy_wh: int, at_price: Iterable[Order], all_of_side: Iterable[Order]) -> None:
    most_wh = sum(one.energy_wh for one in at_price if one.party == party)
    if energy_wh > most_wh:
        in_all_wh = sum(one.energy_wh for one in all_of_side if one.party == party)
        raise Nonsense(f"{party} is matched for {energy_wh} Wh and orders {most_wh} at that price, {in_all_wh} in all")
