"""What a party's books take up again from the journal."""

from __future__ import annotations

from wattmesh_agents.store import journal
from wattmesh_agents.store.database import IN_MEMORY, Database
from wattmesh_market.energy.battery import Metered
from wattmesh_market.energy.slots import SLOT_S
from wattmesh_market.parties.books import REMEMBERED_S, Books
from wattmesh_market.parties.party import standing_at
from wattmesh_market.trade.contracts import Contract, ContractState, Delivery, Side
from wattmesh_market.trade.ledger import Reading, ReadingState

ROOF, SLOT = "roof-0.default", 1_782_000_000
LONG_AFTER = SLOT + REMEMBERED_S + SLOT_S
FIRST = standing_at(SLOT)


def test_what_was_sold_in_a_slot_is_taken_up_until_its_reading_is_booked() -> None:
    sold = Delivery(SLOT, f"energy-{SLOT}", 500, 90_000, 10_000, ContractState.SETTLED, 500, 90_000)
    contract = Contract(ROOF, Side.SELLER, "t-1", "flat-0.default", (sold,), 0, 0, 0, "o-1")
    reading = Reading(SLOT, Metered(0, 0, 0, 0, 0, 500, 0, 0, 0), 0, ReadingState.FINAL)
    database = Database.open(IN_MEMORY)

    def write(found: Reading) -> Books:
        books = Books(FIRST)
        books.stand(standing_at(LONG_AFTER))
        books.put(contract)
        books.read(found)
        with database.transaction() as connection:
            journal.write(connection, ROOF, "household", books.changes)
        return journal.load(database.connection, ROOF, LONG_AFTER, FIRST)

    assert write(reading).of_slot(Side.SELLER, SLOT) == [(contract, sold)]
    assert write(reading._replace(state=ReadingState.BOOKED)).of_slot(Side.SELLER, SLOT) == []
    database.close()


def test_a_new_party_is_still_to_be_written() -> None:
    database = Database.open(IN_MEMORY)
    books = journal.load(database.connection, ROOF, SLOT, FIRST)
    assert books.changes.standing == FIRST
    with database.transaction() as connection:
        journal.write(connection, ROOF, "household", books.changes)
    again = journal.load(database.connection, ROOF, SLOT, standing_at(LONG_AFTER))
    assert (again.standing, again.changes.stored) == (FIRST, False)
    database.close()
