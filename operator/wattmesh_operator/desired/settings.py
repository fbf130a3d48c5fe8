"""What pods have that no resource says."""

from __future__ import annotations

import re
from datetime import timedelta
from decimal import Decimal
from typing import Annotated, Any, Literal, Self

from kubernetes.utils.quantity import parse_quantity
from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, StrictStr, model_validator

SHORTEST_OVERLAP = timedelta(minutes=2)
"""A pod sees a changed Secret after a minute or so: the kubelet's pace."""
LONGEST_OVERLAP = timedelta(days=7)
LOG_FORMAT = "LOG_FORMAT"
_UNITS = {"s": "seconds", "m": "minutes", "h": "hours"}


def number_of(quantity: str) -> Decimal:
    """A Kubernetes quantity as a number. Raises ValueError."""
    return Decimal(parse_quantity(quantity))


def _quantity(text: str) -> str:
    number_of(text)
    return text


def _overlap(value: object) -> object:
    if not isinstance(value, str):
        return value
    match = re.fullmatch("([0-9]{1,6})([smh])", value)
    overlap = timedelta(**{_UNITS[match[2]]: int(match[1])}) if match else timedelta()
    if not SHORTEST_OVERLAP <= overlap <= LONGEST_OVERLAP:
        raise ValueError(f"invalid duration {value!r}: use 2m to 168h, such as 15m")
    return overlap


# A chart may write 1 for a whole core.
Amount = Annotated[str, BeforeValidator(str), AfterValidator(_quantity)]
"""A Kubernetes quantity such as 250m or 1Gi."""
Resources = dict[Literal["requests", "limits"], dict[str, Amount]]


class _Written(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class KeyRef(_Written):
    """A key of a Secret or ConfigMap."""

    name: StrictStr
    key: StrictStr


class EnvSource(_Written):
    """Where the value of an environment variable comes from.

    Other sources, fieldRef above all, are completed by the API server, which would look like drift.
    """

    secret_key_ref: KeyRef | None = Field(default=None, alias="secretKeyRef")
    config_map_key_ref: KeyRef | None = Field(default=None, alias="configMapKeyRef")

    @model_validator(mode="after")
    def _one(self) -> Self:
        if (self.secret_key_ref is None) == (self.config_map_key_ref is None):
            raise ValueError("needs one secretKeyRef or configMapKeyRef")
        return self


class EnvVar(_Written):
    """An environment variable of a container."""

    name: Annotated[StrictStr, Field(pattern="^[A-Za-z_][A-Za-z0-9_]*$")]
    value: StrictStr | None = None
    value_from: EnvSource | None = Field(default=None, alias="valueFrom")

    @model_validator(mode="after")
    def _one(self) -> Self:
        if (self.value is None) == (self.value_from is None):
            raise ValueError(f"{self.name} needs a value (text), or valueFrom with one secretKeyRef or configMapKeyRef")
        return self

    def entry(self) -> dict[str, Any]:
        """The variable as a container has it."""
        return self.model_dump(by_alias=True, exclude_none=True)


def _with_protocols(rules: tuple[dict[str, Any], ...]) -> tuple[dict[str, Any], ...]:
    # As the API server completes them: a policy in the cluster shall be what was written.
    ports = [{**rule, "ports": [{"protocol": "TCP", **port} for port in rule.get("ports", ())]} for rule in rules]
    return tuple(rule if rule["ports"] else {k: v for k, v in rule.items() if k != "ports"} for rule in ports)


class Network(_Written):
    """What the NetworkPolicies of markets say beside the markets' own pods."""

    operator_namespace: StrictStr = Field(alias="operatorNamespace")
    operator_labels: dict[str, StrictStr] = Field(alias="operatorLabels", min_length=1)
    metrics_from: tuple[dict[str, Any], ...] = Field(default=(), alias="metricsFrom")
    agent_egress: Annotated[tuple[dict[str, Any], ...], AfterValidator(_with_protocols)] = Field(
        default=(), alias="agentEgress"
    )


def _different(env: tuple[EnvVar, ...]) -> tuple[EnvVar, ...]:
    names = [LOG_FORMAT, *(variable.name for variable in env)]
    if twice := next((name for name in names if names.count(name) > 1), None):
        raise ValueError(f"{twice} is set already")
    return env


def _resources() -> Resources:
    return {"requests": {"cpu": "20m", "memory": "128Mi"}, "limits": {"cpu": "1", "memory": "512Mi"}}


class PodSettings(BaseModel):
    """What pods have that no resource says."""

    model_config = ConfigDict(frozen=True)

    image: Annotated[str, Field(min_length=1, description="Image of gateway and agents.")]
    pull_policy: Annotated[Literal["Always", "IfNotPresent", "Never"], Field(description="When nodes pull it.")] = (
        "IfNotPresent"
    )
    pod_log_format: Annotated[Literal["text", "json"], Field(description="How gateway and agents write logs.")] = "text"
    agent_resources: Annotated[Resources, Field(description="Requests and limits of an agents' container.")] = Field(
        default_factory=_resources
    )
    gateway_resources: Annotated[Resources, Field(description="Requests and limits of a gateway's container.")] = Field(
        default_factory=_resources
    )
    agent_storage: Annotated[Amount, Field(description="Size of an agents' volume.")] = "1Gi"
    gateway_storage: Annotated[Amount, Field(description="Size of a gateway's volume.")] = "1Gi"
    storage_class: Annotated[str, Field(description="Class of these volumes; empty: the cluster's default.")] = ""
    key_overlap: Annotated[
        timedelta,
        BeforeValidator(_overlap),
        Field(description="How long a former key holds beside its successor, such as 15m."),
    ] = timedelta(minutes=15)
    max_unavailable: Annotated[
        str,
        BeforeValidator(str),
        Field(pattern="^([1-9][0-9]{0,3}|([1-9][0-9]?|100)%)$"),
        Field(description="How many agents' pods of a market a rollout takes down at once, such as 3 or 25%."),
    ] = "25%"
    agent_env: Annotated[
        tuple[EnvVar, ...],
        AfterValidator(_different),
        Field(description="More environment of the agents' containers, each with a value or a key of a Secret."),
    ] = ()

    network: Annotated[
        Network | None, Field(description="What the NetworkPolicies of markets say; without it there are none.")
    ] = None

    def most_unavailable(self, pods: int) -> int:
        """How many of so many pods a rollout may take down at once; at least one."""
        share = self.max_unavailable.removesuffix("%")
        return max(1, pods * int(share) // 100) if share != self.max_unavailable else int(share)
