"""Reminders of a pod's parties, at grid times, in memory: whoever starts asks for them anew."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from heapq import heappop, heappush

from wattmesh_common.clock import GridClock
from wattmesh_market.parties.books import Alarm

_EARLY_S = 1e-6
"""What a float of unix seconds can tell apart."""


class Alarms:
    """Rings each reminder when its time has come: the earliest first, among equals by party."""

    def __init__(self, grid: GridClock, ring: Callable[[str, Alarm], None]) -> None:
        self._grid = grid
        self._ring = ring
        self._waiting: list[tuple[float, str, int, Alarm]] = []
        self._due: dict[tuple[str, Alarm], float] = {}
        self._count = 0
        self._earlier = asyncio.Event()

    def set(self, party: str, alarm: Alarm, due_s: float) -> None:
        """Remind `party` at a grid time; an earlier reminder of the same thing is replaced."""
        self._due[party, alarm] = due_s
        self._count += 1
        heappush(self._waiting, (due_s, party, self._count, alarm))
        if self._waiting[0][2] == self._count:
            self._earlier.set()

    async def run(self) -> None:
        """Ring until cancelled."""
        while True:
            self._earlier.clear()
            while self._waiting and self._grid.wall_at(self._waiting[0][0]) <= self._grid.clock.wall() + _EARLY_S:
                due_s, party, _, alarm = heappop(self._waiting)
                if self._due.get((party, alarm)) == due_s:
                    del self._due[party, alarm]
                    self._ring(party, alarm)
                    await asyncio.sleep(0)  # what it says is sent before the next one rings
            await self._until_due()

    async def _until_due(self) -> None:
        if not self._waiting:
            await self._earlier.wait()
            return
        sleeping = asyncio.ensure_future(self._grid.sleep_until(self._waiting[0][0]))
        waking = asyncio.ensure_future(self._earlier.wait())
        try:
            await asyncio.wait((sleeping, waking), return_when=asyncio.FIRST_COMPLETED)
        finally:
            sleeping.cancel()
            waking.cancel()
