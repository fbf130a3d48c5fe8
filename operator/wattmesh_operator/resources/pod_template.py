"""What a resource says of its pods: where they run, what they may use, and what they are labelled with."""

from __future__ import annotations

import re
from typing import Annotated, Any

from pydantic import AfterValidator, Field

from wattmesh_operator.resources.resource import Part
from wattmesh_operator.resources.values import ObjectName, OneOf, Text, rule_broken

Amount = Annotated[
    str,
    Text(
        r"^[0-9]+(\.[0-9]+)?(m|k|M|G|T|Ki|Mi|Gi|Ti)?$",
        'a Kubernetes quantity as text, such as "250m" or "1Gi"',
        20,
    ),
]
_OURS = re.compile(r"^(([a-z0-9-]+\.)*(kubernetes\.io|k8s\.io|wattmesh\.io)/.*)$")


def _not_ours(values: dict[str, str]) -> dict[str, str]:
    if ours := [key for key in values if _OURS.match(key)]:
        raise rule_broken(f"must not have {', '.join(ours)}: kubernetes.io, k8s.io and wattmesh.io are set by others")
    return values


FreeKeys = Annotated[dict[str, str], AfterValidator(_not_ours)]


class ContainerResources(Part):
    """Requests and limits of the container."""

    requests: dict[str, Amount] = Field(default_factory=dict, description="What it is promised, such as cpu: 50m.")
    limits: dict[str, Amount] = Field(default_factory=dict, description="What it may use, such as memory: 512Mi.")


class PullSecret(Part):
    """A Secret of the same namespace."""

    name: ObjectName = Field(description="Name of a Secret of the same namespace.")


class PodTemplate(Part):
    """What the pods of a resource have. A change rolls them, staged."""

    labels: FreeKeys = Field(default_factory=dict, description="Labels added to the pods.")
    annotations: FreeKeys = Field(default_factory=dict, description="Annotations added to the pods.")
    resources: ContainerResources | None = Field(
        default=None, description="Requests and limits of the container. Default: those of the chart."
    )
    node_selector: dict[str, str] = Field(default_factory=dict, description="Nodes they may run on, by label.")
    affinity: dict[str, Any] | None = Field(default=None, description="Affinity, as in a pod.")
    tolerations: tuple[Annotated[dict[str, Any], Field(description="A toleration.")], ...] = Field(
        default=(), max_length=50, description="Taints they accept, as in a pod."
    )
    topology_spread_constraints: tuple[Annotated[dict[str, Any], Field(description="A constraint.")], ...] = Field(
        default=(), max_length=10, description="How they are spread over nodes, as in a pod."
    )
    priority_class_name: ObjectName | None = Field(
        default=None, description="Class that decides what is evicted first when a node is full."
    )
    image_pull_secrets: tuple[PullSecret, ...] = Field(
        default=(), max_length=10, description="Secrets to pull the image with."
    )
    storage: Amount | None = Field(
        default=None,
        description="Size of a pod's volume. One that is there grows where its storage class allows it, and never"
        " shrinks. Default: the chart's.",
    )
    storage_class: ObjectName | None = Field(
        default=None, description="Storage class of a new pod's volume. Default: the chart's."
    )
    storage_retention: Annotated[str, OneOf(("Delete", "Retain"))] = Field(
        default="Delete",
        description="What becomes of the volumes when the resource is deleted: Delete (they go with it) or Retain (they"
        " stay for a resource of the same kind and name, or until somebody deletes them).",
    )

    def pod_fields(self) -> dict[str, Any]:
        """What it adds to the spec of a pod."""
        written = {
            "nodeSelector": self.node_selector,
            "affinity": self.affinity,
            "tolerations": list(self.tolerations),
            "topologySpreadConstraints": list(self.topology_spread_constraints),
            "priorityClassName": self.priority_class_name,
            "imagePullSecrets": [{"name": secret.name} for secret in self.image_pull_secrets],
        }
        return {field: value for field, value in written.items() if value}


NO_TEMPLATE = PodTemplate()
