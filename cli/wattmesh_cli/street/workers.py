"""A simulation's feeders at work: by calls, here or on an executor of processes or machines; or by messages."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Executor, as_completed
from contextlib import ExitStack, contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Protocol

from wattmesh_cli.street.executors import executor_of
from wattmesh_cli.street.feeders import parties_of
from wattmesh_cli.street.study import Part, StudyFeeder, packed, run_packed
from wattmesh_cli.street_record import Over, Study
from wattmesh_market.energy.slots import SLOTS_PER_DAY
from wattmesh_market.plugins.watch import Trouble, merged
from wattmesh_operator.plan import GatewayPlan

SLOTS_AT_ONCE = SLOTS_PER_DAY
"""So many slots are a part of a study. What its parties remember goes along with it, so that shorter parts cost more to
hand over; longer ones would be waited for when the study is stopped.
"""


class Workers(Protocol):
    """All feeders of a simulation. Slots are counted from the street's first."""

    @property
    def faults(self) -> int:
        """Steps that ended in a fault."""
        ...

    @property
    def troubles(self) -> tuple[Trouble, ...]:
        """What plug-ins did wrong."""
        ...

    def run(self, first: int, until: int, end: int | None, go_on: Callable[[], bool]) -> int:
        """Run slots from `first` on, up to `until` (not included) or until `go_on` says no; no slot from `end` on is
        traded. Returns the slot that is next.
        """
        ...

    def settle(self, number: int) -> None:
        """Let all be paid and booked in slot `number`."""
        ...

    def save(self, folder: Path) -> None:
        """Write all databases to `folder`."""
        ...


class StudyWorkers:
    """Feeders by calls: in this process, or where an executor runs them."""

    def __init__(
        self, feeders: Sequence[StudyFeeder], executor: Executor | None, progress: Callable[[int], None]
    ) -> None:
        self._feeders = feeders
        self._executor = executor
        self._progress = progress

    @property
    def faults(self) -> int:
        """None: what fails ends the study."""
        return 0

    @property
    def troubles(self) -> tuple[Trouble, ...]:
        """See Workers."""
        return merged(one for feeder in self._feeders for one in feeder.troubles)

    def run(self, first: int, until: int, end: int | None, go_on: Callable[[], bool]) -> int:
        """See Workers."""
        while first < until and go_on():
            upto = min(until, first + SLOTS_AT_ONCE)
            self._all([(feeder, feeder.part(first, upto, end)) for feeder in self._feeders], upto - first)
            first = upto
        return first

    def settle(self, number: int) -> None:
        """See Workers."""
        self._all([(one, one.part(number, number, number, settling=True)) for one in self._feeders], 0)

    def save(self, folder: Path) -> None:
        """See Workers."""
        for feeder in self._feeders:
            feeder.save(folder)

    def _all(self, parts: Sequence[tuple[StudyFeeder, Part]], slots: int) -> None:
        if self._executor is None:
            for feeder, part in parts:
                feeder.take(feeder.run(part))
                self._progress(slots * parties_of(feeder.plan))
            return
        running = {self._executor.submit(run_packed, packed(part)): feeder for feeder, part in parts}
        for future in as_completed(running):
            feeder = running[future]
            feeder.take(future.result())
            self._progress(slots * parties_of(feeder.plan))


@contextmanager
def workers(
    feeders: Sequence[GatewayPlan],
    study: Study,
    saved: Path | None,
    progress: Callable[[int], None],
    *,
    jobs: int = 1,
    scheduler: str | None = None,
) -> Iterator[Workers]:
    """The feeders at work, from their start or from the databases in `saved`.

    With one job (or one feeder) the work is done here, else by `jobs` processes or, where `scheduler` names a Dask
    scheduler, by its cluster. DatabaseRefused or SimulationError when it cannot begin.
    """
    with ExitStack() as stack:
        if study.over is Over.MESSAGES:
            from wattmesh_cli.street.message_workers import message_workers  # a study needs no agents

            yield stack.enter_context(message_workers(feeders, study.seed, saved, progress))
            return
        executor = stack.enter_context(executor_of(min(jobs, len(feeders)), scheduler))
        working = Path(stack.enter_context(TemporaryDirectory(prefix="wattmesh-study-")))
        studies = [StudyFeeder(plan, study.seed, study.mechanism, saved, working) for plan in feeders]
        yield StudyWorkers(studies, executor, progress)
