"""What a party's chain says of what was deleted, so that what is left of it cannot be edited unseen.

Each sum that is carried forward, and each closing with readings of households that were forgotten, is committed to by
an entry of its own; the row has that entry's number and the salt, the chain the commitment alone. A row that changes
has no number until it is committed to anew. After them comes an entry that says how many rows of the chain are without
their entries by now, and which sums hold: so nobody brings back an older sum, takes one out, or deletes other entries.
"""

from __future__ import annotations

import json
import secrets
import sqlite3
from collections.abc import Iterable, Sequence
from typing import Any

from wattmesh_agents.store.chain import commit
from wattmesh_common.chain import SALT_BYTES, commitment

_SUMS = (
    "SELECT counterparty, kind, until, entries, received_wh, given_wh, amount_micro FROM carried "
    "WHERE party = ? AND number IS NULL ORDER BY counterparty, kind"
)
_CLOSINGS = (
    "SELECT slot, sharing_key, seed, price_micro, tariff_micro, feed_in_micro, local_fee_micro, forgotten "
    "FROM closings WHERE party = ? AND forgotten > 0 AND number IS NULL ORDER BY slot"
)
_PUT_SUM = "UPDATE carried SET number = ?, salt = ? WHERE party = ? AND counterparty = ? AND kind = ?"
_PUT_CLOSING = "UPDATE closings SET number = ?, salt = ? WHERE party = ? AND slot = ?"
_WITHOUT_ENTRY = "SELECT count(*) FROM chain WHERE party = ? AND commitment IS NOT NULL"


def seal(connection: sqlite3.Connection, party: str, unlinked: int) -> bool:
    """Have a party's chain say what has changed by a deletion, within the caller's transaction; whether it has grown.

    `unlinked` rows of the chain have lost their entries in it. A ledger without an account has no chain.
    """
    account = connection.execute("SELECT account FROM accounts WHERE party = ?", (party,)).fetchone()
    sums = connection.execute(_SUMS, (party,)).fetchall()
    closings = connection.execute(_CLOSINGS, (party,)).fetchall()
    if account is None or not (unlinked or sums or closings):
        return False
    former = connection.execute("SELECT without_entry FROM deletions WHERE party = ?", (party,)).fetchone()
    if former is None:
        [without_entry] = connection.execute(_WITHOUT_ENTRY, (party,)).fetchone()
    else:
        without_entry = former[0] + unlinked
    _commit(connection, _PUT_SUM, (party, account[0]), "carried", sums, key=2)
    _commit(connection, _PUT_CLOSING, (party, account[0]), "forgotten", closings, key=1)
    without_entry += len(sums) + len(closings) + 1
    holding = [
        number
        for (number,) in connection.execute("SELECT number FROM carried WHERE party = ? ORDER BY number", (party,))
    ]
    salt = secrets.token_bytes(SALT_BYTES)
    number = commit(connection, party, account[0], [commitment(("deletions", without_entry, *holding), salt)])
    row = (party, number, salt, without_entry, json.dumps(holding, separators=(",", ":")))
    connection.execute("INSERT OR REPLACE INTO deletions VALUES (?, ?, ?, ?, ?)", row)
    return True


def seal_all(connection: sqlite3.Connection) -> None:
    """Have the chains of all that have accounts say what was deleted before, within the caller's transaction."""
    for (party,) in connection.execute("SELECT party FROM accounts").fetchall():
        [unlinked] = connection.execute(_WITHOUT_ENTRY, (party,)).fetchone()
        seal(connection, party, unlinked)


def _commit(
    connection: sqlite3.Connection,
    put: str,
    ledger: tuple[str, str],
    kind: str,
    rows: Iterable[Sequence[Any]],
    *,
    key: int,
) -> None:
    """Commit to rows, and note in each the number and the salt; its first `key` values name it. `ledger` is the party
    and its account.
    """
    salted = [(row, secrets.token_bytes(SALT_BYTES)) for row in rows]
    last = commit(connection, *ledger, (commitment((kind, *row), salt) for row, salt in salted))
    numbered = enumerate(salted, last - len(salted) + 1)
    connection.executemany(put, [(number, salt, ledger[0], *row[:key]) for number, (row, salt) in numbered])
