"""The live page of a street in a cluster."""

from __future__ import annotations

import json
from urllib.error import HTTPError
from urllib.request import Request, urlopen

import pytest

from tests.e2e.kube import Kube, until
from tests.e2e.market import reading_token

pytestmark = pytest.mark.e2e


def test_the_live_page_is_reached_by_port_forward(street: Kube) -> None:
    token = reading_token(street)
    assert "<h1>The street, live</h1>" in street.page("service/market", "/")

    def all_answer() -> set[str]:
        parties = json.loads(street.page("service/market", "/api/street", token=token))["parties"]
        return {party["name"] for party in parties if party["reached"]}

    until("every pod has told", lambda: {"utility", "rooftop-0", "flat-0", "flat-1", "flat-2"} <= all_answer())
    with street.forwarded("service/market") as url:
        asked = Request(f"{url}/events", headers={"authorization": f"Bearer {token}"})  # noqa: S310
        with urlopen(asked, timeout=20) as events:  # noqa: S310
            lines = [events.readline().decode().rstrip() for _ in range(5)]
    assert lines[2] == "event: street"
    assert json.loads(lines[4].removeprefix("data: "))["parties"]


def test_without_the_token_nobody_sees_a_household(street: Kube) -> None:
    """Whoever reaches gateway and agents gets numbers of the whole street, and nobody's load curve."""
    for target, path in (
        ("service/market", "/api/street"),
        ("service/rooftop-0", "/ledger"),
        ("service/rooftop-0", "/live"),
    ):
        with pytest.raises(HTTPError) as refused:
            street.page(target, path)
        assert refused.value.code == 401
    told = street.page("service/market", "/api/public")
    assert json.loads(told)["households"] >= 1
    assert "rooftop" not in told
    with pytest.raises(HTTPError) as refused:
        street.page("service/rooftop-0", "/ledger", token=reading_token(street)[:-1])
    assert refused.value.code == 401
