"""The CustomResourceDefinition of each kind: names, columns, subresources and schema."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from wattmesh_operator.crd.schema import structural_schema
from wattmesh_operator.resources import API_VERSION, BecknGateway, Resource, SolarAgent, UtilityAgent
from wattmesh_operator.resources.status import BecknGatewayStatus, SolarAgentStatus, Status, UtilityAgentStatus

_GROUP, _VERSION = API_VERSION.split("/")


@dataclass(frozen=True)
class Column:
    """A column of `kubectl get`; `wide` ones are shown with `-o wide` only."""

    name: str
    path: str
    description: str
    type: str = "string"
    wide: bool = False

    def entry(self) -> dict[str, Any]:
        """As a CustomResourceDefinition writes it."""
        entry: dict[str, Any] = {
            "name": self.name,
            "type": self.type,
            "description": self.description,
            "jsonPath": self.path,
        }
        return {**entry, "priority": 1} if self.wide else entry


@dataclass(frozen=True)
class Definition:
    """What makes a CustomResourceDefinition of a model."""

    model: type[Resource]
    status: type[Status]
    short_name: str
    columns: tuple[Column, ...]
    scales: bool = False


_READY = Column("Ready", ".status.ready", "How many are ready, of how many there shall be.")
_SOLD = Column("Sold", ".status.soldKwh", "Energy sold so far, in kWh.")
_BOUGHT = Column("Bought", ".status.boughtKwh", "Energy bought so far, in kWh.")
_BALANCE = Column("Balance", ".status.balance", "Money earned less money spent so far, with its currency.")
_AGE = Column("Age", ".metadata.creationTimestamp", "Time since it was made.", "date")
_GATEWAY = Column("Gateway", ".status.gateway", "Gateway it trades through.", wide=True)
_REASON = Column("Reason", '.status.conditions[?(@.type=="Ready")].reason', "Why it is ready, or is not.", wide=True)

_DEFINITIONS = (
    Definition(
        SolarAgent,
        SolarAgentStatus,
        "solar",  # `sa` is ServiceAccount
        (
            _READY,
            Column("Replicas", ".spec.replicas", "How many households there shall be.", "integer"),
            Column("SoC", ".status.soc", "State of charge of all batteries, in percent."),
            _SOLD,
            _BOUGHT,
            _BALANCE,
            _GATEWAY,
            _REASON,
            _AGE,
        ),
        scales=True,
    ),
    Definition(UtilityAgent, UtilityAgentStatus, "util", (_READY, _SOLD, _BOUGHT, _BALANCE, _GATEWAY, _REASON, _AGE)),
    Definition(
        BecknGateway,
        BecknGatewayStatus,
        "bgw",
        (
            _READY,
            Column("Replicas", ".spec.replicas", "How many pods there shall be.", "integer", wide=True),
            Column("Subscribers", ".status.subscribers", "How many agents its registry holds.", "integer"),
            Column("URL", ".status.url", "Where agents register and send searches."),
            _REASON,
            _AGE,
        ),
        scales=True,
    ),
)


def custom_resource_definitions() -> list[dict[str, Any]]:
    """One for each kind, as plain values."""
    return [_crd(definition) for definition in _DEFINITIONS]


def _crd(definition: Definition) -> dict[str, Any]:
    kind = definition.model.__name__
    singular = kind.lower()
    plural = f"{singular}s"
    subresources: dict[str, Any] = {"status": {}}
    if definition.scales:
        subresources["scale"] = {
            "specReplicasPath": ".spec.replicas",
            "statusReplicasPath": ".status.replicas",
            "labelSelectorPath": ".status.selector",
        }
    return {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": f"{plural}.{_GROUP}"},
        "spec": {
            "group": _GROUP,
            "scope": "Namespaced",
            "names": {
                "kind": kind,
                "listKind": f"{kind}List",
                "plural": plural,
                "singular": singular,
                "shortNames": [definition.short_name],
                "categories": ["wattmesh"],
            },
            "versions": [
                {
                    "name": _VERSION,
                    "served": True,
                    "storage": True,
                    "schema": {"openAPIV3Schema": _root(definition)},
                    "subresources": subresources,
                    "additionalPrinterColumns": [column.entry() for column in definition.columns],
                }
            ],
        },
    }


def _root(definition: Definition) -> dict[str, Any]:
    """The schema of a whole resource. Of its envelope, which Kubernetes knows, only metadata.name can be restricted."""
    root = structural_schema(definition.model)
    properties = root["properties"]
    name = properties["metadata"]["properties"]["name"]
    properties["metadata"] = {"type": "object", "properties": {"name": name}}
    properties["status"] = structural_schema(definition.status, defaults=False)
    root["properties"] = {name: properties[name] for name in ("apiVersion", "kind", "metadata", "spec", "status")}
    # Kubernetes itself requires the rest of what the model requires.
    root["required"] = [field for field in root["required"] if field == "spec"]
    return {keyword: value for keyword, value in root.items() if value}
