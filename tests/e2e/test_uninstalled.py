"""The chart: tested, uninstalled with resources still there, installed for one namespace, and the end of all.

These are the last tests: they take away what the others work with.
"""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from tests.e2e.kube import Kube, until
from tests.e2e.market import CHILDREN, KINDS, books, registered, solar

pytestmark = [pytest.mark.e2e, pytest.mark.alone]

ROOT = Path(__file__).parents[2]
CHART = str(ROOT / "charts/wattmesh")
OWN = "app.kubernetes.io/instance=own"


def test_the_chart_tests_itself(cluster: Kube) -> None:
    assert "Phase:          Succeeded" in cluster.helm("test", "wattmesh")


def test_the_chart_is_uninstalled_with_resources_still_there(street: Kube, cluster: Kube) -> None:
    resources, pods = street.names(KINDS), {item["metadata"]["uid"] for item in street.list("pods")}

    cluster.helm("uninstall", "wattmesh", "--wait", "--timeout", "2m")

    until("the operator is gone", lambda: not cluster.list("pods", "app.kubernetes.io/component=operator"))
    assert street.names(KINDS) == resources
    assert {item["metadata"]["uid"] for item in street.list("pods")} == pods
    contracts = len(books(street, "flat-pod-0").contracts)
    until("the street trades on", lambda: len(books(street, "flat-pod-0").contracts) > contracts)
    # With nobody there to hear of it, it trades on until somebody lets it settle.
    street("delete", "solaragent", "buyer", timeout_s=60)
    until(
        "the garbage collector leaves it to its gateway",
        lambda: (
            [owner["kind"] for owner in street.get("deployment", "buyer-0")["metadata"]["ownerReferences"]]
            == ["BecknGateway"]
        ),
    )
    assert street.list("pods", "wattmesh.io/solaragent=buyer")


def test_the_operator_works_with_the_rights_of_one_namespace(street: Kube) -> None:
    tag = os.environ["E2E_TAG"]
    images = f"image.tag={tag},runtimeImage.tag={tag}"
    street.helm(
        *("install", "own", CHART, "--skip-crds", "--set", "rbac.clusterScoped=false", "--set", images),
        *("--wait", "--timeout", "3m"),
    )
    assert not street.list("clusterroles,clusterrolebindings,validatingadmissionpolicies", OWN)
    assert street.names("roles", OWN)

    # What it heard of nobody is true again, and what is new is made.
    until("who left is not registered any more", lambda: "buyer-0" not in registered(street))
    until("nothing of it is left", lambda: not street.list(CHILDREN, "wattmesh.io/solaragent=buyer"))
    street.apply(solar("newcomer", strategy="rules", battery={"capacityKwh": 10, "initialKwh": 1}))
    street.ready("solaragent/newcomer", "solaragent/rooftop", "utilityagent/utility", "beckngateway/market")
    assert "newcomer-0" in registered(street)
    until("it buys under NetworkPolicies", lambda: books(street, "newcomer-0").settled("buyer"))
    own = street.list("pods", f"{OWN},app.kubernetes.io/component=operator")
    assert [pod["status"]["containerStatuses"][0]["restartCount"] for pod in own] == [0]


def test_the_namespace_goes_with_operator_and_resources_in_it(street: Kube) -> None:
    patch = json.dumps({"spec": {"replicas": 1}})
    street("patch", "solaragent", "rooftop", "--type=merge", "--patch", patch)

    street("delete", "namespace", "street", timeout_s=180)

    assert street.is_gone("namespace", "street")


def test_the_definitions_go_too(cluster: Kube) -> None:
    cluster("delete", "-f", str(ROOT / "crds"), timeout_s=60)

    assert not [name for name in cluster.names("customresourcedefinitions") if name.endswith(".wattmesh.io")]
