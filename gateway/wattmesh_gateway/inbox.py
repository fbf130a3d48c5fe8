"""What was answered lately, so that a search sent twice is broadcast once, and a question is answered once.

Kept in memory: after a restart the sellers' own inboxes still know a search that comes twice.
"""

from __future__ import annotations

import heapq
from collections import Counter

from wattmesh_beckn.errors import busy, too_many
from wattmesh_beckn.receiver import FirstAnswer, Received
from wattmesh_beckn.transport import Reply
from wattmesh_common.clock import Clock

MOST = 100_000
MOST_OF_ONE_SENDER = 1_000
"""So that no single sender can fill it for all."""


class MemoryInbox:
    """Beckn's Inbox with a bound. An answer is kept for as long as its message is not refused for its age."""

    def __init__(self, clock: Clock, *, most: int = MOST, most_of_one_sender: int = MOST_OF_ONE_SENDER) -> None:
        self._clock = clock
        self._most = most
        self._most_of_one_sender = most_of_one_sender
        self._answers: dict[tuple[str, str, str], FirstAnswer] = {}
        self._ends: list[tuple[float, tuple[str, str, str]]] = []
        self._by_sender: Counter[str] = Counter()

    def __len__(self) -> int:
        return len(self._answers)

    def first_answer(self, sender: str, message_id: str, action: str) -> FirstAnswer | None:
        """See Inbox."""
        return self._answers.get((sender, message_id, action))

    def require_room(self, sender: str) -> None:
        """Refuse when one more answer cannot be remembered: 429 when that is because of `sender`, else 503."""
        self._forget_ended()
        if self._by_sender[sender] >= self._most_of_one_sender:
            first_end = min(end for end, key in self._ends if key[0] == sender)
            text = f"{sender!r} has {self._by_sender[sender]} messages that have not expired yet, and may have no more"
            raise too_many(text, first_end - self._clock.wall())
        if len(self._answers) >= self._most:
            raise busy(f"{len(self._answers)} messages have not expired yet; no more can be told apart", 1)

    def remember(self, received: Received, reply: Reply, keep_until: float) -> None:
        """Keep the answer to a new message until unix second `keep_until`, from when on the message is refused."""
        sender = received.sender.subscriber_id
        key = (sender, received.context.message_id, received.action)
        self._answers[key] = FirstAnswer(reply, received.said)
        self._by_sender[sender] += 1
        heapq.heappush(self._ends, (keep_until, key))

    def _forget_ended(self) -> None:
        now = self._clock.wall()
        while self._ends and self._ends[0][0] < now:
            _, key = heapq.heappop(self._ends)
            del self._answers[key]
            self._by_sender[key[0]] -= 1
            if not self._by_sender[key[0]]:
                del self._by_sender[key[0]]
