"""The Transport port, one HTTP POST: over the network by httpx, or inside one process without any. Pages: one GET."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache, lru_cache
from typing import Protocol

import aiohttp
import httpx
from httpx_aiohttp import AiohttpTransport

from wattmesh_beckn.addresses import guarded_socket

MAX_ANSWER_BYTES = 1024 * 1024
KEEP_ALIVE_S = 5.0
"""How long an idle connection is kept; less than wattmesh's servers keep it."""
_LONGEST_REASON = 300
_PLAIN = {"accept-encoding": "identity"}
"""A small compressed answer may unpack to any size."""


class TransportError(Exception):
    """No answer came: refused, timed out, broken off."""


class TransportTimeoutError(TransportError):
    """No answer came in time; the message may have arrived."""

    def __init__(self, timeout_s: float) -> None:
        super().__init__(f"no answer within {timeout_s:.3g} s")


@dataclass(frozen=True)
class Reply:
    """An HTTP answer. Header names are lower case. `refused` marks a NACK of ours."""

    status: int
    body: bytes
    headers: Mapping[str, str] = field(default_factory=dict)
    refused: bool = field(default=False, compare=False)


class Transport(Protocol):
    """Sends a body to a URL."""

    async def post(self, url: str, body: bytes, headers: Mapping[str, str], *, timeout_s: float) -> Reply:
        """POST and wait for the answer; TransportError when none comes within `timeout_s`."""
        ...


class Pages(Protocol):
    """Reads pages that are for looking at."""

    async def get(self, url: str, *, timeout_s: float, headers: Mapping[str, str] | None = None) -> Reply:
        """GET and wait for the answer; TransportError when none comes within `timeout_s`."""
        ...


class HttpTransport:
    """httpx's transport over a pool of kept-alive connections, with aiohttp's connection code beneath it.

    Both for speed: httpx's client would add cookies, redirects and authentication, none of which is wanted here. What a
    name resolves to is checked at each connection (`addresses`).
    """

    def __init__(self, *, connections: int = 200) -> None:
        def session() -> aiohttp.ClientSession:
            connector = aiohttp.TCPConnector(
                limit=connections, keepalive_timeout=KEEP_ALIVE_S, ssl=_tls(), socket_factory=guarded_socket
            )
            return aiohttp.ClientSession(connector=connector, cookie_jar=aiohttp.DummyCookieJar())

        self._transport = AiohttpTransport(verify=_tls(), client=session)

    async def post(self, url: str, body: bytes, headers: Mapping[str, str], *, timeout_s: float) -> Reply:
        """See Transport. An answer that is compressed, or more than 1 MiB, is an error; no redirect is followed."""
        return await self._ask("POST", url, body, headers, timeout_s)

    async def get(self, url: str, *, timeout_s: float, headers: Mapping[str, str] | None = None) -> Reply:
        """See Pages. The same limits hold."""
        return await self._ask("GET", url, b"", headers or {}, timeout_s)

    async def _ask(self, method: str, url: str, body: bytes, headers: Mapping[str, str], timeout_s: float) -> Reply:
        try:
            async with asyncio.timeout(timeout_s):
                request = httpx.Request(method, _url(url), content=body, headers={**headers, **_PLAIN})
                response = await self._transport.handle_async_request(request)
                try:
                    answer = await _read(response)
                finally:
                    await response.aclose()
        except TimeoutError:
            raise TransportTimeoutError(timeout_s) from None
        except (httpx.HTTPError, httpx.InvalidURL, aiohttp.ClientError, ValueError) as error:
            raise TransportError(str(error)[:_LONGEST_REASON] or type(error).__name__) from None
        return Reply(response.status_code, answer, {k.lower(): v for k, v in response.headers.items()})

    async def close(self) -> None:
        """Close all connections."""
        await self._transport.aclose()


@cache  # the certificates take 20 ms to read
def _tls() -> ssl.SSLContext:
    return httpx.create_ssl_context()


@lru_cache(maxsize=4096)
def _url(text: str) -> httpx.URL:
    url = httpx.URL(text)
    if url.scheme not in ("http", "https") or not url.host:
        raise httpx.InvalidURL(f"{text!r:.200} is no http URL")
    return url


async def _read(response: httpx.Response) -> bytes:
    if response.status_code < 200:
        raise TransportError(f"HTTP {response.status_code} is no answer")
    if response.headers.get("content-encoding", "identity").lower() != "identity":
        raise TransportError("the answer is compressed, which was not asked for")
    answer = bytearray()
    async for chunk in response.aiter_raw():
        answer += chunk
        if len(answer) > MAX_ANSWER_BYTES:
            raise TransportError(f"the answer is more than {MAX_ANSWER_BYTES} bytes")
    return bytes(answer)


class Site(Protocol):
    """Whatever answers POSTs below one address."""

    async def post(self, path: str, body: bytes, headers: Mapping[str, str]) -> Reply:
        """Answer a POST; header names are lower case."""
        ...


class MemoryTransport:
    """Hands each POST straight to the site that lives at the URL's origin."""

    def __init__(self) -> None:
        self._sites: dict[str, Site] = {}

    def attach(self, origin: str, site: Site) -> None:
        """Let `site` answer at `origin`, for example `http://rooftop-0`."""
        self._sites[origin] = site

    async def post(self, url: str, body: bytes, headers: Mapping[str, str], *, timeout_s: float) -> Reply:
        """See Transport."""
        scheme, _, rest = url.partition("://")
        host, _, path = rest.partition("/")
        site = self._sites.get(f"{scheme}://{host}")
        if site is None:
            raise TransportError(f"nobody listens at {scheme}://{host}")
        try:
            async with asyncio.timeout(timeout_s):
                return await site.post(f"/{path}", body, headers)
        except TimeoutError:
            raise TransportTimeoutError(timeout_s) from None
