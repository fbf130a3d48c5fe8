"""One operator a namespace: each passes only over namespaces whose Lease it holds; a second one waits and says so.

A Lease for each namespace, and not one for all: two releases may watch different sets of namespaces that overlap.
"""

from __future__ import annotations

import asyncio
import logging
import socket
import uuid
from collections.abc import Mapping
from datetime import datetime

from wattmesh_common.clock import Clock, utc
from wattmesh_operator.cluster.objects import LEASE, OPERATOR, Object, uid_of
from wattmesh_operator.cluster.port import Cluster, ClusterError, Conflict, Missing, NamespaceTerminating

log = logging.getLogger(__name__)

DURATION_S = 45
"""After how long without renewal another operator takes over."""
RENEW_S = 10.0


def own_identity(environment: Mapping[str, str]) -> str:
    """Who this operator is. In a cluster it is its pod: a container that follows one that died goes on at once."""
    host = socket.gethostname()
    return host if "KUBERNETES_SERVICE_HOST" in environment else f"{host}_{uuid.uuid4().hex[:8]}"


class Leases:
    """The Leases that an operator, `identity`, holds or waits for."""

    def __init__(self, cluster: Cluster, identity: str, clock: Clock) -> None:
        self._cluster = cluster
        self._identity = identity
        self._clock = clock
        self._renewed: dict[str, float] = {}
        self.waits_for: dict[str, str] = {}
        """Who holds the Lease of a namespace, by the namespace."""

    async def hold(self, namespace: str) -> bool:
        """Whether the Lease of the namespace is held, taking it when it is free. Raises ClusterError."""
        if self._clock.wall() - self._renewed.get(namespace, float("-inf")) < RENEW_S:
            return True
        try:
            held = await self._take(namespace)
        except NamespaceTerminating:
            held = True  # there is nothing to be made in it, and so nothing to quarrel about
        if held:
            self._renewed[namespace] = self._clock.wall()
            if self.waits_for.pop(namespace, None):
                log.info("%s: took over", namespace)
        else:
            self._renewed.pop(namespace, None)
        return held

    async def renew(self) -> None:
        """Renew all that are held, until cancelled: a pass may take longer than a Lease lasts."""
        while True:
            await self._clock.sleep(RENEW_S)
            for namespace in [*self._renewed]:
                try:
                    await self.hold(namespace)
                except Missing:  # the namespace itself, for a Lease is made where there is none
                    self.forget(namespace)
                except ClusterError as error:
                    log.warning("%s: the Lease is not renewed: %s", namespace, error)

    async def release(self) -> None:
        """Give back all that are held, so that another operator need not wait."""
        await asyncio.gather(*(self._release(namespace) for namespace in self._renewed))
        self._renewed.clear()

    def forget(self, namespace: str) -> None:
        """The namespace is gone or closed."""
        self._renewed.pop(namespace, None)
        self.waits_for.pop(namespace, None)

    async def _take(self, namespace: str) -> bool:
        live = await self._cluster.get(LEASE, namespace, OPERATOR)
        try:
            if live is None:
                await self._cluster.create(self._lease(namespace, self._identity))
                return True
            holder = str(live["spec"].get("holderIdentity") or "")
            if holder not in ("", self._identity) and not self._is_over(live):
                if self.waits_for.get(namespace) != holder:
                    log.warning("%s: the operator %s works there; waiting until it stops", namespace, holder)
                self.waits_for[namespace] = holder
                return False
            await self._write(live, self._identity)
        except Conflict:  # somebody else was quicker
            return False
        return True

    async def _release(self, namespace: str) -> None:
        try:
            live = await self._cluster.get(LEASE, namespace, OPERATOR)
            if live is not None and live["spec"].get("holderIdentity") == self._identity:
                await self._write(live, "")
        except (ClusterError, Missing) as error:
            log.warning("%s: the Lease is not released: %s", namespace, error)

    async def _write(self, live: Object, holder: str) -> None:
        lease = self._lease(str(live["metadata"]["namespace"]), holder)
        lease["metadata"] |= {"uid": uid_of(live), "resourceVersion": live["metadata"]["resourceVersion"]}
        await self._cluster.apply(lease)

    def _lease(self, namespace: str, holder: str) -> Object:
        return {
            "apiVersion": LEASE.api_version,
            "kind": LEASE.kind,
            "metadata": {"name": OPERATOR, "namespace": namespace},
            "spec": {
                "holderIdentity": holder,
                "leaseDurationSeconds": DURATION_S,
                "renewTime": utc(self._clock.wall()).strftime("%Y-%m-%dT%H:%M:%S.%fZ"),
            },
        }

    def _is_over(self, lease: Object) -> bool:
        renewed = datetime.fromisoformat(lease["spec"]["renewTime"]).timestamp()
        return self._clock.wall() > renewed + float(lease["spec"].get("leaseDurationSeconds", DURATION_S))
