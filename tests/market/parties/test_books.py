"""A party's books: what they forget, and what they take up again."""

from __future__ import annotations

import pytest

from tests.world.market import World, street
from tests.world.parties import GRID, NEXT, TARIFF, utility
from wattmesh_market.energy.battery import Metered
from wattmesh_market.energy.slots import SLOT_S
from wattmesh_market.parties.books import REMEMBERED_S, Books
from wattmesh_market.parties.party import standing_at
from wattmesh_market.trade.contracts import Contract, ContractState, Delivery, Side
from wattmesh_market.trade.ledger import EntryKind, LedgerEntry, Reading, ReadingState
from wattmesh_market.trade.messages import ReportReading
from wattmesh_market.trade.refusal import About

HOME = "home-0.default"
ENTRY = LedgerEntry(EntryKind.BACKSTOP, NEXT, HOME, "supply", -1000, 300_000)
LONG_AFTER = NEXT + REMEMBERED_S + SLOT_S


def contract(*states: ContractState, order_id: str | None = "o-1") -> Contract:
    deliveries = tuple(
        Delivery(NEXT + number * SLOT_S, "item", 500, 100_000, 0, state) for number, state in enumerate(states)
    )
    return Contract(GRID, Side.SELLER, "t-1", HOME, deliveries, 0, 0, 0, order_id=order_id)


def test_what_is_over_is_forgotten_a_day_after_its_slot() -> None:
    books = Books(standing_at(NEXT))
    empty = {name: dict(table) for name, table in vars(books).items() if isinstance(table, dict) and name != "open"}
    books.put(contract(ContractState.SETTLED, ContractState.CANCELLED))
    books.forget(LONG_AFTER)
    assert books.by_order("o-1", HOME) is not None, "its second slot is remembered yet"
    books.forget(LONG_AFTER + SLOT_S)
    assert {name: vars(books)[name] for name in empty} == empty


@pytest.mark.parametrize("state", [ContractState.CONFIRMED, ContractState.DELIVERED])
def test_what_is_open_is_never_forgotten(state: ContractState) -> None:
    books = Books(standing_at(NEXT))
    books.put(contract(ContractState.SETTLED, state))
    books.forget(NEXT + 10 * REMEMBERED_S)
    assert list(books.open_with(Side.SELLER, HOME)) == [contract(ContractState.SETTLED, state)]


def test_what_was_sold_in_a_slot_is_known_until_its_reading_is_booked() -> None:
    books = Books(standing_at(NEXT))
    books.put(contract(ContractState.SETTLED))
    metered = Metered(0, 0, 0, 0, 0, 500, 0, 0, 0)
    books.read(Reading(NEXT, metered, 0, ReadingState.FINAL))
    books.forget(LONG_AFTER)
    assert len(books.of_slot(Side.SELLER, NEXT)) == 1
    books.read(Reading(NEXT, metered, 0, ReadingState.BOOKED))
    books.forget(LONG_AFTER)
    assert books.of_slot(Side.SELLER, NEXT) == []


def test_a_booking_that_is_taken_up_again_is_not_counted_again() -> None:
    books = Books(standing_at(NEXT))
    books.book(ENTRY)
    totals = books.totals
    books.forget(LONG_AFTER)
    assert books.supplied == {}
    books.know([ENTRY])
    assert books.supplied == {(NEXT, HOME): (ENTRY,)}
    assert books.totals == totals == (0, 0, 300_000)


def test_a_reading_of_long_ago_is_priced_as_it_was_booked() -> None:
    world = World(utility(tariff=TARIFF))
    reading = ReportReading(f"supply-{HOME}", NEXT, 1000, 0, 0)
    world.at(NEXT + SLOT_S)
    first = world.say(GRID, HOME, reading, "t-1")
    books = world[GRID].books
    world.at(LONG_AFTER)
    books.forget(LONG_AFTER)
    books.report(world[GRID].journal.reported[NEXT, HOME])
    books.know(world[GRID].journal.ledger)
    assert world.say(GRID, HOME, reading, "t-1") == first
    assert world.refusal(GRID, HOME, reading._replace(imported_wh=999), "t-1").about is About.READING
    assert books.totals.balance_micro == 300_000
    assert world[GRID].journal.ledger == [ENTRY]


def test_books_loaded_anew_are_those_that_were_left() -> None:
    world = street()
    world.live(4)
    for name, member in world.members.items():
        books, loaded = member.books, member.journal.load()
        assert loaded.contracts == books.contracts, name
        assert loaded.open == books.open
        assert loaded.totals == books.totals
        assert (loaded.supplied, loaded.net_import_wh) == (books.supplied, books.net_import_wh)
        assert (loaded.readings, loaded.unbooked, loaded.roles) == (books.readings, books.unbooked, books.roles)
        assert loaded.standing == books.standing
