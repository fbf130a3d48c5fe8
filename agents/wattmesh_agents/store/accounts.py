"""When each party's ledger was begun, and what those say who have closed their account with a party here."""

from __future__ import annotations

import sqlite3
from collections.abc import Collection
from typing import NamedTuple

from wattmesh_common.closing import ClosingRecord
from wattmesh_market.ids import derive_uuid

MOST_RECORDS = 100
"""How many closing records of one counterparty a party keeps: one for each ledger that this has had."""


class Total(NamedTuple):
    """What a party has booked with a counterparty: entries, energy received (Wh) and money earned (millionths)."""

    counterparty: str
    entries: int
    energy_wh: int
    amount_micro: int


class Signed(NamedTuple):
    """A closing record as it was received: the body's text, the `Authorization` header, and the public key (base64)."""

    record: ClosingRecord
    body: str
    signature: str
    public_key: str


def open_accounts(connection: sqlite3.Connection, parties: Collection[str], salt: str, now_ms: int) -> None:
    """Note that the ledgers of these parties are begun now, within the caller's transaction."""
    rows = [(party, derive_uuid(salt, "account", party), now_ms) for party in parties]
    connection.executemany("INSERT INTO accounts VALUES (?, ?, ?)", rows)


def accounts(connection: sqlite3.Connection) -> dict[str, str]:
    """The account of each party that has one: an id that no other ledger has."""
    return dict(connection.execute("SELECT party, account FROM accounts"))


def totals(connection: sqlite3.Connection, party: str) -> list[Total]:
    """What a party has booked so far, by counterparty."""
    rows = connection.execute(
        "SELECT counterparty, sum(entries), sum(energy_wh), sum(amount_micro) FROM ("
        "SELECT counterparty, 1 AS entries, energy_wh, amount_micro FROM ledger WHERE party = :party UNION ALL "
        "SELECT counterparty, entries, received_wh - given_wh, amount_micro FROM carried WHERE party = :party) "
        "GROUP BY counterparty ORDER BY counterparty",
        {"party": party},
    )
    return [Total._make(row) for row in rows]


def has_booked_with(connection: sqlite3.Connection, party: str, counterparty: str) -> bool:
    """Whether a party has booked anything with another."""
    row = connection.execute(
        "SELECT EXISTS (SELECT 1 FROM carried WHERE party = :party AND counterparty = :counterparty) "
        "OR EXISTS (SELECT 1 FROM ledger WHERE party = :party AND counterparty = :counterparty)",
        {"party": party, "counterparty": counterparty},
    ).fetchone()
    return bool(row[0])


def room_for(connection: sqlite3.Connection, record: ClosingRecord) -> bool:
    """Whether a closing record can be kept: it replaces one of the same account, or there are not too many yet."""
    (others,) = connection.execute(
        "SELECT count(*) FROM closing_records WHERE party = ? AND counterparty = ? AND account <> ?",
        (record.counterparty, record.party, record.account),
    ).fetchone()
    return bool(others < MOST_RECORDS)


def keep_closing(connection: sqlite3.Connection, signed: Signed) -> None:
    """Keep a closing record, within the caller's transaction; an older one of the same account never replaces it."""
    record = signed.record
    connection.execute(
        "INSERT INTO closing_records VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT DO UPDATE SET "
        "until = excluded.until, entries = excluded.entries, energy_wh = excluded.energy_wh, "
        "amount_micro = excluded.amount_micro, record = excluded.record, signature = excluded.signature, "
        "public_key = excluded.public_key WHERE excluded.until >= until",
        (
            record.counterparty,
            record.party,
            record.account,
            record.until,
            record.entries,
            record.energy_wh,
            record.amount_micro,
            *signed[1:],
        ),
    )


def closed_until(connection: sqlite3.Connection, party: str, counterparty: str) -> int:
    """The slot before which a counterparty has closed its accounts with a party; 0 where it has closed none."""
    query = "SELECT coalesce(max(until), 0) FROM closing_records WHERE party = ? AND counterparty = ?"
    found: int = connection.execute(query, (party, counterparty)).fetchone()[0]
    return found
