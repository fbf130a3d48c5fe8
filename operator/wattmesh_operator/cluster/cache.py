"""A Cluster that answers lists from memory: a first list, what watches bring since, and what is written through it.

Watches are not trusted for ever: after `RELIST_S` the API server is asked again, and what a watch has not brought by
then is taken from that list.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from wattmesh_common.clock import Clock
from wattmesh_operator.cluster.objects import (
    CHILDREN,
    MANAGED,
    POD,
    RESOURCES,
    Kind,
    Object,
    kind_of,
    name_of,
    namespace_of,
    uid_of,
)
from wattmesh_operator.cluster.port import Cluster, Conflict

RELIST_S = 300.0
"""How long a namespace may go by what a watch brings, which may have lost something."""
_SELECTORS: Mapping[str, str] = {kind.kind: "" for kind in RESOURCES} | {
    kind.kind: MANAGED for kind in (*CHILDREN, POD)
}
"""By which selector a kind is watched; lists by others are not answered from here."""

Listed = Callable[[str, Sequence[Object], str], None]
"""Takes a kind, all its objects that the API server has listed, and their namespace."""


@dataclass
class _Shelf:
    """The objects of a kind in a namespace, by name, in the order of names."""

    listed_at: float
    objects: dict[str, Object] = field(default_factory=dict)
    gone: set[str] = field(default_factory=set)
    """The uids of those whose end was brought: answers to writes may come later than that."""
    changed: list[tuple[Object, bool]] = field(default_factory=list)
    """What has come, and whether it is gone, while a list was under way, which may be older."""


class CachedCluster:
    """Hands everything on to `cluster`, but for lists of what is watched.

    Objects are handed out as they are kept: nobody may change them.
    """

    def __init__(self, cluster: Cluster, clock: Clock, listed: Listed = lambda _kind, _items, _namespace: None) -> None:
        self._cluster = cluster
        self._clock = clock
        self._listed = listed
        self._shelves: dict[tuple[str, str], _Shelf] = {}
        self._listing: dict[tuple[str, str], _Shelf] = {}

    def brought(self, item: Object, *, gone: bool) -> bool:
        """A watch brought this object; `gone` when it brought its end. Whether that is news."""
        shelf = self._shelves.get((item["kind"], namespace_of(item)))
        kept = None if shelf is None else shelf.objects.get(name_of(item))
        self._put(item, gone=gone)
        return shelf is None or shelf.objects.get(name_of(item)) is not kept

    def forget(self, namespace: str) -> None:
        """A namespace can no longer be read."""
        for key in [key for key in self._shelves if key[1] == namespace]:
            del self._shelves[key]

    async def list(self, kind: Kind, namespace: str | None, *, selector: str = "", fields: str = "") -> list[Object]:
        """See Cluster."""
        if namespace is None or fields or _SELECTORS.get(kind.kind) != selector:
            return await self._cluster.list(kind, namespace, selector=selector, fields=fields)
        key = kind.kind, namespace
        shelf = self._shelves.get(key)
        if shelf is None or self._clock.wall() - shelf.listed_at >= RELIST_S:
            shelf = await self._relist(kind, namespace, selector)
        return [shelf.objects[name] for name in sorted(shelf.objects)]

    async def get(self, kind: Kind, namespace: str, name: str) -> Object | None:
        """See Cluster."""
        return await self._cluster.get(kind, namespace, name)

    async def create(self, manifest: Object) -> Object:
        """See Cluster."""
        return self._put(await self._cluster.create(manifest))

    async def apply(self, manifest: Object) -> Object:
        """See Cluster."""
        try:
            return self._put(await self._cluster.apply(manifest))
        except Conflict:
            # What was read is not so any more. The next pass goes by what is there, if the watch is quick or not.
            live = await self._cluster.get(kind_of(manifest), namespace_of(manifest), name_of(manifest))
            if live is not None:
                self._put(live)
            raise

    async def patch_metadata(self, item: Object, metadata: Mapping[str, Any]) -> None:
        """See Cluster."""
        await self._cluster.patch_metadata(item, metadata)

    async def delete(self, item: Object) -> None:
        """See Cluster."""
        await self._cluster.delete(item)

    async def set_status(self, item: Object, status: Mapping[str, Any]) -> Object:
        """See Cluster."""
        return self._put(await self._cluster.set_status(item, status))

    async def _relist(self, kind: Kind, namespace: str, selector: str) -> _Shelf:
        key = kind.kind, namespace
        fresh = self._listing[key] = _Shelf(self._clock.wall())
        try:
            items = await self._cluster.list(kind, namespace, selector=selector)
        finally:
            del self._listing[key]
        former = self._shelves.get(key, fresh).objects
        for item in items:
            kept = former.get(name_of(item))
            # The very object that is kept already, where it is the same: what was made of it still holds.
            fresh.objects[name_of(item)] = (
                kept if kept is not None and _version(kept) == _version(item) else _lean(item)
            )
        self._shelves[key] = fresh
        self._listed(kind.kind, items, namespace)
        for item, gone in fresh.changed:
            self._put(item, gone=gone)
        fresh.changed.clear()
        return fresh

    def _put(self, item: Object, *, gone: bool = False) -> Object:
        """Keep an object, unless a newer one of that name is there; returns what is kept then."""
        name, key = name_of(item), (item["kind"], namespace_of(item))
        if (listing := self._listing.get(key)) is not None:
            listing.changed.append((item, gone))
        if (shelf := self._shelves.get(key)) is None:
            return item
        kept = shelf.objects.get(name)
        if gone:
            shelf.gone.add(uid_of(item))
            if kept is not None and uid_of(kept) == uid_of(item):
                del shelf.objects[name]
        elif uid_of(item) not in shelf.gone and (kept is None or _version(kept) < _version(item)):
            shelf.objects[name] = _lean(item)
        return shelf.objects.get(name, item)


def _lean(item: Object) -> Object:
    """Without what the API server notes of who has written which field, which is half of a small object."""
    return {**item, "metadata": {key: value for key, value in item["metadata"].items() if key != "managedFields"}}


def _version(item: Object) -> int:
    """metadata.resourceVersion, by which versions of an object are told apart and, since Kubernetes 1.35, ordered."""
    return int(item["metadata"]["resourceVersion"])
