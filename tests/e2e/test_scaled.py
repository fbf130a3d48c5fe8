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
def before_going(street: Kube) -> tuple[Books, set[str], str]:
    """What rooftop-4 was when it was told to go: books, key and volume."""
    street.apply(buyer())
    street("scale", "solaragent/rooftop", "--replicas=5")
    street.ready("solaragent/rooftop", "solaragent/buyer")
    claim = street.get("persistentvolumeclaim", "rooftop-4")

    def sells() -> Books | None:
        now = books(street, "rooftop-4")
        promised = [contract for contract in now.open if contract["state"] in PROMISED]
        return now if now.settled("seller") and promised else None

    return until("rooftop-4 has a contract open", sells), key_ids(street, "rooftop-4"), claim["metadata"]["uid"]


def test_five_replicas_are_five_households(street: Kube, before_going: tuple[Books, set[str], str]) -> None:
    assert before_going
    known = entries(street)
    keys = {known[f"{name}.street", "BPP"]["signing_public_key"] for name in FIVE}
    urls = {known[f"{name}.street", "BPP"]["url"] for name in FIVE}
    assert len(keys) == 5
    assert urls == {f"http://{name}.street.svc:8080/{name}" for name in FIVE}
    for kind in ("deployments", "services", "secrets", "persistentvolumeclaims"):
        assert street.names(kind, "wattmesh.io/solaragent=rooftop") == set(FIVE)
    for name in FIVE:
        assert books(street, name).parties.keys() == {f"{name}.street"}
    scale = street.get("solaragent", "rooftop")["status"]
    assert scale["replicas"] == scale["readyReplicas"] == 5
    assert {p["metadata"]["labels"]["wattmesh.io/pod"] for p in street.list("pods", scale["selector"])} == set(FIVE)


def test_scaling_a_shared_pod_does_not_restart_those_who_stay(street: Kube) -> None:
    flats, uid, containers = "wattmesh.io/solaragent=flat", uid_of_pod(street, "flat-pod-0"), set[str]()
    containers |= lives(street, flats)
    traded = len(books(street, "flat-pod-0").contracts)

    street("scale", "solaragent/flat", "--replicas=4")
    street.ready("solaragent/flat")
    assert books(street, "flat-pod-0").parties.keys() == {f"flat-{number}.street" for number in range(4)}
    until("the new one buys", lambda: _settled_of(street, "flat-3.street"))
    street("scale", "solaragent/flat", "--replicas=3")
    until("it has left", lambda: "flat-3" not in registered(street))
    street.ready("solaragent/flat")

    assert len(books(street, "flat-pod-0").contracts) > traded
    assert (uid_of_pod(street, "flat-pod-0"), lives(street, flats)) == (uid, containers)


def _settled_of(street: Kube, party: str) -> list[Object]:
    return [contract for contract in books(street, "flat-pod-0").settled("buyer") if contract["party"] == party]


def test_scale_down_settles_deregisters_and_keeps_the_volume(
    street: Kube, before_going: tuple[Books, set[str], str]
) -> None:
    assert before_going
    street("scale", "solaragent/rooftop", "--replicas=2")

    until("three have gone", lambda: street.names("deployments", "wattmesh.io/solaragent=rooftop") == set(FIVE[:2]))

    street.ready("solaragent/rooftop")
    assert not registered(street) & set(FIVE[2:])
    assert street.names("services", "wattmesh.io/solaragent=rooftop") == set(FIVE[:2])
    assert street.names("persistentvolumeclaims", "wattmesh.io/solaragent=rooftop") == set(FIVE)
    leavers = {f"{name}.street" for name in FIVE[2:]}
    for pod in ("flat-pod-0", "buyer-0"):
        assert not [c for c in books(street, pod).open if c["counterparty"] in leavers]


def test_an_autoscaler_accepts_it_and_who_returns_finds_everything(
    street: Kube, before_going: tuple[Books, set[str], str]
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
    street.apply(scaler)
    until("the autoscaler scales", lambda: street.get("solaragent", "rooftop")["spec"]["replicas"] == 5)
    able = condition(street.get("horizontalpodautoscaler", "rooftop"), "AbleToScale")
    assert able["status"] == "True", able
    street("delete", "horizontalpodautoscaler", "rooftop")
    street.ready("solaragent/rooftop")

    after = books(street, "rooftop-4")
    assert street.get("persistentvolumeclaim", "rooftop-4")["metadata"]["uid"] == claim
    assert key_ids(street, "rooftop-4") == keys
    continues(before, after)
    # What was open when it was told to go was settled before it went.
    states = {c["transaction_id"]: c["state"] for c in after.contracts}
    were_sold = [c["transaction_id"] for c in before.open if c["state"] in PROMISED]
    assert {states[transaction] for transaction in were_sold} == {"SETTLED"}

    street("scale", "solaragent/rooftop", "--replicas=2")
    until("three have gone", lambda: street.names("deployments", "wattmesh.io/solaragent=rooftop") == set(FIVE[:2]))
