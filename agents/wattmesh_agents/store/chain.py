"""The hash chain over the ledger of each party, in the order of booking; see `wattmesh_common.chain`.

A row of it names its entry and has the salt. Where an entry is deleted, its row keeps `commitment` in place of both.
"""

from __future__ import annotations

import secrets
import sqlite3
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, NamedTuple

from wattmesh_common.chain import SALT_BYTES, commitment, first_head, next_head
from wattmesh_market.trade.ledger import LedgerEntry

_ADD = "INSERT INTO chain VALUES (?, ?, ?, ?, ?, ?, ?, NULL, ?)"
_LEDGER = (
    "SELECT kind, slot, counterparty, reference, energy_wh, amount_micro FROM ledger WHERE party = ? "
    "ORDER BY slot, kind, counterparty, reference"
)


class Head(NamedTuple):
    """Where a chain ends: the number of its last entry (0: none), and the hash there."""

    number: int
    hash: bytes


class Chains:
    """The chains of the parties that have accounts. Their heads are in memory, too."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._db = connection
        self._heads: dict[str, Head] = {}

    def load(self, party: str, account: str) -> None:
        """Go on with the chain of a party's ledger."""
        row = self._db.execute(
            "SELECT number, head FROM chain WHERE party = ? ORDER BY number DESC LIMIT 1", (party,)
        ).fetchone()
        self._heads[party] = Head(0, first_head(party, account)) if row is None else Head(*row)

    def write(self, party: str, entries: Sequence[LedgerEntry]) -> Head | None:
        """Add entries that are booked in the same transaction; the head that is to be known once it is committed.

        None when there is nothing to add, or no account yet: what is booked before there is one is chained with it.
        """
        head = self._heads.get(party)
        if not entries or head is None:
            return None
        rows, head = _links(party, entries, head)
        self._db.executemany(_ADD, rows)
        return head

    def know(self, party: str, head: Head) -> None:
        """This is the head from now on."""
        self._heads[party] = head


def chain_ledger(connection: sqlite3.Connection, party: str, account: str) -> None:
    """Chain what a ledger holds before its chain is begun, within the caller's transaction."""
    rows, _ = _links(party, connection.execute(_LEDGER, (party,)), Head(0, first_head(party, account)))
    connection.executemany(_ADD, rows)


def chain_all(connection: sqlite3.Connection) -> None:
    """Chain the ledgers of all that have accounts, within the caller's transaction."""
    for party, account in connection.execute("SELECT party, account FROM accounts").fetchall():
        chain_ledger(connection, party, account)


def _links(party: str, entries: Iterable[Sequence[Any]], head: Head) -> tuple[list[tuple[Any, ...]], Head]:
    """The rows of entries that follow a head, and the head after them."""

    def follow() -> Iterator[tuple[Any, ...]]:
        nonlocal head
        for entry in entries:
            salt = secrets.token_bytes(SALT_BYTES)
            head = Head(head.number + 1, next_head(head.hash, commitment(entry, salt)))
            yield party, head.number, *entry[:4], salt, head.hash

    return [*follow()], head
