"""Kubernetes objects as plain JSON values, and the kinds that the operator reads or writes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

Object = dict[str, Any]
"""One object as the API server writes it: apiVersion, kind, metadata, and the rest."""

WATTMESH = "wattmesh.io/v1alpha1"

OPERATOR = "wattmesh-operator"
MANAGED_BY = "app.kubernetes.io/managed-by"
INSTANCE = "app.kubernetes.io/instance"
"""Label: the pod (and Deployment) that an object is for."""
MANAGED = f"{MANAGED_BY}={OPERATOR}"
"""Label selector of all that the operator makes."""


@dataclass(frozen=True)
class Kind:
    """A kind of object and where the API server has it."""

    api_version: str
    kind: str
    plural: str

    @property
    def group(self) -> str:
        """The API group; empty for the core group."""
        return self.api_version.rpartition("/")[0]


BECKN_GATEWAY = Kind(WATTMESH, "BecknGateway", "beckngateways")
UTILITY_AGENT = Kind(WATTMESH, "UtilityAgent", "utilityagents")
SOLAR_AGENT = Kind(WATTMESH, "SolarAgent", "solaragents")
RESOURCES = (BECKN_GATEWAY, UTILITY_AGENT, SOLAR_AGENT)

SECRET = Kind("v1", "Secret", "secrets")
CONFIG_MAP = Kind("v1", "ConfigMap", "configmaps")
CLAIM = Kind("v1", "PersistentVolumeClaim", "persistentvolumeclaims")
SERVICE = Kind("v1", "Service", "services")
DEPLOYMENT = Kind("apps/v1", "Deployment", "deployments")
DISRUPTION_BUDGET = Kind("policy/v1", "PodDisruptionBudget", "poddisruptionbudgets")
NETWORK_POLICY = Kind("networking.k8s.io/v1", "NetworkPolicy", "networkpolicies")
CHILDREN = (SECRET, CONFIG_MAP, CLAIM, SERVICE, NETWORK_POLICY, DISRUPTION_BUDGET, DEPLOYMENT)

POD = Kind("v1", "Pod", "pods")
EVENT = Kind("v1", "Event", "events")
LEASE = Kind("coordination.k8s.io/v1", "Lease", "leases")

KINDS: Mapping[str, Kind] = {kind.kind: kind for kind in (*RESOURCES, *CHILDREN, POD, EVENT, LEASE)}


def kind_of(item: Object) -> Kind:
    """The kind of an object. Raises KeyError for one that the operator knows nothing of."""
    return KINDS[item["kind"]]


def name_of(item: Object) -> str:
    """metadata.name."""
    return str(item["metadata"]["name"])


def namespace_of(item: Object) -> str:
    """metadata.namespace."""
    return str(item["metadata"]["namespace"])


def uid_of(item: Object) -> str:
    """metadata.uid: tells an object from an earlier one of the same name."""
    return str(item["metadata"]["uid"])


def labels_of(item: Object) -> Mapping[str, str]:
    """metadata.labels."""
    return item["metadata"].get("labels") or {}


def annotations_of(item: Object) -> Mapping[str, str]:
    """metadata.annotations."""
    return item["metadata"].get("annotations") or {}


def controller_of(item: Object) -> str | None:
    """The uid of the object that this one belongs to; None if it is nobody's."""
    for owner in item["metadata"].get("ownerReferences") or ():
        if owner.get("controller"):
            return str(owner["uid"])
    return None


def goes(item: Object) -> bool:
    """Whether its deletion was asked for and has not ended."""
    return bool(item["metadata"].get("deletionTimestamp"))


def merge_key(items: Sequence[Any]) -> str | None:
    """The field by which the API server merges such a list of mappings; None where it replaces the list."""
    keys = ("uid", "name", "mountPath", "containerPort", "port")
    return next((key for key in keys if items and all(isinstance(one, dict) and key in one for one in items)), None)
