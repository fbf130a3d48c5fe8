"""Feeders at work: in this process, or side by side in worker processes with a share of them each."""

from __future__ import annotations

import contextlib
import logging
import multiprocessing
import signal
import sys
import traceback
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from multiprocessing.connection import Connection, wait
from pathlib import Path
from typing import Literal, Protocol

from wattmesh_cli.state import StateError
from wattmesh_cli.street.feeder_run import FeederRun
from wattmesh_cli.street.feeders import parties_of, shared_out
from wattmesh_common.logs import configure
from wattmesh_operator.plan import GatewayPlan

AHEAD = 2
"""How many slots a worker may be ahead of another: enough that none waits, few to go when a run is stopped."""
_LOOK_S = 0.2
"""How often it is asked whether to go on while workers compute."""
_END_S = 10.0


class SimulationError(StateError):
    """A simulation cannot go on. The message is one line for the user."""


@dataclass(frozen=True)
class Task:
    """What a share of feeders is told: run slot `number`, settle in it, or save to `folder`."""

    what: Literal["run", "settle", "save"]
    number: int = 0
    end: int | None = None
    folder: Path | None = None


@dataclass(frozen=True)
class Report:
    """What a share says: parties whose part of a task is done, and whether the task is. `failed` ends the run."""

    parties: int = 0
    faults: int = 0
    done: bool = False
    failed: str | None = None


@dataclass(frozen=True)
class Orders:
    """What a share of a simulation is made of."""

    feeders: Sequence[GatewayPlan]
    seed: int
    saved: Path | None
    log_level: int


class Share:
    """Some feeders, in the process that works on them."""

    def __init__(self, orders: Orders) -> None:
        self._runs = [FeederRun(plan, orders.seed, orders.saved) for plan in orders.feeders]

    def work(self, task: Task) -> Iterator[Report]:
        """Do a task; each feeder is reported."""
        for run in self._runs:
            if task.what == "run":
                run.run_slot(task.number, task.end)
            elif task.what == "settle":
                run.settle(task.number)
            elif task.folder is not None:
                run.save(task.folder)
            faults, run.faults = run.faults, 0
            yield Report(parties_of(run.plan), faults)
        yield Report(done=True)

    def close(self) -> None:
        """Give up the databases."""
        for run in self._runs:
            run.close()


class Worker(Protocol):
    """A share, wherever it is."""

    def tell(self, task: Task) -> None:
        """Put a task behind those it has."""
        ...

    def reports(self) -> Iterator[Report]:
        """What it has said by now and was not read yet; may wait for a moment."""
        ...

    def close(self) -> None:
        """End it."""
        ...


class _Here:
    """A share in this process."""

    def __init__(self, orders: Orders) -> None:
        self._share = Share(orders)
        self._tasks: deque[Task] = deque()

    def tell(self, task: Task) -> None:
        self._tasks.append(task)

    def reports(self) -> Iterator[Report]:
        if self._tasks:
            yield from self._share.work(self._tasks.popleft())

    def close(self) -> None:
        self._share.close()


class _There:
    """A share in a process of its own."""

    def __init__(self, orders: Orders) -> None:
        context = multiprocessing.get_context("spawn")
        self.connection, theirs = context.Pipe()
        self.process = context.Process(target=_work, args=(theirs, orders), daemon=True)
        self.process.start()
        theirs.close()

    def tell(self, task: Task) -> None:
        with contextlib.suppress(BrokenPipeError):  # what it died of is told when it is read
            self.connection.send(task)

    @property
    def pid(self) -> int:
        return self.process.pid or 0

    def reports(self) -> Iterator[Report]:
        try:
            while self.connection.poll():
                yield self.connection.recv()
        except (EOFError, ConnectionResetError):
            self.process.join(_END_S)
            code = self.process.exitcode
            how = f"by signal {-code}" if code is not None and code < 0 else f"with exit code {code}"
            yield Report(failed=f"a worker process ended {how}; was there memory enough?")

    def close(self) -> None:
        self.connection.close()
        self.process.kill()
        self.process.join(_END_S)


def _work(connection: Connection, orders: Orders) -> None:
    """A worker process: tasks in, reports out, until the other end closes."""
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_IGN)  # Ctrl-C reaches all processes; the parent says when to stop
    configure(sys.stderr, orders.log_level)
    try:
        share = Share(orders)
        while True:
            for report in share.work(connection.recv()):
                connection.send(report)
    except (EOFError, BrokenPipeError, ConnectionResetError):
        return
    except Exception as error:
        logging.getLogger(__name__).debug("worker failed", exc_info=error)
        with contextlib.suppress(OSError):
            connection.send(Report(failed=_reason(error)))


def _reason(error: Exception) -> str:
    place = traceback.extract_tb(error.__traceback__)[-1]
    return f"{type(error).__name__}: {error} ({Path(place.filename).name}:{place.lineno})"


class Crew:
    """All workers. Slots are counted from the street's first; `progress` is told of parties whose slot was run."""

    def __init__(self, workers: Sequence[Worker], progress: Callable[[int], None]) -> None:
        self._workers = workers
        self._ahead = AHEAD if len(workers) > 1 else 1
        self._progress = progress
        self.faults = 0

    @property
    def pids(self) -> list[int]:
        """The worker processes; none when the work is done here."""
        return [worker.pid for worker in self._workers if isinstance(worker, _There)]

    def run(self, first: int, until: int, end: int | None, go_on: Callable[[], bool]) -> int:
        """Run slots from `first` on, up to `until` (not included) or until `go_on` says no; trading ends at `end`.

        Returns the slot that is next for all. SimulationError when a worker fails.
        """
        told = dict.fromkeys(range(len(self._workers)), first)
        done = dict(told)
        while min(done.values()) < until:
            if not go_on():
                until = max(told.values())
            for number, worker in enumerate(self._workers):
                while told[number] < min(until, min(done.values()) + self._ahead):
                    worker.tell(Task("run", told[number], end))
                    told[number] += 1
            for number, report in self._reports():
                self._progress(report.parties)
                done[number] += report.done
        return until

    def settle(self, number: int) -> None:
        """Let all be paid and booked in slot `number`."""
        self._all(Task("settle", number))

    def save(self, folder: Path) -> None:
        """Write all databases to `folder`."""
        self._all(Task("save", folder=folder))

    def _all(self, task: Task) -> None:
        for worker in self._workers:
            worker.tell(task)
        left = len(self._workers)
        while left:
            for _, report in self._reports():
                left -= report.done

    def _reports(self) -> Iterator[tuple[int, Report]]:
        """What workers have said by now, or say within a moment."""
        if there := [worker.connection for worker in self._workers if isinstance(worker, _There)]:
            wait(there, _LOOK_S)
        for number, worker in enumerate(self._workers):
            for report in worker.reports():
                if report.failed is not None:
                    raise SimulationError(f"the simulation cannot go on: {report.failed}")
                self.faults += report.faults
                yield number, report


@contextmanager
def crew(
    feeders: Sequence[GatewayPlan], seed: int, saved: Path | None, jobs: int, progress: Callable[[int], None],
    log_level: int = logging.WARNING,
) -> Iterator[Crew]:  # fmt: skip
    """A crew of at most `jobs` processes for these feeders, from their start or from the databases in `saved`.

    With one job (or one feeder) the work is done here. DatabaseRefused or SimulationError when it cannot begin.
    """
    shares = [Orders(share, seed, saved, log_level) for share in shared_out(feeders, jobs)]
    workers: list[Worker] = []
    try:
        workers.extend(_Here(orders) if len(shares) == 1 else _There(orders) for orders in shares)
        yield Crew(workers, progress)
    finally:
        for worker in workers:
            worker.close()
