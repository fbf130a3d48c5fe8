"""What goes wrong between the parts of a street in virtual time, as a plug between a transport and its users."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import suppress
from typing import Any

from wattmesh_beckn.transport import Reply, Site, Transport, TransportError, TransportTimeoutError
from wattmesh_cli.street.virtual_time import EPOCH
from wattmesh_common.clock import LoopClock

Wrap = Callable[[Transport, LoopClock], Transport]
FAULTS = ("lost", "answer lost", "late", "answer late", "doubled", "reordered", "refused")


class Faulty:
    """A transport on which, until `until` (wall time), `share` of the posts go wrong in one of the ways of FAULTS."""

    def __init__(
        self, inner: Transport, clock: LoopClock, rng: random.Random, kinds: Sequence[str], until: float, share: float
    ) -> None:
        self._inner = inner
        self._clock = clock
        self._rng = rng
        self._kinds = kinds
        self._until = until
        self._share = share
        self._tasks: set[asyncio.Task[None]] = set()
        self.done = 0

    async def post(self, url: str, body: bytes, headers: Mapping[str, str], *, timeout_s: float) -> Reply:
        wrong = EPOCH < self._clock.wall() < self._until and self._rng.random() < self._share
        kind = self._rng.choice(self._kinds) if wrong else "none"
        delay_s = self._rng.uniform(0.0, 0.4 if kind == "reordered" else 8.0)
        self.done += wrong

        def pass_on() -> Awaitable[Reply]:
            return self._inner.post(url, body, headers, timeout_s=timeout_s)

        async def later() -> None:
            await self._clock.sleep(delay_s)
            with suppress(TransportError):
                await pass_on()

        match kind:
            case "refused":
                raise TransportError("connection refused")
            case "lost":
                await self._clock.sleep(timeout_s)
                raise TransportTimeoutError(timeout_s)
            case "answer lost":
                await pass_on()
                await self._clock.sleep(timeout_s)
                raise TransportTimeoutError(timeout_s)
            case "late":
                if delay_s >= timeout_s:
                    self._beside(later())
                    await self._clock.sleep(timeout_s)
                    raise TransportTimeoutError(timeout_s)
                await self._clock.sleep(delay_s)
                return await pass_on()
            case "answer late":
                reply = await pass_on()
                await self._clock.sleep(min(delay_s, timeout_s))
                if delay_s >= timeout_s:
                    raise TransportTimeoutError(timeout_s)
                return reply
            case "doubled":
                self._beside(later())
                return await pass_on()
            case "reordered":
                await self._clock.sleep(delay_s)
                return await pass_on()
        return await pass_on()

    def _beside(self, work: Any) -> None:
        task = asyncio.ensure_future(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)


class Plug:
    """The socket of a pod or gateway: unplugged it refuses calls and breaks off those that are being answered."""

    def __init__(self, site: Site | None) -> None:
        self._site = site
        self._calls: set[asyncio.Task[Reply]] = set()

    async def post(self, path: str, body: bytes, headers: Mapping[str, str]) -> Reply:
        if self._site is None:
            raise TransportError("connection refused")
        call = asyncio.ensure_future(self._site.post(path, body, headers))
        self._calls.add(call)
        call.add_done_callback(self._calls.discard)
        try:
            return await asyncio.shield(call)
        except asyncio.CancelledError:
            if call.cancelled():
                raise TransportError("connection reset") from None
            raise

    def plug(self, site: Site | None) -> None:
        self._site = site
        if site is None:
            for call in self._calls:
                call.cancel()
