"""Plays the pods of a cluster in one process: `python -m bench.scale.agents ADDRESS`.

Which pod is meant the Host header says. `POST /play` with `{"pod": [names]}` tells which parties a pod has, and
`POST /hang` with `[pods]` which of them do not answer.
"""

from __future__ import annotations

import asyncio
import json
import sys
import uuid
from datetime import UTC, datetime

import pydantic_core
from aiohttp import web

from wattmesh_beckn.answers import PLAIN_ACK
from wattmesh_common.drain import DrainAnswer
from wattmesh_common.pod_pages import PartyKind, PartyStatus

PORT = 8080
_HANGS_S = 3600.0


class Players:
    """The pods' pages."""

    def __init__(self) -> None:
        self._pages: dict[str, bytes] = {}
        self._hanging: frozenset[str] = frozenset()
        self.asked = 0

    async def play(self, request: web.Request) -> web.Response:
        """Take on pods."""
        for pod, names in (await request.json()).items():
            self._pages[pod] = pydantic_core.to_json([_party(name) for name in names])
        return web.Response()

    async def hang(self, request: web.Request) -> web.Response:
        """From now on these do not answer."""
        self._hanging = frozenset(await request.json())
        return web.Response()

    async def status(self, request: web.Request) -> web.Response:
        """`/status` of a pod."""
        self.asked += 1
        pod = request.host.partition(".")[0]
        if pod in self._hanging:
            await asyncio.sleep(_HANGS_S)
        if pod not in self._pages:
            raise web.HTTPNotFound
        return web.Response(body=self._pages[pod], content_type="application/json")

    async def drain(self, request: web.Request) -> web.Response:
        """A household that settles at once."""
        call = json.loads(await request.read())
        answer = DrainAnswer(draining=call["draining"], open_contracts=0, closed=call["draining"])
        return web.Response(body=answer.model_dump_json().encode(), content_type="application/json")

    async def beckn(self, request: web.Request) -> web.Response:
        """Whatever else is asked is taken, and nothing comes of it."""
        await request.read()
        return web.Response(body=PLAIN_ACK.body, content_type="application/json")


def _party(name: str) -> PartyStatus:
    return PartyStatus(
        name=name,
        kind=PartyKind.HOUSEHOLD,
        subscriber_id=f"{name}.scale",
        feeder="main",
        level_wh=5_000,
        capacity_wh=10_000,
        sold_wh=1_234,
        bought_wh=250,
        balance_micro=-1_204_999,
        currency="EUR",
        open_contracts=0,
        in_doubt=0,
        draining=False,
        metered_until=datetime(2026, 6, 21, 6, tzinfo=UTC),
        key_id=str(uuid.uuid4()),
        account=str(uuid.uuid4()),
    )


def main() -> None:
    """Serve until killed."""
    players, app = Players(), web.Application()
    app.add_routes(
        [
            web.post("/play", players.play),
            web.post("/hang", players.hang),
            web.get("/status", players.status),
            web.post("/{party}/drain", players.drain),
            web.post("/{path:.*}", players.beckn),
        ]
    )
    web.run_app(app, host=sys.argv[1], port=PORT, print=None, access_log=None, handler_cancellation=True)


if __name__ == "__main__":
    main()
