"""The Pages port: one HTTP GET, for what pods say of themselves."""

from __future__ import annotations

from typing import Protocol

import aiohttp

from wattmesh_beckn.transport import MAX_ANSWER_BYTES, TransportError, TransportTimeoutError


class Pages(Protocol):
    """Reads pages."""

    async def get(self, url: str, *, timeout_s: float) -> bytes:
        """The body of a page that answers 200; TransportError if none does within `timeout_s`."""
        ...


class HttpPages:
    """Pages over the network."""

    def __init__(self) -> None:
        self._session = aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=200))

    async def get(self, url: str, *, timeout_s: float) -> bytes:
        """See Pages. More than 1 MiB is an error."""
        timeout = aiohttp.ClientTimeout(total=timeout_s)
        try:
            async with self._session.get(url, timeout=timeout, allow_redirects=False) as response:
                if response.status != 200:
                    raise TransportError(f"{url} answered {response.status}")
                body = bytearray()
                async for chunk in response.content.iter_chunked(65536):
                    body += chunk
                    if len(body) > MAX_ANSWER_BYTES:
                        raise TransportError(f"{url}: the answer is more than {MAX_ANSWER_BYTES} bytes")
                return bytes(body)
        except TimeoutError:
            raise TransportTimeoutError(timeout_s) from None
        except (aiohttp.ClientError, OSError, ValueError) as error:
            raise TransportError(f"{url}: {error or type(error).__name__}") from None

    async def close(self) -> None:
        """Close all connections."""
        await self._session.close()
