"""Meter and books: each slot once, each booking once, and sums that are those of the rows."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from wattmesh_agents.store.database import IN_MEMORY, Database
from wattmesh_agents.store.readings import LedgerEntry, MeterTable, PartyState, Reading
from wattmesh_market.energy.battery import Metered

ME, OTHER = "roof-0.default", "flat-0.default"
METERED = Metered(5000, 5400, 900, 200, 0, 100, imported_wh=0, exported_wh=170, losses_wh=30)


@pytest.fixture
def connection() -> Iterator[sqlite3.Connection]:
    database = Database.open(IN_MEMORY, salt="s")
    yield database.connection
    database.close()


@pytest.fixture
def meter(connection: sqlite3.Connection) -> MeterTable:
    meter = MeterTable(connection, ME)
    meter.enrol("household", 10_000, 5000, 900)
    return meter


def test_a_party_is_enrolled_once_and_only_its_capacity_changes(
    connection: sqlite3.Connection, meter: MeterTable
) -> None:
    assert meter.state() == PartyState(5000, 900, buying=False)
    meter.set_state(PartyState(5400, 1800, buying=True))
    meter.enrol("household", 8000, 1234, 90_000)
    assert meter.state() == PartyState(5400, 1800, buying=True)
    row = connection.execute("SELECT capacity_wh, initial_level_wh, first_slot FROM parties").fetchone()
    assert row == (8000, 5000, 900)


def test_a_role_is_taken_once_for_each_slot(meter: MeterTable) -> None:
    assert meter.role(900) is None
    meter.take_role(900, "seller")
    meter.take_role(1800, "buyer")
    assert (meter.role(900), meter.role(1800), meter.role(2700)) == ("seller", "buyer", None)
    with pytest.raises(sqlite3.IntegrityError):
        meter.take_role(900, "buyer")
    assert meter.role(900) == "seller"


@given(st.builds(Metered, *[st.integers(0, 2**40)] * 9), st.integers(-(2**40), 2**40))
@settings(max_examples=50)
def test_a_reading_comes_back_as_it_was(metered: Metered, slot: int) -> None:
    database = Database.open(IN_MEMORY, salt="s")
    meter = MeterTable(database.connection, ME)
    meter.add_reading(slot, metered, 10_000)
    assert meter.reading(slot) == Reading(slot, metered, "open")
    assert meter.reading(slot + 900) is None
    database.close()


def test_a_slot_is_metered_once(meter: MeterTable) -> None:
    meter.add_reading(900, METERED, 10_000)
    with pytest.raises(sqlite3.IntegrityError):
        meter.add_reading(900, METERED, 10_000)


def test_readings_by_state_oldest_first(meter: MeterTable) -> None:
    for slot in (2700, 900, 1800):
        meter.add_reading(slot, METERED, 10_000)
    meter.set_reading_state(1800, "booked")
    assert [reading.slot for reading in meter.readings_in("open")] == [900, 2700]
    assert [reading.slot for reading in meter.readings_in("booked")] == [1800]


def test_what_is_delivered_moves_from_import_to_bought(meter: MeterTable) -> None:
    # 300 Wh came in, 250 of them from a seller who says so later.
    meter.add_reading(900, Metered(5000, 5300, 0, 0, 0, 0, imported_wh=300, exported_wh=0, losses_wh=0), 10_000)
    meter.move_import_to_bought(900, 250)
    reading = meter.reading(900)
    assert reading is not None
    assert (reading.metered.bought_wh, reading.metered.imported_wh) == (250, 50)
    with pytest.raises(sqlite3.IntegrityError):
        meter.move_import_to_bought(900, 51)


@pytest.mark.parametrize(
    ("imported_wh", "exported_wh", "net"), [(300, 100, (200, 0)), (100, 300, (0, 200)), (50, 50, (0, 0))]
)
def test_a_final_reading_is_import_or_export(
    meter: MeterTable, imported_wh: int, exported_wh: int, net: tuple[int, int]
) -> None:
    meter.add_reading(900, METERED._replace(imported_wh=imported_wh, exported_wh=exported_wh), 10_000)
    meter.set_reading_state(900, "final")
    reading = meter.reading(900)
    assert reading is not None
    assert reading.state == "final"
    assert (reading.metered.imported_wh, reading.metered.exported_wh) == net


def test_an_entry_is_booked_once(meter: MeterTable) -> None:
    entry = LedgerEntry("trade", 900, OTHER, "t-1", -500, 100_000)
    meter.book(entry)
    assert meter.entries(["trade"], 900, OTHER) == [entry]
    with pytest.raises(sqlite3.IntegrityError):
        meter.book(replace(entry, energy_wh=-501))
    assert meter.entries(["backstop", "grid_fee"], 900, OTHER) == []
    assert meter.totals() == (500, 0, 100_000)


@given(st.lists(st.tuples(st.sampled_from(["trade", "backstop"]), st.integers(-500, 500), st.integers(-900, 900))))
@settings(max_examples=50)
def test_totals_are_the_sums_of_the_entries(rows: list[tuple[str, int, int]]) -> None:
    database = Database.open(IN_MEMORY, salt="s")
    meter, others = MeterTable(database.connection, ME), MeterTable(database.connection, OTHER)
    for number, (kind, energy_wh, amount_micro) in enumerate(rows):
        meter.book(LedgerEntry(kind, 900, OTHER, f"t-{number}", energy_wh, amount_micro))
        others.book(LedgerEntry(kind, 900, ME, f"t-{number}", -energy_wh, -amount_micro))
    traded = [energy_wh for kind, energy_wh, _ in rows if kind == "trade"]
    sold_wh, bought_wh = -sum(wh for wh in traded if wh < 0), sum(wh for wh in traded if wh > 0)
    balance_micro = sum(amount_micro for _, _, amount_micro in rows)
    assert meter.totals() == (sold_wh, bought_wh, balance_micro)
    assert others.totals() == (bought_wh, sold_wh, -balance_micro)
    database.close()


def test_a_utility_knows_its_newest_backstop_demand(meter: MeterTable) -> None:
    assert meter.last_backstop_slot(before=2700) is None
    assert meter.backstop_import_wh(900) == 0
    for slot, household, energy_wh in ((900, "a", -400), (900, "b", 150), (1800, "a", -70)):
        meter.book(LedgerEntry("backstop", slot, household, "supply", energy_wh, 1))
    meter.book(LedgerEntry("trade", 1800, "a", "t-1", -5000, 1))
    assert meter.backstop_import_wh(900) == 250
    assert meter.backstop_import_wh(1800) == 70
    assert (meter.last_backstop_slot(before=1800), meter.last_backstop_slot(before=1801)) == (900, 1800)


def test_parties_of_one_database_keep_their_own_books(connection: sqlite3.Connection, meter: MeterTable) -> None:
    theirs = MeterTable(connection, OTHER)
    theirs.enrol("household", 0, 0, 1800)
    theirs.add_reading(900, METERED, 0)
    theirs.book(LedgerEntry("trade", 900, ME, "t-1", 500, -100_000))
    theirs.take_role(900, "buyer")
    theirs.set_state(PartyState(0, 2700, buying=True))
    assert meter.state() == PartyState(5000, 900, buying=False)
    assert (meter.reading(900), meter.role(900), meter.totals()) == (None, None, (0, 0, 0))


@pytest.mark.parametrize("name", ["imported_wh", "exported_wh", "losses_wh"])
def test_negative_flows_never_reach_the_books(meter: MeterTable, name: str) -> None:
    with pytest.raises(sqlite3.IntegrityError):
        meter.add_reading(900, METERED._replace(**{name: -1}), 10_000)


def test_metered_fields_stand_in_the_order_of_the_columns(connection: sqlite3.Connection, meter: MeterTable) -> None:
    metered = Metered(1, 2, 3, 4, 5, 6, 7, 8, 9)
    meter.add_reading(900, metered, 10_000)
    row = connection.execute(
        "SELECT level_before_wh, level_after_wh, pv_wh, load_wh, bought_wh, sold_wh, imported_wh, exported_wh, "
        "losses_wh, capacity_wh FROM readings"
    ).fetchone()
    assert row == (*metered, 10_000)
