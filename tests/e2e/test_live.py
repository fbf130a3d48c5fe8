"""The live page of a street in a cluster."""

from __future__ import annotations

import json
from urllib.request import urlopen

import pytest

from tests.e2e.kube import Kube, until

pytestmark = pytest.mark.e2e


def test_the_live_page_is_reached_by_port_forward(street: Kube) -> None:
    assert "<h1>The street, live</h1>" in street.page("service/market", "/")

    def all_answer() -> set[str]:
        parties = json.loads(street.page("service/market", "/api/street"))["parties"]
        return {party["name"] for party in parties if party["reached"]}

    until("every pod has told", lambda: {"utility", "rooftop-0", "flat-0", "flat-1", "flat-2"} <= all_answer())
    with street.forwarded("service/market") as url, urlopen(f"{url}/events", timeout=20) as events:  # noqa: S310
        lines = [events.readline().decode().rstrip() for _ in range(5)]
    assert lines[2] == "event: street"
    assert json.loads(lines[4].removeprefix("data: "))["parties"]
