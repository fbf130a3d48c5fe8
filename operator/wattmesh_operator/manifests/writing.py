"""Resources → plain values, as a manifest has them."""

from __future__ import annotations

from typing import Any

from wattmesh_operator.resources import Resource


def as_document(resource: Resource) -> dict[str, Any]:
    """What a manifest says of a resource, for YAML or JSON: only what was set."""
    written = resource.model_dump(mode="json", by_alias=True, exclude_unset=True, exclude_none=True)
    return {"apiVersion": written.pop("apiVersion"), "kind": written.pop("kind"), **written}
