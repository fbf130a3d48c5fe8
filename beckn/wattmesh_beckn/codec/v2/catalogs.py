"""Catalogs between sellers, the discovery service and buyers: what is published, what became of it, what is found.

What a seller publishes is kept as far as the specification knows it: a buyer that checks `on_discover` against its
schema shall not lose all offers because of one seller's field. Attributes, which the specification leaves open, are
kept whole.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import timedelta
from functools import lru_cache
from typing import Annotated, Any, Literal, NamedTuple

import pydantic_core
from pydantic import ConfigDict, Field, ValidationError

from wattmesh_beckn.codec.v2.messages import (
    DISCOVER,
    MOST_PARTS,
    PUBLISH,
    VERSION,
    ContextV2,
    DiscoverMessage,
    Id,
    Text,
    TimeSeries,
    V2Model,
)
from wattmesh_beckn.context import SubscriberId, Timestamp, iso_duration
from wattmesh_beckn.errors import Refusal, invalid
from wattmesh_beckn.messages import first_wrong
from wattmesh_beckn.signature import digest
from wattmesh_common.clock import rfc3339
from wattmesh_market.energy.slots import SLOT_S

Json = dict[str, Any]

MOST_CATALOG_BYTES = 64 * 1024
MOST_AT_ONCE = 16
"""Catalogs in one publication."""
_DEEPEST = 32
"""How deeply attributes may be nested."""


class _Text(V2Model):
    """Descriptor: a code for machines, texts for people."""

    code: Text | None = None
    name: Text | None = None
    short_desc: Text | None = None
    long_desc: Text | None = None


class _Attributes(V2Model):
    """Attributes of any kind, by the JSON-LD context that they name."""

    model_config = ConfigDict(extra="allow")

    context: Annotated[str, Field(alias="@context", max_length=1_000)]
    type: Annotated[str, Field(alias="@type", max_length=200)]


class _Validity(V2Model):
    """From when until when, in grid time."""

    start_date: Timestamp | None = None
    end_date: Timestamp | None = None


class _Seller(V2Model):
    """Provider: whose energy it is."""

    id: Id
    descriptor: _Text
    provider_attributes: _Attributes | None = None


class _Resource(V2Model):
    """What can be had."""

    id: Id
    descriptor: _Text | None = None
    resource_attributes: _Attributes | None = None


class _Consideration(V2Model):
    """What is to be given for it."""

    id: Id
    status: _Text
    consideration_attributes: _Attributes | None = None


class _Audience(V2Model):
    """Who may see an offer."""

    type: Literal["NETWORK", "PARTICIPANT", "ROLE"]
    id: Id


class _Offer(V2Model):
    """Under which terms it can be had."""

    id: Id
    descriptor: _Text | None = None
    provider: _Seller | None = None
    resource_ids: Annotated[tuple[Id, ...], Field(max_length=MOST_PARTS)] = ()
    considerations: Annotated[tuple[_Consideration, ...], Field(max_length=MOST_PARTS)] = ()
    validity: _Validity | None = None
    available_to: Annotated[tuple[_Audience, ...], Field(max_length=100)] = ()
    offer_attributes: _Attributes | None = None


class _Directives(V2Model):
    """How a catalog is to be taken."""

    update_mode: Literal["FULL", "MERGE"] = "FULL"


class _Catalog(V2Model):
    """A catalog as it is published."""

    id: Id
    descriptor: _Text
    bpp_id: SubscriberId | None = None
    is_active: bool = True
    provider: _Seller
    validity: _Validity | None = None
    resources: Annotated[tuple[_Resource, ...] | None, Field(max_length=MOST_PARTS)] = None
    offers: Annotated[tuple[_Offer, ...] | None, Field(max_length=MOST_PARTS)] = None
    publish_directives: _Directives | None = None


class PublishMessage(V2Model):
    """Body of `catalog/publish`. Each catalog is read by itself: see `read_catalog`.

    `results`, wattmesh's own, says whether `catalog/on_publish` is to come always, or when a catalog was rejected.
    """

    catalogs: Annotated[tuple[Json, ...], Field(min_length=1, max_length=MOST_AT_ONCE)]
    results: Literal["ALL", "REJECTED"] = "ALL"


TO_DISCOVERY_BODIES: Mapping[str, type[V2Model]] = {DISCOVER: DiscoverMessage, PUBLISH: PublishMessage}
"""What the discovery service is told and asked."""


class Offered(NamedTuple):
    """Of an offer, by its number in its catalog: from when until when (unix seconds of grid time), and for whom.

    `starts` and `ends` are None where the offer has no time series and no end; an empty `to`: for everybody.
    """

    starts: float | None
    ends: float | None
    to: tuple[tuple[str, str], ...]

    def visible(self, buyer: str, network: str) -> bool:
        """Whether a buyer may see it."""
        said = {("NETWORK", network), ("PARTICIPANT", buyer), ("ROLE", "BAP")}
        return not self.to or not said.isdisjoint(self.to)


class Published(NamedTuple):
    """A catalog as the discovery service keeps it: JSON without whose it is (`with_seller`), its offers in order."""

    id: str
    is_active: bool
    body: bytes
    offers: tuple[Offered, ...]


class Result(NamedTuple):
    """What became of a published catalog: taken, or why not."""

    catalog_id: str
    refusal: Refusal | None


def read_catalog(raw: Json, sender: str) -> Published:
    """A catalog that `sender` publishes; Refusal says what is wrong with it, with a path within the catalog."""
    try:
        catalog = _Catalog.model_validate(raw, by_alias=True, by_name=False)
    except ValidationError as error:
        raise first_wrong(error) from None
    if catalog.bpp_id not in (None, sender):
        raise invalid(f"bppId is {catalog.bpp_id!r}, but {sender!r} publishes it", "bppId")
    if catalog.publish_directives is not None and catalog.publish_directives.update_mode == "MERGE":
        raise invalid(
            "publishDirectives.updateMode: MERGE is not offered; publish the whole catalog", "publishDirectives"
        )
    if catalog.is_active and catalog.resources is None and catalog.offers is None:
        raise invalid("a catalog needs resources or offers", "offers")
    if _too_deep(raw):
        raise invalid(f"it is nested more than {_DEEPEST} deep")
    offers = tuple(_offered(offer, catalog, number) for number, offer in enumerate(catalog.offers or ()))
    kept = catalog.model_copy(update={"bpp_id": None, "publish_directives": None})
    body = kept.model_dump_json(by_alias=True, exclude_none=True, exclude_unset=True).encode()
    if len(body) > MOST_CATALOG_BYTES:
        raise invalid(f"it is {len(body)} bytes; a catalog may have {MOST_CATALOG_BYTES}")
    return Published(catalog.id, catalog.is_active, body, offers)


def with_seller(body: bytes, seller: str, url: str) -> bytes:
    """A kept catalog, with who sells and where it is reached."""
    return b'{"bppId":%s,"bppUri":%s,%s' % (pydantic_core.to_json(seller), pydantic_core.to_json(url), body[1:])


def trimmed(catalog: Json, kept: Sequence[int]) -> Json:
    """A catalog with those of its offers alone, by number, and the resources that these name."""
    offers = [catalog["offers"][number] for number in kept]
    named = {name for offer in offers for name in offer.get("resourceIds", ())}
    resources = [one for one in catalog.get("resources", ()) if one["id"] in named]
    return {**catalog, "resources": resources, "offers": offers}


def trimmed_body(body: bytes, kept: Sequence[int]) -> bytes:
    """The same of a kept catalog as JSON. What is asked for again and again is taken apart once."""
    head, resources, offers = _parts(body)
    named = {name for number in kept for name in offers[number][1]}
    found = [text for text, name in resources if name in named]
    return b'%s,"resources":[%s],"offers":[%s]}' % (
        head[:-1],
        b",".join(found),
        b",".join([offers[number][0] for number in kept]),
    )


class _Parts(NamedTuple):
    """A catalog as JSON: all but resources and offers, each resource with its id, each offer with those it names."""

    head: bytes
    resources: tuple[tuple[bytes, str], ...]
    offers: tuple[tuple[bytes, tuple[str, ...]], ...]


@lru_cache(maxsize=512)
def _parts(body: bytes) -> _Parts:
    catalog = pydantic_core.from_json(body)
    resources, offers = catalog.pop("resources", ()), catalog.pop("offers")
    return _Parts(
        pydantic_core.to_json(catalog),
        tuple([(pydantic_core.to_json(one), one["id"]) for one in resources]),
        tuple([(pydantic_core.to_json(one), tuple(one.get("resourceIds", ()))) for one in offers]),
    )


# --- what the discovery service answers ---


class Conversation(NamedTuple):
    """What a callback takes from the request that it answers. Ids and urls are (subscriber id, url)."""

    transaction_id: str
    message_id: str
    digest: str
    bap: tuple[str, str] | None
    bpp: tuple[str, str] | None


def conversation(context: ContextV2, body: bytes) -> Conversation:
    """The conversation that a request opens."""
    bap = (context.bap_id, str(context.bap_uri)) if context.bap_id is not None else None
    bpp = (context.bpp_id, str(context.bpp_uri)) if context.bpp_id is not None else None
    return Conversation(context.transaction_id, context.message_id, f"BLAKE-512={digest(body)}", bap, bpp)


def callback_context(action: str, of: Conversation, network: str, now: float, ttl_s: float) -> Json:
    """The context of a callback at unix seconds `now`, without a party that the request did not name."""
    parties: Json = {}
    for role, party in (("bap", of.bap), ("bpp", of.bpp)):
        if party is not None:
            parties |= {f"{role}Id": party[0], f"{role}Uri": party[1]}
    return {
        "networkId": network,
        "version": VERSION,
        "action": action,
        **parties,
        "transactionId": of.transaction_id,
        "messageId": of.message_id,
        "timestamp": rfc3339(now),
        "ttl": iso_duration(timedelta(seconds=ttl_s)),
        "requestDigest": {"digest": of.digest},
    }


def write_found(context: Mapping[str, Any], catalogs: Iterable[bytes], *, more: bool) -> bytes:
    """The body of `on_discover`, or of a page of it: where `more` follow, the context says so."""
    told = {**context, "more": True} if more else context
    return b'{"context":%s,"message":{"catalogs":[%s]}}' % (pydantic_core.to_json(told), b",".join(catalogs))


def write_results(context: Mapping[str, Any], results: Iterable[Result]) -> bytes:
    """The body of `catalog/on_publish`."""
    told = [
        {"catalogId": one.catalog_id, "status": "ACCEPTED"}
        if one.refusal is None
        else {"catalogId": one.catalog_id, "status": "REJECTED", "errors": [_error(one.refusal)]}
        for one in results
    ]
    return pydantic_core.to_json({"context": context, "message": {"results": told}})


def write_failure(context: Mapping[str, Any], refusal: Refusal) -> bytes:
    """The body of an `on_discover` that tells why there is no answer."""
    return pydantic_core.to_json({"context": context, "message": {"catalogs": []}, "error": _error(refusal)})


def _error(refusal: Refusal) -> Json:
    code, text = str(refusal.code), refusal.message
    return {"errorCode": code, "errorMessage": text, "code": code, "message": text}


def _offered(offer: _Offer, catalog: _Catalog, number: int) -> Offered:
    place = f"offers.{number}"
    to = tuple((one.type, one.id) for one in offer.available_to)
    starts, last = _times(offer, f"{place}.offerAttributes.commitmentAttributes")
    validities = [one.end_date for one in (catalog.validity, offer.validity) if one is not None]
    ends = [one.timestamp() for one in validities if one is not None] + ([] if last is None else [last])
    return Offered(starts, min(ends, default=None), to)


def _times(offer: _Offer, place: str) -> tuple[float | None, float | None]:
    """When the first interval of an offer's series begins, and when the last one ends."""
    extra = offer.offer_attributes.model_extra if offer.offer_attributes is not None else None
    raw = (extra or {}).get("commitmentAttributes")
    if raw is None:
        return None, None
    try:
        series = TimeSeries.model_validate(raw, by_alias=True, by_name=False)
    except ValidationError as error:
        raise first_wrong(error, place) from None
    start, length = series.interval_period.start.timestamp(), series.interval_period.duration
    length_s = SLOT_S if length is None else length.total_seconds()
    ends = [start + length_s]
    for interval in series.intervals:
        own = interval.interval_period
        begins = start + interval.id * length_s if own is None else own.start.timestamp()
        lasts = length_s if own is None or own.duration is None else own.duration.total_seconds()
        ends.append(begins + lasts)
    return start, max(ends)


def _too_deep(value: Any, depth: int = 0) -> bool:
    if depth > _DEEPEST:
        return True
    inner = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    return any(_too_deep(one, depth + 1) for one in inner)
