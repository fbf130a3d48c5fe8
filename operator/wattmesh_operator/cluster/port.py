"""The Cluster port and its errors."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol

from wattmesh_operator.cluster.objects import OPERATOR, Kind, Object

FIELD_MANAGER = OPERATOR


class ClusterError(Exception):
    """The API server did not do what was asked; `status` is its HTTP status, 0 when it gave no answer."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status


class Missing(ClusterError):
    """There is no such object, or no such kind (404)."""


class Conflict(ClusterError):
    """The object is there already, or is another one by now (409)."""


class NamespaceTerminating(ClusterError):
    """Nothing new may be made in a namespace that is being deleted (403)."""


class Cluster(Protocol):
    """What the operator asks of an API server. Every method raises ClusterError, and writes nothing then."""

    async def list(self, kind: Kind, namespace: str | None, *, selector: str = "", fields: str = "") -> list[Object]:
        """The objects of a kind in a namespace (None: in all) that match both selectors; as new as the last write."""
        ...

    async def get(self, kind: Kind, namespace: str, name: str) -> Object | None:
        """One object; None if there is none of that name."""
        ...

    async def create(self, manifest: Object) -> Object:
        """Make an object. Conflict if there is one of that name."""
        ...

    async def apply(self, manifest: Object) -> Object:
        """Server-side apply: make the object, or set the manifest's fields and drop those set before and left out.

        With `metadata.resourceVersion`, Conflict if the object has changed since.
        """
        ...

    async def patch_metadata(self, item: Object, metadata: Mapping[str, Any]) -> None:
        """Merge into the metadata of this very object (by uid); lists are replaced. Missing or Conflict: it is gone."""
        ...

    async def delete(self, item: Object) -> None:
        """Delete this very object (by uid), and what it owns in the background. It may be gone already."""
        ...

    async def set_status(self, item: Object, status: Mapping[str, Any]) -> Object:
        """Make this the whole of the operator's part of the object's status. Missing if it is gone."""
        ...
