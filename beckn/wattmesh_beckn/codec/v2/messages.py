"""Models of Beckn v2.0.0 LTS, as far as wattmesh reads it. Unknown fields are passed over.

Names are the specification's, in Python's spelling; on the wire they are written in camel case. Numbers are JSON
numbers there, energy in kWh; as decimals they lose nothing on the way to Wh and millionths.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from decimal import Decimal
from typing import Annotated, Any, TypeVar

from pydantic import ConfigDict, Field, ValidationError
from pydantic.alias_generators import to_camel

from wattmesh_beckn.context import BecknModel, Duration, SubscriberId, Timestamp
from wattmesh_beckn.messages import error_in, first_wrong
from wattmesh_common.fields import Url, Uuid

VERSION = "2.0.0"
MOST_PARTS = 96
"""Commitments, intervals, flows and settlements of a contract: one day of slots, as in v1."""
MOST_CATALOGS = 1_000
PartT = TypeVar("PartT", bound=BecknModel)

Text = Annotated[str, Field(max_length=1_000)]
Id = Annotated[str, Field(min_length=1, max_length=200)]


class V2Model(BecknModel):
    """Base of the parts of a message."""

    model_config = ConfigDict(alias_generator=to_camel, populate_by_name=True)


class ContextV2(V2Model):
    """Who says what to whom. `timestamp` and `ttl` are wall time; without one a message holds for 30 s.

    A call between a buyer and the discovery service names no seller.
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


class OfferAttributes(V2Model):
    """EnergyTradeOffer: price and energy by interval."""

    commitment_attributes: TimeSeries | None = None


class OfferV2(V2Model):
    """An offer of a catalog, or the one that a commitment takes."""

    id: Id
    provider: Provider | None = None
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


class ContractAttributes(V2Model):
    """DEGContract, and until when a quote holds (wall time)."""

    quote_valid_until: Timestamp | None = None


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
            if one.consideration_attributes is not None and consideration in (None, one.id):
                yield from one.consideration_attributes.revenue_flows


class ContractMessage(V2Model):
    """Body of all calls about a contract."""

    contract: ContractV2


class Filters(V2Model):
    """What a buyer looks for, as a JSONPath (RFC 9535) over an array of catalogs."""

    type: Text = "jsonpath"
    expression: Annotated[str, Field(max_length=2_000)]


class IntentV2(V2Model):
    """What a buyer looks for."""

    filters: Filters | None = None


class DiscoverMessage(V2Model):
    """Body of `discover`."""

    intent: IntentV2


class CatalogsMessage(V2Model):
    """Body of `on_discover`."""

    catalogs: Annotated[tuple[CatalogV2, ...], Field(max_length=MOST_CATALOGS)]


class ErrorV2(V2Model):
    """Why something cannot be had: as LTS spells it, or as the reference adapter does."""

    error_code: Text | None = None
    error_message: Text | None = None
    code: Text | None = None
    message: Text | None = None


class ErrorMessageV2(V2Model):
    """What a callback carries in place of its body."""

    error: ErrorV2


class CallV2(V2Model):
    """A whole message."""

    context: ContextV2
    message: DiscoverMessage | CatalogsMessage | ContractMessage | ErrorMessageV2


_CONTRACT_CALLS = ("select", "init", "confirm", "status", "cancel", "update")
BODIES: dict[str, type[DiscoverMessage | CatalogsMessage | ContractMessage]] = {
    "discover": DiscoverMessage,
    "on_discover": CatalogsMessage,
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


def read_call(action: str, raw: Any) -> CallV2:
    """The message that parsed JSON holds; Refusal (400) names the first wrong field."""
    if not isinstance(raw, dict):
        raw = {}
    error = error_in(action, raw)
    context = _part(ContextV2, raw.get("context"), "context")
    if error is not None:
        return CallV2.model_construct(context=context, message=_part(ErrorMessageV2, error, "message"))
    return CallV2.model_construct(context=context, message=_part(BODIES[action], raw.get("message"), "message"))


def _part(model: type[PartT], raw: Any, place: str) -> PartT:
    try:
        return model.model_validate(raw, by_alias=True, by_name=False)
    except ValidationError as error:
        raise first_wrong(error, place) from None
