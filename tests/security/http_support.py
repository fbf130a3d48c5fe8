"""A server with short limits, and a peer that sends whatever bytes it likes."""

from __future__ import annotations

import asyncio
import json
import socket
from collections.abc import AsyncIterator, Callable, Coroutine, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

from fastapi import FastAPI
from uvicorn import Server

from wattmesh_beckn.answers import json_reply
from wattmesh_beckn.http import add_not_found, add_post
from wattmesh_beckn.transport import Reply, Site
from wattmesh_common.connections import Door, Limits
from wattmesh_common.serving import server_settings

LONG_S = 60.0
SHORT_S = 0.2
PATIENT = Limits(head_s=LONG_S, idle_s=LONG_S, discard_s=LONG_S, answer_s=LONG_S)
"""So that nothing but what a test is about ends a connection."""
HEAD = b"POST /call HTTP/1.1\r\nhost: street\r\n"
GOOD = HEAD + b"content-length: 2\r\n\r\n{}"


class Echo:
    """Answers with the size of what it was asked, and keeps it."""

    def __init__(self) -> None:
        self.asked: list[tuple[str, bytes, Mapping[str, str]]] = []

    async def post(self, path: str, body: bytes, headers: Mapping[str, str]) -> Reply:
        self.asked.append((path, body, headers))
        return json_reply(200, {"size": len(body)})


def app(site: Site, *, body_s: float = LONG_S) -> FastAPI:
    """`POST /call` goes to the site; `GET /page` is small."""
    made = FastAPI()
    add_post(made, site, "/call", "Call", {"type": "object"}, body_s=body_s)

    @made.get("/page")
    async def page() -> dict[str, str]:
        return {"page": "small"}

    add_not_found(made, lambda: "/call")
    return made


@dataclass(frozen=True)
class Answer:
    """An HTTP answer as it came."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    @property
    def error(self) -> str:
        """The message of a NACK."""
        value = json.loads(self.body)
        assert value["message"] == {"ack": {"status": "NACK"}}
        text: str = value["error"]["message"]
        return text


class Peer:
    """One connection, at the level of bytes."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer

    async def send(self, *parts: bytes) -> None:
        """Send bytes; what the server no longer takes is lost."""
        for part in parts:
            self._writer.write(part)
            try:
                await self._writer.drain()
            except ConnectionError:
                return

    async def answer(self) -> Answer:
        """The next answer; fails when the connection ends first."""
        status, headers = await self.head()
        body = await self._reader.readexactly(int(headers["content-length"]))
        return Answer(status, headers, body)

    async def head(self) -> tuple[int, Mapping[str, str]]:
        """Status and headers of the next answer; fails when the connection ends first."""
        head = (await self._reader.readuntil(b"\r\n\r\n")).decode("latin-1")
        start, *lines = head.rstrip("\r\n").split("\r\n")
        headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
        return int(start.split()[1]), headers

    async def rest(self) -> bytes:
        """Everything until the server closes the connection."""
        got = bytearray()
        try:
            while chunk := await self._reader.read(65536):
                got += chunk
        except ConnectionError:
            pass
        return bytes(got)

    async def keeps_sending(self, part: bytes, *, pause_s: float) -> None:
        """Send `part` again and again until the server closes the connection."""
        closed = asyncio.ensure_future(self.rest())
        while not closed.done():
            await self.send(part)
            await asyncio.wait({closed}, timeout=pause_s)

    async def sips(self) -> None:
        """Take a byte now and then, until the server closes the connection."""
        try:
            while await self._reader.read(1):  # noqa: ASYNC110 - it reads slowly
                await asyncio.sleep(0.2)
        except ConnectionError:
            pass

    def close(self) -> None:
        """Hang up."""
        self._writer.close()


async def connect(port: int, receive_buffer: int | None = None) -> Peer:
    """A new connection to a port on loopback."""
    sock = socket.socket()
    sock.setblocking(False)
    if receive_buffer is not None:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
    await asyncio.get_running_loop().sock_connect(sock, ("127.0.0.1", port))
    return Peer(*await asyncio.open_connection(sock=sock, limit=8192))


class Street:
    """The server under attack."""

    def __init__(self, port: int, server: Server) -> None:
        self.port = port
        self._server = server
        self._peers: list[Peer] = []

    @property
    def connections(self) -> int:
        """How many are open."""
        return len(self._server.server_state.connections)

    async def connect(self, *, receive_buffer: int | None = None) -> Peer:
        """A new connection; a small receive buffer makes a peer that takes little unless it reads."""
        peer = await connect(self.port, receive_buffer)
        self._peers.append(peer)
        return peer

    async def ask(self, *parts: bytes) -> Answer:
        """The answer to these bytes on a connection of their own."""
        peer = await self.connect()
        await peer.send(*parts)
        return await peer.answer()

    def hang_up(self) -> None:
        """Close what is left of the peers."""
        for peer in self._peers:
            peer.close()


@asynccontextmanager
async def served(made: FastAPI, limits: Limits = PATIENT, *, send_buffer: int | None = None) -> AsyncIterator[Street]:
    """An app behind a server with these limits; `send_buffer` is how much of an answer the system takes from it."""
    config = server_settings(made, limits=limits, door=Door(limits.connections))
    config.load()
    server = Server(config)
    server.lifespan = config.lifespan_class(config)
    with socket.create_server(("127.0.0.1", 0)) as listener:
        if send_buffer is not None:
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, send_buffer)
        await server.startup(sockets=[listener])
        await server.on_tick(0)  # the headers of all answers
        street = Street(listener.getsockname()[1], server)
        try:
            yield street
        finally:
            street.hang_up()
            await server.shutdown(sockets=[listener])


async def until(holds: Callable[[], bool]) -> None:
    """Wait for what the server tells nobody."""
    while not holds():  # noqa: ASYNC110
        await asyncio.sleep(SHORT_S / 20)


def run(story: Callable[[], Coroutine[Any, Any, None]]) -> None:
    """Run a story; one that hangs fails."""

    async def main() -> None:
        async with asyncio.timeout(LONG_S / 2):
            await story()

    asyncio.run(main())
