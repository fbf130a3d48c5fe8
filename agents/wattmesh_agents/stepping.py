"""Running a pod's steps, each at the present moment: no fault stops the pod, what the disk refuses goes on later."""

from __future__ import annotations

import asyncio
import logging
import sqlite3
from collections.abc import Callable, Coroutine
from typing import Any

from wattmesh_agents.metrics import PodMetrics
from wattmesh_agents.store.transactions import Store
from wattmesh_common.clock import Clock, GridClock
from wattmesh_market.parties.party import Now

log = logging.getLogger(__name__)

REFUSED_RETRY_S = 1.0
"""How long until a step that the disk refused is tried again (wall time)."""


class Steps:
    """Moves `now` before each step, and has the pod's tasks."""

    def __init__(self, clock: Clock, grid: GridClock, now: Now, store: Store, metrics: PodMetrics) -> None:
        self._clock = clock
        self._grid = grid
        self._now = now
        self._store = store
        self._metrics = metrics
        self.tasks: set[asyncio.Task[None]] = set()
        """What is done beside the rest."""
        self.move()

    def move(self) -> None:
        """Look at the clock."""
        wall_s = self._clock.wall()
        self._now.move(int(wall_s * 1000), self._grid.time.at(wall_s))

    def run(self, who: str, step: Callable[[], object]) -> bool:
        """Run a step; a fault in it is told and counted, and the rest goes on.

        False when the disk refused it: then nothing of it has happened, and it may be tried again.
        """
        known = self._store.refusal
        self.move()
        try:
            step()
        except sqlite3.OperationalError as error:
            self._metrics.refused.inc()
            if known is None:
                log.error("the database cannot be written, tries go on: %s", error)
            return False
        except Exception:
            self._metrics.faults.inc()
            log.exception("fault at %s", who)
        if known is not None and self._store.refusal is None:
            log.warning("the database can be written again")
        return True

    def run_or_later(self, who: str, step: Callable[[], object], end: float = float("inf")) -> None:
        """Run a step, or do so as soon as the disk takes it, but not after `end` (wall time)."""
        if not self.run(who, step):
            self.spawn(self._until_done(who, step, end))

    async def _until_done(self, who: str, step: Callable[[], object], end: float) -> None:
        while True:
            await self._clock.sleep(REFUSED_RETRY_S)
            if self._clock.wall() >= end or self.run(who, step):
                return

    def spawn(self, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        """Do something beside the rest, until it has ended or the pod stops."""
        task = asyncio.get_running_loop().create_task(work)
        self.tasks.add(task)
        task.add_done_callback(self.tasks.discard)
        return task

    async def stop(self) -> None:
        """End all that is done beside the rest."""
        tasks = tuple(self.tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
