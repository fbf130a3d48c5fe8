"""Deliveries per second over loopback HTTP, beside what bare messages cost in the same process.

The street of examples/street.yaml trades for a while of wall time at growing speeds, gateway and agents in one process.
A bare message is a POST of 1 kB to a FastAPI endpoint that does nothing with it, sent by the HTTP client that wattmesh
uses: as many deliveries as these would carry, if nothing were signed, checked, decided or written, are the bound.
"""

from __future__ import annotations

import asyncio
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import httpx
import uvloop
from fastapi import FastAPI, Request, Response
from httpx_aiohttp import AiohttpTransport

from bench.days import STREET
from bench.tables import Measured
from wattmesh_cli.state import locked
from wattmesh_cli.street.local import LOOPBACK, listen, running_street, serving
from wattmesh_cli.street.run import StreetRun
from wattmesh_operator.manifests import load
from wattmesh_operator.plan import plan

SPEEDS = (960, 3600)
RUN_S = 12
GOAL_PERCENT = 60
POSTS = 3000
POSTS_AT_ONCE = 20
BODY = b"x" * 1024
CLIENTS: dict[str, Callable[[], httpx.AsyncBaseTransport]] = {
    "httpx": lambda: httpx.AsyncHTTPTransport(),
    "httpx over aiohttp": lambda: AiohttpTransport(),
}
"""wattmesh uses the second."""


@dataclass(frozen=True)
class _Run:
    deliveries: int
    missed: int
    messages: int
    cpu_s: float
    wall_s: float


def measure() -> list[Measured]:
    """A row for each speed, with the share of the bound that it reached."""
    bare_per_s = {name: asyncio.run(_posts_per_s(make)) for name, make in CLIENTS.items()}
    rows = []
    for speed in SPEEDS:
        run = uvloop.run(_trade(speed))
        per_delivery = run.messages / run.deliveries if run.deliveries else 0.0
        bound = bare_per_s["httpx over aiohttp"] / per_delivery if per_delivery else 0.0
        rate = run.deliveries / run.wall_s
        rows.append(
            (
                str(speed),
                f"{rate:.1f}",
                str(run.missed),
                f"{per_delivery:.1f}",
                *(f"{posts:.0f}" for posts in bare_per_s.values()),
                f"{bound:.0f}",
                f"{100 * rate / bound:.0f} %" if bound else "-",
                f"{GOAL_PERCENT} %",
                f"{1000 * run.cpu_s / run.deliveries:.0f}" if run.deliveries else "-",
                f"{100 * run.cpu_s / run.wall_s:.0f}",
            )
        )
    columns = [
        "speed", "deliveries/s", "missed", "messages per delivery", *(f"bare posts/s, {name}" for name in CLIENTS),
        "bound, deliveries/s", "of bound", "goal", "CPU ms per delivery", "CPU %",
    ]  # fmt: skip
    return [Measured("trading", columns, rows)]


async def _posts_per_s(make: Callable[[], httpx.AsyncBaseTransport]) -> float:
    app = FastAPI()

    @app.post("/")
    async def take(request: Request) -> Response:
        return Response(await request.body())

    listener = listen()
    url = f"http://{LOOPBACK}:{listener.getsockname()[1]}/"
    async with serving(app, listener), httpx.AsyncClient(transport=make(), trust_env=False) as client:

        async def send() -> None:
            for _ in range(POSTS // POSTS_AT_ONCE):
                (await client.post(url, content=BODY)).raise_for_status()

        await send()
        began = time.perf_counter()
        await asyncio.gather(*(send() for _ in range(POSTS_AT_ONCE)))
        return POSTS / (time.perf_counter() - began)


async def _trade(speed: int) -> _Run:
    """A street for `RUN_S` of its clock; it takes longer where the clock waits for messages."""
    street_plan = plan(load([str(STREET)]))[0]
    with tempfile.TemporaryDirectory() as folder, locked(Path(folder)):
        async with running_street(street_plan, Path(folder), speed=speed, last_for=RUN_S * speed) as street:
            cpu, wall = time.process_time(), time.perf_counter()
            await street.until_end()
            cpu_s, wall_s = time.process_time() - cpu, time.perf_counter() - wall
            await street.finish(10)
            return _counted(street, cpu_s, wall_s)


def _counted(street: StreetRun, cpu_s: float, wall_s: float) -> _Run:
    deliveries = missed = messages = 0
    for pod in street.pods.values():
        query = "SELECT count(*) FROM contracts WHERE side = 'buyer' AND state = 'SETTLED'"
        deliveries += pod.database.connection.execute(query).fetchone()[0]
        missed += pod.metrics.missed_gate_count
        samples = (sample for metric in pod.metrics.sent.collect() for sample in metric.samples)
        messages += sum(int(sample.value) for sample in samples if sample.name.endswith("_total"))
    return _Run(deliveries, missed, messages, cpu_s, wall_s)
