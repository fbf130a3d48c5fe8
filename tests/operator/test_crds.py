"""The CustomResourceDefinitions: that crds/ holds what the models give, and that it is what Kubernetes accepts.

A real API server is asked in the end-to-end tests, with the same e2e/bad_manifests.yaml.
"""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal
from functools import cache
from pathlib import Path
from typing import Any, get_args

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel

from wattmesh_operator.crd import crd_files, custom_resource_definitions
from wattmesh_operator.crd.__main__ import main
from wattmesh_operator.crd.rules import IMMUTABLE, RULES
from wattmesh_operator.crd.schema import structural_schema
from wattmesh_operator.plan.references import resolve_references
from wattmesh_operator.resources import type_of_kind
from wattmesh_operator.resources.mistakes import ManifestErrors
from wattmesh_operator.resources.parsing import Manifest, parse_resource

ROOT = Path(__file__).parents[2]
BAD_MANIFESTS = yaml.safe_load((ROOT / "tests/e2e/bad_manifests.yaml").read_text(encoding="utf-8"))

KEYWORDS_OF_KUBERNETES = {
    *("description", "type", "format", "enum", "default", "required", "properties", "items"),
    *("minimum", "maximum", "pattern", "maxLength", "minItems", "maxItems"),
    *("additionalProperties", "x-kubernetes-preserve-unknown-fields"),
    *("x-kubernetes-validations", "x-kubernetes-list-type", "x-kubernetes-list-map-keys"),
}

UNTYPED = {"UtilityAgent.spec.sharing"}
"""A word or a mapping, which no structural schema can say: the operator checks it alone."""

# Each validator over several fields of a model, and parts of the messages of the CEL rules that are its twins.
TWINS = {
    "BecknGatewaySpec._shared": ["more than 1 need a database that they share"],
    "Battery._within_capacity": ["must be at most capacityKwh"],
    "Battery._below_initial": ["must be at most initialKwh"],
    "Trading._ascending": ["must be buyBelowPercent ≤ buyTargetPercent ≤ sellAbovePercent"],
    "Pv._some_panels": ["needs exactly one of peakKw and roofs"],
    "Profile._one_source": ["needs exactly one of csv, folder and configMap"],
    "SolarAgentSpec._some_energy": [
        "needs at least one of battery, pv, load, ev, heatPump, shiftable and profile",
        "replaces pv and load",
    ],
    "SolarAgentSpec._different_names": ["each needs a name of its own"],
    "Ev._chargeable": ["must be at most what chargerKw gives within plugged"],
    "HeatPump._enough": ["must be at most what kw gives within window"],
    "ShiftableLoad._enough": ["must be at most what kw gives within window"],
    "ShiftableLoad._not_taken": ["must be another name than"],
    "SolarAgentSpec._fits_battery": [
        "shares of a battery's capacity, and there is none",
        "with strategy plan or chat the worth of stored energy decides",
        "buyBelowPercent (20 if left",
    ],
    "TariffPeriod._not_empty": ['must differ from "from"'],
    "Tariff._apart": ["must not overlap"],
    "PriceSeries._one_source": ["needs exactly one of csv, inline and configMap"],
}


@cache
def crd_of(kind: str) -> dict[str, Any]:
    [crd] = [crd for crd in custom_resource_definitions() if crd["spec"]["names"]["kind"] == kind]
    return crd


def version_of(kind: str) -> dict[str, Any]:
    [version] = crd_of(kind)["spec"]["versions"]
    assert isinstance(version, dict)
    return version


def schema_of(kind: str) -> dict[str, Any]:
    schema = version_of(kind)["schema"]["openAPIV3Schema"]
    assert isinstance(schema, dict)
    return schema


def schemas(schema: dict[str, Any], path: str = "") -> Iterator[tuple[str, dict[str, Any]]]:
    """The schema and all within it, each with its path."""
    yield path, schema
    for name, inner in schema.get("properties", {}).items():
        yield from schemas(inner, f"{path}.{name}")
    if "items" in schema:
        yield from schemas(schema["items"], f"{path}[]")


def all_schemas() -> list[tuple[str, dict[str, Any]]]:
    return [found for kind in type_of_kind for found in schemas(schema_of(kind), kind)]


def models_within(annotation: Any) -> Iterator[type[BaseModel]]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield annotation
        for field in annotation.model_fields.values():
            yield from models_within(field.annotation)
    for inner in get_args(annotation):
        yield from models_within(inner)


def with_defaults(schema: dict[str, Any], value: Any) -> Any:
    """`value` as an API server stores it."""
    if isinstance(value, list):
        return [with_defaults(schema["items"], item) for item in value]
    if not isinstance(value, dict) or "properties" not in schema:
        return value
    filled = dict(value)
    for name, inner in schema["properties"].items():
        if name not in filled and "default" in inner:
            filled[name] = inner["default"]
        if name in filled:
            filled[name] = with_defaults(inner, filled[name])
    return filled


def test_the_folder_holds_what_the_models_give() -> None:
    written = {file.name: file.read_text(encoding="utf-8") for file in (ROOT / "crds").iterdir()}
    assert written == crd_files(), "run `make crds`"


def test_the_command_writes_each_definition_into_a_file(tmp_path: Path) -> None:
    main(tmp_path / "new")
    names = {file.name: yaml.safe_load(file.read_text())["metadata"]["name"] for file in (tmp_path / "new").iterdir()}
    assert names == {
        "solaragents.yaml": "solaragents.wattmesh.io",
        "utilityagents.yaml": "utilityagents.wattmesh.io",
        "beckngateways.yaml": "beckngateways.wattmesh.io",
    }


def test_every_field_is_described() -> None:
    # Kubernetes describes metadata itself, and refuses a description of it here.
    missing = [path for path, schema in all_schemas() if not schema.get("description")]
    assert missing == [f"{kind}.metadata" for kind in type_of_kind]


def test_every_schema_is_structural() -> None:
    for path, schema in all_schemas():
        assert set(schema) <= KEYWORDS_OF_KUBERNETES, path
        if path in UNTYPED:
            assert set(schema) == {"description", "x-kubernetes-preserve-unknown-fields"}, path
            continue
        assert schema["type"] in {"object", "array", "string", "integer", "number"}, path
        maps = {"properties", "additionalProperties", "x-kubernetes-preserve-unknown-fields"}
        assert (not maps.isdisjoint(schema)) == (schema["type"] == "object"), path
        assert ("items" in schema) == (schema["type"] == "array"), path
        assert set(schema.get("required", ())) <= set(schema.get("properties", ())), path


def test_every_value_is_bounded() -> None:
    """An API server estimates what the rules cost at worst, and accepts none on what has no bound."""
    bounds = {"string": {"maxLength"}, "array": {"maxItems"}, "integer": {"minimum", "maximum", "format"}}
    for path, schema in all_schemas():
        known = "enum" in schema or schema.get("format") == "date-time" or path.endswith((".apiVersion", ".kind"))
        if not known and path not in UNTYPED:
            assert bounds.get(schema["type"], set()) <= set(schema), path


def test_the_schema_of_what_kubernetes_does_not_know_is_refused() -> None:
    class Choice(BaseModel):
        value: dict[str, int] = {}
        other: int | str = 0

    with pytest.raises(ValueError, match=r"too many values|no translation"):
        structural_schema(Choice)


@pytest.mark.parametrize("example", sorted((ROOT / "examples").glob("*.yaml")), ids=lambda file: file.stem)
def test_what_an_api_server_stores_is_read_as_what_was_written(example: Path) -> None:
    for document in yaml.load_all(example.read_text(encoding="utf-8"), Loader=yaml.BaseLoader):
        written = _as_kubectl_sends(document, schema_of(document["kind"]))
        stored = with_defaults(schema_of(document["kind"]), written)
        assert stored != written
        assert parse_resource(stored) == parse_resource(written)


def _as_kubectl_sends(value: Any, schema: dict[str, Any]) -> Any:
    """Values of text as the types of their schema, to be free of YAML's notations for times."""
    if isinstance(value, dict):
        return {name: _as_kubectl_sends(inner, schema["properties"][name]) for name, inner in value.items()}
    if isinstance(value, list):
        return [_as_kubectl_sends(item, schema["items"]) for item in value]
    return {"integer": int, "number": float}.get(schema["type"], str)(value)


def test_what_was_left_out_is_filled_in() -> None:
    gateway = with_defaults(schema_of("BecknGateway"), {"metadata": {"name": "market"}})
    assert gateway["spec"] == {
        "domain": "uei:p2p_trading",
        "currency": "EUR",
        "vocabulary": "core",
        "protocols": ["v1"],
        "schemaHost": "schema.nfh.global",
        "clock": {"start": "2026-06-21T06:00:00Z", "speed": 1},
        "replicas": 1,
    }
    agent = with_defaults(schema_of("SolarAgent"), {"spec": {"load": {"annualKwh": 1}}})
    assert agent["spec"]["trading"] == {}, "written thresholds or a written pricing say that rules decide"
    assert "strategy" not in agent["spec"], "the default is for what trading names"
    assert agent["spec"]["connectionKw"] == 30


def test_the_status_is_never_filled_in() -> None:
    for kind in type_of_kind:
        assert not [path for path, schema in schemas(schema_of(kind)["properties"]["status"]) if "default" in schema]


def test_every_rule_over_fields_of_the_models_has_a_twin_in_cel() -> None:
    models = {model for kind in type_of_kind.values() for model in models_within(kind)}
    validators = {
        f"{model.__name__}.{name}": model
        for model in models
        for decorators in (
            model.__pydantic_decorators__.field_validators,
            model.__pydantic_decorators__.model_validators,
        )
        for name in decorators
        if name != "_prune"  # drops null, as an API server does
    }
    assert set(validators) == set(TWINS)
    for validator, messages in TWINS.items():
        model = validators[validator]
        for message in messages:
            assert [rule for rule in RULES[model] if message in rule.message], f"{model.__name__}: {message}"
    twins = sum(len(messages) for messages in TWINS.values())
    of_names = 4  # they have their twin in `references`
    of_clusters = 2  # files are for `wattmesh up`; the twin is in `graph`
    assert sum(len(rules) for rules in RULES.values()) == twins + of_names + of_clusters


def test_every_rule_has_a_manifest_that_breaks_it() -> None:
    told = [bad["message"] for bad in BAD_MANIFESTS]
    rules = [rule for rules in RULES.values() for rule in rules]
    rules += [immutable.rule() for fields in IMMUTABLE.values() for immutable in fields.values()]
    assert [rule for rule in rules if not any(part in rule.message for part in told)] == []


@pytest.mark.parametrize("bad", BAD_MANIFESTS, ids=lambda bad: bad["rule"])
def test_what_an_api_server_refuses_the_models_refuse_too(bad: dict[str, Any]) -> None:
    def mistakes(document: dict[str, Any]) -> list[str]:
        try:
            manifest = Manifest(parse_resource(document))
        except ManifestErrors as errors:
            return [mistake.path for mistake in errors.mistakes]
        # Of the rules that span resources, only those on this one's name: no other is there.
        return [mistake.path for mistake in resolve_references([manifest]).mistakes if mistake.path == "metadata.name"]

    found = mistakes(bad["manifest"])
    assert "before" not in bad or not mistakes(bad["before"])
    if bad.get("only_on_server"):
        assert not found
    else:
        assert found
        if "field" in bad:
            assert bad["field"] in found


@pytest.mark.parametrize(
    ("kind", "path"),
    [
        ("SolarAgent", ".spec.householdsPerPod"),
        ("BecknGateway", ".spec.domain"),
        ("BecknGateway", ".spec.currency"),
        ("BecknGateway", ".spec.clock.start"),
        ("BecknGateway", ".spec.clock.speed"),
    ],
)
def test_what_does_not_change_says_so(kind: str, path: str) -> None:
    schema = dict(schemas(schema_of(kind)))[path]
    assert "Immutable: " in schema["description"]
    assert "default" in schema, "without one, leaving it out would escape the rule"
    [rule] = [rule for rule in schema["x-kubernetes-validations"] if rule["rule"] == "self == oldSelf"]
    assert rule["message"].startswith("is immutable: ")
    assert f"; make a new {kind}" in rule["message"]


@given(st.integers(0, 10**12), st.sampled_from([3, 4, 6]))
def test_the_rule_on_decimals_accepts_every_multiple(count: int, decimals: int) -> None:
    scale = float(10**decimals)
    number = float(Decimal(count).scaleb(-decimals))
    assert float(int(number * scale + 0.5)) / scale == number


def test_kubectl_gets_scales_and_shortens() -> None:
    solar = version_of("SolarAgent")
    assert solar["subresources"] == {
        "status": {},
        "scale": {
            "specReplicasPath": ".spec.replicas",
            "statusReplicasPath": ".status.replicas",
            "labelSelectorPath": ".status.selector",
        },
    }
    names = {kind: crd_of(kind)["spec"]["names"] for kind in type_of_kind}
    assert [names[kind]["shortNames"] for kind in ("SolarAgent", "UtilityAgent", "BecknGateway")] == [
        ["solar"],
        ["util"],
        ["bgw"],
    ]
    assert all(of_kind["categories"] == ["wattmesh"] for of_kind in names.values())


@pytest.mark.parametrize(
    ("kind", "columns", "wide"),
    [
        ("SolarAgent", "READY REPLICAS SOC SOLD BOUGHT BALANCE AGE", "GATEWAY REASON"),
        ("UtilityAgent", "READY SOLD BOUGHT BALANCE AGE", "GATEWAY REASON"),
        ("BecknGateway", "READY SUBSCRIBERS URL AGE", "REPLICAS REASON"),
    ],
)
def test_columns(kind: str, columns: str, wide: str) -> None:
    of_kind = version_of(kind)["additionalPrinterColumns"]
    assert " ".join(column["name"].upper() for column in of_kind if not column.get("priority")) == columns
    assert " ".join(column["name"].upper() for column in of_kind if column.get("priority")) == wide
    known = {path for path, _ in schemas(schema_of(kind))}
    for column in of_kind:
        assert column["jsonPath"].split("[?")[0].replace(".metadata.creationTimestamp", "") in {"", *known}
