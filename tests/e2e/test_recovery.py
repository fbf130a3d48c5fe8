"""What is lost, edited or missed is put right."""

from __future__ import annotations

import json
import time

import pytest

from tests.e2e.kube import Kube, is_so, until
from tests.e2e.market import books, buyer, continues, key_ids, registered, rooftop, uid_of_pod

pytestmark = pytest.mark.e2e


@pytest.fixture(autouse=True, scope="module")
def _two_roofs(avenue: Kube) -> None:
    avenue.apply(rooftop(replicas=2), buyer())
    avenue.ready("solaragent/rooftop", "solaragent/buyer")


def test_a_gateway_that_lost_its_volume_knows_all_sellers_again(avenue: Kube, measured: list[str]) -> None:
    all_of_them = registered(avenue)
    assert {"utility", "rooftop-0", "rooftop-1", "buyer-0", "flat-2"} <= all_of_them
    generations = {name: avenue.get("solaragent", name)["metadata"]["generation"] for name in ("rooftop", "buyer")}
    claim = avenue.get("persistentvolumeclaim", "market")["metadata"]["uid"]
    pod, began = uid_of_pod(avenue, "market"), time.monotonic()

    avenue("delete", "persistentvolumeclaim", "market", "--wait=false")
    avenue("delete", "pods", "--selector", "wattmesh.io/pod=market", "--wait=false")

    def new_gateway() -> bool:
        [item] = avenue.list("pods", "wattmesh.io/pod=market")
        ready = [c for c in item["status"]["conditions"] if c["type"] == "Ready" and c["status"] == "True"]
        return bool(ready) and item["metadata"]["uid"] != pod

    until("a new gateway answers", new_gateway)
    up = time.monotonic()
    assert avenue.get("persistentvolumeclaim", "market")["metadata"]["uid"] != claim
    until("all are registered again", lambda: registered(avenue) == all_of_them, within_s=30)
    measured.append(
        f"gateway and its volume deleted → answers again: {up - began:.1f} s"
        f" → all registered: {time.monotonic() - up:.1f} s more"
    )
    for name, generation in generations.items():
        assert avenue.get("solaragent", name)["metadata"]["generation"] == generation
    avenue.ready("beckngateway/market", "solaragent/rooftop")


@pytest.mark.parametrize("kind", ["deployment", "service", "configmap"])
def test_a_child_that_is_deleted_by_hand_comes_back(avenue: Kube, kind: str) -> None:
    uid = avenue.get(kind, "rooftop-1")["metadata"]["uid"]
    avenue("delete", kind, "rooftop-1")

    until("it is made again", lambda: avenue.get(kind, "rooftop-1")["metadata"]["uid"] != uid)
    avenue.ready("solaragent/rooftop")


def test_a_child_that_is_edited_by_hand_is_put_right(avenue: Kube) -> None:
    def ports() -> list[int]:
        return [port["port"] for port in avenue.get("service", "rooftop-1")["spec"]["ports"]]

    def containers() -> list[tuple[str, int]]:
        spec = avenue.get("deployment", "rooftop-1")["spec"]
        return [(c["name"], spec["replicas"]) for c in spec["template"]["spec"]["containers"]]

    edits = {
        "service": [{"op": "replace", "path": "/spec/ports/0/port", "value": 9999}],
        "deployment": [{"op": "replace", "path": "/spec/replicas", "value": 0}],
    }
    for kind, patch in edits.items():
        avenue("patch", kind, "rooftop-1", "--type=json", "--patch", json.dumps(patch))

    until("the Service is right", lambda: ports() == [8080])
    until("the Deployment is right", lambda: containers() == [("main", 1)])
    avenue.ready("solaragent/rooftop")
    told = avenue("events", "--for", "solaragent/rooftop")
    assert "DriftRepaired" in told


def test_an_edit_of_the_spec_rolls_the_pod_and_keeps_battery_ledger_and_identity(avenue: Kube) -> None:
    before, keys, pod = books(avenue, "rooftop-0"), key_ids(avenue, "rooftop-0"), uid_of_pod(avenue, "rooftop-0")
    assert before.tables["ledger"]
    trading = {"sellAbovePercent": 19, "sellPrice": 0.14}

    avenue("patch", "solaragent", "rooftop", "--type=merge", "--patch", json.dumps({"spec": {"trading": trading}}))

    until("the pod is another", lambda: uid_of_pod(avenue, "rooftop-0") != pod)
    avenue.ready("solaragent/rooftop")
    continues(before, books(avenue, "rooftop-0"))
    assert key_ids(avenue, "rooftop-0") == keys
    assert is_so(avenue.get("solaragent", "rooftop"), "Ready")
    until("it sells again", lambda: len(books(avenue, "rooftop-0").contracts) > len(before.contracts))


def test_nothing_needs_a_finalizer(avenue: Kube) -> None:
    mine = avenue.list("solaragents,utilityagents,beckngateways,deployments,services,configmaps,secrets")
    assert len(mine) > 10
    assert not [item["metadata"]["name"] for item in mine if item["metadata"].get("finalizers")]
