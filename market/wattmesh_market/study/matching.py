"""A mechanism at work in a study: households order, it matches, and each buyer hears of its matches only.

What follows is a purchase as ever: the buyer searches, the sellers it was matched with offer what it is to have at the
price that was found, and both keep their contract.
"""

from __future__ import annotations

from collections.abc import Iterable

from wattmesh_market.mechanisms import Mechanism
from wattmesh_market.mechanisms.checked import Plugged
from wattmesh_market.mechanisms.orders import Match, Order, Orders
from wattmesh_market.parties.books import Selection
from wattmesh_market.parties.household import Household
from wattmesh_market.plugins.watch import Watch
from wattmesh_market.strategies import Buy


class Matching:
    """The orders of a feeder's households, cleared anew for each slot."""

    def __init__(self, mechanism: Mechanism, homes: Iterable[Household], watch: Watch) -> None:
        """`watch` asks a mechanism that is a plug-in: where that has no answer, nobody is matched."""
        self._mechanism = mechanism
        self._watch = watch
        self._homes = {home.id: home for home in homes}
        self._matched: dict[tuple[str, str], int] = {}

    def clear(self, slot: int) -> None:
        """Let every household order for a slot, and the sellers ask what the mechanism finds."""
        asks: list[Order] = []
        bids: list[Order] = []
        for home in self._homes.values():
            decision = home.decide(slot)
            if home.sells(slot):
                fee_micro = home.rates.local_grid_fee(slot)
                asks += [Order(home.id, (micro or 0) + fee_micro, wh) for micro, wh in home.supply(slot)]
            elif isinstance(decision, Buy):
                most_micro = home.rates.all_in(slot)
                bids += [Order(home.id, most_micro if micro is None else micro, wh) for micro, wh in decision.wants]
        self._matched = {}
        lot = slot ^ next(iter(self._homes.values())).lot if self._homes else slot
        for buyer, seller, energy_wh, price_micro in self._matches(slot, Orders(tuple(asks), tuple(bids), lot)):
            self._matched[buyer, seller] = energy_wh
            found = self._homes[seller]
            found.ask(slot, price_micro - found.rates.local_grid_fee(slot))

    def _matches(self, slot: int, orders: Orders) -> list[Match]:
        mechanism = self._mechanism
        if not isinstance(mechanism, Plugged):
            return mechanism(orders)
        return self._watch.ask(mechanism.plugin, "all on the feeder", slot, lambda: mechanism(orders)) or []

    def keeps_apart(self, buyer: str, seller: str) -> bool:
        """Whether a buyer's search is not for that seller. A utility that searches hears everybody."""
        return buyer in self._homes and (buyer, seller) not in self._matched

    def limited(self, buyer: str, seller: str, made: Selection) -> Selection:
        """What a seller offers a household: no more than it was matched with, and once."""
        if buyer not in self._homes:
            return made
        most_wh = self._matched.pop((buyer, seller), 0)
        # What would be sold ahead is not the mechanism's.
        return Selection(made.offer._replace(available_wh=min(made.offer.available_wh, most_wh)))
