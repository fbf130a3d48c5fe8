"""Letting go of a database whose place a copy is to take."""

from __future__ import annotations

import asyncio
import logging
from pathlib import Path

from wattmesh_agents.pod import Pod
from wattmesh_agents.store.copies import ready
from wattmesh_common.clock import Clock

log = logging.getLogger(__name__)

LOOK_S = 0.5


class Replaced:
    """Has a pod let go of its database as soon as a copy is laid ready."""

    def __init__(self, pod: Pod, database: Path, clock: Clock) -> None:
        self._pod = pod
        self._copy = ready(database)
        self._clock = clock

    async def keep(self) -> None:
        """Look until one is."""
        while not await asyncio.to_thread(self._copy.exists):
            await self._clock.sleep(LOOK_S)
        log.warning("these books are being restored from a copy: nothing more happens here until the next start")
        await self._pod.let_go()
