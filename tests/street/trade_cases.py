"""Sound calls that no honest trade makes: to a seller, to a utility, to a buyer."""

from __future__ import annotations

import uuid

from tests.beckn.support import GONE
from tests.street.spoiling import (
    DECIMAL,
    MONEY,
    RANGE,
    UNKNOWN_ORDER,
    Case,
    bad,
    declined,
    in_slot,
    ordered,
    time_range,
)
from tests.street.stages import fulfillment
from tests.world.street import SLOT_S

SELLER = [
    Case(
        "search",
        "something else than energy",
        declined("30004", "only 'energy' is sold here", "message.intent.item.descriptor"),
        {"message.intent.item.descriptor.code": "water"},
    ),
    Case(
        "search",
        "a past slot",
        declined(
            "40000",
            "gate closed: the delivery slot 06:00-06:15 has started",
            "message.order.fulfillments.0.stops.0.time.range",
        ),
        {"message.intent.fulfillment": lambda p, _: fulfillment(p.slot)},
    ),
    Case(
        "search",
        "a slot too far ahead",
        declined("40000", "slots are sold up to 24 h ahead"),
        {"message.intent.fulfillment": lambda p, _: fulfillment(p.next_slot + 86_400)},
    ),
    Case(
        "select",
        "a past slot",
        declined("40000", "gate closed: the delivery slot 06:00-06:15 has started", RANGE),
        in_slot(-SLOT_S),
    ),
    Case("select", "a slot too far ahead", declined("40000", "slots are sold up to 24 h ahead"), in_slot(86_400)),
    Case(
        "select",
        "unknown provider",
        declined("30004", "no provider 'low-0.default' here", "message.order.provider"),
        {"message.order.provider.id": "low-0.default"},
    ),
    Case(
        "select",
        "unknown item",
        declined("30004", "no item 'water' in that slot", "message.order.items.0"),
        {"message.order.items.0.id": "water"},
    ),
    Case(
        "init",
        "without a quote",
        declined("40003", "no quote was given in this transaction"),
        {"context.transaction_id": str(uuid.UUID(int=2))},
    ),
    Case(
        "init",
        "altered price",
        declined("40003", "order says 140000 but 150000 was quoted", "message.order.quote.price.value"),
        {"message.order.quote.price.value": "0.140000"},
    ),
    Case(
        "init",
        "other currency",
        declined("40003", "the breakup is not in CHF throughout, as the price is", "message.order.quote.breakup"),
        {"message.order.quote.price.currency": "CHF"},
    ),
    Case(
        "init",
        "altered quantity",
        declined("40003", "order says 1.200 kWh but 1.000 kWh was quoted", "message.order.items.0.quantity"),
        ordered("1.200"),
    ),
    Case(
        "confirm",
        "altered price",
        declined("40003", "order says 1 but 150000 was quoted", "message.order.quote.price.value"),
        {"message.order.quote.price.value": "0.000001"},
    ),
    Case(
        "confirm",
        "altered payment",
        declined("40003", "payment of 0.000001 is not the agreed 0.150000", "message.order.payments.0.params.amount"),
        {"message.order.payments.0.params.amount": "0.000001"},
    ),
    Case(
        "confirm",
        "payment in another currency",
        declined("40003", "what is due is in CHF and the price in EUR", "message.order.payments.0.params.currency"),
        {"message.order.payments.0.params.currency": "CHF"},
    ),
    Case(
        "confirm",
        "another provider",
        declined(
            "40003", "order says provider 'low-0.default' but 'roof-0.default' was quoted", "message.order.provider"
        ),
        {"message.order.provider.id": "low-0.default"},
    ),
    Case(
        "confirm",
        "altered quantity",
        declined("40003", "order says 1.250 kWh but 1.000 kWh was quoted", "message.order.items.0.quantity"),
        ordered("1.250"),
    ),
    Case(
        "confirm",
        "another slot",
        declined("40003", "order says energy-1782023400 but energy-1782022500 was quoted", "message.order.items.0.id"),
        in_slot(SLOT_S),
    ),
    Case(
        "confirm",
        "unknown order",
        declined("30010", f"no order '{UNKNOWN_ORDER}' of yours here", "message.order.id"),
        {"message.order.id": UNKNOWN_ORDER},
    ),
    Case(
        "late_confirm", "expired quote", declined("40003", "the quote is EXPIRED: gate closed before it was confirmed")
    ),
    Case(
        "status",
        "unknown order",
        declined("30010", f"no order '{UNKNOWN_ORDER}' of yours here", "message.order.id"),
        {"message.order_id": UNKNOWN_ORDER},
    ),
    Case(
        "cancel",
        "unknown order",
        declined("30010", f"no order '{UNKNOWN_ORDER}' of yours here", "message.order.id"),
        {"message.order_id": UNKNOWN_ORDER},
    ),
    Case(
        "late_cancel",
        "after the start",
        declined("50001", "the delivery slot 06:15-06:30 has started; what was confirmed is delivered"),
    ),
    Case(
        "on_status",
        "due in another currency",
        declined("40000", "what is due is in CHF and the price in EUR", "message.order.payments.0.params.currency"),
        {"message.order.payments.0.params.currency": "CHF"},
    ),
    Case("early_pay", "before delivery", declined("40000", "nothing to pay yet: the order is CONFIRMED")),
    Case(
        "pay",
        "wrong amount",
        declined("40000", "paid 0.149999 EUR but 0.150000 EUR is due", "message.order.payments.0.params.amount"),
        {"message.order.payments.0.params.amount": "0.149999"},
    ),
    Case(
        "pay",
        "other currency",
        declined("40000", "paid 0.150000 CHF but 0.150000 EUR is due", "message.order.payments.0.params.amount"),
        {"message.order.payments.0.params.currency": "CHF"},
    ),
    Case(
        "pay",
        "not paid",
        bad("a payment must have status PAID", "message.order.payments.0.status"),
        {"message.order.payments.0.status": "NOT-PAID"},
    ),
    Case(
        "pay",
        "unknown order",
        declined("30010", f"no order '{UNKNOWN_ORDER}' of yours here", "message.order.id"),
        {"message.order.id": UNKNOWN_ORDER},
    ),
    Case(
        "pay",
        "no payment",
        bad("message: update_target is 'order.payments' but that is not in the message", "message"),
        {"message.order.payments": GONE},
    ),
]

READINGS = [
    Case(
        "reading",
        "another household's",
        declined("30010", "no supply order 'supply-flat-0.default' of yours here", "message.order.id"),
        {"message.order.id": "supply-flat-0.default"},
    ),
    Case(
        "reading",
        "a future slot",
        declined(
            "40000",
            "a reading of a slot that has not ended",
            "message.order.fulfillments.0",
        ),
        {"message.order.fulfillments.0.stops.0.time.range": time_range(0)},
    ),
    Case(
        "reading",
        "import and export",
        declined("40000", "a slot's reading is import or export, net", "message.order.fulfillments.0.tags"),
        {"message.order.fulfillments.0.tags.0.list.1.value": "0.100"},
    ),
    Case(
        "reading",
        "a negative one",
        bad(f"tag meter.imported_kwh {DECIMAL}'-0.200'", "message.order.fulfillments.0.tags"),
        {"message.order.fulfillments.0.tags.0.list.0.value": "-0.200"},
    ),
    Case(
        "reading",
        "without numbers",
        bad(f"tag meter.imported_kwh {DECIMAL}''", "message.order.fulfillments.0.tags"),
        {"message.order.fulfillments.0.tags": []},
    ),
    Case(
        "reading",
        "without a slot",
        bad("message: update_target is 'order.fulfillments' but that is not in the message", "message"),
        {"message.order.fulfillments": GONE},
    ),
    Case(
        "reading_at_roof",
        "told to a household",
        declined("50000", "only a utility takes meter readings", "message.update_target"),
    ),
]

_STRAY = {"context.transaction_id": str(uuid.UUID(int=3))}
_NO_SEARCH = f"no search with transaction_id '{uuid.UUID(int=3)}' was sent from here"
_AMOUNT = "message.order.payments.0.params.amount"
_DELIVERED = "message.order.fulfillments.0.tags.0.list.0.value"

BUYER = [
    Case("on_search", "nobody asked for", declined("40000", _NO_SEARCH), _STRAY),
    Case(
        "on_search",
        "negative price",
        bad(
            f"message.catalog.providers.0.items.0.price.value: {MONEY}'-0.05'",
            "message.catalog.providers.0.items.0.price.value",
        ),
        {"message.catalog.providers.0.items.0.price.value": "-0.05"},
    ),
    Case("on_select", "nobody asked for", declined("40000", _NO_SEARCH), _STRAY),
    Case(
        "on_init",
        "nobody asked for",
        declined("30010", "no order with you in this transaction", "context.transaction_id"),
        _STRAY,
    ),
    Case(
        "on_confirm",
        "nobody asked for",
        declined("30010", "no order with you in this transaction", "context.transaction_id"),
        _STRAY,
    ),
    Case(
        "on_confirm",
        "altered price",
        declined("40000", "order says 60000 but 50000 was quoted", "message.order.quote.price.value"),
        {"message.order.quote.price.value": "0.060000"},
    ),
    Case(
        "on_confirm",
        "altered payment",
        declined("40000", "payment of 0.060000 but 0.050000 was quoted", _AMOUNT),
        {_AMOUNT: "0.060000"},
    ),
    Case(
        "on_confirm",
        "altered quantity",
        declined("40000", "order says 0.900 kWh but 1.000 kWh was quoted", "message.order.items.0.quantity"),
        ordered("0.900"),
    ),
    Case(
        "on_confirm",
        "another order",
        declined("40000", "order says 'order-2' but 'order-1' was agreed", "message.order.id"),
        {"message.order.id": "order-2"},
    ),
    Case(
        "on_status",
        "nobody asked for",
        declined("30010", "no order 'order-1' with you here", "message.order.id"),
        _STRAY,
    ),
    Case(
        "on_status",
        "unknown order",
        declined("30010", "no order 'order-2' with you here", "message.order.id"),
        {"message.order.id": "order-2"},
    ),
    Case(
        "on_status",
        "more than was contracted",
        declined("40000", "delivery of 1.001 kWh for an order of 1.000 kWh", "message.order.fulfillments.0.tags"),
        {_DELIVERED: "1.001"},
    ),
    Case(
        "on_status",
        "a state that nobody knows",
        declined(
            "40000",
            "a fulfillment in state 'LOST' is not understood here",
            "message.order.fulfillments.0.state",
        ),
        {"message.order.fulfillments.0.state.descriptor.code": "LOST"},
    ),
    Case(
        "on_status",
        "another amount",
        declined("40000", "0.060000 is not what 1.000 kWh of this order cost", _AMOUNT),
        {_AMOUNT: "0.060000"},
    ),
    Case(
        "on_status",
        "the whole amount for a part",
        declined("40000", "0.050000 is not what 0.500 kWh of this order cost", _AMOUNT),
        {_DELIVERED: "0.500"},
    ),
    Case(
        "on_status",
        "a delivery that is no number",
        bad(f"tag delivery.delivered_kwh {DECIMAL}'much'", "message.order.fulfillments.0.tags"),
        {_DELIVERED: "much"},
    ),
    Case(
        "on_status",
        "confirmed, but expired",
        declined("40000", "the order is CONFIRMED here; it cannot be EXPIRED"),
        {"message.order.status": "CANCELLED", "message.order.fulfillments.0.state.descriptor.code": "EXPIRED"},
    ),
    Case(
        "early_on_status", "before the slot has ended", declined("40000", "delivery reported before its slot has ended")
    ),
    Case(
        "too_late_on_cancel", "after delivery", declined("40000", "the order is DELIVERED here; it cannot be CANCELLED")
    ),
    Case(
        "on_update",
        "nobody asked for",
        declined("30010", "no order with you in this transaction", "context.transaction_id"),
        _STRAY,
    ),
    Case(
        "on_update",
        "another order",
        declined("40000", "no receipt for a payment of this order", "message.order"),
        {"message.order.id": "order-2"},
    ),
    Case(
        "on_update",
        "not paid",
        declined("40000", "neither a receipt nor a priced reading of this household's supply", "message.order"),
        {"message.order.payments.0.status": "NOT-PAID"},
    ),
    Case(
        "on_update",
        "a priced reading from no utility",
        declined("40000", "neither a receipt nor a priced reading of this household's supply", "message.order"),
        {"message.order.payments": GONE, "message.order.fulfillments": lambda p, _: [fulfillment(p.slot - SLOT_S)]},
    ),
    Case(
        "on_cancel",
        "unknown order",
        declined("30010", "no order 'order-2' with you here", "message.order.id"),
        {"message.order.id": "order-2"},
    ),
]
