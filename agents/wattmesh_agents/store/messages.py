"""Messages and alarms that outlive a crash: inbox, outbox, timers; and how many messages were sent."""

from __future__ import annotations

import sqlite3
from collections import Counter, defaultdict
from dataclasses import dataclass

from wattmesh_agents.store.database import Database
from wattmesh_beckn.transport import Reply

_JSON = {"content-type": "application/json"}


@dataclass(frozen=True)
class Outgoing:
    """A message to send until acknowledged or `expires_ms` (wall time). `recipient` is a subscriber id."""

    party: str
    message_id: str
    action: str
    recipient: str
    transaction_id: str
    body: bytes
    expires_ms: int


@dataclass(frozen=True)
class Timer:
    """Something to look at again at `due_ms` (wall time)."""

    party: str
    kind: str
    subject: str
    due_ms: int


class Inbox:
    """Remembers the answer to each message of one party, until its signature would be refused anyway."""

    def __init__(self, connection: sqlite3.Connection, party: str) -> None:
        self._db = connection
        self._party = party

    def first_answer(self, sender: str, message_id: str, action: str) -> Reply | None:
        """The answer given before, or None when the message is new."""
        row = self._db.execute(
            "SELECT status, answer FROM inbox WHERE party = ? AND sender = ? AND message_id = ? AND action = ?",
            (self._party, sender, message_id, action),
        ).fetchone()
        return None if row is None else Reply(row[0], row[1], _JSON)

    def remember(self, sender: str, message_id: str, action: str, answer: Reply, keep_until_ms: int) -> None:
        """Keep an answer, in the transaction of the effect."""
        self._db.execute(
            "INSERT INTO inbox VALUES (?, ?, ?, ?, ?, ?, ?)",
            (self._party, sender, message_id, action, answer.status, answer.body, keep_until_ms),
        )


class Outbox:
    """Messages waiting to be sent."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._db = connection

    def put(self, message: Outgoing) -> bool:
        """Add a message; False when the very same stands there already."""
        cursor = self._db.execute(
            "INSERT OR IGNORE INTO outbox VALUES (?, ?, ?, ?, ?, ?, ?)",
            (
                message.party,
                message.message_id,
                message.action,
                message.recipient,
                message.transaction_id,
                message.body,
                message.expires_ms,
            ),
        )
        return cursor.rowcount == 1

    def done(self, message: Outgoing) -> None:
        """Take a message out."""
        self._db.execute(
            "DELETE FROM outbox WHERE party = ? AND message_id = ? AND action = ? AND recipient = ?",
            (message.party, message.message_id, message.action, message.recipient),
        )

    def waiting(self) -> list[Outgoing]:
        """All messages not taken out yet."""
        return [Outgoing(*row) for row in self._db.execute("SELECT * FROM outbox ORDER BY expires_ms, message_id")]

    def count_waiting(self) -> int:
        """How many messages are not taken out yet."""
        count: int = self._db.execute("SELECT count(*) FROM outbox").fetchone()[0]
        return count


class Counts:
    """How many messages were sent: in memory, until `write` adds a party's to its totals on disk."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._new: defaultdict[str, Counter[str]] = defaultdict(Counter)

    def add(self, message: Outgoing) -> None:
        """One more was sent."""
        self._new[message.party][message.action] += 1

    def write(self, party: str) -> None:
        """Within the open transaction; what it does not bring onto the disk is written the next time."""
        new = self._new[party]
        self._database.connection.executemany(
            "INSERT INTO messages VALUES (?, ?, ?) "
            "ON CONFLICT (party, action) DO UPDATE SET sent = sent + excluded.sent",
            [(party, action, sent) for action, sent in sorted(new.items())],
        )
        self._database.after_commit(new.clear)


class Timers:
    """Alarms that are set."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._db = connection

    def put(self, timer: Timer) -> None:
        """Set an alarm; an earlier one of the same kind and subject is replaced."""
        self._db.execute(
            "INSERT OR REPLACE INTO timers VALUES (?, ?, ?, ?)", (timer.party, timer.kind, timer.subject, timer.due_ms)
        )

    def take(self, timer: Timer) -> bool:
        """Take an alarm off; False when it was taken off or replaced before."""
        cursor = self._db.execute(
            "DELETE FROM timers WHERE party = ? AND kind = ? AND subject = ? AND due_ms = ?",
            (timer.party, timer.kind, timer.subject, timer.due_ms),
        )
        return cursor.rowcount == 1

    def is_set(self, party: str, kind: str, subject: str) -> bool:
        """Whether such an alarm is set."""
        query = "SELECT 1 FROM timers WHERE party = ? AND kind = ? AND subject = ?"
        return self._db.execute(query, (party, kind, subject)).fetchone() is not None

    def waiting(self) -> list[Timer]:
        """All alarms by time."""
        return [Timer(*row) for row in self._db.execute("SELECT * FROM timers ORDER BY due_ms, party, kind, subject")]
