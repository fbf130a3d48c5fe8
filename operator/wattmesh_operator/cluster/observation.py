"""What is in a namespace: the resources and what was made for them."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from dataclasses import dataclass, field
from functools import cached_property
from typing import NamedTuple

from wattmesh_operator.cluster.objects import (
    CHILDREN,
    INSTANCE,
    MANAGED,
    POD,
    RESOURCES,
    Kind,
    Object,
    controller_of,
    goes,
    labels_of,
    name_of,
    namespace_of,
    uid_of,
)
from wattmesh_operator.cluster.port import Cluster
from wattmesh_operator.resources.mistakes import Identity


def identity_of(item: Object) -> Identity:
    """Kind, namespace and name of an object."""
    return Identity(item["kind"], namespace_of(item), name_of(item))


@dataclass
class Observation:
    """Resources that are to stay, by identity; the operator's objects, by kind and name; pods, by their Deployment."""

    resources: dict[Identity, Object] = field(default_factory=dict)
    children: dict[tuple[str, str], Object] = field(default_factory=dict)
    pods: dict[str, list[Object]] = field(default_factory=dict)

    @cached_property
    def uids(self) -> frozenset[str]:
        """The uids of the resources."""
        return frozenset(uid_of(item) for item in self.resources.values())

    def child(self, kind: Kind, name: str) -> Object | None:
        """One of the operator's objects."""
        return self.children.get((kind.kind, name))

    def children_of(self, owner: Object, kinds: Iterable[Kind] = CHILDREN) -> list[Object]:
        """What belongs to a resource, by kind in the order given."""
        return [
            child
            for kind in kinds
            for (found, _), child in self.children.items()
            if found == kind.kind and controller_of(child) == uid_of(owner)
        ]


async def observe(cluster: Cluster, namespace: str) -> Observation:
    """What is in the namespace now. Raises ClusterError."""
    resources = await asyncio.gather(*(cluster.list(kind, namespace) for kind in RESOURCES))
    seen = Observation({identity_of(item): item for items in resources for item in items if not goes(item)})
    if any(resources):
        *children, pods = await asyncio.gather(
            *(cluster.list(kind, namespace, selector=MANAGED) for kind in (*CHILDREN, POD))
        )
        seen.children = {(item["kind"], name_of(item)): item for items in children for item in items}
        for pod in pods:
            seen.pods.setdefault(labels_of(pod).get(INSTANCE, ""), []).append(pod)
    return seen


def is_available(deployment: Object | None) -> bool:
    """Whether its pod answers, as far as Kubernetes can tell."""
    return bool(deployment and (deployment.get("status") or {}).get("availableReplicas"))


def is_rolled_out(deployment: Object | None) -> bool:
    """Whether its pod is up as the newest template says."""
    if not deployment or not is_available(deployment):
        return False
    status = deployment["status"]
    new = status.get("observedGeneration") == deployment["metadata"].get("generation")
    wanted = deployment["spec"].get("replicas", 1)
    return bool(new and status.get("updatedReplicas") == status.get("replicas") == wanted)


class PodCounts(NamedTuple):
    """How many pods of a Deployment are ready, how many there shall be, and how many there are."""

    ready: int
    wanted: int
    there: int


def pod_counts(deployment: Object | None, wanted: int) -> PodCounts:
    """The pods of a Deployment, or of one that is not there yet."""
    status = (deployment or {}).get("status") or {}
    return PodCounts(status.get("readyReplicas") or 0, wanted, status.get("replicas") or 0)
