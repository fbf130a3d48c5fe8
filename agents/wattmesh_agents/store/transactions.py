"""A pod's database with its mail: whatever is written, what was acknowledged leaves the outbox with it."""

from __future__ import annotations

import sqlite3
from collections import Counter
from collections.abc import Iterable, Iterator
from contextlib import contextmanager

from wattmesh_agents.store import journal
from wattmesh_agents.store.database import Database
from wattmesh_agents.store.mail import Answered, Inbox, Outbox, Outgoing, Peers, Requests

MOST_ACKNOWLEDGED = 16
"""With so many acknowledged messages in the outbox any transaction takes them out; that of a slot always does."""

Key = tuple[str, str, str, str]
"""What names a message: see `Outgoing.key`."""


class Store:
    """What a pod has on the disk, and in memory of its mail."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self.connection = database.connection
        """For reading what is on the disk."""
        self.salt = database.salt
        self.inbox = Inbox(self.connection)
        self.outbox = Outbox(self.connection)
        self.requests = Requests(self.connection)
        self.peers = Peers(self.connection)
        self._acknowledged: dict[Key, Outgoing] = {}
        self._sent: Counter[tuple[str, str]] = Counter()
        self.refusal: str | None = None
        """Why the disk did not take the newest change; None when it did."""

    @contextmanager
    def transaction(
        self, occasion: str, done: Outgoing | None = None, *, tidying: bool = False, again: Iterable[Key] = ()
    ) -> Iterator[sqlite3.Connection]:
        """A transaction that also takes `done` out of the outbox, and what was acknowledged: all of it when `tidying`
        or many, else what is sent `again`.

        sqlite3.OperationalError when the disk refuses; then nothing has happened, and `refusal` says why until it takes
        a change again.
        """
        all_gone = tidying or len(self._acknowledged) >= MOST_ACKNOWLEDGED
        gone = dict(self._acknowledged) if all_gone else {key: self._acknowledged[key] for key in again}
        if done is not None:
            gone[done.key] = done
        before = self.connection.total_changes
        try:
            with self._database.transaction(occasion) as connection:
                if gone:
                    self.outbox.take_out(gone)
                self.peers.write()
                yield connection
                wrote = connection.total_changes > before
        except sqlite3.OperationalError as error:
            self.refusal = str(error)
            raise
        self.peers.written()
        for key in gone:
            self._acknowledged.pop(key, None)
            self.outbox.waiting.pop(key, None)
        if wrote:
            self.refusal = None

    def remember(self, occasion: str, answered: Answered) -> None:
        """Remember the answer to a call that changes no party."""
        with self.transaction(occasion):
            self.inbox.write(answered)
        self.inbox.know(answered)

    def acknowledge(self, message: Outgoing) -> None:
        """A message has arrived. It leaves the outbox later: after a crash it is sent again, and dropped there."""
        if message.key in self.outbox.waiting:
            self._acknowledged[message.key] = message

    def is_acknowledged(self, key: Key) -> bool:
        """Whether a message has arrived that is in the outbox yet."""
        return key in self._acknowledged

    def count(self, party: str, action: str) -> None:
        """One more message of a party was sent."""
        self._sent[party, action] += 1

    def tidy(self) -> None:
        """Take out of the outbox what was acknowledged, and write down how many messages were sent."""
        with self.transaction("tidy", tidying=True) as connection:
            journal.count_messages(connection, [(*key, number) for key, number in sorted(self._sent.items())])
        self._sent.clear()

    def forget_mail(self, party: str) -> None:
        """Let go of all mail from or to a party whose rows are gone."""
        self.inbox.forget_party(party)
        self.outbox.forget_party(party)
        for key in self._acknowledged.keys() - self.outbox.waiting.keys():
            del self._acknowledged[key]
        for count in [count for count in self._sent if count[0] == party]:
            del self._sent[count]

    def wipe(self) -> bool:
        """Have nothing left in the database's files of what was deleted; whether no reader has kept that."""
        return self._database.wipe()

    @property
    def unsent(self) -> list[Outgoing]:
        """What waits for its acknowledgement."""
        return [one for key, one in self.outbox.waiting.items() if key not in self._acknowledged]

    @property
    def sending(self) -> bool:
        """Whether a message waits for its acknowledgement."""
        return len(self.outbox.waiting) > len(self._acknowledged)
