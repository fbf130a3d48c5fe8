from __future__ import annotations

from typing import Any

import pytest

from tests.beckn.codec_support import (
    BUYER_ID,
    CODEC,
    NEXT,
    NOW_MS,
    SELLER_ID,
    SLOT,
    encoded,
    received,
    status_of,
    terms_of,
)
from tests.beckn.support import GONE, changed, refusal
from wattmesh_beckn.client import Acked, Nacked, Undelivered
from wattmesh_beckn.codec.refusals import from_outcome
from wattmesh_beckn.errors import ErrorCode, Refusal
from wattmesh_market.energy.slots import SLOT_S
from wattmesh_market.parties.events import Unanswered
from wattmesh_market.trade.contracts import ContractState
from wattmesh_market.trade.messages import (
    Action,
    Agreed,
    Cancel,
    Confirm,
    Confirmed,
    DeliveryStatus,
    Init,
    Offers,
    Pay,
    PricedReading,
    Quote,
    Receipt,
    ReportReading,
    Search,
    Select,
    Sent,
    Wanted,
)
from wattmesh_market.trade.offers import Offer
from wattmesh_market.trade.refusal import About, Reason, Refused

# --- a party's refusals ---


@pytest.mark.parametrize(
    ("reason", "status", "code"),
    [
        (Reason.UNSOUND, 400, "30000"),
        (Reason.ITEM_NOT_FOUND, 200, "30004"),
        (Reason.ORDER_NOT_FOUND, 200, "30010"),
        (Reason.BUSINESS, 200, "40000"),
        (Reason.QUANTITY_UNAVAILABLE, 200, "40002"),
        (Reason.QUOTE_UNAVAILABLE, 200, "40003"),
        (Reason.POLICY, 200, "50000"),
        (Reason.CANCELLATION_NOT_POSSIBLE, 200, "50001"),
    ],
)
def test_each_reason_has_its_code(reason: Reason, status: int, code: str) -> None:
    assert CODEC.refusal(Refused(reason, "why"), Action.SELECT) == Refusal(status, ErrorCode(code), "why")
    assert from_outcome(Nacked(status, code, "why")) == Unanswered(reason, f"{code} why")


def test_too_many_says_when_to_come_again() -> None:
    told = CODEC.refusal(Refused(Reason.TOO_MANY, "8 quotes are open", wait_s=12.1), Action.SELECT)
    assert (told.status, told.code, told.message) == (429, "50000", "8 quotes are open; come again in 13 s")
    assert told.headers == {"Retry-After": "13"}
    assert told.passing


TERMS_PATHS = {
    About.ITEM: "message.order.items.0.id",
    About.ENERGY: "message.order.items.0.quantity",
    About.SLOT: "message.order.fulfillments.0",
    About.CURRENCY: "message.order.quote.price.currency",
    About.PRICE: "message.order.quote.price.value",
    About.BREAKUP: "message.order.quote.breakup",
    About.PAYMENT_AMOUNT: "message.order.payments.0.params.amount",
    About.ORDER_ID: "message.order.id",
    About.TRANSACTION: "context.transaction_id",
}
TAGS = "message.order.fulfillments.0.tags"
PATHS: dict[Action, dict[About, str]] = {
    Action.SEARCH: {About.SLOT: "message.order.fulfillments.0.stops.0.time.range"},
    Action.SELECT: {
        About.SLOT: "message.order.fulfillments.0.stops.0.time.range",
        About.PROVIDER: "message.order.provider",
        About.ITEM: "message.order.items.0",
    },
    Action.INIT: TERMS_PATHS,
    Action.CONFIRM: TERMS_PATHS,
    Action.STATUS: {About.ORDER_ID: "message.order.id"},
    Action.CANCEL: {About.ORDER_ID: "message.order.id"},
    Action.UPDATE: {
        About.ORDER_ID: "message.order.id",
        About.PAYMENT_STATUS: "message.order.payments.0",
        About.PAYMENT_AMOUNT: "message.order.payments.0.params.amount",
        About.SLOT: "message.order.fulfillments.0",
        About.READING: TAGS,
        About.TARGET: "message.update_target",
    },
    Action.ON_SELECT: {About.QUOTE: "message.order.quote"},
    Action.ON_INIT: TERMS_PATHS,
    Action.ON_CONFIRM: TERMS_PATHS,
    Action.ON_STATUS: {
        About.ORDER_ID: "message.order.id",
        About.SLOT: "message.order.fulfillments.0",
        About.READING: TAGS,
        About.PAYMENT_AMOUNT: "message.order.payments.0.params.amount",
    },
    Action.ON_UPDATE: {
        About.TRANSACTION: "context.transaction_id",
        About.ORDER: "message.order",
        About.PRICE: "message.order.quote.price.value",
        About.GRID_FEE: TAGS,
    },
}


@pytest.mark.parametrize(
    ("action", "about", "path"),
    [(action, about, path) for action, paths in PATHS.items() for about, path in paths.items()],
)
def test_a_refusal_names_the_field_it_is_about(action: Action, about: About, path: str) -> None:
    told = CODEC.refusal(Refused(Reason.BUSINESS, "why", about), action)
    assert (told.status, told.code, told.message, told.paths) == (200, "40000", "why", path)


def test_every_part_of_a_message_has_a_path() -> None:
    for action in Action:
        for about in About:
            assert CODEC.refusal(Refused(Reason.UNSOUND, "why", about), action).paths


# --- synchronous answers ---


def test_what_was_acknowledged_is_not_unanswered() -> None:
    assert from_outcome(Acked({})) is None


def test_without_an_answer_there_is_no_reason() -> None:
    assert from_outcome(Undelivered("HTTP 503 (after 3 tries)")) == Unanswered(None, "HTTP 503 (after 3 tries)")


@pytest.mark.parametrize("code", ["", "99999"])
def test_a_code_that_beckn_does_not_have_is_a_refusal_all_the_same(code: str) -> None:
    assert from_outcome(Nacked(502, code, "no")) == Unanswered(Reason.BUSINESS, f"{code} no".strip())


# --- what is wrong between the fields of a message ---

TERMS, TWO = terms_of(SLOT), terms_of(SLOT, NEXT)
QUOTE, TWO_QUOTED = Quote(TERMS, NOW_MS + 1000), Quote(TWO, NOW_MS + 1000)
DELIVERED = status_of(DeliveryStatus(SLOT, ContractState.DELIVERED, 1100, 206_250))
PAY, RECEIPT = Pay("order-1", SLOT, 206_250, "EUR"), Receipt("order-1", SLOT, 206_250, "EUR")
READING = ReportReading(f"supply-{BUYER_ID}", SLOT, 200, 0, 500)
PRICED = PricedReading(READING.order_id, READING, 60_000, 14_000, 15_000, "EUR")
OFFERS = Offers(((SLOT, Offer(SELLER_ID, f"energy-{SLOT}", 187_500, 1250)),))
START = "stops.0.time.range.start"
FULFILLMENT = "message.order.fulfillments.0"
BREAKUP = "message.order.quote.breakup"
FOREIGN = "the breakup is not in EUR throughout, as the price is"
DECIMAL = 'must be a decimal string of kWh ≥ 0 with at most 3 decimals, for example "1.250", not '
MONEY = 'must be a decimal string ≥ 0 with at most 6 decimals, for example "0.25", not '
NO_SLOT = (
    "2026-05-28T20:50:00+00:00 to 2026-05-28T21:00:00+00:00 is no delivery slot; "
    "slots last 15 minutes and start on the quarter hour"
)
NEITHER = "neither a receipt nor a priced reading of this household's supply"
NO_ROW = NO_SLOT.replace("no delivery slot", "no row of delivery slots")
PARTLESS = "in an order of several deliveries each part of the price must name an item of the order"

CASES: list[tuple[Sent, str, Any, int, str, str, str | None]] = [
    # The slot.
    (Search(SLOT, 5200), f"message.intent.fulfillment.{START}", "2026-05-28T20:50:00Z", 400, "30000",
     f"message.intent: {NO_ROW}", "message.intent"),
    (Search(SLOT, 5200), "message.intent.fulfillment.stops", [], 400, "30000",
     "message.intent: fulfillment.stops must say when the energy is wanted, from start to end", "message.intent"),
    *[
        (message, f"{FULFILLMENT}.{START}", "2026-05-28T20:50:00Z", 400, "30000", NO_SLOT,
         f"{FULFILLMENT}.stops.0.time.range")
        for message in (
            Select(SELLER_ID, (Wanted(SLOT, "energy", 1250),)), QUOTE, Init(TERMS), DELIVERED, READING, PRICED,
        )
    ],
    (OFFERS, f"message.catalog.providers.0.fulfillments.0.{START}", "2026-05-28T20:50:00Z", 400, "30000", NO_ROW,
     "message.catalog.providers.0.fulfillments.0.stops.0.time.range"),
    # Search.
    *[
        (Search(SLOT, 5200, SLOT + 4 * SLOT_S), "message.intent.fulfillment.tags.0.list.0.value", until, 400, "30000",
         "tag delivery.until must be the start of a later delivery slot, with its offset from UTC",
         "message.intent.fulfillment.tags")
        for until in ("later", "2026-05-28T21:45:00", "2026-05-28T21:50:00Z", "2026-05-28T20:45:00Z")
    ],
    (Search(SLOT, 5200), "message.intent.item.descriptor.code", "water", 200, "30004", "only 'energy' is sold here",
     "message.intent.item.descriptor"),
    # The parts of a price.
    (QUOTE, f"{BREAKUP}.1.price.currency", "CHF", 200, "40003", FOREIGN, "message.order.quote"),
    (Init(TERMS), f"{BREAKUP}.1.price.currency", "CHF", 200, "40003", FOREIGN, BREAKUP),
    (Agreed("order-1", TERMS, 234_375, NOW_MS), f"{BREAKUP}.1.price.currency", "CHF", 200, "40003", FOREIGN, BREAKUP),
    (Confirm("order-1", TERMS, 234_375), f"{BREAKUP}.1.price.currency", "CHF", 200, "40003", FOREIGN, BREAKUP),
    (Confirmed("order-1", TERMS, 234_375), f"{BREAKUP}.1.price.currency", "CHF", 200, "40000", FOREIGN, BREAKUP),
    (PRICED, f"{BREAKUP}.1.price.currency", "CHF", 200, "40000", FOREIGN, BREAKUP),
    (PRICED, f"{BREAKUP}.1.price.value", "0.014001", 200, "40000",
     "the breakup sums to 0.060001 but the price is 0.060000", BREAKUP),
    # Only a bill may be negative, and not by a sign alone.
    *[
        (message, path, price, 400, "30000", f"{path}: {MONEY}'{price}'", path)
        for message, path, price in (
            (OFFERS, "message.catalog.providers.0.items.0.price.value", "-0.1"),
            (Quote(TERMS, NOW_MS + 30_000), "message.order.quote.price.value", "-0.1"),
            (PAY, "message.order.payments.0.params.amount", "-0.1"),
            (PRICED, "message.order.quote.price.value", "--0.1"),
        )
    ],
    # Tags.
    (DELIVERED, f"{FULFILLMENT}.tags.0.list.0.value", "much", 400, "30000",
     f"tag delivery.delivered_kwh {DECIMAL}'much'", f"{FULFILLMENT}.tags"),
    (READING, f"{FULFILLMENT}.tags.0.list.0.value", "-0.200", 400, "30000",
     f"tag meter.imported_kwh {DECIMAL}'-0.200'", f"{FULFILLMENT}.tags"),
    (READING, f"{FULFILLMENT}.tags", [], 400, "30000", f"tag meter.imported_kwh {DECIMAL}''", f"{FULFILLMENT}.tags"),
    (PRICED, f"{FULFILLMENT}.tags.0.list.2.value", "x", 400, "30000", f"tag meter.delivered_kwh {DECIMAL}'x'",
     f"{FULFILLMENT}.tags"),
    (PRICED, f"{FULFILLMENT}.tags.1.list.0.value", "x", 400, "30000", f"tag grid_fee.amount {MONEY}'x'",
     f"{FULFILLMENT}.tags"),
    # Payments and readings.
    (PAY, "message.order.payments.0.status", "NOT-PAID", 400, "30000", "a payment must have status PAID",
     "message.order.payments.0.status"),
    (RECEIPT, "message.order.payments.0.status", "NOT-PAID", 200, "40000", NEITHER,
     "message.order"),
    (RECEIPT, "message.order.payments", GONE, 200, "40000", NEITHER,
     "message.order"),
    (PAY, "message.order.payments.0.params", GONE, 400, "30000", "a payment must say its amount and currency",
     "message.order.payments.0.params"),
    # How an order stands.
    (DELIVERED, f"{FULFILLMENT}.state.descriptor.code", "UNDERWAY", 200, "40000",
     "a fulfillment in state 'UNDERWAY' is not understood here", f"{FULFILLMENT}.state"),
    (DELIVERED, "message.order.status", "DONE", 200, "40000", "an order with status 'DONE' is not understood here",
     "message.order.status"),
    (DELIVERED, "message.order", {"id": "order-1", "status": "COMPLETE"}, 200, "30010",
     "no order 'order-1' with you here", "message.order.id"),
    # What is not said and not known.
    (Init(TERMS), "message.order.quote", GONE, 400, "30000", "the price of the order is missing, and none was quoted",
     "message.order.quote"),
    (Init(TERMS), "message.order.items", GONE, 400, "30000", "an order must name its items", "message.order.items"),
    (Init(TERMS), "message.order.provider", GONE, 400, "30000", "whose order it is is missing",
     "message.order.provider"),
    (Init(TERMS), "message.order.items.0.quantity", GONE, 400, "30000",
     f"how much of 'energy-{SLOT}' is ordered is missing", "message.order.items.0.quantity"),
    (Select(SELLER_ID, (Wanted(SLOT, "sun", 1250),)), "message.order.fulfillments", GONE, 400, "30000",
     "the delivery slot of 'sun' is missing", "message.order.fulfillments"),
    (Confirmed("order-1", TERMS, 234_375), "message.order.id", GONE, 400, "30000",
     "a confirmed order must have an id", "message.order.id"),
    (PRICED, "message.order.quote", GONE, 200, "40000", NEITHER,
     "message.order"),
    # Several deliveries in one order.
    (TWO_QUOTED, "message.order.items.1.id", f"energy-{SLOT}", 400, "30000",
     f"item 'energy-{SLOT}' stands twice in the order", "message.order.items.1.id"),
    (TWO_QUOTED, "message.order.items.1.fulfillment_ids", [f"slot-{SLOT}"], 400, "30000",
     "in an order of several deliveries each item must name a slot of its own", "message.order.fulfillments"),
    (TWO_QUOTED, "message.order.items.1.fulfillment_ids", [f"slot-{SLOT}", f"slot-{NEXT}"], 400, "30000",
     "an item of an order must name one fulfillment", "message.order.items.1.fulfillment_ids"),
    (TWO_QUOTED, f"message.order.fulfillments.1.{START}", "2026-05-28T20:50:00Z", 400, "30000",
     NO_SLOT.replace("T21:00", "T21:15"), "message.order.fulfillments.1.stops.0.time.range"),
    (TWO_QUOTED, f"{BREAKUP}.1.item", GONE, 400, "30000", PARTLESS, f"{BREAKUP}.1.item"),
    (TWO_QUOTED, f"{BREAKUP}.1.item.id", "energy-1", 400, "30000", PARTLESS, f"{BREAKUP}.1.item"),
    (TWO_QUOTED, BREAKUP, GONE, 400, "30000", f"the price of 'energy-{SLOT}' is missing in the breakup", BREAKUP),
    (Cancel("order-1", "changed-mind", (NEXT,)), "message.descriptor.short_desc", GONE, 400, "30000",
     "must list the fulfillments that are cancelled, separated by commas", "message.descriptor.short_desc"),
    (Cancel("order-1", "changed-mind", (NEXT,)), "message.descriptor.short_desc", f"slot-{NEXT},tomorrow", 400, "30000",
     "must list the fulfillments that are cancelled, separated by commas", "message.descriptor.short_desc"),
]  # fmt: skip


def test_readings_of_the_same_slot_are_refused() -> None:
    raw = encoded(READING)
    raw["message"]["order"]["fulfillments"] *= 2
    with pytest.raises(Refusal) as info:
        CODEC.decode(received(raw))
    text = "the readings must be of different slots"
    assert refusal(info) == (400, "30000", text, "message.order.fulfillments")


@pytest.mark.parametrize(("message", "field", "value", "status", "code", "text", "path"), CASES)
def test_what_does_not_fit_is_refused(
    message: Sent, field: str, value: Any, status: int, code: str, text: str, path: str | None
) -> None:
    raw = changed(encoded(message), field, value)
    with pytest.raises(Refusal) as info:
        CODEC.decode(received(raw))
    assert refusal(info) == (status, code, text, path)
