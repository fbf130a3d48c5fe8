"""One run of a street from a command: until its time is over or a signal comes, with a live view on a terminal."""

from __future__ import annotations

import asyncio
import logging
import signal
import webbrowser
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from types import FrameType
from typing import Any

from rich.console import Console

from wattmesh_cli.state import TOKEN, clear, locked
from wattmesh_cli.street.live import live_view
from wattmesh_cli.street.local import running_street
from wattmesh_cli.street.run import StreetRun
from wattmesh_common.logs import configure
from wattmesh_common.starting import freeze_heap
from wattmesh_operator.plan import GatewayPlan

log = logging.getLogger(__name__)

_SETTLE_S = 10.0


@dataclass(frozen=True)
class Session:
    """How a street is run: `speed` in grid seconds per second (None: the manifest's), for `last_for_s` grid seconds
    (None: until a signal), its live page on `port` (0: any) and opened in a browser. `fresh` deletes what the state
    directory holds; `demo` lets the demo do so.
    """

    speed: float | None = None
    last_for_s: float | None = None
    port: int = 0
    open_page: bool = False
    fresh: bool = False
    demo: bool = False


@dataclass(frozen=True)
class SessionResult:
    """What a run leaves to say: whether its time was over, trades missed for slowness, and faults."""

    completed: bool
    missed_gates: int
    faults: int


def run_session(plan: GatewayPlan, state: Path, session: Session) -> SessionResult:
    """Run a street in the foreground. Raises StateError when the state directory or ports cannot be used."""
    configure()
    with locked(state):
        if session.fresh:
            clear(state)
        freeze_heap()
        with asyncio.Runner(loop_factory=_uvloop()) as runner:
            return runner.run(_run(plan, state, session))


def _uvloop() -> Any:
    """The factory of uvloop's event loops; None, for Python's own, where there is no uvloop (Windows)."""
    try:
        return import_module("uvloop").new_event_loop
    except ImportError:
        return None


async def _run(plan: GatewayPlan, state: Path, session: Session) -> SessionResult:
    console = Console()
    street = running_street(
        plan, state, speed=session.speed, last_for=session.last_for_s, port=session.port, demo=session.demo
    )
    with _stopping() as stop:
        async with street as running:
            page = f"{running.gateway_url}/"
            log.info("live page: %s", page)
            log.info("it shows households and trades to who logs in with what is in %s", state / TOKEN)
            log.info("gateway at %s; %d pods; speed %g", running.gateway_url, len(running.pods), running.time.speed)
            link = f"{page}#token={running.token.text}" if running.token else page
            if session.open_page and not webbrowser.open(link):
                log.warning("no browser could be opened")
            async with live_view(running, console) if console.is_terminal else _plain():
                stopping = asyncio.ensure_future(stop.wait())
                ending = [] if session.last_for_s is None else [asyncio.ensure_future(running.until_end())]
                await asyncio.wait((stopping, *ending), return_when=asyncio.FIRST_COMPLETED)
                for task in (stopping, *ending):
                    task.cancel()
                completed = not stop.is_set()
                if completed:
                    await running.finish(_SETTLE_S)
            return _result(running, completed)


@contextmanager
def _stopping() -> Iterator[asyncio.Event]:
    """Set by SIGINT or SIGTERM within the block. Loops on Windows know no signals, so these are Python's own."""
    stop, loop = asyncio.Event(), asyncio.get_running_loop()

    def came(_: int, __: FrameType | None) -> None:
        loop.call_soon_threadsafe(stop.set)

    former = {number: signal.signal(number, came) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield stop
    finally:
        for number, handler in former.items():
            signal.signal(number, handler)


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
