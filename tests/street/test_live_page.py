"""A real street as the gateway's live page sees it: what pods tell is read, and agrees with the books."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import pytest

from tests.world.manifests import MARKET, households, planned, utility
from tests.world.street import logged
from tests.world.tokens import TOKEN
from wattmesh_agents.live import live_page
from wattmesh_beckn.transport import MAX_ANSWER_BYTES, Reply, TransportError
from wattmesh_cli.street.memory import run_in_memory, simulate
from wattmesh_cli.street.run import StreetRun
from wattmesh_common.pod_pages import LivePage

STREET = planned(
    MARKET
    + utility(fees=", gridFee: 0.07, localGridFee: 0.03")
    + households("roof", "battery: {capacityKwh: 10, initialKwh: 10}, trading: {sellAbovePercent: 50}")
    + households("flat", "householdsPerPod: 2, load: {annualKwh: 6000}", replicas=2)
)


@dataclass(frozen=True)
class Page:
    """A pod's page, the page of who knows that one, and how many rows looking at both has changed."""

    first: LivePage
    again: LivePage
    changes: int


class InMemory:
    """Pages of pods in this process."""

    def __init__(self, street: StreetRun) -> None:
        self._street = street

    async def get(self, url: str, *, timeout_s: float, headers: Mapping[str, str] | None = None) -> Reply:  # noqa: ARG002
        pod, _, query = url.removeprefix("http://").partition("/live?")
        if pod not in self._street.pods:
            raise TransportError(f"nobody listens at {url}")
        wanted = {name: int(value) for name, value in (part.split("=") for part in query.split("&"))}
        return Reply(200, live_page(self._street.pods[pod], **wanted).model_dump_json().encode())


@pytest.fixture(scope="module")
def seen() -> tuple[dict[str, Any], list[dict[str, Any]], list[Page]]:
    """A snapshot after 40 minutes, the logs of its trades, and each pod's page."""
    start = STREET.resource.spec.clock.start
    found: list[Any] = []

    async def look(street: StreetRun) -> None:
        watch = street.gateway.watched_through(InMemory(street), TOKEN)
        with watch.viewing():
            await street.gateway.clock.sleep(street.time.wall_at(start + timedelta(minutes=40)) - street.time.epoch)
            snapshot = watch.street.snapshot(street.gateway.clock.wall())
            found.append(snapshot)
            found.append([watch.street.trade(trade["transaction_id"]) for trade in snapshot["trades"]])
        await watch.stop()
        for pod in street.pods.values():
            before = pod.database.connection.total_changes
            page = live_page(pod, after=0, slot=0)
            again = live_page(pod, after=page.number, slot=2**40)
            pages.append(Page(page, again, pod.database.connection.total_changes - before))

    async def run() -> StreetRun:
        return await run_in_memory(STREET, start + timedelta(minutes=60), watch=look)

    pages: list[Page] = []
    with logged():  # a story that nobody would read is not told
        simulate(run).close()
    return found[0], found[1], pages


def test_everybody_is_there_with_level_role_and_price(seen: tuple[dict[str, Any], Any, Any]) -> None:
    parties = {party["name"]: party for party in seen[0]["parties"]}
    assert parties.keys() == {"roof-0", "flat-0", "flat-1", "utility"}
    assert all(party["reached"] for party in parties.values())
    assert parties["roof-0"]["next_role"] == parties["utility"]["next_role"] == "seller"
    assert (parties["utility"]["grid_fee_micro_per_kwh"], parties["roof-0"]["grid_fee_micro_per_kwh"]) == (
        70_000,
        30_000,
    )
    assert parties["flat-0"]["bought_wh"] > 0
    assert parties["roof-0"]["sold_wh"] == parties["flat-0"]["bought_wh"] + parties["flat-1"]["bought_wh"]
    assert parties["flat-0"]["last_reading"][3] > 0


def test_a_trade_has_every_message_once_and_in_its_order(seen: tuple[Any, list[dict[str, Any]], Any]) -> None:
    [settled, *_] = [trade for trade in seen[1] if [c["state"] for c in trade["contracts"]] == ["SETTLED"]]
    [contract] = settled["contracts"]
    buyer, seller, gateway = settled["buyer"], contract["seller"], settled["gateway"]
    between = [
        (entry["action"], entry["sender"], entry["recipient"])
        for entry in settled["log"]
        if entry["kind"] == "message" and {entry["sender"], entry["recipient"]} <= {buyer, seller, gateway}
    ]
    assert between == [
        ("search", buyer, gateway),
        ("search", gateway, seller),
        ("on_search", seller, buyer),
        ("select", buyer, seller),
        ("on_select", seller, buyer),
        ("init", buyer, seller),
        ("on_init", seller, buyer),
        ("confirm", buyer, seller),
        ("on_confirm", seller, buyer),
        ("on_status", seller, buyer),
        ("update", buyer, seller),
        ("on_update", seller, buyer),
    ]
    assert any(entry["kind"] == "story" and entry["text"].startswith("chosen: ") for entry in settled["log"])
    assert all(entry.get("answer", "ACK") == "ACK" or entry["action"] == "search" for entry in settled["log"])


def test_looking_decides_nothing_and_what_is_known_is_not_told_again(seen: tuple[Any, Any, list[Page]]) -> None:
    assert len(seen[2]) == 3
    for page in seen[2]:
        assert page.changes == 0
        assert page.first.happenings
        assert len(page.first.model_dump_json()) < MAX_ANSWER_BYTES / 4
        assert page.again.happenings == ()
        assert all(rows == () for rows in page.again.readings.values())
