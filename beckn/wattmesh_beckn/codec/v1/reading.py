"""From the messages of Beckn core 1.1 to the market's.

`read_call` has checked each field. Here items, fulfillments, parts of the price and payments are put together to
deliveries; what does not fit is refused. Whether it is what was agreed is for the parties to say.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import NamedTuple

from wattmesh_beckn.codec.v1.writing import (
    CORRECTION,
    CORRECTION_TAGS,
    DELIVERY_TAG,
    ESTIMATED,
    GRID_FEE_TAG,
    HELD,
    METER,
    METER_STATUS,
    METER_TAGS,
    PROVISIONAL,
    SHARED_TAG,
    UNTIL_TAG,
)
from wattmesh_beckn.context import Context
from wattmesh_beckn.errors import ErrorCode, Refusal, declined, invalid
from wattmesh_beckn.messages import (
    ENERGY,
    FULFILLMENT,
    GRID_FEE,
    LOCAL_GRID_FEE,
    SHARED_ENERGY,
    AgreedOrder,
    Bill,
    BillPart,
    Breakup,
    CancelMessage,
    Catalog,
    ConfirmMessage,
    Fulfillment,
    InitMessage,
    Intent,
    OnCancelMessage,
    OnConfirmMessage,
    OnInitMessage,
    OnSearchMessage,
    OnSelectMessage,
    OnStatusMessage,
    OnUpdatedOrder,
    OnUpdateMessage,
    OrderItem,
    Payment,
    QuotedOrder,
    SearchMessage,
    SelectMessage,
    SelectOrder,
    StatusMessage,
    StatusOrder,
    TagGroup,
    UpdatedOrder,
    UpdateMessage,
    tag_value,
)
from wattmesh_beckn.messages import Quote as WireQuote
from wattmesh_beckn.receiver import Received
from wattmesh_market.energy.slots import SLOT_S, slot_from_range
from wattmesh_market.trade.contracts import DELIVERED, ContractState
from wattmesh_market.trade.messages import (
    Agreed,
    AskStatus,
    Cancel,
    Cancelled,
    Confirm,
    Confirmed,
    Correction,
    DeliveryStatus,
    HeldReading,
    Init,
    Line,
    Message,
    Offers,
    Pay,
    PricedReading,
    Quote,
    Receipt,
    ReportReading,
    Search,
    Select,
    SharedPart,
    Status,
    Terms,
    Wanted,
)
from wattmesh_market.trade.offers import Offer
from wattmesh_market.units import energy_from_kwh, money_from_text, money_text

_EPOCH = datetime.fromtimestamp(0, UTC)
_MILLISECOND = timedelta(milliseconds=1)
_SLOT_ID = re.compile(r"slot-(\d{1,12})", re.ASCII)
_STATES = {state.value: state for state in ContractState}
_ORDER = "message.order"
_FULFILLMENTS, _PAYMENTS = f"{_ORDER}.fulfillments", f"{_ORDER}.payments"
_TAGS = f"{_FULFILLMENTS}.0.tags"
_QUOTE, _BREAKUP = f"{_ORDER}.quote", f"{_ORDER}.quote.breakup"


def read(received: Received, currency: str) -> Message:
    """What a call says; Refusal where its form is wrong. Offers in another currency than `currency` are left out."""
    message, context = received.message, received.context
    match message:
        case SearchMessage():
            return _search(message.intent)
        case OnSearchMessage():
            return _offers(message.catalog, received.sender.subscriber_id, currency)
        case SelectMessage():
            return _select(message.order)
        case OnSelectMessage():
            order = message.order
            terms = _terms(order, ErrorCode.QUOTE_UNAVAILABLE, _QUOTE)
            return Quote(terms, _expires_ms(context, order.quote))
        case InitMessage():
            return Init(_terms(message.order))
        case OnInitMessage():
            agreed = message.order
            return Agreed(agreed.id, *_terms_and_due(agreed), _expires_ms(context, agreed.quote))
        case ConfirmMessage():
            return Confirm(message.order.id, *_terms_and_due(message.order))
        case OnConfirmMessage():
            return Confirmed(message.order.id, *_terms_and_due(message.order, ErrorCode.BUSINESS_ERROR))
        case StatusMessage():
            return AskStatus(message.order_id)
        case OnStatusMessage():
            return _status(message.order)
        case CancelMessage():
            return _cancel(message)
        case OnCancelMessage():
            return Cancelled(_status(message.order))
        case UpdateMessage():
            if message.update_target == "order.fulfillments":
                return _reading(message.order)
            return _pay(message.order)
        case OnUpdateMessage():
            return _priced_reading(message.order) if message.order.fulfillments else _receipt(message.order)
        case _:
            raise TypeError(f"no message of an action: {type(message).__name__}")


# --- search ---


def _search(intent: Intent) -> Search:
    if intent.item.descriptor.code != ENERGY:
        raise declined(ErrorCode.ITEM_NOT_FOUND, f"only {ENERGY!r} is sold here", "message.intent.item.descriptor")
    slot = _slot(intent.fulfillment, "message.intent.fulfillment")
    return Search(slot, intent.item.quantity.selected.measure.energy_wh, _until(intent.fulfillment, slot))


def _until(fulfillment: Fulfillment, slot: int) -> int | None:
    text = tag_value(fulfillment.tags, *UNTIL_TAG)
    if text is None:
        return None
    try:
        until = datetime.fromisoformat(text)
        if until.tzinfo is None or until.timestamp() % SLOT_S or until.timestamp() <= slot:
            raise ValueError
    except ValueError:
        error = ValueError("must be the start of a later delivery slot, with its offset from UTC")
        raise _bad_tag(UNTIL_TAG, error, "message.intent.fulfillment.tags") from None
    return int(until.timestamp())


def _offers(catalog: Catalog, seller: str, currency: str) -> Offers:
    offers: list[tuple[int, Offer]] = []
    for provider in catalog.providers:
        slots = {one.id: _slot(one, "message.catalog.providers.0.fulfillments.0") for one in provider.fulfillments}
        if provider.id != seller:
            raise declined(ErrorCode.BUSINESS_ERROR, f"{seller!r} cannot offer for {provider.id!r}")
        for item in provider.items:
            if item.price.currency != currency or item.descriptor.code != ENERGY:
                continue
            offer = Offer(seller, item.id, item.price.value_micro, item.quantity.available.measure.energy_wh)
            named = dict.fromkeys(slots[name] for name in item.fulfillment_ids if name in slots)
            offers.extend((slot, offer) for slot in named)
    return Offers(tuple(offers))


# --- orders ---


class _Delivery(NamedTuple):
    """An item of an order and the fulfillment that it names, which stands at `place` among the order's."""

    item: OrderItem
    fulfillment: Fulfillment
    slot: int
    place: int

    @property
    def energy_wh(self) -> int:
        return self.item.quantity.selected.measure.energy_wh


def _deliveries(order: SelectOrder) -> list[_Delivery]:
    """The deliveries of an order, in the order of its items. One alone need not be named by its item."""
    items, fulfillments = order.items, order.fulfillments
    if len(items) != len(fulfillments):
        text = f"order has {len(items)} items and {len(fulfillments)} fulfillments; each delivery is one of both"
        raise invalid(text, _FULFILLMENTS)
    if len(items) == 1:
        return [_Delivery(items[0], fulfillments[0], _slot(fulfillments[0], f"{_FULFILLMENTS}.0"), 0)]
    places = {one.id: place for place, one in enumerate(fulfillments)}
    deliveries: list[_Delivery] = []
    names: set[str] = set()
    for number, item in enumerate(items):
        path = f"{_ORDER}.items.{number}"
        if item.id in names:
            raise invalid(f"item {item.id!r} stands twice in the order", f"{path}.id")
        names.add(item.id)
        named = item.fulfillment_ids or ()
        place = places.pop(named[0], None) if len(named) == 1 else None
        if place is None:
            text = "in an order of several deliveries each item must name a fulfillment of its own"
            raise invalid(text, f"{path}.fulfillment_ids")
        fulfillment = fulfillments[place]
        deliveries.append(_Delivery(item, fulfillment, _slot(fulfillment, f"{_FULFILLMENTS}.{place}"), place))
    return deliveries


def _select(order: SelectOrder) -> Select:
    wanted = [Wanted(one.slot, one.item.id, one.energy_wh) for one in _deliveries(order)]
    return Select(order.provider.id, tuple(wanted))


def _terms(
    order: QuotedOrder,
    code: ErrorCode = ErrorCode.QUOTE_UNAVAILABLE,
    path: str = _BREAKUP,
    deliveries: list[_Delivery] | None = None,
) -> Terms:
    """The terms of an order. A breakup in another currency than the price is declined with `code` at `path`."""
    quote, deliveries = order.quote, deliveries or _deliveries(order)
    _check_currency(quote, code, path)
    if len(deliveries) == 1:
        lines = [_line(deliveries[0], quote.breakup, quote.price.value_micro)]
    else:
        lines = _named_lines(deliveries, quote)
    return Terms(order.provider.id, tuple(lines), quote.price.value_micro, quote.price.currency)


def _line(delivery: _Delivery, parts: Sequence[Breakup], total_micro: int) -> Line:
    """A delivery at what its parts of the price sum to; without any it costs `total_micro`."""
    amount_micro, fee_micro = total_micro, None
    if parts:
        amount_micro, fee_micro = sum(part.price.value_micro for part in parts), _fee_micro(parts)
    return Line(delivery.slot, delivery.item.id, delivery.energy_wh, amount_micro, fee_micro)


def _named_lines(deliveries: list[_Delivery], quote: WireQuote) -> list[Line]:
    """Several deliveries: each part of the price must name the item it is for."""
    parts: dict[str, list[Breakup]] = {one.item.id: [] for one in deliveries}
    for number, part in enumerate(quote.breakup):
        if part.item is None or part.item.id not in parts:
            text = "in an order of several deliveries each part of the price must name an item of the order"
            raise invalid(text, f"{_BREAKUP}.{number}.item")
        parts[part.item.id].append(part)
    for item_id, named in parts.items():
        if not named:
            raise invalid(f"the price of {item_id!r} is missing in the breakup", _BREAKUP)
    return [_line(one, parts[one.item.id], 0) for one in deliveries]


def _fee_micro(parts: Sequence[Breakup | BillPart], title: str = GRID_FEE) -> int:
    return sum(part.price.value_micro for part in parts if part.title == title)


def _check_currency(quote: WireQuote | Bill, code: ErrorCode, path: str) -> None:
    currency = quote.price.currency
    if any(part.price.currency != currency for part in quote.breakup):
        raise declined(code, f"the breakup is not in {currency} throughout, as the price is", path)


def _terms_and_due(order: AgreedOrder, code: ErrorCode = ErrorCode.QUOTE_UNAVAILABLE) -> tuple[Terms, int]:
    deliveries = _deliveries(order)
    payments = _payments(order, deliveries)
    return _terms(order, code, deliveries=deliveries), sum(one.params.amount_micro for one in payments)


def _payments(order: AgreedOrder, deliveries: list[_Delivery]) -> list[Payment]:
    """The payment of each delivery. That of one alone need not name it."""
    payments = order.payments
    if len(payments) != len(deliveries):
        text = f"order has {len(payments)} payments for {len(deliveries)} deliveries; each is paid by itself"
        raise invalid(text, _PAYMENTS)
    if len(payments) == 1:
        return list(payments)
    named = {payment.id: payment for payment in payments}
    found = [named.get(one.fulfillment.id) for one in deliveries]
    if None in found:
        raise invalid("in an order of several deliveries each payment must have the id of a fulfillment", _PAYMENTS)
    return [one for one in found if one is not None]


def _status(order: StatusOrder) -> Status:
    deliveries = _deliveries(order)
    told = [
        status
        for one, payment in zip(deliveries, _payments(order, deliveries), strict=True)
        if (status := _delivery_status(one, payment)) is not None
    ]
    reason = order.cancellation.reason.name if order.cancellation else None
    terms = _terms(order, ErrorCode.BUSINESS_ERROR, deliveries=deliveries)
    return Status(order.id, terms, tuple(told), reason)


def _delivery_status(delivery: _Delivery, payment: Payment) -> DeliveryStatus | None:
    """How a delivery stands; None when its state is none that a contract has."""
    fulfillment = delivery.fulfillment
    state = _STATES.get(fulfillment.state.descriptor.code) if fulfillment.state else None
    if state is None:
        return None
    text = tag_value(fulfillment.tags, *DELIVERY_TAG) if state in DELIVERED else None
    if text is None:
        return DeliveryStatus(delivery.slot, state, None, None)
    path = f"{_FULFILLMENTS}.{delivery.place}.tags"
    return DeliveryStatus(delivery.slot, state, _energy_wh(text, DELIVERY_TAG, path), payment.params.amount_micro)


def _cancel(message: CancelMessage) -> Cancel:
    descriptor, slots = message.descriptor, None
    if descriptor is not None and descriptor.code == FULFILLMENT:
        found = [_SLOT_ID.fullmatch(name) for name in (descriptor.short_desc or "").split(",")]
        slots = tuple(int(one[1]) for one in found if one)
        if len(slots) != len(found):
            text = "must list the fulfillments that are cancelled, separated by commas"
            raise invalid(text, "message.descriptor.short_desc")
    return Cancel(message.order_id, message.cancellation_reason_id, slots)


# --- updates ---


def _pay(order: UpdatedOrder) -> Pay:
    if not order.payments or order.payments[0].status != "PAID":
        raise invalid("a payment must have status PAID", f"{_PAYMENTS}.0.status")
    return Pay(order.id, *_paid(order.payments[0]))


def _receipt(order: OnUpdatedOrder) -> Receipt:
    if not order.payments or order.payments[0].status != "PAID":
        raise declined(ErrorCode.BUSINESS_ERROR, "no receipt for a payment of this order", _ORDER)
    return Receipt(order.id, *_paid(order.payments[0]))


def _paid(payment: Payment) -> tuple[int | None, int, str]:
    """Slot, amount and currency. A payment with another id than wattmesh's names no slot."""
    named = _SLOT_ID.fullmatch(payment.id or "")
    return (int(named[1]) if named else None), payment.params.amount_micro, payment.params.currency


def _reading(order: UpdatedOrder) -> ReportReading:
    if not order.fulfillments:
        raise invalid("a reading needs its slot", _FULFILLMENTS)
    return _metered(order, order.fulfillments[0], {METER_TAGS[2]})


def _priced_reading(order: OnUpdatedOrder) -> PricedReading | HeldReading:
    quote = order.quote
    if quote is None and order.fulfillments and _meter_status(order.fulfillments[0]) == HELD:
        return HeldReading(_metered(order, order.fulfillments[0], set(METER_TAGS)))
    if quote is None or not order.fulfillments:
        raise declined(ErrorCode.BUSINESS_ERROR, "no priced reading of this household's supply", _ORDER)
    fulfillment, amount_micro = order.fulfillments[0], quote.price.value_micro
    reading = _metered(order, fulfillment, set(METER_TAGS))
    _check_currency(quote, ErrorCode.BUSINESS_ERROR, _BREAKUP)
    parts_micro = sum(part.price.value_micro for part in quote.breakup)
    if quote.breakup and parts_micro != amount_micro:
        text = f"the breakup sums to {money_text(parts_micro)} but the price is {money_text(amount_micro)}"
        raise declined(ErrorCode.BUSINESS_ERROR, text, _BREAKUP)
    return PricedReading(
        order.id,
        reading,
        amount_micro,
        _fee_micro(quote.breakup),
        _money_micro(fulfillment.tags, GRID_FEE_TAG),
        quote.price.currency,
        _shared(fulfillment.tags, quote.breakup),
        _correction(fulfillment.tags),
        _meter_status(fulfillment) == ESTIMATED,
    )


def _shared(tags: tuple[TagGroup, ...], breakup: Sequence[BillPart]) -> SharedPart | None:
    text = tag_value(tags, *SHARED_TAG)
    if text is None:
        return None
    fee_micro = _fee_micro(breakup, LOCAL_GRID_FEE)
    energy_wh = _energy_wh(text, SHARED_TAG, _TAGS)
    return SharedPart(energy_wh, _fee_micro(breakup, SHARED_ENERGY) + fee_micro, fee_micro)


def _correction(tags: tuple[TagGroup, ...]) -> Correction | None:
    *billed, refund, charge = ((CORRECTION, name) for name in CORRECTION_TAGS)
    if all(tag_value(tags, *tag) is None for tag in billed):
        return None
    imported_wh, exported_wh = (_energy_wh(tag_value(tags, *tag) or "", tag, _TAGS) for tag in billed)
    back_micro = (_money_micro(tags, refund) or 0) - (_money_micro(tags, charge) or 0)
    return Correction(imported_wh, exported_wh, back_micro)


def _metered(order: UpdatedOrder, fulfillment: Fulfillment, optional: set[str]) -> ReportReading:
    path = f"{_FULFILLMENTS}.0"
    slot = _slot(fulfillment, path)
    texts = [(name, tag_value(fulfillment.tags, METER, name)) for name in METER_TAGS]
    imported_wh, exported_wh, sold_wh = (
        0 if text is None and name in optional else _energy_wh(text or "", (METER, name), f"{path}.tags")
        for name, text in texts
    )
    in_doubt = _meter_status(fulfillment) == PROVISIONAL
    return ReportReading(order.id, slot, imported_wh, exported_wh, sold_wh, in_doubt)


def _meter_status(fulfillment: Fulfillment) -> str | None:
    """What a reading says of itself."""
    return tag_value(fulfillment.tags, *METER_STATUS)


def _money_micro(tags: tuple[TagGroup, ...], tag: tuple[str, str]) -> int | None:
    text = tag_value(tags, *tag)
    try:
        return None if text is None else money_from_text(text)
    except ValueError as error:
        raise _bad_tag(tag, error, _TAGS) from None


# --- parts ---


def _slot(fulfillment: Fulfillment, path: str) -> int:
    """The slot a fulfillment names; Refusal (400) when it is none."""
    try:
        return slot_from_range(*fulfillment.slot)
    except ValueError as error:
        raise invalid(str(error), f"{path}.stops.0.time.range") from None


def _expires_ms(context: Context, quote: WireQuote) -> int:
    # In whole milliseconds from the start: as a float of unix seconds many a time is a fraction less.
    return (context.timestamp + quote.ttl - _EPOCH) // _MILLISECOND


def _energy_wh(text: str, tag: tuple[str, str], path: str) -> int:
    try:
        return energy_from_kwh(text)
    except ValueError as error:
        raise _bad_tag(tag, error, path) from None


def _bad_tag(tag: tuple[str, str], error: ValueError, path: str) -> Refusal:
    return invalid(f"tag {'.'.join(tag)} {error}", path)
