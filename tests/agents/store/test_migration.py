"""Journals of older versions are brought forward with all that is in them."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from tests.agents.store.older import write_version_3
from tests.world.parties import GRID, NEXT
from wattmesh_agents.store import journal
from wattmesh_agents.store.accounts import accounts
from wattmesh_agents.store.chain import unlink
from wattmesh_agents.store.database import Database
from wattmesh_agents.store.journal import table_rows
from wattmesh_agents.store.mail import Peers
from wattmesh_agents.store.schema import APPLICATION_ID, AUDITED_TABLES, MIGRATIONS, VERSION
from wattmesh_cli.audit import audit
from wattmesh_cli.sqlite_books import read_books
from wattmesh_cli.state import StateError
from wattmesh_common.sqlite_files import bring_forward
from wattmesh_market.energy.slots import SLOT_S
from wattmesh_market.parties.party import standing_at
from wattmesh_market.trade.contracts import Side
from wattmesh_market.trade.ledger import Reported, ReportState

VERSION_1 = (Path(__file__).parent / "version_1.sql").read_text(encoding="utf-8")
HOME, ROOF = "home-0.default", "roof-0.default"
LEDGER = (
    (GRID, "backstop", NEXT, HOME, "supply", -200, 60_000),
    (GRID, "backstop", NEXT, ROOF, "supply", 100, -8_000),
    (GRID, "backstop", NEXT + SLOT_S, HOME, "supply", -50, 15_000),
    (GRID, "grid_fee", NEXT, ROOF, "0.540 kWh sold", 0, 16_200),
    (GRID, "trade", NEXT, HOME, "t-1", -10, 3_000),
    (HOME, "backstop", NEXT, GRID, "supply", 200, -60_000),
)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """A file of version 1: a utility that has priced three readings, and a household."""
    path = tmp_path / "agents" / "pod.db"
    path.parent.mkdir()
    with closing(sqlite3.connect(path)) as file:
        file.executescript(f"PRAGMA application_id = {APPLICATION_ID}; PRAGMA user_version = 1; {VERSION_1}")
        file.execute("INSERT INTO meta VALUES ('salt', 's')")
        for party, kind in ((GRID, "utility"), (HOME, "household")):
            file.execute("INSERT INTO parties VALUES (?, ?, 0, 0, 0, ?, ?, 0)", (party, kind, NEXT, NEXT + 2 * SLOT_S))
        file.executemany("INSERT INTO ledger VALUES (?, ?, ?, ?, ?, ?, ?)", LEDGER)
        file.commit()
    return path


def test_what_was_reported_before_there_was_sharing_was_priced_by_itself(path: Path) -> None:
    with closing(Database.open(path)) as database:
        assert database.salt == "s"
        assert [tuple(row.values()) for row in table_rows(database.connection, "ledger")] == sorted(LEDGER)
        books = journal.load(database.connection, GRID, NEXT + 2 * SLOT_S, standing_at(NEXT))
    assert books.reported == {
        NEXT: {
            HOME: Reported(NEXT, HOME, "", 200, 0, 0, provisional=False, state=ReportState.ALONE),
            ROOF: Reported(NEXT, ROOF, "", 0, 100, 540, provisional=False, state=ReportState.ALONE),
        },
        NEXT + SLOT_S: {HOME: Reported(NEXT + SLOT_S, HOME, "", 50, 0, 0, provisional=False, state=ReportState.ALONE)},
    }
    assert books.net_import_wh == {NEXT: 100, NEXT + SLOT_S: 50}


def test_its_tables_are_then_those_of_a_new_file(path: Path, tmp_path: Path) -> None:
    with closing(Database.open(path)) as old, closing(Database.open(tmp_path / "new.db")) as new:
        columns = [
            {
                table: [row[1:] for row in one.connection.execute(f"PRAGMA table_info({table})")]
                for table in AUDITED_TABLES
            }
            for one in (old, new)
        ]
        indices = [
            sorted(one.connection.execute("SELECT name, tbl_name FROM sqlite_schema WHERE type = 'index'"))
            for one in (old, new)
        ]
        shared = (GRID, "shared", NEXT, HOME, "shared", -1, 1)
        old.connection.execute("INSERT INTO ledger VALUES (?, ?, ?, ?, ?, ?, ?)", shared)
    assert columns[0] == columns[1]
    assert indices[0] == indices[1]


def test_ledgers_of_before_there_were_accounts_get_one_each_and_keep_it(path: Path) -> None:
    with closing(Database.open(path)) as database:
        (version,) = database.connection.execute("PRAGMA user_version").fetchone()
        assert version == VERSION
        first = accounts(database.connection)
        opened = {row[0] for row in database.connection.execute("SELECT opened_ms FROM accounts")}
    assert {*first} == {GRID, HOME}
    assert len({*first.values()}) == 2
    assert opened == {0}, "since when they are kept is not known"
    with closing(Database.open(path)) as database:
        assert accounts(database.connection) == first


def test_a_file_of_version_2_keeps_what_was_shared_and_gets_accounts(path: Path) -> None:
    with closing(sqlite3.connect(path)) as file:
        file.executescript(f"{MIGRATIONS[0]} PRAGMA user_version = 2;")
        file.execute("INSERT INTO closings VALUES (?, ?, 'proRata', 7, 190000, 300000, 80000, 0)", (GRID, NEXT))
        file.commit()
    with closing(Database.open(path)) as database:
        [shared] = table_rows(database.connection, "closings")
        assert (shared["party"], shared["slot"], shared["price_micro"]) == (GRID, NEXT, 190_000)
        assert {*accounts(database.connection)} == {GRID, HOME}
        assert table_rows(database.connection, "closing_records") == []


def test_what_was_shared_before_households_could_be_forgotten_is_known_whole(path: Path) -> None:
    with closing(sqlite3.connect(path, isolation_level=None)) as file:
        for step in MIGRATIONS[:12]:
            file.executescript(step if isinstance(step, str) else step[0])
        file.execute("PRAGMA user_version = 13")
        file.execute("INSERT INTO closings VALUES (?, ?, 'proRata', 7, 190000, 300000, 80000, 0)", (GRID, NEXT))
    with closing(Database.open(path)) as database:
        [shared] = table_rows(database.connection, "closings")
        assert (shared["seed"], shared["forgotten"]) == (7, 0)
        with pytest.raises(sqlite3.IntegrityError):
            database.connection.execute("UPDATE closings SET forgotten = -1")


def test_what_was_deleted_before_its_chain_said_so_is_said_by_it_now(path: Path, tmp_path: Path) -> None:
    with closing(sqlite3.connect(path, isolation_level=None)) as file:
        bring_forward(file, MIGRATIONS[:13])
        unlink(file, "party = ? AND counterparty = ?", (GRID, HOME))
        file.execute(
            "INSERT INTO carried SELECT party, counterparty, kind, 900, count(*), 0, 0, sum(amount_micro) FROM ledger "
            "WHERE party = ? AND counterparty = ? GROUP BY kind",
            (GRID, HOME),
        )
        file.execute("DELETE FROM ledger WHERE party = ? AND counterparty = ?", (GRID, HOME))
        file.execute("INSERT INTO closings VALUES (?, ?, 'equal', 7, NULL, 300000, 80000, 0, 2)", (GRID, NEXT))
        heads = file.execute("SELECT party, number, head FROM chain").fetchall()
    Database.open(path).close()

    def wrong() -> set[str | None]:
        return {one.party for one in audit(read_books(tmp_path)).findings if one.kind == "chain"}

    assert wrong() == set()
    with closing(Database.open(path)) as database:
        chain = database.connection.execute("SELECT party, number, head FROM chain").fetchall()
        assert heads == [row for row in chain if row in heads]
        [said] = table_rows(database.connection, "deletions")
        assert said["without_entry"] == 3 + 2 + 1 + 1, "entries, their sums, the closing, and what says so"
        with database.transaction() as connection:
            connection.execute("UPDATE carried SET amount_micro = 0")
    assert wrong() == {GRID}


def test_a_file_of_version_3_keeps_all_its_rows_and_nothing_was_carried_learned_or_held_before(tmp_path: Path) -> None:
    path = tmp_path / "roof-0.db"
    write_version_3("roof-0", path)
    with closing(sqlite3.connect(path)) as file:
        file.row_factory = sqlite3.Row
        later = {"held", "chain", "checkpoints", "carried", "deletions", "forgettings"}
        tables = [table for table in AUDITED_TABLES if table not in later]
        before = {table: [dict(row) for row in file.execute(f"SELECT * FROM {table}")] for table in tables}  # noqa: S608
    new: dict[str, dict[str, int | None]] = {
        "parties": {"carried_uwh": 0, "vehicle_wh": 0},
        "contracts": {"sun_wh": 0, "provider": None},
        "readings": {
            **dict.fromkeys(("covered_wh", "carried_uwh", "local_micro_per_kwh", "stored_micro_per_kwh"), 0),
            "estimated_wh": None,
            "devices": None,
        },
    }
    assert len(before["contracts"]) == 4
    with closing(Database.open(path)) as database, closing(Database.open(tmp_path / "new.db")) as fresh:
        assert table_rows(database.connection, "held") == []
        assert {table: table_rows(database.connection, table) for table in tables} == {
            table: [row | new.get(table, {}) for row in rows] for table, rows in before.items()
        }
        for table in AUDITED_TABLES:
            old, made = (
                [row[1:] for row in one.connection.execute(f"PRAGMA table_info({table})")] for one in (database, fresh)
            )
            assert old == made, table
        books = journal.load(database.connection, ROOF, NEXT, standing_at(NEXT))
    assert [(one.energy_wh, one.sun_wh) for one in books.promises(Side.SELLER)] == [(185, 0), (189, 0)]
    assert (books.standing.level_wh, books.standing.carried_uwh) == (9656, 0)
    assert {(one.local_micro, one.stored_micro, one.devices) for one in books.readings.values()} == {(0, 0, ())}


def test_what_is_held_stays_so_and_may_be_corrected_since_then(path: Path) -> None:
    held = (GRID, NEXT, HOME, "t-1", 60_000, 0, 0)
    put = "INSERT INTO held VALUES (?, ?, ?, ?, ?, ?, ?, ?)"
    [before] = [number for number, step in enumerate(MIGRATIONS, start=1) if "may be corrected" in step]
    with closing(sqlite3.connect(path, isolation_level=None)) as file:
        for step in MIGRATIONS[: before - 1]:
            file.executescript(step if isinstance(step, str) else step[0])
        file.execute(f"PRAGMA user_version = {before}")
        file.execute(put, (*held, "estimated"))
        with pytest.raises(sqlite3.IntegrityError):
            file.execute(put, (GRID, NEXT + SLOT_S, *held[2:], "corrected"))
    with closing(Database.open(path)) as database:
        database.connection.execute(put, (GRID, NEXT + SLOT_S, *held[2:], "corrected"))
        assert [row["state"] for row in table_rows(database.connection, "held")] == ["estimated", "corrected"]


def test_an_audit_says_how_an_older_journal_is_brought_forward(path: Path, tmp_path: Path) -> None:
    with pytest.raises(
        StateError, match=r"made by an older wattmesh \(schema 1; .*\); `wattmesh up` brings it forward"
    ):
        read_books(tmp_path)
    assert path.exists()


def test_who_was_met_before_there_were_versions_of_beckn_speaks_the_first(tmp_path: Path) -> None:
    path = tmp_path / "roof-0.db"
    write_version_3("roof-0", path)
    with closing(Database.open(path)) as database:
        peers = Peers(database.connection)
        assert {peers.protocols_of(name) for (name,) in database.connection.execute("SELECT subscriber_id FROM peers")}
        assert peers.protocols_of(GRID) == ("v1",)
