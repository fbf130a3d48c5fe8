"""An event that is taken back leaves the books as they were, and does the same when it happens again."""

from __future__ import annotations

from collections.abc import Callable
from random import Random
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from tests.market.invariants import check_end
from tests.market.parties.test_any_buyers import Selling
from tests.world.market import Member, World, street
from tests.world.parties import FEES, battery, household
from wattmesh_market.parties.books import Books, Changes
from wattmesh_market.trade.refusal import Refused


def tables(books: Books) -> dict[str, Any]:
    """All that the books hold, copied; `_promises` is worked out anew for each version."""
    left_out = ("changes", "version", "_promises")
    return {name: _copied(table) for name, table in vars(books).items() if name not in left_out}


def _copied(table: Any) -> Any:
    return {key: _copied(row) for key, row in table.items()} if isinstance(table, dict) else table


def written(changes: Changes) -> dict[str, Any]:
    """All that an event has written down."""
    return {name: getattr(changes, name) for name in Changes.__slots__ if name != "undo"}


class Hesitant(World):
    """Takes each event back before it lets it happen."""

    taken_back = refused = 0

    def act(self, member: Member, step: Callable[[], Refused | None]) -> Refused | None:
        books, again = member.books, []
        before = tables(books)

        def watched() -> Refused | None:
            again.append(books.changes)
            return step()

        first = books.changes
        try:
            step()
        except Refused:
            self.refused += 1
        first_written = written(first)
        books.take_back()
        assert tables(books) == before
        self.taken_back += 1
        outcome = super().act(member, watched)
        assert written(again[0]) == first_written
        return outcome


@settings(max_examples=15)
@given(chance=st.randoms(use_true_random=False), faults=st.sampled_from([0, 3]))
def test_any_event_of_a_market_can_be_taken_back(chance: Random, faults: int) -> None:
    world = street(tariff=FEES, world=Hesitant)
    world.live(4, chance, faults)
    world.settle_down()
    check_end(world)
    assert isinstance(world, Hesitant)
    assert world.taken_back > 100


class TakingBack(Selling):
    """Whatever buyers say, orders of several slots too."""

    world_type = Hesitant


TestTakingBack = TakingBack.TestCase
TestTakingBack.settings = settings(max_examples=30, stateful_step_count=30)


def test_what_is_sellable_after_an_event_is_taken_back_is_what_it_was() -> None:
    world = World(household("roof-0", battery(9000)))
    member = world["roof-0.default"]
    slot = world.now.slot + 900
    before = member.home.sellable_wh(slot)
    standing = member.books.standing
    member.books.stand(standing._replace(level_wh=8500))
    assert member.home.sellable_wh(slot) < before
    member.books.take_back()
    assert member.home.sellable_wh(slot) == before
