"""The live page over real HTTP: what it serves, to how many, and how it parts from those who are slow or gone."""

from __future__ import annotations

import json
import re
from collections.abc import AsyncIterator
from contextlib import ExitStack, asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest
from fastapi import FastAPI

from tests.gateway.live.pages import Pods, party, raw_page
from tests.gateway.support import GATEWAY, entry
from tests.security.http_support import SHORT_S, Street, run, served, until
from tests.world.clocks import at_once
from tests.world.subscribers import DOMAIN, signer
from tests.world.tokens import TOKEN
from wattmesh_common.clock import SystemClock, utc
from wattmesh_common.connections import Limits
from wattmesh_gateway.live import events
from wattmesh_gateway.live.routes import PAGE, add_live_page
from wattmesh_gateway.live.watch import MOST_VIEWERS, Watch
from wattmesh_gateway.registry import Registry

ANONYMOUS = b"GET /events HTTP/1.1\r\nhost: street\r\n"
EVENTS = ANONYMOUS + f"authorization: Bearer {TOKEN.text}\r\n\r\n".encode()


class Shown:
    """A live page of one household, whose pod answers."""

    def __init__(self) -> None:
        self.pods, self.registry, self.app, clock = Pods(), Registry(None), FastAPI(), SystemClock()
        now = clock.wall()
        values = {"valid_from": utc(now - 60), "valid_until": utc(now + 600), "url": "http://roof/roof-0"}
        at_once(self.registry.put(entry(signer("roof-0.street"), "BPP", **values), now))
        self.pods.pages["http://roof"] = raw_page(party("roof-0.street"))
        self.watch = Watch(GATEWAY.subscriber_id, DOMAIN, self.registry, self.pods, clock, TOKEN)
        add_live_page(self.app, self.watch, clock, TOKEN)

    def level(self, level_wh: int) -> None:
        self.pods.pages["http://roof"] = raw_page(party("roof-0.street", level_wh=level_wh))

    @asynccontextmanager
    async def open(
        self, limits: Limits | None = None, **options: Any
    ) -> AsyncIterator[tuple[Street, httpx.AsyncClient]]:
        async with served(self.app, limits or Limits(), **options) as street:
            url = f"http://127.0.0.1:{street.port}"
            async with httpx.AsyncClient(base_url=url, trust_env=False, timeout=20, headers=TOKEN.header) as http:
                yield street, http
            await self.watch.stop()
        self.registry.close()


@asynccontextmanager
async def stream(http: httpx.AsyncClient, last_id: str | None = None) -> AsyncIterator[AsyncIterator[dict[str, str]]]:
    """The events of one viewer, comments too."""
    async with http.stream("GET", "/events", headers={"last-event-id": last_id} if last_id else {}) as answer:
        assert answer.status_code == 200, answer.status_code
        assert answer.headers["content-type"] == "text/event-stream; charset=utf-8"
        assert answer.headers["cache-control"] == "no-store"

        async def parsed() -> AsyncIterator[dict[str, str]]:
            event: dict[str, str] = {}
            async for line in answer.aiter_lines():
                name, _, value = line.partition(": ")
                if line:
                    event[name or "comment"] = value
                    continue
                yield event
                event = {}

        yield parsed()


async def next_of(kind: str, heard: AsyncIterator[dict[str, str]]) -> dict[str, str]:
    return await anext(event async for event in heard if event.get("event") == kind)


def level(event: dict[str, str]) -> int:
    [one] = json.loads(event["data"])["parties"]
    level_wh: int = one["level_wh"]
    return level_wh


def test_first_comes_the_street_then_what_changes() -> None:
    async def story() -> None:
        shown = Shown()
        async with shown.open() as (_, http), stream(http) as heard:
            assert level(await next_of("street", heard)) == 8_000
            shown.level(7_000)
            assert level(await next_of("change", heard)) == 7_000

    run(story)


def test_who_comes_back_hears_what_it_missed_and_a_stranger_all() -> None:
    async def story() -> None:
        shown = Shown()
        async with shown.open() as (_, http), stream(http) as stays:
            async with stream(http) as heard:
                last_id = (await next_of("street", heard))["id"]
            await next_of("street", stays)
            for level_wh in (7_000, 6_000):
                shown.level(level_wh)
                await next_of("change", stays)
            async with stream(http, last_id) as again:
                assert [level(await next_of("change", again)) for _ in range(2)] == [7_000, 6_000]
            async with stream(http, "another-3") as new:
                assert level(await next_of("street", new)) == 6_000

    run(story)


def test_the_time_is_told_where_nothing_else_is(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(events, "HEARTBEAT_S", SHORT_S)

    async def story() -> None:
        async with Shown().open() as (_, http), stream(http) as heard:
            await next_of("street", heard)
            clock = await next_of("clock", heard)
            assert "id" not in clock, "what is asked for after a break is the last change"
            assert json.loads(clock["data"])["grid"]["running"]

    run(story)


def test_a_stream_ends_after_its_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(events, "STREAM_S", SHORT_S)
    monkeypatch.setattr(events, "HEARTBEAT_S", SHORT_S)

    async def story() -> None:
        shown = Shown()
        async with shown.open() as (_, http), stream(http) as heard:
            assert [event async for event in heard][-1]
            await until(lambda: shown.watch.viewers == 0)

    run(story)


def test_one_too_many_is_told_when_to_come_again_and_a_place_is_free_when_somebody_goes() -> None:
    async def story() -> None:
        shown = Shown()
        async with shown.open() as (_, http):
            with ExitStack() as places:
                for _ in range(MOST_VIEWERS - 1):
                    places.enter_context(shown.watch.viewing())
                async with stream(http) as heard:
                    await next_of("street", heard)
                    refused = await http.get("/events")
                    assert (refused.status_code, refused.headers["retry-after"]) == (503, "10")
                await until(lambda: shown.watch.viewers < MOST_VIEWERS)
                async with stream(http) as heard:
                    assert level(await next_of("street", heard)) == 8_000

    run(story)


def test_who_has_no_token_takes_no_place_and_has_nobody_asked() -> None:
    async def story() -> None:
        shown = Shown()
        async with shown.open() as (street, _):
            answer = await street.ask(ANONYMOUS + b"\r\n")
            assert (answer.status, shown.watch.viewers, shown.pods.asked) == (401, 0, [])

    run(story)


def test_silent_viewers_do_not_hold_the_page(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("wattmesh_gateway.live.watch.KEPT_S", 0.0)

    async def story() -> None:
        shown = Shown()
        async with shown.open(Limits(idle_s=SHORT_S)) as (street, http):
            peers = [await street.connect() for _ in range(MOST_VIEWERS)]
            for peer in peers:
                await peer.send(EVENTS)
            await until(lambda: shown.watch.viewers == MOST_VIEWERS)
            async with stream(http) as heard:
                assert level(await next_of("street", heard)) == 8_000
                assert shown.watch.viewers == MOST_VIEWERS
                assert b"event: street" in await peers[0].rest(), "its answer has ended"

    run(story)


def test_who_does_not_read_is_dropped_and_costs_no_memory_meanwhile() -> None:
    async def story() -> None:
        shown = Shown()
        async with shown.open(Limits(answer_s=SHORT_S), send_buffer=4096) as (street, http), stream(http) as reads:
            await next_of("street", reads)
            slow = await street.connect(receive_buffer=4096)
            await slow.send(EVENTS)
            await until(lambda: shown.watch.viewers == 2)
            for number in range(20):
                shown.watch.feed.publish(
                    json.dumps({"parties": [{"level_wh": number}], "more": "x" * 100_000}).encode()
                )
                assert level(await next_of("change", reads)) == number
            await until(lambda: shown.watch.viewers == 1)

    run(story)


def test_a_dead_pod_is_shown_as_one_that_does_not_answer() -> None:
    async def story() -> None:
        shown = Shown()
        shown.pods.pages.clear()
        async with shown.open() as (_, http), stream(http) as heard:
            [roof] = json.loads((await next_of("street", heard))["data"])["parties"]
            assert (roof["name"], roof["reached"]) == ("roof-0", False)

    run(story)


def test_a_server_that_stops_does_not_wait_for_viewers() -> None:
    async def story() -> None:
        shown = Shown()
        async with served(shown.app, Limits()) as street:
            peer = await street.connect()
            await peer.send(EVENTS)
            await until(lambda: shown.watch.viewers == 1)
            peer_hung_up, street.hang_up = street.hang_up, lambda: None  # type: ignore[method-assign]
        rest = await peer.rest()
        assert rest.endswith(b"0\r\n\r\n"), "the answer is whole"
        peer_hung_up()
        await shown.watch.stop()
        shown.registry.close()

    run(story)


def test_everything_is_served_from_here_and_guarded() -> None:
    async def story() -> None:
        shown = Shown()
        async with shown.open() as (_, http):
            page = await http.get("/")
            names = re.findall(r'(?:src|href)="([^#"]+)"', page.text)
            assert len(names) >= 3
            paths = ["/", *(f"/{name}" for name in names), "/api/street", "/api/households/roof-0.street"]
            for path in paths:
                answer = await http.get(path)
                assert answer.status_code == 200, path
                assert answer.headers["x-content-type-options"] == "nosniff"
                policy = answer.headers["content-security-policy"]
                assert "default-src 'none'; script-src 'self'; style-src 'self'" in policy
                assert "unsafe" not in policy
            for path in ("/page/secret", "/page/..%2froutes.py", "/page/%2e%2e/routes.py", "/api/trades/none"):
                assert (await http.get(path)).status_code == 404, path
            assert (await http.get("/api/street")).json()["parties"][0]["name"] == "roof-0"
            assert (await http.get("/api/households/nobody")).status_code == 404

    run(story)


def test_modules_import_only_files_that_are_there() -> None:
    files = {path.name for path in PAGE.iterdir()}
    imported = {
        name
        for path in PAGE.glob("*.js")
        for name in re.findall(r'^import .* from "\./(.+)";$', path.read_text(), re.M)
    }
    assert imported | {"main.js"} == {path.name for path in PAGE.glob("*.js")}
    assert {"index.html", "style.css", "icon.svg"} < files


def test_text_becomes_no_markup_and_nothing_comes_from_elsewhere() -> None:
    for path in PAGE.iterdir():
        text = path.read_text().replace("http://www.w3.org/2000/svg", "")
        assert "://" not in text, path.name
        for word in ("innerHTML", "outerHTML", "insertAdjacentHTML", "document.write", "eval(", "style="):
            assert word not in text, f"{path.name}: {word}"


def test_the_page_is_where_the_wheel_and_the_image_take_it_from() -> None:
    root = Path(__file__).parents[3]
    assert PAGE.is_relative_to(root / "gateway/wattmesh_gateway")
    ignored = (root / ".dockerignore").read_text().split() + (root / ".gitignore").read_text().split()
    assert not [pattern for pattern in ignored if pattern.endswith((".js", ".css", ".html", ".svg", "page", "page/"))]
