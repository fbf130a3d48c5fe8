"""Events in order, for any number of readers: a reader has a place in the feed, so a slow one costs no memory."""

from __future__ import annotations

import asyncio
import secrets
from collections import deque
from collections.abc import Sequence
from itertools import islice

MOST_EVENTS = 120
MOST_BYTES = 8 * 1024 * 1024


class Feed:
    """The newest events, each with an id: this feed's name and a number. One event is always kept."""

    def __init__(self) -> None:
        self._name = secrets.token_hex(4)
        self._events: deque[bytes] = deque()
        self._bytes = 0
        self.newest = 0
        self._more = asyncio.Event()

    def publish(self, event: bytes) -> None:
        """Add an event and wake whoever waits."""
        self._events.append(event)
        self._bytes += len(event)
        self.newest += 1
        while len(self._events) > 1 and (len(self._events) > MOST_EVENTS or self._bytes > MOST_BYTES):
            self._bytes -= len(self._events.popleft())
        more, self._more = self._more, asyncio.Event()
        more.set()

    def id_of(self, number: int) -> str:
        """The id of an event."""
        return f"{self._name}-{number}"

    def number_of(self, event_id: str | None) -> int | None:
        """The number that an id stands for; None when it is not of this feed, or what followed it is not all known."""
        name, _, digits = (event_id or "")[:40].rpartition("-")
        if name != self._name or not (digits.isascii() and digits.isdigit()):
            return None
        number = int(digits)
        return number if self.knows_after(number) else None

    def knows_after(self, number: int) -> bool:
        """Whether all that came after an event is still here."""
        return self.newest - len(self._events) <= number <= self.newest

    def after(self, number: int) -> Sequence[tuple[int, bytes]]:
        """The events after one, with their numbers."""
        first = self.newest - len(self._events)
        events = islice(self._events, max(0, number - first), None)
        return list(zip(range(max(number, first) + 1, self.newest + 1), events, strict=True))

    async def more(self) -> None:
        """Wait for the next event."""
        await self._more.wait()
