"""An operator that is killed: before a write to the cluster or the registry, when it has had so many."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any

from tests.operator.world import World
from wattmesh_beckn.transport import Reply
from wattmesh_operator.cluster.objects import Object
from wattmesh_operator.controller.reconcile import Reconciler

_WRITES = ("apply", "create", "delete", "set_status")


class Mortal:
    """The operator's way to the cluster and to gateways."""

    def __init__(self, world: World, writes: int) -> None:
        self._world = world
        self._left = writes
        self.died = asyncio.Event()

    def __getattr__(self, name: str) -> Any:
        method = getattr(self._world.cluster, name)
        if name not in _WRITES:
            return method

        async def write(item: Object, *more: Any) -> Any:
            await self._live_on()
            return await method(item, *more)

        return write

    async def post(self, url: str, body: bytes, headers: Mapping[str, str], *, timeout_s: float) -> Reply:
        if url.endswith("/subscribe"):
            await self._live_on()
        return await self._world.post(url, body, headers, timeout_s=timeout_s)

    async def _live_on(self) -> None:
        if self._left == 0:
            self.died.set()
            await asyncio.Event().wait()
        self._left -= 1


async def operate(world: World, writes: int) -> bool:
    """Passes of a new operator until it has nothing more to do, or until it is killed: whether it was."""
    mortal = Mortal(world, writes)
    reconciler = Reconciler(world.namespace, mortal, mortal, world, world.clock, world.settings)

    async def work() -> None:
        while (await reconciler.run()).again_in_s is not None:
            await world.clock.sleep(3)

    working, dying = asyncio.ensure_future(work()), asyncio.ensure_future(mortal.died.wait())
    await asyncio.wait([working, dying], return_when=asyncio.FIRST_COMPLETED)
    for task in (working, dying):
        task.cancel()
    await asyncio.gather(working, dying, return_exceptions=True)
    return mortal.died.is_set()
