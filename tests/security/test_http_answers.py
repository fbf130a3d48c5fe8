"""Whoever is called answers whatever it likes; the caller is told of an error and keeps no more than 1 MiB."""

from __future__ import annotations

import asyncio
import gzip
import tracemalloc
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager, suppress

import pytest

from tests.beckn.support import BUYER, rng
from tests.security.http_support import LONG_S, SHORT_S, run
from wattmesh_beckn.answers import ack, nack
from wattmesh_beckn.client import Acked, BecknClient, Nacked, Undelivered, read_answer
from wattmesh_beckn.errors import busy
from wattmesh_beckn.transport import (
    MAX_ANSWER_BYTES,
    HttpTransport,
    Reply,
    TransportError,
    TransportTimeoutError,
)
from wattmesh_common.clock import SystemClock

OK = b"HTTP/1.1 200 OK\r\n"
Send = Callable[[bytes], Awaitable[None]]


class Seller:
    """A server that has read a call and answers as its test says."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.calls: list[bytes] = []


@asynccontextmanager
async def answering(answer: Callable[[Send], Awaitable[None]]) -> AsyncIterator[Seller]:
    tasks: set[asyncio.Task[None] | None] = set()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        tasks.add(asyncio.current_task())

        async def send(data: bytes) -> None:
            writer.write(data)
            await writer.drain()

        with suppress(ConnectionError, asyncio.IncompleteReadError, asyncio.CancelledError):
            while True:
                seller.calls.append(await reader.readuntil(b"the body"))
                await answer(send)
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    seller = Seller(f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/call")
    try:
        yield seller
    finally:
        for task in tasks:
            if task:
                task.cancel()
        await asyncio.gather(*(task for task in tasks if task))
        server.close()
        await server.wait_closed()


async def call(url: str, *, timeout_s: float = LONG_S) -> Reply:
    transport = HttpTransport()
    try:
        return await transport.post(url, b"the body", {"accept-encoding": "gzip"}, timeout_s=timeout_s)
    finally:
        await transport.close()


@pytest.mark.parametrize("head", [OK + b"\r\n", OK + b"content-length: 99999999999\r\n\r\n"])
def test_an_answer_without_end_is_given_up_at_1_mib(head: bytes) -> None:
    async def endless(send: Send) -> None:
        await send(head)
        while True:
            await send(b"x" * 65536)

    async def story() -> None:
        async with answering(endless) as seller:
            tracemalloc.start()
            try:
                with pytest.raises(TransportError, match=r"^the answer is more than 1048576 bytes$"):
                    await call(seller.url)
                assert tracemalloc.get_traced_memory()[1] < 8 * MAX_ANSWER_BYTES
            finally:
                tracemalloc.stop()

    run(story)


@pytest.mark.parametrize("head", [b"", b"HTTP/1.1 2", OK, OK + b"\r\n", OK + b"transfer-encoding: chunked\r\n\r\n"])
@pytest.mark.parametrize("drop", [b"", b"1\r\nx\r\n"])
def test_an_answer_that_drips_is_given_up_in_time(head: bytes, drop: bytes) -> None:
    async def dripping(send: Send) -> None:
        await send(head)
        while True:
            if drop and head.endswith(b"\r\n\r\n"):
                await send(drop)
            await asyncio.sleep(SHORT_S / 10)

    async def story() -> None:
        async with answering(dripping) as seller:
            with pytest.raises(TransportTimeoutError):
                await call(seller.url, timeout_s=SHORT_S)

    run(story)


@pytest.mark.parametrize("coding", [b"gzip", b"deflate", b"br", b"zstd", b"GZIP", b"identity, gzip"])
def test_a_packed_answer_is_not_asked_for_and_not_unpacked(coding: bytes) -> None:
    bomb = gzip.compress(b"x" * 50_000_000)

    async def packed(send: Send) -> None:
        head = b"content-encoding: " + coding + b"\r\ncontent-length: %d\r\n\r\n" % len(bomb)
        await send(OK + head + bomb)

    async def story() -> None:
        async with answering(packed) as seller:
            tracemalloc.start()
            try:
                with pytest.raises(TransportError, match=r"^the answer is compressed, which was not asked for$"):
                    await call(seller.url)
                assert tracemalloc.get_traced_memory()[1] < 8 * MAX_ANSWER_BYTES
            finally:
                tracemalloc.stop()
            [asked] = seller.calls
            assert b"accept-encoding: identity\r\n" in asked.lower()
            assert asked.lower().count(b"accept-encoding") == 1

    run(story)


@pytest.mark.parametrize("status", [300, 301, 302, 303, 307, 308])
def test_a_redirect_leads_nowhere(status: int) -> None:
    async def story() -> None:
        async def nothing(send: Send) -> None:
            await send(OK + b"content-length: 0\r\n\r\n")

        async with answering(nothing) as elsewhere:

            async def redirect(send: Send) -> None:
                where = elsewhere.url.encode()
                await send(b"HTTP/1.1 %d Go\r\nlocation: %s\r\ncontent-length: 0\r\n\r\n" % (status, where))

            async with answering(redirect) as seller:
                reply = await call(seller.url)
            assert isinstance(read_answer(reply), Nacked)
            assert elsewhere.calls == []

    run(story)


@pytest.mark.parametrize(
    "answer",
    [
        b"garbage\r\n\r\n",
        b"HTTP/1.1 abc OK\r\n\r\n",
        b"HTTP/1.1 -200 OK\r\n\r\n",
        b"HTTP/1.1 99999 OK\r\n\r\n",
        b"HTTP/9.9 200 OK\r\n\r\n",
        b"\x00" * 1000 + b"\r\n\r\n",
        b"HTTP/1.1 200 " + b"x" * 100_000 + b"\r\n\r\n",
        OK + b"x-large: " + b"x" * 100_000 + b"\r\n\r\n",
        OK + b"x: y\r\n" * 10_000 + b"\r\n",
        OK + b"content-length: 1\r\ntransfer-encoding: chunked\r\n\r\n",
        OK + b"content-length: 1\r\ncontent-length: 2\r\n\r\n",
        OK + b"content-length: x\r\n\r\n",
        OK + b"transfer-encoding: chunked\r\n\r\nffffffffffffffffff\r\n",
        b"HTTP/1.1 101 Switching Protocols\r\nupgrade: x\r\nconnection: upgrade\r\n\r\n" + b"x" * 2_000_000,
        b"",
    ],
)
def test_an_answer_that_is_no_http_is_an_error(answer: bytes) -> None:
    async def broken(send: Send) -> None:
        await send(answer)
        raise ConnectionError

    async def story() -> None:
        async with answering(broken) as seller:
            with pytest.raises(TransportError) as info:
                await call(seller.url)
            assert len(str(info.value)) < 1000

    run(story)


def test_interim_answers_without_end_are_given_up_in_time() -> None:
    async def interim(send: Send) -> None:
        while True:
            await send(b"HTTP/1.1 100 Continue\r\n\r\n" * 100)

    async def story() -> None:
        async with answering(interim) as seller:
            tracemalloc.start()
            try:
                with pytest.raises(TransportError):
                    await call(seller.url, timeout_s=SHORT_S)
                assert tracemalloc.get_traced_memory()[1] < 16 * MAX_ANSWER_BYTES
            finally:
                tracemalloc.stop()

    run(story)


def test_cookies_are_neither_kept_nor_sent_back() -> None:
    async def baking(send: Send) -> None:
        await send(OK + b"set-cookie: seller=%d; path=/\r\ncontent-length: 0\r\n\r\n" % 1)

    async def story() -> None:
        transport = HttpTransport()
        async with answering(baking) as seller:
            for _ in range(3):
                await transport.post(seller.url, b"the body", {}, timeout_s=LONG_S)
            assert len(seller.calls) == 3
            assert not [asked for asked in seller.calls if b"cookie" in asked.lower()]
        await transport.close()

    run(story)


@pytest.mark.parametrize(
    "body",
    [
        b"[" * 100_000,
        b'{"message":{"ack":{"status":"ACK","tags":[{"list":[{"descriptor":{"code":[]},"value":1}]}]}}}',
        b'{"message":{"ack":{"status":"ACK","tags":[{"list":[{"descriptor":{"code":"a"},"value":%s}]}]}}}'
        % (b"9" * 5000),
        b'{"message":{"ack":{"status":"ACK","tags":7}}}',
        b'{"message":{"ack":[]}}',
        b'{"message":{"ack":{"status":"NACK"}},"error":{"code":' + b"9" * 5000 + b',"message":NaN}}',
        b'{"message":{"ack":{"status":"NACK"}},"error":{"code":"%s","message":"%s"}}'
        % (b"x" * 500_000, b"y" * 500_000),
        b"\xff\xfe",
        b"",
    ],
)
def test_whatever_json_is_answered_is_ack_or_nack_with_a_short_text(body: bytes) -> None:
    said = read_answer(Reply(200, body))
    assert isinstance(said, Acked | Nacked)
    assert isinstance(said, Acked) or len(said.code) + len(said.message) <= 1100


class Busy:
    """Answers 503 with this Retry-After, then ACK."""

    def __init__(self, retry_after: str) -> None:
        self.answers = [Reply(503, nack(busy("later", 1)).body, {"retry-after": retry_after}), ack()]

    async def post(self, url: str, body: bytes, headers: Mapping[str, str], *, timeout_s: float) -> Reply:  # noqa: ARG002
        return self.answers.pop(0)


@pytest.mark.parametrize(
    ("retry_after", "taken"),
    [
        ("1000000000", False),
        ("9" * 5000, False),
        ("-5", True),
        ("nan", True),
        ("inf", True),
        ("1e9", True),
        ("٣", True),
        ("²", True),
        ("Wed, 21 Oct 2099 07:28:00 GMT", True),
        ("", True),
    ],
)
def test_no_retry_after_stops_or_confuses_a_sender(retry_after: str, taken: bool) -> None:
    """One that is beyond the message's ttl ends the sending at once; what is no number of seconds is passed over."""

    async def send() -> object:
        client = BecknClient(Busy(retry_after), SystemClock(), rng(1))
        now = SystemClock().wall()
        return await client.send(BUYER, "http://seller/call", b"{}", now + 30)

    async def story() -> None:
        said = await send()
        assert isinstance(said, Acked if taken else Undelivered)

    run(story)
