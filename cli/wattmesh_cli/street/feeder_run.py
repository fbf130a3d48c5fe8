"""One feeder in memory, slot by slot in virtual time.

At the end of each slot all that a new process would not find in the databases is given up, and made anew for the next:
what a slot does follows from the databases, the seed and the slot alone. So a run that was stopped, saved and taken up
again is no different from one that was not.
"""

from __future__ import annotations

import random
from collections.abc import Awaitable, Callable, Mapping
from datetime import datetime
from pathlib import Path

from wattmesh_agents.store.database import IN_MEMORY, Database
from wattmesh_beckn.registry import RegistryDirectory
from wattmesh_beckn.transport import MemoryTransport
from wattmesh_cli.street.feeders import feeder_of
from wattmesh_cli.street.keys import derived_signers
from wattmesh_cli.street.memory import simulate
from wattmesh_cli.street.run import GridTime, Ports, StreetRun, subscriber_ids
from wattmesh_cli.street.virtual_time import EPOCH, slot_start
from wattmesh_common.clock import LoopClock, stopwatch
from wattmesh_common.runtime import REGISTRAR
from wattmesh_gateway.registry import Registry
from wattmesh_market.energy.slots import SLOT_S
from wattmesh_market.plugins.watch import Watch
from wattmesh_market.schedule import CLOSED_AFTER_S
from wattmesh_operator.plan import GatewayPlan

_EDGE_S = 0.001
"""So long before its end (wall time) a slot is left, and so long after its start it is entered: no rounding of seconds
takes one for another."""
_LOOK_S = 5.0
"""How often a feeder is asked whether all is settled (wall time)."""
_REGISTER_EVERY_S = 30 * 86_400
"""How often the registry is renewed (wall time), long before its entries end."""
_GATEWAY = "http://gateway"


class _Clock(LoopClock):
    """Virtual time that each event loop takes up where it is told to."""

    def begin(self, wall: float) -> None:
        """It is `wall` (unix seconds) when the running loop's time is 0."""
        self._epoch = wall


class FeederRun:
    """The gateway and the pods of one feeder (`feeders.by_feeder`). Slots are run in order; nothing else may be done
    in between but `save`.
    """

    def __init__(self, plan: GatewayPlan, seed: int, saved: Path | None = None) -> None:
        """Begin with the street's first slot, or with the databases of folder `saved`. DatabaseRefused."""
        self.plan = plan
        self._seed = seed
        # Virtual time costs nothing, and at real speed no two moments of a slot fall together.
        self._time = GridTime(plan.resource.spec.clock.start, EPOCH, 1.0)
        self._clock = _Clock(EPOCH)
        self._rng = random.Random()  # noqa: S311 - jitter
        self._sites = MemoryTransport()
        self._registry = Registry(None)
        self._directory = RegistryDirectory(_GATEWAY, self._sites, self._clock, keep_s=float("inf"))
        self._signers = derived_signers(subscriber_ids(plan), seed)
        self._databases: Mapping[str, Database] = {
            pod.name: Database.open(
                IN_MEMORY, salt=f"{seed}/{pod.name}", copied=None if saved is None else saved / f"{pod.name}.db"
            )
            for pod in plan.pods
        }
        self._street: StreetRun | None = None
        self._registered_at = float("-inf")
        self.faults = 0
        self.watch = Watch(stopwatch)
        """Asks plug-ins. None is set aside: a study's books do not follow from the machine."""

    def run_slot(self, number: int, end: int | None = None) -> None:
        """Run a slot from start to end; slots from number `end` on are not traded."""
        self._run(number, end, lambda: self._clock.sleep(self._closes(number) - self._clock.wall()))

    def settle(self, number: int) -> None:
        """After the last slot: let what was delivered in it be paid, shared and booked, from slot `number` on."""
        self._run(number, number, lambda: self._until_settled(number + CLOSED_AFTER_S // SLOT_S - 1))

    def save(self, folder: Path) -> None:
        """Write a copy of each pod's database to `folder`; OSError, sqlite3.Error."""
        self._tidy()
        for name, database in self._databases.items():
            database.save(folder / f"{name}.db")

    def close(self) -> None:
        """Give up the databases."""
        for database in self._databases.values():
            database.close()
        self._registry.close()

    def _run(self, number: int, end: int | None, work: Callable[[], Awaitable[None]]) -> None:
        self._rng.seed(f"{self._seed}/{feeder_of(self.plan)}/{number}")

        async def run() -> None:
            self._clock.begin(self._opens(number))
            street = self._street_until(None if end is None else slot_start(self.plan, end))
            faults = _faults(street)
            street.gateway = street.new_gateway()
            self._sites.attach(_GATEWAY, street.gateway.site)
            await street.gateway.start()
            await self._register(street)
            street.begin()
            await work()
            for pod in street.pods.values():
                await pod.pause()
            await street.gateway.stop()
            self.faults += _faults(street) - faults

        simulate(run)

    def _street_until(self, end: datetime | None) -> StreetRun:
        """The street whose trading ends at grid time `end`, on the databases as they are."""
        if self._street is None or self._street.time.end != end:
            self._tidy()
            ports = Ports(
                self._sites,
                self._clock,
                self._rng,
                self._signers,
                lambda: self._registry,
                self._databases.__getitem__,
                directory=self._directory,
                watch=self.watch,
            )
            time = GridTime(self._time.start, self._time.epoch, self._time.speed, end)
            urls = {pod.name: f"http://{pod.name}" for pod in self.plan.pods}
            self._street = StreetRun(self.plan, time, ports, _GATEWAY, urls)
            for name, pod in self._street.pods.items():
                self._sites.attach(urls[name], pod)
        return self._street

    def _tidy(self) -> None:
        """Bring into the databases what the pods keep until there is time."""
        for pod in self._street.pods.values() if self._street else ():
            pod.tidy()

    async def _register(self, street: StreetRun) -> None:
        """Make the registry true, and have all its entries at hand: nobody waits for it while there is trade."""
        now = self._clock.wall()
        if now - self._registered_at < _REGISTER_EVERY_S:
            return
        self._registered_at = now
        await street.register()
        for subscriber_id in subscriber_ids(self.plan):
            if subscriber_id != REGISTRAR:
                await self._directory.find(subscriber_id, fresh=True)

    async def _until_settled(self, number: int) -> None:
        """Until all is settled, or slot `number` ends."""
        assert self._street is not None  # noqa: S101
        while not all(pod.settled for pod in self._street.pods.values()):
            if self._clock.wall() + _LOOK_S > self._closes(number):
                return
            await self._clock.sleep(_LOOK_S)

    def _opens(self, number: int) -> float:
        return EPOCH if number == 0 else self._time.wall_at(slot_start(self.plan, number)) + _EDGE_S

    def _closes(self, number: int) -> float:
        return self._time.wall_at(slot_start(self.plan, number + 1)) - _EDGE_S


def _faults(street: StreetRun) -> int:
    return sum(pod.metrics.fault_count for pod in street.pods.values())
