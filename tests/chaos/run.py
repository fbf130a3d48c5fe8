"""One run: trade under chaos until enough contracts are made, let it settle, and look whether the books are right."""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, AsyncExitStack, nullcontext
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import get_args

from tests.chaos import books
from tests.chaos.carrier import SINK, Carrier
from tests.chaos.flood import flood
from tests.chaos.processes import Process
from tests.chaos.schedule import Kind, Trouble, fatal_points, lives, troubles
from tests.chaos.street import GATEWAY, Street, make_street
from wattmesh_beckn.registry import RegistryUnavailable
from wattmesh_beckn.subscribing import subscribe
from wattmesh_beckn.transport import HttpTransport
from wattmesh_common.clock import SystemClock, utc
from wattmesh_common.fields import V1_ONLY, ProtocolVersion
from wattmesh_operator.registry.entries import wanted_entries
from wattmesh_operator.registry.registration import register_all

SLOT_S = 900
_START_S = 6.0
"""Wall seconds until grid time begins: what starting all processes takes."""
_RENEW_EVERY_S = 3.0
_LOOK_EVERY_S = 0.5
_SETTLE_S = 300.0
"""Wall seconds after the last restart within which all must be consistent."""
_MOST_RSS_MB = 220


@dataclass
class Result:
    """What a run did and what it found wrong. Seconds are of wall time."""

    seed: int
    protocols: Sequence[ProtocolVersion] = V1_ONLY
    contracts: int = 0
    states: dict[str, int] = field(default_factory=dict)
    killed_at_points: int = 0
    killed_at_random: int = 0
    post: Counter[str] = field(default_factory=Counter)
    troubles: Counter[str] = field(default_factory=Counter)
    flood_statuses: Counter[str] = field(default_factory=Counter)
    reached: Counter[tuple[str, str]] = field(default_factory=Counter)
    killed: Counter[tuple[str, str]] = field(default_factory=Counter)
    ready_after_s: list[float] = field(default_factory=list)
    consistent_after_s: float = 0.0
    wall_s: float = 0.0
    most_rss_mb: float = 0.0
    summary: str = ""
    wrong: list[str] = field(default_factory=list)

    @property
    def points_not_killed_at(self) -> list[str]:
        """Fault points at which no process died, of those that there are in what is spoken."""
        died = {point for point, _ in self.killed}
        return sorted({point for point, _ in self._fatal_points if point not in died})

    @property
    def occasions(self) -> dict[tuple[str, str], tuple[int, int]]:
        """How often each occasion of each fault point was reached, and how many processes died there."""
        wanted = self._fatal_points | set(self.reached)
        return {name: (self.reached[name], self.killed[name]) for name in sorted(wanted)}

    @property
    def _fatal_points(self) -> set[tuple[str, str]]:
        kinds = get_args(Kind)
        return {(point.value, what) for kind in kinds for point, what in fatal_points(kind, self.protocols)}


class Run:
    """Processes, the post between them, and the trouble that they get into."""

    def __init__(
        self, seed: int, state: Path, say: Callable[[str], None], protocols: Sequence[ProtocolVersion] = V1_ONLY
    ) -> None:
        self.result = Result(seed, protocols)
        self._say = say
        self._clock = SystemClock()
        self._transport = HttpTransport()
        self._carrier = Carrier(seed)
        self._state = state
        self._processes: dict[str, Process] = {}

    async def go(self, contracts: int, most_s: float) -> Result:
        """Trade until that many contracts are delivered or `most_s` wall seconds have gone, then check everything."""
        begun = time.monotonic()
        async with AsyncExitStack() as stack:
            stack.push_async_callback(self._transport.close)
            await stack.enter_async_context(self._carrier)
            stack.push_async_callback(self._stop)
            street = await self._begin()
            self._say(f"seed {self.result.seed}: {len(self._processes)} processes trade")
            async with asyncio.TaskGroup() as group:
                jobs = [
                    group.create_task(self._make_trouble(group, street)),
                    group.create_task(self._renew(street)),
                ]
                await self._watch(street, contracts, begun + most_s)
                for job in jobs:
                    job.cancel()
            await self._settle(street)
            self._take_counts()
        self._check(street)
        self.result.wall_s = time.monotonic() - begun
        return self.result

    async def _begin(self) -> Street:
        """Start everything in calm: what an operator has to do first is not what is tried here."""
        self._carrier.calm = True
        begins, spoken = time.time() + _START_S, self.result.protocols
        street = make_street(self.result.seed, self._state, self._carrier.url_of, begins, spoken)
        for name in (GATEWAY, *street.pods):
            fatals = lives(self.result.seed, name, street.kind(name), spoken)
            self._processes[name] = Process(name, street.command(name), self._state, fatals)
            self._carrier.moved(name, self._processes[name].port)
        await self._processes[GATEWAY].start()
        domain = street.plan.resource.spec.domain
        await register_all(
            street.registrants(), domain, street.url_of(GATEWAY), street.registrar, self._transport, self._clock
        )
        await asyncio.gather(*(self._processes[name].start() for name in street.pods))
        self._carrier.calm = False
        return street

    async def _stop(self) -> None:
        await asyncio.gather(*(process.stop() for process in self._processes.values()))

    # --- chaos ---

    async def _make_trouble(self, group: asyncio.TaskGroup, street: Street) -> None:
        for trouble in troubles(self.result.seed, list(self._processes)):
            await self._clock.sleep(trouble.after_s)
            self.result.troubles[trouble.kind] += 1
            if trouble.kind == "kill":
                self._processes[trouble.process].kill()
            elif trouble.kind == "flood":
                await self._flood(street, trouble)
            else:
                group.create_task(self._trouble_for(trouble))

    async def _flood(self, street: Street, trouble: Trouble) -> None:
        feeder = street.feeder(trouble.process)
        # What piles up: with a broadcast the searches at a seller, else the answers to who asks.
        piles_up = trouble.process if street.broadcasts else SINK
        with self._carrier.slow(piles_up, trouble.for_s):
            statuses = await flood(street, feeder, int(trouble.amount), self._transport, self._clock)
        self.result.flood_statuses += statuses

    async def _trouble_for(self, trouble: Trouble) -> None:
        with self._troubling(trouble):
            await self._clock.sleep(trouble.for_s)

    def _troubling(self, trouble: Trouble) -> AbstractContextManager[None]:
        process = self._processes[trouble.process]
        match trouble.kind:
            case "slow":
                return self._carrier.slow(trouble.process, trouble.amount)
            case "clock":
                return process.clock_off(trouble.amount)
            case "disk":
                return process.disk_refusing()
            case _:
                return nullcontext()

    async def _renew(self, street: Street) -> None:
        """Renew one registry entry after the other, as a registrar does before they run out."""
        while True:
            for wanted in wanted_entries(street.registrants(), street.plan.resource.spec.domain):
                await self._clock.sleep(_RENEW_EVERY_S)
                entry = wanted.entry(utc(self._clock.wall()))
                try:
                    await subscribe(street.url_of(GATEWAY), self._transport, self._clock, street.registrar, entry)
                except RegistryUnavailable:
                    self.result.troubles["renewal again"] += 1

    async def _watch(self, street: Street, contracts: int, until: float) -> None:
        databases = [street.database(pod) for pod in street.pods]
        told = 0
        while (count := books.traded(databases)) < contracts and time.monotonic() < until:
            if count >= told + 100:
                told = count // 100 * 100
                deaths = sum(sum(process.killed.values()) for process in self._processes.values())
                self._say(f"{count} contracts, {deaths} deaths at fault points, {dict(self._carrier.counts)}")
            await self._clock.sleep(_LOOK_EVERY_S)
        self.result.contracts = count

    # --- the end ---

    async def _settle(self, street: Street) -> None:
        """Kill everything at once, end the trading, bring all up again, and wait until nothing is open."""
        self._carrier.calm = True
        end = street.now() + timedelta(seconds=SLOT_S)
        street.write(end)
        for process in self._processes.values():
            process.mortal = False
            process.kill()
        begun = time.monotonic()
        databases = [street.database(pod) for pod in street.pods]
        left = "everything"
        while left and time.monotonic() - begun < _SETTLE_S:
            await self._clock.sleep(_LOOK_EVERY_S)
            left = books.unfinished(databases, int(end.timestamp()) - SLOT_S)
        self.result.consistent_after_s = time.monotonic() - begun
        if left:
            self.result.wrong.append(f"after {_SETTLE_S:.0f} s still open: {left}")

    def _take_counts(self) -> None:
        result = self.result
        for process in self._processes.values():
            result.reached += process.reached
            result.killed += process.killed
            result.ready_after_s += process.ready_after_s
            result.most_rss_mb = max(result.most_rss_mb, process.most_rss_mb)
            result.killed_at_random += process.counts["killed"]
        result.killed_at_points = sum(result.killed.values())
        result.post = self._carrier.counts

    def _check(self, street: Street) -> None:
        result = self.result
        result.wrong += [error for process in self._processes.values() for error in process.errors]
        databases = {pod.name: (street.database(pod.name), len(pod.participants)) for pod in street.plan.pods}
        result.states = dict(books.states(database for database, _ in databases.values()))
        found = books.audit_of(self._state)
        result.summary = f"{found.deliveries_checked} deliveries audited, {len(found.findings)} findings"
        result.wrong += [f"audit: {finding.party}: {finding.text}" for finding in found.findings]
        if found.entries_chained != found.ledger_entries_checked or not found.entries_chained:
            result.wrong.append(f"{found.entries_chained} of {found.ledger_entries_checked} ledger entries are chained")
        if (found.energy_sum_wh, found.amount_sum_micro) != (0, 0):
            result.wrong.append(f"sums are {found.energy_sum_wh} Wh and {found.amount_sum_micro} millionths")
        for name, (database, parties) in databases.items():
            left = books.too_much(books.left_behind(database), parties)
            result.wrong += [f"{name} keeps {what}" for what in left]
        if result.most_rss_mb > _MOST_RSS_MB:
            result.wrong.append(f"a process grew to {result.most_rss_mb:.0f} MB")
