"""Beckn core 1.1, reading: the market's messages from proven calls. What their form leaves open is refused here."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from wattmesh_beckn.codec.v1_write import CANCELLED_PART
from wattmesh_beckn.errors import ErrorCode, declined, invalid
from wattmesh_beckn.messages import (
    ENERGY,
    GRID_FEE,
    AgreedOrder,
    Breakup,
    CancelMessage,
    ConfirmMessage,
    Fulfillment,
    InitMessage,
    OnCancelMessage,
    OnConfirmMessage,
    OnInitMessage,
    OnSearchMessage,
    OnSelectMessage,
    OnStatusMessage,
    OnUpdatedOrder,
    OnUpdateMessage,
    Payment,
    QuotedOrder,
    SearchMessage,
    SelectMessage,
    StatusMessage,
    StatusOrder,
    TagGroup,
    UpdateMessage,
    tag_value,
)
from wattmesh_beckn.messages import Quote as WireQuote
from wattmesh_beckn.receiver import Received
from wattmesh_market.energy.slots import slot_from_range
from wattmesh_market.trade.contracts import DELIVERED, ContractState
from wattmesh_market.trade.messages import (
    Action,
    Agreed,
    AskStatus,
    Cancel,
    Cancelled,
    Confirm,
    Confirmed,
    DeliveryStatus,
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
    Status,
    Terms,
    Wanted,
)
from wattmesh_market.trade.offers import Offer
from wattmesh_market.units import energy_from_kwh, money_from_text, money_text

_ORDER = "message.order"
_STATES = frozenset(state.value for state in ContractState)


def _search(received: Received) -> Search:
    intent = received.read(SearchMessage).intent
    if intent.item.descriptor.code != ENERGY:
        text = f"only {ENERGY!r} is sold here"
        raise declined(ErrorCode.ITEM_NOT_FOUND, text, "message.intent.item.descriptor")
    slot = _slot(intent.fulfillment, "message.intent.fulfillment")
    return Search(slot, intent.item.quantity.selected.measure.energy_wh)


def _offers(received: Received) -> Offers:
    seller, offers, currency = received.sender.subscriber_id, [], ""
    for number, provider in enumerate(received.read(OnSearchMessage).catalog.providers):
        if provider.id != seller:
            raise declined(ErrorCode.BUSINESS_ERROR, f"{seller!r} cannot offer for {provider.id!r}")
        slots = {
            fulfillment.id: _slot(fulfillment, f"message.catalog.providers.{number}.fulfillments.0")
            for fulfillment in provider.fulfillments
        }
        for item in provider.items:
            if item.descriptor.code == ENERGY:
                currency = currency or item.price.currency
                available_wh = item.quantity.available.measure.energy_wh
                offer = Offer(seller, item.id, item.price.value_micro, available_wh)
                if item.price.currency == currency:
                    offers += [(slots[name], offer) for name in item.fulfillment_ids if name in slots]
    return Offers(tuple(offers), currency)


def _select(received: Received) -> Select:
    order = received.read(SelectMessage).order
    pairs = zip(order.items, _slots(order.fulfillments), strict=True)
    wanted = [Wanted(slot, item.id, item.quantity.selected.measure.energy_wh) for item, slot in pairs]
    return Select(order.provider.id, tuple(wanted))


def _quote(received: Received) -> Quote:
    return Quote(_terms(received.read(OnSelectMessage).order, received))


def _init(received: Received) -> Init:
    return Init(_terms(received.read(InitMessage).order, received))


def _agreed(received: Received) -> Agreed:
    order = received.read(OnInitMessage).order
    return Agreed(order.id, _terms(order, received), _due(order))


def _confirm(received: Received) -> Confirm:
    order = received.read(ConfirmMessage).order
    return Confirm(order.id, _terms(order, received), _due(order))


def _confirmed(received: Received) -> Confirmed:
    order = received.read(OnConfirmMessage).order
    return Confirmed(order.id, _terms(order, received), _due(order))


def _ask_status(received: Received) -> AskStatus:
    return AskStatus(received.read(StatusMessage).order_id)


def _told(received: Received) -> Status:
    return _status(received.read(OnStatusMessage).order, received)


def _cancelled(received: Received) -> Cancelled:
    return Cancelled(_status(received.read(OnCancelMessage).order, received))


def _cancel(received: Received) -> Cancel:
    message = received.read(CancelMessage)
    part, slots = message.descriptor, None
    if part is not None and part.code == CANCELLED_PART:
        try:
            slots = tuple(int(name.removeprefix("slot-")) for name in (part.name or "").split())
        except ValueError:
            text = "must list fulfillments of the order, such as slot-1790000100"
            raise invalid(text, "message.descriptor.name") from None
    return Cancel(message.order_id, message.cancellation_reason_id, slots)


def _update(received: Received) -> Pay | ReportReading:
    message = received.read(UpdateMessage)
    order = message.order
    if message.update_target == "order.fulfillments":
        if not order.fulfillments:
            raise invalid("a reading needs its slot", "message.order.fulfillments")
        return _reading(order.id, order.fulfillments[0], stated=False)
    payments = order.payments
    if not payments or payments[0].status != "PAID":
        raise invalid("a payment must have status PAID", "message.order.payments.0.status")
    paid = payments[0]
    return Pay(order.id, _slot_paid(paid), paid.params.amount_micro, paid.params.currency)


def _updated(received: Received) -> Receipt | PricedReading:
    order = received.read(OnUpdateMessage).order
    if order.fulfillments:
        return _priced(order)
    if not order.payments or order.payments[0].status != "PAID":
        raise declined(ErrorCode.BUSINESS_ERROR, "no receipt for a payment of this order", _ORDER)
    paid = order.payments[0]
    return Receipt(order.id, _slot_paid(paid), paid.params.amount_micro, paid.params.currency)


READERS: Mapping[str, Callable[[Received], Message]] = {
    Action.SEARCH: _search,
    Action.ON_SEARCH: _offers,
    Action.SELECT: _select,
    Action.ON_SELECT: _quote,
    Action.INIT: _init,
    Action.ON_INIT: _agreed,
    Action.CONFIRM: _confirm,
    Action.ON_CONFIRM: _confirmed,
    Action.STATUS: _ask_status,
    Action.ON_STATUS: _told,
    Action.CANCEL: _cancel,
    Action.ON_CANCEL: _cancelled,
    Action.UPDATE: _update,
    Action.ON_UPDATE: _updated,
}


# --- parts ---


def _terms(order: QuotedOrder, received: Received) -> Terms:
    quote = order.quote
    slots = _slots(order.fulfillments)
    parts = _parts(quote, [item.id for item in order.items])
    lines = [
        Line(slot, item.id, item.quantity.selected.measure.energy_wh, amount_micro, fee_micro)
        for item, slot, (amount_micro, fee_micro) in zip(order.items, slots, parts, strict=True)
    ]
    expires = received.context.timestamp + quote.ttl
    return Terms(
        order.provider.id,
        tuple(lines),
        quote.price.value_micro,
        quote.price.currency,
        int(expires.timestamp() * 1000),
    )


def _parts(quote: WireQuote, items: Sequence[str]) -> list[tuple[int, int | None]]:
    """Amount and grid fee of each item, by the parts of the price that name it."""
    if any(part.price.currency != quote.price.currency for part in quote.breakup):
        text = f"the breakup is not in {quote.price.currency} throughout, as the price is"
        raise declined(ErrorCode.QUOTE_UNAVAILABLE, text, "message.order.quote.breakup")
    if len(items) == 1:
        if not quote.breakup:
            return [(quote.price.value_micro, None)]
        return [_sums(quote.breakup)]
    unnamed = [part.title for part in quote.breakup if part.item is None or part.item.id not in items]
    if unnamed or not quote.breakup:
        text = "the parts of the price must name the item they are for, as there are several"
        raise declined(ErrorCode.QUOTE_UNAVAILABLE, text, "message.order.quote.breakup")
    return [_sums([part for part in quote.breakup if part.item and part.item.id == item]) for item in items]


def _sums(parts: Sequence[Breakup]) -> tuple[int, int]:
    total_micro = sum(part.price.value_micro for part in parts)
    return total_micro, sum(part.price.value_micro for part in parts if part.title == GRID_FEE)


def _due(order: AgreedOrder) -> int:
    return sum(payment.params.amount_micro for payment in order.payments)


def _status(order: StatusOrder, received: Received) -> Status:
    slots = _slots(order.fulfillments)
    payments = {payment.id: payment for payment in order.payments}
    deliveries = []
    for fulfillment, slot in zip(order.fulfillments, slots, strict=True):
        code = fulfillment.state.descriptor.code if fulfillment.state else ""
        if code not in _STATES:
            continue
        state = ContractState(code)
        payment = order.payments[0] if len(slots) == 1 else payments.get(fulfillment.id)
        delivered_wh = due_micro = None
        if state in DELIVERED:
            delivered_wh = _delivered_wh(fulfillment)
            due_micro = payment.params.amount_micro if payment else None
        deliveries.append(DeliveryStatus(slot, state, delivered_wh, due_micro))
    reason = order.cancellation.reason.name if order.cancellation else None
    return Status(order.id, _terms(order, received), tuple(deliveries), reason)


def _delivered_wh(fulfillment: Fulfillment) -> int | None:
    text = tag_value(fulfillment.tags, "delivery", "delivered_kwh")
    try:
        return None if text is None else energy_from_kwh(text)
    except ValueError as error:
        raise invalid(f"tag delivery.delivered_kwh {error}", "message.order.fulfillments.0.tags") from None


def _reading(order_id: str, fulfillment: Fulfillment, *, stated: bool) -> ReportReading:
    path = "message.order.fulfillments.0"
    tags = fulfillment.tags
    imported_wh, exported_wh = (_metered_wh(tags, name, path) for name in ("imported_kwh", "exported_kwh"))
    # Stated only by who has sold under a grid fee.
    sold_wh = 0
    if stated or tag_value(tags, "meter", "delivered_kwh") is not None:
        sold_wh = _metered_wh(tags, "delivered_kwh", path)
    return ReportReading(order_id, _slot(fulfillment, path), imported_wh, exported_wh, sold_wh)


def _metered_wh(tags: tuple[TagGroup, ...], name: str, path: str) -> int:
    try:
        return energy_from_kwh(tag_value(tags, "meter", name) or "")
    except ValueError as error:
        raise invalid(f"tag meter.{name} {error}", f"{path}.tags") from None


def _priced(order: OnUpdatedOrder) -> PricedReading:
    quote, fulfillments = order.quote, order.fulfillments
    if quote is None or not fulfillments:
        raise declined(ErrorCode.BUSINESS_ERROR, "no priced reading of this household's supply", _ORDER)
    fulfillment = fulfillments[0]
    slot = int(fulfillment.slot[0].timestamp())
    amount_micro, fee_micro = _parts(quote, [""])[0]
    if amount_micro != quote.price.value_micro:
        text = f"the breakup sums to {money_text(amount_micro)} but the price is {money_text(quote.price.value_micro)}"
        raise declined(ErrorCode.BUSINESS_ERROR, text, "message.order.quote.breakup")
    fee_text = tag_value(fulfillment.tags, "grid_fee", "amount")
    try:
        local_fee_micro = None if fee_text is None else money_from_text(fee_text)
    except ValueError as error:
        raise invalid(f"tag grid_fee.amount {error}", "message.order.fulfillments.0.tags") from None
    reading = ReportReading(order.id, slot, 0, 0, 0)
    if tag_value(fulfillment.tags, "meter", "imported_kwh") is not None:
        reading = _reading(order.id, fulfillment, stated=False)
    return PricedReading(order.id, reading, amount_micro, fee_micro or 0, local_fee_micro, quote.price.currency)


def _slot_paid(payment: Payment) -> int | None:
    """The slot of the delivery that a payment names; None where it names none."""
    name = payment.id or ""
    digits = name.removeprefix("slot-")
    return int(digits) if digits != name and digits.isascii() and digits.isdigit() else None


def _slots(fulfillments: Sequence[Fulfillment]) -> list[int]:
    return [_slot(one, f"message.order.fulfillments.{number}") for number, one in enumerate(fulfillments)]


def _slot(fulfillment: Fulfillment, path: str) -> int:
    try:
        return slot_from_range(*fulfillment.slot)
    except ValueError as error:
        raise invalid(str(error), f"{path}.stops.0.time.range") from None
