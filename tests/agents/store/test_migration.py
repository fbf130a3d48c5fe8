"""Journals of older versions are brought forward with all that is in them."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from wattmesh_agents.store.accounts import accounts
from wattmesh_agents.store.database import Database
from wattmesh_agents.store.schema import APPLICATION_ID, VERSION
from wattmesh_cli.sqlite_books import read_books
from wattmesh_cli.state import StateError

VERSION_1 = """
CREATE TABLE meta (key TEXT PRIMARY KEY, value TEXT NOT NULL) STRICT;
CREATE TABLE parties (
    party TEXT PRIMARY KEY,
    kind TEXT NOT NULL CHECK (kind IN ('household', 'utility')),
    capacity_wh INTEGER NOT NULL CHECK (capacity_wh >= 0),
    initial_level_wh INTEGER NOT NULL CHECK (initial_level_wh >= 0),
    level_wh INTEGER NOT NULL CHECK (level_wh >= 0),
    first_slot INTEGER NOT NULL,
    next_slot INTEGER NOT NULL,
    buying INTEGER NOT NULL CHECK (buying IN (0, 1))
) STRICT, WITHOUT ROWID;
INSERT INTO meta VALUES ('salt', 'of old');
INSERT INTO parties VALUES ('a.street', 'household', 1, 1, 1, 0, 900, 0), ('b.street', 'utility', 0, 0, 0, 0, 900, 0);
"""
"""Of what version 1 had, that which later versions read or change."""


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """A file of version 1 with two parties."""
    path = tmp_path / "agents" / "pod.db"
    path.parent.mkdir()
    with closing(sqlite3.connect(path)) as connection:
        marks = f"PRAGMA application_id = {APPLICATION_ID}; PRAGMA user_version = 1;"
        connection.executescript(f"{VERSION_1} {marks}")
    return path


def test_ledgers_of_version_1_get_an_account_each_and_keep_it(path: Path) -> None:
    with closing(Database.open(path)) as database:
        assert database.salt == "of old"
        (version,) = database.connection.execute("PRAGMA user_version").fetchone()
        assert version == VERSION
        first = accounts(database.connection)
        opened = {row[0] for row in database.connection.execute("SELECT opened_ms FROM accounts")}
    assert {*first} == {"a.street", "b.street"}
    assert len({*first.values()}) == 2
    assert opened == {0}, "since when they are kept is not known"
    with closing(Database.open(path)) as database:
        assert accounts(database.connection) == first


def test_an_audit_says_how_an_older_journal_is_brought_forward(path: Path, tmp_path: Path) -> None:
    with pytest.raises(
        StateError, match=r"made by an older wattmesh \(schema 1; .*\); `wattmesh up` brings it forward"
    ):
        read_books(tmp_path)
    assert path.exists()
