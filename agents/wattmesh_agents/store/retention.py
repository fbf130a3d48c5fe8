"""What is forgotten, and when. The books stay: parties, readings, ledger, contracts that hold.

Grid time may run much faster than wall time, and messages live in wall time. So what belongs to a slot goes when the
slot ended a day of grid time ago and no message about it can be under way any more (wall time); what the other side of
a contract may still ask for goes when both clocks say so.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Collection
from dataclasses import dataclass

from wattmesh_agents.store import evidence

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
