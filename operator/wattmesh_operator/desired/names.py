"""Names, labels and addresses of what the operator makes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from wattmesh_operator.cluster.objects import (
    INSTANCE,
    MANAGED_BY,
    OPERATOR,
    Object,
    annotations_of,
    kind_of,
    labels_of,
    name_of,
    uid_of,
)

PREFIX = "wattmesh.io"
POD = f"{PREFIX}/pod"
GATEWAY = f"{PREFIX}/gateway"
OWNER_LABELS: Mapping[str, str] = {
    "BecknGateway": f"{PREFIX}/beckngateway",
    "UtilityAgent": f"{PREFIX}/utilityagent",
    "SolarAgent": f"{PREFIX}/solaragent",
}

HASH = f"{PREFIX}/manifest-hash"
"""Annotation: hash of the whole manifest, so that a field which is no longer set is noticed too."""
CONFIG_HASH = f"{PREFIX}/config-hash"
"""Annotation of a pod template: hash of what the process reads only at its start, so that a change rolls the pod."""
REVISION = f"{PREFIX}/revision"
"""Annotation of a Deployment: the revision of its template, see `desired.revision`."""
HOUSEHOLDS = f"{PREFIX}/households"
"""Annotation of a Deployment: names of the households and utilities in its pod, with commas between."""
OWNER_UID = f"{PREFIX}/owner-uid"
"""Annotation: the uid of the resource that an object was made for. The garbage collector takes an owner reference away
when its owner is gone and another owner is left; this stays."""
GRID_CLOCK = f"{PREFIX}/grid-clock"
"""Annotation of a PersistentVolumeClaim: JSON object of the clock that dates the books on it; see `grid_clock`."""
INHERITED = f"{PREFIX}/inherited"
"""Annotation of a pod: hash of the labels and annotations that it has of its resource; see `inherited`."""
FILES = f"{PREFIX}/files"
"""Annotation of a pod: hash of the configuration that it follows."""
DRAINING = f"{PREFIX}/draining"
"""Annotation of a Deployment: JSON object of those that drain, each with the unix second it began."""

PAUSED = f"{PREFIX}/paused"
"""Annotation that people set to "true": the operator leaves what belongs to the resource as it is."""
ROTATE_KEYS = f"{PREFIX}/rotate-keys"
"""Annotation that people set on a SolarAgent or UtilityAgent: each new value asks for new keys."""
ROTATED_KEYS = f"{PREFIX}/rotated-keys"
"""Annotation of a Secret: the value of ROTATE_KEYS that its keys were made for."""

PORT = 8080
CONTAINER = "main"
"""The container of each pod with the process."""
DATA = "/data"
"""Where a pod's volume is mounted."""
DATABASE = f"{DATA}/ledger.db"
"""The database of an agents' pod."""


def is_paused(item: Object) -> bool:
    """Whether people have asked to leave what belongs to a resource as it is."""
    return annotations_of(item).get(PAUSED) == "true"


def service_url(name: str, namespace: str) -> str:
    """Where a Service is reached; without the cluster's domain, which nobody in it needs to know."""
    return f"http://{name}.{namespace}.svc:{PORT}"


def selector_of(owner: Object) -> str:
    """Label selector of the pods of a resource."""
    return f"{OWNER_LABELS[owner['kind']]}={name_of(owner)}"


def resource_of(item: Object) -> tuple[str, str] | None:
    """Kind and name of the resource that an object was made for, as its labels say."""
    found = labels_of(item)
    return next(((kind, found[label]) for kind, label in OWNER_LABELS.items() if label in found), None)


def selector_labels(pod: str) -> dict[str, str]:
    """What selects a pod. Selectors of Deployments cannot be changed, so nothing else may ever be in here."""
    return {POD: pod}


def labels(owner: Object, pod: str, gateway: str) -> dict[str, str]:
    """Labels of all that belongs to a pod: of its resource, and trading through that gateway."""
    part = "gateway" if owner["kind"] == "BecknGateway" else "agents"
    return {
        "app.kubernetes.io/name": f"wattmesh-{part}",
        INSTANCE: pod,
        "app.kubernetes.io/component": part,
        "app.kubernetes.io/part-of": "wattmesh",
        MANAGED_BY: OPERATOR,
        OWNER_LABELS[owner["kind"]]: name_of(owner),
        GATEWAY: gateway,
        **selector_labels(pod),
    }


def owner_reference(owner: Object, *, controller: bool = True) -> dict[str, Any]:
    """Lets the garbage collector take what belongs to a resource that is deleted, once all its owners are.

    It does not block the owner's deletion: nothing that is deleted shall wait for anything.
    """
    return {
        "apiVersion": kind_of(owner).api_version,
        "kind": owner["kind"],
        "name": name_of(owner),
        "uid": uid_of(owner),
        **({"controller": True} if controller else {}),
        "blockOwnerDeletion": False,
    }
