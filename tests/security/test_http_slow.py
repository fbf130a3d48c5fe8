"""Peers that are slow, silent or many, and do no more than hold a connection."""

from __future__ import annotations

import asyncio
import tracemalloc
from dataclasses import replace

import pytest
from fastapi import FastAPI, Response

from tests.security.http_support import GOOD, HEAD, PATIENT, SHORT_S, Echo, app, run, served, until


@pytest.mark.parametrize("start", [b"", b"P", HEAD, b"\r\n", b"POST /call HTTP/1.1\r\nhost: street\r\nx-long: "])
def test_a_head_that_does_not_come_in_time_ends_the_connection(start: bytes) -> None:
    async def story() -> None:
        site = Echo()
        async with served(app(site), replace(PATIENT, head_s=SHORT_S)) as street:
            peer = await street.connect()
            await peer.send(start)
            assert await peer.rest() == b""
            assert site.asked == []

    run(story)


@pytest.mark.parametrize("drop", [b"a", b"x: y\r\n", b"\r\n"])
@pytest.mark.parametrize("after_a_call", [False, True])
def test_dripping_a_head_gains_no_time(drop: bytes, after_a_call: bool) -> None:
    async def story() -> None:
        async with served(app(Echo()), replace(PATIENT, head_s=SHORT_S)) as street:
            peer = await street.connect()
            if after_a_call:
                await peer.send(GOOD)
                assert (await peer.answer()).status == 200
            await peer.send(b"" if drop == b"\r\n" else b"POST /call HTTP/1.1\r\n")
            await peer.keeps_sending(drop, pause_s=SHORT_S / 4)

    run(story)


def test_a_connection_that_is_kept_without_a_call_is_closed() -> None:
    async def story() -> None:
        async with served(app(Echo()), replace(PATIENT, idle_s=SHORT_S)) as street:
            peer = await street.connect()
            await peer.send(GOOD)
            assert (await peer.answer()).status == 200
            assert await peer.rest() == b""

    run(story)


@pytest.mark.parametrize(
    "start",
    [
        b"content-length: 100\r\n\r\n",
        b"transfer-encoding: chunked\r\n\r\n",
        b"expect: 100-continue\r\ncontent-length: 9\r\n\r\n",
    ],
)
@pytest.mark.parametrize("drips", [False, True])
def test_a_body_that_does_not_come_in_time_is_answered_408_and_the_connection_ends(start: bytes, drips: bool) -> None:
    async def story() -> None:
        site = Echo()
        async with served(app(site, body_s=SHORT_S)) as street:
            peer = await street.connect()
            await peer.send(HEAD + start)
            if drips:
                drop = b"1\r\nx\r\n" if b"chunked" in start else b"x"
                for _ in range(5):
                    await peer.send(drop)
            got = await peer.rest()
            assert b"HTTP/1.1 408 Request Timeout\r\n" in got
            assert b"connection: close\r\n" in got
            assert b"the body did not arrive within 0.2 s" in got
            assert site.asked == []

    run(story)


@pytest.mark.parametrize("request_line", [b"GET /page", b"POST /nowhere", b"PUT /call"])
def test_a_body_that_nobody_reads_does_not_hold_the_connection(request_line: bytes) -> None:
    async def story() -> None:
        async with served(app(Echo()), replace(PATIENT, discard_s=SHORT_S)) as street:
            peer = await street.connect()
            await peer.send(request_line + b" HTTP/1.1\r\nhost: street\r\ntransfer-encoding: chunked\r\n\r\n")
            await peer.answer()
            await peer.keeps_sending(b"1\r\nx\r\n", pause_s=SHORT_S / 4)

    run(story)


def test_a_peer_that_asks_for_much_and_reads_nothing_is_dropped() -> None:
    size = 16 * 1024 * 1024
    made = FastAPI()

    @made.get("/ledger")
    async def ledger() -> Response:
        return Response(b"x" * size)

    async def story() -> None:
        async with served(made, replace(PATIENT, answer_s=SHORT_S)) as street:
            tracemalloc.start()
            try:
                peer = await street.connect(receive_buffer=4096)
                await peer.send(b"GET /ledger HTTP/1.1\r\nhost: street\r\n\r\n")
                await until(lambda: street.connections == 0)
                assert tracemalloc.get_traced_memory()[0] < size
                assert len(await peer.rest()) < size
            finally:
                tracemalloc.stop()

    run(story)


@pytest.mark.parametrize("close", [b"", b"connection: close\r\n"])
def test_nor_does_a_small_answer_that_is_not_read_hold_the_connection(close: bytes) -> None:
    """Smaller than what makes the server wait, so only the closing itself could hang."""
    made = FastAPI()

    @made.get("/page")
    async def page() -> Response:
        return Response(b"x" * 60_000)

    async def story() -> None:
        async with served(made, replace(PATIENT, answer_s=SHORT_S, idle_s=SHORT_S), send_buffer=4096) as street:
            peer = await street.connect(receive_buffer=4096)
            await peer.send(b"GET /page HTTP/1.1\r\nhost: street\r\n" + close + b"\r\n")
            await until(lambda: street.connections == 1)
            await until(lambda: street.connections == 0)

    run(story)


def test_an_honest_reader_gets_a_large_answer_whole() -> None:
    made = FastAPI()

    @made.get("/ledger")
    async def ledger() -> Response:
        return Response(b"x" * 4_000_000)

    async def story() -> None:
        async with served(made) as street:
            assert len((await street.ask(b"GET /ledger HTTP/1.1\r\nhost: street\r\n\r\n")).body) == 4_000_000

    run(story)


@pytest.mark.parametrize("start", [b"", HEAD, GOOD, HEAD + b"content-length: 9\r\n\r\n"])
def test_a_crowd_of_waiting_connections_keeps_nobody_out(start: bytes) -> None:
    async def story() -> None:
        async with served(app(Echo()), replace(PATIENT, connections=10)) as street:
            crowd = [await street.connect() for _ in range(50)]
            for peer in crowd:
                await peer.send(start)
            assert (await street.ask(GOOD)).status == 200
            assert street.connections <= 10

    run(story)


def test_a_connection_that_is_being_answered_is_not_closed_for_another() -> None:
    begun, go = asyncio.Event(), asyncio.Event()
    made = app(Echo())

    @made.get("/long")
    async def long() -> Response:
        begun.set()
        await go.wait()
        return Response(b"done")

    async def story() -> None:
        async with served(made, replace(PATIENT, connections=1)) as street:
            first = await street.connect()
            await first.send(b"GET /long HTTP/1.1\r\nhost: street\r\n\r\n")
            await begun.wait()
            second = await street.connect()
            assert await second.rest() == b""
            go.set()
            assert (await first.answer()).body == b"done"

    run(story)
