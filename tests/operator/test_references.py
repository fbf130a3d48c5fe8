"""Mistakes that show only when resources are seen together."""

from __future__ import annotations

from collections.abc import Callable

import pytest

MistakesOf = Callable[[str], list[str]]


def gateway(name: str, namespace: str = "default") -> str:
    return f"""
apiVersion: wattmesh.io/v1alpha1
kind: BecknGateway
metadata: {{name: {name}, namespace: {namespace}}}
"""


def utility(name: str, **spec: str) -> str:
    return f"""
apiVersion: wattmesh.io/v1alpha1
kind: UtilityAgent
metadata: {{name: {name}}}
spec: {{tariff: {{price: 0.25, feedIn: 0.08}}, capacityKw: 50{_fields(spec)}}}
"""


def solar(name: str, **spec: str) -> str:
    return f"""
apiVersion: wattmesh.io/v1alpha1
kind: SolarAgent
metadata: {{name: {name}}}
spec: {{load: {{annualKwh: 3000}}{_fields(spec)}}}
"""


def _fields(spec: dict[str, str]) -> str:
    return "".join(f", {name}: {value}" for name, value in spec.items())


NAMES = "gateways, utilities, households and pods of a namespace need different names"


@pytest.mark.parametrize(
    ("documents", "mistakes"),
    [
        pytest.param(
            [solar("a")],
            ["SolarAgent a: spec.gatewayRef: is missing, and namespace default has no BecknGateway; declare one"],
            id="no gateway",
        ),
        pytest.param(
            [gateway("market", namespace="elsewhere"), utility("u")],
            ["UtilityAgent u: spec.gatewayRef: is missing, and namespace default has no BecknGateway; declare one"],
            id="a gateway of another namespace",
        ),
        pytest.param(
            [gateway("north"), gateway("south"), utility("u")],
            [
                "UtilityAgent u: spec.gatewayRef: is missing, and namespace default has more than one BecknGateway;"
                " name one of north, south"
            ],
            id="an ambiguous gateway",
        ),
        pytest.param(
            [gateway("market"), utility("u", gatewayRef="{name: markt}")],
            [
                "UtilityAgent u: spec.gatewayRef.name: must be a BecknGateway of namespace default, not markt;"
                " there is market"
            ],
            id="a gateway that is not there",
        ),
        pytest.param(
            [gateway("market"), solar("a")],
            [
                "SolarAgent a: spec.utilityRef: is missing, and gateway market and feeder main has no UtilityAgent;"
                " declare one"
            ],
            id="no utility",
        ),
        pytest.param(
            [gateway("market"), utility("u", feeder="east"), solar("a", feeder="west")],
            [
                "SolarAgent a: spec.utilityRef: is missing, and gateway market and feeder west has no UtilityAgent;"
                " declare one"
            ],
            id="no utility on the feeder",
        ),
        pytest.param(
            [gateway("market"), utility("u"), utility("v"), solar("a")],
            [
                "SolarAgent a: spec.utilityRef: is missing, and gateway market and feeder main has more than one"
                " UtilityAgent; name one of u, v"
            ],
            id="an ambiguous utility",
        ),
        pytest.param(
            [gateway("market"), solar("a", utilityRef="{name: u}")],
            ["SolarAgent a: spec.utilityRef.name: must be a UtilityAgent of namespace default, not u; there is none"],
            id="a utility that is not there",
        ),
        pytest.param(
            [gateway("market"), utility("u", feeder="east"), solar("a", utilityRef="{name: u}")],
            ["SolarAgent a: spec.utilityRef.name: must be on the same feeder (main); u is on east"],
            id="a utility of another feeder",
        ),
        pytest.param(
            [
                gateway("north"),
                gateway("south"),
                utility("u", gatewayRef="{name: north}"),
                solar("a", gatewayRef="{name: south}", utilityRef="{name: u}"),
            ],
            ["SolarAgent a: spec.utilityRef.name: must be on the same gateway (south); u is on north"],
            id="a utility of another gateway",
        ),
        pytest.param(
            [gateway("market"), gateway("market")],
            [
                "BecknGateway market: metadata.name: is taken: namespace default has a BecknGateway market in"
                " mesh.yaml, document 1 (line 2)"
            ],
            id="a resource twice",
        ),
        pytest.param(
            [gateway("market"), utility("a-0"), solar("a", replicas="3")],
            [f"SolarAgent a: metadata.name: gives household a-0, a name that utility of UtilityAgent a-0 has; {NAMES}"],
            id="a household named like a utility",
        ),
        pytest.param(
            [gateway("market"), utility("u"), solar("a-pod"), solar("a", householdsPerPod="2")],
            [f"SolarAgent a: metadata.name: gives pod a-pod-0, a name that household of SolarAgent a-pod has; {NAMES}"],
            id="a pod named like a household",
        ),
        pytest.param(
            [gateway("market"), utility("forgotten"), solar("forgotten")],
            [
                f"{kind} forgotten: metadata.name: is reserved: books have this name in place of households that were"
                " forgotten; choose another"
                for kind in ("UtilityAgent", "SolarAgent")
            ],
            id="the name of who was forgotten",
        ),
        pytest.param(
            [gateway("market"), utility("u"), solar("a" * 60, replicas="200")],
            [
                f"SolarAgent {'a' * 60}: metadata.name: must have at most 59 characters, as {'a' * 60}-100 must have at"
                " most 63"
            ],
            id="a name too long with the household's number",
        ),
    ],
)
def test_a_mistake_between_resources(mistakes_of: MistakesOf, documents: list[str], mistakes: list[str]) -> None:
    found = mistakes_of("---".join(documents))
    assert [line.split("), ", 1)[1] for line in found] == mistakes


@pytest.mark.parametrize(
    "broken",
    [
        gateway("market") + "spec: {speed: 5}",
        gateway("market").replace("BecknGateway", "BecknGatway"),
        "kind: [",
    ],
)
def test_a_reference_to_what_could_not_be_read_is_no_second_mistake(mistakes_of: MistakesOf, broken: str) -> None:
    documents = [broken, utility("u", gatewayRef="{name: market}"), solar("a")]
    assert all("document 1" in line for line in mistakes_of("---".join(documents)))


def test_a_mistake_between_resources_is_told_with_those_within(mistakes_of: MistakesOf) -> None:
    documents = [gateway("market"), utility("u", capacity="5"), solar("a", gatewayRef="{name: markt}")]
    assert mistakes_of("---".join(documents)) == [
        "mesh.yaml, document 2 (line 6), UtilityAgent u: spec.capacity: is not known; did you mean capacityKw?",
        "mesh.yaml, document 3 (line 11), SolarAgent a: spec.gatewayRef.name: must be a BecknGateway of namespace"
        " default, not markt; there is market",
    ]
