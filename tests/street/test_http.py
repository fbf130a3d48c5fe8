"""A small street over real loopback HTTP: uvicorn, httpx, files."""

from __future__ import annotations

import asyncio
import json
import logging
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest

from tests.world.manifests import MARKET, households, planned, utility
from tests.world.street import logged
from wattmesh_beckn.keys import read_keys
from wattmesh_beckn.receiver import MAX_BODY_BYTES
from wattmesh_cli.audit import audit
from wattmesh_cli.books import Book
from wattmesh_cli.sqlite_books import read_books
from wattmesh_cli.state import locked
from wattmesh_cli.street.local import running_street
from wattmesh_cli.street.run import StreetRun
from wattmesh_common.reading_token import read_token

STREET = planned(
    MARKET
    + utility()
    + households("roof", "battery: {capacityKwh: 10, initialKwh: 10}, trading: {sellAbovePercent: 50}")
    + households("flat", "householdsPerPod: 2, load: {annualKwh: 6000}", replicas=2)
)
SPEED = 300
"""A slot takes three seconds: time enough to trade on a machine that has other things to do."""
SLOTS = 3
PAGES = [
    "roof-0/status",
    "roof-0/roof-0/status",
    "roof-0/nobody/status",
    "roof-0/contracts",
    "roof-0/ledger",
    "roof-0/ledger/readings?limit=2",
    "roof-0/metrics",
    "roof-0/health/live",
    "roof-0/health/ready",
    "flat-pod-0/status",
    "flat-pod-0/flat-1/status",
    "flat-pod-0/contracts",
    "utility/status",
]
CALLS = {
    "oversize": ("roof-0/roof-0/select", b" " * (MAX_BODY_BYTES + 1)),
    "broken": ("roof-0/roof-0/select", b"{"),
    "unsigned": ("roof-0/roof-0/select", b"{}"),
    "search": ("roof-0/roof-0/search", b"{}"),
    "action": ("roof-0/roof-0/rate", b"{}"),
    "household": ("roof-0/nobody/select", b"{}"),
    "gateway": ("gateway/select", b"{}"),
}


@dataclass(frozen=True)
class Seen:
    """What the pages said when trading was over, how bad calls were answered, and the books afterwards."""

    pages: dict[str, httpx.Response]
    calls: dict[str, httpx.Response]
    books: tuple[Book, ...]
    faults: int
    log: list[logging.LogRecord]
    key_ids: dict[str, str]


@pytest.fixture(scope="module")
def seen(tmp_path_factory: pytest.TempPathFactory) -> Seen:
    state = tmp_path_factory.mktemp("street") / "state"
    with locked(state), logged() as log:
        pages, calls, faults = asyncio.run(_look(state))
    key_ids = {name: signer.key_id for name, signer in read_keys(state / "keys.json").items()}
    return Seen(pages, calls, read_books(state), faults, log, key_ids)


async def _look(state: Path) -> tuple[dict[str, httpx.Response], dict[str, httpx.Response], int]:
    async with (
        running_street(STREET, state, speed=SPEED, last_for=SLOTS * 900) as street,
        httpx.AsyncClient(trust_env=False) as client,
    ):
        await street.until_end()
        await street.finish(20.0)
        token = read_token(state / "token")
        pages = {page: await client.get(_url(street, page), headers=token.header) for page in PAGES}
        calls = {what: await client.post(_url(street, page), content=body) for what, (page, body) in CALLS.items()}
        return pages, calls, sum(pod.metrics.fault_count for pod in street.pods.values())


def _url(street: StreetRun, page: str) -> str:
    """`pod/path` → where it is reached."""
    pod, _, path = page.partition("/")
    if pod == "gateway":
        return f"{street.gateway_url}/{path}"
    return f"{street.pods[pod].url}/{path}"


def test_trades_settle_and_the_audit_finds_nothing(seen: Seen) -> None:
    result = audit(seen.books)
    assert result.findings == ()
    assert result.deliveries_checked > 0
    assert seen.faults == 0
    assert [record.getMessage() for record in seen.log if record.exc_info] == []
    rows = [row for book in seen.books for row in book.contracts]
    assert {row.state for row in rows} <= {"SETTLED", "EXPIRED", "CANCELLED"}
    assert {row.state for book in seen.books for row in book.readings} == {"booked"}


def test_status_shows_each_party_as_its_books_do(seen: Seen) -> None:
    [roof] = seen.pages["roof-0/status"].json()
    assert seen.pages["roof-0/roof-0/status"].json() == roof
    book = next(book for book in seen.books if book.name == "roof-0")
    sold_wh = -sum(entry.energy_wh for entry in book.ledger if entry.kind == "trade")
    assert sold_wh > 0
    assert roof == {
        "distrusts": [],
        "draining": False,
        "waits_until": None,
        "key_id": seen.key_ids["roof-0.default"],
        "name": "roof-0",
        "kind": "household",
        "subscriber_id": "roof-0.default",
        "feeder": "main",
        "level_wh": book.parties[0].level_wh,
        "capacity_wh": 10_000,
        "sold_wh": sold_wh,
        "bought_wh": 0,
        "balance_micro": sum(entry.amount_micro for entry in book.ledger),
        "currency": "EUR",
        "open_contracts": 0,
        "held_readings": 0,
        "in_doubt": 0,
        "metered_until": roof["metered_until"],
        "account": book.accounts[0].account,
    }
    assert [party["name"] for party in seen.pages["flat-pod-0/status"].json()] == ["flat-0", "flat-1"]
    flat = seen.pages["flat-pod-0/flat-1/status"].json()
    assert (flat["name"], flat["level_wh"], flat["capacity_wh"], flat["sold_wh"]) == ("flat-1", 0, 0, 0)
    assert seen.pages["utility/status"].json()[0]["kind"] == "utility"


def test_nobody_has_no_status(seen: Seen) -> None:
    answer = seen.pages["roof-0/nobody/status"]
    assert (answer.status_code, answer.json()) == (404, {"detail": "no household 'nobody' here; there are roof-0"})


def test_contracts_shows_each_sides_own_record(seen: Seen) -> None:
    sold, bought = (seen.pages[f"{pod}/contracts"].json() for pod in ("roof-0", "flat-pod-0"))
    assert {row["side"] for row in sold} == {"seller"}
    assert {row["side"] for row in bought} == {"buyer"}

    def terms(rows: list[dict[str, object]]) -> set[tuple[object, ...]]:
        names = ("transaction_id", "order_id", "slot", "delivered_wh", "settled_micro")
        return {tuple(row[name] for name in names) for row in rows if row["state"] == "SETTLED"}

    assert terms(sold) <= terms(bought)
    assert terms(sold)


def test_ledger_shows_all_that_an_audit_reads(seen: Seen) -> None:
    ledger = seen.pages["roof-0/ledger"].json()
    assert ledger.keys() == {
        *("parties", "contracts", "readings", "ledger", "roles", "messages", "reported", "closings", "held"),
        *("accounts", "closing_records", "chain", "checkpoints", "carried", "deletions", "forgettings"),
    }
    assert ledger["contracts"] == seen.pages["roof-0/contracts"].json()
    assert ledger["parties"][0]["party"] == "roof-0.default"
    assert len(ledger["readings"]) >= SLOTS
    page = seen.pages["roof-0/ledger/readings?limit=2"]
    assert page.json() == ledger["readings"][:2]
    assert page.links["next"]["url"].startswith("?limit=2&after=")
    assert (
        sum(row["amount_micro"] for row in ledger["ledger"])
        == seen.pages["roof-0/roof-0/status"].json()["balance_micro"]
    )


def test_metrics_count_messages_and_show_the_household(seen: Seen) -> None:
    lines = seen.pages["roof-0/metrics"].text.splitlines()
    values = {name: float(value) for name, _, value in (line.rpartition(" ") for line in lines if line[:1] != "#")}
    assert values['wattmesh_messages_received_total{action="select",answer="ack"}'] >= 1
    assert values['wattmesh_messages_sent_total{action="on_select",outcome="acked"}'] >= 1
    assert values["wattmesh_faults_total"] == 0
    status = seen.pages["roof-0/roof-0/status"].json()
    assert values['wattmesh_household_level_watt_hours{household="roof-0"}'] == status["level_wh"]
    assert values['wattmesh_household_sold_watt_hours{household="roof-0"}'] == status["sold_wh"]
    assert values['wattmesh_household_open_contracts{household="roof-0"}'] == 0
    # The last slots before the end are not closed yet; none waits for longer than that.
    unbooked = values['wattmesh_household_unbooked_readings{household="roof-0"}']
    assert (unbooked > 0) == (values['wattmesh_household_unbooked_seconds{household="roof-0"}'] > 0)
    assert values['wattmesh_household_unbooked_seconds{household="roof-0"}'] <= 6300


def test_probes(seen: Seen) -> None:
    live, ready = seen.pages["roof-0/health/live"], seen.pages["roof-0/health/ready"]
    assert (live.status_code, live.json()) == (200, {"status": "live"})
    assert (ready.status_code, ready.json()) == (200, {"status": "ready"})


@pytest.mark.parametrize(
    ("what", "status", "text"),
    [
        ("oversize", 413, f"body is {MAX_BODY_BYTES + 1} bytes; at most {MAX_BODY_BYTES} are read"),
        ("broken", 400, "body is not JSON: EOF while parsing an object at line 1 column 1"),
        ("unsigned", 401, "no signature: the header is missing"),
        ("search", 401, "no signature: the header is missing"),
        ("action", 404, "no such path '/roof-0/rate'; there are /<household>/<action>"),
        ("household", 404, "no household 'nobody' here; there are roof-0"),
        ("gateway", 404, "no such path '/select'; there are /lookup, /search, /subscribe"),
    ],
)
def test_bad_calls_are_answered_with_a_nack(seen: Seen, what: str, status: int, text: str) -> None:
    answer = seen.calls[what]
    assert answer.headers["content-type"] == "application/json"
    nack = {"message": {"ack": {"status": "NACK"}}, "error": {"code": "30000", "message": text}}
    assert (answer.status_code, json.loads(answer.content)) == (status, nack)


def test_an_unsigned_call_is_challenged(seen: Seen) -> None:
    challenge = 'Signature realm="roof-0.default",headers="(created) (expires) digest"'
    assert seen.calls["unsigned"].headers["www-authenticate"] == challenge
