"""A street over loopback HTTP: gateway and pods in one process, each on its own port, files in a state directory."""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import os
import random
import socket
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from datetime import datetime
from pathlib import Path

import uvicorn
from fastapi import FastAPI

from wattmesh_agents.app import create_app as create_agents_app
from wattmesh_agents.chat import adviser_of
from wattmesh_agents.store.database import Database
from wattmesh_beckn.transport import HttpTransport
from wattmesh_cli.state import StateError
from wattmesh_cli.street.clock import begin_or_go_on, keep
from wattmesh_cli.street.keys import kept_signers
from wattmesh_cli.street.run import GridTime, Ports, StreetRun, subscriber_ids
from wattmesh_cli.street.waiting_clock import WaitingClock
from wattmesh_common.clock import Clock, SystemClock
from wattmesh_common.connections import Door
from wattmesh_common.serving import LIMITS, server_settings
from wattmesh_common.sqlite_files import DatabaseRefused
from wattmesh_gateway.app import create_app as create_gateway_app
from wattmesh_gateway.registry import Registry
from wattmesh_market.energy.slots import SLOT_S
from wattmesh_market.strategies import advised
from wattmesh_operator.plan import GatewayPlan

LOOPBACK = "127.0.0.1"
_KEEP_CLOCK_S = 0.5
_GRACE_S = 5
_START_S = 1.5
"""What starting the servers takes; grid time begins after it, so that no slot is lost to it."""


@contextmanager
def locked(state: Path) -> Iterator[None]:
    """Make the state directory and keep others from running on it; StateError when somebody does."""
    try:
        state.mkdir(parents=True, exist_ok=True)
        file = (state / "lock").open("w", encoding="utf-8")
    except OSError as error:
        raise StateError(f"{state}: cannot be used: {error.strerror}") from None
    with file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            raise StateError(f"{state}: a street is running on it already; stop it, or name another --state") from None
        yield


@asynccontextmanager
async def running_street(
    plan: GatewayPlan, state: Path, *, speed: float | None = None, last_for: float | None = None
) -> AsyncIterator[StreetRun]:
    """A street that trades while the block runs, and is stopped and kept when it ends.

    `speed` is grid seconds per second (default: where it was, or the manifest's); trading stops `last_for` grid seconds
    from now. Raises StateError when files or ports cannot be used.
    """
    clock = WaitingClock(SystemClock())
    (state / "agents").mkdir(exist_ok=True)
    signers = kept_signers(state / "keys.json", subscriber_ids(plan))
    chosen = plan.resource.spec.clock
    transport = HttpTransport()
    sockets = {name: listen() for name in ("", *(pod.name for pod in plan.pods))}
    urls = {name: f"http://{LOOPBACK}:{listener.getsockname()[1]}" for name, listener in sockets.items()}
    begin = clock.wall() + _START_S
    time = begin_or_go_on(state / "clock.json", chosen.start, speed, float(chosen.speed), begin)
    if last_for is not None:
        end = datetime.fromtimestamp(time.start.timestamp() + last_for, time.start.tzinfo)
        time = GridTime(time.start, time.epoch, time.speed, end)
    ports = Ports(
        transport,
        clock,
        random.Random(),  # noqa: S311 - jitter
        signers,
        lambda: Registry(state / "gateway.db"),
        lambda name: Database.open(state / "agents" / f"{name}.db"),
        adviser_of(_advised(plan), os.environ),
    )
    try:
        street = StreetRun(plan, time, ports, urls[""], urls)
    except DatabaseRefused as error:
        raise StateError(str(error)) from None
    keep(state / "clock.json", time, begin)
    door = Door(LIMITS.connections)
    async with contextlib.AsyncExitStack() as stack:
        stack.callback(street.close)
        stack.push_async_callback(transport.close)
        await stack.enter_async_context(serving(create_gateway_app(street.gateway, transport), sockets[""], door))
        for name, pod in street.pods.items():
            await stack.enter_async_context(serving(create_agents_app(pod), sockets[name], door))
        stack.callback(lambda: keep(state / "clock.json", time, clock.wall()))
        stack.callback(asyncio.ensure_future(clock.run()).cancel)
        stack.push_async_callback(street.stop)
        stack.callback(asyncio.ensure_future(_keep_clock(state / "clock.json", time, clock)).cancel)
        await street.start(begin)
        clock.wait_for(lambda: street.under_way, SLOT_S / time.speed)
        yield street


def _advised(plan: GatewayPlan) -> list[str]:
    return [who.name for pod in plan.pods if advised(pod.owner.spec.strategy) for who in pod.participants]


async def _keep_clock(path: Path, time: GridTime, clock: Clock) -> None:
    while True:
        keep(path, time, clock.wall())
        await clock.sleep(_KEEP_CLOCK_S)


def listen() -> socket.socket:
    """A socket that listens on a free loopback port."""
    listener = socket.socket(
        socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP
    )  # named, or asyncio leaves Nagle on
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    listener.bind((LOOPBACK, 0))
    listener.listen(512)
    return listener


class _Server(uvicorn.Server):
    """Leaves signals to the command that runs the street."""

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Capture none."""
        yield


@asynccontextmanager
async def serving(app: FastAPI, listener: socket.socket, door: Door | None = None) -> AsyncIterator[None]:
    """Serve an app on a listening socket while the block runs; see `server_settings` for the door."""
    server = _Server(server_settings(app, grace_s=_GRACE_S, door=door))
    serving = asyncio.ensure_future(server.serve(sockets=[listener]))
    while not server.started:
        if serving.done():
            await serving
            raise StateError("a server did not start")
        await asyncio.sleep(0.005)
    try:
        yield
    finally:
        server.should_exit = True
        await serving
