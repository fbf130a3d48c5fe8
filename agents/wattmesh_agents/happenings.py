"""What has happened in a pod lately, for who looks on: messages with their answers, and the story. Bounded, in memory.

Writing one down is an append of a tuple, so that trading does not notice; it is made readable when somebody asks.
"""

from __future__ import annotations

import secrets
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice
from typing import Any

from wattmesh_beckn.client import Acked, Nacked, Outcome, read_answer
from wattmesh_beckn.transport import Reply
from wattmesh_common.pod_pages import Answer, LiveMessage, LiveStory

MOST = 2_000
"""A contract is about twenty messages and lines on both sides together."""
MOST_AT_ONCE = 400
LONGEST_TEXT = 300


@dataclass(frozen=True, slots=True)
class Message:
    """A message that was sent or received. `at` is unix seconds of wall time: when it was first sent, or received."""

    at: float
    transaction_id: str
    message_id: str
    action: str
    sender: str
    recipient: str
    answer: Outcome | Reply

    def shown(self) -> LiveMessage:
        """As it stands on `/live`."""
        answer = read_answer(self.answer) if isinstance(self.answer, Reply) else self.answer
        if isinstance(answer, Acked):
            word, text = Answer.ACK, ""
        elif isinstance(answer, Nacked):
            word, text = Answer.NACK, answer.message
        else:
            word, text = Answer.LOST, answer.reason
        return LiveMessage(
            at_ms=int(self.at * 1000),
            transaction_id=self.transaction_id,
            message_id=self.message_id,
            action=self.action,
            sender=self.sender,
            recipient=self.recipient,
            answer=word,
            text=text[:LONGEST_TEXT],
        )


@dataclass(frozen=True, slots=True)
class StoryLine:
    """A line of a party's story; `text % values` is what people read."""

    at: float
    transaction_id: str | None
    party: str
    text: str
    values: tuple[Any, ...]

    def shown(self) -> LiveStory:
        """As it stands on `/live`."""
        text = self.text % self.values if self.values else self.text
        return LiveStory(
            at_ms=int(self.at * 1000),
            transaction_id=self.transaction_id,
            party=self.party,
            text=text[:LONGEST_TEXT],
        )


class Happenings:
    """The newest `most` messages and lines, each with a number: the first has 1.

    `boot` names this memory: after a restart the numbers begin anew.
    """

    def __init__(self, most: int = MOST) -> None:
        self.boot = secrets.token_hex(8)
        self.newest = 0
        self._recent: deque[Message | StoryLine] = deque(maxlen=most)

    def add(self, happening: Message | StoryLine) -> None:
        """Write down; the oldest is forgotten where there is no more room."""
        self._recent.append(happening)
        self.newest += 1

    def clear(self) -> None:
        """Let go of all; numbers go on."""
        self._recent.clear()

    def after(self, number: int, most: int = MOST_AT_ONCE) -> Iterator[Message | StoryLine]:
        """What came after a number, oldest first; only the newest `most` of it, so who is behind is told of now."""
        first = self.newest - len(self._recent)
        skipped = max(0, number - first, len(self._recent) - most)
        return islice(self._recent, skipped, None)
