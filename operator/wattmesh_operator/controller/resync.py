"""The resync: every namespace with resources is looked at every few seconds, whatever the watches bring."""

from __future__ import annotations

import logging
from collections.abc import Sequence

from wattmesh_common.clock import Clock
from wattmesh_operator.cluster.objects import RESOURCES, namespace_of
from wattmesh_operator.cluster.port import Cluster, ClusterError
from wattmesh_operator.controller.watch_health import WatchHealth
from wattmesh_operator.controller.workers import Workers

log = logging.getLogger(__name__)

RESYNC_S = 15.0
"""Half of what a lost registry may take to be whole again."""


async def resync_forever(
    cluster: Cluster, namespaces: Sequence[str], workers: Workers, health: WatchHealth, clock: Clock
) -> None:
    """Resync until cancelled. No `namespaces`: all."""
    while True:
        try:
            await resync(cluster, namespaces, workers, health, clock)
        except ClusterError as error:
            log.warning("resync: %s", error)
        await clock.sleep(RESYNC_S)


async def resync(
    cluster: Cluster, namespaces: Sequence[str], workers: Workers, health: WatchHealth, clock: Clock
) -> None:
    """One resync. Raises ClusterError."""
    found: set[str] = set()
    for kind in RESOURCES:
        items = [item for namespace in namespaces or (None,) for item in await cluster.list(kind, namespace)]
        health.listed(kind.kind, items, clock.wall())
        found |= {namespace_of(item) for item in items}
    for namespace in sorted(found):
        workers.changed(namespace)
