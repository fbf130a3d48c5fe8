"""PersistentVolumeClaims: where a pod keeps its ledger or registry."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from wattmesh_operator.cluster.objects import CLAIM, Object
from wattmesh_operator.desired.manifest import Belonging, manifest


def claim(
    to: Belonging,
    size: str,
    storage_class: str,
    present: Object | None = None,
    annotations: Mapping[str, str] | None = None,
) -> Object:
    """The claim of a pod. One that is there keeps its size and class, which cannot be changed, or not everywhere."""
    if present is not None:
        size = present["spec"]["resources"]["requests"]["storage"]
        storage_class = present["spec"].get("storageClassName") or ""
    spec: dict[str, Any] = {
        "accessModes": ["ReadWriteOnce"],
        "resources": {"requests": {"storage": size}},
    }
    if storage_class:
        spec["storageClassName"] = storage_class
    # Not in the manifest's hash: the server fills in the default class, which is no change.
    return {**manifest(CLAIM, to, {}, annotations=annotations), "spec": spec}
