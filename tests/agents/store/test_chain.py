"""Each entry of a ledger is chained in the transaction that books it, and a journal of before is chained whole."""

from __future__ import annotations

import hashlib
import json
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from tests.agents.store.older import write_version_3
from wattmesh_agents.store.chain import Chains, chain_ledger
from wattmesh_agents.store.database import IN_MEMORY, Database
from wattmesh_market.trade.ledger import EntryKind, LedgerEntry

ACCOUNT = "00000000-0000-4000-8000-000000000000"
SOLD = LedgerEntry(EntryKind.TRADE, 900, "flat-0.default", "t-1", -400, 80_000)
SUPPLIED = LedgerEntry(EntryKind.BACKSTOP, 0, "grid.default", "supply", 100, -30_000)
PARTY = "roof-0.default"


@pytest.fixture
def database() -> Iterator[Database]:
    with closing(Database.open(IN_MEMORY)) as opened:
        yield opened


def walked(connection: sqlite3.Connection, party: str, account: str) -> list[tuple[str, int, str, str]]:
    """The entries in the order of the chain, which is followed by arithmetic of its own."""
    found = []
    head = hashlib.sha256(f"wattmesh-chain/1 {party} {account}".encode()).digest()
    rows = connection.execute("SELECT * FROM chain WHERE party = ? ORDER BY number", (party,)).fetchall()
    for number, row in enumerate(rows, 1):
        assert row[1] == number
        key = row[2:6]
        [sums] = connection.execute(
            "SELECT energy_wh, amount_micro FROM ledger "
            "WHERE party = ? AND kind = ? AND slot = ? AND counterparty = ? AND reference = ?",
            (party, *key),
        )
        text = json.dumps([*key, *sums], separators=(",", ":"))
        head = hashlib.sha256(head + hashlib.sha256(row[6] + text.encode()).digest()).digest()
        assert row[8] == head
        found.append(key)
    return found


def book(database: Database, chains: Chains, *entries: LedgerEntry, commit: bool = True) -> None:
    """What a driver does with the entries of an event."""
    head = None
    try:
        with database.transaction() as connection:
            connection.executemany(
                "INSERT INTO ledger VALUES (?, ?, ?, ?, ?, ?, ?)", [(PARTY, *one) for one in entries]
            )
            head = chains.write(PARTY, entries)
            if not commit:
                raise sqlite3.OperationalError("database or disk is full")
    except sqlite3.OperationalError:
        return
    if head is not None:
        chains.know(PARTY, head)


def test_entries_are_chained_in_the_order_of_booking_with_salts_of_their_own(database: Database) -> None:
    chains = Chains(database.connection)
    chains.load(PARTY, ACCOUNT)
    book(database, chains, SOLD)
    book(database, chains, SUPPLIED, SOLD._replace(slot=1800))
    assert walked(database.connection, PARTY, ACCOUNT) == [SOLD[:4], SUPPLIED[:4], SOLD._replace(slot=1800)[:4]]
    salts = {salt for (salt,) in database.connection.execute("SELECT salt FROM chain")}
    assert len(salts) == 3


def test_what_the_disk_refused_is_no_link_and_a_restart_goes_on_with_the_last(database: Database) -> None:
    chains = Chains(database.connection)
    chains.load(PARTY, ACCOUNT)
    book(database, chains, SOLD)
    book(database, chains, SUPPLIED, commit=False)
    book(database, chains, SUPPLIED)
    after = Chains(database.connection)
    after.load(PARTY, ACCOUNT)
    book(database, after, SOLD._replace(slot=1800))
    assert len(walked(database.connection, PARTY, ACCOUNT)) == 3


def test_what_was_booked_before_there_was_an_account_is_chained_with_it(database: Database) -> None:
    chains = Chains(database.connection)
    book(database, chains, SOLD, SUPPLIED)
    assert database.connection.execute("SELECT count(*) FROM chain").fetchone() == (0,)
    with database.transaction() as connection:
        chain_ledger(connection, PARTY, ACCOUNT)
    chains.load(PARTY, ACCOUNT)
    book(database, chains, SOLD._replace(slot=1800))
    assert walked(database.connection, PARTY, ACCOUNT) == [SUPPLIED[:4], SOLD[:4], SOLD._replace(slot=1800)[:4]]


@pytest.mark.parametrize("pod", ["roof-0", "flat-0", "utility"])
def test_the_ledgers_of_an_older_journal_are_chained_once(pod: str, tmp_path: Path) -> None:
    path = tmp_path / f"{pod}.db"
    write_version_3(pod, path)
    heads = []
    for _ in range(2):
        with closing(Database.open(path)) as database:
            connection = database.connection
            booked = 0
            for party, account in connection.execute("SELECT party, account FROM accounts").fetchall():
                booked += len(walked(connection, party, account))
            assert (booked,) == connection.execute("SELECT count(*) FROM ledger").fetchone()
            heads.append(connection.execute("SELECT party, number, head FROM chain").fetchall())
    assert heads[0]
    assert heads[0] == heads[1]
