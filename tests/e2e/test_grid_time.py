"""Grid time does not go back, and who is ahead of it waits and says so."""

from __future__ import annotations

import json
from datetime import datetime, timedelta

import pytest

from tests.e2e.kube import Kube, condition, until
from tests.e2e.market import SPEED, books, gateway, resource

pytestmark = pytest.mark.e2e


def metered_until(kube: Kube, pod: str) -> datetime:
    [status] = json.loads(kube.page(f"service/{pod}", "/status"))
    return datetime.fromisoformat(status["metered_until"])


def test_a_gateway_that_is_deleted_and_applied_again_goes_on_where_it_was(alley: Kube) -> None:
    until("slots are metered", lambda: len(books(alley, "seller-0").tables["readings"]) >= 2)
    before = metered_until(alley, "seller-0")

    alley("delete", "beckngateway", "market", timeout_s=60)
    alley.apply(gateway())

    alley.ready("beckngateway/market", "utilityagent/utility", "solaragent/seller", "solaragent/consumer")
    until("grid time goes on", lambda: metered_until(alley, "seller-0") > before)
    slots = [row["slot"] for row in books(alley, "seller-0").tables["readings"]]
    assert slots == [*range(slots[0], slots[-1] + 900, 900)]
    assert "BooksAhead" not in alley("get", "events", "--output", "name", "--field-selector", "reason=BooksAhead")


def test_who_comes_to_a_gateway_whose_time_is_behind_waits_and_trades_on_when_it_has_caught_up(alley: Kube) -> None:
    """The younger gateway's clock starts 50 minutes of grid time before the books end, and until the household comes
    to it these get further ahead, as theirs runs twice as fast. That is more than a minute, in which an operator that
    other tests have killed comes back and looks at all pods.
    """
    start = metered_until(alley, "seller-0") - timedelta(minutes=50)
    clock = {"start": start.isoformat(), "speed": SPEED / 2}
    tariff = {"tariff": {"price": 0.25, "feedIn": 0.08}, "capacityKw": 60, "gatewayRef": {"name": "young"}}
    alley.apply(resource("BecknGateway", "young", {"clock": clock}), resource("UtilityAgent", "other", tariff))
    alley.ready("beckngateway/young", "utilityagent/other")
    refs = {"gatewayRef": {"name": "young"}, "utilityRef": {"name": "other"}}

    alley("patch", "solaragent", "seller", "--type=merge", "--patch", json.dumps({"spec": refs}))

    def waits() -> str:
        found = condition(alley.get("solaragent", "seller"), "Ready")
        return found["message"] if found["reason"] == "BooksAhead" else ""

    assert "grid time is behind the books" in until("it says that it waits", waits)
    household = alley.get("solaragent", "seller")["status"]["households"][0]
    assert household["phase"] == "Waiting"
    before = metered_until(alley, "seller-0")

    alley.ready("solaragent/seller")
    until("it meters on", lambda: metered_until(alley, "seller-0") > before)
    slots = [row["slot"] for row in books(alley, "seller-0", "young").tables["readings"]]
    assert slots == [*range(slots[0], slots[-1] + 900, 900)]
    alley("patch", "solaragent", "seller", "--type=merge", "--patch", json.dumps({"spec": dict.fromkeys(refs)}))
    alley("delete", "utilityagent/other", "beckngateway/young", "--wait=false")
    alley.ready("solaragent/seller")
