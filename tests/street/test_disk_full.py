"""A disk that is full for a while: nothing is acknowledged that is not written, and nothing is lost."""

from __future__ import annotations

import sqlite3
from collections.abc import Mapping

import httpx
import pytest

from tests.street.test_faults import STREET
from tests.world.manifests import planned
from tests.world.street import play
from wattmesh_agents.app import create_app
from wattmesh_agents.pod import Pod
from wattmesh_beckn.transport import Reply, Transport
from wattmesh_cli.street.run import StreetRun
from wattmesh_common.clock import LoopClock

PLAN = planned(STREET)
FULL_S = 25.0
"""More than a slot and a half (wall time)."""


class Listening:
    """A transport that keeps what was answered: HTTP status and `Retry-After`, by pod."""

    def __init__(self, inner: Transport) -> None:
        self._inner = inner
        self.answers: list[tuple[str, int, str | None]] = []

    async def post(self, url: str, body: bytes, headers: Mapping[str, str], *, timeout_s: float) -> Reply:
        reply = await self._inner.post(url, body, headers, timeout_s=timeout_s)
        self.answers.append((url.split("/")[2], reply.status, reply.headers.get("retry-after")))
        return reply


def fill(pod: Pod) -> None:
    """Let the database have no page more than it needs: what SQLite then says is what it says of a full disk."""
    pod.database.connection.execute("VACUUM")
    (pages,) = pod.database.connection.execute("PRAGMA page_count").fetchone()
    pod.database.connection.execute(f"PRAGMA max_page_count = {pages}")
    with pytest.raises(sqlite3.OperationalError, match="full"), pod.database.transaction() as connection:
        connection.execute("INSERT INTO meta VALUES ('large', hex(zeroblob(5000000)))")


def make_room(pod: Pod) -> None:
    pod.database.connection.execute("PRAGMA max_page_count = 1000000")


async def ready(pages: httpx.AsyncClient) -> tuple[int, str]:
    """What a pod's pages say."""
    answer = await pages.get("/health/ready")
    live = await pages.get("/health/live")
    assert live.status_code == 200, "a restart would not help"
    return answer.status_code, answer.json()["status"]


@pytest.mark.parametrize("begin_s", [4.0, 19.0])
def test_a_disk_that_is_full_for_a_while(begin_s: float) -> None:
    heard: list[Listening] = []
    clocks: list[LoopClock] = []
    seen: dict[str, set[tuple[int, str]]] = {}

    def wrap(inner: Transport, clock: LoopClock) -> Transport:
        heard.append(Listening(inner))
        clocks.append(clock)
        return heard[0]

    async def watch(run: StreetRun) -> None:
        await clocks[0].sleep(begin_s)
        pages = {
            name: httpx.AsyncClient(transport=httpx.ASGITransport(create_app(pod)), base_url=f"http://{name}")
            for name, pod in run.pods.items()
        }
        for pod in run.pods.values():
            fill(pod)
        for _ in range(int(FULL_S)):
            await clocks[0].sleep(1.0)
            for name, pod in run.pods.items():
                assert pod.alive
                assert len(pod._steps.tasks) < 60
                seen.setdefault(name, set()).add(await ready(pages[name]))
        for pod in run.pods.values():
            make_room(pod)
        await clocks[0].sleep(20.0)
        for name, pod in run.pods.items():
            assert pod.refusal is None, name
            assert (await ready(pages[name]))[0] == 200

    street = play(PLAN, 1.5, seed=31, wrap=wrap, watch=watch)
    said = (503, "the database cannot be written: database or disk is full")
    assert sum(said in statuses for statuses in seen.values()) >= 2, seen
    refusals = {(status, again) for _, status, again in heard[0].answers if status >= 500}
    assert refusals == {(503, "2")}
    street.check_sound()
    street.check_settled()
    assert [row for row in street.contracts("buyer") if row.state == "SETTLED"]
