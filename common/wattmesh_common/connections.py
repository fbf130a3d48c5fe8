"""HTTP/1.1 connections that a hostile peer cannot hold for ever, fill with bytes, or take from the others.

uvicorn has no limit on the time and size of a request's head, and none on how long an answer may wait to be read.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from enum import Enum, auto
from typing import Any, cast

import httptools
from fastapi import FastAPI
from uvicorn import Config
from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol
from uvicorn.server import ServerState


@dataclass(frozen=True)
class Limits:
    """What a peer is given: seconds, bytes and numbers."""

    head_s: float = 10.0
    """From the connection, or a request's first byte, to the end of its head. Honest ones send it in one packet."""
    idle_s: float = 15.0
    """Between two requests. Longer than wattmesh's own client keeps a connection, so that it is the one who closes."""
    discard_s: float = 2.0
    """For the rest of a body that was answered unread, so that the answer can still be taken."""
    answer_s: float = 60.0
    """To read an answer. A ledger of many megabytes goes over a slow line in that time."""
    head_bytes: int = 32 * 1024
    """Request line and headers. A signed message has less than 1 KiB of them."""
    headers: int = 100
    connections: int = 512
    """Open ones in a process: half of the 1,024 file descriptors that it commonly may have."""


class Door:
    """Counts the open connections of one or more servers and makes room for new ones.

    At the limit, the one that has been waiting for its peer for longest is closed. One that is being answered never is.
    """

    def __init__(self, most: int) -> None:
        self._most = most
        self._open: set[GuardedProtocol] = set()
        self._waiting: dict[GuardedProtocol, None] = {}

    def enter(self, connection: GuardedProtocol) -> bool:
        """Whether there is room for a new connection."""
        if len(self._open) >= self._most:
            oldest = next(iter(self._waiting), None)
            if oldest is None:
                return False
            self.leave(oldest)
            oldest.transport.abort()
        self._open.add(connection)
        return True

    def leave(self, connection: GuardedProtocol) -> None:
        """Count a connection no more."""
        self._open.discard(connection)
        self._waiting.pop(connection, None)

    def wait(self, connection: GuardedProtocol) -> None:
        """A connection begins to wait for its peer."""
        if connection in self._open:
            self._waiting.pop(connection, None)
            self._waiting[connection] = None

    def work(self, connection: GuardedProtocol) -> None:
        """A connection has all it needs from its peer for now."""
        self._waiting.pop(connection, None)


class GuardedConfig(Config):
    """uvicorn's settings, with what the protocol needs."""

    def __init__(self, app: FastAPI, limits: Limits, door: Door, **settings: Any) -> None:
        super().__init__(app, http=GuardedProtocol, **settings)
        self.limits = limits
        self.door = door
        self.stopping = asyncio.Event()
        """Set when the server begins to stop: an answer without an end (server-sent events) ends then."""
        app.state.stopping = self.stopping


class _Phase(Enum):
    """What a connection waits for."""

    NEW = auto()
    HEAD = auto()
    BODY = auto()
    APP = auto()
    DISCARD = auto()
    ANSWER_READ = auto()
    IDLE = auto()


class GuardedProtocol(HttpToolsProtocol):
    """uvicorn's HTTP/1.1 with limits on time and size, one request at a time, and no change to another protocol.

    A request that comes while the one before has no answer is not read: the connection is closed after that answer, and
    the sender asks again (RFC 9112, 9.3.2). So no peer can make a queue in memory.
    """

    def __init__(
        self,
        config: Config,
        server_state: ServerState,
        app_state: dict[str, Any],
        _loop: asyncio.AbstractEventLoop | None = None,
    ) -> None:
        super().__init__(config, server_state, app_state, _loop)
        guarded = cast(GuardedConfig, config)
        self._limits = guarded.limits
        self._door = guarded.door
        self._stopping = guarded.stopping
        self._phase = _Phase.NEW
        self._timer: asyncio.TimerHandle | None = None
        self._in_head = True
        self._in_body = False
        self._parsed_bytes = 0
        self._received_bytes = 0
        """In this head; more than what is parsed while a header has no end yet."""
        self._refused_with = 400

    # --- the connection ---

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """See asyncio.Protocol."""
        super().connection_made(transport)
        if self._door.enter(self):
            self._watch()
        else:
            transport.abort()

    def connection_lost(self, exc: Exception | None) -> None:
        """See asyncio.Protocol."""
        self._door.leave(self)
        self._set_timer(None)
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """See asyncio.Protocol."""
        if self.transport.is_closing():
            return
        if self._phase is _Phase.IDLE:
            self._begin_head()
        was_in_head = self._in_head
        try:
            self.parser.feed_data(data)
        except httptools.HttpParserUpgrade:
            pass  # answered in HTTP/1.1; what follows is not read
        except httptools.HttpParserError:
            self._refuse()
        else:
            if was_in_head and self._in_head:
                self._received_bytes += len(data)
                if self._received_bytes > self._limits.head_bytes:
                    self._refused_with = 431
                    self._refuse()
        self._watch()

    def pause_writing(self) -> None:
        """See asyncio.Protocol."""
        super().pause_writing()
        self._watch()

    def resume_writing(self) -> None:
        """See asyncio.Protocol."""
        super().resume_writing()
        self._watch()

    def shutdown(self) -> None:
        """See HttpToolsProtocol."""
        self._stopping.set()
        super().shutdown()
        self._watch()

    # --- the request, as the parser reads it ---

    def on_message_begin(self) -> None:
        """Called by the parser; an exception makes it stop."""
        if self._answering:
            raise _Refused
        super().on_message_begin()
        self._begin_head()

    def on_url(self, url: bytes) -> None:
        """Called by the parser with a part of the request's target."""
        self._count(len(url))
        super().on_url(url)

    def on_header(self, name: bytes, value: bytes) -> None:
        """Called by the parser for each header."""
        self._count(len(name) + len(value))
        super().on_header(name, value)
        if len(self.headers) > self._limits.headers:
            self._refused_with = 431
            raise _Refused
        if name.lower() == b"transfer-encoding" and value.lower() != b"chunked":
            raise _Refused

    def on_headers_complete(self) -> None:
        """Called by the parser; starts the application."""
        if self.parser.get_http_version() not in ("1.0", "1.1"):
            raise _Refused
        super().on_headers_complete()
        self._in_head, self._in_body = False, True
        if self.parser.should_upgrade():
            self.cycle.keep_alive = False

    def on_message_complete(self) -> None:
        """Called by the parser at the end of the body."""
        super().on_message_complete()
        self._in_body = False

    def on_response_complete(self) -> None:
        """Called when the whole answer is written."""
        self.server_state.total_requests += 1
        if not self.transport.is_closing():
            self.flow.resume_reading()
        self._watch()

    # --- limits ---

    @property
    def _answering(self) -> bool:
        return self.cycle is not None and not self.cycle.response_complete

    def _begin_head(self) -> None:
        self._in_head = True
        self._parsed_bytes = self._received_bytes = 0

    def _count(self, size: int) -> None:
        self._parsed_bytes += size
        if self._parsed_bytes > self._limits.head_bytes:
            self._refused_with = 431
            raise _Refused

    def _refuse(self) -> None:
        """Close, after an answer: to this request, or to the one before if that still has none."""
        if self._answering and not self._in_body:
            self.cycle.keep_alive = False
            self.flow.pause_reading()
            return
        if not self._in_body or self._answering:
            status = STATUS_LINE[self._refused_with]
            self.transport.write(status + b"content-length: 0\r\nconnection: close\r\n\r\n")
        self.transport.close()

    def _watch(self) -> None:
        """Give the peer its time for what is expected of it."""
        phase = self._expected()
        if phase is self._phase:
            return
        self._phase = phase
        limits = self._limits
        match phase:
            case _Phase.HEAD:
                self._set_timer(limits.head_s)
            case _Phase.IDLE:
                self._set_timer(limits.idle_s)
            case _Phase.DISCARD:
                self._set_timer(limits.discard_s)
            case _Phase.ANSWER_READ:
                self._set_timer(limits.answer_s)
            case _:
                self._set_timer(None)  # a body's time is measured by its reader, which answers
        if phase is _Phase.APP:
            self._door.work(self)
        else:
            self._door.wait(self)

    def _expected(self) -> _Phase:
        if self.flow.write_paused or self.transport.is_closing():
            return _Phase.ANSWER_READ
        if self._answering:
            return _Phase.BODY if self._in_body else _Phase.APP
        if self._in_head:
            return _Phase.HEAD
        return _Phase.DISCARD if self._in_body else _Phase.IDLE

    def _set_timer(self, seconds: float | None) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._timer = None if seconds is None else self.loop.call_later(seconds, self.transport.abort)


class _Refused(Exception):
    """Stops the parser."""
