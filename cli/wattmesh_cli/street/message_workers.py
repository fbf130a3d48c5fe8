"""A simulation's feeders at work by messages."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path

from wattmesh_cli.street.feeder_run import FeederRun
from wattmesh_cli.street.feeders import parties_of
from wattmesh_market.plugins.watch import Trouble, merged
from wattmesh_operator.plan import GatewayPlan


class MessageWorkers:
    """Feeders by signed messages, in virtual time: the path that a live street takes, slot by slot in this process."""

    def __init__(self, feeders: Sequence[FeederRun], progress: Callable[[int], None]) -> None:
        self._feeders = feeders
        self._progress = progress

    @property
    def faults(self) -> int:
        """Steps that ended in a fault."""
        return sum(feeder.faults for feeder in self._feeders)

    @property
    def troubles(self) -> tuple[Trouble, ...]:
        """See Workers."""
        return merged(one for feeder in self._feeders for one in feeder.watch.troubles)

    def run(self, first: int, until: int, end: int | None, go_on: Callable[[], bool]) -> int:
        """See Workers."""
        while first < until and go_on():
            for feeder in self._feeders:
                feeder.run_slot(first, end)
                self._progress(parties_of(feeder.plan))
            first += 1
        return first

    def settle(self, number: int) -> None:
        """See Workers."""
        for feeder in self._feeders:
            feeder.settle(number)

    def save(self, folder: Path) -> None:
        """See Workers."""
        for feeder in self._feeders:
            feeder.save(folder)


@contextmanager
def message_workers(
    feeders: Sequence[GatewayPlan], seed: int, saved: Path | None, progress: Callable[[int], None]
) -> Iterator[MessageWorkers]:
    """The feeders at work, from their start or from the databases in `saved`. DatabaseRefused when it cannot begin."""
    with ExitStack() as stack:
        runs = [stack.enter_context(closing(FeederRun(plan, seed, saved))) for plan in feeders]
        yield MessageWorkers(runs, progress)
