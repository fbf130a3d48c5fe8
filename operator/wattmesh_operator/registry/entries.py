"""The entries that a gateway's registry shall hold, and what to write of them.

Level-triggered: each pass compares the whole; nothing is remembered between passes. What to write is a pure function of
what shall be and what is there; it costs little where nothing has changed.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import NamedTuple

from wattmesh_beckn.context import COUNTRY, Code, Location
from wattmesh_beckn.keys import RetiringKey
from wattmesh_beckn.registry import Subscription, SubscriptionStatus
from wattmesh_common.clock import utc
from wattmesh_common.fields import ProtocolVersion
from wattmesh_operator.plan.pods import Participant, Role

VALIDITY = timedelta(days=365)
RENEW_BEFORE = timedelta(days=90)
"""An entry that lasts longer than that is good long enough."""
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

    def all_keys(self) -> list[tuple[str, str, datetime | None]]:
        """Key id, public key and end (None: not yet known) of each key, the current one first."""
        former = [
            (key.signer.key_id, key.signer.public_key, None if key.valid_until is None else utc(key.valid_until))
            for key in self.retiring
        ]
        return [(self.key_id, self.public_key, None), *former]


class Wanted(NamedTuple):
    """What an entry shall say: a subscriber in one role with one key, until `ends` or, without an end, for good."""

    subscriber_id: str
    role: Role
    key_id: str
    public_key: str
    url: str
    domain: str
    feeder: str
    protocols: tuple[ProtocolVersion, ...]
    ends: datetime | None

    def entry(self, now: datetime) -> Subscription:
        """The entry, valid from an hour ago (for clocks that run behind) until its end, or for a year."""
        return Subscription(
            subscriber_id=self.subscriber_id,
            url=self.url,
            type=self.role,
            domain=self.domain,
            location=Location(city=Code(code=self.feeder)),
            key_id=self.key_id,
            signing_public_key=self.public_key,
            protocols=self.protocols,
            valid_from=now - _CLOCK_MARGIN,
            valid_until=self.ends or now + VALIDITY,
        )

    def is_said_by(self, entry: Subscription, now: datetime) -> bool:
        """Whether an entry says it, and will for long enough."""
        return (
            entry.status is SubscriptionStatus.SUBSCRIBED
            and (entry.url, entry.domain, entry.signing_public_key) == (self.url, self.domain, self.public_key)
            and entry.protocols == self.protocols
            and (entry.location.city.code, entry.location.country.code) == (self.feeder, COUNTRY)
            and entry.valid_from <= now
            and (entry.valid_until == self.ends if self.ends else entry.valid_until - now > RENEW_BEFORE)
        )


def wanted_entries(registrants: Iterable[Registrant], domain: str) -> list[Wanted]:
    """One entry per registrant, key and role."""
    return [
        Wanted(
            registrant.participant.subscriber_id,
            role,
            key_id,
            public_key,
            registrant.url,
            domain,
            registrant.participant.feeder,
            registrant.participant.protocols,
            ends,
        )
        for registrant in registrants
        for key_id, public_key, ends in registrant.all_keys()
        for role in registrant.participant.roles
    ]


def changes(wanted: Iterable[Wanted], present: Iterable[Subscription], now: datetime) -> list[Subscription]:
    """The entries to subscribe so that the registry says what is wanted.

    Missing, different and soon expiring entries are written; entries of sellers and buyers that nobody wants any more
    are unsubscribed, but for those that end by themselves now. Nothing to do gives an empty list.
    """
    unwanted = {(entry.subscriber_id, entry.type, entry.key_id): entry for entry in present}
    writes: list[Subscription] = []
    for one in wanted:
        there = unwanted.pop((one.subscriber_id, one.role, one.key_id), None)
        lasts = one.ends is None or one.ends - now > _ENDING
        if lasts and (there is None or not one.is_said_by(there, now)):
            writes.append(one.entry(now))
    ended = {"status": SubscriptionStatus.UNSUBSCRIBED}
    live = [e for e in unwanted.values() if e.status is SubscriptionStatus.SUBSCRIBED and e.valid_until > now]
    return [*writes, *(entry.model_copy(update=ended) for entry in live)]
