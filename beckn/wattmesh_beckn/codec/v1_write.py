"""Beckn core 1.1, writing: messages of the market as JSON values. Numbers are decimal strings, energy is in kWh."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from typing import Any

from wattmesh_beckn.codec import Envelope
from wattmesh_beckn.context import COUNTRY, VERSION, iso_duration
from wattmesh_beckn.messages import ENERGY, GRID_FEE
from wattmesh_common.clock import rfc3339
from wattmesh_market.energy.slots import SLOT_S, slot_text
from wattmesh_market.trade.contracts import DELIVERED, OVER, ContractState
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
)
from wattmesh_market.units import kwh_text, money_text

CANCELLED_PART = "fulfillments"
"""Says in a `cancel` that only the fulfillments are meant which its name lists."""
_PRICED_TTL_MS = 30_000
"""How long a priced reading stands: formally, as a quote needs it."""
Json = dict[str, Any]


def context_of(action: Action, envelope: Envelope) -> Json:
    """The context of a call."""
    bap, bpp = envelope.sender, envelope.receiver
    if action.startswith("on_"):
        bap, bpp = bpp, bap
    context = {
        "domain": envelope.domain,
        "location": {"city": {"code": envelope.feeder}, "country": {"code": COUNTRY}},
        "action": action,
        "version": VERSION,
        "bap_id": bap[0],
        "bap_uri": bap[1],
    }
    if action is not Action.SEARCH:
        context["bpp_id"], context["bpp_uri"] = bpp
    context["transaction_id"] = envelope.transaction_id
    context["message_id"] = envelope.message_id
    context["timestamp"] = rfc3339(envelope.now_ms / 1000)
    context["ttl"] = _duration(envelope.ttl_ms)
    return context


def message_of(message: Message, envelope: Envelope) -> Json:
    """The body of a call, without its context."""
    now_ms, buyer = envelope.now_ms, envelope.sender[0]
    match message:
        case Search(slot, energy_wh):
            item = {"descriptor": {"code": ENERGY}, "quantity": _selected(energy_wh)}
            return {"intent": {"item": item, "fulfillment": _fulfillment(slot)}}
        case Offers():
            return {"catalog": _catalog(message, envelope.sender[0])}
        case Select(seller, wanted):
            items = [{"id": one.item_id, "quantity": _selected(one.energy_wh)} for one in wanted]
            slots = [_fulfillment(one.slot) for one in wanted]
            return {"order": {"provider": {"id": seller}, "items": items, "fulfillments": slots}}
        case Quote(terms):
            return {"order": _quoted(terms, now_ms)}
        case Init(terms):
            return {"order": {**_quoted(terms, now_ms), "billing": {"name": buyer}}}
        case Confirm(order_id, terms, due_micro):
            return {"order": _agreed(order_id, terms, due_micro, buyer, now_ms)}
        case Agreed(order_id, terms, due_micro):
            return {"order": _agreed(order_id, terms, due_micro, envelope.receiver[0], now_ms)}
        case Confirmed(order_id, terms, due_micro):
            order = _agreed(order_id, terms, due_micro, envelope.receiver[0], now_ms)
            return {"order": {**order, "status": "ACTIVE"}}
        case AskStatus(order_id):
            return {"order_id": order_id}
        case Status():
            return {"order": _status(message, envelope.receiver[0], now_ms)}
        case Cancelled(status):
            return {"order": _status(status, envelope.receiver[0], now_ms)}
        case Cancel(order_id, reason, slots):
            body: Json = {"order_id": order_id, "cancellation_reason_id": reason}
            if slots is not None:
                body["descriptor"] = {"code": CANCELLED_PART, "name": " ".join(map(fulfillment_id, slots))}
            return body
        case Pay(order_id, slot, amount_micro, currency):
            order = {"id": order_id, "payments": [_payment("PAID", amount_micro, currency, slot)]}
            return {"update_target": "order.payments", "order": order}
        case Receipt(order_id, slot, amount_micro, currency):
            payments = [_payment("PAID", amount_micro, currency, slot)]
            return {"order": {"id": order_id, "payments": payments, "status": "COMPLETE"}}
        case ReportReading():
            order = {"id": message.order_id, "fulfillments": [_fulfillment(message.slot, tags=[_meter(message)])]}
            return {"update_target": "order.fulfillments", "order": order}
        case PricedReading():
            return {"order": _priced_reading(message)}


def fulfillment_id(slot: int) -> str:
    """The id of the fulfillment that stands for delivery in a slot."""
    return f"slot-{slot}"


# --- parts ---


def _catalog(offers: Offers, seller: str) -> Json:
    name = {"name": seller.partition(".")[0]}
    items, fulfillments = [], []
    for slot, offer in offers.offers:
        items.append(
            {
                "id": offer.item_id,
                "descriptor": {"code": ENERGY, "name": f"energy {_utc_text(slot)}"},
                "price": {"currency": offers.currency, "value": money_text(offer.price_micro_per_kwh)},
                "quantity": {"available": {"measure": _measure(offer.available_wh)}},
                "fulfillment_ids": [fulfillment_id(slot)],
            }
        )
        fulfillments.append(_fulfillment(slot))
    provider = {"id": seller, "descriptor": name, "items": items, "fulfillments": fulfillments}
    return {"descriptor": name, "providers": [provider]}


def _quoted(terms: Terms, now_ms: int) -> Json:
    several = len(terms.lines) > 1
    return {
        "provider": {"id": terms.seller},
        "items": [{"id": line.item_id, "quantity": _selected(line.energy_wh)} for line in terms.lines],
        "fulfillments": [_fulfillment(line.slot) for line in terms.lines],
        "quote": {
            "price": _price(terms.total_micro, terms.currency),
            "breakup": [part for line in terms.lines for part in _parts(line, terms.currency, several=several)],
            "ttl": _duration(max(1, terms.expires_ms - now_ms)),
        },
    }


def _parts(line: Line, currency: str, *, several: bool) -> Sequence[Json]:
    """The energy, and the grid fee where there is one. Of several deliveries each fee names its own, too."""
    fee_micro = line.fee_micro or 0
    item = {"id": line.item_id, "quantity": _selected(line.energy_wh)}
    energy: Json = {"title": ENERGY, "price": _price(line.amount_micro - fee_micro, currency), "item": item}
    if not fee_micro:
        return (energy,)
    fee: Json = {"title": GRID_FEE, "price": _price(fee_micro, currency)}
    return energy, {**fee, "item": item} if several else fee


def _agreed(order_id: str, terms: Terms, due_micro: int, buyer: str, now_ms: int) -> Json:
    if len(terms.lines) == 1:
        payments = [_payment("NOT-PAID", due_micro, terms.currency)]
    else:
        payments = [_payment("NOT-PAID", one.amount_micro, terms.currency, one.slot) for one in terms.lines]
    return {**_quoted(terms, now_ms), "billing": {"name": buyer}, "id": order_id, "payments": payments}


def _status(status: Status, buyer: str, now_ms: int) -> Json:
    terms, deliveries = status.terms, status.deliveries
    several = len(deliveries) > 1
    amounts = {line.slot: line.amount_micro for line in terms.lines}
    state = _least_advanced(deliveries)
    order = {
        **_agreed(status.order_id, terms, terms.total_micro, buyer, now_ms),
        "fulfillments": [_delivery(one) for one in deliveries],
        "payments": [
            _payment(
                "PAID" if one.state is ContractState.SETTLED else "NOT-PAID",
                amounts[one.slot] if one.due_micro is None else one.due_micro,
                terms.currency,
                one.slot if several else None,
            )
            for one in deliveries
        ],
        "status": "COMPLETE" if state in DELIVERED else "CANCELLED" if state in OVER else "ACTIVE",
    }
    if status.reason is not None:
        over = next((one.state for one in deliveries if one.state in OVER), state)
        order["cancellation"] = {"reason": {"code": over, "name": status.reason[:200]}}
    return order


def _least_advanced(deliveries: Sequence[DeliveryStatus]) -> ContractState:
    states = [one.state for one in deliveries]
    live = [state for state in ContractState if state in states and state not in OVER]
    return live[0] if live else states[0]


def _delivery(one: DeliveryStatus) -> Json:
    tags = [] if one.delivered_wh is None else [_tags("delivery", delivered_kwh=kwh_text(one.delivered_wh))]
    return _fulfillment(one.slot, state={"descriptor": {"code": one.state}}, tags=tags)


def _meter(reading: ReportReading, *, whole: bool = False) -> Json:
    metered = {"imported_kwh": kwh_text(reading.imported_wh), "exported_kwh": kwh_text(reading.exported_wh)}
    if reading.sold_wh or whole:
        metered["delivered_kwh"] = kwh_text(reading.sold_wh)
    return _tags("meter", **metered)


def _priced_reading(priced: PricedReading) -> Json:
    tags = [_meter(priced.reading, whole=True)]
    if priced.local_fee_micro is not None:
        tags.append(_tags("grid_fee", amount=money_text(priced.local_fee_micro)))
    currency, fee_micro = priced.currency, priced.fee_micro
    breakup = [{"title": ENERGY, "price": _price(priced.amount_micro - fee_micro, currency)}]
    if fee_micro:
        breakup.append({"title": GRID_FEE, "price": _price(fee_micro, currency)})
    return {
        "id": priced.order_id,
        "fulfillments": [_fulfillment(priced.reading.slot, tags=tags)],
        "status": "ACTIVE",
        "quote": {
            "price": _price(priced.amount_micro, currency),
            "breakup": breakup,
            "ttl": _duration(_PRICED_TTL_MS),
        },
    }


def _fulfillment(slot: int, *, state: Json | None = None, tags: Sequence[Json] = ()) -> Json:
    start, end = rfc3339(slot), rfc3339(slot + SLOT_S)
    fulfillment: Json = {"id": fulfillment_id(slot), "type": "energy"}
    if state is not None:
        fulfillment["state"] = state
    fulfillment["stops"] = [{"type": "start", "time": {"range": {"start": start, "end": end}}}]
    fulfillment["tags"] = list(tags)
    return fulfillment


def _payment(status: str, amount_micro: int, currency: str, slot: int | None = None) -> Json:
    """A payment; of several deliveries of an order it names its own."""
    payment: Json = {} if slot is None else {"id": fulfillment_id(slot)}
    params = {"amount": money_text(amount_micro), "currency": currency}
    return {**payment, "type": "POST-FULFILLMENT", "collected_by": "BPP", "status": status, "params": params}


def _tags(group: str, **values: str) -> Json:
    tags = [{"descriptor": {"code": code}, "value": value} for code, value in values.items()]
    return {"descriptor": {"code": group}, "list": tags}


def _selected(energy_wh: int) -> Json:
    return {"selected": {"measure": _measure(energy_wh)}}


def _measure(energy_wh: int) -> Json:
    return {"value": kwh_text(energy_wh), "unit": "kWh"}


def _price(value_micro: int, currency: str) -> Json:
    return {"currency": currency, "value": money_text(value_micro)}


def _duration(milliseconds: int) -> str:
    return iso_duration(timedelta(milliseconds=milliseconds))


def _utc_text(slot: int) -> str:
    return f"{slot_text(slot, 0)} UTC"
