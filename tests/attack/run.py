"""One street, attacked or quiet, for some delivery slots: what the honest sold, and what it cost the process.

In virtual time (`attacked_in_memory`) the honest sell what the market lets them, on every machine alike. Over HTTP
(`attacked`) the process and its connections are under attack, too, and sales follow from the machine and who else works
on it as well.
"""

from __future__ import annotations

import asyncio
import json
import shutil
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

from bench.resident import resident_mb
from tests.attack.attacks import Attack
from tests.attack.foe import HttpFoe, VirtualFoe
from tests.attack.street import STREET, street_of
from tests.security.partners import honest_sales
from tests.street.puppet import SEED
from tests.world.street import books_of
from wattmesh_cli.audit import audit
from wattmesh_cli.books import Book
from wattmesh_cli.sqlite_books import read_books
from wattmesh_cli.street.memory import run_in_memory, simulate
from wattmesh_cli.street.run import StreetRun, subscriber_ids
from wattmesh_common.fields import V1_ONLY, ProtocolVersion
from wattmesh_market.energy.slots import SLOT_S

_START_S = 120.0
"""How long a street may take to come up, and to go."""
_SLOWER = 6
"""A run ends when this many times the wall time has passed that its slots should take."""


@dataclass(frozen=True)
class Result:
    """What became of a street. Memory is that of its whole process, gateway and pods; None in virtual time."""

    attack: str
    test: str
    sales: int
    slots: float
    calls: int
    findings: dict[str, int]
    broke: str = ""
    rss_mb: tuple[float, float] | None = None

    @property
    def per_grid_minute(self) -> float:
        """Honest sales per minute of grid time."""
        return self.sales / (self.slots * SLOT_S / 60) if self.slots else 0.0


def attacked_in_memory(
    attack: Attack | None, *, slots: int, speed: float, protocols: Sequence[ProtocolVersion] = V1_ONLY
) -> Result:
    """Run a street for so many slots of grid time in virtual time, beside an attack or quiet."""
    street, foe = street_of(*protocols), VirtualFoe(speed)
    broke = ""

    async def watch(run: StreetRun) -> None:
        nonlocal broke
        await foe.enter(run)
        if attack is not None:
            work = asyncio.ensure_future(attack.go(foe))
            try:
                await asyncio.wait([work])
            finally:
                broke = await stopped(work)

    end = street.resource.spec.clock.start + timedelta(seconds=slots * SLOT_S)
    run = simulate(lambda: run_in_memory(street, end, seed=SEED, speed=speed, wrap=foe, watch=watch))
    books = books_of(run)
    run.close()
    return _result(attack, books, slots, foe.sent, broke)


async def attacked(
    attack: Attack | None, *, slots: int, speed: float, protocols: Sequence[ProtocolVersion] = V1_ONLY
) -> Result:
    """Run a street for so many slots of grid time, beside an attack or quiet. TimeoutError when it does not come up.

    Attacks are in v1, which must be among its `protocols`.
    """
    state = Path(tempfile.mkdtemp(prefix="wattmesh-attack-"))
    with (state / "log").open("wb") as log:
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "tests.attack.street", str(state), str(speed), *protocols,
            stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE, stderr=log,
        )  # fmt: skip
        try:
            return await _watched(attack, process, state, slots, speed)
        finally:
            if process.returncode is None:
                process.kill()
                await process.wait()
            shutil.rmtree(state, ignore_errors=True)


async def _watched(
    attack: Attack | None, process: asyncio.subprocess.Process, state: Path, slots: int, speed: float
) -> Result:
    assert process.stdin is not None
    assert process.stdout is not None
    said = json.loads(await asyncio.wait_for(process.stdout.readline(), _START_S))
    foe = HttpFoe(state, said["origins"], speed)
    try:
        await foe.join()
        begin_s, began = foe.grid_s, time.monotonic()
        before_mb = resident_mb(process.pid)
        work = asyncio.ensure_future(attack.go(foe)) if attack is not None else None
        last = began + _SLOWER * slots * foe.slot_s
        # Grid time is another process's.
        while foe.grid_s < begin_s + slots * SLOT_S and time.monotonic() < last and process.returncode is None:  # noqa: ASYNC110
            await asyncio.sleep(0.1)
        went, after_mb = (foe.grid_s - begin_s) / SLOT_S, resident_mb(process.pid)
        broke = await stopped(work)
    finally:
        await foe.wires.close()
    process.stdin.close()
    with suppress(TimeoutError):
        await asyncio.wait_for(process.wait(), _START_S)
    return _result(attack, read_books(state), went, foe.sent, broke, (before_mb, after_mb))


def _result(
    attack: Attack | None,
    books: Sequence[Book],
    slots: float,
    calls: int,
    broke: str,
    rss_mb: tuple[float, float] | None = None,
) -> Result:
    findings = Counter(finding.kind for finding in audit(books, frozenset(subscriber_ids(STREET))).findings)
    name, test = ("quiet", "") if attack is None else (attack.name, attack.test)
    return Result(name, test, honest_sales(books), slots, calls, dict(findings), broke, rss_mb)


async def stopped(work: asyncio.Future[None] | None) -> str:
    """End an attack; why it had ended before, if it had."""
    if work is None:
        return ""
    ended = work.done()
    work.cancel()
    try:
        await work
    except asyncio.CancelledError:
        return ""
    except Exception as error:  # noqa: BLE001 - whatever it is, the attack was none from then on
        return f"{type(error).__name__}: {error}"
    return "ended by itself" if ended else ""
