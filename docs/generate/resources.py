"""The custom resources, from the definitions that the operator's models make."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from docs.generate.markdown import code, table
from wattmesh_operator.crd.definition import custom_resource_definitions

Schema = Mapping[str, Any]
_BOUNDS = {"minimum": "≥", "maximum": "≤"}
_ELSEWHERE = ("affinity", "tolerations", "topologySpreadConstraints")
"""Parts of a pod's own specification."""


def page() -> str:
    """All kinds, one after the other."""
    return "\n".join(map(_kind, custom_resource_definitions()))


def _kind(definition: Schema) -> str:
    spec = definition["spec"]
    names, [version] = spec["names"], spec["versions"]
    schema = version["schema"]["openAPIV3Schema"]
    parts = schema["properties"]
    rules = [(path, rule) for path, rule in _rules("", schema) if rule["message"]]
    return f"""
## {names["kind"]}

{schema["description"]}

`apiVersion: {spec["group"]}/{version["name"]}`, `kind: {names["kind"]}`; for kubectl `{names["plural"]}`,
`{names["singular"]}`, {", ".join(map(code, names["shortNames"]))}, and of the category
{", ".join(map(code, names["categories"]))}.

### What a {names["kind"]} declares

{table(["field of spec", "value", "what it says"], _fields("", parts["spec"]))}
Rules over several fields:

{table(["where", "rule"], ((code(path or "metadata, spec"), rule["message"]) for path, rule in rules))}
### What the operator says of a {names["kind"]}

{table(["field of status", "value", "what it says"], _fields("", parts["status"]))}
`kubectl get` shows {", ".join(code(column["name"]) for column in version["additionalPrinterColumns"])}.
"""


def _fields(above: str, schema: Schema) -> Iterator[tuple[str, str, str]]:
    required = schema.get("required", ())
    for name, field in schema.get("properties", {}).items():
        path = f"{above}{name}"
        yield (
            code(path),
            _value(field) + (", required" if name in required else ""),
            field.get("description", ""),
        )
        if name in _ELSEWHERE:
            continue
        yield from _fields(f"{path}.", field)
        yield from _fields(f"{path}[].", field.get("items", {}))


def _value(field: Schema) -> str:
    if "enum" in field:
        return " or ".join(code(one) for one in field["enum"])
    if "type" not in field:  # int or text, as Kubernetes has it in a pod
        return "any"
    if field["type"] == "array":
        return f"list of {_value(field['items'])}"
    bounds = [f"{sign} {field[name]}" for name, sign in _BOUNDS.items() if name in field]
    return ", ".join(["mapping" if field["type"] == "object" else str(field["type"]), *bounds])


def _rules(path: str, schema: Schema) -> Iterator[tuple[str, Schema]]:
    for rule in schema.get("x-kubernetes-validations", ()):
        yield path + rule.get("fieldPath", ""), rule
    for name, field in schema.get("properties", {}).items():
        yield from _rules(f"{path}.{name}".lstrip("."), field)
        yield from _rules(f"{path}.{name}[]".lstrip("."), field.get("items", {}))
