"""Messages that outlive a crash: the answers that were given, and what is still to be sent. Kept in memory, too."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterable, Mapping
from itertools import islice
from typing import NamedTuple

from wattmesh_beckn.receiver import Asked, FirstAnswer
from wattmesh_beckn.registry import Subscription
from wattmesh_beckn.transport import Reply
from wattmesh_common.fields import V1_ONLY, Protocols, protocols_in

_JSON = {"content-type": "application/json"}
ASKED_MS = 120_000
"""How long a request is remembered for what its callback says of it (wall time)."""
HEARD_EVERY_MS = 12 * 3_600_000
"""How exactly it is known when a subscriber was last heard."""


class Outgoing(NamedTuple):
    """A message to send until acknowledged or `expires_ms` (wall time). `recipient` is a subscriber id."""

    party: str
    message_id: str
    action: str
    recipient: str
    transaction_id: str
    body: bytes
    expires_ms: int

    @property
    def key(self) -> tuple[str, str, str, str]:
        """What names the message."""
        return self[:4]


class Answered(NamedTuple):
    """The answer that a party gave to a message, to be given again until `keep_until_ms` (wall time).

    `said` is the digest of what the message says.
    """

    party: str
    sender: str
    message_id: str
    action: str
    reply: Reply
    keep_until_ms: int
    said: bytes | None

    @property
    def key(self) -> tuple[str, str, str, str]:
        """What names the message."""
        return self[:4]


class Inbox:
    """The answers that the parties of a pod have given, until the messages' signatures would be refused anyway."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._db = connection
        self._answers: dict[tuple[str, str, str, str], tuple[FirstAnswer, int]] = {}
        for row in connection.execute("SELECT * FROM inbox ORDER BY keep_until_ms"):
            self.know(Answered._make((*row[:4], Reply(row[4], row[5], _JSON), *row[6:])))

    def first_answer(self, party: str, sender: str, message_id: str, action: str) -> FirstAnswer | None:
        """The answer given before, or None when the message is new."""
        found = self._answers.get((party, sender, message_id, action))
        return None if found is None else found[0]

    def write(self, answered: Answered) -> None:
        """Keep an answer on disk, in the transaction of the effect."""
        self._db.execute(
            "INSERT OR REPLACE INTO inbox VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
            (*answered.key, answered.reply.status, answered.reply.body, answered.keep_until_ms, answered.said),
        )

    def know(self, answered: Answered) -> None:
        """Give this answer from now on."""
        self._answers[answered.key] = (FirstAnswer(answered.reply, answered.said), answered.keep_until_ms)

    def forget_party(self, subscriber_id: str) -> None:
        """Let go of answers that a party has given or was given, which are gone from the disk."""
        for key in [key for key in self._answers if subscriber_id in key[:2]]:
            del self._answers[key]

    def forget(self, now_ms: int) -> None:
        """Let go of answers that nobody can ask for any more."""
        for key in [key for key, (_, until_ms) in self._answers.items() if until_ms < now_ms]:
            del self._answers[key]


class Outbox:
    """Messages waiting to be sent. Searches and offers are sent without it: losing them costs a look."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._db = connection
        rows = connection.execute("SELECT * FROM outbox ORDER BY expires_ms, message_id")
        self.waiting: dict[tuple[str, str, str, str], Outgoing] = {}
        for row in rows:
            self.know(Outgoing(*row))

    def write(self, messages: Iterable[Outgoing]) -> None:
        """Add messages on disk."""
        self._db.executemany("INSERT INTO outbox VALUES (?, ?, ?, ?, ?, ?, ?)", list(messages))

    def know(self, message: Outgoing) -> None:
        """It waits from now on."""
        self.waiting[message.key] = message

    def forget_party(self, subscriber_id: str) -> None:
        """Let go of messages of a party, or to it, which are gone from the disk."""
        gone = [key for key, one in self.waiting.items() if subscriber_id in (one.party, one.recipient)]
        for key in gone:
            del self.waiting[key]

    def take_out(self, keys: Iterable[tuple[str, str, str, str]]) -> None:
        """Take messages out on disk, by their keys."""
        self._db.execute(
            "DELETE FROM outbox WHERE (party, message_id, action, recipient) IN "
            "(SELECT value ->> 0, value ->> 1, value ->> 2, value ->> 3 FROM json_each(?))",
            (json.dumps(list(keys)),),
        )


class Requests:
    """Requests in v2 of the last two minutes: a callback may be signed over the signature of the one that it answers.

    A message that is sent again after a crash is signed as before, so either callback fits.
    """

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._db = connection
        rows = connection.execute("SELECT * FROM requests ORDER BY keep_until_ms")
        self._known = {(row[0], row[1], row[2]): (Asked(row[3], row[4]), int(row[5])) for row in rows}
        self._over: list[tuple[str, str, str]] = []

    def asked(self, party: str, message_id: str, action: str) -> Asked | None:
        """A request of a party, if it was sent lately."""
        found = self._known.get((party, message_id, action))
        return None if found is None else found[0]

    def write(self, new: Mapping[tuple[str, str, str], Asked], now_ms: int) -> None:
        """Add requests on disk, and take out some that are over, in the transaction that has them sent."""
        self._over = [key for key, (_, until_ms) in islice(self._known.items(), 8 + len(new)) if until_ms < now_ms]
        self._db.executemany("DELETE FROM requests WHERE party = ? AND message_id = ? AND action = ?", self._over)
        until_ms = now_ms + ASKED_MS
        rows = [(*key, *asked, until_ms) for key, asked in new.items()]
        self._db.executemany("INSERT OR REPLACE INTO requests VALUES (?, ?, ?, ?, ?, ?)", rows)

    def know(self, new: Mapping[tuple[str, str, str], Asked], now_ms: int) -> None:
        """They are known from now on."""
        for key in self._over:
            self._known.pop(key, None)
        self._over = []
        for key, asked in new.items():
            self._known.pop(key, None)
            self._known[key] = (asked, now_ms + ASKED_MS)


class Peer(NamedTuple):
    """A subscriber as the registry had it: where it lives, which versions of Beckn it speaks, when it was heard."""

    url: str
    protocols: Protocols
    heard_ms: int


class Peers:
    """Other subscribers, as the registry said when they were last heard."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._db = connection
        rows = connection.execute("SELECT subscriber_id, url, protocols, heard_ms FROM peers")
        self._known = {name: Peer(url, protocols_in(said), heard_ms) for name, url, said, heard_ms in rows}
        self._news: dict[str, Peer] = {}
        self._hinted: dict[str, str] = {}

    def url_of(self, subscriber_id: str) -> str | None:
        """Where a subscriber lives, if it was met, or told of."""
        found = self._known.get(subscriber_id)
        return self._hinted.get(subscriber_id) if found is None else found.url

    def protocols_of(self, subscriber_id: str) -> Protocols:
        """Which versions of Beckn a subscriber speaks, if it was met, or told of; else the first."""
        found = self._known.get(subscriber_id)
        if found is not None:
            return found.protocols
        return ("v2",) if subscriber_id in self._hinted else V1_ONLY

    def hint(self, subscriber_id: str, url: str) -> None:
        """The discovery service tells where a seller lives that speaks v2. It counts until that was met."""
        if subscriber_id not in self._known:
            self._hinted[subscriber_id] = url

    def meet(self, entry: Subscription, now_ms: int) -> None:
        """A subscriber lives there and is heard now; `write` brings onto the disk what is new of that."""
        known = self._known.get(entry.subscriber_id)
        peer = Peer(entry.url, entry.protocols, now_ms)
        if known is None or known[:2] != peer[:2] or known.heard_ms < now_ms - HEARD_EVERY_MS:
            self._known[entry.subscriber_id] = self._news[entry.subscriber_id] = peer
            self._hinted.pop(entry.subscriber_id, None)

    def write(self) -> None:
        """Write down what is new, within the caller's transaction."""
        if self._news:
            rows = [(name, one.url, one.heard_ms, ",".join(one.protocols)) for name, one in self._news.items()]
            self._db.executemany("INSERT OR REPLACE INTO peers VALUES (?, ?, ?, ?)", rows)

    def forget_party(self, subscriber_id: str) -> None:
        """Know nothing of a subscriber any more, which is gone from the disk."""
        for known in (self._known, self._news, self._hinted):
            known.pop(subscriber_id, None)

    def written(self) -> None:
        """What was new is on disk."""
        self._news.clear()
