"""kopf handlers: what the watches bring marks a namespace as changed, and nothing else.

Only event handlers: for these kopf writes nothing to the objects, no progress, no finalizer. What is to be done is
found out by the pass, from what is there.
"""

from __future__ import annotations

import asyncio
import logging
import signal
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any

import kopf

from wattmesh_common.clock import Clock
from wattmesh_operator.cluster.objects import (
    CHILDREN,
    MANAGED,
    POD,
    RESOURCES,
    Object,
)
from wattmesh_operator.controller.metrics import OperatorMetrics
from wattmesh_operator.controller.watch_health import WatchHealth
from wattmesh_operator.controller.workers import Workers
from wattmesh_operator.desired.inherited import inherited
from wattmesh_operator.desired.names import is_paused
from wattmesh_operator.keys.rotation import asked_of

WATCHED_CHILDREN = (*CHILDREN, POD)

log = logging.getLogger(__name__)

RETRY_S = 15.0
"""How soon a namespace that could not be watched is tried again."""


Brought = Callable[[Object, bool], bool]
"""Takes an object and whether it is gone; whether that is news."""


class Watcher:
    """Takes what the watches bring."""

    def __init__(
        self,
        workers: Workers,
        health: WatchHealth,
        metrics: OperatorMetrics,
        brought: Brought = lambda _item, _gone: True,
    ) -> None:
        """`brought` keeps what comes, and says whether that is news."""
        self._workers = workers
        self._brought = brought
        self._health = health
        self._metrics = metrics
        self._known: dict[str, object] = {}

    def resource_event(self, item: Object, *, gone: bool) -> None:
        """A resource came, changed or went. A new status is no change: the operator wrote it itself."""
        self._metrics.events.labels(item["kind"]).inc()
        self._health.brought(item, gone=gone)
        self._brought(item, gone)
        metadata = item["metadata"]
        if gone:
            self._known.pop(metadata["uid"], None)
        else:
            asked = (asked_of(item), is_paused(item), inherited(item))
            known = (metadata.get("generation"), metadata.get("deletionTimestamp"), asked)
            if self._known.get(metadata["uid"]) == known:
                return
            self._known[metadata["uid"]] = known
        self._workers.changed(metadata["namespace"])

    def child_event(self, item: Object, *, gone: bool) -> None:
        """Something that the operator made has changed or gone. What it has just written itself is no news."""
        self._metrics.events.labels(item["kind"]).inc()
        self._health.brought(item, gone=gone)
        if self._brought(item, gone):
            self._workers.changed(item["metadata"]["namespace"])


def add_handlers(registry: kopf.OperatorRegistry, watcher: Watcher) -> None:
    """Have kopf tell the watcher of all resources, and of the children that people like to edit."""
    for kind in RESOURCES:
        group, _, version = kind.api_version.partition("/")

        async def on_resource(event: Any, **_: Any) -> None:
            watcher.resource_event(_plain(event["object"]), gone=event["type"] == "DELETED")

        kopf.on.event(group, version, kind.plural, registry=registry, id=kind.plural)(on_resource)
    for kind in WATCHED_CHILDREN:
        group, _, version = kind.api_version.rpartition("/")

        async def on_child(event: Any, **_: Any) -> None:
            watcher.child_event(_plain(event["object"]), gone=event["type"] == "DELETED")

        # Which are ours the server tells (`kopf_settings`): one that lost its label is brought once more, as gone.
        kopf.on.event(group, version, kind.plural, registry=registry, id=kind.plural)(on_child)

    async def login(**arguments: Any) -> Any:
        # As KubernetesCluster does: the cluster around this process, else that of kubeconfig.
        return kopf.login_with_service_account(**arguments) or kopf.login_with_kubeconfig(**arguments)

    kopf.on.login(registry=registry)(login)


async def watch(
    registry: kopf.OperatorRegistry,
    namespaces: Sequence[str],
    clock: Clock,
    stop: asyncio.Event,
    run: Callable[..., Awaitable[None]] = kopf.operator,
) -> None:
    """Watch until SIGTERM or SIGINT, which set `stop`, and some seconds more: kopf waits for what it has begun. No
    `namespaces`: all. `run` is kopf's.

    Each namespace has a kopf of its own: kopf ends altogether when one of its namespaces is gone or refuses it.
    """

    async def watch_one(namespace: str | None) -> None:
        while not stop.is_set():
            where: dict[str, Any] = {"clusterwide": True} if namespace is None else {"namespaces": [namespace]}
            ready = asyncio.Event()
            signals = asyncio.create_task(_stop_on_signals(ready, stop))
            try:
                await run(registry=registry, settings=kopf_settings(), stop_flag=stop, ready_flag=ready, **where)
                stop.set()
            except Exception as error:  # noqa: BLE001 - whatever it is, the watches of other namespaces go on
                log.warning("the watch of %s ended: %s", namespace or "all namespaces", error)
                await clock.sleep(RETRY_S)
            finally:
                signals.cancel()

    async with asyncio.TaskGroup() as watches:
        for namespace in namespaces or (None,):
            watches.create_task(watch_one(namespace))


async def _stop_on_signals(ready: asyncio.Event, stop: asyncio.Event) -> None:
    # Every kopf takes the signals for itself when it starts, and nobody hears them once that one has failed.
    await ready.wait()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)


def kopf_settings() -> kopf.OperatorSettings:
    """kopf as a reader of watches: no peering, no Events of its own, no look at CRDs and namespaces."""
    settings = kopf.OperatorSettings()
    settings.peering.standalone = True
    settings.posting.enabled = False
    settings.scanning.disabled = True
    for kind in WATCHED_CHILDREN:
        group, _, version = kind.api_version.rpartition("/")
        settings.watching.label_selectors[group, version, kind.plural] = MANAGED
    return settings


def _plain(item: Mapping[str, Any]) -> Object:
    return dict(item)
