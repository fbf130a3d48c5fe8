"""Forgetting a household that has left: nothing in a journal names it any more or tells what it used.

A neighbour's contracts and entries with it are the neighbour's own data, which its readings count: they stay, with
`FORGOTTEN` for a name and new ids. A utility's rows tell the household's load curve: they go, and their sums are
carried forward, as with what is deleted for its age. The chain keeps the hashes of what went, and is told what is left.
"""

from __future__ import annotations

import sqlite3
import uuid
from collections import Counter
from collections.abc import Collection, Sequence
from typing import Any

from wattmesh_agents.store.accounts import closed_until
from wattmesh_agents.store.chain import append, unlink
from wattmesh_agents.store.deletions import seal
from wattmesh_agents.store.retention import ADD, SUMS
from wattmesh_common.forget import FORGOTTEN, ForgottenRows, id_digest
from wattmesh_market.energy.slots import SLOT_S
from wattmesh_market.trade.contracts import OPEN

_NAMED = {
    "contracts": ("contracts", "counterparty"),
    "ledger entries": ("ledger", "counterparty"),
    "sums of deleted entries": ("carried", "counterparty"),
    "readings": ("reported", "household"),
    "held readings": ("held", "household"),
    "signed messages": ("evidence", "counterparty"),
    "closing records": ("closing_records", "counterparty"),
    "checkpoints": ("checkpoints", "signer"),
    "checkpoints to give": ("checkpoints_due", "recipient"),
    "answers": ("inbox", "sender"),
    "messages to send": ("outbox", "recipient"),
}
"""Where others' books name a household: table and column, by what people call the rows."""
_OWN = {
    "contracts": "contracts",
    "ledger entries": "ledger",
    "sums of deleted entries": "carried",
    "readings": "readings",
    "signed messages": "evidence",
    "closing records": "closing_records",
    "checkpoints": "checkpoints",
    "checkpoints to give": "checkpoints_due",
    "answers": "inbox",
    "messages to send": "outbox",
    "requests": "requests",
    "message counts": "messages",
    "roles": "roles",
    "entries of the chain": "chain",
    "account of what was deleted": "deletions",
    "account": "accounts",
    "standing": "parties",
    "others' readings": "reported",
    "others' held readings": "held",
    "closings": "closings",
}
"""What is a party's own, likewise."""

_OPEN = ", ".join(f"'{state}'" for state in OPEN)
_UNSETTLED = {
    "contracts with it that are not over": (
        "SELECT party, count(*) FROM contracts WHERE counterparty = :household AND party <> :household "  # noqa: S608 - words of ours
        f"AND (in_doubt OR state IN ({_OPEN})) "
        # Who is lost answers nothing of a slot that is over, and pays nothing.
        "AND (NOT :lost OR slot >= (SELECT next_slot FROM parties WHERE parties.party = contracts.party)) "
        "GROUP BY party"
    ),
    "readings of it to price": (
        "SELECT party, count(*) FROM reported WHERE household = :household AND party <> :household "
        "AND state = 'waiting' GROUP BY party"
    ),
    "readings of it held for a person": (
        "SELECT party, count(*) FROM held WHERE household = :household AND party <> :household "
        "AND state = 'held' GROUP BY party"
    ),
    "contracts of its own that are not over": (
        "SELECT party, count(*) FROM contracts WHERE party = :household "  # noqa: S608 - words of ours
        f"AND (in_doubt OR state IN ({_OPEN})) GROUP BY party"
    ),
    "readings of its own that are not booked": (
        "SELECT party, count(*) FROM readings WHERE party = :household AND state <> 'booked' GROUP BY party"
    ),
}
_PROVISIONAL = "SELECT party FROM reported WHERE household = ? AND party <> household AND provisional LIMIT 1"
_BOOKED = (
    "SELECT party, max(slot) FROM (SELECT party, slot FROM ledger WHERE counterparty = :household "
    # Of what was deleted it is not known when it was: any record tells of it.
    "UNION ALL SELECT party, 0 FROM carried WHERE counterparty = :household) WHERE party <> :household GROUP BY party"
)
_IS_UTILITY = (
    "SELECT EXISTS (SELECT 1 FROM parties WHERE party = :household AND kind = 'utility') OR EXISTS ("
    "SELECT 1 FROM ledger JOIN parties USING (party) "
    "WHERE counterparty = :household AND parties.kind = 'household' AND ledger.kind <> 'trade')"
)

_TELLING = "party IN (SELECT party FROM parties WHERE kind = 'utility')"
"""Whose books tell what their counterparties used, and not only what they had with them."""
_CARRY = (
    f"INSERT INTO carried SELECT party, :name, kind, max(slot) + {SLOT_S}, {SUMS} FROM ledger "  # noqa: S608
    f"WHERE counterparty = :household AND {_TELLING} GROUP BY party, kind{ADD}"
)
_CARRY_ON = (
    "INSERT INTO carried SELECT party, :name, kind, until, entries, received_wh, given_wh, amount_micro, "  # noqa: S608
    f"NULL, NULL FROM carried WHERE counterparty = :household{ADD}"
)
_ENTRIES = (
    f"SELECT party, kind, slot, reference, energy_wh, amount_micro, {_TELLING} FROM ledger "  # noqa: S608
    "WHERE counterparty = ? ORDER BY party, slot, kind, reference"
)
_CLOSED = (
    "UPDATE closings SET forgotten = forgotten + 1, number = NULL, salt = NULL WHERE (party, slot) IN "
    "(SELECT party, slot FROM reported WHERE household = ? AND state = 'closed')"
)
_CLOSED_FOR_NOBODY = (
    "DELETE FROM closings WHERE forgotten AND NOT EXISTS (SELECT 1 FROM reported WHERE reported.party = closings.party "
    "AND reported.slot = closings.slot AND reported.state = 'closed')"
)
_NOBODY_PAYS = (
    "UPDATE contracts SET state = 'SETTLED', in_doubt = 0 "  # noqa: S608 - words of ours
    f"WHERE counterparty = ? AND state = 'DELIVERED' AND NOT {_TELLING}"
)
_RENAME = (
    "UPDATE contracts SET counterparty = ?, transaction_id = ?, order_id = NULL, reason = NULL, provider = NULL "
    "WHERE counterparty = ? AND transaction_id = ?"
)


def obstacles(
    connection: sqlite3.Connection, household: str, utilities: Collection[str] = (), *, lost: bool
) -> list[str]:
    """Why a household cannot be forgotten yet, a text for each reason. `lost`: it could not close its account.

    `utilities` are those that the households here deal with now, for who has booked nothing with them yet; a utility's
    own database tells what it is.
    """
    if household == FORGOTTEN:
        return ["that is the name of those who were"]
    if household in utilities or connection.execute(_IS_UTILITY, {"household": household}).fetchone()[0]:
        return ["it is a utility, which is no household"]
    found = [
        f"{party} has {what}: {number}"
        for what, query in _UNSETTLED.items()
        for party, number in connection.execute(query, {"household": household, "lost": lost})
    ]
    if not lost:
        provisional = connection.execute(_PROVISIONAL, (household,)).fetchone()
        if provisional is not None:
            found.append(f"{provisional[0]} waits for its last word on a reading")
        for party, slot in connection.execute(_BOOKED, {"household": household}).fetchall():
            if slot >= closed_until(connection, party, household):
                found.append(f"{party} has no closing record of all that is booked with it")
    return found


def count(connection: sqlite3.Connection, household: str) -> list[ForgottenRows]:
    """What goes, or gets another name, by party and kind."""
    found = Counter[tuple[str, str]]()
    for what, (table, column) in _NAMED.items():
        query = f"SELECT party, count(*) FROM {table} WHERE {column} = ? GROUP BY party"  # noqa: S608 - names of ours
        for party, number in connection.execute(query, (household,)):
            found[party, what] += number
    for what, table in _OWN.items():
        query = f"SELECT count(*) FROM {table} WHERE party = ?"  # noqa: S608 - names of ours
        found[household, what] += connection.execute(query, (household,)).fetchone()[0]
    query = "SELECT count(*) FROM peers WHERE subscriber_id = ?"
    found["", "addresses"] = connection.execute(query, (household,)).fetchone()[0]
    return [ForgottenRows(party=party, kind=kind, rows=rows) for (party, kind), rows in sorted(found.items()) if rows]


def forget(connection: sqlite3.Connection, household: str, salt: bytes) -> None:
    """Let go of a household, within the caller's transaction. What is kept of its id is hashed with `salt`."""
    before = connection.total_changes
    for table in _OWN.values():
        connection.execute(f"DELETE FROM {table} WHERE party = ?", (household,))  # noqa: S608 - names of ours
    ids = _rename_contracts(connection, household)
    unlinked = _rebook(connection, household, ids)
    connection.execute(_CARRY_ON, {"household": household, "name": FORGOTTEN})
    connection.execute(_CLOSED, (household,))
    for table, column in _NAMED.values():
        connection.execute(f"DELETE FROM {table} WHERE {column} = ?", (household,))  # noqa: S608 - names of ours
    connection.execute(_CLOSED_FOR_NOBODY)
    connection.execute("DELETE FROM peers WHERE subscriber_id = ?", (household,))
    for (party,) in connection.execute("SELECT party FROM accounts").fetchall():
        seal(connection, party, unlinked[party])
    _note(connection, household, salt, something_went=connection.total_changes > before)


def _note(connection: sqlite3.Connection, household: str, salt: bytes, *, something_went: bool) -> None:
    """Note that a household was forgotten: once, and anew when it had come again under its name."""
    [until] = connection.execute("SELECT coalesce(max(next_slot), 0) FROM parties").fetchone()
    for digest, former in connection.execute("SELECT digest, salt FROM forgettings").fetchall():
        if digest == id_digest(household, former):
            if something_went:
                connection.execute("UPDATE forgettings SET before = ? WHERE digest = ?", (until, digest))
            return
    connection.execute("INSERT INTO forgettings VALUES (?, ?, ?)", (id_digest(household, salt), salt, until))


def _rename_contracts(connection: sqlite3.Connection, household: str) -> dict[str, str]:
    """Give neighbours' contracts that hold other ids and no name, and delete the others; the new ids.

    What is booked of one that was never paid stays booked; its household is not there to pay.
    """
    connection.execute(_NOBODY_PAYS, (household,))
    connection.execute(
        f"DELETE FROM contracts WHERE counterparty = ? AND (state <> 'SETTLED' OR {_TELLING})",  # noqa: S608
        (household,),
    )
    rows = connection.execute("SELECT DISTINCT transaction_id FROM contracts WHERE counterparty = ?", (household,))
    ids = {transaction_id: str(uuid.uuid4()) for (transaction_id,) in rows.fetchall()}
    renamed = [(FORGOTTEN, new, household, old) for old, new in ids.items()]
    connection.executemany(_RENAME, renamed)
    return ids


def _rebook(connection: sqlite3.Connection, household: str, ids: dict[str, str]) -> Counter[str]:
    """Have entries stand in neighbours' ledgers without a name, booked anew, and in utilities' sums; how many went from
    each party's chain.
    """
    connection.execute(_CARRY, {"household": household, "name": FORGOTTEN})
    rows = connection.execute(_ENTRIES, (household,)).fetchall()
    unlinked = unlink(connection, "counterparty = ?", (household,))
    connection.execute("DELETE FROM ledger WHERE counterparty = ?", (household,))
    anew: dict[str, list[Sequence[Any]]] = {}
    for party, kind, slot, reference, energy_wh, amount_micro, telling in rows:
        if not telling:
            entry = (kind, slot, FORGOTTEN, ids.get(reference, reference), energy_wh, amount_micro)
            anew.setdefault(party, []).append(entry)
    for party, entries in anew.items():
        connection.executemany("INSERT INTO ledger VALUES (?, ?, ?, ?, ?, ?, ?)", [(party, *one) for one in entries])
        append(connection, party, entries)
    return unlinked
