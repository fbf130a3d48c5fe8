"""One document's plain values → a resource, or every mistake in it in words."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from typing import Any, get_args

from pydantic import BaseModel, ValidationError
from pydantic.fields import FieldInfo
from pydantic_core import ErrorDetails

from wattmesh_operator.resources import API_VERSION, Resource, type_of_kind
from wattmesh_operator.resources.mistakes import Identity, ManifestErrors, Mistake, Origin
from wattmesh_operator.resources.reasons import Reason
from wattmesh_operator.resources.values import shown


@dataclass(frozen=True)
class Manifest:
    """A valid resource and where it was read; None if it did not come from a file."""

    resource: Resource
    origin: Origin | None = None

    @property
    def identity(self) -> Identity:
        """Kind, namespace and name."""
        metadata = self.resource.metadata
        return Identity(self.resource.kind, metadata.namespace, metadata.name)

    def mistake(self, path: str, what: str, reason: Reason = Reason.INVALID_SPEC) -> Mistake:
        """A mistake in this manifest."""
        return Mistake(self.origin, self.identity, path, what, reason)


def parse_resource(document: object, *, origin: Origin | None = None, namespace: str = "default") -> Resource:
    """The resource that `document` describes: the plain values of a YAML document, or a Kubernetes object.

    `namespace` is that of a resource which names none. Raises ManifestErrors with every mistake in the document;
    rules that span resources are not checked here.
    """
    if not isinstance(document, dict):
        what = f"must be a mapping with apiVersion, kind, metadata and spec, not {shown(document)}"
        raise ManifestErrors([Mistake(origin, None, "", what)])
    identity = identity_of(document, namespace)
    kind = document.get("kind")
    resource_type = type_of_kind.get(kind) if isinstance(kind, str) else None
    if resource_type is None:
        mistakes = [Mistake(origin, identity, "kind", _unknown_kind(kind))]
        if document.get("apiVersion") != API_VERSION:
            what = f"must be {API_VERSION}, not {shown(document.get('apiVersion'))}"
            mistakes.insert(0, Mistake(origin, identity, "apiVersion", what))
        raise ManifestErrors(mistakes)
    mistakes = []
    if document.get("apiVersion") is None:
        mistakes.append(Mistake(origin, identity, "apiVersion", f"is missing; must be {API_VERSION}"))
    metadata = document.get("metadata")
    if isinstance(metadata, dict) and metadata.get("namespace") is None:
        document = {**document, "metadata": {**metadata, "namespace": namespace}}
    try:
        resource = resource_type.model_validate(document, by_alias=True, by_name=False)
    except ValidationError as error:
        mistakes += [Mistake(origin, identity, *_in_words(resource_type, details)) for details in error.errors()]
    if mistakes:
        raise ManifestErrors(mistakes)
    return resource


def identity_of(document: object, namespace: str) -> Identity:
    """What a document, valid or not, says of its kind, namespace and name."""
    if not isinstance(document, dict):
        return Identity(None, None, None)
    metadata = document.get("metadata")
    labelled = metadata if isinstance(metadata, dict) else {}
    kind, named, name = document.get("kind"), labelled.get("namespace"), labelled.get("name")
    return Identity(
        kind if isinstance(kind, str) else None,
        named if isinstance(named, str) else namespace,
        name if isinstance(name, str) else None,
    )


def _unknown_kind(kind: object) -> str:
    if kind is None:
        return f"is missing; must be {_one_of(type_of_kind)}"
    closest = _closest(kind, list(type_of_kind)) if isinstance(kind, str) else None
    hint = f"; did you mean {closest}?" if closest else ""
    return f"must be {_one_of(type_of_kind)}, not {shown(kind)}{hint}"


def _in_words(model: type[BaseModel], error: ErrorDetails) -> tuple[str, str]:
    """The path of the field, and what is wrong with it and what is allowed."""
    location = error["loc"]
    context = error.get("ctx", {})
    match error["type"]:
        case "rule":
            what = context["what"]
        case "rule_of_parent":
            location, what = location[:-1], context["what"]
        case "missing":
            field = fields_at(model, location[:-1])[str(location[-1])]
            what = f"is missing; must be {_allowed(field)}"
        case "extra_forbidden":
            known = list(fields_at(model, location[:-1]))
            closest = _closest(str(location[-1]), known)
            what = (
                f"is not known; did you mean {closest}?" if closest else f"is not known; known are {', '.join(known)}"
            )
        case "literal_error":
            what = f"must be {context['expected'].strip(chr(39))}, not {shown(error['input'])}"
        case "model_type" | "dict_type":
            what = f"must be a mapping, not {shown(error['input'])}"
        case "tuple_type":
            what = f"must be a list, not {shown(error['input'])}"
        case "too_long":
            what = f"must have at most {context['max_length']} entries, not {context['actual_length']}"
        case "string_type":
            what = f"must be text (put it in quotes), not {shown(error['input'])}"
        case "invalid_key":
            what = "must have text as keys (put them in quotes)"
        case _:
            what = error["msg"]
    return _path(location), what


def fields_at(model: type[BaseModel], location: Sequence[int | str]) -> dict[str, FieldInfo]:
    """The fields, by their name in YAML, of the model that `location` leads to from `model`.

    LookupError where it leads to no model.
    """
    for step in location:
        if isinstance(step, str):
            model = _models(fields_at(model, ())[step].annotation)[0]
    return {str(field.validation_alias or name): field for name, field in model.model_fields.items()}


def _models(annotation: Any) -> list[type[BaseModel]]:
    """The models within an annotation such as `tuple[Period, ...]` or `Battery | None`."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return [annotation]
    return [model for inner in get_args(annotation) for model in _models(inner)]


def _allowed(field: FieldInfo) -> str:
    for constraint in field.metadata:
        if hasattr(constraint, "allowed"):
            return str(constraint.allowed)
    models = _models(field.annotation)
    if not models:
        return str(get_args(field.annotation)[0])  # a Literal
    required = [name for name, inner in fields_at(models[0], ()).items() if inner.is_required()]
    return f"a mapping{' with ' if required else ''}{' and '.join(required)}"


def _path(location: Sequence[int | str]) -> str:
    """`spec.tariff.periods[1].from`; names that are no plain word are quoted."""
    path = ""
    for step in location:
        if isinstance(step, int):
            path += f"[{step}]"
        else:
            path += f"{'.' if path else ''}{step if re.fullmatch('[A-Za-z0-9_./-]+', step) else json.dumps(step)}"
    return path


def _closest(name: str, known: Sequence[str]) -> str | None:
    by_lower = {candidate.lower(): candidate for candidate in known}
    matches = get_close_matches(name.lower(), list(by_lower), n=1, cutoff=0.6)
    return by_lower[matches[0]] if matches else None


def _one_of(names: Sequence[str] | dict[str, Any]) -> str:
    *first, last = names
    return f"{', '.join(first)} or {last}"
