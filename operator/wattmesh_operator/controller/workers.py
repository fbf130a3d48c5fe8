"""Who is worked on when: one worker a namespace, many changes one pass, faults tried again ever more seldom."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Sequence
from typing import Any, Protocol

from wattmesh_common.clock import Clock
from wattmesh_operator.cluster.port import ClusterError
from wattmesh_operator.controller.lease import Leases
from wattmesh_operator.controller.metrics import OperatorMetrics
from wattmesh_operator.controller.reconcile import Pass

log = logging.getLogger(__name__)

QUIET_S = 0.05
"""A pass begins when nothing has changed for so long: the changes of one `kubectl apply -f` come together."""
_MOST_LOOKS = 4
"""After so many looks it begins all the same: where much is under way, something changes all the time."""
FIRST_RETRY_S = 1.0
LONGEST_RETRY_S = 30.0
LEASE_RETRY_S = 5.0
"""How soon is looked again whether another operator has stopped."""


class Reconciling(Protocol):
    """Makes a namespace what it shall be."""

    async def run(self) -> Pass:
        """One pass."""
        ...


class Workers:
    """Runs passes over namespaces that have changed; with `leases`, only where no other operator works."""

    def __init__(
        self, make: Callable[[str], Reconciling], clock: Clock, metrics: OperatorMetrics, leases: Leases | None = None
    ) -> None:
        self._make = make
        self._leases = leases
        self._clock = clock
        self._metrics = metrics
        self._dirty: dict[str, asyncio.Event] = {}
        self._tasks: dict[str, asyncio.Task[None]] = {}
        self._last: dict[str, Pass] = {}
        self._stopped = False

    def changed(self, namespace: str) -> None:
        """Something in that namespace may have changed. Nothing comes of it after `stop`."""
        if self._stopped:
            return
        if namespace not in self._tasks:
            self._dirty[namespace] = asyncio.Event()
            self._tasks[namespace] = asyncio.create_task(self._work(namespace), name=f"reconciles {namespace}")
        self._dirty[namespace].set()

    def leave(self, namespace: str) -> None:
        """No more passes over that namespace until it is said to have changed."""
        self._dirty.pop(namespace, None)
        self._last.pop(namespace, None)
        if self._leases is not None:
            self._leases.forget(namespace)
        if task := self._tasks.pop(namespace, None):
            task.cancel()

    @property
    def namespaces(self) -> list[str]:
        """All that have been worked on."""
        return [*self._tasks]

    @property
    def rolling(self) -> dict[str, Sequence[str]]:
        """The pods that were not up as they shall be in the last pass, by namespace; of one without a pass, none."""
        last = {namespace: self._last.get(namespace) for namespace in self._tasks}
        return {name: done.rolling if done else () for name, done in last.items() if done is None or done.rolling}

    @property
    def alive(self) -> bool:
        """Whether no worker has died."""
        return not any(task.done() for task in self._tasks.values())

    async def stop(self) -> None:
        """End all passes at once, for good. What is half done is done by the next operator's first pass."""
        self._stopped = True
        for task in self._tasks.values():
            task.cancel()
        await asyncio.gather(*self._tasks.values(), return_exceptions=True)

    async def _work(self, namespace: str) -> None:
        reconciler = self._make(namespace)
        dirty = self._dirty[namespace]
        failures = 0
        again_in_s: float | None = None
        while True:
            await self._wait(dirty, again_in_s)
            await self._gather(dirty)
            done = self._last[namespace] = await self._pass(namespace, reconciler)
            failures = failures + 1 if done.faults else 0
            again_in_s = done.again_in_s
            if failures:
                retry_s = min(LONGEST_RETRY_S, FIRST_RETRY_S * 2 ** min(failures - 1, 10))
                again_in_s = retry_s if again_in_s is None else min(again_in_s, retry_s)

    async def _gather(self, dirty: asyncio.Event) -> None:
        for _ in range(_MOST_LOOKS):
            dirty.clear()
            await self._clock.sleep(QUIET_S)
            if not dirty.is_set():
                return
        dirty.clear()

    async def _wait(self, dirty: asyncio.Event, at_most_s: float | None) -> None:
        waiting: list[asyncio.Task[Any]] = [asyncio.create_task(dirty.wait())]
        if at_most_s is not None:
            waiting.append(asyncio.ensure_future(self._clock.sleep(at_most_s)))
        try:
            await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in waiting:
                task.cancel()

    async def _pass(self, namespace: str, reconciler: Reconciling) -> Pass:
        began = self._clock.wall()
        try:
            if self._leases is not None and not await self._leases.hold(namespace):
                return Pass(again_in_s=LEASE_RETRY_S)
            done = await reconciler.run()
        except ClusterError as error:
            log.warning("%s: %s", namespace, error)
            done = Pass(faults=(str(error),))
        except Exception:
            # A fault of the operator's own must not end its work for good, here or elsewhere.
            log.exception("fault in the pass over %s", namespace)
            done = Pass(faults=("fault",))
        self._metrics.seconds.observe(self._clock.wall() - began)
        self._metrics.passes.labels(namespace, "error" if done.faults else "success").inc()
        self._metrics.faults.labels(namespace).inc(len(done.faults))
        return done


async def hand_over(stop: asyncio.Event, workers: Workers, leases: Leases, *others: asyncio.Task[None]) -> None:
    """As soon as `stop` is set, end all work and give the Leases back: the next operator has them when it is up.

    `others` are tasks that end as well: what marks namespaces as changed, what renews Leases.
    """
    await stop.wait()
    for task in others:
        task.cancel()
    await workers.stop()
    await leases.release()
