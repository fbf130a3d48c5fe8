"""What all custom resources share: their envelope, and how their fields are written."""

from __future__ import annotations

from typing import Any, ClassVar, Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator
from pydantic.alias_generators import to_camel

from wattmesh_operator.resources.values import DnsLabel, ObjectName, ResourceName

API_VERSION: Literal["wattmesh.io/v1alpha1"] = "wattmesh.io/v1alpha1"


class Part(BaseModel):
    """A mapping of a manifest: camelCase in YAML, snake_case in Python, unknown fields refused."""

    # By name is for code; what was written is read by alias only (`parsing`).
    model_config = ConfigDict(frozen=True, extra="forbid", alias_generator=to_camel, validate_by_name=True)

    ignored: ClassVar[frozenset[str]] = frozenset()

    @model_validator(mode="before")
    @classmethod
    def _prune(cls, data: Any) -> Any:
        """Without null fields, as the API server prunes them, and without those that only the API server sets."""
        if not isinstance(data, dict):
            return data
        return {key: value for key, value in data.items() if value is not None and key not in cls.ignored}


class ObjectMeta(Part):
    """The part of Kubernetes' ObjectMeta that matters here; what the API server adds is accepted and dropped."""

    ignored = frozenset(
        {
            "creationTimestamp",
            "deletionGracePeriodSeconds",
            "deletionTimestamp",
            "finalizers",
            "generation",
            "managedFields",
            "ownerReferences",
            "resourceVersion",
            "selfLink",
            "uid",
        }
    )

    name: ResourceName = Field(description="Name of the resource.")
    namespace: DnsLabel = Field(default="default", description="Namespace of the resource.")
    labels: dict[str, str] = Field(default_factory=dict, description="Kubernetes labels.")
    annotations: dict[str, str] = Field(default_factory=dict, description="Kubernetes annotations.")


class ConfigMapRef(Part):
    """A ConfigMap of the same namespace."""

    name: ObjectName = Field(description="Name of a ConfigMap of the same namespace.")


class CustomResource(Part):
    """apiVersion, kind and metadata; each kind adds its spec."""

    ignored = frozenset({"status"})

    # Python may leave these out, a manifest may not (`parsing`).
    api_version: Literal["wattmesh.io/v1alpha1"] = Field(
        default=API_VERSION, description="Always wattmesh.io/v1alpha1."
    )
    metadata: ObjectMeta = Field(description="Name and namespace.")


class GatewayRef(Part):
    """A BecknGateway of the same namespace."""

    name: ResourceName = Field(description="Name of a BecknGateway of the same namespace.")


class UtilityRef(Part):
    """A UtilityAgent of the same namespace."""

    name: ResourceName = Field(description="Name of a UtilityAgent of the same namespace, gateway and feeder.")
