"""Names that two want."""

from __future__ import annotations

import pytest

from tests.e2e.kube import Kube, condition, until
from tests.e2e.market import books, gateway, registered, resource, seller, solar

pytestmark = pytest.mark.e2e

TARIFF = {"tariff": {"price": 0.25, "feedIn": 0.08}, "capacityKw": 60, "feeder": "other"}


def ready(kube: Kube, kind: str, name: str) -> tuple[str, str]:
    found = condition(kube.get(kind, name), "Ready")
    return found["status"], found["reason"]


@pytest.mark.parametrize("name", ["seller-0", "market-registrar"])
def test_who_has_a_name_keeps_it_and_the_other_is_told(lane: Kube, name: str) -> None:
    """A household's, and that of the registrar's Secret."""

    def uids() -> set[str]:
        # Of that name: who has left before may go meanwhile.
        items = [item["metadata"] for item in lane.list("secrets,deployments,persistentvolumeclaims")]
        return {str(one["uid"]) for one in items if one["name"] == name}

    before = uids()
    assert before

    lane.apply(resource("UtilityAgent", name, TARIFF))

    until("it is told", lambda: ready(lane, "utilityagent", name) == ("False", "NameNotAllowed"))
    assert name in condition(lane.get("utilityagent", name), "Ready")["message"]
    lane.ready("beckngateway/market", "solaragent/seller")
    lane("delete", "utilityagent", name, timeout_s=60)
    assert uids() == before


def test_an_older_solaragent_that_is_scaled_over_a_name_does_not_get_it(lane: Kube) -> None:
    lane.apply(solar("seller-1", load={"annualKwh": 2000}, householdsPerPod=2))
    lane.apply(resource("UtilityAgent", "consumer-1", TARIFF))
    lane.ready("utilityagent/consumer-1")

    lane("scale", "solaragent/consumer", "--replicas=2")

    until("the older one is told", lambda: ready(lane, "solaragent", "consumer") == ("False", "NameNotAllowed"))
    lane.ready("utilityagent/consumer-1")
    traded = len(books(lane, "consumer-0").contracts)
    until("what it has trades on", lambda: len(books(lane, "consumer-0").contracts) > traded)
    lane("scale", "solaragent/consumer", "--replicas=1")
    lane.ready("solaragent/consumer")
    lane("delete", "utilityagent/consumer-1", "solaragent/seller-1", timeout_s=60)
    until("they are gone", lambda: lane.is_gone("deployment", "consumer-1"))


def test_a_second_gateway_takes_nobody_away(lane: Kube) -> None:
    lane.apply(gateway("second"))
    lane.ready("beckngateway/second")
    lane.apply(seller(seed=2))
    lane.ready("solaragent/seller", "solaragent/consumer", "utilityagent/utility")
    assert {"seller-0", "consumer-0", "utility"} <= registered(lane)
    assert not registered(lane, "second")
    lane.leave()
