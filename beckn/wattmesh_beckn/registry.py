"""Registry entries, and how a subscriber's keys and address are found."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from enum import StrEnum
from functools import cached_property, partial
from typing import Annotated, Literal, Protocol

from pydantic import Field, TypeAdapter, ValidationError

from wattmesh_beckn.context import CLOCK_TOLERANCE_S, BecknModel, Location, SubscriberId, Timestamp
from wattmesh_beckn.signature import SignatureHeader, SignatureProblem
from wattmesh_beckn.transport import Transport, TransportError
from wattmesh_common.clock import Clock, rfc3339
from wattmesh_common.fields import V1_ONLY, Protocols, Url, Uuid
from wattmesh_common.limits import RateLimit

SubscriberType = Literal["BAP", "BPP", "BG"]

LOOKUP_TIMEOUT_S = 2.0
"""Less than a sender waits for its answer, which may need two lookups."""
STALE_S = 5.0
"""How long entries that could not be renewed serve before the registry is asked again."""
IN_VAIN_AT_ONCE = 200
"""Questions about unknown names and keys under way at once. Every honest newcomer is one for a few milliseconds."""
IN_VAIN_PER_S = 20.0
"""How often the registry is asked about them without learning anything: what a flood of forgeries costs it at most."""
MOST_NOBODIES = 1_000
"""Names remembered as nobody's; `IN_VAIN_AT_ONCE` and `IN_VAIN_PER_S` let far fewer come up within `miss_s`."""


class SubscriptionStatus(StrEnum):
    """Where a subscription stands."""

    INITIATED = "INITIATED"
    UNDER_SUBSCRIPTION = "UNDER_SUBSCRIPTION"
    SUBSCRIBED = "SUBSCRIBED"
    EXPIRED = "EXPIRED"
    UNSUBSCRIBED = "UNSUBSCRIBED"


class Subscription(BecknModel):
    """One registry entry: a subscriber in one role with one key. Public keys are base64 of 32 bytes.

    `protocols`, wattmesh's own field, says which versions of Beckn it speaks in that role; without it core's first.
    """

    subscriber_id: SubscriberId
    url: Url
    type: SubscriberType
    domain: str = Field(min_length=1, max_length=100)
    location: Location
    key_id: Uuid
    signing_public_key: Annotated[str, Field(pattern=r"^[A-Za-z0-9+/]{43}=$")]
    encr_public_key: str = Field(default="", max_length=200)
    protocols: Protocols = V1_ONLY
    valid_from: Timestamp
    valid_until: Timestamp
    status: SubscriptionStatus = SubscriptionStatus.SUBSCRIBED
    created: Timestamp | None = None
    updated: Timestamp | None = None

    def is_live(self, now: float) -> bool:
        """Whether it holds at unix seconds `now`."""
        start, end = self._lifetime
        return self.status is SubscriptionStatus.SUBSCRIBED and start <= now < end

    def held(self, at: float) -> bool:
        """Whether its key was the subscriber's at unix seconds `at`, even if it is not any more."""
        start, end = self._lifetime
        return self.status in (SubscriptionStatus.SUBSCRIBED, SubscriptionStatus.EXPIRED) and start <= at < end

    @cached_property
    def _lifetime(self) -> tuple[float, float]:
        return self.valid_from.timestamp(), self.valid_until.timestamp()

    def speaks_as(self, role: SubscriberType, domain: str, now: float) -> bool:
        """Whether it is for this role and domain, and holds at unix seconds `now`.

        Who has just made a key may have a clock that runs ahead by as much as that of a signature may.
        """
        return (self.type, self.domain) == (role, domain) and (
            self.is_live(now) or self.is_live(now + CLOCK_TOLERANCE_S)
        )


SUBSCRIPTIONS = TypeAdapter(list[Subscription])


class LookupPage(BecknModel):
    """Entries in the order in which they changed last.

    `cursor` leads to what follows: to the next page where there is `more`, else to what changes from now on.
    """

    entries: tuple[Subscription, ...]
    cursor: str = Field(min_length=1, max_length=100)
    more: bool


class RegistryUnavailable(Exception):
    """The registry did not answer, so nobody can be told true from false now."""


class Directory(Protocol):
    """Finds the entries of a subscriber."""

    async def find(self, subscriber_id: str, *, fresh: bool = False) -> Sequence[Subscription]:
        """All entries of a subscriber; `fresh` asks the registry even when an answer is at hand."""
        ...


async def key_of(
    header: SignatureHeader, role: SubscriberType, domain: str, directory: Directory, now: float
) -> Subscription:
    """The live entry whose key made a signature.

    SignatureProblem says whether subscriber, key, role or domain is unknown, or the key expired or unsubscribed.
    RegistryUnavailable passes through.
    """
    for fresh in (False, True):
        entries = await directory.find(header.subscriber_id, fresh=fresh)
        for entry in entries:
            if entry.key_id == header.key_id and entry.speaks_as(role, domain, now):
                return entry
    who = f"subscriber {header.subscriber_id!r}"
    if not entries:
        raise SignatureProblem(f"{who} is not in the registry")
    entries = [entry for entry in entries if entry.key_id == header.key_id]
    if not entries:
        raise SignatureProblem(f"key {header.key_id!r} of {who} is not in the registry")
    entries = [entry for entry in entries if entry.type == role]
    if not entries:
        raise SignatureProblem(f"{who} is not registered as {role}")
    entries = [entry for entry in entries if entry.domain == domain]
    if not entries:
        raise SignatureProblem(f"{who} is not registered as {role} in domain {domain!r}")
    entry = entries[0]
    if entry.status not in (SubscriptionStatus.SUBSCRIBED, SubscriptionStatus.EXPIRED):
        raise SignatureProblem(f"key {header.key_id!r} of {who} is {entry.status}")
    raise SignatureProblem(
        f"key {header.key_id!r} of {who} is valid from {rfc3339(entry.valid_from.timestamp())} until "
        f"{rfc3339(entry.valid_until.timestamp())}; this clock says {rfc3339(now)}"
    )


class RegistryDirectory:
    """Looks entries up at a registry and keeps the answers for a while.

    An entry is kept `keep_s`; "nobody" only `miss_s`, apart from the entries, so that made-up names push none of them
    out. Questions that a forger can cause, about a name without an entry or for a fresh answer, are bounded together;
    renewing what is known never waits for them.
    """

    def __init__(
        self, registry_url: str, transport: Transport, clock: Clock, *, keep_s: float = 30.0, miss_s: float = 0.5,
        most: int = 10_000,
    ) -> None:  # fmt: skip
        self._url = f"{registry_url.rstrip('/')}/lookup"
        self._transport = transport
        self._clock = clock
        self._keep_s = keep_s
        self._miss_s = miss_s
        self._most = most
        self._known: dict[str, tuple[float, list[Subscription]]] = {}
        self._nobodies: dict[str, float] = {}
        self._in_vain = RateLimit(per_s=IN_VAIN_PER_S, burst=IN_VAIN_AT_ONCE)
        self._asking: dict[str, asyncio.Task[list[Subscription]]] = {}

    async def find(self, subscriber_id: str, *, fresh: bool = False) -> Sequence[Subscription]:
        """See Directory.

        Raises RegistryUnavailable when the registry does not answer and nothing is at hand, or when too many unknown
        names and keys are asked for.
        """
        now = self._clock.wall()
        asked_at, entries = self._known.get(subscriber_id, (self._nobodies.get(subscriber_id, float("-inf")), []))
        if now - asked_at < (self._keep_s if entries and not fresh else self._miss_s):
            return entries
        # Messages of one sender come in bursts: all that wait for its entries share one question.
        if subscriber_id not in self._asking:
            doubtful = fresh or not entries
            if doubtful and self._in_vain.wait_s("", now):
                raise RegistryUnavailable("too many unknown subscribers and keys are being looked up")
            self._asking[subscriber_id] = asyncio.ensure_future(self._ask(subscriber_id, entries, doubtful=doubtful))
            self._asking[subscriber_id].add_done_callback(partial(self._asked, subscriber_id))
        return await asyncio.shield(self._asking[subscriber_id])

    def _asked(self, subscriber_id: str, task: asyncio.Task[list[Subscription]]) -> None:
        del self._asking[subscriber_id]
        if not task.cancelled():
            task.exception()  # whoever still waits has it; nobody may be left to

    async def _ask(self, subscriber_id: str, entries: list[Subscription], *, doubtful: bool) -> list[Subscription]:
        now = self._clock.wall()
        try:
            found = await lookup(self._url, self._transport, subscriber_id=subscriber_id)
        except RegistryUnavailable:
            if not entries:
                raise
            # Old entries serve for a while without waiting again for a registry that does not answer.
            found, now = entries, self._clock.wall() + STALE_S - self._keep_s
        found = [entry for entry in found if entry.subscriber_id == subscriber_id]
        if doubtful and found != entries:
            self._in_vain.give_back("")
        self._known.pop(subscriber_id, None)
        self._nobodies.pop(subscriber_id, None)
        if found:
            self._known[subscriber_id] = (now, found)
            if len(self._known) > self._most:
                del self._known[next(iter(self._known))]
        else:
            self._nobodies[subscriber_id] = now
            if len(self._nobodies) > MOST_NOBODIES:
                del self._nobodies[next(iter(self._nobodies))]
        return found


async def lookup(lookup_url: str, transport: Transport, **subset: str) -> list[Subscription]:
    """Entries that agree with `subset` of a subscription; RegistryUnavailable when there is no good answer."""
    body = _LOOKUP.dump_json(subset)
    try:
        response = await transport.post(
            lookup_url, body, {"content-type": "application/json"}, timeout_s=LOOKUP_TIMEOUT_S
        )
        if response.status != 200:
            raise RegistryUnavailable(f"{lookup_url} answered {response.status}")
        return SUBSCRIPTIONS.validate_json(response.body)
    except TransportError as error:
        raise RegistryUnavailable(f"{lookup_url}: {error}") from None
    except ValidationError as error:
        raise RegistryUnavailable(f"{lookup_url} answered what is no list of subscriptions: {error}") from None


_LOOKUP = TypeAdapter(dict[str, str])
