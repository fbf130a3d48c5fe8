"""`kubectl scale`, and a HorizontalPodAutoscaler."""

from __future__ import annotations

import pytest

from tests.e2e.killing import lives
from tests.e2e.kube import Kube, Object, condition, until
from tests.e2e.market import Books, books, buyer, continues, entries, key_ids, registered, uid_of_pod

pytestmark = pytest.mark.e2e

PROMISED = ("CONFIRMED", "DELIVERED")
FIVE = [f"rooftop-{number}" for number in range(5)]


@pytest.fixture(scope="module")
def before_going(avenue: Kube) -> tuple[Books, set[str], str]:
    """What rooftop-4 was when it was told to go: books, key and volume."""
    avenue.apply(buyer())
    avenue("scale", "solaragent/rooftop", "--replicas=5")
    avenue.ready("solaragent/rooftop", "solaragent/buyer")
    claim = avenue.get("persistentvolumeclaim", "rooftop-4")

    def sells() -> Books | None:
        now = books(avenue, "rooftop-4")
        promised = [contract for contract in now.open if contract["state"] in PROMISED]
        return now if now.settled("seller") and promised else None

    return until("rooftop-4 has a contract open", sells), key_ids(avenue, "rooftop-4"), claim["metadata"]["uid"]


def test_five_replicas_are_five_households(avenue: Kube, before_going: tuple[Books, set[str], str]) -> None:
    assert before_going
    known = entries(avenue)
    keys = {known[f"{name}.avenue", "BPP"]["signing_public_key"] for name in FIVE}
    urls = {known[f"{name}.avenue", "BPP"]["url"] for name in FIVE}
    assert len(keys) == 5
    assert urls == {f"http://{name}.avenue.svc:8080/{name}" for name in FIVE}
    for kind in ("deployments", "services", "secrets", "persistentvolumeclaims"):
        assert avenue.names(kind, "wattmesh.io/solaragent=rooftop") == set(FIVE)
    for name in FIVE:
        assert books(avenue, name).parties.keys() == {f"{name}.avenue"}
    scale = avenue.get("solaragent", "rooftop")["status"]
    assert scale["replicas"] == scale["readyReplicas"] == 5
    assert {p["metadata"]["labels"]["wattmesh.io/pod"] for p in avenue.list("pods", scale["selector"])} == set(FIVE)


def test_scaling_a_shared_pod_does_not_restart_those_who_stay(avenue: Kube) -> None:
    flats, uid, containers = "wattmesh.io/solaragent=flat", uid_of_pod(avenue, "flat-pod-0"), set[str]()
    containers |= lives(avenue, flats)
    traded = len(books(avenue, "flat-pod-0").contracts)

    avenue("scale", "solaragent/flat", "--replicas=4")
    avenue.ready("solaragent/flat")
    assert books(avenue, "flat-pod-0").parties.keys() == {f"flat-{number}.avenue" for number in range(4)}
    until("the new one buys", lambda: _settled_of(avenue, "flat-3.avenue"))
    avenue("scale", "solaragent/flat", "--replicas=3")
    until("it has left", lambda: "flat-3" not in registered(avenue))
    avenue.ready("solaragent/flat")

    assert len(books(avenue, "flat-pod-0").contracts) > traded
    assert (uid_of_pod(avenue, "flat-pod-0"), lives(avenue, flats)) == (uid, containers)


def _settled_of(avenue: Kube, party: str) -> list[Object]:
    return [contract for contract in books(avenue, "flat-pod-0").settled("buyer") if contract["party"] == party]


def test_scale_down_settles_deregisters_and_keeps_the_volume(
    avenue: Kube, before_going: tuple[Books, set[str], str]
) -> None:
    assert before_going
    avenue("scale", "solaragent/rooftop", "--replicas=2")

    until("three have gone", lambda: avenue.names("deployments", "wattmesh.io/solaragent=rooftop") == set(FIVE[:2]))

    avenue.ready("solaragent/rooftop")
    assert not registered(avenue) & set(FIVE[2:])
    assert avenue.names("services", "wattmesh.io/solaragent=rooftop") == set(FIVE[:2])
    assert avenue.names("persistentvolumeclaims", "wattmesh.io/solaragent=rooftop") == set(FIVE)
    leavers = {f"{name}.avenue" for name in FIVE[2:]}
    for pod in ("flat-pod-0", "buyer-0"):
        assert not [c for c in books(avenue, pod).open if c["counterparty"] in leavers]


def test_an_autoscaler_accepts_it_and_who_returns_finds_everything(
    avenue: Kube, before_going: tuple[Books, set[str], str]
) -> None:
    before, keys, claim = before_going
    target = {"apiVersion": "wattmesh.io/v1alpha1", "kind": "SolarAgent", "name": "rooftop"}
    metric = {
        "type": "Resource",
        "resource": {"name": "cpu", "target": {"type": "Utilization", "averageUtilization": 90}},
    }
    scaler: Object = {
        "apiVersion": "autoscaling/v2",
        "kind": "HorizontalPodAutoscaler",
        "metadata": {"name": "rooftop"},
        "spec": {"scaleTargetRef": target, "minReplicas": 5, "maxReplicas": 6, "metrics": [metric]},
    }
    avenue.apply(scaler)
    until("the autoscaler scales", lambda: avenue.get("solaragent", "rooftop")["spec"]["replicas"] == 5)
    able = condition(avenue.get("horizontalpodautoscaler", "rooftop"), "AbleToScale")
    assert able["status"] == "True", able
    avenue("delete", "horizontalpodautoscaler", "rooftop")
    avenue.ready("solaragent/rooftop")

    after = books(avenue, "rooftop-4")
    assert avenue.get("persistentvolumeclaim", "rooftop-4")["metadata"]["uid"] == claim
    assert key_ids(avenue, "rooftop-4") == keys
    continues(before, after)
    # What was open when it was told to go was settled before it went.
    states = {c["transaction_id"]: c["state"] for c in after.contracts}
    were_sold = [c["transaction_id"] for c in before.open if c["state"] in PROMISED]
    assert {states[transaction] for transaction in were_sold} == {"SETTLED"}

    avenue("scale", "solaragent/rooftop", "--replicas=2")
    until("three have gone", lambda: avenue.names("deployments", "wattmesh.io/solaragent=rooftop") == set(FIVE[:2]))
