"""The clock of a street on one machine: it waits for messages that are under way, so a slow machine trades the same.

All pods of a street in one process share it. Grid time then runs at most at its speed: it stands still from the moment
that something is said until it is answered, but for no more than `MOST_HELD_S` in a slot, and it stops at each moment
that somebody sleeps until. What is not done after `MOST_HELD_S` misses its gate and is counted.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from heapq import heappop, heappush

from wattmesh_common.clock import Clock

MOST_HELD_S = 3.0
"""How long a slot is held at most (wall time)."""
_LOOK_S = 0.001
_SELDOM_S = 0.02
"""How often time goes on, by the machine's clock: a thousand times in a slot, within these bounds."""


_LATE_S = 1e-6
"""Nobody is woken earlier, as by no other clock: seconds in a float are rounded, and grid time must have come."""


class WaitingClock:
    """The time of `clock`, less what it has stood still. It goes on while `run` runs."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._now = clock.wall()
        self._seen = self._now
        self._ahead_s = 0.0
        """How much further time may go, by the machine's clock."""
        self._sleeping: list[tuple[float, int, asyncio.Future[None]]] = []
        self._slept = 0
        self._slot_s = float("inf")
        self._slot = 0
        self._held_s = 0.0
        self._under_way: Callable[[], bool] = lambda: False

    def wait_for(self, under_way: Callable[[], bool], slot_s: float) -> None:
        """From now on stand still as long as `under_way` says so; a slot lasts `slot_s` (wall time)."""
        self._under_way, self._slot_s = under_way, slot_s

    def wall(self) -> float:
        """Seconds since the unix epoch, less what time has stood still."""
        return self._now

    def machine(self) -> float:
        """Seconds since the unix epoch."""
        return self._clock.machine()

    async def sleep(self, seconds: float) -> None:
        """Wait until that much time has passed."""
        self._slept += 1
        awake = asyncio.get_running_loop().create_future()
        heappush(self._sleeping, (self._now + max(0.0, seconds) + _LATE_S, self._slept, awake))
        await awake

    async def run(self) -> None:
        """Let time go on from now on, until cancelled."""
        self._seen = self._clock.wall()
        while True:
            await self._clock.sleep(min(_SELDOM_S, max(_LOOK_S, self._slot_s / 1000)))
            machine = self._clock.wall()
            passed_s, self._seen = max(0.0, machine - self._seen), machine  # it may be set back
            if self._held_s < MOST_HELD_S and self._under_way():
                self._held_s += passed_s
                continue
            self._ahead_s += passed_s
            while self._ahead_s > 0 and not (self._held_s < MOST_HELD_S and self._under_way()):
                self._go_on()
                await asyncio.sleep(0)  # who was woken acts now,
                await asyncio.sleep(0)  # and what it says is under way

    def _go_on(self) -> None:
        """Go on to the next moment that somebody sleeps until, or as far as the machine's clock has come."""
        before = self._now
        self._now += self._ahead_s
        if self._sleeping:
            self._now = max(before, min(self._now, self._sleeping[0][0]))
        self._ahead_s -= self._now - before
        while self._sleeping and self._sleeping[0][0] <= self._now:
            awake = heappop(self._sleeping)[2]
            if not awake.done():
                awake.set_result(None)
        if (slot := int(self._now / self._slot_s)) != self._slot:
            self._slot, self._held_s = slot, 0.0
