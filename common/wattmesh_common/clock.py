"""Time: the Clock port, its two implementations, and grid time.

Wall time (unix seconds) dates messages and signatures; grid time dates delivery slots. Nothing else in wattmesh
reads a clock or sleeps.
"""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Protocol

from wattmesh_market.energy.grid_time import GridTime


def stopwatch() -> float:
    """Seconds since some moment, of this machine, whatever its clock is set to: to measure how long something takes."""
    return time.perf_counter()


class Clock(Protocol):
    """Where time comes from and how to wait."""

    def wall(self) -> float:
        """Seconds since the unix epoch."""
        ...

    def machine(self) -> float:
        """What other machines' clocks say now, unix seconds: signatures and registries go by it.

        `wall`, but for a clock that stands still at times and is behind from then on.
        """
        ...

    async def sleep(self, seconds: float) -> None:
        """Wait that many wall seconds; not at all when negative."""
        ...


class SystemClock:
    """The machine's own clock."""

    def wall(self) -> float:
        """Seconds since the unix epoch."""
        return time.time()

    def machine(self) -> float:
        """The same."""
        return time.time()

    async def sleep(self, seconds: float) -> None:
        """Wait by the event loop's timer."""
        await asyncio.sleep(max(0.0, seconds))


class LoopClock:
    """The running event loop's time counted from `epoch`: with a loop of virtual time, a virtual clock."""

    def __init__(self, epoch: float) -> None:
        self._epoch = epoch

    def wall(self) -> float:
        """`epoch` plus the seconds that the loop says have passed."""
        return self._epoch + asyncio.get_running_loop().time()

    def machine(self) -> float:
        """The same."""
        return self.wall()

    async def sleep(self, seconds: float) -> None:
        """Wait by the event loop's timer, in pieces: a loop of virtual time takes a day's sleep for a deadlock."""
        while seconds > _PIECE_S:
            await asyncio.sleep(_PIECE_S)
            seconds -= _PIECE_S
        await asyncio.sleep(max(0.0, seconds))


_PIECE_S = 3600.0


@dataclass(frozen=True)
class GridClock:
    """What grid time it is by a clock, and waiting for it."""

    clock: Clock
    time: GridTime

    def now(self) -> float:
        """Grid time now, unix seconds."""
        return self.time.at(self.clock.wall())

    def wall_at(self, grid_s: float) -> float:
        """The wall time at which grid time is `grid_s`."""
        return self.time.wall_at(grid_s)

    async def sleep_until(self, grid_s: float) -> None:
        """Wait until grid time is `grid_s` or later."""
        while (seconds := self.wall_at(grid_s) - self.clock.wall()) > 0:
            await self.clock.sleep(seconds)
            if self.wall_at(grid_s) - self.clock.wall() < 1e-6:  # what a float of unix seconds can tell apart
                return


def utc(unix_s: float) -> datetime:
    """Unix seconds as a datetime in UTC."""
    return datetime.fromtimestamp(unix_s, UTC)


def rfc3339(unix_s: float) -> str:
    """Unix seconds as RFC 3339 text in UTC with milliseconds."""
    return utc(unix_s).isoformat(timespec="milliseconds").replace("+00:00", "Z")
