"""Registries of older versions are brought forward with all that is in them."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from tests.gateway.support import NOW, entry
from tests.world.clocks import at_once
from tests.world.subscribers import DOMAIN, signer
from wattmesh_beckn.registry import SubscriptionStatus
from wattmesh_common.sqlite_files import DatabaseRefused, bring_forward
from wattmesh_gateway import schema
from wattmesh_gateway.registry import Registry

VERSION_1 = """
CREATE TABLE subscription (
    subscriber_id TEXT NOT NULL,
    type TEXT NOT NULL CHECK (type IN ('BAP', 'BPP', 'BG')),
    key_id TEXT NOT NULL,
    url TEXT NOT NULL,
    domain TEXT NOT NULL,
    city TEXT NOT NULL,
    country TEXT NOT NULL,
    signing_public_key TEXT NOT NULL,
    encr_public_key TEXT NOT NULL,
    valid_from_ms INTEGER NOT NULL,
    valid_until_ms INTEGER NOT NULL,
    status TEXT NOT NULL CHECK (status IN ('SUBSCRIBED', 'UNSUBSCRIBED')),
    created_ms INTEGER NOT NULL,
    updated_ms INTEGER NOT NULL,
    PRIMARY KEY (subscriber_id, type, key_id)
) STRICT, WITHOUT ROWID;
CREATE INDEX subscription_by_area ON subscription (domain, city, type);
CREATE TABLE accepted (
    subscriber_id TEXT NOT NULL,
    call BLOB NOT NULL,
    created_s INTEGER NOT NULL,
    status TEXT NOT NULL,
    PRIMARY KEY (subscriber_id, call)
) STRICT, WITHOUT ROWID;
"""


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """A file of version 1: three houses, the first one written last, and a call that was accepted."""
    path = tmp_path / "registry.db"
    with closing(sqlite3.connect(path)) as file:
        file.executescript(f"PRAGMA application_id = {schema.APPLICATION_ID}; PRAGMA user_version = 1; {VERSION_1}")
        for number, updated_s in enumerate((3, 1, 2)):
            key, ms = signer(f"house-{number}"), NOW * 1000
            row = (
                *(key.subscriber_id, "BPP", key.key_id, f"http://house-{number}", DOMAIN, "feeder-1", "DEU"),
                *(key.public_key, "", ms, ms + 3_600_000, "SUBSCRIBED", ms, ms + updated_s * 1000),
            )
            file.execute(f"INSERT INTO subscription VALUES ({', '.join('?' * len(row))})", row)  # noqa: S608
        file.execute("INSERT INTO accepted VALUES ('house-0', x'01', 7, 'SUBSCRIBED')")
        file.commit()
    return path


def test_entries_of_version_1_are_kept_in_the_order_of_their_last_change(path: Path) -> None:
    registry = Registry(path)
    found, cursor, more = at_once(registry.changes({}, NOW, after=None, most=10))
    assert [(one.subscriber_id, one.url) for one in found] == [
        ("house-1", "http://house-1"),
        ("house-2", "http://house-2"),
        ("house-0", "http://house-0"),
    ]
    assert {one.status for one in found} == {SubscriptionStatus.SUBSCRIBED}
    assert not more
    assert at_once(registry.accepted_calls("house-0")).calls == {b"\x01"}
    at_once(registry.put(entry(signer("house-9")), NOW))
    assert [one.subscriber_id for one in at_once(registry.changes({}, NOW, after=cursor, most=10)).entries] == [
        "house-9"
    ]
    registry.close()


def test_who_was_registered_before_protocols_were_speaks_the_first(path: Path) -> None:
    with closing(sqlite3.connect(path, isolation_level=None)) as file:
        bring_forward(file, schema.MIGRATIONS[:1])
        assert file.execute("PRAGMA user_version").fetchone() == (2,)
    registry = Registry(path)
    assert {one.protocols for one in at_once(registry.changes({}, NOW, after=None, most=10)).entries} == {("v1",)}
    registry.close()


def test_a_file_brought_forward_has_the_tables_of_a_new_one(path: Path, tmp_path: Path) -> None:
    Registry(path).close()
    Registry(tmp_path / "new.db").close()

    def described(file: Path) -> object:
        with closing(sqlite3.connect(file)) as connection:
            tables = connection.execute("SELECT name FROM sqlite_schema WHERE type = 'table' ORDER BY name").fetchall()
            indexes = connection.execute("SELECT name, sql FROM sqlite_schema WHERE type = 'index' ORDER BY name")
            columns = {name: connection.execute(f"PRAGMA table_xinfo({name})").fetchall() for (name,) in tables}
            return indexes.fetchall(), columns, connection.execute("PRAGMA user_version").fetchone()

    assert described(path) == described(tmp_path / "new.db")


def test_a_step_that_cannot_be_made_leaves_the_older_file(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    broken = (schema.MIGRATIONS[0].replace("DROP TABLE former", "DROP TABLE nowhere"),)
    with monkeypatch.context() as patch:
        patch.setattr(schema, "MIGRATIONS", broken)
        with pytest.raises(DatabaseRefused, match="no such table: nowhere"):
            Registry(path)
    with closing(sqlite3.connect(path)) as file:
        assert file.execute("PRAGMA user_version").fetchone() == (1,)
        assert file.execute("SELECT count(*) FROM subscription").fetchone() == (3,)
    registry = Registry(path)
    assert len(at_once(registry.changes({}, NOW, after=None, most=10)).entries) == 3
    registry.close()
