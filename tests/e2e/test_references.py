"""A market that is declared in the wrong order."""

from __future__ import annotations

import pytest

from tests.e2e.kube import Kube, condition, until
from tests.e2e.market import gateway, registered, solar, utility

pytestmark = pytest.mark.e2e


def test_a_gateway_that_is_missing_is_told_of_and_may_come_later(cluster: Kube) -> None:
    village = cluster.of("village")
    village.make()
    village.apply(solar("farm", gatewayRef={"name": "market"}, load={"annualKwh": 3000}), utility())

    def ready() -> tuple[str, str]:
        found = condition(village.get("solaragent", "farm"), "Ready")
        return found["status"], found["reason"]

    until("the missing gateway is told of", lambda: ready() == ("False", "GatewayNotFound"))
    assert "market" in condition(village.get("solaragent", "farm"), "Ready")["message"]

    village.apply(gateway())

    village.ready("beckngateway/market", "utilityagent/utility", "solaragent/farm")
    assert registered(village) == {"farm-0", "utility"}
    village.leave()
