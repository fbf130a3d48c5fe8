"""A street over loopback HTTP: gateway and pods in one process, each on its own port, files in a state directory."""

from __future__ import annotations

import asyncio
import logging
import os
import random
import socket
from collections.abc import AsyncIterator, Coroutine, Iterator
from contextlib import AsyncExitStack, asynccontextmanager, closing, contextmanager, suppress
from datetime import timedelta
from pathlib import Path
from typing import Any

import uvicorn
from fastapi import FastAPI

from wattmesh_agents import brain
from wattmesh_agents.app import create_app as create_agents_app
from wattmesh_agents.chat import adviser_of
from wattmesh_agents.store.database import Database
from wattmesh_beckn.transport import HttpTransport
from wattmesh_cli.sqlite_books import first_unmetered_slot
from wattmesh_cli.state import AGENTS, CLOCK, GATEWAY, KEYS, TOKEN, StateError
from wattmesh_cli.street.clock import keep, resumed
from wattmesh_cli.street.keys import kept_signers, kept_token
from wattmesh_cli.street.prices import require_prices_until
from wattmesh_cli.street.run import GridTime, Ports, StreetRun, subscriber_ids
from wattmesh_cli.street.waiting_clock import WaitingClock
from wattmesh_cli.street_record import remember
from wattmesh_common.clock import Clock, SystemClock
from wattmesh_common.connections import Door
from wattmesh_common.serving import LIMITS, server_settings
from wattmesh_common.sqlite_files import DatabaseRefused
from wattmesh_gateway.app import create_app as create_gateway_app
from wattmesh_gateway.registry import Registry
from wattmesh_market.energy.slots import SLOT_S, slot_of
from wattmesh_market.parties.config import HouseholdConfig, UtilityConfig
from wattmesh_market.strategies import advised
from wattmesh_operator.plan import GatewayPlan

log = logging.getLogger(__name__)

LOOPBACK = "127.0.0.1"
_KEEP_CLOCK_S = 0.5
_GRACE_S = 5
_START_S = 1.5
"""What starting the servers takes; grid time begins after it, so that no slot is lost to it."""


@asynccontextmanager
async def running_street(
    plan: GatewayPlan,
    state: Path,
    *,
    speed: float | None = None,
    last_for: float | None = None,
    port: int = 0,
    demo: bool = False,
) -> AsyncIterator[StreetRun]:
    """A street that trades while the block runs, and is stopped and kept when it ends.

    `speed` is grid seconds per second (default: the manifest's); trading stops `last_for` grid seconds from now. `port`
    is the gateway's, 0 any; `demo` marks the state as the demo's. Raises StateError when the directory holds another
    street, or files or ports cannot be used.
    """
    brain.prepare()  # before grid time begins
    async with AsyncExitStack() as stack:
        names = ["", *(pod.name for pod in plan.pods)]
        sockets = {name: stack.enter_context(closing(listen(0 if name else port))) for name in names}
        urls = {name: f"http://{LOOPBACK}:{listener.getsockname()[1]}" for name, listener in sockets.items()}
        chosen = plan.resource.spec.clock
        clock = WaitingClock(SystemClock())
        grid = resumed(state / CLOCK, chosen.start, clock.wall(), first_unmetered_slot(state))
        end = None if last_for is None else grid + timedelta(seconds=last_for)
        if end is not None:
            require_prices_until(plan, end)
        remember(state, plan, slot_of(grid.timestamp()), demo=demo)
        begin = clock.wall() + _START_S
        time = GridTime(grid, begin, speed or float(chosen.speed), end)
        (state / AGENTS).mkdir(exist_ok=True)
        transport = HttpTransport()
        stack.push_async_callback(transport.close)
        token = kept_token(state / TOKEN)
        ports = Ports(
            transport,
            clock,
            random.Random(),  # noqa: S311 - jitter
            kept_signers(state / KEYS, subscriber_ids(plan)),
            lambda: Registry(state / GATEWAY),
            lambda name: Database.open(state / AGENTS / f"{name}.db"),
            adviser_of(_advised(plan), os.environ),
            token=token,
        )
        try:
            street = StreetRun(plan, time, ports, urls[""], urls)
        except DatabaseRefused as error:
            raise StateError(str(error)) from None
        stack.callback(street.close)
        door = Door(LIMITS.connections)
        await stack.enter_async_context(
            serving(create_gateway_app(street.gateway, transport, token), sockets[""], door)
        )
        for name, pod in street.pods.items():
            await stack.enter_async_context(serving(create_agents_app(pod), sockets[name], door))
        stack.callback(_keep, state, time, clock)
        await stack.enter_async_context(beside(clock.run()))
        stack.push_async_callback(street.stop)
        await stack.enter_async_context(beside(_keep_clock(state, time, clock)))
        await street.start(begin)
        clock.wait_for(lambda: street.under_way, SLOT_S / time.speed)
        yield street


@asynccontextmanager
async def beside(work: Coroutine[Any, Any, None]) -> AsyncIterator[None]:
    """Do something without an end while the block runs; what it raised is raised when the block ends."""
    task = asyncio.ensure_future(work)
    try:
        yield
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task


def _advised(plan: GatewayPlan) -> list[str]:
    parties: list[HouseholdConfig | UtilityConfig] = []
    for pod in plan.pods:
        parties += [*pod.households, *pod.utilities]
    return [party.name for party in parties if advised(party.strategy)]


async def _keep_clock(state: Path, time: GridTime, clock: Clock) -> None:
    while True:
        _keep(state, time, clock)
        await clock.sleep(_KEEP_CLOCK_S)


def _keep(state: Path, time: GridTime, clock: Clock) -> None:
    try:
        keep(state / CLOCK, max(time.start, time.at(clock.wall())), clock.wall())
    except OSError as error:  # after a restart grid time goes on from the books
        log.warning("%s cannot be written: %s", state / CLOCK, error.strerror)


def listen(port: int = 0) -> socket.socket:
    """A socket that listens on a loopback port, 0 is any free one. StateError when it is taken."""
    # The protocol is named, or asyncio leaves Nagle on.
    listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    if os.name == "posix":  # elsewhere it would let two servers share a port
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((LOOPBACK, port))
        listener.listen(512)
    except OSError as error:
        listener.close()
        raise StateError(f"port {port} of {LOOPBACK} cannot be used: {error.strerror}; name another --port") from None
    return listener


class _Server(uvicorn.Server):
    """Leaves signals to the command that runs the street."""

    @contextmanager
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
