"""The registry's database file: made when new, refused when it is anything but ours."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

from sqlalchemy import MetaData
from sqlalchemy.dialects import sqlite
from sqlalchemy.schema import CreateIndex, CreateTable

from wattmesh_common.sqlite_files import Kind, bring_forward, held, prepare, refusing
from wattmesh_gateway.tables import PASSING, SCHEMA, VERSION

APPLICATION_ID = 0x574D4752
"""`WMGR`, in the file's header."""


def _sql_of(tables: MetaData) -> str:
    dialect, made = sqlite.dialect(), list[str]()
    for table in tables.sorted_tables:
        made.append(str(CreateTable(table).compile(dialect=dialect)))
        made += [str(CreateIndex(index).compile(dialect=dialect)) for index in table.indexes]
    return ";".join([*made, ""])


_PROTOCOLS = "protocols TEXT NOT NULL DEFAULT 'v1'"
_SUBSCRIPTION_OF_2 = """
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
    changed INTEGER NOT NULL,
    PRIMARY KEY (subscriber_id, type, key_id)
) STRICT, WITHOUT ROWID;
CREATE INDEX subscription_by_area ON subscription (domain, city, type);
CREATE UNIQUE INDEX subscription_by_change ON subscription (changed);
"""
_CATALOG_OF_3 = """
CREATE TABLE catalog (
    subscriber_id TEXT NOT NULL,
    catalog_id TEXT NOT NULL,
    said_ms INTEGER NOT NULL,
    heard_ms INTEGER NOT NULL,
    offers TEXT NOT NULL CHECK (json_valid(offers)),
    body BLOB,
    PRIMARY KEY (subscriber_id, catalog_id)
) STRICT, WITHOUT ROWID;
"""
_NUMBERING_OF_4 = """
CREATE TABLE numbering (
    one INTEGER NOT NULL,
    changed INTEGER NOT NULL,
    dropped INTEGER NOT NULL,
    PRIMARY KEY (one)
) STRICT, WITHOUT ROWID;
"""
_FIRST_NUMBERS = "INSERT INTO numbering SELECT 1, coalesce(max(changed), 0), 0 FROM subscription;"

MIGRATIONS = (
    # 2: changes are numbered.
    f"""
    ALTER TABLE subscription RENAME TO former;
    DROP INDEX subscription_by_area;
    {_SUBSCRIPTION_OF_2}
    INSERT INTO subscription
        SELECT *, row_number() OVER (ORDER BY updated_ms, subscriber_id, type, key_id) FROM former;
    DROP TABLE former;
    """,  # noqa: S608 - no values
    # 3: versions of Beckn, and what is published in the second. Before, all spoke the first.
    f"ALTER TABLE subscription ADD COLUMN {_PROTOCOLS}; {_CATALOG_OF_3}",
    # 4: what counts changes is kept, as replicas of a gateway share it. Nobody reads how an accepted call ended.
    f"{_NUMBERING_OF_4} {_FIRST_NUMBERS} ALTER TABLE accepted DROP COLUMN status;",
)
"""The SQL that leads from each version to the next, from 1 on."""

_OURS = Kind("a wattmesh registry", APPLICATION_ID, VERSION)


@contextmanager
def opened(path: Path | None) -> Iterator[sqlite3.Connection]:
    """A connection to the registry's database, made if there is none, while the block runs; `None` is one in memory.

    One of an older version is brought forward. Raises DatabaseRefused when the file cannot be opened or written, is
    damaged, another program's, a newer wattmesh's, or held by another gateway.
    """
    with ExitStack() as stack:
        if path:
            stack.enter_context(held(path, _OURS))
        with refusing(path or "the registry in memory"):
            # One thread uses it, but the garbage collector may run in any and closes what nobody closed.
            connection = sqlite3.connect(path or ":memory:", isolation_level=None, check_same_thread=False)
            stack.callback(connection.close)
            prepare(connection, path or "the registry in memory")
            if connection.execute("PRAGMA user_version").fetchone() == (0,):
                _make(connection)
            bring_forward(connection, MIGRATIONS)
            connection.execute("PRAGMA temp_store = MEMORY")
            connection.executescript(_PASSING)
        yield connection


_TABLES = _sql_of(SCHEMA) + _FIRST_NUMBERS
_PASSING = _sql_of(PASSING)


def _make(connection: sqlite3.Connection) -> None:
    # One transaction, so a kill leaves either nothing or the whole schema under our name.
    try:
        connection.executescript(
            f"BEGIN IMMEDIATE; PRAGMA application_id = {APPLICATION_ID}; PRAGMA user_version = {VERSION};"
            f"{_TABLES} COMMIT;"
        )
    except sqlite3.Error:
        with suppress(sqlite3.Error):
            connection.execute("ROLLBACK")
        raise
