"""Grid time, which dates delivery slots, from wall time, which dates messages."""

from __future__ import annotations

from typing import NamedTuple


class GridTime(NamedTuple):
    """Grid time = `start_s` + (wall time - `epoch_s`) x `speed`; both in unix seconds.

    `utc_offset_s` is the local time zone, which time-of-use periods and daily load follow. No slot that starts at or
    after `end_s` is traded.
    """

    start_s: float
    epoch_s: float
    speed: float
    utc_offset_s: int = 0
    end_s: float | None = None

    def at(self, wall_s: float) -> float:
        """Grid time at a wall time."""
        return self.start_s + (wall_s - self.epoch_s) * self.speed

    def wall_at(self, grid_s: float) -> float:
        """The wall time at which grid time is `grid_s`."""
        return self.epoch_s + (grid_s - self.start_s) / self.speed

    def wall_ms(self, grid_s: float) -> int:
        """The wall time, in whole milliseconds, rounded down, at which grid time is `grid_s`."""
        return int(self.wall_at(grid_s) * 1000)
