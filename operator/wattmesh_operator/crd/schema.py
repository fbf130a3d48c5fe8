"""A model → the structural schema that Kubernetes wants: nothing but JSONSchemaProps, no references, rules in CEL."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel
from pydantic.json_schema import GenerateJsonSchema, JsonSchemaValue
from pydantic_core import core_schema

from wattmesh_operator.crd.rules import IMMUTABLE, RULES

# In the order in which they are written. What a subschema holds is translated in turn.
_KEYWORDS = (
    "description",
    "type",
    "format",
    "enum",
    "default",
    "minimum",
    "maximum",
    "pattern",
    "maxLength",
    "minItems",
    "maxItems",
    "required",
    "properties",
    "items",
    "additionalProperties",
    "x-kubernetes-preserve-unknown-fields",
    "x-kubernetes-list-type",
    "x-kubernetes-list-map-keys",
    "x-kubernetes-validations",
)
# An API server neither knows titles nor closes mappings: it prunes unknown fields, or refuses them when asked to.
_LEFT_OUT = frozenset({"title"})
_INT32 = 2**31 - 1


class _WithRules(GenerateJsonSchema):
    """pydantic's schema, and what a CustomResourceDefinition says beyond it."""

    def model_schema(self, schema: core_schema.ModelSchema) -> JsonSchemaValue:
        json_schema = super().model_schema(schema)
        model = schema["cls"]
        if model in RULES:
            json_schema["x-kubernetes-validations"] = [rule.entry() for rule in RULES[model]]
        for field, immutable in IMMUTABLE.get(model, {}).items():
            of_field = json_schema["properties"][field]
            of_field["description"] += f" {immutable.description}"
            of_field.setdefault("x-kubernetes-validations", []).append(immutable.rule().entry())
        return json_schema

    def default_schema(self, schema: core_schema.WithDefaultSchema) -> JsonSchemaValue:
        json_schema = super().default_schema(schema)
        if "default_factory" in schema:  # a mapping that is left out: the API server fills in its fields' defaults
            json_schema["default"] = {}
        elif len(schema["schema"].get("expected", ())) == 1:  # a constant is for Python to fill in
            del json_schema["default"]
        return json_schema


def structural_schema(model: type[BaseModel], *, defaults: bool = True) -> dict[str, Any]:
    """The schema of `model` as a property of a CustomResourceDefinition's schema.

    `defaults=False` is for what an API server must not fill in. Raises ValueError for what it would not accept.
    """
    # Serialised, numbers and times are as in YAML, also as defaults.
    json_schema = model.model_json_schema(mode="serialization", schema_generator=_WithRules)
    return _translated(json_schema, json_schema.pop("$defs", {}), defaults=defaults)


def _translated(schema: dict[str, Any], definitions: dict[str, Any], *, defaults: bool) -> dict[str, Any]:
    schema = _flat(schema, definitions)
    unknown = schema.keys() - _LEFT_OUT - set(_KEYWORDS)
    if unknown:
        raise ValueError(f"no translation of {', '.join(sorted(unknown))} in {schema}")
    if not defaults or "type" not in schema:
        schema.pop("default", None)
    elif schema.get("default") not in (None, {}, []):  # `kubectl explain` shows no other part of a schema
        schema["description"] += f" Default: {_shown(schema['default'])}."
    if schema.get("type") == "integer":
        bounds = (schema["minimum"], schema["maximum"])
        schema["format"] = "int32" if max(map(abs, bounds)) <= _INT32 else "int64"
    if "properties" in schema:
        schema["properties"] = {
            name: _translated(inner, definitions, defaults=defaults) for name, inner in schema["properties"].items()
        }
    if schema.get("additionalProperties") is True:  # as in a pod: the API server checks it there
        schema["x-kubernetes-preserve-unknown-fields"] = True
    if isinstance(schema.get("additionalProperties"), dict):
        if schema["additionalProperties"].get("type") != "string":
            raise ValueError(f"no translation of the mapping in {schema}")
        schema["additionalProperties"] = _translated(schema["additionalProperties"], definitions, defaults=defaults)
    else:
        schema.pop("additionalProperties", None)
    if "items" in schema:
        schema["items"] = _translated(schema["items"], definitions, defaults=defaults)
    return {keyword: _plain_number(schema[keyword]) for keyword in _KEYWORDS if keyword in schema}


def _flat(schema: dict[str, Any], definitions: dict[str, Any]) -> dict[str, Any]:
    """Without a reference or a choice of null, beside which other keywords come first; a constant is an enum of one."""
    schema = dict(schema)
    if "const" in schema:
        schema["enum"] = [schema.pop("const")]
    if "anyOf" in schema:
        [inner] = [choice for choice in schema.pop("anyOf") if choice != {"type": "null"}]
        if schema.get("default", ...) is None:
            del schema["default"]
        schema = {**inner, **schema}
    if "$ref" in schema:
        schema = {**definitions[schema.pop("$ref").removeprefix("#/$defs/")], **schema}
    return schema


def _shown(default: Any) -> str:
    return ", ".join(default) if isinstance(default, list) else str(_plain_number(default))


def _plain_number(value: Any) -> Any:
    """5 rather than 5.0: as people write it, and as an API server gives it back."""
    return int(value) if isinstance(value, float) and value.is_integer() else value
