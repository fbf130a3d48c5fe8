"""Nobody makes a household or gateway call where it should not: by a url in a message, a redirect, an odd address."""

from __future__ import annotations

import asyncio
import asyncio.selector_events
import json
import socket
import tempfile
from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path
from typing import Any, TypeVar

import pytest

from tests.beckn.support import changed
from tests.security.arena import Arena, arena
from tests.security.calls import BECKN, Target, sign, write
from tests.street.puppet import SPEED
from tests.street.stages import search
from wattmesh_beckn.answers import ack
from wattmesh_beckn.client import Nacked, read_answer
from wattmesh_beckn.receiver import parse
from wattmesh_beckn.signature import AUTHORIZATION
from wattmesh_beckn.transport import HttpTransport, Reply, TransportError
from wattmesh_market.energy.slots import SLOT_S
from wattmesh_market.schedule import BILLED_EVERY_S, CLOSED_AFTER_S

T = TypeVar("T")


class Listener:
    """Keeps which paths it was called at, and gives always the same answer."""

    def __init__(self, reply: Reply | None = None) -> None:
        self.reply = reply or ack()
        self.paths: list[str] = []

    async def post(self, path: str, body: bytes, headers: Mapping[str, str]) -> Reply:  # noqa: ARG002
        self.paths.append(path)
        return self.reply


def in_arena(work: Callable[[Arena], Awaitable[T]]) -> T:
    async def play() -> T:
        with tempfile.TemporaryDirectory() as folder:
            async with arena(Path(folder)) as street:
                return await work(street)

    return asyncio.run(play())


ANSWERED = [target for target in BECKN if not target.is_callback]


@pytest.mark.parametrize("target", ANSWERED, ids=str)
def test_a_callback_goes_to_the_registrys_url_and_not_to_the_one_in_the_body(target: Target) -> None:
    async def work(street: Arena) -> tuple[list[str], list[str]]:
        trap = Listener()
        origin = await street.wires.listen("trap", trap)
        good = await target.prepare(street)
        call = changed(changed(good.call, "context.bap_uri", origin), "context.bpp_uri", origin)
        body = write(call)
        street.puppet.heard.clear()
        reply = await street.wires.post(good.url, body, sign(street, good, body), timeout_s=5.0)
        assert b'"ACK"' in reply.body, reply.body
        # A reading's bill is told when the last slot of its hour is closed.
        await street.pass_time(
            (CLOSED_AFTER_S + BILLED_EVERY_S + SLOT_S) / SPEED if target.name == "update with a reading" else 1.0
        )
        return trap.paths, [heard["context"]["action"] for heard in street.puppet.heard]

    trapped, heard = in_arena(work)
    assert trapped == []
    assert len([action for action in heard if action.startswith("on_")]) == 1


CALLBACKS = [target for target in BECKN if target.name in ("on_search", "on_select", "on_init", "on_status")]


@pytest.mark.parametrize("target", CALLBACKS, ids=str)
def test_the_next_request_goes_to_the_registrys_url_and_not_to_the_one_in_the_body(target: Target) -> None:
    async def work(street: Arena) -> tuple[list[str], list[str]]:
        trap = Listener()
        origin = await street.wires.listen("trap", trap)
        good = await target.prepare(street)
        body = write(changed(good.call, "context.bpp_uri", origin))
        street.puppet.heard.clear()
        reply = await street.wires.post(good.url, body, sign(street, good, body), timeout_s=5.0)
        assert b'"ACK"' in reply.body, reply.body
        await street.pass_time(5.0)
        return trap.paths, [heard["context"]["action"] for heard in street.puppet.heard]

    trapped, heard = in_arena(work)
    assert trapped == []
    assert {"on_search": "select", "on_select": "init", "on_init": "confirm", "on_status": "update"}[
        str(target)
    ] in heard


def test_a_redirect_is_not_followed_by_a_household() -> None:
    """The buyer that must be answered says: over there."""

    async def work(street: Arena) -> tuple[list[str], list[str]]:
        trap = Listener()
        origin = await street.wires.listen("trap", trap)
        turn = Listener(Reply(307, b"", {"location": f"{origin}/metadata"}))
        await street.wires.listen("puppet", turn)
        call = await search(street.puppet)
        body = json.dumps(call).encode()
        reply = await street.puppet.send("roof-0", "search", body, street.puppet.signed(body))
        assert b'"ACK"' in reply.body
        await street.pass_time(1.0)
        return turn.paths, trap.paths

    called, trapped = in_arena(work)
    assert "/on_search" in called
    assert trapped == []


def test_a_redirect_is_not_followed_by_the_gateway() -> None:
    async def work(street: Arena) -> tuple[list[str], list[str]]:
        trap = Listener()
        origin = await street.wires.listen("trap", trap)
        turn = Listener(Reply(307, b"", {"location": f"{origin}/metadata"}))
        await street.wires.listen("turn", turn)
        await street.enrol(street.signers["stranger.default"], "BPP", feeder="main", url="http://turn")
        body = json.dumps(await search(street.puppet)).encode()
        headers = {AUTHORIZATION: street.puppet.signed(body)[AUTHORIZATION]}
        reply = await street.wires.post("http://gateway/search", body, headers, timeout_s=5.0)
        assert b'"ACK"' in reply.body
        await street.clock.settle()
        return turn.paths, trap.paths

    assert in_arena(work) == (["/search"], [])


def test_a_redirect_of_the_registry_is_not_followed() -> None:
    """Whoever could answer for the registry could name any key, so it must be the one that was configured."""

    async def work(street: Arena) -> tuple[int, list[str]]:
        trap = Listener()
        origin = await street.wires.listen("trap", trap)
        await street.wires.listen("gateway", Listener(Reply(307, b"", {"location": f"{origin}/lookup"})))
        body = json.dumps(await search(street.puppet)).encode()
        reply = await street.puppet.send("roof-0", "search", body, street.puppet.signed(body))
        return reply.status, trap.paths

    assert in_arena(work) == (503, [])


def test_a_subscriber_that_points_its_url_at_another_household_has_nothing_of_it() -> None:
    """The other household is called in its stead, with a message that is not for it, and refuses it."""

    async def work(street: Arena) -> bool:
        await street.pass_time(1.0)
        url = "http://low-0/low-0"
        me = street.puppet.me
        await street.enrol(me, "BAP", by=me, feeder="main", url=url)
        body = json.dumps(await search(street.puppet)).encode()
        low = street.run.pods["low-0"].parties["low-0"].books
        before = repr((low.selections, low.purchases))
        reply = await street.puppet.send("roof-0", "search", body, street.puppet.signed(body))
        assert b'"ACK"' in reply.body
        await street.clock.settle()
        assert (f"{url}/on_search") in [sent for sent, _ in street.wires.sent]
        return before == repr((low.selections, low.purchases))

    assert in_arena(work)


REFUSED = [
    "http://169.254.169.254/latest/meta-data",
    "http://169.254.0.1",
    "http://[fe80::1]",
    "http://[fe80::1%25eth0]/",
    "http://[::ffff:169.254.169.254]",
    "http://[fd00:ec2::254]",
    "http://[fd20:ce::254]",
    "http://100.100.100.200",
    "http://168.63.129.16/metadata/instance",
    "http://192.0.0.192",
    "http://[64:ff9b::a9fe:a9fe]",  # 169.254.169.254 through NAT64
    "http://[64:ff9b:1::a9fe:a9fe]",
    "http://[64:ff9b:1:a9fe:a9:fe00::]",  # … of a network's own, with a prefix of 48 bits
    "http://[64:ff9b:1:a9:fe:a9fe::]",  # … of 56
    "http://[64:ff9b:1::a9:fea9:fe00:0]",  # … of 64
    "http://[::ffff:0:a9fe:a9fe]",  # IPv4-translated
    "http://[2001:db8::5efe:a9fe:a9fe]",  # ISATAP
    "http://[2001:db8::200:5efe:169.254.169.254]",
    "http://[64:ff9b::a83f:8110]",  # 168.63.129.16
    "http://[2002:a9fe:a9fe::1]",  # … through 6to4
    "http://[::169.254.169.254]",  # IPv4-compatible
    "http://[::ffff:100.100.100.200]",
    "http://0.0.0.0:8080",
    "http://[::]:8080",
    "http://224.0.0.1",
    "http://[ff02::1]",
    "http://2852039166",  # 169.254.169.254 as one number
    "http://0xa9fea9fe",
    "http://0xa9.254.169.254",
    "http://0251.0376.0251.0376",
    "http://169.254.43518",
    "http://169.254.169.254.",
    "http://①⑥⑨.254.169.254",
    "http://169。254。169。254",
    "http://user@roof-0",
    "http://user:password@roof-0",
    "http://roof-0\\@169.254.169.254",
    "http://roof-0\\evil",
    "http://roof-0?x=",
    "http://roof-0#x",
    "http://roof-0:0",
    "http://",
    "http:///latest",
    "file:///etc/passwd",
    "ftp://roof-0",
    "gopher://roof-0",
    "unix:/run/docker.sock",
    "//roof-0",
    "roof-0",
    "",
]
TAKEN = ["http://127.0.0.1:8080", "http://roof-0.street.svc:8080/roof-0", "https://[fd12::5]:8443", "http://10.0.0.7",
         "http://[::1]:8080", "http://[64:ff9b::c633:6407]", "http://[2002:c633:6407::1]",
         "http://[64:ff9b:1::c633:6407]", "http://[2001:db8::5efe:c633:6407]"]  # fmt: skip


def test_the_registry_takes_no_url_that_leads_astray() -> None:
    async def work(street: Arena) -> dict[str, Reply]:
        replies = {}
        for url in (*REFUSED, *TAKEN):
            me = street.puppet.me
            entry = street.entry(me, "BPP", feeder="main").model_dump(mode="json", exclude_none=True)
            body = write({**entry, "url": url})
            now = int(street.clock.now)
            before = street.books()
            replies[url] = await street.wires.post(
                "http://gateway/subscribe", body, {AUTHORIZATION: me.sign(body, created=now, expires=now + 30)},
                timeout_s=5.0,
            )  # fmt: skip
            assert (street.books() == before) == (url in REFUSED), url
            street.clock.now += 1  # slower than the limit of calls
        return replies

    for url, reply in in_arena(work).items():
        if url in TAKEN:
            assert parse(reply.body) == {"status": "UNDER_SUBSCRIPTION"}
            continue
        answer = read_answer(reply)
        assert isinstance(answer, Nacked)
        assert (answer.status, answer.code, parse(reply.body)["error"]["paths"]) == (400, "30000", "url"), url
        assert answer.message.startswith("url: ")


@pytest.mark.parametrize(
    "address", ["169.254.169.254", "100.100.100.200", "fe80::1", "fd00:ec2::254", "64:ff9b::a9fe:a9fe", "224.0.0.1"]
)
def test_a_name_that_resolves_to_metadata_is_refused_when_it_is_called(
    address: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The name was sound when it was registered; later its owner lets it mean something else."""
    real = socket.getaddrinfo
    means = {"rebound.example": [address], "roof-0.example": ["127.0.0.1"], "both.example": [address, "127.0.0.1"]}
    tried: list[str] = []

    def resolve(host: str, port: int, *args: Any, **more: Any) -> Any:
        if host not in means:
            return real(host, port, *args, **more)
        return [
            (socket.AF_INET6, socket.SOCK_STREAM, 6, "", (one, port, 0, 0))
            if ":" in one
            else (socket.AF_INET, socket.SOCK_STREAM, 6, "", (one, port))
            for one in means[host]
        ]

    def connect(loop: Any, sock: socket.socket, to: Any) -> Any:
        tried.append(str(to[0]))
        return connected(loop, sock, to)

    connected = asyncio.selector_events.BaseSelectorEventLoop.sock_connect
    monkeypatch.setattr(socket, "getaddrinfo", resolve)
    monkeypatch.setattr(asyncio.selector_events.BaseSelectorEventLoop, "sock_connect", connect)

    async def main() -> None:
        async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            await reader.readuntil(b"\r\n\r\n")
            writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
            writer.close()

        server = await asyncio.start_server(answer, "127.0.0.1", 0)
        port = server.sockets[0].getsockname()[1]
        transport = HttpTransport()
        try:
            with pytest.raises(TransportError, match="is no address of a subscriber"):
                await transport.post(f"http://rebound.example:{port}/on_search", b"", {}, timeout_s=30.0)
            assert tried == []
            for name in ("roof-0.example", "both.example"):
                reply = await transport.post(f"http://{name}:{port}/on_search", b"", {}, timeout_s=30.0)
                assert reply.status == 200
            assert set(tried) == {"127.0.0.1"}
        finally:
            await transport.close()
            server.close()

    asyncio.run(main())
