"""What it costs to let go of the oldest rows of long books: a bounded part of them in a transaction, whatever stays."""

from __future__ import annotations

from collections import Counter

import pytest

from tests.agents.steps import counted
from wattmesh_agents.store.accounts import open_accounts
from wattmesh_agents.store.chain import append
from wattmesh_agents.store.database import IN_MEMORY, Database
from wattmesh_agents.store.retention import begins, retire
from wattmesh_market.energy.slots import DAY_S, SLOT_S

UTILITY = "utility.default"
CUSTOMERS = 20
SLOTS = 24
START = 1_782_000_000
END = START + SLOTS * SLOT_S
SUMS = CUSTOMERS
"""One of each customer: it is supplied and shares nothing."""


def books(slots: int = SLOTS) -> Database:
    """A utility that has supplied each customer in each slot."""
    database = Database.open(IN_MEMORY)
    with database.transaction() as connection:
        open_accounts(connection, [UTILITY], "salt", 0)
        standing = (UTILITY, "utility", 0, 0, 0, START, START + slots * SLOT_S + DAY_S, 0, 0, 0)
        connection.execute("INSERT INTO parties VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)", standing)
        for slot in range(START, START + slots * SLOT_S, SLOT_S):
            homes = [f"home-{number}.default" for number in range(CUSTOMERS)]
            entries = [("backstop", slot, home, "", -200, 60_000) for home in homes]
            reported = [(UTILITY, slot, home, "", 200, 0, 0, 0, "alone") for home in homes]
            connection.executemany("INSERT INTO ledger VALUES (?, ?, ?, ?, ?, ?, ?)", [(UTILITY, *e) for e in entries])
            connection.executemany("INSERT INTO reported VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)", reported)
            append(connection, UTILITY, entries)
    return database


def piece(database: Database, most: int) -> Counter[str]:
    """What one transaction does: rows that go, rows of the chain that come, all rows written; steps of SQLite."""
    connection = database.connection

    def rows(table: str) -> int:
        return int(connection.execute(f"SELECT count(*) FROM {table}").fetchone()[0])  # noqa: S608 - one of ours

    before = Counter({table: rows(table) for table in ("ledger", "reported", "chain")})
    written = connection.total_changes
    with database.transaction(), counted(connection, 50) as steps:
        retire(connection, UTILITY, END, most)
    found = Counter({table: abs(number - rows(table)) for table, number in before.items()})
    return found + Counter(written=connection.total_changes - written, steps=len(steps))


@pytest.mark.parametrize("most", [1, CUSTOMERS, 3 * CUSTOMERS, 3 * CUSTOMERS + 7])
def test_a_transaction_lets_go_of_so_many_entries_or_of_one_slot(most: int) -> None:
    database = books()
    slots = max(1, most // CUSTOMERS)
    for number in range(1, SLOTS // slots + 1):
        done = piece(database, most)
        assert begins(database.connection, UTILITY) == START + number * slots * SLOT_S
        assert (done["ledger"], done["reported"]) == (slots * CUSTOMERS, slots * CUSTOMERS)
        assert done["chain"] == SUMS + 1, "the sums, and what was deleted"
        # Of each entry it, its reading and its link; of each sum it, its link and its number; where the books begin.
        assert done["written"] <= 3 * slots * CUSTOMERS + 3 * SUMS + 4
    assert piece(database, most)["written"] == 0, "nothing is left that may go"
    database.close()


def test_what_stays_costs_nothing() -> None:
    short, long = books(), books(8 * SLOTS)
    piece(short, CUSTOMERS)
    piece(long, CUSTOMERS)
    cost = [piece(database, CUSTOMERS)["steps"] for database in (short, long)]
    assert cost[1] <= 1.02 * cost[0] + 1
    short.close()
    long.close()
