"""The hash chain over the ledger of each party, in the order of booking, and checkpoints; see `wattmesh_common.chain`.

A row of the chain names its entry and has the salt. Where an entry is deleted, its row keeps `commitment` in place of
both; so has a row from the start that commits to what is left of deleted ones, see `deletions`.
"""

from __future__ import annotations

import secrets
import sqlite3
from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Sequence
from typing import Any, NamedTuple

from wattmesh_common.chain import SALT_BYTES, Checkpoint, commitment, first_head, next_head
from wattmesh_common.forget import FORGOTTEN
from wattmesh_market.trade.ledger import LedgerEntry

_ADD = "INSERT INTO chain VALUES (?, ?, ?, ?, ?, ?, ?, NULL, ?)"
_COMMIT = "INSERT INTO chain VALUES (?, ?, NULL, NULL, NULL, NULL, NULL, ?, ?)"
_CHAINED = (
    "SELECT party, number, salt, kind, slot, counterparty, reference, energy_wh, amount_micro FROM chain JOIN ledger "
    "USING (party, kind, slot, counterparty, reference) WHERE "
)
_UNLINK = (
    "UPDATE chain SET kind = NULL, slot = NULL, counterparty = NULL, reference = NULL, salt = NULL, commitment = ? "
    "WHERE party = ? AND number = ?"
)
_LAST = "SELECT number, head FROM chain WHERE party = ? ORDER BY number DESC LIMIT 1"
_LEDGER = (
    "SELECT kind, slot, counterparty, reference, energy_wh, amount_micro FROM ledger WHERE party = ? "
    "ORDER BY slot, kind, counterparty, reference"
)


class Head(NamedTuple):
    """Where a chain ends: the number of its last entry (0: none), and the hash there.

    `partners` are those with whom something was booked since the last checkpoint, which was `until` (0: there is none).
    """

    number: int
    hash: bytes
    partners: frozenset[str] = frozenset()
    until: int = 0


class SignedCheckpoint(NamedTuple):
    """A checkpoint as it was given: the body's text, the `Authorization` header, and the public key (base64)."""

    checkpoint: Checkpoint
    body: str
    signature: str
    public_key: str


class Due(NamedTuple):
    """A checkpoint that its party has still to give somebody."""

    party: str
    until: int
    recipient: str


class Chains:
    """The chains of the parties that have accounts. Their heads are in memory, too."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._db = connection
        self._heads: dict[str, Head] = {}

    def load(self, party: str, account: str) -> None:
        """Go on with the chain of a party's ledger."""
        head = _last(self._db, party, account)
        signed = self._db.execute(
            "SELECT record FROM checkpoints WHERE party = ? AND signer = party ORDER BY until DESC LIMIT 1", (party,)
        ).fetchone()
        number, until = 0, 0
        if signed is not None:
            last = Checkpoint.model_validate_json(signed[0])
            number, until = last.number, last.until
        partners = self._db.execute(
            "SELECT DISTINCT counterparty FROM chain WHERE party = ? AND number > ? AND counterparty <> ?",
            (party, number, FORGOTTEN),
        )
        self._heads[party] = head._replace(partners=frozenset(name for (name,) in partners), until=until)

    def head(self, party: str) -> Head | None:
        """Where a party's chain ends; None when it has no account yet."""
        return self._heads.get(party)

    def write(self, party: str, entries: Sequence[LedgerEntry]) -> Head | None:
        """Add entries that are booked in the same transaction; the head that is to be known once it is committed.

        None when there is nothing to add, or no account yet: what is booked before there is one is chained with it.
        """
        head = self._heads.get(party)
        if not entries or head is None:
            return None
        rows, head = _links(party, entries, head)
        self._db.executemany(_ADD, rows)
        return head._replace(partners=head.partners.union(entry.counterparty for entry in entries))

    def know(self, party: str, head: Head) -> None:
        """This is the head from now on."""
        self._heads[party] = head


def chain_ledger(connection: sqlite3.Connection, party: str, account: str) -> None:
    """Chain what a ledger holds before its chain is begun, within the caller's transaction."""
    rows, _ = _links(party, connection.execute(_LEDGER, (party,)), Head(0, first_head(party, account)))
    connection.executemany(_ADD, rows)


def append(connection: sqlite3.Connection, party: str, entries: Sequence[Sequence[Any]]) -> None:
    """Add entries (kind, slot, counterparty, reference, energy, money) that are booked anew, within the caller's
    transaction; a ledger without an account has no chain.
    """
    account = connection.execute("SELECT account FROM accounts WHERE party = ?", (party,)).fetchone()
    if account is not None:
        rows, _ = _links(party, entries, _last(connection, party, account[0]))
        connection.executemany(_ADD, rows)


def commit(connection: sqlite3.Connection, party: str, account: str, committed: Iterable[bytes]) -> int:
    """Add commitments to what stands elsewhere, within the caller's transaction; the number of the last entry."""
    head = _last(connection, party, account)
    rows = []
    for one in committed:
        head = Head(head.number + 1, next_head(head.hash, one))
        rows.append((party, head.number, one, head.hash))
    connection.executemany(_COMMIT, rows)
    return head.number


def unlink(connection: sqlite3.Connection, where: str, values: Collection[object]) -> Counter[str]:
    """Leave of entries that are about to be deleted, `where` in SQL, only their hashes, within the caller's
    transaction; how many of each party's.
    """
    rows = connection.execute(_CHAINED + where, tuple(values)).fetchall()
    connection.executemany(_UNLINK, [(commitment(row[3:], row[2]), row[0], row[1]) for row in rows])
    return Counter(row[0] for row in rows)


def _last(connection: sqlite3.Connection, party: str, account: str) -> Head:
    row = connection.execute(_LAST, (party,)).fetchone()
    return Head(0, first_head(party, account)) if row is None else Head(*row)


def chain_all(connection: sqlite3.Connection) -> None:
    """Chain the ledgers of all that have accounts, within the caller's transaction."""
    for party, account in connection.execute("SELECT party, account FROM accounts").fetchall():
        chain_ledger(connection, party, account)


def keep_checkpoint(connection: sqlite3.Connection, party: str, signed: SignedCheckpoint) -> None:
    """Keep a checkpoint that a party was given, or has made, within the caller's transaction."""
    checkpoint = signed.checkpoint
    row = (party, checkpoint.party, checkpoint.until, *signed[1:])
    connection.execute("INSERT INTO checkpoints VALUES (?, ?, ?, ?, ?, ?)", row)


def kept_checkpoint(connection: sqlite3.Connection, party: str, signer: str, until: int) -> Checkpoint | None:
    """What a party keeps of a signer for a day."""
    row = connection.execute(
        "SELECT record FROM checkpoints WHERE party = ? AND signer = ? AND until = ?", (party, signer, until)
    ).fetchone()
    return None if row is None else Checkpoint.model_validate_json(row[0])


def due_checkpoints(connection: sqlite3.Connection) -> dict[Due, bytes]:
    """What is still to be given, with the body."""
    rows = connection.execute(
        "SELECT due.party, due.until, due.recipient, record FROM checkpoints_due AS due JOIN checkpoints AS own "
        "ON own.party = due.party AND own.signer = due.party AND own.until = due.until"
    )
    return {Due(*row[:3]): row[3].encode() for row in rows}


def make_due(connection: sqlite3.Connection, due: Iterable[Due]) -> None:
    """A party's own checkpoint is to be given, within the caller's transaction."""
    connection.executemany("INSERT INTO checkpoints_due VALUES (?, ?, ?)", list(due))


def not_due(connection: sqlite3.Connection, due: Collection[Due]) -> None:
    """It was given, or is not wanted, within the caller's transaction."""
    connection.executemany("DELETE FROM checkpoints_due WHERE party = ? AND until = ? AND recipient = ?", list(due))


def committed(connection: sqlite3.Connection, party: str, number: int, last: int) -> tuple[bytes, list[bytes]]:
    """The head before entry `number` of a party's chain, and the commitments of those after it, up to `last`."""
    if number > 1:
        [(former,)] = connection.execute("SELECT head FROM chain WHERE party = ? AND number = ?", (party, number - 1))
    else:
        [(account,)] = connection.execute("SELECT account FROM accounts WHERE party = ?", (party,))
        former = first_head(party, account)
    rows = connection.execute(
        "SELECT commitment, salt, kind, slot, counterparty, reference, energy_wh, amount_micro FROM chain LEFT JOIN "
        "ledger USING (party, kind, slot, counterparty, reference) "
        "WHERE party = ? AND number > ? AND number <= ? ORDER BY number",
        (party, number, last),
    )
    return former, [row[0] or commitment(row[2:], row[1]) for row in rows]


def _links(party: str, entries: Iterable[Sequence[Any]], head: Head) -> tuple[list[tuple[Any, ...]], Head]:
    """The rows of entries that follow a head, and the head after them."""

    def follow() -> Iterator[tuple[Any, ...]]:
        nonlocal head
        for entry in entries:
            salt = secrets.token_bytes(SALT_BYTES)
            head = head._replace(number=head.number + 1, hash=next_head(head.hash, commitment(entry, salt)))
            yield party, head.number, *entry[:4], salt, head.hash

    return [*follow()], head
