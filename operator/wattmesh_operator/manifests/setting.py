"""Single values of resources by their path, as variants of a study and `--set` give them."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from difflib import get_close_matches
from typing import Any

from wattmesh_operator.manifests.documents import read_documents
from wattmesh_operator.manifests.loading import load
from wattmesh_operator.manifests.writing import as_document, written
from wattmesh_operator.resources import Resource, type_of_kind
from wattmesh_operator.resources.parsing import fields_at
from wattmesh_operator.resources.resource import Part

_PATH = re.compile(r"((?P<kind>[A-Za-z]+)(/(?P<name>[-a-z0-9]+))?\.)?(?P<field>spec(\.[\w-]+|\[[0-9]+\])+)")
_STEP = re.compile(r"([\w-]+)|\[([0-9]+)\]")


def with_values(resources: Sequence[Resource], values: Mapping[str, object]) -> tuple[Resource, ...]:
    """The resources with other values of some fields, checked as if they were read from a file.

    A path is `[KIND[/NAME].]spec.FIELD…`, with fields as manifests write them and `[0]` for the first of a list:
    `spec.battery.capacityKwh`, `utilityagent.spec.tariff.price`, `solaragent/roof.spec.seed`. Without a name it is the
    field of every resource that has what the field is in: no flat without a battery gets one. A value is what YAML
    would say (energy in kWh, power in kW, money in the gateway's currency), or a part of a resource.

    Raises ValueError when a path leads nowhere, and ManifestErrors with every mistake in what the values make.
    """
    documents = [as_document(resource) for resource in resources]
    for path, value in values.items():
        steps, chosen = _chosen(path, documents)
        for document in chosen:
            _set(path, document, steps, _plain(value))
    return load(documents)


def parsed_value(text: str) -> object:
    """A value as a manifest writes it: `7.5`, `plan`, `{price: 0.3, feedIn: 0.08}`. ValueError."""
    documents = read_documents("", text)
    mistakes = [mistake.what for document in documents for mistake in document.mistakes]
    if len(documents) != 1 or mistakes:
        raise ValueError(f"{text!r} {', '.join(mistakes) or 'is not one value'}")
    return documents[0].value


def values_of(document: Mapping[str, Any]) -> Iterator[tuple[str, object]]:
    """Path and value of all that a manifest says in its spec; the paths are those of `with_values`."""
    yield from _leaves(f"{document['kind'].lower()}/{document['metadata']['name']}.spec", document.get("spec", {}))


def _leaves(path: str, value: object) -> Iterator[tuple[str, object]]:
    if isinstance(value, Mapping):
        for key, inner in value.items():
            yield from _leaves(f"{path}.{key}", inner)
    elif isinstance(value, list):
        for at, inner in enumerate(value):
            yield from _leaves(f"{path}[{at}]", inner)
    else:
        yield path, value


def _chosen(path: str, documents: Sequence[dict[str, Any]]) -> tuple[list[str | int], list[dict[str, Any]]]:
    """Where a path leads within a document, and the documents it is of."""
    found = _PATH.fullmatch(path)
    if found is None:
        raise ValueError(f"{path}: is no path of a field; write [KIND[/NAME].]spec.FIELD, as spec.battery.capacityKwh")
    kinds = {kind.lower(): kind for kind in type_of_kind}
    if found["kind"] and found["kind"].lower() not in kinds:
        raise ValueError(f"{path}: there is no kind {found['kind']}; there is {', '.join(kinds.values())}")
    kind = found["kind"] and kinds[found["kind"].lower()]
    steps: list[str | int] = [int(at) if at else name for name, at in _STEP.findall(found["field"])]
    of_kind = [one for one in documents if kind in (None, one["kind"])]
    if found["name"]:
        named = [one for one in of_kind if one["metadata"]["name"] == found["name"]]
        if not named:
            names = ", ".join(one["metadata"]["name"] for one in of_kind) or "none"
            raise ValueError(f"{path}: there is no {kind} {found['name']}; there is {names}")
        return steps, named
    having = [one for one in of_kind if _knows(one, steps) and _has(one, steps[:-1])]
    if not having:
        known = [one.partition(".")[2] for document in documents for one, _ in values_of(document)]
        closest = get_close_matches(found["field"], known, n=1)
        hint = f"name one that shall get it, KIND/NAME.{found['field']}"
        hint += f", or did you mean {closest[0]}?" if closest else ""
        within = found["field"][: max(found["field"].rfind("."), found["field"].rfind("["))]
        raise ValueError(f"{path}: no {kind or 'resource'} has {within} with such a field; {hint}")
    return steps, having


def _knows(document: Mapping[str, Any], steps: Sequence[str | int]) -> bool:
    try:
        fields = fields_at(type_of_kind[document["kind"]], steps[:-1])
    except LookupError:
        return False
    return isinstance(steps[-1], int) or steps[-1] in fields


def _has(document: Any, steps: Sequence[str | int]) -> bool:
    for step in steps:
        try:
            document = document[step]
        except (LookupError, TypeError):
            return False
    return True


def _set(path: str, document: Any, steps: Sequence[Any], value: object) -> None:
    for step, last in zip(steps, [*(False for _ in steps[1:]), True], strict=True):
        if not isinstance(document, list if isinstance(step, int) else dict):
            raise ValueError(f"{path}: {step} is within something that has no such part")
        if isinstance(step, int) and step >= len(document):
            raise ValueError(f"{path}: there is no entry [{step}], there are {len(document)}")
        if last:
            document[step] = value
        elif isinstance(document, dict):
            document = document.setdefault(step, {})
        else:
            document = document[step]


def _plain(value: object) -> object:
    """A value as `load` takes it: of parts of resources what they say, of numpy's numbers Python's."""
    if isinstance(value, Part):
        return written(value)
    if isinstance(value, Mapping):
        return {key: _plain(inner) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(inner) for inner in value]
    item = getattr(value, "item", None)
    return item() if callable(item) else value
