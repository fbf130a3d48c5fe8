"""The registry in PostgreSQL, which replicas of a gateway share. Needs the extra `postgresql`."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from psycopg import ProgrammingError
from psycopg.conninfo import conninfo_to_dict, make_conninfo
from sqlalchemy import ColumnElement, Connection, Executable, event, func, insert, literal_column, select, text
from sqlalchemy.exc import DataError
from sqlalchemy.ext.asyncio import AsyncConnection, create_async_engine
from sqlalchemy.schema import CreateSchema

from wattmesh_beckn.errors import invalid
from wattmesh_beckn.registry import RegistryUnavailable
from wattmesh_common.sqlite_files import DatabaseRefused
from wattmesh_gateway.database import Rows, Run, Values, available, told_after, told_before
from wattmesh_gateway.tables import NUMBERING, OWNED, OWNER, PASSING, SCHEMA, VERSION

SPACE = "wattmesh"
"""The schema that the tables are in."""
CONNECTIONS = 10
"""Of one replica."""
LONGEST_S = 5.0
"""What is not done by then fails: whoever asked tries again, perhaps at another replica."""
_LOCK = 0x574D4752
"""Held by who makes the tables."""
_USUAL = {
    "application_name": "wattmesh gateway",
    "connect_timeout": "3",
    # A server that is gone without a word is noticed in a few seconds.
    "keepalives_idle": "2",
    "keepalives_interval": "1",
    "keepalives_count": "3",
    "tcp_user_timeout": "5000",
}


class PostgresDatabase:
    """A database on a server; `uri` is the file with its URI, read at each new connection, as passwords change."""

    # Another start of the server, or another file behind the table: it may have been restored from an older copy.
    era: ColumnElement[str] = func.concat(
        literal_column("pg_postmaster_start_time()::text"),
        literal_column(f"pg_relation_filenode('{SPACE}.{NUMBERING.name}')::text"),
    )

    def __init__(self, uri: Path) -> None:
        self._uri = uri
        self._engine = create_async_engine(
            "postgresql+psycopg://",
            pool_size=CONNECTIONS,
            max_overflow=0,
            pool_timeout=LONGEST_S,
            execution_options={"schema_translate_map": {None: SPACE, PASSING.schema: SPACE}},
        )
        self._alone = self._engine.execution_options(isolation_level="AUTOCOMMIT")

        @event.listens_for(self._engine.sync_engine, "do_connect")
        def connect(_dialect: object, _record: object, arguments: list[str], _named: dict[str, Any]) -> None:
            arguments[:] = [self._conninfo()]

    def _conninfo(self) -> str:
        try:
            said = conninfo_to_dict(self._uri.read_text().strip())
        except ProgrammingError:  # whose text repeats what it read, and with it the password
            text = "what is to be its URI is not one of PostgreSQL, such as postgresql://user:password@host/database"
            raise RegistryUnavailable(text) from None
        return make_conninfo(**{name: str(value) for name, value in (_USUAL | said).items() if value is not None})

    async def run(self, statement: Executable, values: Values = ()) -> Rows:
        """See Run."""
        with available():
            async with asyncio.timeout(LONGEST_S), self._alone.connect() as connection:
                return await _run(connection, statement, values)

    @asynccontextmanager
    async def transaction(self, call: str) -> AsyncIterator[Run]:
        """See Database."""

        async def run(statement: Executable, values: Values = ()) -> Rows:
            with available():
                return await _run(connection, statement, values)

        with available():
            async with asyncio.timeout(LONGEST_S), self._engine.begin() as connection:
                yield run
                told_before(call)
            told_after(call)

    async def start(self, gateway: str) -> None:
        """See Database."""
        try:
            with available():
                async with asyncio.timeout(LONGEST_S), self._engine.begin() as connection:
                    await connection.run_sync(_make, gateway)
        except RegistryUnavailable as error:
            text = f"{error}; look at the URI in {self._uri}, the server and the rights of its user"
            raise DatabaseRefused(text) from None

    async def stop(self) -> None:
        """See Database."""
        await self._engine.dispose()

    def close(self) -> None:
        """See Database: there is no file."""


async def _run(connection: AsyncConnection, statement: Executable, values: Values) -> Rows:
    try:
        result = await connection.execute(statement, values or None)
    except DataError as error:
        # SQLite keeps a NUL in a text, PostgreSQL does not.
        raise invalid(f"it cannot be kept: {error.orig}") from None
    return result.all() if result.returns_rows else ()


def _make(connection: Connection, gateway: str) -> None:
    """Make the tables, or see that they are this gateway's and of this version."""
    connection.execute(select(func.pg_advisory_xact_lock(_LOCK)))
    # Whoever may not make a schema may have been given one.
    if connection.execute(select(func.to_regnamespace(SPACE))).scalar() is None:
        connection.execute(CreateSchema(SPACE))
    OWNED.create_all(connection)
    held = connection.execute(select(OWNER.c.version, OWNER.c.gateway)).first()
    if held is None:
        SCHEMA.create_all(connection)
        PASSING.create_all(connection)
        for table in PASSING.sorted_tables:
            connection.execute(text(f"ALTER TABLE {SPACE}.{table.name} SET UNLOGGED"))
        connection.execute(insert(NUMBERING).values(one=1, changed=0, dropped=0))
        connection.execute(insert(OWNER).values(version=VERSION, gateway=gateway))
        return
    version, owner = held
    if owner != gateway:
        raise DatabaseRefused(f"the database is the registry of {owner!r}; give {gateway!r} one of its own")
    if version != VERSION:
        raise DatabaseRefused(
            f"the database was made by another wattmesh (schema {version}; this one knows {VERSION}); use that one"
        )
