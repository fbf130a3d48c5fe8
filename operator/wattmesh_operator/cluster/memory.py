"""The Cluster port in memory: an API server as far as the operator needs one, with no controllers but its own few."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from copy import deepcopy
from itertools import count
from typing import Any

from kubernetes.utils.quantity import parse_quantity

from wattmesh_common.clock import utc
from wattmesh_operator.cluster.objects import Kind, Object, kind_of, merge_key, name_of, namespace_of, uid_of
from wattmesh_operator.cluster.port import ClusterError, Conflict, Missing

Refuse = Callable[[str, str, str], ClusterError | None]
"""Verb, kind and name (of a list: its namespace) of a call → the error that it shall meet, if any."""
Watch = Callable[[str, Object], object]
"""Takes what a watch brings: ADDED, MODIFIED or DELETED, and the object."""


class MemoryCluster:
    """Objects in a dictionary. `writes` has verb, kind and name of every write since it was last cleared."""

    def __init__(self, wall: Callable[[], float]) -> None:
        self.writes: list[tuple[str, str, str]] = []
        self.refuse: Refuse = lambda _verb, _kind, _name: None
        self.expandable = True
        """Whether storage classes let volumes grow."""
        self.watches: list[Watch] = []
        self._wall = wall
        self._objects: dict[tuple[str, str, str], Object] = {}
        self._applied: dict[str, Object] = {}
        self._numbers = count(1)

    # --- the port ---

    async def list(self, kind: Kind, namespace: str | None, *, selector: str = "", fields: str = "") -> list[Object]:
        """See Cluster. Selectors are equalities with commas between."""
        self._meet("list", kind.kind, namespace or "")
        wanted = dict(part.split("=", 1) for part in selector.split(",") if part)
        paths = [part.split("=", 1) for part in fields.split(",") if part]
        return [
            deepcopy(item)
            for (_, within, _), item in sorted(self._objects.items())
            if item["kind"] == kind.kind
            and namespace in (None, within)
            and wanted.items() <= (item["metadata"].get("labels") or {}).items()
            and all(_at(item, path) == value for path, value in paths)
        ]

    async def get(self, kind: Kind, namespace: str, name: str) -> Object | None:
        """See Cluster."""
        self._meet("get", kind.kind, name)
        return deepcopy(self._objects.get((kind.kind, namespace, name)))

    async def create(self, manifest: Object) -> Object:
        """See Cluster."""
        self._meet("create", manifest["kind"], name_of(manifest))
        if self._key(manifest) in self._objects:
            raise Conflict(409, f"{manifest['kind']} {name_of(manifest)} already exists")
        return self._write("create", manifest, deepcopy(manifest))

    async def apply(self, manifest: Object) -> Object:
        """See Cluster."""
        self._meet("apply", manifest["kind"], name_of(manifest))
        live = self._objects.get(self._key(manifest), {"metadata": {}})
        version = manifest["metadata"].get("resourceVersion")
        if version is not None and version != live["metadata"].get("resourceVersion"):
            raise Conflict(409, f"{manifest['kind']} {name_of(manifest)} has changed")
        self._check_size(live, manifest)
        before = self._applied.get(live["metadata"].get("uid", ""), {})
        merged = self._write("apply", manifest, _merge(_without(live, before, manifest), manifest))
        self._applied[uid_of(merged)] = deepcopy(manifest)
        return merged

    async def patch_metadata(self, item: Object, metadata: Mapping[str, Any]) -> None:
        """See Cluster. The garbage collector comes at once."""
        self._meet("patch", item["kind"], name_of(item))
        live = self._objects.get(self._key(item))
        if live is None or uid_of(live) != uid_of(item):
            raise Conflict(409, f"{item['kind']} {name_of(item)} is another one by now")
        annotations = {**(live["metadata"].get("annotations") or {}), **metadata.get("annotations", {})}
        self._write("patch", item, {**live, "metadata": {**live["metadata"], **metadata, "annotations": annotations}})
        owners, there = metadata.get("ownerReferences"), {uid_of(other) for other in self._objects.values()}
        if owners and not any(owner["uid"] in there for owner in owners):
            self.remove(*self._key(item))

    async def delete(self, item: Object) -> None:
        """See Cluster."""
        self._meet("delete", item["kind"], name_of(item))
        live = self._objects.get(self._key(item))
        if live is not None and uid_of(live) == uid_of(item):
            self.writes.append(("delete", item["kind"], name_of(item)))
            self.remove(item["kind"], namespace_of(item), name_of(item))

    async def set_status(self, item: Object, status: Mapping[str, Any]) -> Object:
        """See Cluster."""
        self._meet("status", item["kind"], name_of(item))
        live = self._objects.get(self._key(item))
        if live is None or uid_of(live) != uid_of(item):
            raise Missing(404, f"{item['kind']} {name_of(item)} not found")
        return self._write("status", item, {**live, "status": deepcopy(dict(status))})

    # --- what people and other controllers do ---

    def put(self, item: Object) -> Object:
        """What `kubectl apply` or `edit` leaves: this object, with the status that there was. Counts as no write."""
        live = self._objects.get(self._key(item), {})
        merged = self._write("put", item, {**deepcopy(item), "status": item.get("status", live.get("status", {}))})
        self.writes.pop()
        return merged

    def remove(self, kind: str, namespace: str, name: str) -> None:
        """The object goes, and all that it owns and no other does."""
        gone = self._objects.pop((kind, namespace, name))
        self._applied.pop(uid_of(gone), None)
        self._tell("DELETED", gone)
        for key in tuple(self._objects):
            item = self._objects.get(key, {"metadata": {}})  # one may have gone with another
            owners = item["metadata"].get("ownerReferences") or ()
            left = [owner for owner in owners if owner["uid"] != uid_of(gone)]
            if len(left) < len(owners):
                there = {uid_of(other) for other in self._objects.values()}
                if any(owner["uid"] in there for owner in left):
                    self._change(item, {"metadata": {**item["metadata"], "ownerReferences": left}})
                else:
                    self.remove(*self._key(item))

    def read(self, kind: str, namespace: str, name: str) -> Object:
        """An object. Raises KeyError if there is none."""
        return deepcopy(self._objects[kind, namespace, name])

    def names(self, kind: str, namespace: str) -> Sequence[str]:
        """The names of all objects of a kind."""
        return sorted(name for found, within, name in self._objects if (found, within) == (kind, namespace))

    def roll_out(self, *names: str) -> None:
        """The pods of these Deployments (default: of all) come up as their templates say."""
        for item in tuple(self._objects.values()):
            if item["kind"] == "Deployment" and (not names or name_of(item) in names):
                generation = item["metadata"]["generation"]
                names_of_counts = ("replicas", "updatedReplicas", "readyReplicas", "availableReplicas")
                counts = dict.fromkeys(names_of_counts, item["spec"].get("replicas", 1))
                self._change(item, {"status": {"observedGeneration": generation, **counts}})

    # --- inside ---

    def _key(self, item: Object) -> tuple[str, str, str]:
        return item["kind"], namespace_of(item), name_of(item)

    def _meet(self, verb: str, kind: str, name: str) -> None:
        if error := self.refuse(verb, kind, name):
            raise error

    def _check_size(self, live: Object, manifest: Object) -> None:
        """What an API server says of another size of a volume."""
        if manifest["kind"] != "PersistentVolumeClaim" or "spec" not in live:
            return
        has, wanted = (parse_quantity(item["spec"]["resources"]["requests"]["storage"]) for item in (live, manifest))
        name = name_of(manifest)
        if wanted < has:
            raise ClusterError(422, f'PersistentVolumeClaim "{name}" is invalid: field can not be less than capacity')
        if wanted > has and not self.expandable:
            why = "only dynamically provisioned pvc can be resized and the storageclass must support resize"
            raise ClusterError(403, f'persistentvolumeclaims "{name}" is forbidden: {why}')

    def _write(self, verb: str, asked: Object, item: Object) -> Object:
        self.writes.append((verb, asked["kind"], name_of(asked)))
        kind_of(asked)  # a kind that the operator knows
        live = self._objects.get(self._key(asked))
        metadata = item["metadata"]
        known = live["metadata"] if live else {}
        metadata["uid"] = known.get("uid") or f"uid-{next(self._numbers)}"
        made = utc(self._wall()).strftime("%Y-%m-%dT%H:%M:%SZ")
        metadata["creationTimestamp"] = known.get("creationTimestamp") or metadata.get("creationTimestamp") or made
        changed = live is None or live.get("spec") != item.get("spec")
        metadata["generation"] = known.get("generation", 0) + int(changed)
        metadata["resourceVersion"] = str(next(self._numbers))
        self._objects[self._key(asked)] = item
        self._tell("MODIFIED" if live else "ADDED", item)
        return deepcopy(item)

    def _change(self, item: Object, parts: Mapping[str, Any]) -> None:
        """What a controller of the cluster does to an object."""
        metadata = {**parts.get("metadata", item["metadata"]), "resourceVersion": str(next(self._numbers))}
        changed = self._objects[self._key(item)] = {**item, **parts, "metadata": metadata}
        self._tell("MODIFIED", changed)

    def _tell(self, what: str, item: Object) -> None:
        for watch in self.watches:
            watch(what, deepcopy(item))


def _at(item: Any, path: str) -> Any:
    for part in path.split("."):
        item = item.get(part, {})
    return item


def _merge(live: Any, applied: Any) -> Any:
    """`live` with what `applied` sets; lists of named mappings are merged by name, others replaced."""
    if isinstance(live, dict) and isinstance(applied, dict):
        return {**live, **{key: _merge(live.get(key), value) for key, value in applied.items()}}
    if isinstance(live, list) and isinstance(applied, list) and (identity := merge_key([*live, *applied])):
        there = {item[identity]: item for item in live}
        new = {item[identity]: _merge(there.get(item[identity]), item) for item in applied}
        return [*new.values(), *(item for key, item in there.items() if key not in new)]
    return deepcopy(applied)


def _without(live: Any, before: Any, now: Any) -> Any:
    """`live` without what was applied `before` and is not applied `now`."""
    if not isinstance(live, dict) or not isinstance(before, dict) or not isinstance(now, dict):
        return live
    return {
        key: _without(value, before.get(key), now.get(key))
        for key, value in live.items()
        if key not in before or key in now
    }
