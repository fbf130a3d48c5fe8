"""Asking pods how their households stand, and remembering what they said last."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from wattmesh_beckn.transport import Pages, Reply, TransportError
from wattmesh_common.clock import Clock
from wattmesh_common.pod_pages import PartyStatus, read_status
from wattmesh_common.slim import slim

SILENT_S = 30.0
"""How long a pod that is up may not answer before that is told: its own probes are quicker where it is down."""
_TIMEOUT_S = 2.0
_PATIENCE_S = 0.3
"""How long a pass waits for answers. Who takes longer is heard of by the next pass."""
_FRESH_S = 1.0
"""Within that a pod that has answered is not asked again, however often its namespace changes."""
_AT_ONCE = 50


@dataclass(frozen=True)
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


@dataclass(frozen=True)
class _Answer:
    """What is known of a pod: when it answered last (wall time), and the digest of that answer."""

    heard: Heard = Heard()
    at: float = float("-inf")
    digest: bytes = b""

    def is_fresh(self, now: float) -> bool:
        """Whether it need not be asked again yet."""
        return self.heard.silent_since is None and now - self.at < _FRESH_S


_NOTHING = _Answer()


class Poller:
    """Reads the status pages of the pods of one namespace."""

    def __init__(self, pages: Pages, clock: Clock) -> None:
        self._pages = pages
        self._clock = clock
        self._last: dict[str, _Answer] = {}
        self._asking: dict[str, asyncio.Task[None]] = {}
        self._room = asyncio.Semaphore(_AT_ONCE)

    async def poll(self, urls: Mapping[str, str]) -> dict[str, Heard]:
        """What the pods at these URLs, by name, say now, or said last; others are forgotten.

        A pod that does not answer holds nobody up: it is asked on while the pass goes on without it.
        """
        wanted = {*urls.values()}
        for url in self._last.keys() - wanted:
            del self._last[url]
        for url in self._asking.keys() - wanted:
            self._asking.pop(url).cancel()
        now = self._clock.wall()
        for url in wanted - self._asking.keys():
            if not self._last.get(url, _NOTHING).is_fresh(now):
                self._asking[url] = asyncio.create_task(self._ask(url))
        if self._asking:
            done, _ = await asyncio.wait(self._asking.values(), timeout=_PATIENCE_S)
            for task in done:
                task.result()
        return {name: self._last.get(url, _NOTHING).heard for name, url in urls.items()}

    async def _ask(self, url: str) -> None:
        try:
            async with self._room:
                reply = await self._pages.get(f"{url}/status", timeout_s=_TIMEOUT_S)
            self._last[url] = self._answer(url, reply)
        except (TransportError, ValueError):
            last, now = self._last.get(url, _NOTHING), self._clock.wall()
            since = now if last.heard.silent_since is None else last.heard.silent_since
            self._last[url] = replace(last, heard=replace(last.heard, silent_since=since))
        finally:
            if self._asking.get(url) is asyncio.current_task():
                del self._asking[url]

    def _answer(self, url: str, reply: Reply) -> _Answer:
        if reply.status != 200:
            raise TransportError(f"{url}/status answered {reply.status}")
        last, now, digest = self._last.get(url, _NOTHING), self._clock.wall(), hashlib.blake2b(reply.body).digest()
        if last.digest == digest:
            # The same objects as before: what is made of them is not made anew.
            return replace(last, heard=Heard(last.heard.parties), at=now)
        return _Answer(Heard({party.name: slim(party) for party in read_status(reply.body)}), now, digest)
