"""Opening a runtime's database, and the one way to change it: a transaction."""

from __future__ import annotations

import secrets
import sqlite3
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path

from wattmesh_agents.store.schema import APPLICATION_ID, TABLES, VERSION
from wattmesh_beckn.faultpoints import FaultPoint

IN_MEMORY = ":memory:"


class DatabaseRefused(Exception):
    """The file is not a database that this version can use. It was not touched."""


class _Connection(sqlite3.Connection):
    """Leaves commits inside a transaction to the transaction.

    LangGraph's SQLite checkpointer commits after each write; here its checkpoint belongs to the transaction of the
    effect that it goes with.
    """

    within_transaction = False

    def commit(self) -> None:
        """Commit, unless a transaction is open that will."""
        if not self.within_transaction:
            super().commit()


class Database:
    """A runtime's SQLite database. Used from one event loop; a transaction never waits for anything."""

    def __init__(self, connection: _Connection) -> None:
        self.connection = connection
        self._after: list[Callable[[], None]] = []

    @classmethod
    def open(cls, path: Path | str, *, salt: str | None = None) -> Database:
        """Open or make the database at `path` (or `IN_MEMORY`).

        `salt` makes ids repeatable when the database is new; by default it is random. DatabaseRefused when the file is
        damaged, not wattmesh's, of a newer version, or cannot be opened now.
        """
        with ExitStack() as stack, _refusing(path):
            if path != IN_MEMORY and Path(path).exists():
                _check(path)
            connection = sqlite3.connect(
                path, factory=_Connection, isolation_level=None, check_same_thread=False, cached_statements=512
            )
            stack.callback(connection.close)
            connection.execute("PRAGMA journal_mode = WAL")
            connection.execute("PRAGMA synchronous = FULL")
            database = cls(connection)
            if connection.execute("PRAGMA user_version").fetchone()[0] == 0:
                database._create(salt or secrets.token_hex(16))
            stack.pop_all()
        return database

    def _create(self, salt: str) -> None:
        marks = f"PRAGMA application_id = {APPLICATION_ID}; PRAGMA user_version = {VERSION};"
        self.connection.executescript(f"BEGIN IMMEDIATE; {TABLES} {marks}")
        self.connection.execute("INSERT INTO meta VALUES ('salt', ?)", (salt,))
        self.connection.commit()

    @property
    def salt(self) -> str:
        """What makes this database's derived ids its own."""
        value: str = self.connection.execute("SELECT value FROM meta WHERE key = 'salt'").fetchone()[0]
        return value

    @contextmanager
    def transaction(self, occasion: str = "write") -> Iterator[sqlite3.Connection]:
        """All or nothing, for what `occasion` names. Transactions do not nest.

        What was put off with `after_commit` runs when it is on disk.
        Every step that was put off is done, even when one of them fails; that failure is raised after the last.
        """
        if self.connection.within_transaction:
            raise RuntimeError("a transaction is open already")
        self.connection.execute("BEGIN IMMEDIATE")
        self.connection.within_transaction = True
        try:
            yield self.connection
            sys.audit(FaultPoint.BEFORE_COMMIT, occasion)
            self.connection.within_transaction = False
            self.connection.commit()
        except BaseException:
            self._after.clear()
            self.connection.within_transaction = False
            self.connection.rollback()
            raise
        sys.audit(FaultPoint.AFTER_COMMIT, occasion)
        after, self._after = self._after, []
        with ExitStack() as steps:
            for step in reversed(after):
                steps.callback(step)

    def after_commit(self, step: Callable[[], None]) -> None:
        """Do `step` once the open transaction is on disk, not at all when it fails."""
        self._after.append(step)

    def close(self) -> None:
        """Close the file."""
        self.connection.close()


@contextmanager
def _refusing(path: Path | str) -> Iterator[None]:
    try:
        yield
    except sqlite3.OperationalError as error:
        raise DatabaseRefused(f"{path}: cannot be used now ({error})") from None
    except sqlite3.DatabaseError as error:
        raise DatabaseRefused(f"{path}: not a usable database ({error}); restore it or move it away") from None


def _check(path: Path | str) -> None:
    """Look at a file without writing: even closing it would move a crashed program's WAL into it."""
    with closing(sqlite3.connect(f"{Path(path).absolute().as_uri()}?mode=ro", uri=True)) as connection:
        version = connection.execute("PRAGMA user_version").fetchone()[0]
        application = connection.execute("PRAGMA application_id").fetchone()[0]
        tables = connection.execute("SELECT count(*) FROM sqlite_master").fetchone()[0]
        if application != APPLICATION_ID and (application or tables or version):
            raise DatabaseRefused(f"{path}: this is another program's database; name another file")
        if version > VERSION:
            raise DatabaseRefused(
                f"{path}: made by a newer wattmesh (schema {version}; this one knows {VERSION}); use that one"
            )
        if tables:
            result = connection.execute("PRAGMA quick_check(1)").fetchone()[0]
            if result != "ok":
                raise DatabaseRefused(f"{path}: damaged ({result}); restore it from a backup")
