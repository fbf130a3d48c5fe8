"""A pod's slots: each is opened for every party that is here, then what has passed is signed, deleted and retired."""

from __future__ import annotations

import logging
from collections.abc import Callable, Collection, Mapping, Sequence
from functools import partial

from wattmesh_agents.attendance import Attendance
from wattmesh_agents.checkpoints import Checkpoints
from wattmesh_agents.driver import Driver
from wattmesh_agents.metrics import PodMetrics
from wattmesh_agents.stepping import Steps
from wattmesh_agents.store.retention import Horizon
from wattmesh_beckn.registry import Directory, RegistryUnavailable
from wattmesh_common.clock import Clock, GridClock
from wattmesh_common.price_files import series_of
from wattmesh_market.energy.slots import SLOT_S, slot_of
from wattmesh_market.parties.events import Events
from wattmesh_market.parties.household import Household
from wattmesh_market.parties.utility import Utility

log = logging.getLogger(__name__)

TIDY_EVERY_S = 2 * 3600
"""How often counts are written down, and what has passed is deleted (grid time)."""


class Slots:
    """Of the pod's `parties`. `take_up` goes on with what some left open; `backstops` are the utilities that supply the
    households here.
    """

    def __init__(
        self,
        parties: Mapping[str, Household | Utility],
        driver: Driver,
        attendance: Attendance,
        checkpoints: Checkpoints,
        directory: Directory,
        steps: Steps,
        clock: Clock,
        grid: GridClock,
        metrics: PodMetrics,
        take_up: Callable[[Sequence[Events]], None],
        backstops: Callable[[], Collection[str]],
    ) -> None:
        self._parties = parties
        self._driver = driver
        self._attendance = attendance
        self._checkpoints = checkpoints
        self._directory = directory
        self._steps = steps
        self._clock = clock
        self._grid = grid
        self._metrics = metrics
        self._take_up = take_up
        self._backstops = backstops
        self._price_problem = ""

    async def run(self) -> None:
        """Open slot after slot until cancelled."""
        while True:
            slot = slot_of(self._grid.now())
            await self._meet_backstops()
            self._steps.move()
            self._look_at_prices(slot)
            ends = self._grid.wall_at(slot + SLOT_S)
            for member in self._driver.members.values():
                if self._attendance.is_here(member.party):
                    self._steps.run_or_later(member.party.name, partial(self._open, member), ends)
                    self._steps.run(member.party.name, partial(self._checkpoints.look, member.party))
            self._clear_up(slot)
            if self._clock.wall() > ends:
                self._metrics.late_slots.inc()
                log.warning(
                    "this machine is too slow for speed %g: a slot ended before it was opened", self._grid.time.speed
                )
            await self._grid.sleep_until(slot + SLOT_S)

    def _open(self, member: Events) -> None:
        if self._attendance.waits(member.party):
            self._take_up([member])
            self._attendance.waited(member.party)
        self._driver.open_slot(member)

    def _clear_up(self, slot: int) -> None:
        deletions = self._driver.deletions
        horizon = Horizon(int(self._clock.wall() * 1000), self._grid.now(), self._grid.time.speed)
        if slot % TIDY_EVERY_S == 0:
            self._steps.run("all", self._driver.store.tidy)
            self._steps.run("all", partial(deletions.forget, horizon, self._backstops()))
        self._steps.run("all", partial(deletions.retire, horizon))

    def _look_at_prices(self, slot: int) -> None:
        """Go by what files of prices say now. Beyond their end their last day holds, until they say more."""
        problems = []
        for rates in [party.rates for party in self._parties.values()]:
            file = rates.tariff.file
            try:
                if (series := series_of(rates.tariff)) is not None:
                    rates.publish(series)
            except (OSError, ValueError) as error:
                problems.append(f"prices cannot be read, what was known holds: {error}")
            if file is not None and rates.end is not None and rates.end <= slot:
                problems.append(f"{file.path} has no prices of this slot, those of its last day hold")
        problem = problems[0] if problems else ""
        if problem and problem != self._price_problem:
            log.warning("%s", problem)
        self._price_problem = problem

    async def _meet_backstops(self) -> None:
        """Learn the utilities' addresses before the first reading is reported to them."""
        peers = self._driver.store.peers
        for subscriber_id in self._backstops():
            if peers.url_of(subscriber_id) is None:
                try:
                    entries = await self._directory.find(subscriber_id)
                except RegistryUnavailable as error:
                    log.warning("the registry does not answer: %s", error)
                    return
                if entries:
                    self._steps.run(subscriber_id, partial(peers.meet, entries[0], int(self._clock.wall() * 1000)))
