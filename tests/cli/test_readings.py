"""Held readings over real loopback HTTP: a broken meter, what is held of it, and what a person decides."""

from __future__ import annotations

import asyncio
import base64
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest
from typer.testing import CliRunner, Result

from tests.cli.kubernetes_objects import listing, utility_agent
from tests.world.manifests import MARKET, households, planned, utility
from tests.world.meters import BrokenMeter
from wattmesh_beckn.keys import read_keys
from wattmesh_cli.books import Book, BooksError
from wattmesh_cli.cluster.decide import decide
from wattmesh_cli.cluster.pods import PodName
from wattmesh_cli.deciding import Corrected, Decided
from wattmesh_cli.main import app
from wattmesh_cli.sqlite_books import read_books
from wattmesh_cli.state import locked
from wattmesh_cli.street.local import running_street
from wattmesh_market.energy.slots import SLOT_S, local
from wattmesh_market.parties.household import Household
from wattmesh_market.parties.utility import Utility
from wattmesh_market.trade.ledger import ReadingState

STREET = planned(
    MARKET + utility(capacity_kw="50") + households("flat", "load: {annualKwh: 6000}, connectionKw: 300", replicas=2)
)
SPEED = 3600
"""A quarter of a second a slot."""
OUTLIER_WH = 60_000
FLAT, UTILITY = "flat-0.default", "utility.default"


@dataclass(frozen=True)
class Seen:
    """What commands said while the street ran, and when it was over; slots are those of the outliers."""

    slots: tuple[int, ...]
    said: Mapping[str, Result]
    refused: Mapping[str, httpx.Response]
    sellable_wh: int
    in_cluster: Mapping[int, int]
    corrected_in_cluster: Mapping[int, int]
    books: tuple[Book, ...]


def wattmesh(*arguments: str) -> Result:
    return CliRunner().invoke(app, [*arguments])


def at(slot: int) -> str:
    """As the table lists it."""
    return f"{local(slot, 0):%Y-%m-%dT%H:%M}"


async def until(done: Callable[[], bool]) -> None:
    async with asyncio.timeout(60):
        while not done():  # noqa: ASYNC110 - what pods do sets no event
            await asyncio.sleep(0.02)


class Administrator:
    """A cluster whose pods are those of a street on this machine."""

    def __init__(self, urls: Mapping[str, str], keys: bytes) -> None:
        self._urls = urls
        self._keys = keys

    async def agents(self) -> Any:
        return listing(utility_agent("grid") | {"status": {"gateway": "other"}}, self._utility())

    @staticmethod
    def _utility() -> dict[str, Any]:
        return utility_agent("utility") | {"status": {"gateway": "market"}}

    async def secret(self, namespace: str, name: str) -> Any:
        assert (namespace, name) == ("default", "market-registrar")
        return {"metadata": {"name": name}, "data": {"keys.json": base64.b64encode(self._keys).decode()}}

    async def post(self, pod: PodName, path: str, body: bytes, headers: Mapping[str, str]) -> tuple[int, bytes]:
        async with httpx.AsyncClient() as client:
            answer = await client.post(f"{self._urls[pod.name]}{path}", content=body, headers=dict(headers))
        return answer.status_code, answer.content


async def _live(state: Path) -> Seen:
    said: dict[str, Result] = {}

    async def run(name: str, *arguments: str) -> None:
        said[name] = await asyncio.to_thread(wattmesh, *arguments, "--state", str(state))

    async with running_street(STREET, state, speed=SPEED) as street:
        [grid] = [one for pod in street.pods.values() for one in pod.parties.values() if isinstance(one, Utility)]
        [flat] = [one for pod in street.pods.values() for one in pod.parties.values() if one.id == FLAT]
        assert isinstance(flat, Household)
        first = flat.books.standing.first_slot
        slots = tuple(first + number * SLOT_S for number in (1, 3, 5, 7, 9))
        flat._profile = BrokenMeter(flat._profile, slots, OUTLIER_WH)
        await until(lambda: len(grid.books.held) == len(slots))
        await until(lambda: all(slot + SLOT_S in grid.books.reported for slot in slots))
        sellable_wh = grid.sellable_wh(grid.now.slot + SLOT_S)
        await run("held", "readings", "--held", "--output", "json")
        await run("status", "status", "--output", "json")
        await run("accept", "readings", "accept", "flat-0", at(slots[0]))
        await run("estimate", "readings", "estimate", FLAT, f"{at(slots[1])}:00+00:00")
        await run("again", "readings", "estimate", "flat-0", at(slots[1]))
        await run("otherwise", "readings", "accept", "flat-0", at(slots[1]))
        await run("not held", "readings", "accept", "flat-0", at(first))
        await run("correct held", "readings", "correct", "flat-0", at(slots[4]), "--exported", "0.125")
        for name, kwh in (("correct", "0.100"), ("correct again", "0.050"), ("correct the same", "0.050")):
            await run(name, "readings", "correct", "flat-0", at(slots[1]), "--imported", kwh)
        await run("correct accepted", "readings", "correct", "flat-0", at(slots[0]), "--imported", "0.1")
        await run("correct too much", "readings", "correct", "flat-0", at(slots[1]), "--imported", "60")
        await run("correct nothing", "readings", "correct", "flat-0", at(slots[1]))
        await run("correct both", "readings", "correct", "flat-0", at(slots[1]), "--imported", "1", "--exported", "1")
        [pod] = [name for name, one in street.pods.items() if grid.name in one.parties]
        url = street.pods[pod].url
        keys = read_keys(state / "keys.json")
        decided = Decided(f"default/{pod}", UTILITY, FLAT, (slots[2],), "estimate")
        refused: dict[str, httpx.Response] = {}
        async with httpx.AsyncClient() as client:
            for name, signer in (("household", keys[FLAT]), ("utility", keys[UTILITY])):
                body, headers = decided.signed_by(signer)
                refused[name] = await client.post(f"{url}{decided.path}", content=body, headers=headers)
            body, headers = decided.signed_by(keys["registrar"])
            other = body.replace(b"estimate", b"accept")
            refused["changed"] = await client.post(f"{url}{decided.path}", content=other, headers=headers)
            to_flat = url.replace(url, street.pods[next(n for n in street.pods if n != pod)].url)
            refused["elsewhere"] = await client.post(f"{to_flat}/flat-0/decide", content=body, headers=headers)
        cluster = Administrator({pod: url}, (state / "keys.json").read_bytes())
        in_cluster = await asyncio.to_thread(decide, cluster, decided)
        corrected = Corrected(f"default/{pod}", UTILITY, FLAT, slots[2], 10)
        async with httpx.AsyncClient() as client:
            body, headers = corrected.signed_by(keys[UTILITY])
            refused["correction"] = await client.post(f"{url}{corrected.path}", content=body, headers=headers)
        await until(lambda: flat.books.readings[slots[2]].state is ReadingState.BOOKED)
        corrected_in_cluster = await asyncio.to_thread(decide, cluster, corrected)
        await until(lambda: flat.books.readings[slots[2]].estimated_wh == 10)
        await until(lambda: flat.books.readings[slots[1]].estimated_wh == 50)
        await until(lambda: flat.books.readings[slots[4]].estimated_wh == -125)
        await until(lambda: all(flat.books.readings[slot].state is ReadingState.BOOKED for slot in slots[:3]))
    await run("audit", "audit", "--output", "json")
    await run("audit as text", "audit")
    await run("all", "readings", "--output", "json")
    await run("table", "readings", "--held")
    await run("stopped", "readings", "accept", "flat-0", at(slots[3]))
    return Seen(slots, said, refused, sellable_wh, in_cluster, corrected_in_cluster, read_books(state))


@pytest.fixture(scope="module")
def seen(tmp_path_factory: pytest.TempPathFactory) -> Seen:
    state = tmp_path_factory.mktemp("street") / "state"
    with locked(state):
        return asyncio.run(_live(state))


def test_60_kwh_within_the_connection_leave_the_utility_all_that_it_had_to_sell(seen: Seen) -> None:
    assert seen.sellable_wh > 12_000, "of 12.5 kWh in a slot"


def test_held_readings_are_listed_and_counted(seen: Seen) -> None:
    listed = json.loads(seen.said["held"].stdout)
    assert [(row["household"], row["utility"], row["imported_kwh"][:2], row["state"]) for row in listed] == [
        (FLAT, UTILITY, "60", "held")
    ] * 5
    assert [row["billed_net_kwh"] for row in listed] == [None] * 5
    counts = {row["party"]: row["held_readings"] for row in json.loads(seen.said["status"].stdout)}
    assert counts == {FLAT: 5, "flat-1.default": 0, UTILITY: 0}


def test_a_person_accepts_or_has_estimated_once(seen: Seen) -> None:
    assert (seen.said["accept"].exit_code, "billed 60.000 kWh imported" in seen.said["accept"].output) == (0, True)
    assert seen.said["estimate"].exit_code == 0, seen.said["estimate"].output
    assert seen.said["again"].output == seen.said["estimate"].output
    assert "was estimated before" in seen.said["otherwise"].output
    assert "is held; 'wattmesh readings --held' lists them" in seen.said["not held"].output
    assert {seen.said[name].exit_code for name in ("otherwise", "not held")} == {2}
    rows = {row["slot_start"]: row for row in json.loads(seen.said["all"].stdout)}
    assert [row["state"] for row in rows.values()] == ["accepted", "corrected", "corrected", "held", "corrected"]
    billed = [row["billed_net_kwh"] for row in rows.values()]
    assert billed[0] == "60.000"
    assert billed[1:] == ["0.050", "0.010", None, "-0.125"]


def test_a_person_corrects_what_is_held_or_was_estimated_as_often_as_need_be(seen: Seen) -> None:
    for name, text in (
        ("correct held", "billed 0.125 kWh exported"),
        ("correct", "billed 0.100 kWh imported"),
        ("correct again", "billed 0.050 kWh imported"),
        ("correct the same", "billed 0.050 kWh imported"),
    ):
        assert (seen.said[name].exit_code, text in seen.said[name].output) == (0, True), seen.said[name].output
    for name, text in (
        ("correct accepted", "was accepted before"),
        ("correct too much", "what is installed moves"),
        ("correct nothing", "say what was imported or what was exported"),
        ("correct both", "say what was imported or what was exported"),
    ):
        assert (seen.said[name].exit_code, text in seen.said[name].output) == (2, True), seen.said[name].output
    rows = [row["corrections"] for row in json.loads(seen.said["all"].stdout)]
    assert [len(corrections) for corrections in rows] == [0, 2, 1, 0, 0]
    assert rows[1][1]["net_kwh"] == "-0.050"
    assert all(float(one["paid_back"]) > 0 for one in rows[1])


def test_each_correction_is_in_both_ledgers_and_chained(seen: Seen) -> None:
    entries = [one for book in seen.books for one in book.ledger if one.correction is not None]
    links = {(one.party, one.slot, one.reference) for book in seen.books for one in book.chain}
    assert {(one.party, one.slot, one.reference) for one in entries} <= links
    ours, theirs = (
        sorted((one.slot, one.reference, abs(one.amount_micro)) for one in entries if one.party == party)
        for party in (FLAT, UTILITY)
    )
    assert ours == theirs
    assert [(slot, name) for slot, name, _ in ours] == [
        (seen.slots[1], "correction"),
        (seen.slots[1], "correction 2"),
        (seen.slots[2], "correction"),
    ]


def test_only_the_registrar_may_decide(seen: Seen) -> None:
    assert {name: answer.status_code for name, answer in seen.refused.items()} == {
        "household": 401,
        "utility": 401,
        "changed": 401,
        "elsewhere": 400,
        "correction": 401,
    }


def test_in_a_cluster_the_registrars_secret_is_the_right(seen: Seen) -> None:
    [(slot, net_wh)] = seen.in_cluster.items()
    assert slot == seen.slots[2]
    assert 0 < net_wh < 1000
    assert seen.corrected_in_cluster == {seen.slots[2]: 10}


def test_what_is_held_is_neither_overdue_nor_a_finding(seen: Seen) -> None:
    assert seen.said["audit"].exit_code == 0
    found = json.loads(seen.said["audit"].stdout)
    assert (found["findings"], found["readings_overdue"], found["readings_held"]) == ([], 0, 1)
    assert (found["energy_sum_kwh"], found["amount_sum"]) == ("0.000", "0.000000")
    assert "1 reading is held for a person: `wattmesh readings --held` lists them" in seen.said["audit as text"].output
    assert at(seen.slots[3]) in seen.said["table"].output


def test_a_street_that_does_not_run_is_told_nothing(seen: Seen) -> None:
    assert seen.said["stopped"].exit_code == 2
    assert "the street does not run" in seen.said["stopped"].output


def test_who_cannot_read_the_secret_is_refused() -> None:
    class Nobody(Administrator):
        async def secret(self, namespace: str, name: str) -> Any:  # noqa: ARG002
            raise BooksError(f"kubectl get: secrets {name!r} is forbidden")

    decided = Decided("default/utility", UTILITY, FLAT, (0,), "accept")
    with pytest.raises(BooksError, match="secrets 'market-registrar' is forbidden"):
        decide(Nobody({}, b""), decided)
