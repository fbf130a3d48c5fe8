"""`lookup`: which entries agree with a subset of a subscription."""

from __future__ import annotations

from math import floor

from pydantic import ConfigDict, ValidationError

from wattmesh_beckn.clock import Clock
from wattmesh_beckn.context import BecknModel, Code, Timestamp
from wattmesh_beckn.errors import invalid
from wattmesh_beckn.receiver import check_size, parse
from wattmesh_beckn.registry import SUBSCRIPTIONS, SubscriberType, SubscriptionStatus
from wattmesh_beckn.transport import Reply
from wattmesh_gateway.problems import first_problem
from wattmesh_gateway.registry import Registry

MOST_FOUND = 2_000
"""About what a client reads of one answer, 1 MiB, and makes in a tenth of a second."""


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


def answer_lookup(body: bytes, registry: Registry, clock: Clock) -> Reply:
    """The JSON array of matching entries. Refusal when the filter is unsound or more than 2,000 entries match."""
    check_size(len(body))
    entries = registry.lookup(read_filter(body), clock.wall(), most=MOST_FOUND + 1)
    if len(entries) > MOST_FOUND:
        raise invalid(f"more than {MOST_FOUND} entries match; ask for fewer, for example by type or location")
    return Reply(200, SUBSCRIPTIONS.dump_json(entries), {"content-type": "application/json"})
