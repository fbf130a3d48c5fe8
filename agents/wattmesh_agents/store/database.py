"""Opening a runtime's journal, and the one way to change it: a transaction."""

from __future__ import annotations

import secrets
import sqlite3
import sys
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path

from wattmesh_agents.store.copies import OURS, restore
from wattmesh_agents.store.schema import APPLICATION_ID, MIGRATIONS, TABLES, VERSION
from wattmesh_common.faultpoints import FaultPoint
from wattmesh_common.sqlite_files import bring_forward, held, prepare, refusing, write_copy

IN_MEMORY = ":memory:"


class Database:
    """A runtime's SQLite database. Used from one event loop; a transaction never waits for anything."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self.connection = connection
        self._open = ExitStack()
        self._within = False

    @classmethod
    def open(cls, path: Path | str, *, salt: str | None = None, copied: Path | None = None) -> Database:
        """Open or make the database at `path` (or `IN_MEMORY`), and bring an older one forward.

        A copy that was laid ready (see `copies`) takes its place before.
        `salt` makes ids repeatable when the database is new; by default it is random. One in memory may begin as a copy
        of the file `copied`. DatabaseRefused when a file is damaged, not wattmesh's, of a newer version, held by
        another process, or cannot be opened or written now.
        """
        with ExitStack() as stack, refusing(copied or path):
            if path != IN_MEMORY:
                restore(Path(path))
                stack.enter_context(held(Path(path), OURS))
            connection = _connected(path)
            stack.callback(connection.close)
            if copied is not None:
                with (
                    held(copied, OURS),
                    closing(sqlite3.connect(f"{copied.absolute().as_uri()}?mode=ro", uri=True)) as file,
                ):
                    file.backup(connection)
            prepare(connection, path)
            database = cls(connection)
            if connection.execute("PRAGMA user_version").fetchone() == (0,):
                database._create(salt or secrets.token_hex(16))
            bring_forward(connection, MIGRATIONS)
            database._open = stack.pop_all()
        return database

    @classmethod
    def reopen(cls, path: Path) -> Database:
        """Open one once more that this process alone has had open: it is not looked through again. sqlite3.Error."""
        database = cls(_connected(path))
        database._open.callback(database.connection.close)
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

    @property
    def path(self) -> Path | None:
        """The file; None in memory."""
        (_, _, path), *_ = self.connection.execute("PRAGMA database_list")
        return Path(path) if path else None

    @contextmanager
    def transaction(self, occasion: str = "write") -> Iterator[sqlite3.Connection]:
        """All or nothing, for what `occasion` names. Transactions do not nest."""
        if self._within:
            raise RuntimeError("a transaction is open already")
        self.connection.execute("BEGIN IMMEDIATE")
        self._within = True
        try:
            yield self.connection
            sys.audit(FaultPoint.BEFORE_COMMIT, occasion)
            self.connection.commit()
        except BaseException:
            self.connection.rollback()
            raise
        finally:
            self._within = False
        sys.audit(FaultPoint.AFTER_COMMIT, occasion)

    @contextmanager
    def view(self) -> Iterator[sqlite3.Connection]:
        """A connection that reads what is committed now, whatever is written meanwhile. Raises sqlite3.Error."""
        where = f"{path.as_uri()}?mode=ro" if (path := self.path) else IN_MEMORY
        with closing(sqlite3.connect(where, uri=True, isolation_level=None)) as view:
            if path is None:
                self.connection.backup(view)
            view.execute("BEGIN")
            view.execute("SELECT count(*) FROM meta")  # from here on it sees one moment
            yield view

    def wipe(self) -> bool:
        """Write the database anew, so that nothing is left in its files of what was deleted. It takes as much room
        again meanwhile, and nothing else can be written.

        False when somebody reads it now, who may need what was: then it is to be done again. sqlite3.OperationalError
        when the disk refuses.
        """
        self.connection.execute("VACUUM")
        (busy, _, _) = self.connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
        return not busy

    def save(self, path: Path) -> None:
        """Write a copy of what is committed to a new file at `path`, and onto the disk; OSError, sqlite3.Error."""
        write_copy(self.connection, path)

    def close(self) -> None:
        """Close the file and let others have it."""
        self._open.close()


def _connected(path: Path | str) -> sqlite3.Connection:
    """By its isolation level Python begins a transaction where SQLite has ended one itself (a full disk does that):
    what is still written then is undone with the rest, not committed piece by piece.
    """
    return sqlite3.connect(path, isolation_level="IMMEDIATE", cached_statements=512)
