"""Message bodies of Beckn core 1.1 as wattmesh trades with them: an order has an item and a fulfillment per slot.

Names and nesting are those of Beckn core's OpenAPI file, and what core leaves optional may be missing. Quantities and
prices are decimal strings on the wire and integers (Wh, millionths) here. What core has no field for stands in `tags`.
"""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any, Literal, Self, TypeVar

from pydantic import BeforeValidator, FailFast, Field, SerializeAsAny, ValidationError, create_model, model_validator

from wattmesh_beckn.context import BecknModel, Code, Context, Duration, Timestamp, Where
from wattmesh_beckn.errors import Refusal, invalid
from wattmesh_beckn.units import WIRE, BillMicro, Currency, EnergyWh, MoneyMicro, in_kwh
from wattmesh_market.energy.slots import slots_from_range

ENERGY = "energy"
FULFILLMENT = "fulfillment"
"""Code of the descriptor of a `cancel` that names deliveries."""
GRID_FEE = "grid fee"
SHARED_ENERGY = "shared energy"
LOCAL_GRID_FEE = "local grid fee"
"""Title of the part of a quote's price that is for the grid."""
Id = Annotated[str, Field(min_length=1, max_length=100, pattern=r"^[!-~]+$")]
MOST_DELIVERIES = 96
"""Of one order: a day of slots."""
PartT = TypeVar("PartT")
Many = Annotated[tuple[PartT, ...], FailFast()]
"""A list that is read up to its first wrong part: telling all of 80 000 would take seconds."""


class Descriptor(BecknModel):
    """What a thing is called: `code` for machines, `name` for people."""

    code: str | None = Field(default=None, max_length=200)
    name: str | None = Field(default=None, max_length=200)


class Tag(BecknModel):
    """One value of a tag group."""

    descriptor: Code
    value: str = Field(max_length=200)


class TagGroup(BecknModel):
    """Values that core has no field for, under one code."""

    descriptor: Code
    values: Many[Tag] = Field(alias="list", max_length=50)


class Measure(BecknModel):
    """An energy. `energy_wh` is `value` on the wire, in kWh; Wh and MWh are read, too."""

    energy_wh: EnergyWh = Field(alias="value")
    unit: Literal["kWh"] = "kWh"

    @model_validator(mode="before")
    @classmethod
    def _in_kwh(cls, raw: Any) -> Any:
        return in_kwh(raw) if isinstance(raw, dict) else raw


class PositiveMeasure(Measure):
    """An energy of at least 1 Wh."""

    @model_validator(mode="after")
    def _positive(self) -> Self:
        if self.energy_wh == 0:
            raise ValueError("must be more than 0 kWh")
        return self


class MeasureOf(BecknModel):
    """Beckn's wrapper around a measure."""

    measure: Measure


class PositiveMeasureOf(BecknModel):
    """Beckn's wrapper around a measure of at least 1 Wh."""

    measure: PositiveMeasure


class Selected(BecknModel):
    """The quantity a buyer wants."""

    selected: PositiveMeasureOf


class Sought(BecknModel):
    """The quantity a buyer looks for, under either name."""

    selected: PositiveMeasureOf | None = None
    available: PositiveMeasureOf | None = None


class Available(BecknModel):
    """The quantity a seller can spare; not stated, it is as much as anybody wants."""

    available: MeasureOf | None = None


class Price(BecknModel):
    """Money in a currency: per kWh on an item, in all on a quote."""

    currency: Currency
    value_micro: MoneyMicro = Field(alias="value")


class TimeRange(BecknModel):
    """From `start` to `end` of grid time."""

    start: Timestamp
    end: Timestamp

    @model_validator(mode="after")
    def _forwards(self) -> Self:
        if self.end <= self.start:
            raise ValueError("end must be after start")
        return self


class StopTime(BecknModel):
    """When: from start to end, or the moment of this stop."""

    range: TimeRange | None = None
    timestamp: Timestamp | None = None


class Stop(BecknModel):
    """Where and when a delivery starts or ends."""

    type: str | None = Field(default=None, max_length=50)
    location: Where | None = None
    time: StopTime | None = None


class State(BecknModel):
    """State of a fulfillment."""

    descriptor: Descriptor | None = None


class Fulfillment(BecknModel):
    """A delivery in one slot."""

    id: Id | None = None
    type: str | None = Field(default=None, max_length=50)
    state: State | None = None
    stops: Many[Stop] = Field(default=(), max_length=10)
    tags: Many[TagGroup] = Field(default=(), max_length=50)

    @property
    def window(self) -> tuple[datetime, datetime] | None:
        """Start and end of the delivery: a range, or the moments of its first and last stop; None when not stated."""
        times = [stop.time for stop in self.stops if stop.time is not None]
        ranges = [time.range for time in times if time.range is not None]
        if ranges:
            return ranges[0].start, ranges[0].end
        moments = [time.timestamp for time in times if time.timestamp is not None]
        return (moments[0], moments[-1]) if len(moments) > 1 else None


# --- search -----------------------------------------------------------------------------------------------------


class IntentItem(BecknModel):
    """What is sought."""

    descriptor: Descriptor | None = None
    quantity: Sought | None = None


class Intent(BecknModel):
    """What a buyer is looking for."""

    item: IntentItem = IntentItem()
    fulfillment: Fulfillment

    @model_validator(mode="after")
    def _slots(self) -> Self:
        self.slots  # noqa: B018 - asked for what is wrong with it
        return self

    @property
    def slots(self) -> range:
        """The delivery slots that are sought, one or several in a row."""
        window = self.fulfillment.window
        if window is None:
            raise ValueError("fulfillment.stops must say when the energy is wanted, from start to end")
        return slots_from_range(*window)


class SearchMessage(BecknModel):
    """Body of `search`."""

    intent: Intent


class CatalogItem(BecknModel):
    """Energy on offer for one slot; `price` is per kWh."""

    id: Id
    descriptor: Descriptor = Descriptor()
    price: Price
    quantity: Available = Available()
    fulfillment_ids: Many[Id] = Field(default=(), max_length=MOST_DELIVERIES)


class Provider(BecknModel):
    """A seller in a catalog."""

    id: Id
    descriptor: Descriptor = Descriptor()
    items: Many[CatalogItem] = Field(default=(), max_length=100)
    fulfillments: Many[Fulfillment] = Field(default=(), max_length=100)


class Catalog(BecknModel):
    """What a BPP offers; fulfillments may stand beside the providers for all of them."""

    descriptor: Descriptor = Descriptor()
    fulfillments: Many[Fulfillment] = Field(default=(), max_length=100)
    providers: Many[Provider] = Field(default=(), max_length=100)


class OnSearchMessage(BecknModel):
    """Body of `on_search`."""

    catalog: Catalog


# --- orders -----------------------------------------------------------------------------------------------------


class ProviderRef(BecknModel):
    """The seller of an order."""

    id: Id


class OrderItem(BecknModel):
    """What is ordered. `fulfillment_ids` names its delivery where the order has several."""

    id: Id
    quantity: Selected | None = None
    fulfillment_ids: tuple[Id, ...] | None = Field(default=None, min_length=1, max_length=10, fail_fast=True)


class BreakupItem(BecknModel):
    """The order line that a part of the price belongs to."""

    id: Id | None = None
    descriptor: Descriptor | None = None
    quantity: Selected | None = None


class Breakup(BecknModel):
    """One part of a quote's price."""

    title: str | None = Field(default=None, max_length=100)
    price: Price
    item: BreakupItem | None = None


class Quote(BecknModel):
    """The price in all, rounded once by the seller, and how long it stands."""

    price: Price
    breakup: Many[Breakup] = Field(default=(), max_length=2 * MOST_DELIVERIES)
    ttl: Duration | None = None


class BillPrice(BecknModel):
    """Money in a currency, owed (or, below 0, to be paid out) for import, earned (or owed) for export."""

    currency: Currency
    value_micro: BillMicro = Field(alias="value")


class BillPart(BecknModel):
    """One part of a bill."""

    title: str = Field(max_length=100)
    price: BillPrice
    item: BreakupItem | None = None


class Bill(BecknModel):
    """What a reading is priced at."""

    price: BillPrice
    breakup: Many[BillPart] = Field(default=(), max_length=2 * MOST_DELIVERIES)
    ttl: Duration


class Billing(BecknModel):
    """Whom to bill."""

    name: str | None = Field(default=None, max_length=253)


class PaymentParams(BecknModel):
    """An amount to pay; not stated, it is what was quoted."""

    amount_micro: MoneyMicro | None = Field(default=None, alias="amount")
    currency: Currency | None = None


_Dashed = BeforeValidator(lambda value: value.replace("_", "-") if isinstance(value, str) else value)


class Payment(BecknModel):
    """How and whether a delivery is paid. `id` is that of its fulfillment; an order with one delivery needs none.

    Whenever a seller wants to be paid and whoever collects it, wattmesh says `update` once a delivery is metered.
    """

    id: Id | None = None
    type: Annotated[Literal["PRE-ORDER", "PRE-FULFILLMENT", "ON-FULFILLMENT", "POST-FULFILLMENT"], _Dashed] | None = (
        None
    )
    collected_by: str | None = Field(default=None, max_length=50)
    status: Annotated[Literal["NOT-PAID", "PAID"], _Dashed] | None = None
    params: PaymentParams = PaymentParams()


class CancellationReason(BecknModel):
    """Core's Option."""

    id: str | None = Field(default=None, max_length=200)
    descriptor: Descriptor = Descriptor()


class Cancellation(BecknModel):
    """Why an order ended early, and by whom."""

    cancelled_by: str | None = Field(default=None, max_length=50)
    reason: CancellationReason = CancellationReason()


class Order(BecknModel):
    """An order of one seller: an item and a fulfillment for each delivery slot, and what is agreed about them.

    What is left out is what was said before.
    """

    provider: ProviderRef | None = None
    items: Many[OrderItem] = Field(default=(), max_length=MOST_DELIVERIES)
    fulfillments: Many[Fulfillment] = Field(default=(), max_length=MOST_DELIVERIES)
    quote: Quote | None = None
    billing: Billing | None = None
    id: Id | None = None
    payments: Many[Payment] = Field(default=(), max_length=2 * MOST_DELIVERIES)
    status: str | None = Field(default=None, max_length=50)
    cancellation: Cancellation | None = None


class SelectOrder(Order):
    """What a buyer wants of one seller."""

    provider: ProviderRef
    items: Many[OrderItem] = Field(min_length=1, max_length=MOST_DELIVERIES)


class QuotedOrder(Order):
    """The seller's quote; the quantity is what it reserved, at most what was asked."""

    quote: Quote


class SelectMessage(BecknModel):
    """Body of `select`."""

    order: SelectOrder


class OnSelectMessage(BecknModel):
    """Body of `on_select`."""

    order: QuotedOrder


class InitMessage(BecknModel):
    """Body of `init`."""

    order: Order


class OnInitMessage(BecknModel):
    """Body of `on_init`."""

    order: Order


class ConfirmMessage(BecknModel):
    """Body of `confirm`."""

    order: Order


class OnConfirmMessage(BecknModel):
    """Body of `on_confirm`."""

    order: Order


class StatusMessage(BecknModel):
    """Body of `status`."""

    order_id: Id


class OnStatusMessage(BecknModel):
    """Body of `on_status`, asked for or not."""

    order: Order


class CancelDescriptor(Descriptor):
    """What is cancelled. With code `fulfillment`, `short_desc` lists the ids of fulfillments, separated by commas."""

    short_desc: str | None = Field(default=None, max_length=101 * MOST_DELIVERIES)


class CancelMessage(BecknModel):
    """Body of `cancel`: of the whole order, unless `descriptor` names single deliveries."""

    order_id: Id
    cancellation_reason_id: Id | None = None
    descriptor: CancelDescriptor | None = None


class OnCancelMessage(BecknModel):
    """Body of `on_cancel`, asked for or not."""

    order: Order


# --- update: payments, and meter readings to the backstop ------------------------------------------------------------


class UpdatedOrder(BecknModel):
    """What changes in an order: payments of deliveries, or the metered energy of a supply order."""

    id: Id
    payments: tuple[Payment, ...] | None = Field(default=None, max_length=MOST_DELIVERIES, fail_fast=True)
    fulfillments: tuple[Fulfillment, ...] | None = Field(default=None, max_length=MOST_DELIVERIES, fail_fast=True)


class OnUpdatedOrder(BecknModel):
    """The order after the change, or as much of it as has changed; a supply order's reading comes back priced."""

    id: Id
    payments: tuple[Payment, ...] | None = Field(default=None, max_length=2 * MOST_DELIVERIES, fail_fast=True)
    fulfillments: tuple[Fulfillment, ...] | None = Field(default=None, max_length=MOST_DELIVERIES, fail_fast=True)
    status: str | None = Field(default=None, max_length=50)
    quote: Bill | None = None


class UpdateMessage(BecknModel):
    """Body of `update`: `order.payments` after a delivery, `order.fulfillments` for a meter reading."""

    update_target: Literal["order.payments", "order.fulfillments"]
    order: UpdatedOrder

    @model_validator(mode="after")
    def _target_present(self) -> Self:
        if getattr(self.order, self.update_target.removeprefix("order.")) is None:
            raise ValueError(f"update_target is {self.update_target!r} but that is not in the message")
        return self


class OnUpdateMessage(BecknModel):
    """Body of `on_update`."""

    order: OnUpdatedOrder


BODIES: dict[str, type[BecknModel]] = {
    "search": SearchMessage,
    "on_search": OnSearchMessage,
    "select": SelectMessage,
    "on_select": OnSelectMessage,
    "init": InitMessage,
    "on_init": OnInitMessage,
    "confirm": ConfirmMessage,
    "on_confirm": OnConfirmMessage,
    "status": StatusMessage,
    "on_status": OnStatusMessage,
    "cancel": CancelMessage,
    "on_cancel": OnCancelMessage,
    "update": UpdateMessage,
    "on_update": OnUpdateMessage,
}


class Error(BecknModel):
    """Why something cannot be had, by BECKN-005."""

    code: str = Field(default="", max_length=200)
    message: str = Field(default="", max_length=1000)


class ErrorMessage(BecknModel):
    """What any callback may carry in place of its body."""

    error: Error


class Call(BecknModel):
    """A whole message; `CALLS` has the class of each action, whose `message` is that action's body."""

    context: Context
    message: SerializeAsAny[BecknModel]


CALLS: dict[str, type[Call]] = {
    action: create_model(
        "".join(word.capitalize() for word in action.split("_")) + "Call",
        __base__=Call,
        __doc__=f"`{action}`: context and body.",
        message=(body, ...),
    )
    for action, body in BODIES.items()
}


def read_call(action: str, raw: Any) -> Call:
    """The message that parsed JSON holds, unknown fields passed over.

    Raises Refusal (400, 30000) naming the first wrong field, what is wrong there, and how many more are wrong.
    """
    try:
        if (error := error_in(action, raw)) is not None:
            return _ErrorCall.model_validate({**raw, "message": error}, by_alias=True, by_name=False, context=WIRE)
        return CALLS[action].model_validate(raw, by_alias=True, by_name=False, context=WIRE)
    except ValidationError as error:
        raise first_wrong(error) from None


def first_wrong(error: ValidationError, *place: str) -> Refusal:
    """Refusal (400, 30000): the first wrong field of what stands at `place`, what is wrong, and how many more are."""
    problems = error.errors(include_url=False, include_context=False)
    # A list whose parts are wrong counts for pydantic as too short besides; only an empty one is.
    problems = [problem for problem in problems if problem["type"] != "too_short" or not problem["input"]]
    first = problems[0]
    path = ".".join([*place, *(str(part) for part in first["loc"])])
    more = f" (and {len(problems) - 1} more)" if len(problems) > 1 else ""
    what = first["msg"].removeprefix("Value error, ")
    return invalid(f"{path or 'body'}: {what}{more}", path or None)


class _ErrorCall(Call):
    message: ErrorMessage


def error_in(action: str, raw: Any) -> dict[str, Any] | None:
    """What holds the error of a callback, the call itself or its message; None when there is none."""
    places = (raw, raw.get("message")) if isinstance(raw, dict) and action.startswith("on_") else ()
    return next((place for place in places if isinstance(place, dict) and place.get("error")), None)


def write_call(context: Context, body: BecknModel) -> bytes:
    """The bytes of a message, checked against its action's model with nothing unknown in it.

    Raises pydantic's ValidationError when the message is not what the action needs: a fault of the caller.
    """
    call = Call(context=context, message=body)
    raw = call.model_dump_json(exclude_none=True, exclude_unset=True).encode()
    CALLS[context.action].model_validate_json(raw, extra="forbid")
    return raw


def tag_value(groups: tuple[TagGroup, ...], group: str, code: str) -> str | None:
    """The value of `code` in tag group `group`, or None."""
    for candidate in groups:
        if candidate.descriptor.code == group:
            for tag in candidate.values:
                if tag.descriptor.code == code:
                    return tag.value
    return None


def tag_group(group: str, **values: str) -> TagGroup:
    """A tag group of text values."""
    return TagGroup(
        descriptor=Code(code=group),
        values=tuple(Tag(descriptor=Code(code=code), value=value) for code, value in values.items()),
    )
