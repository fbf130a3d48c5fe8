"""What is forgotten, and when. A party's books (readings, ledger, contracts that hold) stay for as long as it is told.

Grid time may run much faster than wall time, and messages live in wall time. So what belongs to a slot goes when the
slot ended a day of grid time ago and no message about it can be under way any more (wall time); what the other side of
a contract may still ask for goes when both clocks say so.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Collection, Mapping
from dataclasses import dataclass

from wattmesh_agents.store import evidence
from wattmesh_agents.store.chain import unlink
from wattmesh_agents.store.deletions import seal
from wattmesh_market.energy.slots import SLOT_S
from wattmesh_market.trade.contracts import OPEN
from wattmesh_market.trade.ledger import EntryKind

DAY_S = 86_400
"""How long roles and quotes that came to nothing stay after their slot (grid time)."""
MESSAGES_S = 600
"""… and at least so long in wall time: many times a message's life. Mail of parties that left, too."""
AGREED_DAYS = 30
"""How long a seller can tell what became of an order that ended undelivered, by either clock; how long what was signed
of readings stays (wall time)."""
HEARD_DAYS = 30
"""How long the address of a subscriber stays that is not heard any more (wall time)."""
MOST_AT_ONCE = 1_000
"""Rows of each kind, and so many more for each party; the rest goes the next time."""
MOST_OF_ONE_PARTY = 1_000
RETIRED_AT_ONCE = 10_000
"""Ledger entries that the parties of a pod let go of in one transaction, about: it holds up all that the pod does. Each
time, each sum that is carried forward is an entry of the chain, so smaller ones would make chains long."""

_OPEN = ", ".join(f"'{state}'" for state in OPEN)
_DEAD = "state IN ('EXPIRED', 'CANCELLED')"
_KEYS = "party, transaction_id, counterparty, slot"
STATEMENTS = (
    "DELETE FROM inbox WHERE (party, sender, message_id, action) IN "
    "(SELECT party, sender, message_id, action FROM inbox WHERE keep_until_ms < :now_ms LIMIT :most)",
    f"DELETE FROM contracts WHERE ({_KEYS}) IN "
    f"(SELECT {_KEYS} FROM contracts WHERE order_id IS NULL AND {_DEAD} AND slot < :slot LIMIT :most)",
    f"DELETE FROM contracts WHERE ({_KEYS}) IN (SELECT {_KEYS} FROM contracts "
    f"WHERE order_id IS NOT NULL AND {_DEAD} AND updated_ms < :agreed_ms AND slot < :agreed_slot LIMIT :most)",
    "DELETE FROM roles WHERE (party, slot) IN "
    "(SELECT party, slot FROM roles WHERE party IN (SELECT party FROM parties) AND slot < :slot LIMIT :most)",
    "DELETE FROM peers WHERE subscriber_id IN (SELECT subscriber_id FROM peers WHERE heard_ms < :heard_ms LIMIT :most) "
    "AND subscriber_id NOT IN (SELECT value FROM json_each(:needed))",
    # What is still under way for a party that does not live here any more.
    "DELETE FROM outbox WHERE expires_ms < :left_ms AND party NOT IN (SELECT value FROM json_each(:here))",
)
"""What is run for a Horizon, in this order."""


@dataclass(frozen=True)
class Horizon:
    """Where now is: wall time in milliseconds, grid time in unix seconds, and grid seconds per wall second."""

    now_ms: int
    grid_s: float
    speed: float

    @property
    def slot(self) -> int:
        """What belongs to slots before this one passes."""
        return int(self.grid_s - max(DAY_S, MESSAGES_S * self.speed))

    @property
    def agreed_ms(self) -> int:
        """The same by wall time."""
        return self.now_ms - AGREED_DAYS * DAY_S * 1000

    @property
    def agreed_slot(self) -> int:
        """Orders of slots before this one are not asked for any more."""
        return int(self.grid_s - AGREED_DAYS * DAY_S)

    def kept_from(self, days: int, utc_offset_s: int) -> int:
        """The local midnight from which on the books are kept that so many days are kept."""
        now = int(self.grid_s)
        return now - (now + utc_offset_s) % DAY_S - days * DAY_S


def forget(connection: sqlite3.Connection, horizon: Horizon, here: Collection[str], needed: Collection[str]) -> None:
    """Delete what has passed, a bounded number of rows, within the caller's transaction.

    `here` are the parties that live in this pod, `needed` the subscribers whose addresses must stay: of who supplies
    them, and of who has open contracts with them.
    """
    values = {
        "now_ms": horizon.now_ms,
        "slot": horizon.slot,
        "agreed_slot": horizon.agreed_slot,
        "agreed_ms": horizon.agreed_ms,
        "heard_ms": horizon.now_ms - HEARD_DAYS * DAY_S * 1000,
        "left_ms": horizon.now_ms - MESSAGES_S * 1000,
        "here": json.dumps(sorted(here)),
        "needed": json.dumps(sorted(needed)),
        "most": MOST_AT_ONCE + MOST_OF_ONE_PARTY * len(here),
    }
    for statement in STATEMENTS:
        connection.execute(statement, values)
    evidence.forget_readings(connection, horizon.agreed_ms)


_FIRST_SLOT = "SELECT first_slot FROM parties WHERE party = ?"
_AFTER_THE_FIRST = (  # by the index of the chain's slots
    "SELECT slot FROM chain WHERE party = :party AND slot IS NOT NULL AND slot < :until ORDER BY slot "
    "LIMIT 1 OFFSET :most"
)
_FIRST_UNFINISHED = (
    "SELECT min(slot) FROM ("
    "SELECT slot FROM contracts WHERE +party = :party AND slot < :until "
    f"AND (in_doubt OR state IN ({_OPEN})) "
    "UNION ALL SELECT slot FROM readings WHERE party = :party AND slot < :until AND state <> 'booked' "
    "UNION ALL SELECT slot FROM reported WHERE party = :party AND slot < :until AND (state = 'waiting' OR provisional) "
    "UNION ALL SELECT slot FROM held WHERE party = :party AND slot < :until AND state = 'held' "
    # The last reading says what is stored.
    f"UNION ALL SELECT next_slot - {SLOT_S} FROM parties WHERE party = :party AND next_slot - {SLOT_S} < :until)"
)
_WITHIN_A_CONTRACT = (  # by the index of slots, not through all contracts of a party
    "SELECT min(slot) FROM contracts WHERE +party = :party AND slot >= :until - 86400 AND slot < :until "
    "AND (transaction_id, counterparty) IN (SELECT transaction_id, counterparty FROM contracts "
    "WHERE +party = :party AND slot BETWEEN :until AND :until + 86400)"
)
SUMS = "count(*), sum(max(energy_wh, 0)), sum(max(-energy_wh, 0)), sum(amount_micro), NULL, NULL"
"""What is carried forward of ledger entries; the chain does not say it yet."""
ADD = (
    " ON CONFLICT DO UPDATE SET until = max(until, excluded.until), entries = entries + excluded.entries, "
    "received_wh = received_wh + excluded.received_wh, given_wh = given_wh + excluded.given_wh, "
    "amount_micro = amount_micro + excluded.amount_micro, number = NULL, salt = NULL"
)
"""To what was carried forward before."""
_PASSED = "party = :party AND slot < :until"
_KINDS = ", ".join(f"'{kind}'" for kind in EntryKind)
_RETIRED = {
    "ledger": f"kind IN ({_KINDS}) AND {_PASSED}",  # which is how its key begins
    "contracts": f"+{_PASSED}",  # by the index of slots, not through all contracts of a party
    **dict.fromkeys(("readings", "reported", "held", "closings"), _PASSED),
}
"""What goes, by table: found without a look at what stays."""
_CARRY = (
    f"INSERT INTO carried SELECT party, counterparty, kind, :until, {SUMS} FROM ledger "
    f"WHERE {_RETIRED['ledger']} GROUP BY counterparty, kind{ADD}"
)
_BEGIN_WITH = (
    "UPDATE parties SET first_slot = :until, initial_level_wh = coalesce("
    "(SELECT level_before_wh FROM readings WHERE party = :party AND slot = :until), level_wh) WHERE party = :party"
)
_DELETE = [f"DELETE FROM {table} WHERE {passed}" for table, passed in _RETIRED.items()]


def begins(connection: sqlite3.Connection, party: str) -> int | None:
    """The first slot that a party's books have; None when there are none yet."""
    row = connection.execute(_FIRST_SLOT, (party,)).fetchone()
    return None if row is None else int(row[0])


def begun_before(connection: sqlite3.Connection, slots: Mapping[str, int]) -> list[str]:
    """Those of the parties in `slots` whose books begin before their slot."""
    rows = connection.execute("SELECT party, first_slot FROM parties")
    return [party for party, first in rows if first < slots.get(party, first)]


def retire(connection: sqlite3.Connection, party: str, before: int, most: int = RETIRED_AT_ONCE) -> bool:
    """Delete what a party's books have of their first slots, within the caller's transaction; whether its chain has
    grown by that.

    As many slots go as have `most` ledger entries together, but at least one, and none from `before` on or a day after
    the first. Of entries, their sums are carried forward and the chain keeps their hashes. It goes no further than to
    the first slot in which something is unfinished, nor into the middle of a contract: twice as many entries go where
    nothing could go otherwise.
    """
    first = begins(connection, party)
    if first is None or before <= first:
        return False
    latest = min(before, first + DAY_S)
    while True:
        end = _end(connection, party, first, latest, most)
        until = _can_go(connection, party, end)
        if until > first:
            break
        if end == latest:
            return False
        most *= 2
    values = {"party": party, "until": until}
    unlinked = unlink(connection, "party = ? AND slot < ?", (party, until))
    connection.execute(_CARRY, values)
    connection.execute(_BEGIN_WITH, values)
    for statement in _DELETE:
        connection.execute(statement, values)
    return seal(connection, party, unlinked[party])


def _end(connection: sqlite3.Connection, party: str, first: int, latest: int, most: int) -> int:
    """The slot before which a party has `most` ledger entries at most, or one slot; at most `latest`."""
    values = {"party": party, "until": latest, "most": most}
    row = connection.execute(_AFTER_THE_FIRST, values).fetchone()
    return latest if row is None else min(latest, max(int(row[0]), first + SLOT_S))


def _can_go(connection: sqlite3.Connection, party: str, until: int) -> int:
    """The slot up to which a party's books can go, at most to `until`."""

    def first(query: str) -> int | None:
        (slot,) = connection.execute(query, {"party": party, "until": until}).fetchone()
        return None if slot is None else int(slot)

    if (unfinished := first(_FIRST_UNFINISHED)) is not None:
        until = unfinished
    while (begun := first(_WITHIN_A_CONTRACT)) is not None:
        until = begun
    return until
