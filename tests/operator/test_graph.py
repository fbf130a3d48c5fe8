"""The resources of a namespace, sound or not → what shall run and why the rest cannot."""

from __future__ import annotations

from typing import Any

import pytest
import yaml

from wattmesh_operator.cluster.objects import Object
from wattmesh_operator.plan.graph import read_resources, resolve, with_replicas

GATEWAY = "kind: BecknGateway\nmetadata: {name: market}\nspec: {}\n---\n"
UTILITY = "kind: UtilityAgent\nmetadata: {name: utility}\nspec: {tariff: {price: 1, feedIn: 0}, capacityKw: 9}\n---\n"
FLAT = "kind: SolarAgent\nmetadata: {name: flat}\nspec: {load: {annualKwh: 3000}}\n---\n"


def objects(text: str) -> list[Object]:
    """Objects as the API server has them; each a second younger than the one before."""
    made: list[Object] = []
    for number, document in enumerate(filter(None, yaml.safe_load_all(text))):
        metadata: dict[str, Any] = {
            "namespace": "street",
            "creationTimestamp": f"2026-11-22T21:00:{number:02d}Z",
            "generateName": "x-",
            "managedFields": [],
        }
        made.append({"apiVersion": "wattmesh.io/v1alpha1", **document, "metadata": metadata | document["metadata"]})
    return made


def problems(text: str) -> dict[str, str]:
    """The reasons by name."""
    resources, invalid = read_resources(objects(text))
    return {str(identity.name): problem.reason for identity, problem in resolve(resources, invalid).problems.items()}


def test_a_sound_namespace_has_no_problems() -> None:
    resources, invalid = read_resources(objects(GATEWAY + UTILITY + FLAT))
    graph = resolve(resources, invalid)
    assert graph.problems == {}
    assert [pod.name for plan in graph.plans for pod in plan.pods] == ["utility", "flat-0"]


def test_households_that_drain_are_planned_too() -> None:
    resources, invalid = read_resources(objects(GATEWAY + UTILITY + FLAT))
    graph = resolve(with_replicas(resources, {"flat": 3}), invalid)
    assert [pod.name for plan in graph.plans for pod in plan.pods] == ["utility", "flat-0", "flat-1", "flat-2"]


@pytest.mark.parametrize(
    ("text", "reasons"),
    [
        (UTILITY + FLAT, {"utility": "GatewayNotFound", "flat": "GatewayNotFound"}),
        (GATEWAY + FLAT, {"flat": "UtilityNotFound"}),
        (
            GATEWAY + GATEWAY.replace("market", "other") + UTILITY,
            {"utility": "GatewayAmbiguous"},
        ),
        (
            GATEWAY + UTILITY.replace("spec: {", "spec: {gatewayRef: {name: mraket}, "),
            {"utility": "GatewayNotFound"},
        ),
        (GATEWAY + UTILITY + UTILITY.replace("name: utility", "name: other") + FLAT, {"flat": "UtilityAmbiguous"}),
        (GATEWAY + UTILITY + FLAT.replace("{load", "{utilityRef: {name: utilty}, load"), {"flat": "UtilityNotFound"}),
        (
            GATEWAY + UTILITY.replace("spec: {", "spec: {feeder: east, ")
            + FLAT.replace("{load", "{utilityRef: {name: utility}, load"),
            {"flat": "UtilityElsewhere"},
        ),
        (
            GATEWAY + UTILITY.replace("price: 1", "price: dear") + FLAT,
            {"utility": "InvalidSpec", "flat": "UtilityInvalid"},
        ),
        (GATEWAY.replace("{}", "{currency: euro}") + UTILITY, {"market": "InvalidSpec", "utility": "GatewayInvalid"}),
        (GATEWAY + UTILITY + UTILITY.replace("name: utility", "name: market"), {"market": "NameNotAllowed"}),
    ],
)  # fmt: skip
def test_what_cannot_run_says_why(text: str, reasons: dict[str, str]) -> None:
    assert problems(text) == reasons


def test_of_two_that_want_a_name_the_older_has_it() -> None:
    older = UTILITY.replace("name: utility", "name: flat-0").replace("spec: {", "spec: {feeder: east, ")
    resources, invalid = read_resources(objects(GATEWAY + UTILITY + older + FLAT))
    graph = resolve(resources, invalid)
    assert [identity.name for identity in graph.problems] == ["flat"]
    assert "flat-0" in next(iter(graph.problems.values())).message
