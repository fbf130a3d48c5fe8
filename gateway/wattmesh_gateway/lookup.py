"""`lookup`: which entries agree with a subset of a subscription.

Nobody signs it. One that names its subscriber reads a few rows by index and costs no more than refusing it would, so it
is never refused, and pods can always learn keys. Any other may read the whole registry: it is limited by caller, and
what is too much for one answer is read by pages. A page's cursor also leads to what changes later.
"""

from __future__ import annotations

from collections.abc import Mapping
from math import floor

from pydantic import ConfigDict, Field, ValidationError

from wattmesh_beckn.context import BecknModel, Code, Timestamp
from wattmesh_beckn.errors import ErrorCode, Refusal, invalid
from wattmesh_beckn.http import PEER
from wattmesh_beckn.receiver import check_size, parse
from wattmesh_beckn.registry import SUBSCRIPTIONS, LookupPage, SubscriberType, SubscriptionStatus
from wattmesh_beckn.transport import MAX_ANSWER_BYTES, Reply
from wattmesh_common.clock import Clock
from wattmesh_common.fields import Protocols
from wattmesh_gateway.limits import Limit
from wattmesh_gateway.problems import first_problem
from wattmesh_gateway.registry import ChangesForgotten, Registry

MOST_FOUND = 2_000
"""In one answer; about what a client reads of it, 1 MiB, and made in a tenth of a second."""
MOST_ON_PAGE = 1_000
WIDE_PER_S = 10.0
"""Of one address. An operator makes one such lookup in a pass, and a pass at most every half second."""
WIDE_AT_ONCE = 50


class LocationFilter(BecknModel):
    """A part of a location: the feeder (`city`), the country or both."""

    model_config = ConfigDict(extra="forbid")

    city: Code | None = None
    country: Code | None = None


class PageAsked(BecknModel):
    """Which page: that behind the cursor `after`, or the first one; with at most so many entries."""

    model_config = ConfigDict(extra="forbid")

    after: str | None = Field(default=None, max_length=100)
    most: int = Field(default=MOST_ON_PAGE, ge=1, le=MOST_ON_PAGE, strict=True)


class LookupFilter(BecknModel):
    """Any subset of a subscription; an entry is found when it agrees with all that is given. `page`: by pages.

    Registries in use also take `unique_key_id` for `key_id`, `city` and `country` as plain codes, and a `nonce`, which
    says nothing.
    """

    subscriber_id: str | None = None
    url: str | None = None
    type: SubscriberType | None = None
    domain: str | None = None
    location: LocationFilter | None = None
    key_id: str | None = None
    signing_public_key: str | None = None
    encr_public_key: str | None = None
    protocols: Protocols | None = None
    valid_from: Timestamp | None = None
    valid_until: Timestamp | None = None
    status: SubscriptionStatus | None = None
    created: Timestamp | None = None
    updated: Timestamp | None = None
    page: PageAsked | None = None
    unique_key_id: str | None = None
    city: str | None = None
    country: str | None = None
    nonce: str | None = None


_ASIDE = ("unique_key_id", "nonce")
_TIMES = ("valid_from", "valid_until", "created", "updated")


def read_filter(body: bytes) -> tuple[dict[str, str | int], PageAsked | None]:
    """What a lookup asks for, as the registry's columns and values, and the page. Refusal (400) names what is wrong."""
    raw = parse(body)
    if unknown := sorted(raw.keys() - LookupFilter.model_fields.keys()):
        allowed = ", ".join(LookupFilter.model_fields)
        raise invalid(f"entries cannot be looked up by {unknown[0][:50]!r}; the fields are {allowed}", unknown[0][:50])
    try:
        wanted = LookupFilter.model_validate(raw)
    except ValidationError as error:
        path, text = first_problem(error)
        raise invalid(text, path) from None
    columns: dict[str, str | int] = wanted.model_dump(
        exclude_none=True, exclude={"location", "page", "protocols", *_ASIDE, *_TIMES}
    )
    if wanted.unique_key_id is not None:
        columns["key_id"] = wanted.unique_key_id
    if wanted.location and wanted.location.city:
        columns["city"] = wanted.location.city.code
    if wanted.location and wanted.location.country:
        columns["country"] = wanted.location.country.code
    if wanted.protocols is not None:
        columns["protocols"] = ",".join(wanted.protocols)
    for name in _TIMES:
        if (time := getattr(wanted, name)) is not None:
            columns[f"{name}_ms"] = floor(time.timestamp() * 1000)
    return columns, wanted.page


class Lookups:
    """The registry's reading end."""

    def __init__(self, registry: Registry, clock: Clock) -> None:
        self._registry = registry
        self._clock = clock
        self._wide = Limit(
            registry.database, clock, per_s=WIDE_PER_S, burst=WIDE_AT_ONCE, what="lookups without subscriber_id"
        )

    async def answer(self, body: bytes, headers: Mapping[str, str]) -> Reply:
        """The JSON array of matching entries, or the page that is asked for.

        Refusal when the filter is unsound, too much matches for one answer, the caller asks too widely too often, or
        its cursor leads nowhere.
        """
        check_size(len(body))
        wanted, page = read_filter(body)
        if "subscriber_id" not in wanted:
            await self._wide.require(headers.get(PEER, ""))
        found = await (self._page(wanted, page) if page else self._whole(wanted))
        return Reply(200, found, {"content-type": "application/json"})

    async def _whole(self, wanted: Mapping[str, str | int]) -> bytes:
        now = self._clock.machine()
        entries = await self._registry.lookup(wanted, now, most=MOST_FOUND + 1)
        if len(entries) <= MOST_FOUND:
            # Who takes the first of a subscriber's entries shall get one that holds.
            entries.sort(key=lambda one: (one.subscriber_id, one.type, not one.is_live(now)))
            found = SUBSCRIPTIONS.dump_json(entries)
            if len(found) <= MAX_ANSWER_BYTES:
                return found
        raise invalid(
            f"more than {MOST_FOUND} entries or {MAX_ANSWER_BYTES} bytes match; read them by pages, with 'page'"
        )

    async def _page(self, wanted: Mapping[str, str | int], page: PageAsked) -> bytes:
        most = page.most
        while True:
            try:
                found = await self._registry.changes(wanted, self._clock.machine(), after=page.after, most=most)
            except ChangesForgotten:
                text = "page.after: what has changed since is not known any more; read from the beginning, without it"
                raise Refusal(410, ErrorCode.INVALID_REQUEST, text, "page.after") from None
            answer = LookupPage.model_construct(**found._asdict()).model_dump_json().encode()
            if len(answer) <= MAX_ANSWER_BYTES:
                return answer
            most = len(found.entries) // 2  # long urls; one entry is always short enough
