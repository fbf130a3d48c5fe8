from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.beckn.codec_support import (
    ANY,
    BUYER_ID,
    CODEC,
    NEXT,
    NOW_MS,
    SELLER_ID,
    SLOT,
    encoded,
    envelope,
    received,
    status_of,
    terms_of,
)
from tests.beckn.support import GONE, MESSAGE, TRANSACTION, Json, changed
from tests.world.parties import FEEDER
from tests.world.subscribers import DOMAIN
from wattmesh_beckn.context import Context
from wattmesh_beckn.messages import BODIES, MOST_DELIVERIES, write_call
from wattmesh_beckn.receiver import MAX_BODY_BYTES
from wattmesh_market.energy.slots import SLOT_S
from wattmesh_market.trade.contracts import ContractState
from wattmesh_market.trade.messages import (
    ACTION_OF,
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
    SharedPart,
    Status,
    Terms,
    Wanted,
)
from wattmesh_market.trade.offers import Offer


@pytest.mark.parametrize("kind", ANY, ids=lambda kind: kind.__name__)
@settings(max_examples=40)
@given(data=st.data())
def test_what_is_written_is_read_as_the_same(kind: type[Sent], data: st.DataObject) -> None:
    message = data.draw(ANY[kind])
    assert CODEC.decode(received(CODEC.encode(message, envelope(message)))) == message


@pytest.mark.parametrize("kind", ANY, ids=lambda kind: kind.__name__)
@settings(max_examples=20)
@given(data=st.data())
def test_the_bytes_are_those_of_the_message_models(kind: type[Sent], data: st.DataObject) -> None:
    message = data.draw(ANY[kind])
    body = CODEC.encode(message, envelope(message))
    call = received(body)
    assert call.action == ACTION_OF[kind]
    assert isinstance(call.context, Context)
    assert write_call(call.context, call.message) == body  # refuses unknown fields


def test_there_is_an_example_of_every_kind() -> None:
    said = set(ACTION_OF) - {Publish}  # which v1 does not have
    assert set(ANY) == said
    assert {type(message) for message, _ in ONE} == said
    assert {ACTION_OF[kind].value for kind in said} == set(BODIES) == set(Action) - {Action.PUBLISH, Action.ON_PUBLISH}


# --- one delivery ---


def fulfillment(slot: int, **more: Any) -> Json:
    start, end = {SLOT: ("20:45", "21:00"), NEXT: ("21:00", "21:15")}[slot]
    time_range = {"start": f"2026-05-28T{start}:00.000Z", "end": f"2026-05-28T{end}:00.000Z"}
    stop = {"type": "start", "time": {"range": time_range}}
    return {"id": f"slot-{slot}", "type": "energy", "stops": [stop], "tags": [], **more}


def selected(kwh: str) -> Json:
    return {"selected": {"measure": {"value": kwh, "unit": "kWh"}}}


def eur(value: str) -> Json:
    return {"currency": "EUR", "value": value}


def tags(group: str, **values: str) -> Json:
    listed = [{"descriptor": {"code": code}, "value": value} for code, value in values.items()]
    return {"descriptor": {"code": group}, "list": listed}


def payment(amount: str, status: str = "NOT-PAID", **named: str) -> Json:
    params = {"amount": amount, "currency": "EUR"}
    return {**named, "type": "POST-FULFILLMENT", "collected_by": "BPP", "status": status, "params": params}


ITEM = {"id": f"energy-{SLOT}", "quantity": selected("1.250")}
SELECTED = {"provider": {"id": SELLER_ID}, "items": [ITEM], "fulfillments": [fulfillment(SLOT)]}
QUOTED = {
    **SELECTED,
    "quote": {
        "price": eur("0.234375"),
        "breakup": [
            {"title": "energy", "price": eur("0.204376"), "item": ITEM},
            {"title": "grid fee", "price": eur("0.029999")},
        ],
        "ttl": "PT28.4S",
    },
}
BILLED = {**QUOTED, "billing": {"name": BUYER_ID}}
AGREED = {**BILLED, "id": "order-1", "payments": [payment("0.234375")]}
DELIVERED: Json = {
    **AGREED,
    "fulfillments": [
        fulfillment(SLOT, state={"descriptor": {"code": "DELIVERED"}}, tags=[tags("delivery", delivered_kwh="1.100")])
    ],
    "payments": [payment("0.206250")],
    "status": "COMPLETE",
}
WITHDRAWN: Json = {
    **AGREED,
    "fulfillments": [fulfillment(SLOT, state={"descriptor": {"code": "CANCELLED"}})],
    "status": "CANCELLED",
    "cancellation": {
        "cancelled_by": "CONSUMER",
        "reason": {"descriptor": {"code": "CANCELLED", "name": "cancelled by the buyer: changed-mind"}},
    },
}
TERMS, UNTIL_MS = terms_of(SLOT), NOW_MS + 28_400
READ = ReportReading(f"supply-{BUYER_ID}", SLOT, 200, 0, 500)
PRICED = PricedReading(f"supply-{BUYER_ID}", READ, 60_000, 14_000, 15_000, "EUR")
PRICED_READ = fulfillment(
    SLOT,
    tags=[
        tags("meter", imported_kwh="0.200", exported_kwh="0.000", delivered_kwh="0.500"),
        tags("grid_fee", amount="0.015000"),
    ],
)
"""READ, as it is told with PRICED."""

ONE: list[tuple[Sent, Json]] = [
    (
        Search(SLOT, 5200, SLOT + 4 * SLOT_S),
        {
            "intent": {
                "item": {"descriptor": {"code": "energy"}, "quantity": selected("5.200")},
                "fulfillment": fulfillment(SLOT, tags=[tags("delivery", until="2026-05-28T21:45:00.000Z")]),
            }
        },
    ),
    (
        Search(SLOT, 5200),
        {
            "intent": {
                "item": {"descriptor": {"code": "energy"}, "quantity": selected("5.200")},
                "fulfillment": fulfillment(SLOT),
            }
        },
    ),
    (
        Offers(((SLOT, Offer(SELLER_ID, f"energy-{SLOT}", 187_500, 1250)),)),
        {
            "catalog": {
                "descriptor": {"name": "seller"},
                "providers": [
                    {
                        "id": SELLER_ID,
                        "descriptor": {"name": "seller"},
                        "items": [
                            {
                                "id": f"energy-{SLOT}",
                                "descriptor": {"code": "energy", "name": "energy 22:45-23:00"},
                                "price": eur("0.187500"),
                                "quantity": {"available": {"measure": {"value": "1.250", "unit": "kWh"}}},
                                "fulfillment_ids": [f"slot-{SLOT}"],
                            }
                        ],
                        "fulfillments": [fulfillment(SLOT)],
                    }
                ],
            }
        },
    ),
    (Select(SELLER_ID, (Wanted(SLOT, f"energy-{SLOT}", 1250),)), {"order": SELECTED}),
    (Quote(TERMS, UNTIL_MS), {"order": QUOTED}),
    (Init(TERMS), {"order": BILLED}),
    (Agreed("order-1", TERMS, 234_375, UNTIL_MS), {"order": AGREED}),
    (Confirm("order-1", TERMS, 234_375), {"order": AGREED}),
    (Confirmed("order-1", TERMS, 234_375), {"order": {**AGREED, "status": "ACTIVE"}}),
    (AskStatus("order-1"), {"order_id": "order-1"}),
    (status_of(DeliveryStatus(SLOT, ContractState.DELIVERED, 1100, 206_250)), {"order": DELIVERED}),
    (Cancel("order-1", "changed-mind"), {"order_id": "order-1", "cancellation_reason_id": "changed-mind"}),
    (
        Cancelled(
            status_of(
                DeliveryStatus(SLOT, ContractState.CANCELLED, None, None),
                reason="cancelled by the buyer: changed-mind",
            )
        ),
        {"order": WITHDRAWN},
    ),
    (
        Pay("order-1", SLOT, 206_250, "EUR"),
        {
            "update_target": "order.payments",
            "order": {"id": "order-1", "payments": [payment("0.206250", "PAID", id=f"slot-{SLOT}")]},
        },
    ),
    (
        Receipt("order-1", None, 206_250, "EUR"),
        {"order": {"id": "order-1", "payments": [payment("0.206250", "PAID")], "status": "COMPLETE"}},
    ),
    (
        READ,
        {
            "update_target": "order.fulfillments",
            "order": {
                "id": f"supply-{BUYER_ID}",
                "fulfillments": [
                    fulfillment(
                        SLOT, tags=[tags("meter", imported_kwh="0.200", exported_kwh="0.000", delivered_kwh="0.500")]
                    )
                ],
            },
        },
    ),
    (
        Readings((READ._replace(imported_wh=0, sold_wh=0), READ._replace(slot=NEXT))),
        {
            "update_target": "order.fulfillments",
            "order": {
                "id": f"supply-{BUYER_ID}",
                "fulfillments": [
                    fulfillment(SLOT, tags=[tags("meter", imported_kwh="0.000", exported_kwh="0.000")]),
                    fulfillment(
                        NEXT, tags=[tags("meter", imported_kwh="0.200", exported_kwh="0.000", delivered_kwh="0.500")]
                    ),
                ],
            },
        },
    ),
    (
        HeldReading(READ),
        {
            "order": {
                "id": f"supply-{BUYER_ID}",
                "fulfillments": [
                    fulfillment(
                        SLOT,
                        tags=[
                            tags(
                                "meter",
                                imported_kwh="0.200",
                                exported_kwh="0.000",
                                delivered_kwh="0.500",
                                status="held",
                            ),
                        ],
                    )
                ],
                "status": "ACTIVE",
            }
        },
    ),
    (
        Bills(
            (
                PRICED,
                PricedReading(f"supply-{BUYER_ID}", READ._replace(slot=NEXT, sold_wh=0), 46_000, 0, None, "EUR"),
            )
        ),
        {
            "order": {
                "id": f"supply-{BUYER_ID}",
                "fulfillments": [
                    PRICED_READ,
                    fulfillment(
                        NEXT, tags=[tags("meter", imported_kwh="0.200", exported_kwh="0.000", delivered_kwh="0.000")]
                    ),
                ],
                "status": "ACTIVE",
                "quote": {
                    "price": eur("0.106000"),
                    "breakup": [
                        {"title": "energy", "price": eur("0.046000"), "item": {"id": f"energy-{SLOT}"}},
                        {"title": "grid fee", "price": eur("0.014000"), "item": {"id": f"energy-{SLOT}"}},
                        {"title": "energy", "price": eur("0.046000"), "item": {"id": f"energy-{NEXT}"}},
                    ],
                    "ttl": "PT30S",
                },
            }
        },
    ),
    (
        PRICED,
        {
            "order": {
                "id": f"supply-{BUYER_ID}",
                "fulfillments": [PRICED_READ],
                "status": "ACTIVE",
                "quote": {
                    "price": eur("0.060000"),
                    "breakup": [
                        {"title": "energy", "price": eur("0.046000")},
                        {"title": "grid fee", "price": eur("0.014000")},
                    ],
                    "ttl": "PT30S",
                },
            }
        },
    ),
]


@pytest.mark.parametrize(("message", "body"), ONE, ids=[type(message).__name__ for message, _ in ONE])
def test_one_delivery_is_said_as_beckn_does(message: Sent, body: Json) -> None:
    assert encoded(message)["message"] == body
    assert CODEC.decode(received(encoded(message))) == message


def test_the_context_is_made_of_the_envelope() -> None:
    context = {
        "domain": DOMAIN,
        "location": {"city": {"code": FEEDER}, "country": {"code": "DEU"}},
        "action": "on_select",
        "version": "1.1.0",
        "bap_id": BUYER_ID,
        "bap_uri": f"http://{BUYER_ID}/beckn",
        "bpp_id": SELLER_ID,
        "bpp_uri": f"http://{SELLER_ID}/beckn",
        "transaction_id": TRANSACTION,
        "message_id": MESSAGE,
        "timestamp": "2026-05-28T20:26:40.123Z",
        "ttl": "PT12.5S",
    }
    assert encoded(Quote(TERMS, UNTIL_MS))["context"] == context
    search = encoded(Search(SLOT, 5200))["context"]
    assert search == {**{k: v for k, v in context.items() if not k.startswith("bpp")}, "action": "search"}


def test_without_a_grid_fee_there_is_no_line_for_it() -> None:
    line = TERMS.lines[0]._replace(fee_micro=0)
    quote = encoded(Quote(TERMS._replace(lines=(line,)), UNTIL_MS))["message"]["order"]["quote"]
    assert [part["title"] for part in quote["breakup"]] == ["energy"]


def test_a_quote_that_is_over_still_has_a_millisecond() -> None:
    for late in (Quote(TERMS, NOW_MS), Quote(TERMS, NOW_MS - 5000)):
        assert encoded(late)["message"]["order"]["quote"]["ttl"] == "PT0.001S"


@given(st.integers(0, 10**11), st.integers(1, 86_400_000))
def test_the_end_of_a_quote_is_exact_to_the_millisecond(later_ms: int, left_ms: int) -> None:
    quote = Quote(TERMS, NOW_MS + later_ms + left_ms)
    around = envelope(quote)._replace(now_ms=NOW_MS + later_ms)
    assert CODEC.decode(received(CODEC.encode(quote, around))) == quote


# --- what others write otherwise ---


def test_a_price_without_breakup_has_no_fee_stated() -> None:
    raw = changed(encoded(Quote(TERMS, UNTIL_MS)), "message.order.quote.breakup", GONE)
    line = Line(SLOT, f"energy-{SLOT}", 1250, 234_375, None)
    assert CODEC.decode(received(raw)) == Quote(TERMS._replace(lines=(line,)), UNTIL_MS)


def test_a_breakup_that_is_not_the_price_is_read_as_it_stands() -> None:
    raw = changed(encoded(Init(TERMS)), "message.order.quote.price.value", "0.200000")
    message = CODEC.decode(received(raw))
    assert isinstance(message, Init)
    assert (message.terms.total_micro, message.terms.lines) == (200_000, TERMS.lines)


def test_ids_of_one_delivery_mean_nothing() -> None:
    raw = encoded(status_of(DeliveryStatus(SLOT, ContractState.DELIVERED, 1100, 206_250)))
    other = changed(changed(raw, "message.order.fulfillments.0.id", "f-1"), "message.order.payments.0.id", "p-1")
    assert CODEC.decode(received(other)) == CODEC.decode(received(raw))


@pytest.mark.parametrize("state", [ContractState.CONFIRMED, ContractState.CANCELLED])
def test_nothing_is_delivered_before_delivery(state: ContractState) -> None:
    raw = encoded(status_of(DeliveryStatus(SLOT, state, 1100, 206_250)))
    assert CODEC.decode(received(raw)) == status_of(DeliveryStatus(SLOT, state, None, None))


@pytest.mark.parametrize(
    ("path", "value"),
    [("price.currency", "CHF"), ("descriptor.code", "water"), ("fulfillment_ids.0", "slot-1")],
)
def test_offers_that_are_not_for_this_market_are_left_out(path: str, value: str) -> None:
    raw = encoded(Offers(tuple((slot, Offer(SELLER_ID, f"energy-{slot}", 187_500, 1250)) for slot in (SLOT, NEXT))))
    message = CODEC.decode(received(changed(raw, f"message.catalog.providers.0.items.0.{path}", value)))
    assert message == Offers(((NEXT, Offer(SELLER_ID, f"energy-{NEXT}", 187_500, 1250)),))


def test_an_item_may_be_on_offer_in_several_slots() -> None:
    raw = encoded(Offers(tuple((slot, Offer(SELLER_ID, f"energy-{slot}", 187_500, 1250)) for slot in (SLOT, NEXT))))
    both = [f"slot-{SLOT}", f"slot-{NEXT}"]
    message = CODEC.decode(received(changed(raw, "message.catalog.providers.0.items.1.fulfillment_ids", both)))
    assert isinstance(message, Offers)
    assert [(slot, offer.item_id) for slot, offer in message.offers] == [
        (SLOT, f"energy-{SLOT}"),
        (SLOT, f"energy-{NEXT}"),
        (NEXT, f"energy-{NEXT}"),
    ]


@pytest.mark.parametrize("descriptor", [{"name": "I will not be at home"}, {"code": "other", "short_desc": "slot-1"}])
def test_a_cancellation_that_names_no_deliveries_is_of_the_whole_order(descriptor: Json) -> None:
    raw = changed(encoded(Cancel("order-1", "changed-mind")), "message.descriptor", descriptor)
    assert CODEC.decode(received(raw)) == Cancel("order-1", "changed-mind")


def test_a_payment_with_another_id_names_no_slot() -> None:
    raw = encoded(Pay("order-1", SLOT, 206_250, "EUR"))
    for value in ("payment-7", GONE):
        message = CODEC.decode(received(changed(raw, "message.order.payments.0.id", value)))
        assert message == Pay("order-1", None, 206_250, "EUR")


def test_a_reading_need_not_say_that_nothing_was_sold() -> None:
    reading = ReportReading("supply", SLOT, 200, 0, 0)
    raw = encoded(reading)
    codes = [tag["descriptor"]["code"] for tag in raw["message"]["order"]["fulfillments"][0]["tags"][0]["list"]]
    assert codes == ["imported_kwh", "exported_kwh"]
    assert CODEC.decode(received(raw)) == reading


def test_a_reading_says_when_something_is_in_doubt() -> None:
    raw = encoded(ReportReading("supply", SLOT, 200, 0, 0, provisional=True))
    [meter] = raw["message"]["order"]["fulfillments"][0]["tags"]
    assert meter == tags("meter", imported_kwh="0.200", exported_kwh="0.000", status="provisional")


def test_a_reading_that_is_held_or_estimated_says_so_and_what_is_held_has_no_price() -> None:
    reading = ReportReading("supply", SLOT, 60_000, 0, 0)
    order = encoded(HeldReading(reading))["message"]["order"]
    [group] = order["fulfillments"][0]["tags"]
    assert [(tag["descriptor"]["code"], tag["value"]) for tag in group["list"]] == [
        ("imported_kwh", "60.000"),
        ("exported_kwh", "0.000"),
        ("delivered_kwh", "0.000"),
        ("status", "held"),
    ]
    assert "quote" not in order
    estimated = PricedReading("supply", reading._replace(imported_wh=300), 75_000, 0, None, "EUR", by=Basis.ESTIMATE)
    [group] = encoded(estimated)["message"]["order"]["fulfillments"][0]["tags"]
    assert (group["list"][0]["value"], group["list"][-1]["value"]) == ("0.300", "estimated")
    assert CODEC.decode(received(encoded(estimated))) == estimated


def test_a_priced_reading_says_what_was_shared_and_what_was_corrected() -> None:
    # 500 Wh were billed in doubt, 300 of them shared at 0.175, of which 0.02 are the local grid fee; 200 are paid back.
    priced = PricedReading(
        "supply", ReportReading("supply", SLOT, 300, 0, 0), 112_500, 14_000, None, "EUR",
        SharedPart(300, 52_500, 6_000), (Correction(500, 0, 45_000),),
    )  # fmt: skip
    order = encoded(priced)["message"]["order"]
    assert order["fulfillments"][0]["tags"][1:] == [
        tags("sharing", shared_kwh="0.300"),
        tags(
            "correction", billed_imported_kwh="0.500", billed_exported_kwh="0.000", refund="0.045000", charge="0.000000"
        ),
    ]
    assert {part["title"]: part["price"]["value"] for part in order["quote"]["breakup"]} == {
        "energy": "0.046000",
        "grid fee": "0.014000",
        "shared energy": "0.046500",
        "local grid fee": "0.006000",
    }
    assert CODEC.decode(received(encoded(priced))) == priced


def test_a_bill_may_be_below_zero_and_its_energy_below_its_fee() -> None:
    # 200 Wh at -0.10 and a fee of 0.07: the household gets 0.006.
    priced = PricedReading("supply", ReportReading("supply", SLOT, 200, 0, 0), -6_000, 14_000, None, "EUR")
    quote = encoded(priced)["message"]["order"]["quote"]
    assert quote["price"] == {"currency": "EUR", "value": "-0.006000"}
    assert [(part["title"], part["price"]["value"]) for part in quote["breakup"]] == [
        ("energy", "-0.020000"),
        ("grid fee", "0.014000"),
    ]
    assert CODEC.decode(received(encoded(priced))) == priced


def test_a_priced_reading_without_tags_states_no_fee() -> None:
    raw = changed(
        encoded(PricedReading("supply", READ, 60_000, 0, 15_000, "EUR")), "message.order.fulfillments.0.tags", []
    )
    nothing = ReportReading(f"supply-{BUYER_ID}", SLOT, 0, 0, 0)
    assert CODEC.decode(received(changed(raw, "message.order.id", nothing.order_id))) == PricedReading(
        nothing.order_id, nothing, 60_000, 0, None, "EUR"
    )


# --- two deliveries ---


def item_of(slot: int, **more: Any) -> Json:
    return {"id": f"energy-{slot}", "quantity": selected("1.250"), **more}


TWO = terms_of(SLOT, NEXT)
TWO_SELECTED = {
    "provider": {"id": SELLER_ID},
    "items": [item_of(slot, fulfillment_ids=[f"slot-{slot}"]) for slot in (SLOT, NEXT)],
    "fulfillments": [fulfillment(SLOT), fulfillment(NEXT)],
}
TWO_QUOTED = {
    **TWO_SELECTED,
    "quote": {
        "price": eur("0.468750"),
        "breakup": [
            {"title": "energy", "price": eur("0.204376"), "item": item_of(SLOT)},
            {"title": "grid fee", "price": eur("0.029999"), "item": item_of(SLOT)},
            {"title": "energy", "price": eur("0.204376"), "item": item_of(NEXT)},
            {"title": "grid fee", "price": eur("0.029999"), "item": item_of(NEXT)},
        ],
        "ttl": "PT28.4S",
    },
}
TWO_AGREED = {
    **TWO_QUOTED,
    "billing": {"name": BUYER_ID},
    "id": "order-1",
    "payments": [payment("0.234375", id=f"slot-{SLOT}"), payment("0.234375", id=f"slot-{NEXT}")],
}


def test_a_quote_of_two_deliveries_names_item_and_fulfillment_of_each() -> None:
    assert encoded(Quote(TWO, UNTIL_MS))["message"] == {"order": TWO_QUOTED}


def test_each_of_two_deliveries_is_to_be_paid_by_itself() -> None:
    assert encoded(Confirm("order-1", TWO, 468_750))["message"] == {"order": TWO_AGREED}


def test_of_two_deliveries_each_has_a_state_of_its_own() -> None:
    status = status_of(
        DeliveryStatus(SLOT, ContractState.SETTLED, 1100, 206_250),
        DeliveryStatus(NEXT, ContractState.CONFIRMED, None, None),
    )
    assert encoded(status)["message"]["order"] == {
        **TWO_AGREED,
        "fulfillments": [
            fulfillment(
                SLOT, state={"descriptor": {"code": "SETTLED"}}, tags=[tags("delivery", delivered_kwh="1.100")]
            ),
            fulfillment(NEXT, state={"descriptor": {"code": "CONFIRMED"}}),
        ],
        "payments": [payment("0.206250", "PAID", id=f"slot-{SLOT}"), payment("0.234375", id=f"slot-{NEXT}")],
        "status": "ACTIVE",
    }


def test_one_of_two_deliveries_is_paid_under_its_id() -> None:
    pay, receipt = Pay("order-1", NEXT, 234_375, "EUR"), Receipt("order-1", NEXT, 234_375, "EUR")
    for message in (pay, receipt):
        paid = payment("0.234375", "PAID", id=f"slot-{NEXT}")
        assert encoded(message)["message"]["order"]["payments"] == [paid]


def test_one_of_two_deliveries_is_cancelled_by_its_id() -> None:
    assert encoded(Cancel("order-1", "changed-mind", (NEXT,)))["message"] == {
        "order_id": "order-1",
        "cancellation_reason_id": "changed-mind",
        "descriptor": {"code": "fulfillment", "short_desc": f"slot-{NEXT}"},
    }
    status = status_of(
        DeliveryStatus(SLOT, ContractState.CONFIRMED, None, None),
        DeliveryStatus(NEXT, ContractState.CANCELLED, None, None),
        reason="cancelled by the buyer: changed-mind",
    )
    order = encoded(Cancelled(status))["message"]["order"]
    assert [one["state"]["descriptor"]["code"] for one in order["fulfillments"]] == ["CONFIRMED", "CANCELLED"]
    assert order["status"] == "ACTIVE"
    assert order["cancellation"]["reason"]["descriptor"]["code"] == "CANCELLED"


@pytest.mark.parametrize(
    ("states", "status"),
    [
        ((ContractState.SETTLED, ContractState.DELIVERED), "COMPLETE"),
        ((ContractState.SETTLED, ContractState.CONFIRMED), "ACTIVE"),
        ((ContractState.CANCELLED, ContractState.SETTLED), "COMPLETE"),
        ((ContractState.CANCELLED, ContractState.CONFIRMED), "ACTIVE"),
        ((ContractState.CANCELLED, ContractState.EXPIRED), "CANCELLED"),
    ],
)
def test_an_order_is_as_far_as_its_least_advanced_delivery(
    states: tuple[ContractState, ContractState], status: str
) -> None:
    first, second = (DeliveryStatus(slot, state, None, None) for slot, state in zip((SLOT, NEXT), states, strict=True))
    assert encoded(status_of(first, second))["message"]["order"]["status"] == status


def test_fulfillments_and_payments_may_stand_in_any_order() -> None:
    status = status_of(
        DeliveryStatus(SLOT, ContractState.DELIVERED, 1100, 206_250),
        DeliveryStatus(NEXT, ContractState.DELIVERED, 0, 0),
    )
    raw = encoded(status)
    order = raw["message"]["order"]
    for part in ("fulfillments", "payments"):
        order[part].reverse()
    order["quote"]["breakup"].reverse()
    assert CODEC.decode(received(raw)) == status


def test_the_longest_order_fits_into_a_body() -> None:
    slots = [SLOT + 900 * number for number in range(MOST_DELIVERIES)]
    longest: Terms = terms_of(*slots)
    deliveries = [DeliveryStatus(slot, ContractState.DELIVERED, 1250, 234_375) for slot in slots]
    status = Status("order-1", longest, tuple(deliveries), "x" * 200)
    for message in (status, Cancel("order-1", "changed-mind", tuple(slots))):
        body = CODEC.encode(message, envelope(message))
        assert len(body) < MAX_BODY_BYTES / 2
        assert CODEC.decode(received(json.loads(body))) == message
