"""Resources → manifests: plain values, or YAML."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import yaml

from wattmesh_operator.resources import Resource
from wattmesh_operator.resources.resource import Part


def as_document(resource: Resource) -> dict[str, Any]:
    """What a manifest says of a resource, for YAML or JSON: only what was set."""
    return {"apiVersion": resource.api_version, "kind": resource.kind} | written(resource)


def written(part: Part) -> dict[str, Any]:
    """What a manifest says of a part of a resource: only what was set."""
    # Nulls go afterwards: a None in Python may be written as a word, `none` or `mid`.
    found: dict[str, Any] = _without_nulls(part.model_dump(mode="json", by_alias=True, exclude_unset=True))
    return found


def _without_nulls(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _without_nulls(inner) for key, inner in value.items() if inner is not None}
    return [_without_nulls(inner) for inner in value] if isinstance(value, list) else value


def as_yaml(resources: Iterable[Resource]) -> str:
    """A manifest of these resources."""
    return yaml.safe_dump_all([as_document(one) for one in resources], sort_keys=False, allow_unicode=True)
