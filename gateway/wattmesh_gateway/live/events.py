"""Server-sent events (WHATWG HTML, 9.2): one answer that does not end."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import ExitStack

import pydantic_core
from fastapi.responses import StreamingResponse
from starlette.types import Receive, Scope, Send

from wattmesh_common.clock import Clock
from wattmesh_gateway.live.watch import Watch

HEARTBEAT_S = 5.0
"""So often grid time is told where nothing else is: the page takes a gateway that is silent for longer to be gone."""
STREAM_S = 600.0
"""An answer ends after that, and the browser asks for the next: so a peer that is gone is found out."""
RETRY_MS = 2_000


class EventStream(StreamingResponse):
    """Holds its viewer's place until the peer is gone or the answer has ended, however that comes about.

    Who does not read is dropped by the connection's own limit: the next event waits until the last one is taken.
    """

    def __init__(self, place: ExitStack, events: AsyncIterator[bytes]) -> None:
        super().__init__(events, media_type="text/event-stream", headers={"Cache-Control": "no-store"})
        self._place = place

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """See Response."""
        with self._place:
            await super().__call__(scope, receive, send)


async def events(watch: Watch, clock: Clock, last_id: str | None, *endings: asyncio.Event) -> AsyncIterator[bytes]:
    """First what came after `last_id`, or the whole street; then what is new; the time where nothing is for long.

    Until one of `endings` is set, or for `STREAM_S`.
    """
    feed = watch.feed
    ends_at = clock.wall() + STREAM_S
    yield f"retry: {RETRY_MS}\n\n".encode()
    seen = feed.number_of(last_id)
    if seen is None:
        await watch.look()
    while not any(ending.is_set() for ending in endings) and clock.wall() < ends_at:
        if seen is None or not feed.knows_after(seen):
            # Taken at once with its number, so nothing is missed or told twice.
            seen = feed.newest
            yield _event("street", feed.id_of(seen), pydantic_core.to_json(watch.street.snapshot(clock.wall())))
        for number, data in feed.after(seen):
            seen = number
            yield _event("change", feed.id_of(number), data)
        if seen == feed.newest and not await _more(watch, clock, endings):
            yield _event("clock", None, pydantic_core.to_json(watch.street.time(clock.wall())))


async def _more(watch: Watch, clock: Clock, endings: Sequence[asyncio.Event]) -> bool:
    """Whether something came before the heartbeat was due."""
    waits = [
        asyncio.create_task(watch.feed.more()),
        asyncio.create_task(clock.sleep(HEARTBEAT_S)),
        *(asyncio.create_task(ending.wait()) for ending in endings),
    ]
    try:
        await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
        return waits[0].done()
    finally:
        for task in waits:
            task.cancel()


def _event(name: str, event_id: str | None, data: bytes) -> bytes:
    """JSON has no line breaks of its own, so it is one `data` line. What is without an id is not asked for again."""
    number = "" if event_id is None else f"id: {event_id}\n"
    return b"event: %s\n%sdata: %s\n\n" % (name.encode(), number.encode(), data)
