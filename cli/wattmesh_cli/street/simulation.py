"""A simulation in a state directory: begins or goes on, is saved now and then, and stops between two slots."""

from __future__ import annotations

import hashlib
import logging
import os
import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import timedelta
from pathlib import Path
from types import FrameType

from rich.console import Console

from wattmesh_cli.state import StateError, clear, locked
from wattmesh_cli.street.feeders import by_feeder, parties_of
from wattmesh_cli.street.prices import require_prices_until
from wattmesh_cli.street.progress import shown_progress
from wattmesh_cli.street.snapshots import Snapshot, Snapshots
from wattmesh_cli.street.virtual_time import slot_start
from wattmesh_cli.street.workers import Workers, workers
from wattmesh_cli.street_record import ADVICE, Over, Study, remember
from wattmesh_market.energy.slots import SLOT_S
from wattmesh_market.energy.tariff import Tariff
from wattmesh_market.mechanisms import BILATERAL
from wattmesh_market.parties.config import HouseholdConfig
from wattmesh_market.parties.plugged import origins, plugins_of
from wattmesh_market.plugins import Kind, given_of, require_portable
from wattmesh_market.plugins.watch import Trouble
from wattmesh_market.schedule import AHEAD_S
from wattmesh_operator.plan import GatewayPlan, runtime_config

SLOTS_A_DAY = 86_400 // SLOT_S
_SAVE_EVERY_S = 30.0
_SAVING_SHARE = 0.05
"""How much of the time may be spent on saving while a simulation runs."""


@dataclass(frozen=True)
class SimulationResult:
    """What one call did: slots that stood there before and now, whether that is all, how long it took, and faults.

    `cpu_s` is the time that this process and those it started have computed; `troubles` what plug-ins did wrong.
    """

    slots_before: int
    slots: int
    completed: bool
    wall_s: float
    cpu_s: float
    faults: int
    troubles: tuple[Trouble, ...] = ()


def run_simulation(
    plan: GatewayPlan,
    state: Path,
    *,
    days: int,
    seed: int,
    console: Console,
    log_level: int,
    jobs: int = 1,
    scheduler: str | None = None,
    over: Over = Over.CALLS,
    mechanism: str = BILATERAL,
    fresh: bool = False,
) -> SimulationResult:
    """Simulate a street up to `days` days after its start, from where the state directory stands.

    `console` shows the progress, unless `log_level` lets trades be logged. SIGINT or SIGTERM stops it after a few
    slots and saves. `fresh` deletes what is there. StateError when the directory holds something else, or files cannot
    be read or written, or when messages cannot carry the mechanism; ValueError when a plug-in cannot go to `jobs`
    processes.
    """
    if over is Over.MESSAGES and mechanism != BILATERAL:
        raise StateError(f"--mechanism {mechanism}: messages carry {BILATERAL} trade only; leave out --over messages")
    feeders = by_feeder(plan)
    if jobs > 1 and len(feeders) > 1 and scheduler is None:
        require_portable(given_of([*plugins_of(plan.households), (Kind.MECHANISM, mechanism)]))
    if not feeders:
        raise StateError("these manifests have no household and no utility; there is nothing to simulate")
    require_prices_until(plan, slot_start(plan, SLOTS_A_DAY * days))
    with locked(state):
        if fresh:
            clear(state)
        study = Study(seed, over, mechanism, fingerprint(plan))
        remember(state, plan, int(slot_start(plan, 0).timestamp()), study=study)
        snapshots = Snapshots(state)
        slots = SLOTS_A_DAY * days
        there = snapshots.all()
        if there and there[-1].slots > slots:
            ran = -(-there[-1].slots // SLOTS_A_DAY)
            raise StateError(f"{state}: {ran} days were simulated already; ask for more, or {ADVICE}")
        if Snapshot(slots, settled=True) in there:
            snapshots.keep(Snapshot(slots, settled=True), Snapshot(_free_until(slots)))
            return SimulationResult(slots, slots, completed=True, wall_s=0.0, cpu_s=0.0, faults=0)
        open_ends = [snapshot for snapshot in there if not snapshot.settled]
        saved = open_ends[-1] if open_ends else None
        done = saved.slots if saved else 0
        parties = sum(map(parties_of, feeders))
        folder = snapshots.folder(saved) if saved else None
        begun, computed = time.monotonic(), _cpu_s()
        with (
            _stopping() as stopped,
            shown_progress(
                console,
                slot_start(plan, 0),
                slots,
                done,
                parties,
                timedelta(seconds=SLOT_S),
                bar=console.is_terminal and log_level > logging.INFO,
            ) as progress,
            workers(feeders, study, folder, progress, jobs=jobs, scheduler=scheduler) as at_work,
        ):
            reached = _Run(snapshots, at_work, slots).go(done, stopped)
            faults, troubles = at_work.faults, at_work.troubles
        wall_s, cpu_s = time.monotonic() - begun, _cpu_s() - computed
        return SimulationResult(done, reached, reached == slots, wall_s, cpu_s, faults, troubles)


def trouble_texts(plan: GatewayPlan, result: SimulationResult) -> list[str]:
    """What plug-ins did wrong, in words, with the street's local time."""
    offset = plan.resource.spec.clock.start.utcoffset()
    return [trouble.text(int(offset.total_seconds()) if offset else 0) for trouble in result.troubles]


def _cpu_s() -> float:
    """What this process and those that it started and that have ended have computed (seconds).

    Not those others on Windows, which does not tell.
    """
    spent = os.times()
    return spent.user + spent.system + spent.children_user + spent.children_system


@dataclass(frozen=True)
class _Run:
    snapshots: Snapshots
    workers: Workers
    slots: int

    def go(self, first: int, stopped: Callable[[], bool]) -> int:
        """Run what is missing; returns how many slots are done, all of them settled when there are `slots`.

        The last slots are run apart: what comes before them is kept to go on from when more days are asked for, as in
        these slots nothing is traded for those after the end.
        """
        reached, last = first, _free_until(self.slots)
        save_in_s = _SAVE_EVERY_S
        while reached < last and not stopped():
            go_on = _for(save_in_s, stopped)
            reached = self.workers.run(reached, last, None, go_on)
            save_in_s = self._save(Snapshot(reached))
        if reached < last or stopped():
            return reached
        self.workers.run(reached, self.slots, self.slots, lambda: True)
        self.workers.settle(self.slots)
        self._save(Snapshot(self.slots, settled=True), Snapshot(last))
        return self.slots

    def _save(self, snapshot: Snapshot, *besides: Snapshot) -> float:
        """Save, and keep no other snapshot but `besides`; returns after how many seconds to save again."""
        begun = time.monotonic()
        self.snapshots.add(snapshot, self.workers.save)
        self.snapshots.keep(snapshot, *besides)
        return max(_SAVE_EVERY_S, (time.monotonic() - begun) / _SAVING_SHARE)


def _free_until(slots: int) -> int:
    """Up to which slot a run of so many does not depend on where it ends: from then on nothing is traded beyond."""
    return max(0, slots - AHEAD_S // SLOT_S)


def _for(seconds: float, stopped: Callable[[], bool]) -> Callable[[], bool]:
    """Yes for so long, unless stopped."""
    until = time.monotonic() + seconds
    return lambda: not stopped() and time.monotonic() < until


def fingerprint(plan: GatewayPlan) -> str:
    """What tells one set of manifests from another: all that its runtimes are told, what is in their files, and which
    plug-ins they go by, in which versions.
    """
    digest = hashlib.sha256("\n".join(origins(plan.households)).encode())
    contents: dict[Path, Path] = {}
    for pod in plan.pods:
        told = runtime_config(pod, gateway_url="", epoch=0.0)
        households = tuple(_with_contents(household, contents) for household in told.households)
        utilities = tuple(replace(one, tariff=_of_contents(one.tariff, contents)) for one in told.utilities)
        digest.update(
            told.model_copy(update={"households": households, "utilities": utilities}).model_dump_json().encode()
        )
    return digest.hexdigest()


def _with_contents(household: HouseholdConfig, contents: dict[Path, Path]) -> HouseholdConfig:
    """Digests of the household's files in place of their paths; `contents` has those computed so far."""
    path, backstop = household.profile_csv, household.backstop
    return replace(
        household,
        profile_csv=None if path is None else _content(path, contents),
        backstop=replace(backstop, tariff=_of_contents(backstop.tariff, contents)),
    )


def _of_contents(tariff: Tariff, contents: dict[Path, Path]) -> Tariff:
    file = tariff.file
    if file is None or file.text is not None:
        return tariff
    return replace(tariff, file=replace(file, path=_content(file.path, contents)))


def _content(path: Path, contents: dict[Path, Path]) -> Path:
    if path not in contents:
        contents[path] = Path(hashlib.sha256(path.read_bytes()).hexdigest())
    return contents[path]


@contextmanager
def _stopping() -> Iterator[Callable[[], bool]]:
    """Whether SIGINT or SIGTERM has come, within the block. A second one ends the process as ever.

    Only the main thread hears signals, so another one, a Dask worker's, is never stopped.
    """
    if threading.current_thread() is not threading.main_thread():
        yield lambda: False
        return
    came = False

    def stop(number: int, _: FrameType | None) -> None:
        nonlocal came
        came = True
        signal.signal(number, former[number])

    former = {int(number): signal.signal(number, stop) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield lambda: came
    finally:
        for number, handler in former.items():
            signal.signal(number, handler)
