"""A party's changes onto the disk, and its state back from there.

The state in memory is what the market's core works on; these rows are its journal. A row is written over by a newer one
with the same key, ledger entries are written once.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Any

from wattmesh_market.energy.battery import Metered
from wattmesh_market.energy.devices.flexible import DeviceReading
from wattmesh_market.parties.books import CORRECTED_WITHIN_S, REMEMBERED_S, Books, Changes, Role, Standing, Totals
from wattmesh_market.trade.contracts import OPEN, Contract, ContractState, Delivery, Side
from wattmesh_market.trade.ledger import (
    EntryKind,
    Held,
    HeldState,
    LedgerEntry,
    Reading,
    ReadingState,
    Reported,
    ReportState,
)


def _replace(table: str, columns: int) -> str:
    return f"INSERT OR REPLACE INTO {table} VALUES ({', '.join('?' * columns)})"  # noqa: S608 - names of ours


_PUT_CONTRACT = _replace("contracts", 24)
_NEW_CONTRACT = _PUT_CONTRACT.replace(" OR REPLACE", "")
_PUT_READING = _replace("readings", 19)
_PUT_ROLE = _replace("roles", 3)
_PUT_REPORTED = _replace("reported", 9)
_PUT_HELD = _replace("held", 8)
_CLOSE = "INSERT INTO closings VALUES (?, ?, ?, ?, ?, ?, ?, ?, 0, NULL, NULL)"
_BOOK = "INSERT INTO ledger VALUES (?, ?, ?, ?, ?, ?, ?)"
_STAND = (
    "INSERT INTO parties VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT (party) DO UPDATE SET "
    "capacity_wh = excluded.capacity_wh, level_wh = excluded.level_wh, next_slot = excluded.next_slot, "
    "buying = excluded.buying, carried_uwh = excluded.carried_uwh, vehicle_wh = excluded.vehicle_wh"
)
_COUNT = "INSERT INTO messages VALUES (?, ?, ?) ON CONFLICT (party, action) DO UPDATE SET sent = sent + excluded.sent"
_OPEN = ", ".join(f"'{state}'" for state in OPEN)


def write(connection: sqlite3.Connection, party: str, kind: str, changes: Changes) -> None:
    """Write the rows that changed, within the caller's transaction.

    sqlite3.IntegrityError when a new contract, booking or closing stands there already.
    """
    if changes.contracts:
        # A new one must not push out another that memory has let go of. One that is quoted anew is not new.
        is_new = {
            key: one.state is ContractState.QUOTED and key not in changes.before
            for key, one in changes.contracts.items()
        }
        new = [one for key, one in changes.contracts.items() if is_new[key]]
        old = [(key, one) for key, one in changes.contracts.items() if not is_new[key]]
        connection.executemany(_NEW_CONTRACT, [row for one in new for row in _rows(one)])
        connection.executemany(_PUT_CONTRACT, [row for key, one in old for row in _rows(one, changes.before.get(key))])
    if changes.readings:
        connection.executemany(
            _PUT_READING,
            [_reading_row(party, reading) for reading in changes.readings.values()],
        )
    if changes.roles:
        connection.executemany(_PUT_ROLE, [(party, slot, role) for slot, role in changes.roles.items()])
    if changes.ledger:
        connection.executemany(_BOOK, [(party, *entry) for entry in changes.ledger])
    if changes.reported:
        connection.executemany(_PUT_REPORTED, [(party, *reported) for reported in changes.reported.values()])
    if changes.held:
        connection.executemany(_PUT_HELD, [(party, *held) for held in changes.held.values()])
    if changes.closings:
        connection.executemany(_CLOSE, [(party, *closing) for closing in changes.closings])
    if changes.standing is not None:
        connection.execute(_STAND, (party, kind, *changes.standing))


def count_messages(connection: sqlite3.Connection, counts: Iterable[tuple[str, str, int]]) -> None:
    """Add to how many messages were sent: party, action, number."""
    connection.executemany(_COUNT, list(counts))


def load(connection: sqlite3.Connection, party: str, at_slot: int | None, default: Standing) -> Books:
    """A party's books as the journal has them; of one that is new, those of `default`, which are still to be written.

    What is over since `REMEMBERED_S` before `at_slot` (None: the slot that its books have reached) stays on disk (see
    `recall_contracts`), as `Books.forget` has it.
    """
    row = connection.execute("SELECT * FROM parties WHERE party = ?", (party,)).fetchone()
    if row is None:
        books = Books(default)
        books.stand(default)
        return books
    standing = Standing._make((*row[2:7], bool(row[7]), *row[8:]))
    books = Books(standing)
    since = (standing.next_slot if at_slot is None else min(at_slot, standing.next_slot)) - REMEMBERED_S
    corrected_since = since + REMEMBERED_S - CORRECTED_WITHIN_S
    remembered = {"party": party, "since": since, "corrected_since": corrected_since}
    of_contracts = f"(slot >= :since OR state IN ({_OPEN}) OR slot IN ({_UNBOOKED}) OR slot IN ({_ESTIMATED}))"
    for contract in _contracts(connection, of_contracts, remembered):
        books.put(contract)
    books.note_first_expiry()
    of_readings = f"(slot >= :since OR state <> 'booked' OR slot IN ({_ESTIMATED}))"
    for values in connection.execute(
        f"SELECT * FROM readings WHERE party = :party AND {of_readings} ORDER BY slot",  # noqa: S608 - text of ours
        remembered,
    ):
        metered = Metered(*values[2:4], *values[5:12], *values[13:15])
        values = (*values[1:2], metered, values[4], ReadingState(values[12]), *values[15:18], _devices(values[18]))
        books.read(Reading._make(values))
    for slot, role in connection.execute("SELECT slot, role FROM roles WHERE party = ? AND slot >= ?", (party, since)):
        books.take_role(slot, Role(role))
    for row in connection.execute("SELECT * FROM reported WHERE party = ? AND slot >= ?", (party, since)):
        books.report(_reported(row))
    for row in connection.execute(
        "SELECT * FROM held WHERE party = ? AND (slot >= ? OR state = 'held')", (party, since)
    ):
        books.hold(_held(row))
    books.know(
        [_entry(row) for row in connection.execute(_REMEMBERED, remembered)],
        _totals(connection, party),
    )
    books.changes = Changes()
    return books


def recall_contracts(connection: sqlite3.Connection, party: str, transaction_id: str) -> list[Contract]:
    """The contracts of a transaction that memory has let go of."""
    of_transaction = {"party": party, "transaction_id": transaction_id}
    return _contracts(connection, "transaction_id = :transaction_id", of_transaction)


def recall_supply(connection: sqlite3.Connection, books: Books, party: str, household: str, slot: int) -> None:
    """Bring back a household's reading of a slot that memory has let go of, and what was booked for it."""
    where = "party = ? AND slot = ? AND household = ?"
    row = connection.execute(f"SELECT * FROM reported WHERE {where}", (party, slot, household)).fetchone()  # noqa: S608
    if row is not None:
        books.report(_reported(row))
        of_slot = {"party": party, "slot": slot, "household": household}
        entries = connection.execute(_SUPPLIED + " AND slot = :slot AND counterparty = :household", of_slot)
        books.know([_entry(entry) for entry in entries])
    row = connection.execute(f"SELECT * FROM held WHERE {where}", (party, slot, household)).fetchone()  # noqa: S608
    if row is not None:
        books.hold(_held(row))


_UNBOOKED = "SELECT slot FROM readings WHERE party = :party AND state <> 'booked'"
_ESTIMATED = "SELECT slot FROM readings WHERE party = :party AND estimated_wh IS NOT NULL AND slot >= :corrected_since"
_SUPPLIED = "SELECT * FROM ledger WHERE party = :party AND kind IN ('backstop', 'shared', 'grid_fee')"
_REMEMBERED = f"{_SUPPLIED} AND (slot >= :since OR slot IN ({_ESTIMATED}))"


def table_rows(connection: sqlite3.Connection, table: str) -> list[dict[str, Any]]:
    """All rows of a table, in the order of their keys; columns are named as in the schema."""
    cursor = connection.execute(f"SELECT * FROM {table}")  # noqa: S608 - the caller names one of ours
    names = [column[0] for column in cursor.description]
    return [dict(zip(names, row, strict=True)) for row in cursor]


def _reading_row(party: str, reading: Reading) -> tuple[Any, ...]:
    slot, metered, capacity_wh, state, *worth, devices = reading
    taken = json.dumps([_device(one) for one in devices], separators=(",", ":")) if devices else None
    return (party, slot, *metered[:2], capacity_wh, *metered[2:9], state, *metered[9:], *worth, taken)


def _device(of: DeviceReading) -> dict[str, Any]:
    """Without what only cars have whose store the house may use, where there is none."""
    found = of._asdict()
    return {name: value for name, value in found.items() if value or name not in DeviceReading._field_defaults}


def _devices(taken: str | None) -> tuple[DeviceReading, ...]:
    return () if taken is None else tuple(DeviceReading(**one) for one in json.loads(taken))


def _rows(contract: Contract, before: Contract | None = None) -> list[tuple[Any, ...]]:
    """A row for each delivery: for those alone that have changed, where the contract beside them stands as before."""
    (
        party, side, transaction_id, counterparty, deliveries, expires_ms, created_ms, updated_ms, order_id, in_doubt,
        reason, searched_ms, confirmed_ms, offers, provider,
    ) = contract  # fmt: skip
    stand: Collection[Delivery] = ()
    if before is not None and _beside(before) == _beside(contract):
        stand = before.deliveries
    return [
        (
            party, side, transaction_id, counterparty, *delivery[:8], expires_ms, created_ms, updated_ms,
            order_id, in_doubt, reason, searched_ms, confirmed_ms, delivery.offered_micro_per_kwh, offers,
            delivery.sun_wh, provider,
        )
        for delivery in deliveries
        if delivery not in stand
    ]  # fmt: skip


def _beside(contract: Contract) -> Contract:
    """All of a contract but its deliveries, and when it changed."""
    return contract._replace(deliveries=(), updated_ms=0)


def _contracts(connection: sqlite3.Connection, where: str, values: Mapping[str, object]) -> list[Contract]:
    """Whole contracts of a party, the `party` of the values, of which a row matches."""
    rows = connection.execute(
        "SELECT * FROM contracts WHERE party = :party AND (transaction_id, counterparty) IN "  # noqa: S608
        f"(SELECT transaction_id, counterparty FROM contracts WHERE party = :party AND {where}) "
        "ORDER BY created_ms, transaction_id, counterparty, slot",
        values,
    )
    found: dict[tuple[str, str], Contract] = {}
    for row in rows:
        delivery = Delivery._make((*row[4:9], ContractState(row[9]), *row[10:12], row[22], row[20]))
        key = (row[2], row[3])
        if key in found:
            deliveries, updated_ms = (*found[key].deliveries, delivery), max(found[key].updated_ms, row[14])
            found[key] = found[key]._replace(deliveries=deliveries, updated_ms=updated_ms)
        else:
            whole = (*row[12:16], bool(row[16]), *row[17:20], row[21], row[23])
            found[key] = Contract(row[0], Side(row[1]), row[2], row[3], (delivery,), *whole)
    return list(found.values())


def _reported(row: Sequence[Any]) -> Reported:
    return Reported._make((*row[1:7], bool(row[7]), ReportState(row[8])))


def _held(row: Sequence[Any]) -> Held:
    return Held._make((*row[1:7], HeldState(row[7])))


def _entry(row: Sequence[Any]) -> LedgerEntry:
    return LedgerEntry(EntryKind(row[1]), *row[2:7])


def _totals(connection: sqlite3.Connection, party: str) -> Totals:
    booked = connection.execute(
        "SELECT coalesce(-sum(min(energy_wh, 0)) FILTER (WHERE kind = 'trade'), 0), "
        "coalesce(sum(max(energy_wh, 0)) FILTER (WHERE kind = 'trade'), 0), coalesce(sum(amount_micro), 0) "
        "FROM ledger WHERE party = ?",
        (party,),
    ).fetchone()
    carried = connection.execute(
        "SELECT coalesce(sum(given_wh) FILTER (WHERE kind = 'trade'), 0), "
        "coalesce(sum(received_wh) FILTER (WHERE kind = 'trade'), 0), coalesce(sum(amount_micro), 0) "
        "FROM carried WHERE party = ?",
        (party,),
    ).fetchone()
    return Totals(*(one + other for one, other in zip(booked, carried, strict=True)))
