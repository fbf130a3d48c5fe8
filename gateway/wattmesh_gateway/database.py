"""Where a gateway keeps its registry: a SQLite file that is its own, or a PostgreSQL database that replicas share."""

from __future__ import annotations

import secrets
import sqlite3
import sys
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, ExitStack, asynccontextmanager, contextmanager, suppress
from pathlib import Path
from typing import Any, Protocol

from sqlalchemy import ColumnElement, Executable, StaticPool, create_engine, literal
from sqlalchemy.exc import DBAPIError, SQLAlchemyError

from wattmesh_beckn.registry import RegistryUnavailable
from wattmesh_common.faultpoints import FaultPoint
from wattmesh_gateway.schema import opened

Values = Mapping[str, Any] | Sequence[Mapping[str, Any]]
Rows = Sequence[Any]


class Run(Protocol):
    """Runs one statement and gives its rows; with several sets of values once for each."""

    async def __call__(self, statement: Executable, values: Values = ()) -> Rows:
        """Raises RegistryUnavailable."""
        ...


class Database(Protocol):
    """Statements by themselves, and several as one. All but `close` raise RegistryUnavailable when it fails."""

    @property
    def run(self) -> Run:
        """Runs a statement by itself."""
        ...

    def transaction(self, call: str) -> AbstractAsyncContextManager[Run]:
        """What a call writes, all of it or nothing. In the block nothing is waited for but its statements."""
        ...

    @property
    def era(self) -> ColumnElement[str]:
        """Differs where the tables may be other ones than before, such as an older copy of them: nobody shall go on
        reading where it stopped.
        """
        ...

    async def start(self, gateway: str) -> None:
        """Make the tables of a gateway, or find them. Raises DatabaseRefused."""
        ...

    async def stop(self) -> None:
        """Give up connections; what is asked afterwards makes new ones."""
        ...

    def close(self) -> None:
        """Let others have the file."""
        ...


@contextmanager
def available() -> Iterator[None]:
    """Raises RegistryUnavailable when the database fails."""
    try:
        yield
    except (SQLAlchemyError, sqlite3.Error, OSError, TimeoutError) as error:
        cause = error.orig if isinstance(error, DBAPIError) else error
        text = " ".join(str(cause).split()) or type(cause).__name__
        raise RegistryUnavailable(f"the registry's database fails: {text}") from error


def told_before(call: str) -> None:
    """Where a kill finds what a call writes not yet there."""
    sys.audit(FaultPoint.BEFORE_REGISTRY_COMMIT, call)


def told_after(call: str) -> None:
    """Where a kill finds it there."""
    sys.audit(FaultPoint.AFTER_REGISTRY_COMMIT, call)


class SqliteDatabase:
    """A file, or what lasts as long as the process. Nothing here lets the event loop go on with anything else."""

    def __init__(self, path: Path | None) -> None:
        """Open the file at `path`, or one in memory. Raises DatabaseRefused."""
        self._open = ExitStack()
        connection = self._open.enter_context(opened(path))
        engine = create_engine(
            "sqlite://", creator=lambda: connection, poolclass=StaticPool, isolation_level="AUTOCOMMIT"
        )
        self._db = engine.connect()
        self.era = literal(secrets.token_hex(8))

    async def run(self, statement: Executable, values: Values = ()) -> Rows:
        """See Run."""
        with available():
            result = self._db.execute(statement, values or None)
            return result.all() if result.returns_rows else ()

    @asynccontextmanager
    async def transaction(self, call: str) -> AsyncIterator[Run]:
        """See Database."""
        with available():
            self._db.exec_driver_sql("BEGIN IMMEDIATE")
            try:
                yield self.run
                told_before(call)
                self._db.exec_driver_sql("COMMIT")
                told_after(call)
            except BaseException:
                with suppress(SQLAlchemyError):
                    self._db.exec_driver_sql("ROLLBACK")
                raise

    async def start(self, gateway: str) -> None:
        """See Database: they are there since the file was opened."""

    async def stop(self) -> None:
        """See Database."""

    def close(self) -> None:
        """See Database."""
        self._db.close()
        self._open.close()
