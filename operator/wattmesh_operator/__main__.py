"""The operator's container: `python -m wattmesh_operator`, with WATTMESH_* variables (see `settings`)."""

from __future__ import annotations

import asyncio
import logging
import os
import sys

from wattmesh_common.starting import importing

with importing():
    import kopf
    from aiohttp import web
    from kubernetes.aio.config import ConfigException

    from wattmesh_beckn.transport import HttpTransport
    from wattmesh_common.clock import SystemClock
    from wattmesh_common.logs import configure
    from wattmesh_operator.cluster.cache import CachedCluster
    from wattmesh_operator.cluster.counting import CountingCluster
    from wattmesh_operator.cluster.kubernetes import KubernetesCluster
    from wattmesh_operator.cluster.objects import Object
    from wattmesh_operator.cluster.port import ClusterError
    from wattmesh_operator.controller.lease import Leases, own_identity
    from wattmesh_operator.controller.metrics import OperatorMetrics
    from wattmesh_operator.controller.reconcile import Reconciler
    from wattmesh_operator.controller.resync import Resync
    from wattmesh_operator.controller.server import create_app
    from wattmesh_operator.controller.watch import Watcher, add_handlers, watch
    from wattmesh_operator.controller.watch_health import WatchHealth
    from wattmesh_operator.controller.workers import Workers, hand_over
    from wattmesh_operator.settings import Settings, SettingsError, read_settings

log = logging.getLogger("wattmesh_operator")  # __name__ is __main__ when this runs


async def operate(settings: Settings) -> None:
    """Run until SIGTERM or SIGINT. Raises ClusterError or ConfigException when the cluster cannot be read."""
    clock, metrics, health = SystemClock(), OperatorMetrics(), WatchHealth()
    connection = await KubernetesCluster.connect()
    transport = HttpTransport()
    cluster = CountingCluster(connection, metrics.wrote)
    # Not among the writes that are counted: a Lease says that somebody is there, whatever there is to do.
    leases = Leases(connection, own_identity(os.environ), clock)
    cache = CachedCluster(
        cluster, clock, lambda kind, items, namespace: health.listed(kind, items, clock.wall(), namespace)
    )

    def brought(item: Object, gone: bool) -> bool:
        return cache.brought(item, gone=gone)

    def reconciler(namespace: str) -> Reconciler:
        cache.forget(namespace)  # what was known before the operator was sent away from it
        return Reconciler(namespace, cache, transport, transport, clock, settings)

    workers = Workers(reconciler, clock, metrics, leases)
    resync = Resync(cluster, settings.namespaces, workers, health, metrics, clock, brought)
    server = web.AppRunner(create_app(workers, health, metrics, clock), access_log=None)
    registry = kopf.OperatorRegistry()
    add_handlers(registry, Watcher(workers, health, metrics, brought))
    try:
        await server.setup()
        await web.TCPSite(server, settings.host, settings.port).start()
        await resync.begin()
        log.info("working in %s", ", ".join(settings.namespaces) or "all namespaces")
        resyncing = asyncio.create_task(resync.run())
        renewing = asyncio.create_task(leases.renew())
        stop = asyncio.Event()
        handing_over = asyncio.create_task(hand_over(stop, workers, leases, resyncing, renewing))
        try:
            await watch(registry, settings.namespaces, clock, stop)
        finally:
            stop.set()
            await handing_over
    finally:
        await server.cleanup()
        await transport.close()
        await connection.close()


def main() -> None:
    """Read the settings, then operate. Exits with 1 and one line of text when they or the cluster cannot be read."""
    configure()
    try:
        asyncio.run(operate(read_settings()))
    except (SettingsError, ClusterError, ConfigException) as error:
        sys.exit(f"wattmesh_operator: {' '.join(str(error).split())}")


if __name__ == "__main__":
    main()
