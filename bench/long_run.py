"""A street that trades for 30 days of grid time by messages, in memory, with its databases on files: what grows.

The street is that of `examples/street.yaml` (ten households and a utility), gateway and pods in one process and in
virtual time. Of each stage it is told what its days took: pages of all databases per household and day, resident
memory of the process, CPU time, and how long the pages that commands and live page ask for take with all that is there.
"""

from __future__ import annotations

import os
import statistics
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable, Iterator
from datetime import datetime, timedelta
from functools import partial
from pathlib import Path
from typing import NamedTuple

from bench.days import STREET
from bench.resident import resident_mb
from bench.tables import Measured
from wattmesh_agents.history import history_page, slot_page
from wattmesh_agents.pod import Pod
from wattmesh_agents.status import pod_status
from wattmesh_agents.store.database import Database
from wattmesh_cli.audit import audit
from wattmesh_cli.sqlite_books import read_books
from wattmesh_cli.state import AGENTS
from wattmesh_cli.street.memory import run_in_memory, simulate
from wattmesh_cli.street.run import StreetRun
from wattmesh_market.energy.slots import DAY_S, SLOT_S, slot_of
from wattmesh_operator.manifests import load
from wattmesh_operator.plan import GatewayPlan, plan
from wattmesh_operator.resources import SolarAgent

STAGES = (1, 5, 10, 15, 20, 25, 30)
"""Days after which is measured."""
_TURNS = 5
_SETTLED = "SELECT count(*) FROM contracts WHERE side = 'buyer' AND state = 'SETTLED'"
_USED = (
    "SELECT (page_count - freelist_count) * page_size FROM pragma_page_count, pragma_freelist_count, pragma_page_size"
)


class _Stage(NamedTuple):
    """What there is after so many days: deliveries, bytes of all databases, resident MB, CPU seconds since the start,
    and milliseconds of CPU that each page takes of all pods together.
    """

    day: int
    deliveries: int
    used: int
    rss_mb: float
    cpu_s: float
    pages_ms: tuple[float, ...]


def measure() -> Iterator[Measured]:
    """A row for each stage, of its own days where it says per day."""
    yield Measured("long-run", *table(_in_memory))


Watch = Callable[[StreetRun], Awaitable[None]]


def _in_memory(street: GatewayPlan, folder: Path, end: datetime, watch: Watch) -> None:
    def database(pod: str, salt: str) -> Database:
        return Database.open(folder / AGENTS / f"{pod}.db", salt=salt)

    (folder / AGENTS).mkdir()
    simulate(lambda: run_in_memory(street, end, watch=watch, database=database)).close()


def table(trade: Callable[[GatewayPlan, Path, datetime, Watch], None]) -> tuple[list[str], list[tuple[str, ...]]]:
    """Columns and rows of a street that `trade` lets trade in a folder until an end, with somebody who watches."""
    (street,) = plan(load([STREET]))
    start, stages = street.resource.spec.clock.start, list[_Stage]()

    async def watch(run: StreetRun) -> None:
        began_s = time.process_time()
        for day in STAGES:
            end = start + timedelta(days=day)
            await run.until(end)
            stages.append(_stage(run, day, int(end.timestamp()), time.process_time() - began_s))
            sys.stderr.write(f"day {day}: {stages[-1]}\n")

    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        trade(street, folder, start + timedelta(days=STAGES[-1], seconds=SLOT_S), watch)
        findings = len(audit(read_books(folder)).findings)
    households = sum(isinstance(pod.owner, SolarAgent) for pod in street.pods)
    columns = [
        "day", "deliveries", "databases MB", "kB per household and day", "resident MB", "CPU s a day",
        *(f"{name} CPU ms" for name in PAGES), "audit findings",
    ]  # fmt: skip
    rows = []
    for before, stage in zip([_Stage(0, 0, 0, 0.0, 0.0, ()), *stages], stages, strict=False):
        days = stage.day - before.day
        per_household_kb = (stage.used - before.used) / 1000 / days / households
        rows.append(
            (
                str(stage.day),
                f"{stage.deliveries:,}",
                f"{stage.used / 10**6:.1f}",
                f"{per_household_kb:.0f}",
                f"{stage.rss_mb:.0f}",
                f"{(stage.cpu_s - before.cpu_s) / days:.1f}",
                *(f"{ms:.1f}" for ms in stage.pages_ms),
                str(findings) if stage is stages[-1] else "-",
            )
        )
    return columns, rows


PAGES: dict[str, Callable[[Pod, int], object]] = {
    "/status": lambda pod, _: pod_status(pod),
    "/history": lambda pod, now: history_page(pod, now - 2 * DAY_S),
    "/history/SLOT": lambda pod, now: slot_page(pod, slot_of(now - DAY_S)),
}
"""What is asked of each pod at a moment of grid time."""


def _stage(run: StreetRun, day: int, now: int, cpu_s: float) -> _Stage:
    pods = run.pods.values()
    counted, used = (
        sum(pod.database.connection.execute(query).fetchone()[0] for pod in pods) for query in (_SETTLED, _USED)
    )
    pages_ms = tuple(
        statistics.median(_took_ms(partial(_ask, run, page, now)) for _ in range(_TURNS)) for page in PAGES.values()
    )
    return _Stage(day, counted, used, resident_mb(os.getpid()), cpu_s, pages_ms)


def _ask(run: StreetRun, page: Callable[[Pod, int], object], now: int) -> None:
    for pod in run.pods.values():
        page(pod, now)


def _took_ms(work: Callable[[], None]) -> float:
    began = time.process_time()
    work()
    return 1000 * (time.process_time() - began)
