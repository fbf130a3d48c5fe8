"""Books of a seller that were put back to where they knew only the quote of what it has sold since."""

from __future__ import annotations

import copy
from collections.abc import Callable

import pytest

from tests.market.invariants import check_sums
from tests.world.market import Journal, Member, World, street
from wattmesh_market.energy.slots import SLOT_S
from wattmesh_market.parties.restoring import Signed, is_news, take_over
from wattmesh_market.trade.contracts import Contract, ContractState, Ended, Side
from wattmesh_market.trade.messages import Confirmed
from wattmesh_market.trade.refusal import Refused


class Copied(World):
    """Keeps a copy of a seller's rows of the moment in which its first contract was agreed."""

    sold: Contract | None = None
    before: Journal
    confirmed: Confirmed | None = None

    def act(self, member: Member, step: Callable[[], Refused | None]) -> Refused | None:
        refused = super().act(member, step)
        if self.sold is None:
            agreed = [one for one in member.journal.contracts.values() if one.state is ContractState.AGREED]
            if sold := [one for one in agreed if one.side is Side.SELLER]:
                self.sold, self.before = sold[0], copy.deepcopy(member.journal)
        elif member.party.id == self.sold.party and self.confirmed is None:
            for letter in self.sent(member.party.id, Confirmed):
                if (letter.transaction_id, letter.to) == self.sold.key:
                    assert isinstance(letter.message, Confirmed)
                    self.confirmed = letter.message
        return refused

    def state(self, name: str) -> ContractState:
        """Of the contract, in the books of either side."""
        assert self.sold is not None
        other = self.sold.counterparty if name == self.sold.party else self.sold.party
        return self[name].journal.contracts[self.sold.transaction_id, other].state


@pytest.mark.parametrize("slots", [1, 4])
def test_it_says_that_nothing_is_delivered_and_the_buyer_believes_it(slots: int) -> None:
    world = street(world=Copied)
    assert isinstance(world, Copied)
    while world.confirmed is None:
        world.live()
    assert world.sold is not None
    seller, buyer = world.sold.party, world.sold.counterparty
    world.carry()
    assert world.state(buyer) is ContractState.CONFIRMED

    world[seller].journal = copy.deepcopy(world.before)
    world.restart(seller)
    world.until(world.now.slot + SLOT_S - 1)
    world.live(slots)
    assert (world.state(seller), world.state(buyer)) == (ContractState.EXPIRED, ContractState.CONFIRMED)

    signed = Signed(buyer, world.sold.transaction_id, world.now.ms, world.confirmed)
    party = world[seller].party
    assert is_news(party, signed)
    assert world.act(world[seller], lambda: take_over(party, [signed])) is None
    assert not is_news(party, signed)
    world.live(3)
    assert (world.state(seller), world.state(buyer)) == (ContractState.CANCELLED, ContractState.CANCELLED)
    assert world[buyer].journal.contracts[world.sold.transaction_id, seller].reason == Ended.RESTORED
    world.settle_down()
    check_sums(world)
