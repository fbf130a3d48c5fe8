"""Tables of a pod's books as JSON: page by page, or all of them as of one moment. Bytes are told in hexadecimal.

A page begins after a key, not at a number: what is deleted or booked between two pages neither repeats nor hides rows
that stand in both. Neither long books nor slow readers cost memory: a page has a bounded number of rows, and of whole
tables rows are taken when the reader has room for them.
"""

from __future__ import annotations

import asyncio
import logging
import sqlite3
from collections.abc import Generator, Iterable, Iterator, Mapping, Sequence
from contextlib import closing
from functools import cache
from types import GenericAlias
from typing import Annotated, Any
from urllib.parse import quote, urlencode

from fastapi import HTTPException, Response
from pydantic import ConfigDict, Field, TypeAdapter, ValidationError
from pydantic_core import to_json
from starlette.requests import Request
from starlette.types import Message, Receive, Scope, Send

from wattmesh_agents.store.database import Database

READERS = 4
"""At once. Each of whole tables holds a view of the file, during which its write-ahead log grows."""
READ_S = 60.0
"""To read all of it; who has not by then is cut off."""
MOST_ON_A_PAGE = 1_000
ON_A_PAGE = 100
"""Unless the reader says another number."""
_ROWS = 200
"""Made to JSON, and sent, at a time."""

log = logging.getLogger(__name__)

_Row = dict[str, Any]
_Columns = tuple[tuple[str, str], ...]
"""Name and type as the schema declares it, of each."""
_KINDS: Mapping[str, tuple[Any, str]] = {
    "TEXT": (str, "text"),
    "INTEGER": (Annotated[int, Field(ge=-(2**63), lt=2**63)], "whole number"),
    "BLOB": (bytes, "hexadecimal"),
}
"""What a column may hold, and what people call that, by type."""


class BooksPages:
    """Answers with the tables of one database."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._readers = 0

    def page(self, table: str, after: str | None, limit: int) -> Response:
        """A list of at most `limit` rows of a table, in the order of their keys: the first, or those after the key
        `after`, a JSON list. While there are more, the header `Link` has where they are (RFC 8288).

        HTTPException when `after` is no key of the table, or too many read.
        """
        self._require_room()
        connection = self._database.connection
        key = _key(connection, table)
        names = ", ".join(name for name, _ in key)
        values = () if after is None else _parsed(after, table, key)
        where = f"WHERE ({names}) > ({', '.join('?' * len(key))})" if values else ""
        cursor = connection.execute(
            f"SELECT * FROM {table} {where} ORDER BY {names} LIMIT ?",  # noqa: S608 - the caller names one of ours
            (*values, limit + 1),
        )
        rows = _named(cursor, cursor.fetchall())
        headers = {}
        if len(rows) > limit:
            rows.pop()
            last = to_json([rows[-1][name] for name, _ in key], bytes_mode="hex").decode()
            headers["link"] = f'<?{urlencode({"limit": limit, "after": last}, quote_via=quote, safe="")}>; rel="next"'
        return _Written(self, _listed(rows[at : at + _ROWS] for at in range(0, len(rows), _ROWS)), headers)

    def tables(self, tables: Sequence[str]) -> Response:
        """An object of lists of all rows, by table, as they were at one moment. HTTPException when too many read."""
        self._require_room()

        def pieces() -> Generator[bytes, None, None]:
            with self._database.view() as connection:
                for number, table in enumerate(tables):
                    yield b"%s%s:" % (b"," if number else b"{", to_json(table))
                    yield from _listed(_all(connection, table))
                yield b"}"

        return _Written(self, pieces())

    def _require_room(self) -> None:
        if self._readers >= READERS:
            raise HTTPException(503, f"{READERS} read these books now; ask again", {"retry-after": "1"})

    async def write(self, start: Message, pieces: Generator[bytes, None, None], request: Request, send: Send) -> None:
        """Send the start of an answer, and the pieces of its body."""
        self._readers += 1
        try:
            async with asyncio.timeout(READ_S):
                await send(start)
                with closing(pieces):
                    for piece in pieces:
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

    def __init__(
        self, pages: BooksPages, pieces: Generator[bytes, None, None], headers: Mapping[str, str] | None = None
    ) -> None:
        super().__init__(headers=headers, media_type="application/json")
        del self.headers["content-length"]
        self._pages = pages
        self._pieces = pieces

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        start = {"type": "http.response.start", "status": self.status_code, "headers": self.raw_headers}
        await self._pages.write(start, self._pieces, Request(scope, receive), send)


def _key(connection: sqlite3.Connection, table: str) -> _Columns:
    """The columns of a table's primary key, in its order."""
    columns = connection.execute("SELECT name, type FROM pragma_table_info(?) WHERE pk > 0 ORDER BY pk", (table,))
    return tuple(columns.fetchall())


def _parsed(after: str, table: str, key: _Columns) -> tuple[Any, ...]:
    """The values of a key. HTTPException."""
    try:
        return _reader(key).validate_json(after)
    except ValidationError:
        columns = ", ".join(f"{name} ({_KINDS[kind][1]})" for name, kind in key)
        text = (
            f"after must be the key of a row of {table}, a JSON list of {columns}, as the link to the next page has it"
        )
        raise HTTPException(422, text) from None


@cache
def _reader(key: _Columns) -> TypeAdapter[tuple[Any, ...]]:
    values: Any = GenericAlias(tuple, tuple(_KINDS[kind][0] for _, kind in key))
    return TypeAdapter(values, config=ConfigDict(strict=True, val_json_bytes="hex"))


def _all(connection: sqlite3.Connection, table: str) -> Iterator[list[_Row]]:
    cursor = connection.execute(f"SELECT * FROM {table}")  # noqa: S608 - the caller names one of ours
    while rows := cursor.fetchmany(_ROWS):
        yield _named(cursor, rows)


def _named(cursor: sqlite3.Cursor, rows: Sequence[Sequence[Any]]) -> list[_Row]:
    """Rows by the names of their columns."""
    names = [column[0] for column in cursor.description]
    return [dict(zip(names, row, strict=True)) for row in rows]


def _listed(parts: Iterable[list[_Row]]) -> Generator[bytes, None, None]:
    """A JSON list of all rows, a piece for each part that has some."""
    before = b"["
    for rows in parts:
        yield before + to_json(rows, bytes_mode="hex")[1:-1]
        before = b","
    yield b"[]" if before == b"[" else b"]"
