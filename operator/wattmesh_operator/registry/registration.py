"""One gateway's registry: what it holds, and what is written so that it holds what it shall."""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field

from wattmesh_beckn.registry import RegistryUnavailable, Subscription, SubscriptionStatus
from wattmesh_beckn.registry_copy import RegistryCopy
from wattmesh_beckn.signature import Signer
from wattmesh_beckn.subscribing import SubscriptionRefused, subscribe
from wattmesh_beckn.transport import Transport
from wattmesh_common.clock import Clock, utc
from wattmesh_operator.registry.entries import Registrant, Wanted, changes, wanted_entries

_AT_ONCE = 16
_KNOWN_AFTER_S = 2.0
"""Who asked the registry for a subscriber just before an entry was written asks again only after half a second."""


@dataclass(frozen=True)
class RegistryView:
    """The entries of buyers and sellers that a registry holds, or (None) why they are not known."""

    entries: tuple[Subscription, ...] | None
    problem: str = ""

    def holds(self, subscriber_id: str) -> bool:
        """Whether somebody of that id is known to be registered."""
        return any(entry.subscriber_id == subscriber_id for entry in self.entries or ())

    def roles_by_key(self, now: float) -> Mapping[tuple[str, str], Collection[str]]:
        """The roles in which a key (subscriber id and key id) can sign at unix seconds `now`, as everybody knows."""
        roles: dict[tuple[str, str], set[str]] = {}
        for entry in self.entries or ():
            known = entry.updated is None or entry.updated.timestamp() + _KNOWN_AFTER_S <= now
            if known and entry.is_live(now):
                roles.setdefault((entry.subscriber_id, entry.key_id), set()).add(entry.type)
        return roles


@dataclass(frozen=True)
class Registered:
    """Who is registered as they shall be, and why others are not, by subscriber id.

    `writes`: how many entries were written. `held`: of how many subscribers the registry has entries then; None if it
    did not answer.
    """

    ids: frozenset[str] = frozenset()
    problems: Mapping[str, str] = field(default_factory=dict)
    writes: int = 0
    held: int | None = None


async def view_registry(copy: RegistryCopy, domain: str, clock: Clock) -> RegistryView:
    """What a registry holds of a domain, as a copy of it knows after an update."""
    try:
        found = await copy.update(clock.machine())
    except RegistryUnavailable as error:
        return RegistryView(None, str(error))
    return RegistryView(tuple(entry for entry in found if entry.type != "BG" and entry.domain == domain))


def wanted_writes(
    view: RegistryView, wanted: Sequence[Wanted], keep: Collection[str], now: float
) -> list[Subscription]:
    """What to subscribe and unsubscribe, where the registry is known. Entries of ids in `keep` are not ended."""
    if view.entries is None:
        return []
    return [
        entry
        for entry in changes(wanted, view.entries, utc(now))
        if entry.status is SubscriptionStatus.SUBSCRIBED or entry.subscriber_id not in keep
    ]


async def register(
    view: RegistryView,
    registrants: Sequence[Registrant],
    keep: Collection[str],
    *,
    url: str,
    domain: str,
    registrar: Signer,
    transport: Transport,
    clock: Clock,
) -> Registered:
    """Make the registry true. One that is refused does not keep the others from being registered."""
    ids = [registrant.participant.subscriber_id for registrant in registrants]
    if view.entries is None:
        return Registered(problems=dict.fromkeys(ids, view.problem))
    wanted = wanted_entries(registrants, domain)
    writes: dict[str, list[Subscription]] = {}
    for entry in wanted_writes(view, wanted, keep, clock.machine()):
        writes.setdefault(entry.subscriber_id, []).append(entry)
    sending = asyncio.Semaphore(_AT_ONCE)

    async def write(entries: list[Subscription]) -> None:
        # One after the other: the registry refuses what was signed before what it has taken.
        async with sending:
            for entry in entries:
                await subscribe(url, transport, clock, registrar, entry)

    answers = await asyncio.gather(*(write(entries) for entries in writes.values()), return_exceptions=True)
    problems: dict[str, str] = {}
    for subscriber_id, answer in zip(writes, answers, strict=True):
        if isinstance(answer, RegistryUnavailable | SubscriptionRefused):
            problems[subscriber_id] = str(answer)
        elif answer is not None:
            raise answer
    written = [entry for entries in writes.values() for entry in entries if entry.subscriber_id not in problems]
    return Registered(frozenset(ids) - problems.keys(), problems, len(written), _held(view.entries, written))


async def register_all(
    registrants: Sequence[Registrant], domain: str, url: str, registrar: Signer, transport: Transport, clock: Clock
) -> int:
    """Make the registry at `url` true, for a street without a cluster; returns how many entries were written.

    Raises RegistryUnavailable when somebody could not be registered.
    """
    view = await view_registry(RegistryCopy(url, transport), domain, clock)
    registered = await register(
        view, registrants, (), url=url, domain=domain, registrar=registrar, transport=transport, clock=clock
    )
    for subscriber_id, problem in registered.problems.items():
        raise RegistryUnavailable(f"{subscriber_id}: {problem}")
    return registered.writes


def _held(present: Sequence[Subscription], written: Sequence[Subscription]) -> int:
    """Of how many subscribers there are live entries after these writes."""
    entries = {(e.subscriber_id, e.type, e.key_id): e.status for e in (*present, *written)}
    return len({key[0] for key, status in entries.items() if status is SubscriptionStatus.SUBSCRIBED})
