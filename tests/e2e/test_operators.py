"""A market whose operator is away, and one that has two of them."""

from __future__ import annotations

import time

import pytest

from tests.e2e.killing import OPERATOR_PODS, lives
from tests.e2e.kube import Kube, until
from tests.e2e.market import OPERATOR, SYSTEM, books, late, registered, rooftop, solar

pytestmark = [pytest.mark.e2e, pytest.mark.alone]


def test_trading_goes_on_without_the_operator_and_it_catches_up(street: Kube, cluster: Kube) -> None:
    street.apply(rooftop(replicas=2))
    street.ready("solaragent/rooftop", "solaragent/flat")
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


def test_of_two_operators_one_works_and_the_other_takes_over_when_it_stops(street: Kube, cluster: Kube) -> None:
    def holder() -> str:
        return str(street.get("lease", "wattmesh-operator")["spec"]["holderIdentity"])

    first = holder()
    cluster("scale", OPERATOR, "--replicas=2")
    try:
        until("there are two", lambda: len(lives(cluster, OPERATOR_PODS)) == 2)
        names = {pod["metadata"]["name"] for pod in cluster.list("pods", OPERATOR_PODS)}
        [working] = [name for name in names if name in first]
        [waiting] = names - {working}
        until(
            "the second says that it waits",
            lambda: f"street: the operator {first} works there; waiting until it stops" in cluster("logs", waiting),
        )
        assert holder() == first

        # Scaled down, not deleted: the Deployment would put another one in its place, which could take over as well.
        cluster("annotate", "pod", working, "controller.kubernetes.io/pod-deletion-cost=-1")
        began = time.monotonic()
        cluster("scale", OPERATOR, "--replicas=1")
        holders: list[str] = []

        def taken_over() -> bool:
            holders.append(holder())
            return waiting in holders[-1]

        until("the second takes over", taken_over, within_s=120)
        took_s = time.monotonic() - began
        assert "" in holders or took_s < 45, "it waited for the Lease to end, which the first had to give back"
        street.apply(solar("guest", load={"annualKwh": 2000}))
        street.ready("solaragent/guest")
    finally:
        cluster("scale", OPERATOR, "--replicas=1")
    until("there is one again", lambda: len(cluster.of(SYSTEM).list("pods", OPERATOR_PODS)) == 1)
    street("delete", "solaragent", "guest", timeout_s=60)
    until("it is gone", lambda: street.is_gone("deployment", "guest-0"))
