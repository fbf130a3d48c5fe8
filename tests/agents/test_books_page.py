"""A pod's books, page by page: each page begins after a key, whatever happened since the one before."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from datetime import timedelta
from typing import Any
from urllib.parse import quote

import httpx
import pytest

from tests.agents.steps import counted
from tests.world.manifests import MARKET, households, planned, utility
from tests.world.tokens import TOKEN
from wattmesh_agents.app import create_app
from wattmesh_agents.books_page import MOST_ON_A_PAGE, ON_A_PAGE
from wattmesh_agents.pod import Pod
from wattmesh_agents.store.schema import AUDITED_TABLES
from wattmesh_cli.street.memory import run_in_memory, simulate

STREET = planned(
    MARKET
    + utility()
    + households("roof", "battery: {capacityKwh: 10, initialKwh: 10}, trading: {sellAbovePercent: 50}")
    + households("flat", "load: {annualKwh: 6000}")
)
START = STREET.resource.spec.clock.start
URL = "http://roof-0"
Row = Mapping[str, Any]


class Roof:
    """A pod whose household has traded for three hours, and its HTTP side."""

    def __init__(self, pod: Pod) -> None:
        pod.config = pod.config.model_copy(update={"readers": TOKEN.pod_digests(URL)})
        self.database, self.app = pod.database, create_app(pod)


@contextmanager
def traded() -> Iterator[Roof]:
    run = simulate(lambda: run_in_memory(STREET, START + timedelta(hours=3), seed=1))
    yield Roof(run.pods["roof-0"])
    run.close()


@pytest.fixture(scope="module")
def roof() -> Iterator[Roof]:
    """For tests that only read."""
    with traded() as found:
        yield found


@pytest.fixture
def growing() -> Iterator[Roof]:
    """For tests that write."""
    with traded() as found:
        yield found


def answers(roof: Roof, *pages: str) -> list[httpx.Response]:
    """What the pod says to who may read."""

    async def ask() -> list[httpx.Response]:
        transport = httpx.ASGITransport(roof.app)
        async with httpx.AsyncClient(transport=transport, base_url=URL, headers=TOKEN.of_pod(URL).header) as client:
            return [await client.get(page) for page in pages]

    return asyncio.run(ask())


def followed(roof: Roof, page: str, between: Callable[[list[Row]], None] = lambda _: None) -> Iterator[list[Row]]:
    """The pages from one on, by their links; `between` is called with each."""
    at: httpx.URL | None = httpx.URL(page)
    while at is not None:
        [answer] = answers(roof, str(at))
        assert answer.status_code == 200, answer.text
        link = answer.links.get("next")
        at = at.join(link["url"]) if link else None
        yield (rows := answer.json())
        between(rows)


def put_entries(roof: Roof, number: int) -> None:
    """A longer ledger."""
    with roof.database.transaction() as connection:
        rows = [("roof-0.default", "trade", 900 * n, "flat-0.default", f"order {n}", -1, 1) for n in range(number)]
        connection.executemany("INSERT INTO ledger VALUES (?, ?, ?, ?, ?, ?, ?)", rows)


@pytest.mark.parametrize("limit", [1, 2, 1000])
def test_pages_together_are_the_table_in_the_order_of_its_keys(limit: int, roof: Roof) -> None:
    whole = answers(roof, "/ledger")[0].json()
    assert whole["contracts"]
    for table in AUDITED_TABLES:
        pages = [*followed(roof, f"/ledger/{table}?limit={limit}")]
        assert [row for page in pages for row in page] == whole[table], table
        assert [len(page) for page in pages[:-1]] == [limit] * (len(pages) - 1)
    assert [row for page in followed(roof, f"/contracts?limit={limit}") for row in page] == whole["contracts"]


def test_one_page_is_what_who_says_nothing_gets(growing: Roof) -> None:
    put_entries(growing, MOST_ON_A_PAGE + 10)
    few, many = answers(growing, "/ledger/ledger", f"/ledger/ledger?limit={MOST_ON_A_PAGE}")
    assert (len(few.json()), len(many.json())) == (ON_A_PAGE, MOST_ON_A_PAGE)
    assert [*few.links] == [*many.links] == ["next"]


def test_there_is_no_link_after_the_last_row(roof: Roof) -> None:
    rows = len(answers(roof, "/ledger/readings")[0].json())
    exactly, fewer = answers(roof, f"/ledger/readings?limit={rows}", f"/ledger/readings?limit={rows - 1}")
    assert "link" not in exactly.headers
    last = json.dumps([fewer.json()[-1]["party"], fewer.json()[-1]["slot"]], separators=(",", ":"))
    assert fewer.headers["link"] == f'<?limit={rows - 1}&after={quote(last, safe="")}>; rel="next"'


def test_rows_that_go_and_come_between_two_pages_neither_hide_nor_repeat_others(growing: Roof) -> None:
    put_entries(growing, 30)

    def change(page: list[Row]) -> None:
        """The row that the next page begins after goes, with one before it; another comes before it."""
        gone = [(row["slot"], row["reference"]) for row in page[-2:]]
        with growing.database.transaction() as connection:
            connection.executemany("DELETE FROM ledger WHERE slot = ? AND reference = ?", gone)
            come = ("roof-0.default", "backstop", page[-1]["slot"], "utility.default", "new", 1, -1)
            connection.execute("INSERT OR IGNORE INTO ledger VALUES (?, ?, ?, ?, ?, ?, ?)", come)

    page = '/ledger/ledger?limit=7&after=["roof-0.default","trade",-1,"",""]'
    read = [row["reference"] for page in followed(growing, page, change) for row in page]
    assert read[:30] == [f"order {n}" for n in range(30)]
    assert len(read) == len({*read})


@pytest.mark.parametrize("limit", ["0", "-1", "1001", "many", ""])
def test_a_limit_beyond_what_there_is_is_refused(limit: str, roof: Roof) -> None:
    for answer in answers(roof, f"/contracts?limit={limit}", f"/ledger/chain?limit={limit}"):
        assert answer.status_code == 422
        assert answer.json()["detail"][0]["loc"] == ["query", "limit"]


@pytest.mark.parametrize(
    "after",
    [
        *(
            "",
            "5",
            "roof-0",
            "{}",
            "[]",
            '["roof-0.default"]',
            '["roof-0.default", 900, 1]',
            '["roof-0.default", "900"]',
        ),
        *('["roof-0.default", true]', '["roof-0.default", 9.5]', "[null, 900]", f'["roof-0.default", {2**63}]'),
        *('["\\ud800", 900]', "[" * 1999, '["roof-0.default", 900]; DROP TABLE readings', '["roof-0.default", NaN]'),
    ],
)
def test_a_key_that_is_none_is_refused(after: str, roof: Roof) -> None:
    [answer] = answers(roof, f"/ledger/readings?after={quote(after)}")
    assert (answer.status_code, answer.json()["detail"]) == (
        422,
        "after must be the key of a row of readings, a JSON list of party (text), slot (whole number), "
        "as the link to the next page has it",
    )


def test_a_key_is_a_value_and_no_part_of_the_query(roof: Roof) -> None:
    names = ["' OR 1 --", "x'; DROP TABLE readings; --", "\x00", "ä\U0001f600"]
    before, *tried, after = answers(
        roof,
        "/ledger/readings",
        *(f"/ledger/readings?after={quote(json.dumps([name, 0]))}" for name in names),
        "/ledger/readings",
    )
    assert {answer.status_code for answer in tried} == {200}
    assert before.json() == after.json() != []
    assert answers(roof, f"/ledger/readings?after={'x' * 2001}")[0].status_code == 422


@pytest.mark.parametrize("table", ["inbox", "meta", "sqlite_schema", "readings;", "READINGS", "x" * 1000])
def test_no_other_table_is_shown(table: str, roof: Roof) -> None:
    [answer] = answers(roof, f"/ledger/{table}")
    assert answer.status_code == 404
    assert answer.json() == {"detail": f"no table {table[:63]!r} here; there are {', '.join(AUDITED_TABLES)}"}


def test_a_page_costs_the_same_wherever_it_is_in_long_books(growing: Roof) -> None:
    """It is found by its key: nothing before it or after it is looked at."""
    put_entries(growing, 5_000)
    cost = []
    for slot in (900 * 10, 900 * 4_000):
        with counted(growing.database.connection, 10) as steps:
            answers(growing, f'/ledger/ledger?after=["roof-0.default","trade",{slot},"",""]')
        cost.append(len(steps))
    assert 0 < cost[0] == cost[1] < 1_000
