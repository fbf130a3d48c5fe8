"""A Cluster that counts its writes."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from wattmesh_operator.cluster.objects import Kind, Object
from wattmesh_operator.cluster.port import Cluster


class CountingCluster:
    """Hands everything on to `cluster`, and tells `wrote` verb and kind of each write that was done."""

    def __init__(self, cluster: Cluster, wrote: Callable[[str, str], None]) -> None:
        self._cluster = cluster
        self._wrote = wrote

    async def list(self, kind: Kind, namespace: str | None, *, selector: str = "", fields: str = "") -> list[Object]:
        """See Cluster."""
        return await self._cluster.list(kind, namespace, selector=selector, fields=fields)

    async def get(self, kind: Kind, namespace: str, name: str) -> Object | None:
        """See Cluster."""
        return await self._cluster.get(kind, namespace, name)

    async def create(self, manifest: Object) -> Object:
        """See Cluster."""
        made = await self._cluster.create(manifest)
        self._wrote("create", manifest["kind"])
        return made

    async def apply(self, manifest: Object) -> Object:
        """See Cluster."""
        made = await self._cluster.apply(manifest)
        self._wrote("apply", manifest["kind"])
        return made

    async def patch_metadata(self, item: Object, metadata: Mapping[str, Any]) -> None:
        """See Cluster."""
        await self._cluster.patch_metadata(item, metadata)
        self._wrote("patch", item["kind"])

    async def delete(self, item: Object) -> None:
        """See Cluster."""
        await self._cluster.delete(item)
        self._wrote("delete", item["kind"])

    async def set_status(self, item: Object, status: Mapping[str, Any]) -> Object:
        """See Cluster."""
        made = await self._cluster.set_status(item, status)
        self._wrote("status", item["kind"])
        return made
