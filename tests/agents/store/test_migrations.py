"""A file of an older version is brought forward whole, or left as it is."""

from __future__ import annotations

import logging
import signal
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from tests.agents.store.version_1 import ORDER_INDEXES, write_version_1
from tests.agents.store.version_2 import write_version_2
from tests.agents.support import FIRST_SLOT, HandClock, Node, battery, household
from wattmesh_agents.brain.brain import Brain
from wattmesh_agents.store import migrations
from wattmesh_agents.store.database import IN_MEMORY, Database
from wattmesh_agents.store.readings import LedgerEntry
from wattmesh_agents.store.schema import VERSION
from wattmesh_agents.trade.contracts import Contract, ContractState, Side
from wattmesh_beckn.answers import ack
from wattmesh_common.sqlite_files import DatabaseRefused

_KILLED_IN_THE_MIDDLE = """
import os, signal, sqlite3, sys
from wattmesh_agents.store.database import Database
connect = sqlite3.connect
def killing(*arguments, **options):
    connection = connect(*arguments, **options)
    connection.set_trace_callback(lambda sql: "INSERT INTO peers" in sql and os.kill(os.getpid(), signal.SIGKILL))
    return connection
sqlite3.connect = killing
Database.open(sys.argv[1])
"""


@pytest.fixture
def node() -> Iterator[Node]:
    """A household that waits for offers, with a contract in every state and the answer to a message."""
    node = Node(household("home-0", battery(level_wh=1500)), HandClock(), brain=Brain)
    with node.database.transaction():
        Brain().wake(node.party, FIRST_SLOT + 900, 0)
        for number, state in enumerate(ContractState):
            order_id = None if state is ContractState.QUOTED else f"order-{number}"
            node.trader.contracts.put(
                Contract(
                    party=node.id,
                    side=Side.BUYER,
                    transaction_id=f"t-{number}",
                    counterparty="roof-0.default",
                    item_id="item",
                    slot=FIRST_SLOT,
                    energy_wh=500,
                    amount_micro=1,
                    state=state,
                    expires_ms=0,
                    created_ms=0,
                    updated_ms=0,
                    order_id=order_id,
                )
            )
        node.trader.meter.book(LedgerEntry("trade", FIRST_SLOT, "roof-0.default", "t-4", 500, -1))
        node.trader.inbox.remember("roof-0.default", "m-1", "on_select", ack(), 1000)
    yield node
    node.database.close()


@pytest.fixture
def old_file(node: Node, tmp_path: Path) -> Path:
    path = tmp_path / "pod.db"
    write_version_1(path, node.database.connection)
    return path


def content(connection: sqlite3.Connection) -> dict[str, list[tuple[object, ...]]]:
    """All rows of all tables, without what only later versions than 1 know, or only older ones than 4."""
    tables = connection.execute("SELECT name FROM sqlite_schema WHERE type = 'table' ORDER BY name").fetchall()
    rows = {table: connection.execute(f"SELECT * FROM {table}").fetchall() for (table,) in tables}  # noqa: S608
    for table, columns in (("peers", 2), ("purchases", 8), ("contracts", 17)):
        rows[table] = [row[:columns] for row in rows[table]]
    for table in ("messages", "checkpoints", "writes"):
        rows.pop(table, None)
    rows["meta"] = []  # the salt is each database's own, and tested by itself
    return rows


def schema(connection: sqlite3.Connection) -> set[tuple[str, str, str]]:
    query = "SELECT name, tbl_name, sql FROM sqlite_schema"
    return {(name, table, " ".join((sql or "").split())) for name, table, sql in connection.execute(query)}


def version(path: Path) -> int:
    with closing(sqlite3.connect(path)) as connection:
        found: int = connection.execute("PRAGMA user_version").fetchone()[0]
        return found


@pytest.mark.parametrize("order_index", ORDER_INDEXES)
def test_a_file_of_version_1_keeps_all_rows_and_gets_todays_schema(
    node: Node, tmp_path: Path, order_index: str, caplog: pytest.LogCaptureFixture
) -> None:
    path = tmp_path / "pod.db"
    write_version_1(path, node.database.connection, order_index)
    with caplog.at_level(logging.INFO, "wattmesh_agents"):
        database = Database.open(path)
    fresh = Database.open(IN_MEMORY)
    try:
        before, after = content(node.database.connection), content(database.connection)
        assert after == before
        kept = ("contracts", "ledger", "inbox", "outbox", "timers", "purchases", "parties", "peers")
        assert all(after[table] for table in kept)
        assert len(after["contracts"]) == len(ContractState)
        assert database.salt == node.database.salt
        assert schema(database.connection) == schema(fresh.connection)
        assert [record.getMessage() for record in caplog.records] == [f"{path}: brought from schema 1 to {VERSION}"]
    finally:
        fresh.close()
        database.close()
    assert version(path) == VERSION


def test_a_file_of_version_2_keeps_all_rows_and_gets_todays_schema(node: Node, tmp_path: Path) -> None:
    path = tmp_path / "pod.db"
    write_version_2(path, node.database.connection)
    database = Database.open(path)
    fresh = Database.open(IN_MEMORY)
    try:
        assert content(database.connection) == content(node.database.connection)
        assert schema(database.connection) == schema(fresh.connection)
        new = "SELECT DISTINCT fee_micro, searched_ms, confirmed_ms FROM contracts"
        assert database.connection.execute(new).fetchall() == [(0, None, None)]
        # What the older schema refused, and what today's does.
        with database.transaction("book"):
            database.connection.execute("INSERT INTO ledger VALUES ('p', 'grid_fee', 0, 'g', 'r', 0, -1)")
        with pytest.raises(sqlite3.IntegrityError), database.transaction("book"):
            database.connection.execute("INSERT INTO ledger VALUES ('p', 'gift', 0, 'g', 'r', 0, -1)")
        with pytest.raises(sqlite3.IntegrityError), database.transaction("price"):
            database.connection.execute("UPDATE contracts SET fee_micro = amount_micro + 1")
    finally:
        fresh.close()
        database.close()


def test_a_new_database_needs_no_migration(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO, "wattmesh_agents"):
        Database.open(IN_MEMORY).close()
    assert caplog.records == []


def test_every_older_version_has_its_step() -> None:
    assert sorted(migrations.STEPS) == [*range(1, VERSION)]


def test_a_step_that_fails_leaves_the_older_file_whole(
    node: Node, old_file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patched:
        patched.setitem(migrations.STEPS, 1, migrations.STEPS[1] + "INSERT INTO nowhere VALUES (1);")  # noqa: S608
        with pytest.raises(DatabaseRefused, match="no such table: nowhere"):
            Database.open(old_file)
    check_version_1(old_file, node)
    check_goes_forward(old_file, node)


def test_a_process_killed_in_a_step_leaves_the_older_file_whole(node: Node, old_file: Path) -> None:
    killed = subprocess.run([sys.executable, "-c", _KILLED_IN_THE_MIDDLE, str(old_file)], check=False)
    assert killed.returncode == -signal.SIGKILL
    check_version_1(old_file, node)
    check_goes_forward(old_file, node)


def check_version_1(path: Path, node: Node) -> None:
    assert version(path) == 1
    with closing(sqlite3.connect(path)) as connection:
        assert content(connection) == content(node.database.connection)
        names = {name for (name,) in connection.execute("SELECT name FROM sqlite_schema")}
        assert not names & {"contracts_ended", "contracts_unagreed", "peers_age"}


def check_goes_forward(path: Path, node: Node) -> None:
    database = Database.open(path)
    assert content(database.connection) == content(node.database.connection)
    database.close()
    assert version(path) == VERSION
