"""Time in tests: of an event loop that jumps from alarm to alarm, and of clocks that are moved by hand."""

from __future__ import annotations

import asyncio
import heapq
import itertools
import selectors
from collections.abc import Callable, Coroutine
from functools import partial
from typing import Any, TypeVar

import async_solipsism

T = TypeVar("T")
LONGEST_ANSWER_S = 30.0
QUIET_ROUNDS = 25
"""Rounds of the event loop without a request under way, after which nobody has anything to do."""


def run(main: Coroutine[Any, Any, T], held: Callable[[], int] | None = None) -> T:
    """Run a coroutine in virtual time, which stands at 0 when it starts, and where `held` counts what is waited for
    outside while it is not 0.
    """
    factory = async_solipsism.EventLoop if held is None else partial(HeldLoop, held)
    with asyncio.Runner(loop_factory=factory) as runner:
        return runner.run(main)


class HeldLoop(asyncio.SelectorEventLoop):
    """Virtual time with real connections: it jumps to the next alarm when nothing outside is waited for."""

    def __init__(self, held: Callable[[], int]) -> None:
        self.now = 0.0
        super().__init__(_Jumping(self, held))

    def time(self) -> float:
        """Seconds since the start."""
        return self.now


class _Jumping(selectors.DefaultSelector):
    def __init__(self, loop: HeldLoop, held: Callable[[], int]) -> None:
        super().__init__()
        self._loop = loop
        self._held = held

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        if timeout == 0:
            return super().select(0)
        if self._held():
            found = super().select(LONGEST_ANSWER_S)
            assert found, "who is waited for does not answer"
            return found
        assert timeout is not None, "everybody waits for ever"
        self._loop.now += timeout
        return super().select(0)


def at_once(work: Coroutine[Any, Any, T]) -> T:
    """What a coroutine gives that waits for nothing, as none does that reads or writes a registry in SQLite."""
    try:
        work.send(None)
    except StopIteration as done:
        return done.value  # type: ignore[no-any-return]
    work.close()
    raise AssertionError("it waits for something")


class StillClock:
    """Stands still until it is moved; nobody may wait for it."""

    def __init__(self, now: float) -> None:
        self.now = now
        self.stood_s = 0.0
        """How long it has stood while the machine's went on."""

    def wall(self) -> float:
        return self.now

    def machine(self) -> float:
        return self.now + self.stood_s

    async def sleep(self, seconds: float) -> None:
        raise AssertionError(f"nothing waits here, not even {seconds} s")


class HeldClock(StillClock):
    """Stands still while real connections do their work, and goes on from alarm to alarm when time may pass."""

    def __init__(self, now: float, under_way: Callable[[], int]) -> None:
        super().__init__(now)
        self._under_way = under_way
        self._alarms: list[tuple[float, int, asyncio.Future[None]]] = []
        self._numbers = itertools.count()

    async def sleep(self, seconds: float) -> None:
        if seconds <= 0:
            await asyncio.sleep(0)
            return
        alarm: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        heapq.heappush(self._alarms, (self.now + seconds, next(self._numbers), alarm))
        await alarm

    async def go_on(self, seconds: float) -> None:
        """Let time pass, and everybody do what falls due in it."""
        until = self.now + seconds
        await self.settle()
        while self._alarms and self._alarms[0][0] <= until:
            due, _, alarm = heapq.heappop(self._alarms)
            if not alarm.done():
                self.now = max(self.now, due)
                alarm.set_result(None)
                await self.settle()
        self.now = until

    async def settle(self) -> None:
        """Wait until nobody has anything to do before time passes."""
        quiet = 0
        while quiet < QUIET_ROUNDS:
            await asyncio.sleep(0)
            quiet = 0 if self._under_way() else quiet + 1
