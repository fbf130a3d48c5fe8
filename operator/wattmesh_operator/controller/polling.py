"""Asking pods how their households stand, and remembering what they said last."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass, field

from wattmesh_beckn.transport import Pages, TransportError
from wattmesh_common.clock import Clock
from wattmesh_common.pod_pages import PartyStatus, read_status

SILENT_S = 30.0
"""How long a pod that is up may not answer before that is told: its own probes are quicker where it is down."""
_TIMEOUT_S = 2.0
_AT_ONCE = 50


@dataclass
class Heard:
    """What a pod said: its parties by name; and since which unix second it has been silent, None if it answers."""

    parties: Mapping[str, PartyStatus] = field(default_factory=dict)
    silent_since: float | None = None

    def of(self, name: str) -> PartyStatus | None:
        """What a party of the pod says now."""
        return self.parties.get(name) if self.silent_since is None else None

    def is_silent(self, now: float) -> bool:
        """Whether it has not answered for too long."""
        return self.silent_since is not None and now - self.silent_since >= SILENT_S


class Poller:
    """Reads the status pages of the pods of one namespace."""

    def __init__(self, pages: Pages, clock: Clock) -> None:
        self._pages = pages
        self._clock = clock
        self._heard: dict[str, Heard] = {}

    async def poll(self, urls: Mapping[str, str]) -> dict[str, Heard]:
        """What the pods at these URLs, by name, say now, or said last; others are forgotten."""
        asking = asyncio.Semaphore(_AT_ONCE)

        async def ask(url: str) -> Heard:
            async with asking:
                return await self._ask(url)

        heard = await asyncio.gather(*map(ask, urls.values()))
        self._heard = dict(zip(urls.values(), heard, strict=True))
        return dict(zip(urls, heard, strict=True))

    async def _ask(self, url: str) -> Heard:
        last = self._heard.get(url, Heard())
        try:
            reply = await self._pages.get(f"{url}/status", timeout_s=_TIMEOUT_S)
            if reply.status != 200:
                raise TransportError(f"{url}/status answered {reply.status}")
            return Heard({party.name: party for party in read_status(reply.body)})
        except (TransportError, ValueError):
            since = self._clock.wall() if last.silent_since is None else last.silent_since
            return Heard(last.parties, since)
