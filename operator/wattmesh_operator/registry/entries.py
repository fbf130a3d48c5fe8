"""The entries that a gateway's registry shall hold, and what to write of them.

Level-triggered: each pass compares the whole; nothing is remembered between passes. What to write is a pure function of
what shall be and what is there.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from wattmesh_beckn.context import Code, Location
from wattmesh_beckn.keys import RetiringKey
from wattmesh_beckn.registry import Subscription, SubscriptionStatus
from wattmesh_common.clock import utc
from wattmesh_operator.plan.pods import Participant

VALIDITY = timedelta(days=365)
RENEW_BEFORE = timedelta(days=90)
_CLOCK_MARGIN = timedelta(hours=1)
_ENDING = timedelta(minutes=1)
"""How long before its end an entry is not written any more; by the registry's clock it may be past."""


@dataclass(frozen=True)
class Registrant:
    """A participant with what only a run knows: its URL, its public key, and its former keys that still hold."""

    participant: Participant
    url: str
    key_id: str
    public_key: str
    retiring: tuple[RetiringKey, ...] = ()

    def keys(self, until: datetime) -> list[tuple[str, str, datetime]]:
        """Key id, public key and end of each key, the current one first; `until` is that of those without an end."""
        former = [
            (key.signer.key_id, key.signer.public_key, until if key.valid_until is None else utc(key.valid_until))
            for key in self.retiring
        ]
        return [(self.key_id, self.public_key, until), *former]


def wanted_entries(registrants: Iterable[Registrant], domain: str, now: datetime) -> list[Subscription]:
    """One entry per registrant, key and role, valid from an hour ago (for clocks that run behind).

    Current keys are valid for a year, former ones until their end.
    """
    return [
        Subscription(
            subscriber_id=registrant.participant.subscriber_id,
            url=registrant.url,
            type=role,
            domain=domain,
            location=Location(city=Code(code=registrant.participant.feeder)),
            key_id=key_id,
            signing_public_key=public_key,
            valid_from=now - _CLOCK_MARGIN,
            valid_until=valid_until,
        )
        for registrant in registrants
        for key_id, public_key, valid_until in registrant.keys(now + VALIDITY)
        for role in registrant.participant.roles
    ]


def changes(wanted: Sequence[Subscription], present: Sequence[Subscription], now: datetime) -> list[Subscription]:
    """The entries to subscribe so that the registry says what is wanted.

    Missing, different and soon expiring entries are written; entries of sellers and buyers that nobody wants any more
    are unsubscribed, but for those that end by themselves now. Nothing to do gives an empty list.
    """
    there = {_key(entry): entry for entry in present}
    lasting = [entry for entry in wanted if entry.valid_until - now > _ENDING]
    writes = [entry for entry in lasting if not _holds(there.get(_key(entry)), entry, now)]
    keys = {_key(entry) for entry in wanted}
    ended = {"status": SubscriptionStatus.UNSUBSCRIBED}
    live = [e for e in present if e.status is SubscriptionStatus.SUBSCRIBED and e.valid_until > now]
    unwanted = [entry for entry in live if _key(entry) not in keys]
    return [*writes, *(entry.model_copy(update=ended) for entry in unwanted)]


def _key(entry: Subscription) -> tuple[str, str, str]:
    return entry.subscriber_id, entry.type, entry.key_id


def _holds(present: Subscription | None, wanted: Subscription, now: datetime) -> bool:
    return (
        present is not None
        and present.status is SubscriptionStatus.SUBSCRIBED
        and (present.url, present.domain, present.location, present.signing_public_key)
        == (wanted.url, wanted.domain, wanted.location, wanted.signing_public_key)
        and present.valid_from <= now
        and _ends_as(present.valid_until, wanted.valid_until, now)
    )


def _ends_as(present: datetime, wanted: datetime, now: datetime) -> bool:
    return present - now > RENEW_BEFORE if wanted - now >= VALIDITY else present == wanted
