"""Models of Beckn v2.0.0 LTS, as far as wattmesh reads it. Unknown fields are passed over.

Names are the specification's, in Python's spelling; on the wire they are written in camel case. Numbers are JSON
numbers there, energy in kWh; as decimals they lose nothing on the way to Wh and millionths.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import timedelta
from decimal import Decimal
from typing import Annotated, Any, Literal, TypeVar

from pydantic import ConfigDict, Field, ValidationError
from pydantic.alias_generators import to_camel

from wattmesh_beckn.context import BecknModel, Duration, SubscriberId, Timestamp, check_lifetime
from wattmesh_beckn.errors import ErrorCode, declined, invalid
from wattmesh_beckn.messages import error_in, first_wrong
from wattmesh_common.fields import Url, Uuid

VERSION = "2.0.0"
MOST_PARTS = 96
"""Commitments, intervals, flows and settlements of a contract: one day of slots, as in v1."""
MOST_CATALOGS = 1_000
DISCOVER, ON_DISCOVER = "discover", "on_discover"
PUBLISH, ON_PUBLISH = "catalog/publish", "catalog/on_publish"
TO_DISCOVERY = frozenset((DISCOVER, PUBLISH))
"""What buyers and sellers say to the discovery service."""
OF_DISCOVERY = frozenset((ON_DISCOVER, ON_PUBLISH))
"""What it answers. A seller that was asked itself answers `discover`, too."""
_DEFAULT_HOST = "@dedi.global"
"""The registry's host that a `networkId` without one means."""
PartT = TypeVar("PartT", bound=BecknModel)

Text = Annotated[str, Field(max_length=1_000)]
Id = Annotated[str, Field(min_length=1, max_length=200)]


class V2Model(BecknModel):
    """Base of the parts of a message."""

    model_config = ConfigDict(alias_generator=to_camel, populate_by_name=True)


class RequestDigest(V2Model):
    """The digest of the request that a callback answers: `BLAKE-512=` and base64."""

    digest: Id


class ContextV2(V2Model):
    """Who says what to whom. `timestamp` and `ttl` are wall time; without one a message holds for 30 s.

    A call between a buyer and the discovery service names no seller, one between a seller and it no buyer.
    """

    action: Id
    version: Id
    network_id: Text | None = None
    bap_id: SubscriberId | None = None
    bap_uri: Url | None = None
    bpp_id: SubscriberId | None = None
    bpp_uri: Url | None = None
    transaction_id: Uuid
    message_id: Uuid
    timestamp: Timestamp
    ttl: Duration = timedelta(seconds=30)
    request_digest: RequestDigest | None = None

    @property
    def feeder(self) -> str | None:
        """The feeder that is named: none is, so the sender's counts."""
        return None

    @property
    def is_callback(self) -> bool:
        """Whether it answers a request, or could."""
        return is_callback(self.action)

    @property
    def recipient(self) -> str | None:
        """Whom it is for; None of what is for the discovery service."""
        if self.action == PUBLISH:
            return None
        return self.bap_id if self.recipient_field == "bapId" else self.bpp_id

    @property
    def recipient_field(self) -> str:
        """Which field says so."""
        return "bapId" if self.is_callback and self.action != ON_PUBLISH else "bppId"

    @property
    def expires_at(self) -> float:
        """Unix seconds of wall time after which nobody need act on it."""
        return self.timestamp.timestamp() + self.ttl.total_seconds()


class Descriptor(V2Model):
    """A code for machines, a text for people."""

    code: Text | None = None
    name: Text | None = None
    short_desc: Text | None = None


class Period(V2Model):
    """From a time on, for a while."""

    start: Timestamp
    duration: Duration | None = None


class Payload(V2Model):
    """Values of one type in an interval."""

    type: Id
    values: Annotated[tuple[Any, ...], Field(max_length=10)] = ()


class Interval(V2Model):
    """Interval number `id` of a series, or one with a period of its own."""

    id: Annotated[int, Field(ge=0, lt=10_000)] = 0
    interval_period: Period | None = None
    payloads: Annotated[tuple[Payload, ...], Field(max_length=20)] = ()

    def number(self, *types: str) -> Decimal | None:
        """The first value of the first of these types that is there; ValueError when it is no number."""
        for wanted in types:
            for payload in self.payloads:
                if payload.type == wanted and payload.values:
                    return decimal(payload.values[0])
        return None

    def numbers(self, wanted: str) -> list[Decimal]:
        """All values of a type; ValueError when one is no number."""
        return [decimal(value) for payload in self.payloads if payload.type == wanted for value in payload.values]


class PayloadDescriptor(V2Model):
    """The unit, or currency, of the payloads of a type."""

    payload_type: Id
    units: Text | None = None
    currency: Text | None = None


class TimeSeries(V2Model):
    """Values by interval: BecknTimeSeries."""

    interval_period: Period
    payload_descriptors: Annotated[tuple[PayloadDescriptor, ...], Field(max_length=20)] = ()
    intervals: Annotated[tuple[Interval, ...], Field(max_length=MOST_PARTS)] = ()
    reading_status: Text | None = None

    def currency(self) -> str | None:
        """The currency of its prices, where one is named."""
        return next((one.currency for one in self.payload_descriptors if one.currency), None)


class Provider(V2Model):
    """Whose energy it is."""

    id: Id
    descriptor: Descriptor | None = None


class Flow(V2Model):
    """Money that a role receives; negative: pays. `delivery_id` names the delivery where there are several."""

    role: Id
    value: Decimal
    currency: Annotated[str, Field(pattern=r"^[A-Z]{3}$")]
    description: Text | None = None
    delivery_id: Id | None = None


class RevenueFlow(V2Model):
    """What flows to whom."""

    revenue_flows: Annotated[tuple[Flow, ...], Field(max_length=4 * MOST_PARTS)] = ()


class Consideration(V2Model):
    """What is given for the energy."""

    id: Id
    consideration_attributes: RevenueFlow | None = None

    @property
    def flows(self) -> tuple[Flow, ...]:
        """Its flows, if it is one of money."""
        return self.consideration_attributes.revenue_flows if self.consideration_attributes is not None else ()


class OfferAttributes(V2Model):
    """EnergyTradeOffer: price and energy by interval. `select_optional` says that `init` is taken without `select`."""

    commitment_attributes: TimeSeries | None = None
    select_optional: bool = False


class OfferV2(V2Model):
    """An offer of a catalog, or the one that a commitment takes. `considerations`: what is owed for a kWh beside it."""

    id: Id
    provider: Provider | None = None
    considerations: Annotated[tuple[Consideration, ...], Field(max_length=MOST_PARTS)] = ()
    offer_attributes: OfferAttributes | None = None


class CatalogV2(V2Model):
    """What a seller offers."""

    bpp_id: SubscriberId | None = None
    bpp_uri: Url | None = None
    is_active: bool = True
    provider: Provider
    offers: Annotated[tuple[OfferV2, ...], Field(max_length=MOST_PARTS)] = ()


class Commitment(V2Model):
    """Energy that is promised, by interval."""

    offer: OfferV2
    commitment_attributes: TimeSeries | None = None


class Amount(V2Model):
    """Money."""

    value: Decimal
    currency: Annotated[str, Field(pattern=r"^[A-Z]{3}$")]


class SettlementAttributes(V2Model):
    """SettlementTerm, what is due, or PaymentAction, what was paid."""

    type: Annotated[str | None, Field(alias="@type", max_length=100)] = None
    amount: Amount | None = None
    payment_status: Text | None = None


class Settlement(V2Model):
    """What is due for a delivery, or was paid."""

    id: Id | None = None
    status: Text | None = None
    settlement_attributes: SettlementAttributes | None = None


class Performance(V2Model):
    """How one delivery stands."""

    id: Id | None = None
    status: Descriptor | None = None


class ParticipantAttributes(V2Model):
    """EnergyCustomer: a meter, and at which utility under which number."""

    utility_customer_id: Id | None = None


class Participant(V2Model):
    """Who takes part in a contract."""

    id: Id | None = None
    participant_attributes: ParticipantAttributes | None = None


class Role(V2Model):
    """What somebody is in a contract: `buyerPlatform`, `sellerPlatform`, …"""

    role: Text | None = None
    participant_id: Text | None = None


class ContractAttributes(V2Model):
    """DEGContract, and until when a quote holds (wall time)."""

    quote_valid_until: Timestamp | None = None
    roles: Annotated[tuple[Role, ...], Field(max_length=20)] = ()


class ContractV2(V2Model):
    """A contract, or as much of it as a message says."""

    id: Id | None = None
    status: Descriptor | None = None
    commitments: Annotated[tuple[Commitment, ...], Field(max_length=MOST_PARTS)] = ()
    consideration: Annotated[tuple[Consideration, ...], Field(max_length=MOST_PARTS)] = ()
    participants: Annotated[tuple[Participant, ...], Field(max_length=20)] = ()
    performance: Annotated[tuple[Performance, ...], Field(max_length=MOST_PARTS)] = ()
    settlements: Annotated[tuple[Settlement, ...], Field(max_length=2 * MOST_PARTS)] = ()
    contract_attributes: ContractAttributes = ContractAttributes()

    def flows(self, consideration: str | None = None) -> Iterator[Flow]:
        """The flows of all considerations, or of the one of that id."""
        for one in self.consideration:
            if consideration in (None, one.id):
                yield from one.flows


class ContractMessage(V2Model):
    """Body of all calls about a contract."""

    contract: ContractV2


class Filters(V2Model):
    """What a buyer looks for, as a JSONPath (RFC 9535) over an array of catalogs."""

    type: Literal["jsonpath"] = "jsonpath"
    expression: Annotated[str, Field(min_length=1, max_length=2_000)]


class IntentV2(V2Model):
    """What a buyer looks for."""

    filters: Filters | None = None
    text_search: Text | None = None
    spatial: Any = None
    media_search: Any = None


class DiscoverMessage(V2Model):
    """Body of `discover`."""

    intent: IntentV2
    text_search: Text | None = None
    legacy_text_search: Annotated[Text | None, Field(alias="text_search")] = None

    def require_filters_alone(self) -> None:
        """Refuse what it asks for in a way that is not offered: by text, place or picture."""
        for place, value in (
            ("textSearch", self.text_search),
            ("text_search", self.legacy_text_search),
            ("intent.textSearch", self.intent.text_search),
            ("intent.spatial", self.intent.spatial),
            ("intent.mediaSearch", self.intent.media_search),
        ):
            if value:
                text = f"{place} is not offered here; use filters"
                raise declined(ErrorCode.BUSINESS_ERROR, text, f"message.{place}")


class CatalogsMessage(V2Model):
    """Body of `on_discover`."""

    catalogs: Annotated[tuple[CatalogV2, ...], Field(max_length=MOST_CATALOGS)]


class ErrorV2(V2Model):
    """Why something cannot be had: as LTS spells it, or as the reference adapter does."""

    error_code: Text | None = None
    error_message: Text | None = None
    code: Text | None = None
    message: Text | None = None

    @property
    def said(self) -> tuple[str, str]:
        """Code and text."""
        return self.error_code or self.code or "", self.error_message or self.message or ""


class ErrorMessageV2(V2Model):
    """What a callback carries in place of its body."""

    error: ErrorV2


class ProcessingResult(V2Model):
    """What became of a catalog that was published."""

    catalog_id: Text
    status: Id
    errors: Annotated[tuple[ErrorV2, ...], Field(max_length=MOST_PARTS)] = ()


class ResultsMessage(V2Model):
    """Body of `catalog/on_publish`."""

    results: Annotated[tuple[ProcessingResult, ...], Field(max_length=MOST_PARTS)]


class CallV2(V2Model):
    """A whole message."""

    context: ContextV2
    message: BecknModel


_CONTRACT_CALLS = ("select", "init", "confirm", "status", "cancel", "update")
BODIES: Mapping[str, type[V2Model]] = {
    DISCOVER: DiscoverMessage,
    ON_DISCOVER: CatalogsMessage,
    ON_PUBLISH: ResultsMessage,
    **{name: ContractMessage for call in _CONTRACT_CALLS for name in (call, f"on_{call}")},
}


def decimal(value: Any) -> Decimal:
    """A JSON number, or its text, as the decimal that was written; ValueError when it is neither."""
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        raise ValueError("must be a number")
    try:
        return Decimal(str(value))
    except ArithmeticError:
        raise ValueError("must be a number") from None


def is_callback(action: str) -> bool:
    """Whether a call answers a request, or could."""
    return action.rpartition("/")[2].startswith("on_")


def read_call(action: str, raw: Any, bodies: Mapping[str, type[V2Model]] = BODIES) -> CallV2:
    """The message that parsed JSON holds; Refusal (400) names the first wrong field."""
    if not isinstance(raw, dict):
        raw = {}
    error = error_in(action, raw)
    context = _part(ContextV2, raw.get("context"), "context")
    if error is not None:
        return CallV2.model_construct(context=context, message=_part(ErrorMessageV2, error, "message"))
    return CallV2.model_construct(context=context, message=_part(bodies[action], raw.get("message"), "message"))


def network_of(gateway_id: str) -> str:
    """The `networkId` of a gateway's network."""
    return f"wattmesh.io/{gateway_id}"


def check_context(
    context: ContextV2, *, action: str, network: str, subscriber_id: str | None, now: float, machine: float
) -> None:
    """Refuse (400) a context that this subscriber cannot act on.

    `network` is the receiver's; a message need not name it. `subscriber_id` is the receiver (None at the discovery
    service); `now` and `machine` are what the Clock says.
    """
    if context.action not in (action, action.replace("/", "_")):
        raise invalid(f"context.action is {context.action!r} but the call was {action!r}", "context.action")
    if context.version != VERSION:
        raise invalid(f"version {context.version!r} is not spoken here; use {VERSION!r}", "context.version")
    if context.network_id and context.network_id.removesuffix(_DEFAULT_HOST) != network:
        text = f"networkId {context.network_id!r:.200} is another network; this is {network!r}: name that, or none"
        raise invalid(text, "context.networkId")
    needed = ["bap_id", "bap_uri"] if action not in (PUBLISH, ON_PUBLISH) else []
    if action not in (DISCOVER, ON_DISCOVER, ON_PUBLISH):
        needed += ["bpp_id", "bpp_uri"]
    for field in needed:
        if getattr(context, field) is None:
            raise invalid(f"{action} needs context.{to_camel(field)}", f"context.{to_camel(field)}")
    if subscriber_id is not None and context.recipient != subscriber_id:
        field = context.recipient_field
        raise invalid(f"context.{field} is {context.recipient!r} but this is {subscriber_id!r}", f"context.{field}")
    check_lifetime(context, now, machine)


def _part(model: type[PartT], raw: Any, place: str) -> PartT:
    try:
        return model.model_validate(raw, by_alias=True, by_name=False)
    except ValidationError as error:
        raise first_wrong(error, place) from None
