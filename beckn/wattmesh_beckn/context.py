"""The `context` of every Beckn message: built, checked, answered."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from typing import Annotated, Any, Literal, Protocol

from pydantic import AfterValidator, AwareDatetime, BaseModel, BeforeValidator, ConfigDict, Field, PlainSerializer

from wattmesh_beckn.errors import invalid
from wattmesh_common.clock import rfc3339, utc
from wattmesh_common.fields import Url, Uuid

VERSION = "1.1.0"
VERSIONS = (VERSION, "1.1.1")
"""Versions of core that are understood; they differ in nothing that is traded with."""
COUNTRY = "DEU"
CLOCK_TOLERANCE_S = 5
"""How far a sender's clock may run ahead (BECKN-006 leaves it open; beckn networks use seconds)."""
MAX_TTL_S = 3600
LONGEST_DURATION = timedelta(days=365)
"""Of any duration in a message, so that a time plus a duration is a time."""

REQUESTS = ("search", "select", "init", "confirm", "status", "cancel", "update")
CALLBACKS = tuple(f"on_{request}" for request in REQUESTS)
ACTIONS = REQUESTS + CALLBACKS

Action = Literal[
    "search", "select", "init", "confirm", "status", "cancel", "update",
    "on_search", "on_select", "on_init", "on_confirm", "on_status", "on_cancel", "on_update",
]  # fmt: skip

_SUBSCRIBER_ID = r"^[A-Za-z0-9]([A-Za-z0-9._-]*[A-Za-z0-9])?$"
_ISO_8601 = re.compile(r"P[0-9.YMWDTHS]+")
_RFC_3339 = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?(Z|[+-]\d\d:\d\d)", re.ASCII | re.IGNORECASE)
SubscriberId = Annotated[str, Field(pattern=_SUBSCRIBER_ID, max_length=253)]


def _iso_8601(value: Any) -> Any:
    if isinstance(value, timedelta) or (isinstance(value, str) and _ISO_8601.fullmatch(value)):
        return value
    raise ValueError('must be an ISO 8601 duration, for example "PT30S"')


def _at_most_a_year(value: timedelta) -> timedelta:
    if value > LONGEST_DURATION:
        raise ValueError(f"must be at most {LONGEST_DURATION.days} days")
    return value


def _rfc_3339(value: Any) -> Any:
    if isinstance(value, datetime) or (isinstance(value, str) and _RFC_3339.fullmatch(value)):
        return value
    raise ValueError('must be an RFC 3339 time with zone, for example "2026-06-01T12:00:00Z"')


def _has_utc(value: datetime) -> datetime:
    if 1 < value.year < 9999:  # no zone is a year wide
        return value
    try:
        rfc3339(value.timestamp())
    except (ValueError, OverflowError):
        raise ValueError("must be within the years 1 to 9999 of UTC") from None
    return value


def _to_the_millisecond(value: datetime) -> str:
    # Not by unix seconds: far from 1970 a float of them is less exact, and each hand would take a millisecond away.
    return value.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def iso_duration(value: timedelta) -> str:
    """An ISO 8601 duration in seconds, to the millisecond: `PT12.5S`."""
    return f"PT{value.total_seconds():.3f}".rstrip("0").rstrip(".") + "S"


Duration = Annotated[
    timedelta,
    BeforeValidator(_iso_8601),
    AfterValidator(_at_most_a_year),
    PlainSerializer(iso_duration, return_type=str, when_used="json"),
]
Timestamp = Annotated[
    AwareDatetime,
    BeforeValidator(_rfc_3339),
    AfterValidator(_has_utc),
    PlainSerializer(_to_the_millisecond, return_type=str, when_used="json"),
]


class BecknModel(BaseModel):
    """Base of all message parts: unknown fields are passed over when read, refused when written."""

    model_config = ConfigDict(frozen=True, extra="ignore", populate_by_name=True, serialize_by_alias=True)


class Code(BecknModel):
    """A thing named by its code."""

    code: str = Field(min_length=1, max_length=200)


class Location(BecknModel):
    """Where: `city.code` names the feeder."""

    city: Code
    country: Code = Code(code=COUNTRY)


class Where(BecknModel):
    """Where, as far as it is said."""

    city: Code | None = None
    country: Code | None = None


class Addressed(Protocol):
    """What the context of a message says in every version: who says it to whom, in which conversation, until when."""

    @property
    def action(self) -> str:
        """What the call is, as its version names it."""
        ...

    @property
    def bap_id(self) -> str | None:
        """The buyer's subscriber id."""
        ...

    @property
    def bpp_id(self) -> str | None:
        """The seller's subscriber id; None where no seller is named."""
        ...

    @property
    def transaction_id(self) -> str:
        """The conversation."""
        ...

    @property
    def message_id(self) -> str:
        """The message's name: a callback has that of its request."""
        ...

    @property
    def timestamp(self) -> datetime:
        """When it was said (wall time)."""
        ...

    @property
    def ttl(self) -> timedelta:
        """For how long it holds from then on."""
        ...

    @property
    def feeder(self) -> str | None:
        """The feeder that is named, if any."""
        ...

    @property
    def is_callback(self) -> bool:
        """Whether it answers a request, or could."""
        ...

    @property
    def recipient(self) -> str | None:
        """Whom it is for; None where nobody is named."""
        ...

    @property
    def expires_at(self) -> float:
        """Unix seconds of wall time after which nobody need act on it."""
        ...


class Context(BecknModel):
    """Beckn core 1.1 context. `timestamp` and `ttl` are wall time; without one a message holds for 30 s."""

    domain: str = Field(min_length=1, max_length=100)
    location: Where = Where()
    city: str | None = Field(default=None, max_length=200)
    action: Action
    version: str
    bap_id: SubscriberId
    bap_uri: Url
    bpp_id: SubscriberId | None = None
    bpp_uri: Url | None = None
    transaction_id: Uuid
    message_id: Uuid
    timestamp: Timestamp
    ttl: Duration = timedelta(seconds=30)

    @property
    def feeder(self) -> str | None:
        """The feeder that is named: as the location's city, or as networks with older contexts do."""
        return self.location.city.code if self.location.city else self.city

    @property
    def is_callback(self) -> bool:
        """Whether the seller sent it."""
        return self.action.startswith("on_")

    @property
    def sender(self) -> str:
        """The subscriber that must have signed: the BAP for requests, the BPP for callbacks."""
        return (self.bpp_id or "") if self.is_callback else self.bap_id

    @property
    def recipient(self) -> str | None:
        """Whom it is for; None on `search`, which is for any seller."""
        return self.bap_id if self.is_callback else self.bpp_id

    @property
    def expires_at(self) -> float:
        """Unix seconds of wall time after which nobody need act on it."""
        return self.timestamp.timestamp() + self.ttl.total_seconds()


def request_context(
    *,
    domain: str,
    feeder: str,
    action: Action,
    bap: tuple[str, str],
    bpp: tuple[str, str] | None,
    transaction_id: str,
    message_id: str,
    now: float,
    ttl_s: float,
) -> Context:
    """Context of a new message. `bap` and `bpp` are (subscriber id, url); `now` is unix seconds of wall time."""
    return Context(
        domain=domain,
        location=Where(city=Code(code=feeder), country=Code(code=COUNTRY)),
        action=action,
        version=VERSION,
        bap_id=bap[0],
        bap_uri=bap[1],
        bpp_id=bpp[0] if bpp else None,
        bpp_uri=bpp[1] if bpp else None,
        transaction_id=transaction_id,
        message_id=message_id,
        timestamp=utc(now),
        ttl=timedelta(seconds=ttl_s),
    )


def check_context(
    context: Context, *, action: str, domain: str, subscriber_id: str | None, now: float, machine: float
) -> None:
    """Refuse a context that this subscriber cannot act on.

    `subscriber_id` is the receiver (None at the gateway); `now` and `machine` are what the Clock says.
    Raises Refusal (400, 30000) that names the field and what was expected.
    """
    if context.action != action:
        raise invalid(f"context.action is {context.action!r} but the call was {action!r}", "context.action")
    if context.version not in VERSIONS:
        raise invalid(f"version {context.version!r} is not spoken here; use {VERSION!r}", "context.version")
    if context.domain.replace("-", "_") != domain.replace("-", "_"):
        raise invalid(f"domain {context.domain!r} is not traded here; use {domain!r}", "context.domain")
    if action != "search":
        for field in ("bpp_id", "bpp_uri"):
            if getattr(context, field) is None:
                raise invalid(f"{action} needs context.{field}", f"context.{field}")
    # A search may name a seller; one that names nobody is for all.
    if subscriber_id is not None and context.recipient not in (subscriber_id, None):
        field = "bap_id" if context.is_callback else "bpp_id"
        raise invalid(f"context.{field} is {context.recipient!r} but this is {subscriber_id!r}", f"context.{field}")
    check_lifetime(context, now, machine)


def check_lifetime(context: Addressed, now: float, machine: float) -> None:
    """Refuse (400) a message that is over, from the future, or good for too long; see `check_context`."""
    if not 0 < context.ttl.total_seconds() <= MAX_TTL_S:
        raise invalid(f"ttl must be more than 0 s and at most {MAX_TTL_S} s", "context.ttl")
    if context.timestamp.timestamp() > machine + CLOCK_TOLERANCE_S:
        raise invalid(
            f"timestamp {rfc3339(context.timestamp.timestamp())} is ahead of this clock, {rfc3339(machine)}, "
            f"by more than {CLOCK_TOLERANCE_S} s; set the sender's clock",
            "context.timestamp",
        )
    if context.expires_at < now:
        raise invalid(
            f"message expired at {rfc3339(context.expires_at)} (timestamp + ttl); this clock says {rfc3339(now)}",
            "context.ttl",
        )
