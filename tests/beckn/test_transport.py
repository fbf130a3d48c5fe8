from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager

import pytest

from tests.world.clocks import run
from wattmesh_beckn.transport import (
    MAX_ANSWER_BYTES,
    HttpTransport,
    MemoryTransport,
    Reply,
    TransportError,
    TransportTimeoutError,
)

OK = b"HTTP/1.1 200 OK\r\n"


@asynccontextmanager
async def answering(answer: bytes, *, hold: bool = False) -> AsyncIterator[str]:
    """The address of a server that answers anything with these bytes and, unless it holds, hangs up."""
    done = asyncio.Event()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            await reader.readuntil(b"the body")
            writer.write(answer)
            if hold:
                await done.wait()
        finally:
            writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    try:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/x"
    finally:
        done.set()
        server.close()
        await server.wait_closed()


def post(answer: bytes, *, hold: bool = False, timeout_s: float = 30.0) -> Reply:
    async def main() -> Reply:
        transport = HttpTransport()
        try:
            async with answering(answer, hold=hold) as url:
                return await transport.post(url, b"the body", {}, timeout_s=timeout_s)
        finally:
            await transport.close()

    return asyncio.run(main())


def test_an_answer_comes_with_status_body_and_lower_case_headers() -> None:
    reply = post(OK.replace(b"200 OK", b"418 Teapot") + b"X-Some: Thing\r\nContent-Length: 3\r\n\r\nabc")
    assert reply == Reply(418, b"abc", {"x-some": "Thing", "content-length": "3"})


def test_a_redirect_is_not_followed() -> None:
    reply = post(b"HTTP/1.1 302 Found\r\nlocation: http://127.0.0.1:1/\r\ncontent-length: 0\r\n\r\n")
    assert reply.status == 302


@pytest.mark.parametrize(
    ("answer", "problem"),
    [
        (b"", "Server disconnected"),
        (b"nonsense\r\n\r\n", "400, message"),
        (OK + b"content-length: 10\r\n\r\nabc", "Response payload is not completed"),
        (OK + b"transfer-encoding: chunked\r\n\r\nzz\r\n", "400, message"),
        (OK + b"a: " + b"x" * 100_000 + b"\r\n\r\n", "400, message"),
    ],
)
def test_an_answer_that_is_no_http_is_a_transport_error(answer: bytes, problem: str) -> None:
    with pytest.raises(TransportError) as info:
        post(answer)
    assert str(info.value).startswith(problem)


def test_an_answer_beyond_1_mib_is_a_transport_error() -> None:
    body = b"x" * (MAX_ANSWER_BYTES + 1)
    with pytest.raises(TransportError, match=r"^the answer is more than 1048576 bytes$"):
        post(OK + b"\r\n" + body)
    assert post(OK + b"\r\n" + body[:-1]).body == body[:-1]


@pytest.mark.parametrize("answer", [b"", OK, OK + b"content-length: 10\r\n\r\nabc"])
def test_an_answer_that_does_not_end_in_time_is_a_timeout(answer: bytes) -> None:
    with pytest.raises(TransportTimeoutError, match=r"^no answer within 0\.05 s$"):
        post(answer, hold=True, timeout_s=0.05)


@pytest.mark.parametrize(
    "url",
    [
        "http://127.0.0.1:1/",
        "http://127.0.0.1:99999/",
        "http://127.0.0.1:x/",
        "http://",
        "http://:80/",
        "http://\x00/",
        "http://xn--/",
        "http://user:password@127.0.0.1:1/",
        "http://" + "a" * 300 + "/",
        "http://\ud800/",
        "nonsense",
        "",
    ],
)
def test_an_address_that_cannot_be_reached_is_a_transport_error(url: str) -> None:
    async def main() -> None:
        transport = HttpTransport()
        try:
            await transport.post(url, b"the body", {"authorization": "x"}, timeout_s=30)
        finally:
            await transport.close()

    with pytest.raises(TransportError) as info:
        asyncio.run(main())
    assert str(info.value)


class House:
    """A site that takes `seconds` to answer."""

    def __init__(self, seconds: float = 0.0) -> None:
        self.seconds = seconds

    async def post(self, path: str, body: bytes, headers: Mapping[str, str]) -> Reply:
        await asyncio.sleep(self.seconds)
        return Reply(200, body, {"path": path, **headers})


@pytest.mark.parametrize(
    ("url", "path"),
    [
        ("http://rooftop-0/beckn/select", "/beckn/select"),
        ("http://rooftop-0", "/"),
        ("http://rooftop-0/", "/"),
        ("http://rooftop-0/a/b/c", "/a/b/c"),
    ],
)
def test_within_one_process_a_post_goes_straight_to_the_site(url: str, path: str) -> None:
    transport = MemoryTransport()
    transport.attach("http://rooftop-0", House())
    assert run(transport.post(url, b"body", {"a": "1"}, timeout_s=1)) == Reply(200, b"body", {"path": path, "a": "1"})


@pytest.mark.parametrize("url", ["http://rooftop-1/beckn", "https://rooftop-0/beckn", "rooftop-0", ""])
def test_where_no_site_is_nobody_listens(url: str) -> None:
    transport = MemoryTransport()
    transport.attach("http://rooftop-0", House())
    with pytest.raises(TransportError, match=r"^nobody listens at "):
        run(transport.post(url, b"", {}, timeout_s=1))


def test_a_site_that_takes_too_long_is_a_timeout_there_too() -> None:
    transport = MemoryTransport()
    transport.attach("http://rooftop-0", House(seconds=5.0))
    assert run(transport.post("http://rooftop-0/x", b"late", {}, timeout_s=6)).body == b"late"
    with pytest.raises(TransportTimeoutError, match=r"^no answer within 4 s$"):
        run(transport.post("http://rooftop-0/x", b"late", {}, timeout_s=4))
