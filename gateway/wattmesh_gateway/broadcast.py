"""The broadcast: each search to each of its sellers, with no seller able to delay another.

Searches wait in one short line per seller; sellers take turns. At most `PARALLEL` sends run at once, `PER_SELLER` of
them to one seller. After a pause few begin and soon more join them, so that the first offers are made while others are
still to be asked, also where sellers share a process. A seller that fails rests for a growing while and is then tried
with one search, and such trials together use only a part of the sends, so many dead sellers at once do not hold up the
live ones.
"""

from __future__ import annotations

import asyncio
import logging
import sys
from collections import deque
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import partial

from wattmesh_beckn.client import Acked, read_answer
from wattmesh_beckn.errors import busy
from wattmesh_beckn.transport import Transport, TransportError, TransportTimeoutError
from wattmesh_common.clock import Clock
from wattmesh_common.faultpoints import FaultPoint
from wattmesh_gateway.metrics import Metrics
from wattmesh_gateway.outcome import Outcome
from wattmesh_gateway.registry import Seller

PARALLEL = 64
FIRST_PARALLEL = 8
WIDENED_AFTER_S = 0.02
"""From `FIRST_PARALLEL` on, twice as many may run each time that this has passed."""
PARALLEL_TRIALS = 16
PER_SELLER = 4
MOST_WAITING = 10_000
"""(search, seller) pairs."""
MOST_WAITING_OF_ONE = 500
"""Searches that wait for one seller."""
MOST_WAITING_BYTES = 64 * 1024 * 1024
SELLER_TIMEOUT_S = 2.0
LONGEST_REST_S = 60.0
STOP_S = 5.0
"""How long a stop waits for what is under way."""

_log = logging.getLogger(__name__)


def rest_s(failures: int) -> float:
    """How long a seller rests after that many failures in a row: 1, 2, 4 … 60 s."""
    return min(LONGEST_REST_S, 2.0 ** min(failures - 1, 10))


@dataclass
class Cast:
    """A search on its way to its sellers; `expires_at` is unix seconds, `open` the pairs not yet settled."""

    body: bytes
    headers: Mapping[str, str] = field(repr=False)
    expires_at: float
    open: int = 0


@dataclass
class _Line:
    """What waits for one seller and how it has been doing."""

    url: str
    waiting: deque[Cast] = field(default_factory=deque)
    in_flight: int = 0
    failures: int = 0
    rests_until: float = float("-inf")
    ready: bool = False

    @property
    def idle(self) -> bool:
        return not self.waiting and not self.in_flight


class Broadcast:
    """Sends searches to sellers."""

    def __init__(self, transport: Transport, clock: Clock, metrics: Metrics) -> None:
        self._transport = transport
        self._clock = clock
        self._metrics = metrics
        self._lines: dict[str, _Line] = {}
        self._ready: deque[_Line] = deque()
        self._trials: deque[_Line] = deque()
        self._tasks: set[asyncio.Task[None]] = set()
        self._parallel = FIRST_PARALLEL
        self._widening: asyncio.Task[None] | None = None
        self._trials_in_flight = 0
        self._waiting = 0
        self._bytes = 0
        self._stopped = False

    @property
    def waiting(self) -> int:
        """(search, seller) pairs that wait to be sent."""
        return self._waiting

    @property
    def under_way(self) -> bool:
        """Whether a search is being sent now."""
        return bool(self._tasks)

    def submit(self, cast: Cast, sellers: Iterable[Seller]) -> int:
        """Take a search whole, to be sent to `sellers` in their order; the sending comes after this returns.

        Returns how many sellers are asked: all but those that rest or have too much waiting. Refusal (503) when there
        is no room; an empty queue takes any search.
        """
        sellers = list(sellers)
        if self._stopped:
            raise busy("the gateway is stopping", 1)
        if self._waiting and self._waiting + len(sellers) > MOST_WAITING:
            raise busy(f"{self._waiting} sends wait already and this search needs {len(sellers)} more", 1)
        if self._bytes and self._bytes + len(cast.body) > MOST_WAITING_BYTES:
            raise busy(f"{self._bytes} bytes of searches wait already", 1)
        self._bytes += len(cast.body)
        # One that stands for the submission itself, so that the search stays open until all its pairs are in line.
        cast.open = 1
        asked = sum(self._stand_in_line(cast, seller) for seller in sellers)
        self._settle(cast)
        if len(self._lines) > MOST_WAITING:
            self._lines = {name: line for name, line in self._lines.items() if not line.idle}
        self._pump()
        return asked

    async def stop(self) -> None:
        """Take no more, finish what is under way within `STOP_S`, then give up the rest."""
        self._stopped = True
        timer = asyncio.create_task(self._clock.sleep(STOP_S))
        while self._tasks and not timer.done():
            await asyncio.wait({timer, *self._tasks}, return_when=asyncio.FIRST_COMPLETED)
        for line in self._lines.values():
            self._clear(line, Outcome.DROPPED)
        left = [timer, *self._tasks, *([self._widening] if self._widening else [])]
        for task in left:
            task.cancel()
        await asyncio.gather(*left, return_exceptions=True)

    def _stand_in_line(self, cast: Cast, seller: Seller) -> bool:
        line = self._lines.get(seller.subscriber_id)
        if line is None:
            line = self._lines[seller.subscriber_id] = _Line(seller.url)
        elif line.url != seller.url:
            # A new address is a new start.
            line.url, line.failures, line.rests_until = seller.url, 0, float("-inf")
        if line.failures and (self._clock.wall() < line.rests_until or not line.idle):
            self._metrics.broadcast(Outcome.RESTING)
            return False
        if len(line.waiting) >= MOST_WAITING_OF_ONE:
            self._metrics.broadcast(Outcome.DROPPED)
            return False
        line.waiting.append(cast)
        cast.open += 1
        self._waiting += 1
        self._make_ready(line)
        return True

    def _make_ready(self, line: _Line) -> None:
        if line.waiting and not line.ready and line.in_flight < PER_SELLER:
            line.ready = True
            (self._trials if line.failures else self._ready).append(line)

    def _pump(self) -> None:
        while len(self._tasks) < self._parallel:
            if self._ready:
                line, trial = self._ready.popleft(), False
            elif self._trials and self._trials_in_flight < PARALLEL_TRIALS:
                line, trial = self._trials.popleft(), True
            else:
                return
            line.ready = False
            if not line.waiting:
                continue
            cast = line.waiting.popleft()
            self._waiting -= 1
            line.in_flight += 1
            self._trials_in_flight += trial
            task = asyncio.create_task(self._deliver(cast, line))
            self._tasks.add(task)
            task.add_done_callback(partial(self._done, cast, line, trial))
            self._make_ready(line)
        if self._widening is None and self._parallel < PARALLEL:
            self._widening = asyncio.create_task(self._widen())

    async def _widen(self) -> None:
        await self._clock.sleep(WIDENED_AFTER_S)
        self._widening = None
        if self._tasks:  # else a pause has begun
            self._parallel = min(2 * self._parallel, PARALLEL)
        self._pump()

    async def _deliver(self, cast: Cast, line: _Line) -> None:
        url, begun = line.url, self._clock.wall()
        timeout_s = min(SELLER_TIMEOUT_S, cast.expires_at - begun)
        if timeout_s <= 0:
            self._metrics.broadcast(Outcome.DROPPED)
            return
        outcome = await self._ask(cast, url, begun + timeout_s)
        self._metrics.broadcast(outcome)
        if url != line.url:
            return
        if outcome in (Outcome.ACKED, Outcome.NACKED):
            self._metrics.answered(self._clock.wall() - begun)
            line.failures, line.rests_until = 0, float("-inf")
        elif outcome is Outcome.REFUSED or timeout_s == SELLER_TIMEOUT_S:
            # A seller that had less than its full time is not to blame for a timeout.
            self._rest(line, begun)

    async def _ask(self, cast: Cast, url: str, deadline: float) -> Outcome:
        for _ in range(2):  # once more after a lost connection: a kept-alive one may have been closed by the seller
            left_s = deadline - self._clock.wall()
            if left_s <= 0:
                return Outcome.TIMEOUT
            sys.audit(FaultPoint.BEFORE_BROADCAST, "search")
            try:
                reply = await self._transport.post(
                    f"{url.rstrip('/')}/search", cast.body, cast.headers, timeout_s=left_s
                )
            except TransportTimeoutError:
                return Outcome.TIMEOUT
            except TransportError:
                continue
            sys.audit(FaultPoint.AFTER_BROADCAST, "search")
            if reply.status >= 500:
                return Outcome.REFUSED
            # 429 is said to this buyer: a seller must not rest for all because one of them asks too much.
            return Outcome.ACKED if isinstance(read_answer(reply), Acked) else Outcome.NACKED
        return Outcome.REFUSED

    def _rest(self, line: _Line, begun: float) -> None:
        now = self._clock.wall()
        if begun < line.rests_until:
            return  # sent before the rest that it would lengthen
        line.failures += 1
        line.rests_until = now + rest_s(line.failures)
        self._clear(line, Outcome.RESTING)

    def _clear(self, line: _Line, outcome: Outcome) -> None:
        self._waiting -= len(line.waiting)
        self._metrics.broadcast(outcome, len(line.waiting))
        while line.waiting:
            self._settle(line.waiting.popleft())

    def _settle(self, cast: Cast) -> None:
        cast.open -= 1
        if not cast.open:
            self._bytes -= len(cast.body)

    def _done(self, cast: Cast, line: _Line, trial: bool, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        self._trials_in_flight -= trial
        line.in_flight -= 1
        self._settle(cast)
        if task.cancelled():  # all of them are, or the event loop ends
            self._metrics.broadcast(Outcome.DROPPED)
            return
        if error := task.exception():
            _log.error("a search could not be sent to %s", line.url, exc_info=error)
        self._make_ready(line)
        if not self._tasks and not self._waiting:
            self._parallel = FIRST_PARALLEL
        self._pump()
