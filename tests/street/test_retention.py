"""Only the books grow: everything else is forgotten once it can no longer matter."""

from __future__ import annotations

import sqlite3
from collections import Counter
from collections.abc import Mapping, Sized
from typing import Any

import pytest

from tests.world.manifests import MARKET, households, planned, utility
from tests.world.street import play
from wattmesh_agents.pod import Pod
from wattmesh_agents.store import retention
from wattmesh_agents.store.database import IN_MEMORY, Database
from wattmesh_agents.store.retention import DAY_S, Horizon
from wattmesh_beckn.transport import Transport
from wattmesh_cli.street.run import StreetRun
from wattmesh_common.clock import LoopClock
from wattmesh_market.parties import books

BOOKS = frozenset(
    {"meta", "parties", "readings", "ledger", "chain", "checkpoints", "contracts", "reported", "closings", "evidence"}
)
"""Of contracts, and of the evidence that goes with them, only what was agreed."""
BIG_BATTERY = "battery: {capacityKwh: 400, initialKwh: 390, powerKw: 4}, load: {annualKwh: 1000}"
SMALL = planned(MARKET + utility() + households("roof", BIG_BATTERY) + households("flat", "load: {annualKwh: 6000}"))
DAYS = 3
DAY_H = 4
"""A shorter day than the real one, so that three of them take seconds."""


def counts(pod: Pod) -> Counter[str]:
    """Rows by table; passing rows of contracts and offers under names of their own; what the process holds, too."""
    connection = pod.database.connection
    found: Counter[str] = Counter()
    for (table,) in connection.execute("SELECT name FROM sqlite_schema WHERE type = 'table'").fetchall():
        found[table] = connection.execute(f"SELECT count(*) FROM {table}").fetchone()[0]  # noqa: S608
    query = "SELECT count(*) FROM contracts WHERE order_id IS NULL AND state IN ('EXPIRED', 'CANCELLED')"
    found["passing contracts"] = connection.execute(query).fetchone()[0]
    found["tasks"] = len(pod._steps.tasks)
    found["waiting"] = len(pod._driver.store.outbox.waiting)
    found["answers"] = len(pod._driver.store.inbox._answers)
    for party in pod.parties.values():
        books = party.books
        tables: tuple[Sized, ...] = (
            books.contracts,
            books.readings,
            books.roles,
            books.purchases,
            books.selections,
            books.supplied,
        )
        found["remembered"] += sum(len(table) for table in tables)
    directory = pod._directory
    found["known subscribers"] = len(directory._known) + len(directory._asking)  # type: ignore[attr-defined]
    return found


def test_what_is_not_a_book_does_not_grow_after_the_first_day(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(retention, "DAY_S", DAY_H * 3600)
    monkeypatch.setattr(retention, "MESSAGES_S", 60)
    monkeypatch.setattr(books, "REMEMBERED_S", DAY_H * 3600)
    clocks: list[LoopClock] = []
    days: list[dict[str, Counter[str]]] = []

    def wrap(inner: Transport, clock: LoopClock) -> Transport:
        clocks.append(clock)
        return inner

    async def watch(run: StreetRun) -> None:
        often_s = 300 / 60  # at speed 60; often, so that a day's most is not a matter of the moment
        for _ in range(DAYS):
            most: dict[str, Counter[str]] = {name: Counter() for name in run.pods}
            days.append(most)
            for _ in range(12 * DAY_H):
                await clocks[0].sleep(often_s)
                for name, pod in run.pods.items():
                    most[name] |= counts(pod)

    street = play(SMALL, DAY_H * DAYS + 0.5, wrap=wrap, watch=watch)
    assert len(days) == DAYS
    first, second, third = days
    for name, tables in third.items():
        grown = {table for table, most in tables.items() if table not in BOOKS and most > second[name][table] * 1.1 + 8}
        assert grown == set(), name
    traded = sum((tables for tables in third.values()), Counter[str]())
    assert traded["roles"] >= 2 * 4 * DAY_H, "a day's roles of two households are there"
    assert traded["contracts"] > first["flat-0"]["contracts"] > 0
    street.check_sound()
    assert [row for row in street.contracts("buyer") if row.state == "SETTLED"]


# --- each rule ---


@pytest.fixture
def connection() -> sqlite3.Connection:
    database = Database.open(IN_MEMORY, salt="s")
    database.connection.execute("INSERT INTO parties VALUES ('me', 'household', 0, 0, 0, 0, 0, 0, 0, 0)")
    database.connection.execute("INSERT INTO parties VALUES ('gone', 'household', 0, 0, 0, 0, 0, 0, 0, 0)")
    return database.connection


NOW_S = 1_800_000_000
MINUTE_MS, DAY_MS = 60_000, 86_400_000


def add_contract(
    connection: sqlite3.Connection, name: str, *, state: str, slot: int, updated_ms: int, order_id: str | None
) -> None:
    connection.execute(
        "INSERT INTO contracts (party, side, transaction_id, counterparty, item_id, slot, energy_wh, amount_micro, "
        "fee_micro, state, expires_ms, created_ms, updated_ms, order_id, in_doubt) "
        "VALUES ('me', 'seller', ?, 'it', 'i', ?, 1, 1, 0, ?, 0, 0, ?, ?, 0)",
        (name, slot, state, updated_ms, order_id),
    )


def forget(connection: sqlite3.Connection, *, speed: float = 60.0) -> None:
    horizon = Horizon(NOW_S * 1000, float(NOW_S), speed)
    retention.forget(connection, horizon, here=["me"], needed=["backstop"])


def left(connection: sqlite3.Connection, column: str, table: str) -> list[Any]:
    return [value for (value,) in connection.execute(f"SELECT {column} FROM {table} ORDER BY 1")]  # noqa: S608


def test_contracts_that_hold_stay_and_others_go_in_time(connection: sqlite3.Connection) -> None:
    old, very_old = NOW_S - DAY_S - 900, NOW_S - 31 * DAY_S
    now_ms = NOW_S * 1000
    long_ago = now_ms - 31 * DAY_MS
    for state in ("QUOTED", "AGREED", "CONFIRMED", "DELIVERED", "SETTLED"):
        add_contract(connection, state, state=state, slot=very_old, updated_ms=long_ago, order_id=f"o-{state}")
    add_contract(connection, "quote, gone", state="EXPIRED", slot=old, updated_ms=0, order_id=None)
    add_contract(connection, "quote, new", state="EXPIRED", slot=NOW_S - 900, updated_ms=0, order_id=None)
    add_contract(connection, "order, gone", state="EXPIRED", slot=very_old, updated_ms=long_ago, order_id="o-1")
    add_contract(connection, "order, by wall", state="EXPIRED", slot=old, updated_ms=long_ago, order_id="o-2")
    add_contract(
        connection, "order, by grid", state="CANCELLED", slot=very_old, updated_ms=NOW_S * 1000, order_id="o-3"
    )
    forget(connection)
    kept = ["AGREED", "CONFIRMED", "DELIVERED", "QUOTED", "SETTLED", "order, by grid", "order, by wall", "quote, new"]
    assert left(connection, "transaction_id", "contracts") == kept


@pytest.mark.parametrize(("speed", "kept"), [(60.0, ["day"]), (960.0, ["day", "week"])])
def test_roles_stay_a_grid_day_and_as_long_as_messages_live(
    connection: sqlite3.Connection, speed: float, kept: list[str]
) -> None:
    ages = {"day": DAY_S - 900, "week": 6 * DAY_S, "fortnight": 14 * DAY_S}
    for party in ("me", "gone"):
        for age in ages.values():
            connection.execute("INSERT INTO roles VALUES (?, ?, 'buyer')", (party, NOW_S - age))
    forget(connection, speed=speed)
    assert left(connection, "count(*)", "roles") == [2 * len(kept)]


def test_mail_of_parties_that_left_goes_and_that_of_others_stays(connection: sqlite3.Connection) -> None:
    for party in ("me", "gone"):
        for name, age_ms in (("old", 11 * MINUTE_MS), ("new", 0)):
            at_ms = NOW_S * 1000 - age_ms
            connection.execute("INSERT INTO outbox VALUES (?, ?, 'select', 'it', 't', x'', ?)", (party, name, at_ms))
    forget(connection)
    assert left(connection, "party || ' ' || message_id", "outbox") == ["gone new", "me new", "me old"]


def test_addresses_go_that_nobody_needs(connection: sqlite3.Connection) -> None:
    add_contract(connection, "t", state="DELIVERED", slot=0, updated_ms=0, order_id="o")
    for name, heard_ms in (("it", 0), ("backstop", 0), ("old", 0), ("new", NOW_S * 1000)):
        connection.execute("INSERT INTO peers VALUES (?, 'http://x', ?, 'v1')", (name, heard_ms))
    forget(connection)
    assert left(connection, "subscriber_id", "peers") == ["backstop", "new"]


def test_a_batch_is_bounded_and_the_rest_goes_with_the_next(connection: sqlite3.Connection) -> None:
    most = retention.MOST_AT_ONCE + retention.MOST_OF_ONE_PARTY
    rows = [("me", "it", str(number), "select", 200, b"", 0, None) for number in range(most + 1)]
    connection.executemany("INSERT INTO inbox VALUES (?, ?, ?, ?, ?, ?, ?, ?)", rows)
    forget(connection)
    assert left(connection, "count(*)", "inbox") == [1]
    forget(connection)
    assert left(connection, "count(*)", "inbox") == [0]


def test_no_book_is_read_from_end_to_end(connection: sqlite3.Connection) -> None:
    values: Mapping[str, object] = dict.fromkeys(
        ("now_ms", "slot", "agreed_slot", "agreed_ms", "heard_ms", "left_ms", "most"), 0
    ) | {"here": "[]", "needed": "[]"}
    scanned: set[str] = set()
    for statement in retention.STATEMENTS:
        for _, _, _, step in connection.execute(f"EXPLAIN QUERY PLAN {statement}", values):
            if step.startswith("SCAN"):
                scanned.add(step.split()[1])
    # Parties and what is under way are few.
    assert scanned <= {"json_each", "outbox", "parties"}
