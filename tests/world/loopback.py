"""Real HTTP among sites of this process: each listens on loopback and is reached by name."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from contextlib import AbstractAsyncContextManager

from fastapi import FastAPI

from wattmesh_beckn.http import add_post
from wattmesh_beckn.transport import HttpTransport, Reply, Site, TransportError
from wattmesh_cli.street.local import listen, serving

PATIENCE_S = 60.0
"""Of a request, in real time: only a broken test ever waits that long."""


class Loopback:
    """Transport and Pages with a table of names in the place of DNS: whoever is not in it is not reached, but for
    loopback. `sent` keeps every url and header that left.
    """

    def __init__(self) -> None:
        self._http = HttpTransport()
        self._servers: dict[str, AbstractAsyncContextManager[None]] = {}
        self.origins: dict[str, str] = {}
        self.under_way = 0
        self.sent: list[tuple[str, Mapping[str, str]]] = []

    async def close(self) -> None:
        await self._http.close()
        await asyncio.gather(*(server.__aexit__(None, None, None) for server in self._servers.values()))

    async def serve(self, name: str, app: FastAPI) -> str:
        """Serve an app under a name, in the place of whoever had it; returns where it really is."""
        if name in self._servers:
            await self._servers[name].__aexit__(None, None, None)
        listener = listen()
        server = self._servers[name] = serving(app, listener)
        await server.__aenter__()
        host, port = listener.getsockname()
        self.origins[name] = f"http://{host}:{port}"
        return self.origins[name]

    async def listen(self, name: str, site: Site) -> str:
        """Let a site answer whatever is posted to a name."""
        app = FastAPI()
        add_post(app, site, "/{path:path}", name, {})
        return await self.serve(name, app)

    async def post(self, url: str, body: bytes, headers: Mapping[str, str], *, timeout_s: float) -> Reply:  # noqa: ARG002
        """See Transport. Time stands still meanwhile, so no answer comes too late."""
        self.sent.append((url, headers))
        real = self._where(url)
        self.under_way += 1
        try:
            all_headers = {"content-type": "application/json", **headers}
            return await self._http.post(real, body, all_headers, timeout_s=PATIENCE_S)
        finally:
            self.under_way -= 1

    async def get(self, url: str, *, timeout_s: float, headers: Mapping[str, str] | None = None) -> Reply:  # noqa: ARG002 - as above
        """See Pages."""
        self.sent.append((url, headers or {}))
        return await self._http.get(self._where(url), timeout_s=PATIENCE_S, headers=headers)

    def _where(self, url: str) -> str:
        scheme, _, rest = url.partition("://")
        host, slash, path = rest.partition("/")
        if not host.startswith("127.0.0.1:") and host not in self.origins:
            raise TransportError(f"nobody is called {host}")
        return f"{self.origins.get(host, f'{scheme}://{host}')}{slash}{path}"
