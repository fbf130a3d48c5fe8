"""PersistentVolumeClaims: where a pod keeps its ledger or registry."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from wattmesh_operator.cluster.objects import CLAIM, Object, annotations_of, labels_of, name_of
from wattmesh_operator.desired.manifest import Belonging, manifest
from wattmesh_operator.desired.names import GATEWAY, GRID_CLOCK
from wattmesh_operator.desired.settings import number_of
from wattmesh_operator.resources.pod_template import PodTemplate


@dataclass(frozen=True)
class WantedVolume:
    """Size and class of a pod's volume. `own`: whether its resource says the size, or the chart's default holds."""

    size: str
    storage_class: str
    own: bool

    def is_larger_than(self, claim: Object) -> bool:
        """Whether the claim must grow for it."""
        return number_of(self.size) > number_of(size_of(claim))

    def is_smaller_than(self, claim: Object) -> bool:
        """Whether the claim would have to shrink for it. A default is for new volumes and asks no other to shrink."""
        return self.own and number_of(self.size) < number_of(size_of(claim))


def wanted_volume(template: PodTemplate | None, size: str, storage_class: str) -> WantedVolume:
    """What a resource says of its volumes, else this default."""
    own = template.storage if template else None
    return WantedVolume(own or size, (template.storage_class if template else None) or storage_class, own is not None)


def is_retained(template: PodTemplate | None) -> bool:
    """Whether a resource's claims stay when it goes."""
    return template is not None and template.storage_retention == "Retain"


def unused_claim(owner: Object, live: Object, *, retained: bool) -> Object:
    """The manifest of a claim of the owner that no pod has now: as it is, but for whether it is retained."""
    to = Belonging(owner, name_of(live), labels_of(live).get(GATEWAY, ""))
    kept = {name: value for name, value in annotations_of(live).items() if name == GRID_CLOCK}
    return claim(to, size_of(live), class_of(live), live, kept, retained=retained)


def size_of(claim: Object) -> str:
    """The size that a claim asks for."""
    return str(claim["spec"]["resources"]["requests"]["storage"])


def class_of(claim: Object) -> str:
    """The storage class of a claim; empty while it has none."""
    return str(claim["spec"].get("storageClassName") or "")


def grown(claim: Object, size: str) -> Object:
    """The claim with another size."""
    return {**claim, "spec": {**claim["spec"], "resources": {"requests": {"storage": size}}}}


def claim(
    to: Belonging,
    size: str,
    storage_class: str,
    present: Object | None = None,
    annotations: Mapping[str, str] | None = None,
    *,
    retained: bool = False,
) -> Object:
    """The claim of a pod. One that is there keeps its class, which cannot change, and its size (see `grown`).

    One that is `retained` has no owner, so that the garbage collector leaves it when its resource goes. Its labels say
    whose it was.
    """
    if present is not None:
        size, storage_class = size_of(present), class_of(present)
    spec: dict[str, Any] = {
        "accessModes": ["ReadWriteOnce"],
        "resources": {"requests": {"storage": size}},
    }
    if storage_class:
        spec["storageClassName"] = storage_class
    # Not in the manifest's hash: the server fills in the default class, which is no change.
    return {**manifest(CLAIM, to, {}, annotations=annotations, owned=not retained), "spec": spec}
