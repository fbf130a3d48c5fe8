"""`lookup`: which entries agree with a subset of a subscription.

Nobody signs it. One that names its subscriber reads a few rows by index and costs no more than refusing it would, so it
is never refused, and pods can always learn keys. Any other may read the whole registry: it is limited by caller.
"""

from __future__ import annotations

from collections.abc import Mapping
from math import floor

from pydantic import ConfigDict, ValidationError

from wattmesh_beckn.context import BecknModel, Code, Timestamp
from wattmesh_beckn.errors import invalid, require
from wattmesh_beckn.http import PEER
from wattmesh_beckn.receiver import check_size, parse
from wattmesh_beckn.registry import SUBSCRIPTIONS, SubscriberType, SubscriptionStatus
from wattmesh_beckn.transport import Reply
from wattmesh_common.clock import Clock
from wattmesh_common.limits import RateLimit
from wattmesh_gateway.problems import first_problem
from wattmesh_gateway.registry import Registry

MOST_FOUND = 2_000
"""About what a client reads of one answer, 1 MiB, and makes in a tenth of a second."""
WIDE_PER_S = 10.0
"""Of one address. An operator makes two such lookups in a pass, and a pass at most every half second."""
WIDE_AT_ONCE = 50


class LocationFilter(BecknModel):
    """A part of a location: the feeder (`city`), the country or both."""

    model_config = ConfigDict(extra="forbid")

    city: Code | None = None
    country: Code | None = None


class LookupFilter(BecknModel):
    """Any subset of a subscription; an entry is found when it agrees with all that is given."""

    subscriber_id: str | None = None
    url: str | None = None
    type: SubscriberType | None = None
    domain: str | None = None
    location: LocationFilter | None = None
    key_id: str | None = None
    signing_public_key: str | None = None
    encr_public_key: str | None = None
    valid_from: Timestamp | None = None
    valid_until: Timestamp | None = None
    status: SubscriptionStatus | None = None
    created: Timestamp | None = None
    updated: Timestamp | None = None


_TIMES = ("valid_from", "valid_until", "created", "updated")


def read_filter(body: bytes) -> dict[str, str | int]:
    """What a lookup asks for, as the registry's columns and values. Refusal (400) names what is wrong."""
    raw = parse(body)
    if unknown := sorted(raw.keys() - LookupFilter.model_fields.keys()):
        allowed = ", ".join(LookupFilter.model_fields)
        raise invalid(f"entries cannot be looked up by {unknown[0][:50]!r}; the fields are {allowed}", unknown[0][:50])
    try:
        wanted = LookupFilter.model_validate(raw)
    except ValidationError as error:
        path, text = first_problem(error)
        raise invalid(text, path) from None
    columns: dict[str, str | int] = wanted.model_dump(exclude_none=True, exclude={"location", *_TIMES})
    if wanted.location and wanted.location.city:
        columns["city"] = wanted.location.city.code
    if wanted.location and wanted.location.country:
        columns["country"] = wanted.location.country.code
    for name in _TIMES:
        if (time := getattr(wanted, name)) is not None:
            columns[f"{name}_ms"] = floor(time.timestamp() * 1000)
    return columns


class Lookups:
    """The registry's reading end."""

    def __init__(self, registry: Registry, clock: Clock) -> None:
        self._registry = registry
        self._clock = clock
        self._wide = RateLimit(per_s=WIDE_PER_S, burst=WIDE_AT_ONCE, what="lookups without subscriber_id")

    def answer(self, body: bytes, headers: Mapping[str, str]) -> Reply:
        """The JSON array of matching entries.

        Refusal when the filter is unsound, more than 2,000 entries match, or the caller asks too widely too often.
        """
        check_size(len(body))
        wanted = read_filter(body)
        if "subscriber_id" not in wanted:
            require(self._wide, headers.get(PEER, ""), self._clock.wall())
        entries = self._registry.lookup(wanted, self._clock.wall(), most=MOST_FOUND + 1)
        if len(entries) > MOST_FOUND:
            raise invalid(f"more than {MOST_FOUND} entries match; ask for fewer, for example by type or location")
        return Reply(200, SUBSCRIPTIONS.dump_json(entries), {"content-type": "application/json"})
