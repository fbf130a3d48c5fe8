"""PostgreSQL for tests: a server of their own, from the installed binaries, and a database for each registry."""

from __future__ import annotations

import atexit
import os
import shutil
import subprocess
import tempfile
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from functools import cache
from itertools import count
from pathlib import Path

import psycopg
import pytest
from sqlalchemy import Executable

from wattmesh_gateway.database import Rows, Run, Values
from wattmesh_gateway.postgresql import PostgresDatabase

MISSING = "no PostgreSQL here; install Debian's package postgresql, or put initdb and pg_ctl on PATH"
USER = "wattmesh"
PASSWORD = "fuses and meters"  # noqa: S105 - of a server that only this test run reaches
_numbers = count()
_under_way = 0


def under_way() -> int:
    """How many statements and transactions are under way."""
    return _under_way


@contextmanager
def _counted() -> Iterator[None]:
    global _under_way
    _under_way += 1
    try:
        yield
    finally:
        _under_way -= 1


class CountedDatabase(PostgresDatabase):
    """One that says when it is waited for, so that virtual time stands meanwhile. It needs no start."""

    def __init__(self, uri: Path, gateway: str) -> None:
        super().__init__(uri)
        self._gateway: str | None = gateway

    async def run(self, statement: Executable, values: Values = ()) -> Rows:
        with _counted():
            await self._begin()
            return await super().run(statement, values)

    @asynccontextmanager
    async def transaction(self, call: str) -> AsyncIterator[Run]:
        with _counted():
            await self._begin()
            async with super().transaction(call) as run:
                yield run

    async def start(self, gateway: str) -> None:
        with _counted():
            await super().start(gateway)

    async def stop(self) -> None:
        with _counted():
            await super().stop()

    async def _begin(self) -> None:
        if self._gateway is not None:
            gateway, self._gateway = self._gateway, None
            await super().start(gateway)


class Server:
    """A server with files of its own, on a Unix socket."""

    def __init__(self) -> None:
        found = programs()
        if found is None:
            pytest.skip(MISSING)
        self._programs = found
        self.folder = Path(tempfile.mkdtemp(prefix="pg-"))  # short: a socket's path has at most 107 bytes
        # It refuses to run as root.
        self._user = "postgres" if os.geteuid() == 0 else None
        if self._user:
            shutil.chown(self.folder, self._user)
        self._data = self.folder / "data"
        secret = self.folder / "password"
        secret.write_text(PASSWORD)
        if self._user:
            shutil.chown(secret, self._user)
        self._call(
            "initdb", "-D", self._data, "-U", USER, "--pwfile", secret, "-A", "scram-sha-256", "-N", "-E", "UTF8"
        )
        self.start()
        atexit.register(self.remove)

    def start(self) -> None:
        """Start it, when it has just been made or stopped."""
        options = f"-c listen_addresses='' -c unix_socket_directories={self.folder} -c fsync=off -c max_connections=50"
        self._call("pg_ctl", "-D", self._data, "-w", "-l", self.folder / "log", "-o", options, "start")

    def stop(self) -> None:
        """Stop it as a power cut would."""
        self._call("pg_ctl", "-D", self._data, "-m", "immediate", "-w", "stop")

    def remove(self) -> None:
        """Stop it for good."""
        self._call("pg_ctl", "-D", self._data, "-m", "immediate", "stop", check=False)
        shutil.rmtree(self.folder, ignore_errors=True)

    def uri(self, database: str = "postgres") -> str:
        """Where a database is."""
        return f"postgresql://{USER}:{PASSWORD.replace(' ', '%20')}@/{database}?host={self.folder}"

    def new_database(self, *, language: str | None = None) -> str:
        """The URI of a new, empty database, whose texts are in the order of a language where nobody says another."""
        name = f"registry_{next(_numbers)}"
        ordered = f" TEMPLATE template0 LOCALE_PROVIDER icu ICU_LOCALE '{language}' LOCALE 'C'" if language else ""
        with psycopg.connect(self.uri(), autocommit=True) as connection:
            connection.execute(f"CREATE DATABASE {name}{ordered}".encode())
        return self.uri(name)

    def _call(self, program: str, *arguments: object, check: bool = True) -> None:
        command = [str(self._programs / program), *map(str, arguments)]
        # Its files are told to the server, which outlives this call and would hold a pipe open.
        done = subprocess.run(
            command, check=False, user=self._user, cwd="/", stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        if check and done.returncode:
            log = self.folder / "log"
            raise AssertionError(f"{program} ended with {done.returncode}: {log.read_text() if log.exists() else ''}")


def programs() -> Path | None:
    """The folder of PostgreSQL's programs, if they are installed."""
    found = shutil.which("initdb")
    installed = [Path(found).resolve().parent] if found else []
    installed += sorted(Path("/usr/lib/postgresql").glob("*/bin"), reverse=True)
    return next((folder for folder in installed if (folder / "pg_ctl").exists()), None)


@cache
def server() -> Server:
    """The server of this test run; the test is skipped where there is no PostgreSQL."""
    return Server()


def uri_file(folder: Path, uri: str | None = None) -> Path:
    """A file as a gateway's pod has it, with the URI of a new database where none is given."""
    path = folder / "uri"
    path.write_text(f"{uri or server().new_database()}\n")
    return path
