"""The live page over HTTP: its files, its events, and the same as JSON. Nothing on it has any effect."""

from __future__ import annotations

import asyncio
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pydantic_core
from fastapi import FastAPI, Header, Request, Response

from wattmesh_common.clock import Clock
from wattmesh_common.pod_pages import HistoryRow
from wattmesh_common.reading_token import ReadingToken
from wattmesh_common.web_pages import guard, readers_only
from wattmesh_gateway.live.events import EventStream, events
from wattmesh_gateway.live.watch import KEPT_S, MOST_VIEWERS, TooManyViewers, Watch

PAGE = Path(__file__).parent / "page"
_TYPES = {".html": "text/html; charset=utf-8", ".css": "text/css", ".js": "text/javascript", ".svg": "image/svg+xml"}
_GUARD = guard()


def add_live_page(app: FastAPI, watch: Watch, clock: Clock, token: ReadingToken) -> None:
    """Serve the page at `/`, what it needs below `/page/` and `/api/`, and `/events`.

    Anybody gets the page and `/api/public`; the rest is for who shows the market's token.
    """
    readers = readers_only(lambda: [token.digest])
    files = {path.name: path.read_bytes() for path in PAGE.iterdir() if path.suffix in _TYPES}

    # All of them are coroutines: FastAPI would call plain functions in a thread, where SQLite does not follow.
    @app.get("/", summary="The live page, for people", response_class=Response)
    async def page() -> Response:
        return _file("index.html", files["index.html"])

    @app.get("/page/{name}", summary="A file of the live page", response_class=Response)
    async def file(name: str) -> Response:
        if name not in files:
            return _json({"detail": "no such file"}, 404)
        return _file(name, files[name])

    @app.get(
        "/api/public", summary="For anybody: households in numbers, utilities' prices, sums of the last day's slots"
    )
    async def public() -> Response:
        await watch.look()
        return _json(watch.street.public(clock.wall()))

    @readers.get("/api/street", summary="Who there is, newest contracts and trades")
    async def street() -> Response:
        await watch.look()
        return _json(watch.street.snapshot(clock.wall()))

    @readers.get("/api/households/{subscriber_id}", summary="One household or utility with its newest readings")
    async def household(subscriber_id: str) -> Response:
        await watch.look()
        return _found(watch.street.household(subscriber_id), "nobody of this name is registered")

    @readers.get("/api/trades/{transaction_id}", summary="Messages, story and contracts of one transaction")
    async def trade(transaction_id: str) -> Response:
        await watch.look()
        return _found(watch.street.trade(transaction_id), "no such trade is remembered; only the newest are")

    @readers.get("/api/history", summary="A feeder's last days from the books: the sums of each slot, oldest first")
    async def history(feeder: str) -> Response:
        await watch.look()
        return _json({"columns": HistoryRow._fields, "rows": watch.street.history(feeder)})

    @readers.get("/api/history/{slot:int}", summary="One slot of a feeder from the books: readings and contracts")
    async def past(feeder: str, slot: int) -> Response:
        await watch.look()
        if not any(row.slot == slot for row in watch.street.history(feeder)):
            return _json({"detail": f"no slot {slot} of feeder {feeder[:63]!r} is known"}, 404)
        return _json(await watch.past(feeder, slot))

    @readers.get(
        "/events", summary="The street, then each change of it, as server-sent events", response_class=Response
    )
    async def stream(request: Request, last_event_id: str | None = Header(default=None)) -> Response:
        place = ExitStack()
        try:
            leaves = place.enter_context(watch.viewing())
        except TooManyViewers:
            answer = _json({"detail": f"{MOST_VIEWERS} look already"}, 503)
            answer.headers["Retry-After"] = f"{KEPT_S:.0f}"
            return answer
        stopping: asyncio.Event = request.app.state.stopping
        answer = EventStream(place, events(watch, clock, last_event_id, stopping, leaves))
        answer.headers.update(_GUARD)
        return answer

    app.include_router(readers)


def _found(value: dict[str, Any] | None, otherwise: str) -> Response:
    return _json({"detail": otherwise}, 404) if value is None else _json(value)


def _file(name: str, content: bytes) -> Response:
    headers = {"Cache-Control": "no-cache", **_GUARD}
    return Response(content, media_type=_TYPES[Path(name).suffix], headers=headers)


def _json(value: Any, status: int = 200) -> Response:
    headers = {"Cache-Control": "no-store", **_GUARD}
    return Response(pydantic_core.to_json(value), status, headers, media_type="application/json")
