"""A street that speaks Beckn v2.0.0 LTS, and goes over to it from v1 while it trades."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.e2e.kube import Kube, until
from tests.e2e.market import audit_findings, books, counted, entries, gateway, open_lane

pytestmark = pytest.mark.e2e


@pytest.fixture(scope="module")
def spoken(cluster: Kube) -> Iterator[Kube]:
    """A seller, a buyer and a utility whose gateway knows v1 only."""
    kube = cluster.of("spoken")
    kube.make()
    open_lane(kube)
    yield kube
    kube.leave()


def speak(kube: Kube, *protocols: str) -> None:
    """Have the network speak these versions from now on."""
    market = gateway()
    market["spec"]["protocols"] = list(protocols)
    kube.apply(market)
    until(
        "the registry knows what its members speak",
        lambda: {tuple(entry["protocols"]) for entry in entries(kube).values()} == {protocols},
    )
    kube.ready("beckngateway/market", "utilityagent/utility", "solaragent/seller", "solaragent/consumer")


def heard(kube: Kube, action: str) -> float:
    """How many messages of a kind the buyer has taken since its pod began."""
    return counted(kube, "deployment/consumer-0").get(
        f'wattmesh_messages_received_total{{action="{action}",answer="ack"}}', 0
    )


def sells_more(kube: Kube) -> None:
    """Wait until it has sold, and been paid, in two slots more."""
    before = len(books(kube, "seller-0").settled("seller"))
    until("it sells on", lambda: len(books(kube, "seller-0").settled("seller")) >= before + 2)


def test_a_network_goes_over_to_v2_by_way_of_both_and_trades_on(spoken: Kube) -> None:
    sells_more(spoken)
    assert not heard(spoken, "on_discover")
    speak(spoken, "v1", "v2")
    sells_more(spoken)
    assert heard(spoken, "on_discover")
    speak(spoken, "v2")
    sells_more(spoken)
    assert heard(spoken, "on_discover")
    assert not heard(spoken, "on_search")
    until("the audit finds nothing", lambda: audit_findings(spoken) == [])
