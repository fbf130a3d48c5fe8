"""The registry's database file: made when new, refused when it is anything but ours."""

from __future__ import annotations

import sqlite3
from contextlib import closing, suppress
from pathlib import Path

APPLICATION_ID = 0x574D4752
"""`WMGR`, in the file's header."""
VERSION = 1

_TABLES = """
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
-- The newest subscribe calls that had an effect: all of one subscriber's were signed in the same second.
CREATE TABLE accepted (
    subscriber_id TEXT NOT NULL,
    call BLOB NOT NULL,
    created_s INTEGER NOT NULL,
    status TEXT NOT NULL,
    PRIMARY KEY (subscriber_id, call)
) STRICT, WITHOUT ROWID;
"""


class RegistryFileError(Exception):
    """Why a file cannot serve as the registry's database; the file is left as it was."""


def open_database(path: Path | None) -> sqlite3.Connection:
    """A connection to the registry's database, made if there is none; `None` is one in memory.

    Raises RegistryFileError when the file cannot be opened, is damaged, is another program's, or is a newer wattmesh's.
    """
    where = str(path) if path else "the registry in memory"
    try:
        connection = sqlite3.connect(path or ":memory:", isolation_level=None)
    except sqlite3.Error as error:
        raise RegistryFileError(f"{where} cannot be opened: {error}") from None
    try:
        _prepare(connection, where)
        if path and connection.execute("PRAGMA journal_mode = WAL").fetchone() != ("wal",):
            raise RegistryFileError(f"{where}: the file system cannot hold a write-ahead log")
        connection.execute("PRAGMA synchronous = FULL")
    except sqlite3.DatabaseError as error:
        connection.close()
        raise RegistryFileError(f"{where} cannot be used: {error}; it was left as it is") from None
    except RegistryFileError:
        connection.close()
        raise
    return connection


def _prepare(connection: sqlite3.Connection, where: str) -> None:
    # Whatever is read here is read before anything is written, so a foreign file stays byte for byte.
    (application_id,) = connection.execute("PRAGMA application_id").fetchone()
    (version,) = connection.execute("PRAGMA user_version").fetchone()
    (tables,) = connection.execute("SELECT count(*) FROM sqlite_schema").fetchone()
    if (application_id, version, tables) == (0, 0, 0):
        _make(connection)
        return
    if application_id != APPLICATION_ID:
        raise RegistryFileError(f"{where} is another program's database, not a wattmesh registry; it was left as it is")
    if version > VERSION:
        raise RegistryFileError(
            f"{where} was written by a newer wattmesh (schema {version}, here {VERSION}); it was left as it is"
        )
    with closing(connection.execute("PRAGMA quick_check(1)")) as found:
        (result,) = found.fetchone()
    if result != "ok":
        raise RegistryFileError(f"{where} is damaged ({result}); it was left as it is")


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
