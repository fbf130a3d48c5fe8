"""Keeping a gateway's registry true to what shall run: lookup, compare, subscribe.

Level-triggered: each pass compares the whole; nothing is remembered between passes. What to write is a pure function of
what shall be and what is there.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from wattmesh_beckn.clock import Clock, utc
from wattmesh_beckn.context import Code, Location
from wattmesh_beckn.registry import Subscription, SubscriptionStatus, lookup
from wattmesh_beckn.signature import Signer
from wattmesh_beckn.subscribing import subscribe
from wattmesh_beckn.transport import Transport
from wattmesh_operator.plan import Participant

VALIDITY = timedelta(days=365)
RENEW_BEFORE = timedelta(days=90)
_CLOCK_MARGIN = timedelta(hours=1)


@dataclass(frozen=True)
class Registrant:
    """A participant with what only a run knows: its URL and its public key."""

    participant: Participant
    url: str
    key_id: str
    public_key: str


def wanted_entries(registrants: Iterable[Registrant], domain: str, now: datetime) -> list[Subscription]:
    """One entry per registrant and role, valid for a year from an hour ago (for clocks that run behind)."""
    return [
        Subscription(
            subscriber_id=registrant.participant.subscriber_id,
            url=registrant.url,
            type=role,
            domain=domain,
            location=Location(city=Code(code=registrant.participant.feeder)),
            key_id=registrant.key_id,
            signing_public_key=registrant.public_key,
            valid_from=now - _CLOCK_MARGIN,
            valid_until=now + VALIDITY,
        )
        for registrant in registrants
        for role in registrant.participant.roles
    ]


def changes(wanted: Sequence[Subscription], present: Sequence[Subscription], now: datetime) -> list[Subscription]:
    """The entries to subscribe so that the registry says what is wanted.

    Missing, different and soon expiring entries are written; entries of sellers and buyers that nobody wants any more
    are unsubscribed. Nothing to do gives an empty list.
    """
    there = {_key(entry): entry for entry in present}
    writes = [entry for entry in wanted if not _holds(there.get(_key(entry)), entry, now)]
    keys = {_key(entry) for entry in wanted}
    ended = {"status": SubscriptionStatus.UNSUBSCRIBED}
    unwanted = [e for e in present if _key(e) not in keys and e.status is SubscriptionStatus.SUBSCRIBED]
    return [*writes, *(entry.model_copy(update=ended) for entry in unwanted)]


async def keep_registered(
    registrants: Sequence[Registrant], domain: str, registry_url: str, registrar: Signer, transport: Transport,
    clock: Clock,
) -> int:  # fmt: skip
    """Make the registry true; returns how many entries were written.

    Raises RegistryUnavailable or SubscriptionRefused (both of wattmesh_beckn); a later pass makes good what is left.
    """
    now = utc(clock.wall())
    url = f"{registry_url.rstrip('/')}/lookup"
    present = [entry for role in ("BAP", "BPP") for entry in await lookup(url, transport, domain=domain, type=role)]
    writes = changes(wanted_entries(registrants, domain, now), present, now)
    for entry in writes:
        await subscribe(registry_url, transport, clock, registrar, entry)
    return len(writes)


def _key(entry: Subscription) -> tuple[str, str, str]:
    return entry.subscriber_id, entry.type, entry.key_id


def _holds(present: Subscription | None, wanted: Subscription, now: datetime) -> bool:
    return (
        present is not None
        and present.status is SubscriptionStatus.SUBSCRIBED
        and (present.url, present.domain, present.location, present.signing_public_key)
        == (wanted.url, wanted.domain, wanted.location, wanted.signing_public_key)
        and present.valid_from <= now
        and present.valid_until - now > RENEW_BEFORE
    )
