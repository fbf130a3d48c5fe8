"""The status that a resource has."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pydantic import ValidationError

from wattmesh_operator.cluster.objects import Object
from wattmesh_operator.resources.status import BecknGatewayStatus, SolarAgentStatus, Status, UtilityAgentStatus

_STATUS_TYPES: Mapping[str, type[Status]] = {
    "BecknGateway": BecknGatewayStatus,
    "UtilityAgent": UtilityAgentStatus,
    "SolarAgent": SolarAgentStatus,
}


def read_status(item: Object) -> Any:
    """The status that an object has; an empty one if another version wrote what this one cannot read."""
    kind = _STATUS_TYPES[item["kind"]]
    try:
        return kind.model_validate(item.get("status") or {}, by_alias=True, by_name=False)
    except ValidationError:
        return kind()
