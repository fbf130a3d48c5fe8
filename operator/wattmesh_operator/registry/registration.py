"""One gateway's registry: what it holds, and what is written so that it holds what it shall."""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property

from wattmesh_beckn.registry import RegistryUnavailable, Subscription, SubscriptionStatus
from wattmesh_beckn.registry_copy import RegistryCopy
from wattmesh_beckn.signature import Signer
from wattmesh_beckn.subscribing import SubscriptionRefused, subscribe
from wattmesh_beckn.transport import Transport
from wattmesh_common.clock import Clock, utc
from wattmesh_operator.registry.entries import Registrant, Wanted, changes, wanted_entries

_AT_ONCE = 16
_TRIES = 12
_TRIED_AGAIN_AFTER_S = 1.0
_KNOWN_AFTER_S = 2.0
"""Who asked the registry for a subscriber just before an entry was written asks again only after half a second."""


@dataclass(frozen=True)
class RegistryView:
    """The entries of buyers and sellers that a registry holds, or (None) why they are not known."""

    entries: tuple[Subscription, ...] | None
    problem: str = ""

    @cached_property
    def by_subscriber(self) -> Mapping[str, Sequence[Subscription]]:
        """The entries of each subscriber, by its id."""
        found: dict[str, list[Subscription]] = {}
        for entry in self.entries or ():
            found.setdefault(entry.subscriber_id, []).append(entry)
        return found

    def holds(self, subscriber_id: str) -> bool:
        """Whether somebody of that id is known to be registered."""
        return subscriber_id in self.by_subscriber

    def roles_of(self, subscriber_id: str, key_id: str, now: float) -> Collection[str]:
        """The roles in which a subscriber's key can sign at unix seconds `now`, as everybody knows."""
        return {
            entry.type
            for entry in self.by_subscriber.get(subscriber_id, ())
            if entry.key_id == key_id
            and (entry.updated is None or entry.updated.timestamp() + _KNOWN_AFTER_S <= now)
            and entry.is_live(now)
        }


@dataclass(frozen=True)
class Registered:
    """Who is registered as they shall be, and why others are not, by subscriber id.

    `writes`: how many entries were written. `held`: of how many subscribers the registry has entries then; None if it
    did not answer. `late`: whether there was no time for some.
    """

    ids: frozenset[str] = frozenset()
    problems: Mapping[str, str] = field(default_factory=dict)
    writes: int = 0
    held: int | None = None
    late: bool = False


async def view_registry(copy: RegistryCopy, domain: str, clock: Clock) -> RegistryView:
    """What a registry holds of a domain, as a copy of it knows after an update."""
    try:
        found = await copy.update(clock.machine())
    except RegistryUnavailable as error:
        return RegistryView(None, str(error))
    return RegistryView(tuple(entry for entry in found if entry.type != "BG" and entry.domain == domain))


def wanted_writes(
    wanted: Iterable[Wanted], present: Iterable[Subscription], keep: Collection[str], now: float
) -> list[Subscription]:
    """What to subscribe and unsubscribe of `present` entries. Those of ids in `keep` are not ended."""
    return [
        entry
        for entry in changes(wanted, present, utc(now))
        if entry.status is SubscriptionStatus.SUBSCRIBED or entry.subscriber_id not in keep
    ]


@dataclass(frozen=True)
class Written:
    """Which entries were written, and why others were not, by subscriber id; `late` are ids there was no time for."""

    entries: tuple[Subscription, ...] = ()
    problems: Mapping[str, str] = field(default_factory=dict)
    late: frozenset[str] = frozenset()


async def write_entries(
    entries: Iterable[Subscription],
    *,
    url: str,
    registrar: Signer,
    transport: Transport,
    clock: Clock,
    for_s: float = float("inf"),
) -> Written:
    """Subscribe entries. One that is refused does not keep the others from being written.

    After `for_s` seconds no more are begun: whoever waits for this waits for other things, too.
    """
    writes: dict[str, list[Subscription]] = {}
    for entry in entries:
        writes.setdefault(entry.subscriber_id, []).append(entry)
    sending, until = asyncio.Semaphore(_AT_ONCE), clock.wall() + for_s
    late: set[str] = set()

    async def write(subscriber_id: str) -> None:
        # One after the other: the registry refuses what was signed before what it has taken.
        async with sending:
            if clock.wall() > until:
                late.add(subscriber_id)
                return
            for entry in writes[subscriber_id]:
                await subscribe(url, transport, clock, registrar, entry)

    answers = await asyncio.gather(*map(write, writes), return_exceptions=True)
    problems: dict[str, str] = {}
    for subscriber_id, answer in zip(writes, answers, strict=True):
        if isinstance(answer, RegistryUnavailable | SubscriptionRefused):
            problems[subscriber_id] = str(answer)
        elif answer is not None:
            raise answer
    done = [entry for name, of in writes.items() if name not in problems and name not in late for entry in of]
    return Written(tuple(done), problems, frozenset(late))


async def register_all(
    registrants: Sequence[Registrant], domain: str, url: str, registrar: Signer, transport: Transport, clock: Clock
) -> int:
    """Make the registry at `url` true, for a street without a cluster; returns how many entries were written.

    What gets no answer is tried again for about a minute: on a slow machine it comes late. Raises RegistryUnavailable
    when somebody could not be registered.
    """
    wanted, count, problem = wanted_entries(registrants, domain), 0, ""
    for attempt in range(_TRIES):
        if attempt:
            await clock.sleep(_TRIED_AGAIN_AFTER_S)
        view = await view_registry(RegistryCopy(url, transport), domain, clock)
        if view.entries is None:
            problem = view.problem
            continue
        entries = wanted_writes(wanted, view.entries, (), clock.machine())
        written = await write_entries(entries, url=url, registrar=registrar, transport=transport, clock=clock)
        count += len(written.entries)
        if not written.problems:
            return count
        problem = "; ".join(f"{subscriber_id}: {why}" for subscriber_id, why in written.problems.items())
    raise RegistryUnavailable(problem)


def held_after(view: RegistryView, written: Sequence[Subscription]) -> int:
    """Of how many subscribers a registry has entries after these writes."""
    touched = {entry.subscriber_id for entry in written}
    present = [entry for one in touched for entry in view.by_subscriber.get(one, ())]
    entries = {(e.subscriber_id, e.type, e.key_id): e.status for e in (*present, *written)}
    left = {key[0] for key, status in entries.items() if status is SubscriptionStatus.SUBSCRIBED}
    return len(view.by_subscriber) - len(touched & view.by_subscriber.keys()) + len(left)
