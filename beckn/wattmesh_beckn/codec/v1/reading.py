"""From the messages of Beckn core 1.1 to the market's.

`read_call` has checked each field. Here items, fulfillments, parts of the price and payments are put together to
deliveries. What a message leaves out stands as it was said before; what does not fit, or cannot be understood, is
refused. Whether it is what was agreed is for the parties to say.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import datetime
from typing import NamedTuple

from wattmesh_beckn.codec.defaults import NO_REASON, QUOTE_TTL, unix_ms
from wattmesh_beckn.codec.port import Lookup, nothing
from wattmesh_beckn.codec.refusals import reason_of
from wattmesh_beckn.codec.v1.states import CANCELLED, state_named, status_named
from wattmesh_beckn.codec.v1.writing import (
    BASES,
    CORRECTION,
    CORRECTION_TAGS,
    DELIVERY_TAG,
    GRID_FEE_TAG,
    HELD,
    METER,
    METER_STATUS,
    METER_TAGS,
    PROVISIONAL,
    SHARED_TAG,
    UNTIL_TAG,
    fulfillment_id,
)
from wattmesh_beckn.context import Addressed
from wattmesh_beckn.errors import ErrorCode, Refusal, declined, invalid
from wattmesh_beckn.messages import (
    ENERGY,
    FULFILLMENT,
    GRID_FEE,
    LOCAL_GRID_FEE,
    SHARED_ENERGY,
    Bill,
    BillPart,
    Breakup,
    CancelMessage,
    Catalog,
    ConfirmMessage,
    ErrorMessage,
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
    Order,
    OrderItem,
    Payment,
    SearchMessage,
    SelectMessage,
    SelectOrder,
    StatusMessage,
    TagGroup,
    UpdatedOrder,
    UpdateMessage,
    tag_value,
)
from wattmesh_beckn.messages import Quote as WireQuote
from wattmesh_beckn.receiver import Received
from wattmesh_market.energy.slots import SLOT_S, slot_from_range, slots_from_range
from wattmesh_market.parties.selling import item_id
from wattmesh_market.parties.terms import Known
from wattmesh_market.trade.contracts import DELIVERED
from wattmesh_market.trade.messages import (
    Action,
    Agreed,
    AskStatus,
    Basis,
    Bills,
    Cancel,
    Cancelled,
    Confirm,
    Confirmed,
    Correction,
    Declined,
    DeliveryStatus,
    HeldReading,
    Init,
    Line,
    Message,
    Offers,
    Paid,
    Pay,
    PricedReading,
    Quote,
    Readings,
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
from wattmesh_market.units import MAX_ENERGY_WH, energy_from_kwh, money_from_text, money_text, share_micro

_SLOT_ID = re.compile(r"slot-(\d{1,12})", re.ASCII)
_ITEM_ID = re.compile(r"energy-(\d{1,12})", re.ASCII)
"""wattmesh's own items name their slot."""
_ORDER = "message.order"
_FULFILLMENTS, _PAYMENTS = f"{_ORDER}.fulfillments", f"{_ORDER}.payments"
_QUOTE, _BREAKUP = f"{_ORDER}.quote", f"{_ORDER}.quote.breakup"


def read(received: Received, currency: str, known: Lookup) -> Message:
    """What a call says; Refusal where its form is wrong. Offers in another currency than `currency` are left out.

    `known` gives what the receiver has with the sender in this transaction.
    """
    message, context = received.message, received.context
    match message:
        case SearchMessage():
            return _search(message.intent)
        case OnSearchMessage():
            return _offers(message.catalog, received.sender.subscriber_id, currency, known)
        case SelectMessage():
            return _select(message.order)
        case OnSelectMessage():
            terms = _terms(message.order, known, ErrorCode.QUOTE_UNAVAILABLE, _QUOTE)
            return Quote(terms, _expires_ms(context, message.order.quote))
        case InitMessage():
            return Init(_terms(message.order, known))
        case OnInitMessage():
            order = message.order
            return Agreed(order.id, *_terms_and_due(order, known), _expires_ms(context, order.quote))
        case ConfirmMessage():
            order, agreed = message.order, known()
            return Confirm(order.id or (agreed and agreed.order_id), *_terms_and_due(order, known))
        case OnConfirmMessage():
            order, agreed = message.order, known()
            order_id = order.id or (agreed and agreed.order_id)
            if order_id is None:
                raise invalid("a confirmed order must have an id", f"{_ORDER}.id")
            return Confirmed(order_id, *_terms_and_due(order, known, ErrorCode.BUSINESS_ERROR))
        case StatusMessage():
            return AskStatus(message.order_id)
        case OnStatusMessage():
            return _status(message.order, known())
        case CancelMessage():
            return _cancel(message)
        case OnCancelMessage():
            return Cancelled(_status(message.order, known(), CANCELLED))
        case UpdateMessage():
            if message.update_target == "order.fulfillments":
                return _readings(message.order)
            return _pay(message.order)
        case OnUpdateMessage():
            paid = [one for one in message.order.payments or () if one.status == "PAID"]
            return Receipt(message.order.id, *_paid(paid)) if paid else _priced_reading(message.order)
        case ErrorMessage(error=error):
            action = Action(received.action.removeprefix("on_"))
            text = f"{error.code} {error.message}".strip() or "an error that says no more"
            return Declined(action, reason_of(error.code), text)
        case _:
            raise TypeError(f"no message of an action: {type(message).__name__}")


# --- search ---


def _search(intent: Intent) -> Search:
    item, slots = intent.item, intent.slots
    if item.descriptor is not None and item.descriptor.code not in (ENERGY, None):
        raise declined(ErrorCode.ITEM_NOT_FOUND, f"only {ENERGY!r} is sold here", "message.intent.item.descriptor")
    quantity = item.quantity and (item.quantity.selected or item.quantity.available)
    energy_wh = quantity.measure.energy_wh if quantity else None
    if len(slots) > 1:
        return Search(slots[0], energy_wh, slots.stop, window=True)
    return Search(slots[0], energy_wh, _until(intent.fulfillment, slots[0]))


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


def _offers(catalog: Catalog, seller: str, currency: str, known: Lookup) -> Offers:
    offers: list[tuple[int, Offer]] = []
    for provider in catalog.providers:
        fulfillments = provider.fulfillments or catalog.fulfillments
        slots = {one.id: _slots(one, "message.catalog.providers.0.fulfillments.0") for one in fulfillments}
        for item in provider.items:
            if item.price.currency != currency or item.descriptor.code not in (ENERGY, None):
                continue
            available = item.quantity.available
            available_wh = MAX_ENERGY_WH if available is None else available.measure.energy_wh
            of = None if provider.id == seller else provider.id
            offer = Offer(seller, item.id, item.price.value_micro, available_wh, of)
            if slots:
                named = [slots[name] for name in item.fulfillment_ids or slots if name in slots]
            else:
                sought = known()  # who names no time at all offers what was asked for
                named = [range(sought.slot, sought.slot + 1)] if sought and sought.slot is not None else []
            offers.extend((slot, offer) for slot in dict.fromkeys(slot for each in named for slot in each))
    return Offers(tuple(offers))


def _slots(fulfillment: Fulfillment, path: str) -> range:
    """The slots of an offer; none when it does not say when."""
    window = fulfillment.window
    try:
        return range(0) if window is None else slots_from_range(*window)
    except ValueError as error:
        raise invalid(str(error), f"{path}.stops.0.time.range") from None


# --- orders ---


class _Delivery(NamedTuple):
    """A delivery that an order names, and what else the order says of it."""

    item_id: str
    slot: int
    energy_wh: int
    fulfillment: Fulfillment | None
    place: int


def _deliveries(order: Order, known: Known | None) -> list[_Delivery]:
    """The deliveries of an order, in the order of its items; those that are known, where it names none."""
    lines = {line.item_id: line for line in known.lines} if known else {}
    if not order.items:
        if not lines:
            raise invalid("an order must name its items", f"{_ORDER}.items")
        return [_known_delivery(line, order, alone=len(lines) == 1) for line in lines.values()]
    deliveries: list[_Delivery] = []
    names: set[str] = set()
    for number, item in enumerate(order.items):
        path = f"{_ORDER}.items.{number}"
        if item.id in names:
            raise invalid(f"item {item.id!r} stands twice in the order", f"{path}.id")
        names.add(item.id)
        line = lines.get(item.id)
        place = _place(order, item, line, path)
        fulfillment = None if place is None else order.fulfillments[place]
        energy_wh = item.quantity.selected.measure.energy_wh if item.quantity else line and line.energy_wh
        if energy_wh is None:
            raise invalid(f"how much of {item.id!r} is ordered is missing", f"{path}.quantity")
        slot = _slot_of(item, fulfillment, line, 0 if place is None else place)
        deliveries.append(_Delivery(item.id, slot, energy_wh, fulfillment, place or 0))
    if len({one.slot for one in deliveries}) < len(deliveries):
        raise invalid("in an order of several deliveries each item must name a slot of its own", _FULFILLMENTS)
    return deliveries


def _known_delivery(line: Line, order: Order, *, alone: bool) -> _Delivery:
    """A delivery that an order does not name as an item, and the fulfillment that tells of it."""
    if alone and len(order.fulfillments) == 1:
        return _Delivery(line.item_id, line.slot, line.energy_wh, order.fulfillments[0], 0)
    for place, one in enumerate(order.fulfillments):
        said = one.window is not None and _slot(one, f"{_FULFILLMENTS}.{place}")
        if said == line.slot or one.id == fulfillment_id(line.slot):
            return _Delivery(line.item_id, line.slot, line.energy_wh, one, place)
    return _Delivery(line.item_id, line.slot, line.energy_wh, None, 0)


def _place(order: Order, item: OrderItem, line: Line | None, path: str) -> int | None:
    """Where an item's fulfillment stands; None when it is not among the order's."""
    fulfillments, named = order.fulfillments, item.fulfillment_ids or ()
    if len(order.items) == len(fulfillments) == 1:
        return 0
    found = [place for place, one in enumerate(fulfillments) if one.id in named]
    if len(found) > 1:
        raise invalid("an item of an order must name one fulfillment", f"{path}.fulfillment_ids")
    if not found and line is not None:
        found = [place for place, one in enumerate(fulfillments) if one.id == fulfillment_id(line.slot)]
    return found[0] if found else None


def _slot_of(item: OrderItem, fulfillment: Fulfillment | None, line: Line | None, place: int) -> int:
    """The slot of a delivery: as its fulfillment says, as is known of its item, or as wattmesh's item ids say."""
    if fulfillment is not None and fulfillment.window is not None:
        return _slot(fulfillment, f"{_FULFILLMENTS}.{place}")
    if line is not None:
        return line.slot
    said = _ITEM_ID.fullmatch(item.id)
    if said is None or int(said[1]) % SLOT_S:
        raise invalid(f"the delivery slot of {item.id!r} is missing", _FULFILLMENTS)
    return int(said[1])


def _select(order: SelectOrder) -> Select:
    wanted = [Wanted(one.slot, one.item_id, one.energy_wh) for one in _deliveries(order, None)]
    return Select(order.provider.id, tuple(wanted))


def _terms(
    order: Order,
    known: Lookup,
    code: ErrorCode = ErrorCode.QUOTE_UNAVAILABLE,
    path: str = _BREAKUP,
) -> Terms:
    """The terms of an order. A breakup in another currency than the price is declined with `code` at `path`."""
    agreed = known()
    deliveries = _deliveries(order, agreed)
    provider = order.provider.id if order.provider else agreed and agreed.provider
    if provider is None:
        raise invalid("whose order it is is missing", f"{_ORDER}.provider")
    quote = order.quote
    if quote is None:
        if agreed is None or agreed.total_micro is None:
            raise invalid("the price of the order is missing, and none was quoted", _QUOTE)
        prices = {line.item_id: (line.amount_micro, line.fee_micro) for line in agreed.lines}
        lines = [Line(one.slot, one.item_id, one.energy_wh, *prices.get(one.item_id, (0, None))) for one in deliveries]
        return Terms(provider, tuple(lines), agreed.total_micro, agreed.currency)
    _check_currency(quote, code, path)
    if len(deliveries) == 1:
        lines = [_line(deliveries[0], quote.breakup, quote.price.value_micro)]
    else:
        lines = _named_lines(deliveries, quote, agreed)
    return Terms(provider, tuple(lines), quote.price.value_micro, quote.price.currency)


def _line(delivery: _Delivery, parts: Sequence[Breakup], total_micro: int) -> Line:
    """A delivery at what its parts of the price sum to; without any it costs `total_micro`."""
    amount_micro, fee_micro = total_micro, None
    if parts:
        amount_micro, fee_micro = sum(part.price.value_micro for part in parts), _fee_micro(parts)
    return Line(delivery.slot, delivery.item_id, delivery.energy_wh, amount_micro, fee_micro)


def _named_lines(deliveries: list[_Delivery], quote: WireQuote, known: Known | None) -> list[Line]:
    """Several deliveries: each part of the price must name the item it is for, unless it is the price that is known."""
    if known is not None and known.total_micro == quote.price.value_micro and not any(p.item for p in quote.breakup):
        prices = {line.item_id: line.amount_micro for line in known.lines}
        return [_line(one, (), prices.get(one.item_id, 0)) for one in deliveries]
    parts: dict[str | None, list[Breakup]] = {one.item_id: [] for one in deliveries}
    for number, part in enumerate(quote.breakup):
        if part.item is None or part.item.id not in parts:
            text = "in an order of several deliveries each part of the price must name an item of the order"
            raise invalid(text, f"{_BREAKUP}.{number}.item")
        parts[part.item.id].append(part)
    for item, named in parts.items():
        if not named:
            raise invalid(f"the price of {item!r} is missing in the breakup", _BREAKUP)
    return [_line(one, parts[one.item_id], 0) for one in deliveries]


def _fee_micro(parts: Sequence[Breakup | BillPart], title: str = GRID_FEE) -> int:
    return sum(part.price.value_micro for part in parts if _title_of(part) == title)


def _title_of(part: Breakup | BillPart) -> str | None:
    """What a part of a price is for; parts for which the energy networks have no word say it as an item."""
    if part.title == "DISCOM_FEES":
        return GRID_FEE
    if part.title == "ADD_ON" and part.item is not None and part.item.descriptor is not None:
        return part.item.descriptor.code
    return part.title


def _check_currency(quote: WireQuote | Bill, code: ErrorCode, path: str) -> None:
    currency = quote.price.currency
    if any(part.price.currency != currency for part in quote.breakup):
        raise declined(code, f"the breakup is not in {currency} throughout, as the price is", path)


def _terms_and_due(order: Order, known: Lookup, code: ErrorCode = ErrorCode.QUOTE_UNAVAILABLE) -> tuple[Terms, int]:
    """The terms, and what the payments come to: the price, where one of them does not say."""
    terms = _terms(order, known, code)
    return terms, _due_micro(order.payments, terms.total_micro, terms.currency, code)


def _due_micro(payments: Sequence[Payment], otherwise_micro: int, currency: str, code: ErrorCode) -> int:
    """What payments come to (millionths); `otherwise_micro` where one does not say. In another currency than the price
    it is declined with `code`.
    """
    for number, one in enumerate(payments):
        if one.params.currency not in (None, currency):
            text = f"what is due is in {one.params.currency} and the price in {currency}"
            raise declined(code, text, f"{_PAYMENTS}.{number}.params.currency")
    amounts = [one.params.amount_micro for one in payments]
    stated = [one for one in amounts if one is not None]
    return sum(stated) if stated and len(stated) == len(amounts) else otherwise_micro


# --- how an order stands ---


def _status(order: Order, known: Known | None, otherwise: str | None = None) -> Status:
    """How each delivery of an order stands; where it says nothing of that, `otherwise` is its `order.status`.

    Refused where the status, or the state of a fulfillment, is none that is known.
    """
    if known is None:
        if not order.items:
            raise declined(ErrorCode.ORDER_NOT_FOUND, f"no order {order.id!r} with you here", f"{_ORDER}.id")
        said = _terms(order, nothing, ErrorCode.BUSINESS_ERROR)
        known = Known(None, said.provider, said.lines, said.total_micro, said.currency, order.id)
    deliveries = _deliveries(order, known)
    if not order.items and (strange := _strange(order, known)) is not None:
        raise declined(ErrorCode.BUSINESS_ERROR, "a delivery in a slot that is not in the order", strange)
    status = status_named(order.status, f"{_ORDER}.status") or otherwise
    told = [one for each in deliveries if (one := _told(each, order, status, known)) is not None]
    if not told:
        raise declined(ErrorCode.BUSINESS_ERROR, "how the order stands is missing", f"{_ORDER}.status")
    reason = order.cancellation.reason.descriptor if order.cancellation else None
    text = None if reason is None else reason.code if reason.name is None else reason.name
    terms = Terms(known.provider, known.lines, known.total_micro or 0, known.currency)
    return Status(order.id or known.order_id or "", terms, tuple(told), text)


def _strange(order: Order, known: Known) -> str | None:
    """Where a fulfillment stands that is in another slot than any that is known."""
    slots = {line.slot for line in known.lines}
    for place, one in enumerate(order.fulfillments):
        path = f"{_FULFILLMENTS}.{place}"
        if one.window is not None and _slot(one, path) not in slots:
            return path
    return None


def _told(delivery: _Delivery, order: Order, status: str | None, known: Known) -> DeliveryStatus | None:
    """How a delivery stands; None when nothing is said of it."""
    fulfillment, path = delivery.fulfillment, f"{_FULFILLMENTS}.{delivery.place}"
    descriptor = fulfillment.state.descriptor if fulfillment and fulfillment.state else None
    state = state_named(descriptor, status, f"{path}.state")
    if state not in DELIVERED:
        return None if state is None else DeliveryStatus(delivery.slot, state, None, None)
    text = tag_value(fulfillment.tags, *DELIVERY_TAG) if fulfillment else None
    # Who does not say how much was delivered has delivered what was ordered.
    delivered_wh = delivery.energy_wh if text is None else _energy_wh(text, DELIVERY_TAG, f"{path}.tags")
    payments: Sequence[Payment] = order.payments
    if len(known.lines) > 1:
        names = {fulfillment_id(delivery.slot), fulfillment.id if fulfillment else None} - {None}
        payments = [one for one in payments if one.id in names]
    line = next((line for line in known.lines if line.slot == delivery.slot), None)
    share = share_micro(line.amount_micro, delivered_wh, line.energy_wh) if line else 0
    due_micro = _due_micro(payments, share, known.currency, ErrorCode.BUSINESS_ERROR)
    return DeliveryStatus(delivery.slot, state, delivered_wh, due_micro)


def _cancel(message: CancelMessage) -> Cancel:
    descriptor, slots = message.descriptor, None
    if descriptor is not None and descriptor.code == FULFILLMENT:
        found = [_SLOT_ID.fullmatch(name) for name in (descriptor.short_desc or "").split(",")]
        slots = tuple(int(one[1]) for one in found if one)
        if len(slots) != len(found):
            text = "must list the fulfillments that are cancelled, separated by commas"
            raise invalid(text, "message.descriptor.short_desc")
    return Cancel(message.order_id, message.cancellation_reason_id or NO_REASON, slots)


# --- updates ---


def _pay(order: UpdatedOrder) -> Pay:
    payments = order.payments or ()
    if not payments or any(one.status != "PAID" for one in payments):
        raise invalid("a payment must have status PAID", f"{_PAYMENTS}.0.status")
    if any(one.params.amount_micro is None or one.params.currency is None for one in payments):
        raise invalid("a payment must say its amount and currency", f"{_PAYMENTS}.0.params")
    return Pay(order.id, *_paid(payments))


def _paid(payments: Sequence[Payment]) -> tuple[int | None, int, str, tuple[Paid, ...]]:
    """Slot, amount and currency of the first payment, and the others. Another id than wattmesh's names no slot; of a
    receipt, the amount is 0 where it does not say it.
    """
    currency = payments[0].params.currency or ""
    if any((one.params.currency or "") != currency for one in payments):
        raise invalid(f"the payments are not in {currency} throughout", f"{_PAYMENTS}.1.params.currency")
    found = []
    for one in payments:
        named = _SLOT_ID.fullmatch(one.id or "")
        found.append(Paid(int(named[1]) if named else None, one.params.amount_micro or 0))
    return *found[0], currency, tuple(found[1:])


def _readings(order: UpdatedOrder) -> ReportReading | Readings:
    told = [_metered(order, one, {METER_TAGS[2]}, place) for place, one in enumerate(order.fulfillments or ())]
    if not told:
        raise invalid("a reading needs its slot", _FULFILLMENTS)
    if len({one.slot for one in told}) < len(told):
        raise invalid("the readings must be of different slots", _FULFILLMENTS)
    return told[0] if len(told) == 1 else Readings(tuple(told))


def _priced_reading(order: OnUpdatedOrder) -> PricedReading | Bills | HeldReading:
    quote = order.quote
    if order.fulfillments and _meter_status(order.fulfillments[0]) == HELD:
        return HeldReading(_metered(order, order.fulfillments[0], set(METER_TAGS)))
    if quote is None or not order.fulfillments:
        text = "neither a receipt nor a priced reading of this household's supply"
        raise declined(ErrorCode.BUSINESS_ERROR, text, _ORDER)
    amount_micro = quote.price.value_micro
    _check_currency(quote, ErrorCode.BUSINESS_ERROR, _BREAKUP)
    parts_micro = sum(part.price.value_micro for part in quote.breakup)
    if quote.breakup and parts_micro != amount_micro:
        text = f"the breakup sums to {money_text(parts_micro)} but the price is {money_text(amount_micro)}"
        raise declined(ErrorCode.BUSINESS_ERROR, text, _BREAKUP)
    if len(order.fulfillments) == 1:
        return _bill(order, 0, quote.breakup, amount_micro, quote.price.currency)
    parts: dict[str, list[BillPart]] = {}
    for place, fulfillment in enumerate(order.fulfillments):
        parts[item_id(_slot(fulfillment, f"{_FULFILLMENTS}.{place}"))] = []
    if len(parts) < len(order.fulfillments):
        raise invalid("the bills must be of different slots", _FULFILLMENTS)
    for number, part in enumerate(quote.breakup):
        if part.item is None or part.item.id not in parts:
            text = f"each part of several bills must name the item of its slot, as {next(iter(parts))!r}"
            raise invalid(text, f"{_BREAKUP}.{number}.item.id")
        parts[part.item.id].append(part)
    bills = [
        _bill(order, place, named, sum(part.price.value_micro for part in named), quote.price.currency)
        for place, named in enumerate(parts.values())
    ]
    return Bills(tuple(bills))


def _bill(
    order: OnUpdatedOrder, place: int, breakup: Sequence[BillPart], amount_micro: int, currency: str
) -> PricedReading:
    """What a reading, that of the fulfillment in a place, was priced at."""
    assert order.fulfillments  # noqa: S101 - there is one in that place
    fulfillment, path = order.fulfillments[place], f"{_FULFILLMENTS}.{place}.tags"
    return PricedReading(
        order.id,
        _metered(order, fulfillment, set(METER_TAGS), place),
        amount_micro,
        _fee_micro(breakup),
        _money_micro(fulfillment.tags, GRID_FEE_TAG, path),
        currency,
        _shared(fulfillment.tags, breakup, path),
        _corrections(fulfillment.tags, path),
        next((basis for basis, status in BASES.items() if status == _meter_status(fulfillment)), Basis.METER),
    )


def _shared(tags: tuple[TagGroup, ...], breakup: Sequence[BillPart], path: str) -> SharedPart | None:
    text = tag_value(tags, *SHARED_TAG)
    if text is None:
        return None
    fee_micro = _fee_micro(breakup, LOCAL_GRID_FEE)
    energy_wh = _energy_wh(text, SHARED_TAG, path)
    return SharedPart(energy_wh, _fee_micro(breakup, SHARED_ENERGY) + fee_micro, fee_micro)


def _corrections(tags: tuple[TagGroup, ...], path: str) -> tuple[Correction, ...]:
    found = [_correction((group,), path) for group in tags if group.descriptor.code == CORRECTION]
    return tuple(one for one in found if one is not None)


def _correction(tags: tuple[TagGroup, ...], path: str) -> Correction | None:
    *billed, refund, charge = ((CORRECTION, name) for name in CORRECTION_TAGS)
    if all(tag_value(tags, *tag) is None for tag in billed):
        return None
    imported_wh, exported_wh = (_energy_wh(tag_value(tags, *tag) or "", tag, path) for tag in billed)
    back_micro = (_money_micro(tags, refund, path) or 0) - (_money_micro(tags, charge, path) or 0)
    return Correction(imported_wh, exported_wh, back_micro)


def _metered(
    order: UpdatedOrder | OnUpdatedOrder, fulfillment: Fulfillment, optional: set[str], place: int = 0
) -> ReportReading:
    path = f"{_FULFILLMENTS}.{place}"
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


def _money_micro(tags: tuple[TagGroup, ...], tag: tuple[str, str], path: str) -> int | None:
    text = tag_value(tags, *tag)
    try:
        return None if text is None else money_from_text(text)
    except ValueError as error:
        raise _bad_tag(tag, error, path) from None


# --- parts ---


def _slot(fulfillment: Fulfillment, path: str) -> int:
    """The slot a fulfillment names; Refusal (400) when it is none."""
    window = fulfillment.window
    if window is None:
        raise invalid("the delivery slot is missing", f"{path}.stops")
    try:
        return slot_from_range(*window)
    except ValueError as error:
        raise invalid(str(error), f"{path}.stops.0.time.range") from None


def _expires_ms(context: Addressed, quote: WireQuote | None) -> int:
    ttl = quote.ttl if quote and quote.ttl else QUOTE_TTL
    return unix_ms(context.timestamp + ttl)


def _energy_wh(text: str, tag: tuple[str, str], path: str) -> int:
    try:
        return energy_from_kwh(text)
    except ValueError as error:
        raise _bad_tag(tag, error, path) from None


def _bad_tag(tag: tuple[str, str], error: ValueError, path: str) -> Refusal:
    return invalid(f"tag {'.'.join(tag)} {error}", path)
