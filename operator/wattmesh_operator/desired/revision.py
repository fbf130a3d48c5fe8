"""The revision of a pod's template: by it a change that restarts the pod is told from one that does not."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from wattmesh_operator.cluster.objects import Object, annotations_of
from wattmesh_operator.desired.manifest import digest
from wattmesh_operator.desired.names import REVISION


@dataclass(frozen=True)
class Revision:
    """Digests: of the whole template, of what it shares with the pods of all resources, and of its resource's spec.

    When a pod is up, the latter two are proven for others: an image, and what the process makes of a spec.
    """

    template: str
    shared: str
    spec: str

    @property
    def parts(self) -> tuple[str, str]:
        """What one pod can prove for others."""
        return self.shared, self.spec

    def __str__(self) -> str:
        return f"{self.template}.{self.shared}.{self.spec}"


def revision(template: Any, shared: Any, owner: Object) -> Revision:
    """The revision of a template. How many replicas a resource has is no part of it."""
    spec = {field: value for field, value in (owner.get("spec") or {}).items() if field != "replicas"}
    return Revision(digest(template), digest(shared), digest([owner["kind"], spec]))


def revision_of(deployment: Object) -> Revision:
    """The revision that a Deployment was made with; one that equals no other if it says none."""
    parts = annotations_of(deployment).get(REVISION, "").split(".")
    return Revision(*parts) if len(parts) == 3 else Revision("", "", "")


def with_former_template(manifest: Object, live: Object, annotations: tuple[str, ...]) -> Object:
    """A Deployment's manifest that keeps the template of the live one; only these annotations are new."""
    kept = {name: value for name, value in annotations_of(live).items() if name in annotations_of(manifest)}
    new = {name: annotations_of(manifest)[name] for name in annotations if name in annotations_of(manifest)}
    return {
        **manifest,
        "metadata": {**manifest["metadata"], "annotations": kept | new},
        "spec": {**manifest["spec"], "template": live["spec"]["template"]},
    }
