"""What all manifests share: whose they are, and the hash by which a change is noticed."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from wattmesh_operator.cluster.objects import Kind, Object, namespace_of, uid_of
from wattmesh_operator.desired.names import HASH, OWNER_UID, labels, owner_reference


@dataclass(frozen=True)
class Belonging:
    """Whose a manifest is: the resource that owns it, the pod it is for, and the gateway that this trades through.

    While `market`, the gateway's resource, is there, the garbage collector leaves what is made when the owner is
    deleted: so households settle before they go (see `scale_down.departure`).
    """

    owner: Object
    pod: str
    gateway: str
    market: Object | None = None

    @property
    def namespace(self) -> str:
        """The namespace of the owner and of all it owns."""
        return namespace_of(self.owner)

    @property
    def labels(self) -> dict[str, str]:
        """See `names.labels`."""
        return labels(self.owner, self.pod, self.gateway)


def manifest(
    kind: Kind,
    to: Belonging,
    body: Mapping[str, Any],
    *,
    name: str | None = None,
    annotations: Mapping[str, str] | None = None,
    owned: bool = True,
) -> Object:
    """A manifest named after its pod unless `name` says otherwise, with its own hash.

    It goes with its owner, unless it is not `owned`.
    """
    owners = [owner_reference(to.owner)]
    if to.market is not None:
        owners.append(owner_reference(to.market, controller=False))
    made: Object = {
        "apiVersion": kind.api_version,
        "kind": kind.kind,
        "metadata": {
            "name": name or to.pod,
            "namespace": to.namespace,
            "labels": to.labels,
            "annotations": {OWNER_UID: uid_of(to.owner), **(annotations or {})},
            **({"ownerReferences": owners} if owned else {}),
        },
        **body,
    }
    made["metadata"]["annotations"][HASH] = digest(made)
    return made


def digest(value: Any) -> str:
    """A short hash of a JSON value, the same whatever the order of its keys."""
    text = json.dumps(value, sort_keys=True, separators=(",", ":"))
    return hashlib.blake2b(text.encode(), digest_size=8).hexdigest()
