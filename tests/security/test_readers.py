"""Readers of a pod's books that are many, slow, or never read: they cost nobody memory, and the pod its time."""

from __future__ import annotations

import json
import tracemalloc
from dataclasses import replace
from pathlib import Path

import httpx
import pytest
from fastapi import FastAPI, Response

from tests.security.http_support import PATIENT, SHORT_S, run, served, until
from wattmesh_agents.books_page import MOST_ON_A_PAGE, READERS, BooksPages
from wattmesh_agents.store.database import Database

ASK = b"GET /ledger HTTP/1.1\r\nhost: street\r\n\r\n"
ASK_A_PAGE = b"GET /ledger/ledger HTTP/1.1\r\nhost: street\r\n\r\n"
ENTRIES = 60_000
"""Twelve megabytes of JSON."""


def books(folder: Path) -> Database:
    """A database whose ledger is long."""
    database = Database.open(folder / "agents.db")
    with database.transaction() as connection:
        rows = ((f"home-{n % 10}.street", "trade", n * 900, "roof.street", f"{n:036}", n, -n) for n in range(ENTRIES))
        connection.executemany("INSERT INTO ledger VALUES (?, ?, ?, ?, ?, ?, ?)", rows)
    return database


def app(database: Database) -> FastAPI:
    made, pages = FastAPI(), BooksPages(database)

    @made.get("/ledger")
    async def ledger() -> Response:
        return pages.tables(["ledger", "accounts"])

    @made.get("/ledger/ledger")
    async def page() -> Response:
        return pages.page("ledger", None, MOST_ON_A_PAGE)

    return made


@pytest.mark.parametrize("ask", [ASK, ASK_A_PAGE])
def test_a_hundred_readers_that_never_read_cost_no_memory(ask: bytes, tmp_path: Path) -> None:
    database = books(tmp_path)

    async def story() -> None:
        async with served(
            app(database), replace(PATIENT, answer_s=SHORT_S, idle_s=SHORT_S), send_buffer=4096
        ) as street:
            tracemalloc.start()
            try:
                for _ in range(100):
                    peer = await street.connect(receive_buffer=4096)
                    await peer.send(ask)
                await until(lambda: street.connections == 0)
                _, most = tracemalloc.get_traced_memory()
            finally:
                tracemalloc.stop()
            assert most < 30_000_000
            # They were cut off, and their places are free again.
            peer = await street.connect()
            await peer.send(ask)
            assert (await peer.head())[0] == 200

    run(story)
    database.close()


def test_more_readers_than_there_is_room_for_are_told_to_ask_again(tmp_path: Path) -> None:
    database = books(tmp_path)

    async def story() -> None:
        async with served(app(database), PATIENT, send_buffer=4096) as street:
            for _ in range(READERS):
                peer = await street.connect(receive_buffer=4096)
                await peer.send(ASK)
                assert (await peer.head())[0] == 200
            late = await street.connect()
            for ask in (ASK, ASK_A_PAGE):
                await late.send(ask)
                answer = await late.answer()
                assert (answer.status, answer.headers["retry-after"]) == (503, "1")
                assert json.loads(answer.body) == {"detail": "4 read these books now; ask again"}

    run(story)
    database.close()


def test_what_is_read_is_one_moment_whatever_is_written_meanwhile(tmp_path: Path) -> None:
    database = books(tmp_path)

    async def story() -> None:
        async with (
            served(app(database), PATIENT, send_buffer=4096) as street,
            httpx.AsyncClient(base_url=f"http://127.0.0.1:{street.port}") as client,
        ):
            async with client.stream("GET", "/ledger") as answer:
                pieces = answer.aiter_bytes()
                got = await anext(pieces)
                with database.transaction() as connection:
                    connection.execute("DELETE FROM ledger")
                got += b"".join([piece async for piece in pieces])
            read = json.loads(got)
            assert len(read["ledger"]) == ENTRIES
            assert read["ledger"][-1]["amount_micro"] == 1 - ENTRIES
            assert (await client.get("/ledger")).json() == {"ledger": [], "accounts": []}

    run(story)
    database.close()
