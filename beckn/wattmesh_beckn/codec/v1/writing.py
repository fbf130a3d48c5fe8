"""From the market's messages to the JSON of Beckn core 1.1.

Plain dictionaries, with fields in the order of the models in `wattmesh_beckn.messages`: the bytes are those that
`write_call` gives, at a fraction of its time. An order with one delivery has neither `fulfillment_ids` nor payment ids,
and its grid fee line names no item.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import timedelta
from functools import lru_cache
from typing import Any, Final, NamedTuple, assert_never

import pydantic_core

from wattmesh_beckn.codec.port import Envelope
from wattmesh_beckn.codec.v1.deg import enriched
from wattmesh_beckn.codec.v1.states import ACTIVE, CANCELLED, COMPLETE
from wattmesh_beckn.context import COUNTRY, VERSION, iso_duration
from wattmesh_beckn.messages import ENERGY, FULFILLMENT, GRID_FEE, LOCAL_GRID_FEE, SHARED_ENERGY
from wattmesh_common.clock import rfc3339
from wattmesh_common.runtime import Vocabulary
from wattmesh_market.energy.slots import SLOT_S, slot_text
from wattmesh_market.parties.selling import item_id
from wattmesh_market.trade.contracts import OVER, ContractState, Ended, least_advanced
from wattmesh_market.trade.messages import (
    ACTION_OF,
    Agreed,
    AskStatus,
    Basis,
    Bills,
    Cancel,
    Cancelled,
    Confirm,
    Confirmed,
    Correction,
    DeliveryStatus,
    HeldReading,
    Init,
    Line,
    Offers,
    Pay,
    PricedReading,
    Publish,
    Quote,
    Readings,
    Receipt,
    ReportReading,
    Search,
    Select,
    Sent,
    Status,
    Terms,
)
from wattmesh_market.units import kwh_text, money_text

Json = dict[str, Any]

DELIVERY_TAG: Final = ("delivery", "delivered_kwh")
UNTIL_TAG: Final = ("delivery", "until")
"""Of what is sought: offers for later slots that begin before it are welcome, too, for the same order."""
METER: Final = "meter"
METER_TAGS: Final = ("imported_kwh", "exported_kwh", "delivered_kwh")
"""In group `meter`: what was imported, exported, and sold to others under a grid fee."""
GRID_FEE_TAG: Final = ("grid_fee", "amount")
"""Of a priced reading: the grid fee on what the household has sold to others."""
METER_STATUS: Final = (METER, "status")
"""What a reading is, if not the last word as the meter has it: one of the following."""
PROVISIONAL: Final = "provisional"
"""Something is in doubt yet."""
HELD: Final = "held"
"""The utility holds it for a person."""
BASES: Mapping[Basis, str] = {Basis.ESTIMATE: "estimated", Basis.CORRECTION: "corrected"}
"""A person has had it priced, or has said it, in place of the one that was told."""
SHARED_TAG: Final = ("sharing", "shared_kwh")
"""Of a priced reading: how much of it was shared with neighbours."""
CORRECTION: Final = "correction"
CORRECTION_TAGS: Final = ("billed_imported_kwh", "billed_exported_kwh", "refund", "charge")
"""In each group `correction`: the reading that was billed before, and what is paid back, or owed on top, since."""
_READING_TTL_MS = 30_000
"""The model wants a ttl of every quote; a priced reading does not expire."""
_LONGEST_NAME = 200
_STATUS: Mapping[ContractState, str] = {
    ContractState.QUOTED: ACTIVE,
    ContractState.AGREED: ACTIVE,
    ContractState.CONFIRMED: ACTIVE,
    ContractState.DELIVERED: COMPLETE,
    ContractState.SETTLED: COMPLETE,
    ContractState.EXPIRED: CANCELLED,
    ContractState.CANCELLED: CANCELLED,
}


class Market(NamedTuple):
    """What all messages of a market share: its currency, local time for names that people read, and its vocabulary."""

    currency: str
    utc_offset_s: int
    vocabulary: Vocabulary = "core"


def write(message: Sent, envelope: Envelope, market: Market) -> bytes:
    """The bytes of a message."""
    action = ACTION_OF[type(message)].value
    body = _body(message, envelope, market)
    if market.vocabulary == "deg":
        body = enriched(action, body, envelope, market.currency)
    return pydantic_core.to_json({"context": _context(action, envelope), "message": body})


def fulfillment_id(slot: int) -> str:
    """The id of the delivery in a slot, in catalogs, orders and payments."""
    return f"slot-{slot}"


def _context(action: str, envelope: Envelope) -> Json:
    context = {
        "domain": envelope.domain,
        "location": {"city": {"code": envelope.feeder}, "country": {"code": COUNTRY}},
        "action": action,
        "version": VERSION,
        "bap_id": envelope.bap[0],
        "bap_uri": envelope.bap[1],
    }
    if envelope.bpp is not None:
        context["bpp_id"], context["bpp_uri"] = envelope.bpp
    context["transaction_id"] = envelope.transaction_id
    context["message_id"] = envelope.message_id
    context["timestamp"] = rfc3339(envelope.now_ms / 1000)
    context["ttl"] = iso_duration(timedelta(seconds=envelope.ttl_s))
    return context


def _body(message: Sent, envelope: Envelope, market: Market) -> Json:
    match message:
        case Search():
            return _search(message)
        case Offers():
            return _catalog(message, market)
        case Select():
            return {"order": _select(message)}
        case Quote(terms, expires_ms):
            return {"order": _terms(terms, expires_ms - envelope.now_ms)}
        case Init(terms):
            return {"order": _terms(terms, _left_ms(envelope), envelope.bap[0])}
        case Agreed(order_id, terms, due_micro, expires_ms):
            return {"order": _agreed(order_id, terms, due_micro, expires_ms - envelope.now_ms, envelope)}
        case Confirm(order_id, terms, due_micro):
            return {"order": _agreed(order_id, terms, due_micro, _left_ms(envelope), envelope)}
        case Confirmed(order_id, terms, due_micro):
            order = _agreed(order_id, terms, due_micro, _left_ms(envelope), envelope)
            return {"order": {**order, "status": ACTIVE}}
        case AskStatus(order_id):
            return {"order_id": order_id}
        case Status():
            return {"order": _status(message, envelope)}
        case Cancel():
            return _cancel(message)
        case Cancelled(status):
            return {"order": _status(status, envelope)}
        case Pay():
            return {"update_target": "order.payments", "order": _paid(message)}
        case Receipt():
            return {"order": {**_paid(message), "status": COMPLETE}}
        case ReportReading():
            return {"update_target": "order.fulfillments", "order": _readings([message])}
        case Readings(told):
            return {"update_target": "order.fulfillments", "order": _readings(told)}
        case PricedReading():
            return {"order": _priced_reading(message)}
        case Bills(priced):
            return {"order": _bills(priced)}
        case HeldReading():
            tags = [_metered(message.reading, METER_TAGS, HELD)]
            fulfillments = [_fulfillment(message.reading.slot, tags=tags)]
            return {"order": {"id": message.reading.order_id, "fulfillments": fulfillments, "status": ACTIVE}}
        case Publish():
            raise TypeError("in v1 offers are not published")
        case _:
            assert_never(message)


# --- search ---


def _search(message: Search) -> Json:
    item: Json = {"descriptor": {"code": ENERGY}}
    if message.energy_wh is not None:
        item["quantity"] = _selected(message.energy_wh)
    tags = [] if message.until is None else [_tags(UNTIL_TAG[0], {UNTIL_TAG[1]: rfc3339(message.until)})]
    return {"intent": {"item": item, "fulfillment": _fulfillment(message.slot, tags=tags)}}


def _catalog(message: Offers, market: Market) -> Json:
    if not message.offers:
        return {"catalog": {"descriptor": {}, "providers": []}}
    seller = message.offers[0][1].seller
    items = [
        {
            "id": offer.item_id,
            "descriptor": {"code": ENERGY, "name": f"{ENERGY} {slot_text(slot, market.utc_offset_s)}"},
            "price": _price(offer.price_micro_per_kwh, market.currency),
            "quantity": {"available": _measure(offer.available_wh)},
            "fulfillment_ids": [fulfillment_id(slot)],
        }
        for slot, offer in message.offers
    ]
    name = seller.partition(".")[0]
    fulfillments = [_fulfillment(slot) for slot in dict.fromkeys(slot for slot, _ in message.offers)]
    provider = {"id": seller, "descriptor": {"name": name}, "items": items, "fulfillments": fulfillments}
    return {"catalog": {"descriptor": {"name": name}, "providers": [provider]}}


# --- orders ---


def _select(message: Select) -> Json:
    one = len(message.wanted) == 1
    return {
        "provider": {"id": message.provider},
        "items": [_item(wanted.item_id, wanted.energy_wh, None if one else wanted.slot) for wanted in message.wanted],
        "fulfillments": [_fulfillment(wanted.slot) for wanted in message.wanted],
    }


def _terms(terms: Terms, left_ms: int, bill_to: str | None = None, deliveries: tuple[DeliveryStatus, ...] = ()) -> Json:
    lines, currency = terms.lines, terms.currency
    one = len(lines) == 1
    order: Json = {
        "provider": {"id": terms.provider},
        "items": [_item(line.item_id, line.energy_wh, None if one else line.slot) for line in lines],
        "fulfillments": [_told(told) for told in deliveries] or [_fulfillment(line.slot) for line in lines],
        "quote": {
            "price": _price(terms.total_micro, currency),
            "breakup": [part for line in lines for part in _parts(line, currency, named=not one)],
            "ttl": _ttl(left_ms),
        },
    }
    if bill_to is not None:
        order["billing"] = {"name": bill_to}
    return order


def _agreed(order_id: str | None, terms: Terms, due_micro: int, left_ms: int, envelope: Envelope) -> Json:
    lines, currency = terms.lines, terms.currency
    if len(lines) == 1:
        payments = [_payment(due_micro, currency)]
    else:
        payments = [_payment(line.amount_micro, currency, line.slot) for line in lines]
    named = {} if order_id is None else {"id": order_id}
    return {**_terms(terms, left_ms, envelope.bap[0]), **named, "payments": payments}


def _status(status: Status, envelope: Envelope) -> Json:
    terms, deliveries = status.terms, status.deliveries
    one, over = len(deliveries) == 1, [told.state for told in deliveries if told.state in OVER]
    state = least_advanced([told.state for told in deliveries])
    order = {
        **_terms(terms, _left_ms(envelope), envelope.bap[0], deliveries),
        "id": status.order_id,
        "payments": [
            _payment(
                line.amount_micro if told.due_micro is None else told.due_micro,
                terms.currency,
                None if one else told.slot,
                paid=told.state is ContractState.SETTLED,
            )
            for line, told in zip(terms.lines, deliveries, strict=True)
        ],
        "status": _STATUS[state],
    }
    if status.reason is not None:
        descriptor = {"code": (over[0] if over else state).value, "name": status.reason[:_LONGEST_NAME]}
        by = "CONSUMER" if status.reason.startswith(Ended.BY_BUYER) else "PROVIDER"
        order["cancellation"] = {"cancelled_by": by, "reason": {"descriptor": descriptor}}
    return order


def _cancel(message: Cancel) -> Json:
    body: Json = {"order_id": message.order_id, "cancellation_reason_id": message.reason}
    if message.slots is not None:
        body["descriptor"] = {"code": FULFILLMENT, "short_desc": ",".join(map(fulfillment_id, message.slots))}
    return body


# --- updates ---


def _paid(message: Pay | Receipt) -> Json:
    payments = [_payment(one.amount_micro, message.currency, one.slot, paid=True) for one in message.parts]
    return {"id": message.order_id, "payments": payments}


def _readings(told: Sequence[ReportReading]) -> Json:
    fulfillments = [
        _fulfillment(one.slot, tags=[_metered(one, METER_TAGS if one.sold_wh else METER_TAGS[:2])]) for one in told
    ]
    return {"id": told[0].order_id, "fulfillments": fulfillments}


def _metered(reading: ReportReading, told: Sequence[str], status: str | None = None) -> Json:
    values = dict(zip(told, map(kwh_text, reading[2:5]), strict=False))
    if reading.provisional:
        status = PROVISIONAL
    if status is not None:
        values[METER_STATUS[1]] = status
    return _tags(METER, values)


def _priced_reading(message: PricedReading) -> Json:
    reading, currency, shared = message.reading, message.currency, message.shared
    tags = [_metered(reading, METER_TAGS, BASES.get(message.by))]
    if message.local_fee_micro is not None:
        tags.append(_tags(GRID_FEE_TAG[0], {GRID_FEE_TAG[1]: money_text(message.local_fee_micro)}))
    breakup = _breakup(message.amount_micro - (shared.amount_micro if shared else 0), message.fee_micro, currency)
    if shared is not None:
        tags.append(_tags(SHARED_TAG[0], {SHARED_TAG[1]: kwh_text(shared.energy_wh)}))
        parts = ((SHARED_ENERGY, shared.amount_micro - shared.fee_micro), (LOCAL_GRID_FEE, shared.fee_micro))
        breakup += [{"title": title, "price": _price(micro, currency)} for title, micro in parts]
    tags += [_correction(one) for one in message.corrections]
    return {
        "id": message.order_id,
        "fulfillments": [_fulfillment(reading.slot, tags=tags)],
        "status": ACTIVE,
        "quote": {
            "price": _price(message.amount_micro, currency),
            "breakup": breakup,
            "ttl": _ttl(_READING_TTL_MS),
        },
    }


def _bills(priced: Sequence[PricedReading]) -> Json:
    """Several priced readings: each part of the price names the item, and so the slot, that it is for."""
    orders = [_priced_reading(one) for one in priced]
    breakup = [
        {**part, "item": {"id": item_id(one.reading.slot)}}
        for one, order in zip(priced, orders, strict=True)
        for part in order["quote"]["breakup"]
    ]
    price = _price(sum([one.amount_micro for one in priced]), priced[0].currency)
    return {
        **orders[0],
        "fulfillments": [fulfillment for order in orders for fulfillment in order["fulfillments"]],
        "quote": {**orders[0]["quote"], "price": price, "breakup": breakup},
    }


def _correction(correction: Correction) -> Json:
    imported_wh, exported_wh, back_micro = correction
    texts = (
        kwh_text(imported_wh),
        kwh_text(exported_wh),
        money_text(max(0, back_micro)),
        money_text(max(0, -back_micro)),
    )
    return _tags(CORRECTION, dict(zip(CORRECTION_TAGS, texts, strict=True)))


# --- parts ---


def _item(item_id: str, energy_wh: int, slot: int | None = None) -> Json:
    item: Json = {"id": item_id, "quantity": _selected(energy_wh)}
    if slot is not None:
        item["fulfillment_ids"] = [fulfillment_id(slot)]
    return item


def _parts(line: Line, currency: str, *, named: bool) -> list[Json]:
    """A delivery's part of a quote's breakup; `named` when its grid fee, too, must say whose it is."""
    if line.fee_micro is None:
        return [] if not named else _parts(line._replace(fee_micro=0), currency, named=True)
    parts = _breakup(line.amount_micro, line.fee_micro, currency)
    item = _item(line.item_id, line.energy_wh)
    for part in parts if named else parts[:1]:
        part["item"] = item
    return parts


def _breakup(price_micro: int, fee_micro: int, currency: str) -> list[Json]:
    """The parts of a price: the energy, and the grid fee where there is one."""
    energy = {"title": ENERGY, "price": _price(price_micro - fee_micro, currency)}
    return [energy, {"title": GRID_FEE, "price": _price(fee_micro, currency)}] if fee_micro else [energy]


def _payment(amount_micro: int, currency: str, slot: int | None = None, *, paid: bool = False) -> Json:
    payment: Json = {} if slot is None else {"id": fulfillment_id(slot)}
    payment["type"] = "POST-FULFILLMENT"
    payment["collected_by"] = "BPP"
    payment["status"] = "PAID" if paid else "NOT-PAID"
    payment["params"] = {"amount": money_text(amount_micro), "currency": currency}
    return payment


def _told(told: DeliveryStatus) -> Json:
    tags = []
    if told.delivered_wh is not None:
        tags.append(_tags(DELIVERY_TAG[0], {DELIVERY_TAG[1]: kwh_text(told.delivered_wh)}))
    return _fulfillment(told.slot, told.state, tags)


def _fulfillment(slot: int, state: ContractState | None = None, tags: list[Json] | None = None) -> Json:
    fulfillment: Json = {"id": fulfillment_id(slot), "type": ENERGY}
    if state is not None:
        fulfillment["state"] = {"descriptor": {"code": state.value}}
    fulfillment["stops"] = _stops(slot)
    fulfillment["tags"] = tags or []
    return fulfillment


@lru_cache(maxsize=256)
def _stops(slot: int) -> list[Json]:
    return [{"type": "start", "time": {"range": {"start": rfc3339(slot), "end": rfc3339(slot + SLOT_S)}}}]


def _selected(energy_wh: int) -> Json:
    return {"selected": _measure(energy_wh)}


def _measure(energy_wh: int) -> Json:
    return {"measure": {"value": kwh_text(energy_wh), "unit": "kWh"}}


def _price(value_micro: int, currency: str) -> Json:
    return {"currency": currency, "value": money_text(value_micro)}


def _tags(group: str, values: Mapping[str, str]) -> Json:
    return {
        "descriptor": {"code": group},
        "list": [{"descriptor": {"code": code}, "value": value} for code, value in values.items()],
    }


def _left_ms(envelope: Envelope) -> int:
    return 0 if envelope.terms_until_ms is None else envelope.terms_until_ms - envelope.now_ms


def _ttl(left_ms: int) -> str:
    """What is left of a quote's time, at least a millisecond."""
    return iso_duration(timedelta(milliseconds=max(1, left_ms)))
