"""A party deletes what its books have of longer ago than it is to keep; all books stay right, its own and partners'."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from shutil import copytree
from typing import Any

import pytest

from tests.world.manifests import MARKET, households, planned, utility
from tests.world.street import books_of, saved
from wattmesh_agents.pod import Pod
from wattmesh_agents.store import accounts, journal
from wattmesh_agents.store.database import Database
from wattmesh_agents.store.retention import Horizon, retire
from wattmesh_cli.audit import AuditResult, audit
from wattmesh_cli.books import Book
from wattmesh_cli.sqlite_books import read_books
from wattmesh_cli.street.memory import run_in_memory, simulate
from wattmesh_market.parties.party import standing_at

STREET = planned(
    MARKET
    + utility(fees=", localGridFee: 0.01, gridFee: 0.05")
    + households("roof", "battery: {capacityKwh: 60, initialKwh: 50, powerKw: 2}, pv: {peakKw: 4}, strategy: rules")
    + households(
        "sun", "pv: {peakKw: 9}, load: {annualKwh: 3000}, battery: {capacityKwh: 5, initialKwh: 1, powerKw: 2}"
    )
    + households("flat", "load: {annualKwh: 6000}", replicas=2)
)
START = int(STREET.resource.spec.clock.start.timestamp())
PODS = ("roof-0", "sun-0", "flat-0", "flat-1", "utility")
DAY_S = 86_400
HOURS = 7
BEFORE = START + 5 * 3600


@pytest.fixture(scope="module")
def traded(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A state directory after seven hours."""
    return saved(STREET, HOURS, tmp_path_factory.mktemp("traded"))


@pytest.fixture
def state(traded: Path, tmp_path: Path) -> Path:
    """A copy to delete from."""
    return copytree(traded, tmp_path / "state")


def party_in(name: str) -> str:
    return f"{name}.default"


def retired(state: Path, *names: str, before: int = BEFORE) -> tuple[Book, ...]:
    """The books after these have deleted what is older."""
    for name in names:
        with closing(Database.open(state / "agents" / f"{name}.db")) as database, database.transaction() as connection:
            retire(connection, party_in(name), before)
    return read_books(state)


def add_delivery(connection: sqlite3.Connection, transaction: str, slot: int) -> None:
    """A contract that has a delivery more."""
    columns = [row[1] for row in connection.execute("PRAGMA table_info(contracts)")]
    values = ", ".join(":slot" if name == "slot" else name for name in columns)
    connection.execute(
        f"INSERT INTO contracts SELECT {values} FROM contracts WHERE transaction_id = :transaction LIMIT 1",  # noqa: S608
        {"transaction": transaction, "slot": slot},
    )


def check_right(books: tuple[Book, ...], before: AuditResult) -> None:
    result = audit(books)
    assert result.findings == ()
    assert (result.energy_sum_wh, result.amount_sum_micro) == (0, 0)
    assert result.ledger_entries_checked < before.ledger_entries_checked


@pytest.mark.parametrize("names", [*((name,) for name in PODS), ("roof-0", "utility"), ("flat-0", "sun-0"), PODS])
def test_books_stay_right_whoever_deletes(names: tuple[str, ...], state: Path) -> None:
    whole = audit(read_books(state))
    assert whole.findings == ()
    books = retired(state, *names)
    check_right(books, whole)
    for book in books:
        rows: list[Any] = [*book.contracts, *book.ledger, *book.readings, *book.reported, *book.closings]
        assert all(row.slot >= BEFORE for row in rows) == (book.name in names)
        assert all((link.salt is None) == (link.slot is None) for link in book.chain)
        assert any(link.salt is None for link in book.chain) == (book.name in names)


def test_partners_may_keep_for_different_times(state: Path) -> None:
    whole = audit(read_books(state))
    for hour, name in enumerate(PODS, 1):
        check_right(retired(state, name, before=START + hour * 3600), whole)
    for hour, name in enumerate(reversed(PODS), 2):
        check_right(retired(state, name, before=START + hour * 3600), whole)


@pytest.mark.parametrize("name", PODS)
def test_what_it_has_traded_and_earned_is_still_known(name: str, state: Path) -> None:
    def known() -> object:
        with closing(Database.open(state / "agents" / f"{name}.db")) as database:
            connection, party = database.connection, party_in(name)
            books = journal.load(connection, party, START + HOURS * 3600, standing_at(START))
            return books.totals, accounts.totals(connection, party)

    before = known()
    retired(state, name)
    assert known() == before
    retired(state, name, before=BEFORE + 3600)
    assert known() == before


def test_nothing_is_deleted_from_the_first_unfinished_slot_on(state: Path) -> None:
    path = state / "agents" / "flat-0.db"
    with closing(Database.open(path)) as database, database.transaction() as connection:
        connection.execute("UPDATE readings SET state = 'open' WHERE slot = ?", (START + 2 * 3600,))
    [flat] = [book for book in retired(state, "flat-0") if book.name == "flat-0"]
    assert min(one.slot for one in flat.readings) == flat.parties[0].first_slot <= START + 2 * 3600
    assert flat.carried


def test_a_contract_is_deleted_whole_or_not_at_all(state: Path) -> None:
    path = state / "agents" / "flat-0.db"
    with closing(Database.open(path)) as database, database.transaction() as connection:
        [(transaction,)] = connection.execute(
            "SELECT transaction_id FROM contracts WHERE slot = ? AND state = 'SETTLED' LIMIT 1", (BEFORE - 900,)
        )
        add_delivery(connection, transaction, BEFORE + 900)
    [flat] = [book for book in retired(state, "flat-0") if book.name == "flat-0"]
    assert len([row for row in flat.contracts if row.transaction_id == transaction]) == 2
    assert flat.parties[0].first_slot == BEFORE - 900


def test_at_most_a_day_goes_at_once(state: Path) -> None:
    [flat] = [book for book in retired(state, "flat-0", before=START + 40 * DAY_S) if book.name == "flat-0"]
    assert flat.parties[0].first_slot <= START + DAY_S


@pytest.mark.parametrize("name", PODS)
def test_books_are_right_after_each_piece_and_in_the_end_as_after_a_whole_one(name: str, state: Path) -> None:
    """Whatever ends the process between two of them."""
    whole = audit(read_books(state))
    [at_once] = [book for book in retired(copytree(state, state.parent / "at once"), name) if book.name == name]
    path, first, pieces = state / "agents" / f"{name}.db", START, 0
    while first < at_once.parties[0].first_slot:
        with closing(Database.open(path)) as database, database.transaction() as connection:
            retire(connection, party_in(name), BEFORE, most=5)
        books = read_books(state)
        check_right(books, whole)
        [book] = [book for book in books if book.name == name]
        assert book.parties[0].first_slot > first
        first, pieces = book.parties[0].first_slot, pieces + 1
    assert pieces > 3
    for table in ("parties", "contracts", "readings", "ledger", "reported", "held", "closings"):
        assert getattr(book, table) == getattr(at_once, table)
    sums = [[replace(one, number=None, salt=None, until=0) for one in each.carried] for each in (book, at_once)]
    assert sums[0] == sums[1]


def test_a_piece_has_as_many_slots_as_a_contract_in_it(state: Path) -> None:
    path = state / "agents" / "flat-0.db"
    with closing(Database.open(path)) as database, database.transaction() as connection:
        [(transaction,)] = connection.execute("SELECT transaction_id FROM contracts WHERE state = 'SETTLED' LIMIT 1")
        add_delivery(connection, transaction, START)
        add_delivery(connection, transaction, BEFORE - 1800)
        retire(connection, party_in("flat-0"), BEFORE, most=1)
        [(first,)] = connection.execute("SELECT first_slot FROM parties")
    assert first >= BEFORE - 900


def test_a_pod_deletes_what_is_older_than_its_parties_are_told_to_keep(monkeypatch: pytest.MonkeyPatch) -> None:
    """A piece in each slot."""
    monkeypatch.setattr("wattmesh_agents.deleting.RETIRED_AT_ONCE", 1)
    run = simulate(lambda: run_in_memory(STREET, STREET.resource.spec.clock.start + timedelta(hours=3), seed=1))
    midnight = START // DAY_S * DAY_S + DAY_S
    for pod in run.pods.values():

        def first_slot(grid_s: float, pod: Pod = pod) -> int:
            pod._driver.deletions.retire(Horizon(pod.now.ms, grid_s, speed=1.0))
            [(first,)] = pod.database.connection.execute("SELECT first_slot FROM parties")
            return int(first)

        assert first_slot(midnight + 3650 * DAY_S - 1) == START
        first = first_slot(midnight + 3650 * DAY_S)
        second = first_slot(midnight + 3650 * DAY_S)
        assert START < first < second
        [(party, last)] = pod.database.connection.execute("SELECT party, max(number) FROM chain GROUP BY party")
        head = pod._driver.ledgers.head(party)
        assert head is not None
        assert head.number == last, "what is booked next follows what was said of the deletion"
    books = books_of(run)
    run.close()
    assert audit(books).findings == ()
    assert any(book.carried for book in books)


def test_sums_that_were_edited_after_the_deletion_are_found(state: Path) -> None:
    books = retired(state, "roof-0")
    roof = next(book for book in books if book.name == "roof-0")
    first, *rest = roof.carried
    edited = replace(roof, carried=(replace(first, amount_micro=first.amount_micro + 1), *rest))
    found, in_chain = audit([edited if book is roof else book for book in books]).findings
    assert (in_chain.kind, in_chain.party) == ("chain", "roof-0.default")
    assert f"the sum of {first.kind} with {first.counterparty} carried forward was another one" in in_chain.text
    assert (found.kind, found.party, found.slot) == ("carried", "roof-0.default", BEFORE)
    assert f"with {first.counterparty}; booked there: " in found.text
