"""What is lost, edited or missed is put right."""

from __future__ import annotations

import json
import time

import pytest

from tests.e2e.kube import Kube, is_so, until
from tests.e2e.market import OPERATOR, books, buyer, continues, key_ids, late, registered, rooftop, uid_of_pod

pytestmark = pytest.mark.e2e


@pytest.fixture(autouse=True, scope="module")
def _two_roofs(street: Kube) -> None:
    street.apply(rooftop(replicas=2), buyer())
    street.ready("solaragent/rooftop", "solaragent/buyer")


def test_a_gateway_that_lost_its_volume_knows_all_sellers_again(street: Kube, measured: list[str]) -> None:
    all_of_them = registered(street)
    assert {"utility", "rooftop-0", "rooftop-1", "buyer-0", "flat-2"} <= all_of_them
    generations = {name: street.get("solaragent", name)["metadata"]["generation"] for name in ("rooftop", "buyer")}
    claim = street.get("persistentvolumeclaim", "market")["metadata"]["uid"]
    pod, began = uid_of_pod(street, "market"), time.monotonic()

    street("delete", "persistentvolumeclaim", "market", "--wait=false")
    street("delete", "pods", "--selector", "wattmesh.io/pod=market", "--wait=false")

    def new_gateway() -> bool:
        [item] = street.list("pods", "wattmesh.io/pod=market")
        ready = [c for c in item["status"]["conditions"] if c["type"] == "Ready" and c["status"] == "True"]
        return bool(ready) and item["metadata"]["uid"] != pod

    until("a new gateway answers", new_gateway)
    up = time.monotonic()
    assert street.get("persistentvolumeclaim", "market")["metadata"]["uid"] != claim
    until("all are registered again", lambda: registered(street) == all_of_them, within_s=30)
    measured.append(
        f"gateway and its volume deleted → answers again: {up - began:.1f} s"
        f" → all registered: {time.monotonic() - up:.1f} s more"
    )
    for name, generation in generations.items():
        assert street.get("solaragent", name)["metadata"]["generation"] == generation
    street.ready("beckngateway/market", "solaragent/rooftop")


def test_trading_goes_on_without_the_operator_and_it_catches_up(street: Kube, cluster: Kube) -> None:
    cluster("scale", OPERATOR, "--replicas=0")
    until("the operator is down", lambda: not cluster.list("pods", "app.kubernetes.io/component=operator"))
    try:
        settled = {c["transaction_id"] for c in books(street, "flat-pod-0").settled("buyer")}
        street.apply(rooftop(replicas=3))
        street.apply(late())
        street("delete", "service", "rooftop-1")

        def trades_from_now_on() -> bool:
            return len({c["transaction_id"] for c in books(street, "flat-pod-0").settled("buyer")} - settled) >= 3

        until("flats buy in the next slots", trades_from_now_on)
        assert street.is_gone("deployment", "late-0")
        assert street.is_gone("deployment", "rooftop-2")
    finally:
        cluster("scale", OPERATOR, "--replicas=1")
    street.ready("solaragent/rooftop", "solaragent/late")
    assert {"late-0", "rooftop-2"} <= registered(street)
    assert not street.is_gone("service", "rooftop-1")


@pytest.mark.parametrize("kind", ["deployment", "service", "configmap"])
def test_a_child_that_is_deleted_by_hand_comes_back(street: Kube, kind: str) -> None:
    uid = street.get(kind, "rooftop-1")["metadata"]["uid"]
    street("delete", kind, "rooftop-1")

    until("it is made again", lambda: street.get(kind, "rooftop-1")["metadata"]["uid"] != uid)
    street.ready("solaragent/rooftop")


def test_a_child_that_is_edited_by_hand_is_put_right(street: Kube) -> None:
    def ports() -> list[int]:
        return [port["port"] for port in street.get("service", "rooftop-1")["spec"]["ports"]]

    def containers() -> list[tuple[str, int]]:
        spec = street.get("deployment", "rooftop-1")["spec"]
        return [(c["name"], spec["replicas"]) for c in spec["template"]["spec"]["containers"]]

    edits = {
        "service": [{"op": "replace", "path": "/spec/ports/0/port", "value": 9999}],
        "deployment": [{"op": "replace", "path": "/spec/replicas", "value": 0}],
    }
    for kind, patch in edits.items():
        street("patch", kind, "rooftop-1", "--type=json", "--patch", json.dumps(patch))

    until("the Service is right", lambda: ports() == [8080])
    until("the Deployment is right", lambda: containers() == [("main", 1)])
    street.ready("solaragent/rooftop")
    told = street("events", "--for", "solaragent/rooftop")
    assert "DriftRepaired" in told


def test_an_edit_of_the_spec_rolls_the_pod_and_keeps_battery_ledger_and_identity(street: Kube) -> None:
    before, keys, pod = books(street, "rooftop-0"), key_ids(street, "rooftop-0"), uid_of_pod(street, "rooftop-0")
    assert before.tables["ledger"]
    trading = {"sellAbovePercent": 19, "sellPrice": 0.14}

    street("patch", "solaragent", "rooftop", "--type=merge", "--patch", json.dumps({"spec": {"trading": trading}}))

    until("the pod is another", lambda: uid_of_pod(street, "rooftop-0") != pod)
    street.ready("solaragent/rooftop")
    continues(before, books(street, "rooftop-0"))
    assert key_ids(street, "rooftop-0") == keys
    assert is_so(street.get("solaragent", "rooftop"), "Ready")
    until("it sells again", lambda: len(books(street, "rooftop-0").contracts) > len(before.contracts))


def test_nothing_needs_a_finalizer(street: Kube) -> None:
    mine = street.list("solaragents,utilityagents,beckngateways,deployments,services,configmaps,secrets")
    assert len(mine) > 10
    assert not [item["metadata"]["name"] for item in mine if item["metadata"].get("finalizers")]
