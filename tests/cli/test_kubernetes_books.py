"""Books of agents' pods: which pods are asked, what they answer, and what is said when a book cannot be had."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.cli.kubernetes_objects import (
    agent_labels,
    answer_of,
    deployment,
    listing,
    listing_of,
    pod,
    reader_secret,
    solar_agent,
    utility_agent,
)
from tests.cli.street_books import street
from tests.world.manifests import MARKET, households, planned, utility
from tests.world.street import books_of
from tests.world.tokens import TOKEN
from wattmesh_agents.app import create_app
from wattmesh_agents.store.schema import AUDITED_TABLES
from wattmesh_cli.audit import audit
from wattmesh_cli.books import Book, BooksError
from wattmesh_cli.cluster.declared import Declared, declared
from wattmesh_cli.cluster.ledger import book_of
from wattmesh_cli.cluster.pods import AGENTS, AgentsPod, PodName, pods_to_read
from wattmesh_cli.cluster.read import AT_ONCE, read_books, read_declared
from wattmesh_cli.evidence import of_cluster
from wattmesh_cli.street.memory import run_in_memory, simulate

NOTHING: dict[str, list[Any]] = {table: [] for table in AUDITED_TABLES}


class FakeCluster:
    """Pods `<runtime>-x1` that answer with given bytes, after a turn of the event loop."""

    def __init__(self, answers: Mapping[str, bytes], listed: Any = None) -> None:
        self._answers = answers
        self._listed = listing_of([Book(name) for name in answers]) if listed is None else listed
        self._asked = 0
        self.most_at_once = 0

    async def listing(self) -> Any:
        return self._listed

    async def agents(self) -> Any:
        return listing(solar_agent("roof", 1), solar_agent("flat", 1), utility_agent("grid"))

    async def place(self) -> str:
        return "namespace default"

    async def secret(self, namespace: str, name: str) -> Any:
        return reader_secret(namespace, name)

    async def page(self, pod: PodName, path: str, headers: Mapping[str, str]) -> bytes:
        assert path == "/ledger"
        runtime = pod.name.removesuffix("-x1")
        assert headers == TOKEN.of_pod(f"http://{runtime}.default.svc:8080").header
        self._asked += 1
        self.most_at_once = max(self.most_at_once, self._asked)
        await asyncio.sleep(0)
        self._asked -= 1
        return self._answers[pod.name.removesuffix("-x1")]


# --- answer → book ---


@pytest.mark.parametrize("book", street(), ids=lambda book: book.name)
def test_an_answer_is_the_same_book_as_the_database(book: Book, tmp_path: Path) -> None:
    assert book_of(book.name, answer_of(book, tmp_path)) == book


@pytest.mark.parametrize(
    ("table", "column", "value", "what"),
    [
        ("parties", "level_wh", "5280", "parties[0]: 'level_wh' must be a whole number"),
        ("parties", "level_wh", 5280.0, "parties[0]: 'level_wh' must be a whole number"),
        ("parties", "level_wh", True, "parties[0]: 'level_wh' must be a whole number"),
        ("parties", "level_wh", None, "parties[0]: 'level_wh' must be a whole number"),
        ("parties", "party", 7, "parties[0]: 'party' must be text"),
        ("contracts", "order_id", 7, "contracts[0]: 'order_id' must be text or null"),
        ("contracts", "delivered_wh", "400", "contracts[0]: 'delivered_wh' must be a whole number or null"),
        ("contracts", "in_doubt", False, "contracts[0]: 'in_doubt' must be 0 or 1"),
        ("contracts", "in_doubt", 2, "contracts[0]: 'in_doubt' must be 0 or 1"),
        ("contracts", "in_doubt", 1.0, "contracts[0]: 'in_doubt' must be 0 or 1"),
        ("contracts", "offers", [], "contracts[0]: 'offers' must be a whole number or null"),
    ],
)
def test_a_strange_value_is_named(tmp_path: Path, table: str, column: str, value: object, what: str) -> None:
    answer = answer_of(street()[0], tmp_path)
    answer[table][0][column] = value
    with pytest.raises(BooksError) as error:
        book_of("flat-0", answer)
    assert str(error.value) == f"flat-0: /ledger: {what}"


@pytest.mark.parametrize(
    ("answer", "what"),
    [
        ([], "/ledger must be a JSON object with a list 'parties'"),
        ({}, "/ledger must be a JSON object with a list 'parties'"),
        (NOTHING | {"ledger": {}}, "/ledger must be a JSON object with a list 'ledger'"),
        (NOTHING | {"readings": [5]}, "/ledger: readings[0] must be an object"),
        (NOTHING | {"ledger": [{}]}, "/ledger: ledger[0] has no 'party'; is this another version of wattmesh?"),
    ],
)
def test_a_strange_answer_is_named(answer: object, what: str) -> None:
    with pytest.raises(BooksError) as error:
        book_of("flat-0", answer)
    assert str(error.value) == f"flat-0: {what}"


# --- which pods ---


@pytest.mark.parametrize("kind", ["SolarAgent", "UtilityAgent"])
def test_agents_have_the_labels_that_are_looked_for(kind: str) -> None:
    wanted = dict(label.split("=") for label in AGENTS.split(","))
    assert wanted.items() <= agent_labels("roof-0", kind).items()
    assert not wanted.items() <= agent_labels("market", "BecknGateway").items()


def test_each_running_pod_is_read() -> None:
    listed = listing(deployment("roof-0"), deployment("flat-0"), pod("roof-0"), pod("flat-0"))
    flat, roof = pods_to_read(listed)
    assert flat == AgentsPod(PodName("default", "flat-0-x1"), "http://flat-0.default.svc:8080", "market", "flat-0")
    assert roof.name == PodName("default", "roof-0-x1")


def test_a_pod_that_another_has_replaced_is_not_read() -> None:
    evicted, ending = pod("roof-0", "Failed", suffix="a"), pod("roof-0", ending=True, suffix="b")
    [read] = pods_to_read(listing(deployment("roof-0"), evicted, ending, pod("roof-0")))
    assert read.name == PodName("default", "roof-0-x1")


@pytest.mark.parametrize(
    ("objects", "what"),
    [
        ([deployment("flat-0")], "default/flat-0: this Deployment has no pod; every book is needed"),
        ([pod("flat-0", "Pending")], "default/flat-0-x1: this pod is Pending, not Running; every book is needed"),
        ([pod("flat-0", ending=True)], "default/flat-0-x1: this pod is Terminating, not Running; every book is needed"),
        (
            [deployment("flat-0"), deployment("flat-0", "other"), pod("flat-1", "Pending")],
            "default/flat-0: this Deployment has no pod; every book is needed (and 2 more like this)",
        ),
    ],
)
def test_a_book_that_cannot_be_had_is_said_before_any_is_read(objects: list[dict[str, Any]], what: str) -> None:
    with pytest.raises(BooksError) as error:
        pods_to_read(listing(deployment("roof-0"), pod("roof-0"), *objects))
    assert str(error.value) == what


@pytest.mark.parametrize("listed", [[], {}, {"items": [{}]}, {"items": [{"kind": "Pod", "metadata": {}}]}])
def test_a_strange_list_is_said_to_be_one(listed: object) -> None:
    with pytest.raises(BooksError, match="this is no list of Deployments and pods"):
        pods_to_read(listed)


# --- which parties there shall be ---


def test_declared_are_the_utilities_and_each_replica_as_a_household() -> None:
    listed = listing(
        solar_agent("roof", 2), solar_agent("roof", 1, "other"), solar_agent("flat", 0), utility_agent("grid")
    )
    assert declared(listed).parties == {"roof-0.default", "roof-1.default", "roof-0.other", "grid.default"}
    assert declared(listing()) == Declared(frozenset(), frozenset())


@pytest.mark.parametrize(
    "listed",
    [
        [],
        {},
        listing({"kind": "UtilityAgent"}),
        listing(solar_agent("roof", 1) | {"spec": {}}),
        listing(solar_agent("roof", 1) | {"spec": {"replicas": "1"}}),
        listing(deployment("roof-0")),
    ],
)
def test_a_strange_list_of_agents_is_said_to_be_one(listed: object) -> None:
    with pytest.raises(BooksError, match="this is no list of SolarAgents and UtilityAgents"):
        declared(listed)


# --- reading them ---


@pytest.mark.parametrize(
    ("tariff", "negative"),
    [
        ({"price": 0.3, "feedIn": 0.08}, False),
        ({"price": 0.3, "feedIn": -0.01}, True),
        ({"price": 0.3, "feedIn": 0, "periods": [{"from": "12:00", "to": "14:00", "price": -0.1}]}, True),
        ({"price": 0.3, "feedIn": 0, "series": {"configMap": {"name": "day-ahead"}}}, True),
    ],
)
def test_which_utilities_may_have_negative_prices(tariff: dict[str, Any], negative: bool) -> None:
    grid = utility_agent("grid")
    grid["spec"]["tariff"] = tariff
    assert declared(listing(grid)).below_zero == ({"grid.default"} if negative else frozenset())


def test_the_declared_parties_are_read_from_the_cluster() -> None:
    assert read_declared(FakeCluster({})).parties == {"roof-0.default", "flat-0.default", "grid.default"}


def test_books_are_named_after_namespace_and_pod(tmp_path: Path) -> None:
    cluster = FakeCluster({book.name: json.dumps(answer_of(book, tmp_path)).encode() for book in street()})
    assert read_books(cluster) == tuple(replace(book, name=f"default/{book.name}-x1") for book in street())


def test_a_few_pods_are_asked_at_a_time() -> None:
    cluster = FakeCluster({f"roof-{index}": json.dumps(NOTHING).encode() for index in range(3 * AT_ONCE)})
    assert len(read_books(cluster)) == 3 * AT_ONCE
    assert cluster.most_at_once == AT_ONCE


@pytest.mark.parametrize(("pods", "shown"), [(AT_ONCE, False), (AT_ONCE + 1, True)])
def test_on_a_terminal_many_pods_show_how_far_it_is(
    pods: int, shown: bool, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("FORCE_COLOR", "1")
    read_books(FakeCluster({f"roof-{index}": json.dumps(NOTHING).encode() for index in range(pods)}))
    out, err = capsys.readouterr()
    assert (out, "Reading the books" in err) == ("", shown)


def test_where_there_are_no_pods_it_says_where_it_looked() -> None:
    with pytest.raises(BooksError) as error:
        read_books(FakeCluster({}))
    assert str(error.value) == (
        "no pods with the labels app.kubernetes.io/managed-by=wattmesh-operator,app.kubernetes.io/component=agents "
        "in namespace default; --namespace or --all-namespaces looks elsewhere"
    )


def test_an_answer_that_is_not_json_is_named() -> None:
    with pytest.raises(BooksError) as error:
        read_books(FakeCluster({"roof-0": json.dumps(NOTHING).encode(), "flat-0": b"<html>"}))
    assert str(error.value) == "default/flat-0-x1: /ledger is not JSON"


def test_a_secret_without_a_token_is_named() -> None:
    class NoToken(FakeCluster):
        async def secret(self, namespace: str, name: str) -> Any:
            return {**reader_secret(namespace, name), "data": {"token": "c2hvcnQ="}}

    with pytest.raises(BooksError) as error:
        read_books(NoToken({"roof-0": json.dumps(NOTHING).encode()}))
    assert str(error.value) == ("default/market-reader: this is no reading token: 43 to 128 letters, digits, - and _")


class StreetCluster(FakeCluster):
    """The pods of a street, asked over their own HTTP side."""

    def __init__(self, pods: Mapping[str, Any]) -> None:
        super().__init__(dict.fromkeys(pods, b""))
        self._pods = pods

    async def page(self, pod: PodName, path: str, headers: Mapping[str, str]) -> bytes:
        runtime = self._pods[name := pod.name.removesuffix("-x1")]
        readers = TOKEN.pod_digests(f"http://{name}.default.svc:8080")
        runtime.config = runtime.config.model_copy(update={"readers": readers})
        transport = httpx.ASGITransport(create_app(runtime))
        async with httpx.AsyncClient(transport=transport, base_url="http://pod") as client:
            return (await client.get(path, headers=headers)).raise_for_status().content


def test_a_real_street_audits_clean_over_http() -> None:
    store = "battery: {capacityKwh: 10, initialKwh: 9, powerKw: 5}, trading: {sellAbovePercent: 50, sellPrice: 0.10}"
    plan = planned(MARKET + utility() + households("store", store) + households("flat", "load: {annualKwh: 9000}"))
    run = simulate(lambda: run_in_memory(plan, plan.resource.spec.clock.start + timedelta(hours=2), seed=1))
    try:
        books = read_books(StreetCluster(run.pods))
        assert books == tuple(replace(book, name=f"default/{book.name}-x1") for book in books_of(run))
        transaction = books[0].contracts[0].transaction_id
        buyer, seller = sorted(of_cluster(StreetCluster(run.pods), transaction), key=lambda side: side.side)
        assert (buyer.party, buyer.counterparty) == (seller.counterparty, seller.party)
        with pytest.raises(BooksError, match="no contract with a transaction id that begins with 0000"):
            of_cluster(StreetCluster(run.pods), "00000000")
        with pytest.raises(BooksError, match=r"\.\./status: a transaction id"):
            of_cluster(StreetCluster(run.pods), "../status")
    finally:
        run.close()
    result = audit(books)
    assert (result.findings, result.deliveries_checked > 4) == ((), True)
