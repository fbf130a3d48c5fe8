"""Whole tables of a pod's books as JSON, written while they are read.

Neither long books nor slow readers cost memory: rows are taken when the reader has room for them. Bytes are told in
hexadecimal.
"""

from __future__ import annotations

import asyncio
import logging
import sqlite3
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from fastapi import HTTPException, Response
from pydantic_core import to_json
from starlette.requests import Request
from starlette.types import Receive, Scope, Send

from wattmesh_agents.store.database import Database

READERS = 4
"""At once. Each holds a view of the file, during which its write-ahead log grows."""
READ_S = 60.0
"""To read all of it; who has not by then is cut off."""
_ROWS = 200

log = logging.getLogger(__name__)

_Pieces = Callable[[sqlite3.Connection], Iterator[bytes]]


class BooksPages:
    """Answers with the tables of one database, as they were at one moment."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._readers = 0

    def rows(self, table: str) -> Response:
        """A list of the table's rows, in the order of their keys. HTTPException when too many read."""
        return self._answer(lambda connection: _rows(connection, table))

    def tables(self, tables: Sequence[str]) -> Response:
        """An object of such lists, by table. HTTPException when too many read."""

        def pieces(connection: sqlite3.Connection) -> Iterator[bytes]:
            for number, table in enumerate(tables):
                yield b"%s%s:" % (b"," if number else b"{", to_json(table))
                yield from _rows(connection, table)
            yield b"}"

        return self._answer(pieces)

    def _answer(self, pieces: _Pieces) -> Response:
        if self._readers >= READERS:
            raise HTTPException(503, f"{READERS} read these books now; ask again", {"retry-after": "1"})
        return _Written(self, pieces)

    async def write(self, pieces: _Pieces, request: Request, send: Send) -> None:
        """Send the pieces of a body, from one view of the database."""
        self._readers += 1
        try:
            async with asyncio.timeout(READ_S):
                with self._database.view() as connection:
                    for piece in pieces(connection):
                        if await request.is_disconnected():
                            return
                        await send({"type": "http.response.body", "body": piece, "more_body": True})
                await send({"type": "http.response.body", "body": b""})
        except TimeoutError:
            log.warning("%s was not read within %.0f s; cut off", request.url.path, READ_S)
        finally:
            self._readers -= 1


class _Written(Response):
    """A body that is made while it is sent, so that nothing of it is held longer than the sending takes."""

    def __init__(self, pages: BooksPages, pieces: _Pieces) -> None:
        super().__init__(media_type="application/json")
        del self.headers["content-length"]
        self._pages = pages
        self._pieces = pieces

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await send({"type": "http.response.start", "status": self.status_code, "headers": self.raw_headers})
        await self._pages.write(self._pieces, Request(scope, receive), send)


def _rows(connection: sqlite3.Connection, table: str) -> Iterator[bytes]:
    cursor = connection.execute(f"SELECT * FROM {table}")  # noqa: S608 - the caller names one of ours
    names = [column[0] for column in cursor.description]
    before = b"["
    while rows := cursor.fetchmany(_ROWS):
        made: list[dict[str, Any]] = [dict(zip(names, row, strict=True)) for row in rows]
        yield before + to_json(made, bytes_mode="hex")[1:-1]
        before = b","
    yield b"[]" if before == b"[" else b"]"
