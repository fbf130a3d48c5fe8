"""The clock of a street on one machine: it waits for messages that are under way, so a slow machine trades the same.

All pods of a street in one process share it. Grid time then runs at most at its speed: it stands still from the moment
that something is said until it is answered, but for no more than `MOST_HELD_S` in a slot. What is not done by then
misses its gate and is counted.
"""

from __future__ import annotations

from collections.abc import Callable

from wattmesh_common.clock import Clock

MOST_HELD_S = 3.0
"""How long a slot is held at most (wall time)."""
_LOOK_S = 0.002
"""How often it is asked whether time goes on again (wall time)."""


class WaitingClock:
    """The time of `clock`, less what it has stood still. `slot_s` is how long a slot lasts (wall time)."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._seen = clock.wall()
        self._behind_s = 0.0
        self._slot_s = 0.0
        self._slot = 0
        self._held_s = 0.0
        self._under_way: Callable[[], bool] = lambda: False

    def wait_for(self, under_way: Callable[[], bool], slot_s: float) -> None:
        """From now on stand still as long as `under_way` says so; a slot lasts `slot_s` (wall time)."""
        self._under_way, self._slot_s = under_way, slot_s

    def wall(self) -> float:
        """Seconds since the unix epoch, less what time has stood still."""
        machine = self._clock.wall()
        if self._slot_s and self._held_s < MOST_HELD_S and self._under_way():
            self._behind_s += machine - self._seen
            self._held_s += machine - self._seen
        self._seen = machine
        now = machine - self._behind_s
        if self._slot_s and (slot := int(now / self._slot_s)) != self._slot:
            self._slot, self._held_s = slot, 0.0
        return now

    async def sleep(self, seconds: float) -> None:
        """Wait until that much time has passed."""
        end = self.wall() + seconds
        await self._clock.sleep(max(0.0, seconds))
        while (left_s := end - self.wall()) > 0:
            await self._clock.sleep(min(left_s, _LOOK_S) if self._under_way() else left_s)
