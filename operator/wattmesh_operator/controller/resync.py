"""The resync: every namespace with resources is looked at every few seconds, whatever the watches bring.

Where the operator works in named namespaces, each stands alone: one that is deleted, or whose rights are taken away, is
left alone until it can be read again, and the others go on.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence

from wattmesh_common.clock import Clock
from wattmesh_operator.cluster.objects import RESOURCES, Object, namespace_of
from wattmesh_operator.cluster.port import Cluster, ClusterError
from wattmesh_operator.controller.metrics import OperatorMetrics
from wattmesh_operator.controller.watch import Brought
from wattmesh_operator.controller.watch_health import WatchHealth
from wattmesh_operator.controller.workers import Workers

log = logging.getLogger(__name__)

RESYNC_S = 15.0
"""Half of what a lost registry may take to be whole again."""
_NO_RIGHTS = (401, 403, 404)


class Resync:
    """Lists all resources and marks their namespaces as changed. No `namespaces`: all."""

    def __init__(
        self,
        cluster: Cluster,
        namespaces: Sequence[str],
        workers: Workers,
        health: WatchHealth,
        metrics: OperatorMetrics,
        clock: Clock,
        brought: Brought = lambda _item, _gone: True,
    ) -> None:
        self._cluster = cluster
        self._brought = brought
        self._scopes: Sequence[str | None] = namespaces or (None,)
        self._workers = workers
        self._health = health
        self._metrics = metrics
        self._clock = clock
        self.unreadable: dict[str, str] = {}
        """Why a named namespace cannot be read, by its name."""

    async def run(self) -> None:
        """Resync until cancelled."""
        while True:
            await self.once()
            await self._clock.sleep(RESYNC_S)

    async def once(self) -> None:
        """One resync."""
        for scope in self._scopes:
            try:
                await self._look(scope)
            except ClusterError as error:
                self._failed(scope, error)

    async def begin(self) -> None:
        """The first resync, as soon as the API server is ready for it.

        Raises ClusterError when kinds are missing, or rights in every namespace: kopf would wait for them silently.
        """
        waiting = [*self._scopes]
        refusals: list[ClusterError] = []
        while True:
            silent: list[str | None] = []
            for scope in waiting:
                try:
                    await self._look(scope)
                except ClusterError as error:
                    if error.status in _NO_RIGHTS:
                        refusals.append(error)
                        self._failed(scope, error)
                    else:
                        log.warning("%s", error)
                        silent.append(scope)
            if len(refusals) == len(self._scopes):
                raise refusals[0]
            if not silent:
                return
            waiting = silent
            await self._clock.sleep(1.0)

    async def _look(self, scope: str | None) -> None:
        found: dict[str, list[Object]] = {kind.kind: await self._cluster.list(kind, scope) for kind in RESOURCES}
        if scope is not None:
            self._metrics.readable.labels(scope).set(1)
            if self.unreadable.pop(scope, None) is not None:
                log.info("namespace %s can be read again", scope)
        for kind, items in found.items():
            self._health.listed(kind, items, self._clock.wall(), scope)
        for item in (item for items in found.values() for item in items):
            self._brought(item, False)
        for namespace in sorted({namespace_of(item) for items in found.values() for item in items}):
            self._workers.changed(namespace)

    def _failed(self, scope: str | None, error: ClusterError) -> None:
        if scope is None or error.status not in _NO_RIGHTS:
            log.warning("resync: %s", error)
            return
        if scope not in self.unreadable:
            log.warning("namespace %s cannot be read, the others go on: %s", scope, error)
        self.unreadable[scope] = str(error)
        self._metrics.readable.labels(scope).set(0)
        self._workers.leave(scope)
        self._health.forget(scope)
