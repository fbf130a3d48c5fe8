"""A street whose books are right: flat-0 bought from roof-0, grid supplied the rest."""

from __future__ import annotations

import sqlite3
from dataclasses import asdict, replace
from datetime import datetime
from pathlib import Path

from tests.world.manifests import planned
from wattmesh_agents.store.schema import APPLICATION_ID, TABLES, VERSION
from wattmesh_cli.books import Book, ContractRow, LedgerEntry, Party, Reading, Reported
from wattmesh_cli.street_record import remember

MANIFEST = """
apiVersion: wattmesh.io/v1alpha1
kind: BecknGateway
metadata: {name: market}
spec: {clock: {start: "2026-06-21T06:00:00+02:00"}}
---
apiVersion: wattmesh.io/v1alpha1
kind: UtilityAgent
metadata: {name: grid}
spec: {tariff: {price: 0.30, feedIn: 0.08}, capacityKw: 50}
---
apiVersion: wattmesh.io/v1alpha1
kind: SolarAgent
metadata: {name: roof}
spec: {battery: {capacityKwh: 10, initialKwh: 5}, pv: {peakKw: 5}}
---
apiVersion: wattmesh.io/v1alpha1
kind: SolarAgent
metadata: {name: flat}
spec: {load: {annualKwh: 3000}}
"""
NOON = "2026-06-21T12:00:00+02:00"
SLOT = int(datetime.fromisoformat(NOON).timestamp())
NEXT, THIRD = SLOT + 900, SLOT + 1800
ROOF, FLAT, GRID = "roof-0.default", "flat-0.default", "grid.default"
BOUGHT, PROMISED = "aaaaaaaa-bought", "bbbbbbbb-promised"


def contract(transaction_id: str, slot: int, state: str, **more: object) -> ContractRow:
    """The buyer's record: flat-0 buys 500 Wh from roof-0 for 0.10."""
    row = ContractRow(
        FLAT, "buyer", transaction_id, ROOF, f"energy-{slot}", slot, 500, 100_000, state, f"order-{transaction_id}",
        None, None, False, None, offered_micro_per_kwh=200_000, offers=1,
    )  # fmt: skip
    return replace(row, **more)  # type: ignore[arg-type]


def other_side(row: ContractRow, **changes: object) -> ContractRow:
    """The same contract as the counterparty holds it."""
    side = "seller" if row.side == "buyer" else "buyer"
    mirrored = replace(
        row, party=row.counterparty, counterparty=row.party, side=side, offered_micro_per_kwh=None, offers=None
    )
    return replace(mirrored, **changes)  # type: ignore[arg-type]


def street() -> list[Book]:
    """Two slots metered, one purchase settled (400 Wh), one confirmed for the third slot (500 Wh)."""
    bought = contract(
        BOUGHT, SLOT, "SETTLED", energy_wh=400, amount_micro=80_000, delivered_wh=400, settled_micro=80_000
    )
    promised = contract(PROMISED, THIRD, "CONFIRMED")
    roof = Book(
        "roof-0",
        parties=(Party(ROOF, "household", 10_000, 5000, 5280, SLOT, THIRD),),
        contracts=(other_side(bought), other_side(promised)),
        ledger=(
            LedgerEntry(ROOF, "backstop", NEXT, GRID, "supply", -100, 8_000),
            LedgerEntry(ROOF, "trade", SLOT, FLAT, BOUGHT, -400, 80_000),
        ),
        readings=(
            Reading(ROOF, SLOT, 5000, 5280, 10_000, 1000, 300, 0, 400, 0, 0, 20, "booked"),
            Reading(ROOF, NEXT, 5280, 5280, 10_000, 250, 150, 0, 0, 0, 100, 0, "booked"),
        ),
    )
    flat = Book(
        "flat-0",
        parties=(Party(FLAT, "household", 0, 0, 0, SLOT, THIRD),),
        contracts=(bought, promised),
        ledger=(
            LedgerEntry(FLAT, "backstop", SLOT, GRID, "supply", 200, -60_000),
            LedgerEntry(FLAT, "trade", SLOT, ROOF, BOUGHT, 400, -80_000),
        ),
        readings=(
            Reading(FLAT, SLOT, 0, 0, 0, 0, 600, 400, 0, 200, 0, 0, "booked"),
            Reading(FLAT, NEXT, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, "booked"),
        ),
    )
    grid = Book(
        "grid",
        parties=(Party(GRID, "utility", 0, 0, 0, SLOT, THIRD),),
        ledger=(
            LedgerEntry(GRID, "backstop", SLOT, FLAT, "supply", -200, 60_000),
            LedgerEntry(GRID, "backstop", NEXT, ROOF, "supply", 100, -8_000),
        ),
        reported=(
            Reported(GRID, SLOT, FLAT, 200, 0, 0, False, "alone"),
            Reported(GRID, NEXT, ROOF, 0, 100, 0, False, "alone"),
        ),
    )
    return [flat, grid, roof]


def write_state(state: Path, books: list[Book]) -> Path:
    """A state directory as `wattmesh up` leaves it."""
    state.mkdir(parents=True)
    remember(state, planned(MANIFEST), SLOT)
    (state / "agents").mkdir()
    for book in books:
        write_database(state / "agents" / f"{book.name}.db", book)
    return state


def write_database(path: Path, book: Book) -> None:
    """A runtime's database with the book's rows."""
    connection = sqlite3.connect(path, isolation_level=None)
    connection.execute("PRAGMA journal_mode = WAL")
    connection.executescript(TABLES)
    connection.execute(f"PRAGMA application_id = {APPLICATION_ID}")
    connection.execute(f"PRAGMA user_version = {VERSION}")
    rows = [
        *(("parties", asdict(row) | {"buying": 0}) for row in book.parties),
        *(("contracts", asdict(row) | {"expires_ms": 0, "updated_ms": 0}) for row in book.contracts),
        *(("ledger", asdict(row)) for row in book.ledger),
        *(("readings", asdict(row)) for row in book.readings),
        *(("messages", asdict(row)) for row in book.messages),
        *(("reported", asdict(row) | {"transaction_id": ""}) for row in book.reported),
        *(("held", asdict(row) | {"transaction_id": ""}) for row in book.held),
        *(("closings", asdict(row)) for row in book.closings),
        *(("accounts", asdict(row)) for row in book.accounts),
        *(("closing_records", asdict(row)) for row in book.closing_records),
    ]
    for table, row in rows:
        marks = ", ".join(f":{name}" for name in row)
        connection.execute(f"INSERT INTO {table} ({', '.join(row)}) VALUES ({marks})", row)  # noqa: S608
    connection.close()
