"""One run of a street from a command: until its time is over or a signal comes, with a live view on a terminal."""

from __future__ import annotations

import asyncio
import logging
import signal
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import uvloop
from rich.console import Console

from wattmesh_cli.state import StateError, is_simulation
from wattmesh_cli.street.live import live_view
from wattmesh_cli.street.local import locked, running_street
from wattmesh_cli.street.run import StreetRun
from wattmesh_common.logs import configure
from wattmesh_common.serving import freeze_heap
from wattmesh_operator.plan import GatewayPlan

log = logging.getLogger(__name__)

_SETTLE_S = 10.0


@dataclass(frozen=True)
class SessionResult:
    """What a run leaves to say: whether its time was over, trades missed for slowness, and faults."""

    completed: bool
    missed_gates: int
    faults: int


def run_session(plan: GatewayPlan, state: Path, speed: float | None, last_for_s: float | None) -> SessionResult:
    """Run a street in the foreground. Raises StateError when the state directory or ports cannot be used."""
    configure()
    with locked(state):
        if is_simulation(state):
            raise StateError(
                f"{state}: holds a simulation; 'wattmesh simulate' goes on with it, or name another --state"
            )
        freeze_heap()
        return uvloop.run(_run(plan, state, speed, last_for_s))


async def _run(plan: GatewayPlan, state: Path, speed: float | None, last_for_s: float | None) -> SessionResult:
    stop = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    console = Console()
    async with running_street(plan, state, speed=speed, last_for=last_for_s) as street:
        log.info("live page: %s/", street.gateway_url)
        log.info("gateway at %s; %d pods; speed %g", street.gateway_url, len(street.pods), street.time.speed)
        async with live_view(street, console) if console.is_terminal else _plain():
            stopping = asyncio.ensure_future(stop.wait())
            ending = [] if last_for_s is None else [asyncio.ensure_future(street.until_end())]
            await asyncio.wait((stopping, *ending), return_when=asyncio.FIRST_COMPLETED)
            for task in (stopping, *ending):
                task.cancel()
            completed = not stop.is_set()
            if completed:
                await street.finish(_SETTLE_S)
        return _result(street, completed)


@asynccontextmanager
async def _plain() -> AsyncIterator[None]:
    yield


def _result(street: StreetRun, completed: bool) -> SessionResult:
    pods = street.pods.values()
    return SessionResult(
        completed=completed,
        missed_gates=sum(pod.metrics.missed_gate_count for pod in pods),
        faults=sum(pod.metrics.fault_count for pod in pods),
    )
