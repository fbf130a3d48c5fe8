"""Resources → manifests: plain values, or YAML."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import yaml

from wattmesh_operator.resources import Resource


def as_document(resource: Resource) -> dict[str, Any]:
    """What a manifest says of a resource, for YAML or JSON: only what was set."""
    written = resource.model_dump(mode="json", by_alias=True, exclude_unset=True, exclude_none=True)
    return {"apiVersion": written.pop("apiVersion"), "kind": written.pop("kind"), **written}


def as_yaml(resources: Iterable[Resource]) -> str:
    """A manifest of these resources."""
    return yaml.safe_dump_all([as_document(one) for one in resources], sort_keys=False, allow_unicode=True)
