"""Looks at the pods about once a second while somebody looks at the page, and not at all otherwise.

It has nothing to do with the broadcast but the process: few questions at once, each short and bounded; a pod that does
not answer rests for a growing while.
"""

from __future__ import annotations

import asyncio
import logging
from collections import OrderedDict
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

import pydantic_core
from pydantic import ValidationError

from wattmesh_beckn.addresses import host_problem
from wattmesh_beckn.registry import RegistryUnavailable
from wattmesh_beckn.transport import Pages, TransportError
from wattmesh_common.clock import Clock
from wattmesh_common.pod_pages import SlotPage, read_history, read_live, read_slot
from wattmesh_common.reading_token import ReadingToken
from wattmesh_gateway.broadcast import rest_s
from wattmesh_gateway.live.feed import Feed
from wattmesh_gateway.live.roster import pods_of
from wattmesh_gateway.live.street import Street
from wattmesh_gateway.members import Member
from wattmesh_gateway.registry import Registry

PERIOD_S = 1.0
PODS_PER_S = 100.0
"""Of a larger street, each pod is asked less often."""
PARALLEL = 8
POD_TIMEOUT_S = 2.0
ROSTER_S = 5.0
HISTORY_S = 5.0
"""How often a pod is asked for slots that are booked since."""
MOST_PAST_SLOTS = 64
"""Slots of the past that are remembered as they were shown."""
MOST_MEMBERS = 2_000
MOST_VIEWERS = 32
KEPT_S = 10.0
"""For so long nobody takes a viewer's place."""
FIRST_LOOK_S = 2.0
"""How long who comes first waits for the pods' answers before it is shown what is known."""

log = logging.getLogger(__name__)


class TooManyViewers(Exception):
    """`MOST_VIEWERS` look already, all of them since less than `KEPT_S`."""


@dataclass
class _Health:
    failures: int = 0
    rests_until: float = float("-inf")
    history_due: float = float("-inf")


class Watch:
    """What the page is made from. `stop` ends it; the registry and the pages' port stay the caller's."""

    def __init__(
        self, gateway_id: str, domain: str, registry: Registry, pages: Pages, clock: Clock, token: ReadingToken
    ) -> None:
        self.feed = Feed()
        self.street = Street(gateway_id)
        self._domain = domain
        self._registry = registry
        self._pages = pages
        self._clock = clock
        self._token = token
        self._viewers: dict[asyncio.Event, float] = {}
        self._looking: asyncio.Task[None] | None = None
        self._round: asyncio.Task[None] | None = None
        self._looked_at = float("-inf")
        self._enrolled_at = float("-inf")
        self._pods: Mapping[str, Mapping[str, Member]] = {}
        self._health: dict[str, _Health] = {}
        self._past: OrderedDict[tuple[str, int], dict[str, Any]] = OrderedDict()
        self._asking_past = asyncio.Lock()

    @property
    def viewers(self) -> int:
        """How many look now."""
        return len(self._viewers)

    @contextmanager
    def viewing(self) -> Iterator[asyncio.Event]:
        """Somebody looks while the block runs, or until the event is set: then another takes the place of who has
        looked for longest, so that silent viewers cannot hold all places. TooManyViewers when there is no room.
        """
        now = self._clock.wall()
        if len(self._viewers) >= MOST_VIEWERS:
            longest, since = next(iter(self._viewers.items()))
            if now - since < KEPT_S:
                raise TooManyViewers
            del self._viewers[longest]
            longest.set()
        leaves = asyncio.Event()
        self._viewers[leaves] = now
        if self._looking is None or self._looking.done():
            self._looking = asyncio.create_task(self._keep_looking())
        try:
            yield leaves
        finally:
            self._viewers.pop(leaves, None)

    async def look(self) -> None:
        """Know the street as it was at most a period ago, if its pods answer within `FIRST_LOOK_S`."""
        if self._clock.wall() - self._looked_at < self._period_s:
            return
        if self._round is None or self._round.done():
            self._round = asyncio.create_task(self._look_once())
        timer = asyncio.create_task(self._clock.sleep(FIRST_LOOK_S))
        await asyncio.wait({timer, self._round}, return_when=asyncio.FIRST_COMPLETED)
        timer.cancel()

    async def past(self, feeder: str, slot: int) -> dict[str, Any]:
        """A slot of a feeder from the books of its pods. One question at a time; what all have told is remembered."""
        async with self._asking_past:
            known = self._past.get((feeder, slot))
            if known is None:
                pages: dict[str, SlotPage] = {}
                pods = iter(self.street.pods_on(feeder))
                await asyncio.gather(*(self._ask_past(pods, slot, pages) for _ in range(PARALLEL)))
                known = self.street.past(feeder, pages)
                booked = any(row.slot == slot and not row.unbooked for row in self.street.history(feeder))
                if booked and not known["unreached"]:
                    self._past[feeder, slot] = known
                    if len(self._past) > MOST_PAST_SLOTS:
                        self._past.popitem(last=False)
            return known

    async def _ask_past(self, pods: Iterator[str], slot: int, pages: dict[str, SlotPage]) -> None:
        for pod in pods:
            if self._health[pod].rests_until > self._clock.wall():
                continue
            try:
                pages[pod] = read_slot(await self._read(pod, f"/history/{slot}"))
            except (TransportError, ValidationError):
                continue  # its households are among those that are not reached

    async def stop(self) -> None:
        """Look no more."""
        tasks = [task for task in (self._looking, self._round) if task is not None]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    @property
    def _period_s(self) -> float:
        return max(PERIOD_S, len(self._pods) / PODS_PER_S)

    async def _keep_looking(self) -> None:
        while self._viewers:
            await self.look()
            await self._clock.sleep(max(0.05, self._looked_at + self._period_s - self._clock.wall()))

    async def _look_once(self) -> None:
        try:
            await self._enrol()
            now = self._clock.wall()
            due = iter([pod for pod in self._pods if self._health[pod].rests_until <= now])
            await asyncio.gather(*(self._ask_all(due) for _ in range(PARALLEL)))
        except Exception:
            log.exception("fault in looking at the street")
        self._looked_at = self._clock.wall()
        changes = self.street.changes(self._looked_at)
        if changes is not None:
            self.feed.publish(pydantic_core.to_json(changes))

    async def _enrol(self) -> None:
        now = self._clock.wall()
        if now - self._enrolled_at < ROSTER_S:
            return
        try:
            members = await self._registry.members(self._domain, self._clock.machine(), most=MOST_MEMBERS)
        except RegistryUnavailable as error:
            log.warning("%s", error)
            return
        self._enrolled_at = now
        self._pods = {pod: here for pod, here in pods_of(members).items() if _may_be_called(pod)}
        self._health = {pod: self._health.get(pod, _Health()) for pod in self._pods}
        if self.street.enrol(self._pods):
            for health in self._health.values():
                health.history_due = float("-inf")

    async def _ask_all(self, pods: Iterator[str]) -> None:
        for pod in pods:
            await self._ask(pod)

    async def _ask(self, pod: str) -> None:
        health, (number, slot) = self._health[pod], self.street.wanted(pod)
        try:
            page = read_live(await self._read(pod, f"/live?after={number}&slot={slot}"))
        except (TransportError, ValidationError):
            # Not logged: the pod's own log and the page say it, and nobody else need know.
            health.failures += 1
            health.rests_until = self._clock.wall() + rest_s(health.failures)
            self.street.lost(pod)
            return
        health.failures, health.rests_until = 0, float("-inf")
        self.street.learn(pod, page, self._clock.wall())
        await self._ask_history(pod, health)

    async def _ask_history(self, pod: str, health: _Health) -> None:
        since, now = self.street.wanted_history(pod), self._clock.wall()
        if since is None or now < health.history_due:
            return
        health.history_due = now + HISTORY_S
        try:
            page = read_history(await self._read(pod, f"/history?since={since}"))
        except (TransportError, ValidationError):
            return  # a pod that is gone is found out by its other page
        if self.street.learn_history(pod, page):
            health.history_due = now

    async def _read(self, pod: str, page: str) -> bytes:
        # With a token of its own: who answers may be a partner's server, or anybody behind a name.
        shown = self._token.of_pod(pod).header
        reply = await self._pages.get(f"{pod}{page}", timeout_s=POD_TIMEOUT_S, headers=shown)
        if reply.status != 200:
            raise TransportError(f"HTTP {reply.status}")
        return reply.body


def _may_be_called(url: str) -> bool:
    """Whether a url may be called by today's rules; an older registry may hold others."""
    try:
        host = urlsplit(url).hostname
    except ValueError:
        return False
    return bool(host) and host_problem(host or "") is None
