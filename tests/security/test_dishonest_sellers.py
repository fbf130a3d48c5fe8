"""A seller that answers what it was not asked, or does not stand by what it said.

All of it is tried over v1 and over v2, where a seller that answers a search itself is one that knows what only the
discovery service can know. What can be said in v2 alone is in test_lies_in_v2.
Quotes and terms other than the offer are in tests/street/test_bad_seller.py, single false messages of each step in
tests/street/trade_cases.py.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from tests.beckn.support import changed
from tests.security.partners import ACKED, Played, anew, answer_to
from tests.street.puppet import PUPPET, STRANGER, Puppet
from tests.street.stages import (
    QUIET_S,
    fulfillment,
    on_cancel,
    on_confirm,
    on_init,
    on_search,
    on_select,
    on_status,
    too_late_on_cancel,
)
from tests.world.calls import Json
from tests.world.street import Street

_OFFERED = "message.catalog.providers.0.items.0.price.value"
_QUOTED = "message.order.quote.price.value"
_DUE = "message.order.payments.0.params.amount"
_DELIVERED = "message.order.fulfillments.0.tags.0.list.0.value"
BOUGHT_WH, COST_MICRO = 1000, 50_000
"""What low-0 buys of the puppet, and for how much."""


def with_puppet(street: Street) -> list[tuple[str, int | None, int | None]]:
    """State, delivered energy and its price of each purchase that low-0 made of the puppet."""
    rows = [row for row in street.contracts("buyer", "low-0") if row.counterparty == PUPPET]
    return [(row.state, row.delivered_wh, row.settled_micro) for row in rows]


def test_a_seller_of_another_feeder_cannot_answer_a_search(played: Played) -> None:
    answers: list[tuple[int, str, str]] = []

    async def work(puppet: Puppet) -> None:
        far = puppet.signers[STRANGER]
        await puppet.register(far, "elsewhere")
        call = await on_search(puppet)
        call = changed(call, "message.catalog.providers.0.id", STRANGER)
        answers.append(await answer_to(puppet, call, far))
        kept = puppet.run.pods["low-0"].parties["low-0"].books.selections.values()
        heard.extend(seller for offers in kept for seller in offers)

    heard: list[str] = []
    played(work)
    assert answers == [(200, "50000", "'stranger.default' is not on feeder 'main'")]
    assert STRANGER not in heard


def test_an_offer_that_comes_when_all_is_bought_is_left_lying(played: Played) -> None:
    async def work(puppet: Puppet) -> None:
        late = puppet.signers[STRANGER]
        await puppet.register(late)
        offer = await on_search(puppet)
        await puppet.say(offer)
        slot = puppet.next_slot
        await puppet.until_slot(slot)
        cheaper = anew(puppet, offer, {_OFFERED: "0.000001"})
        cheaper = changed(cheaper, "message.catalog.providers.0.id", STRANGER)
        assert await answer_to(puppet, cheaper, late) == ACKED
        await puppet.clock.sleep(QUIET_S)
        asked = [h["context"]["bpp_id"] for h in puppet.heard if h["context"]["action"] == "select"]
        assert STRANGER not in asked

    played(work)


def test_the_first_of_two_offers_counts(played: Played) -> None:
    answers: list[tuple[int, str, str]] = []

    async def work(puppet: Puppet) -> None:
        offer = await on_search(puppet)
        await puppet.say(offer)
        assert await answer_to(puppet, anew(puppet, offer, {_OFFERED: "0.140000"})) == ACKED
        heard = await puppet.hears("select", "low-0")
        quote = {"price": {"currency": "EUR", "value": "0.140000"}, "ttl": "PT20S"}
        order = {**heard["message"]["order"], "quote": quote}
        context = heard["context"]
        call = puppet.call("on_select", "low-0", {"order": order}, context["transaction_id"], context["message_id"])
        answers.append(await answer_to(puppet, call))

    street = played(work)
    assert answers == [(200, "40003", "quoted 0.140000 EUR but the offer makes it 0.050000 EUR")]
    assert with_puppet(street) == []


@pytest.mark.parametrize(
    ("changes", "text"),
    [
        ({"message.order.items.0.id": lambda _: "dear"}, "order says dear but cheap was quoted"),
        (
            {"message.order.fulfillments.0": lambda puppet: fulfillment(puppet.next_slot + 900)},
            "order says {later} but {slot} was quoted",
        ),
        (
            {"message.order.items.0.quantity.selected.measure.value": lambda _: "0.999"},
            "order says 0.999 kWh but 1.000 kWh was quoted",
        ),
        ({_QUOTED: lambda _: "0.050001"}, "order says 50001 but 50000 was quoted"),
        ({"message.order.id": lambda _: "order-2"}, "order says 'order-2' but 'order-1' was agreed"),
    ],
    ids=["item", "slot", "less", "price", "order id"],
)
def test_a_confirmation_of_something_else_is_refused_and_what_was_agreed_can_still_be_confirmed(
    changes: dict[str, Callable[[Puppet], Any]], text: str, played: Played
) -> None:
    async def work(puppet: Puppet) -> None:
        good = await on_confirm(puppet)
        bad = anew(puppet, good)
        for path, value in changes.items():
            bad = changed(bad, path, value(puppet))
        slot = puppet.next_slot
        expected = text.format(slot=slot, later=slot + 900)
        assert await answer_to(puppet, bad) == (200, "40000", expected)
        assert await answer_to(puppet, good) == ACKED

    assert with_puppet(played(work)) == [("CONFIRMED", None, None)]


def test_an_order_id_cannot_stand_for_two_orders(played: Played) -> None:
    answers: list[tuple[int, str, str]] = []

    async def work(puppet: Puppet) -> None:
        await puppet.say(await on_confirm(puppet))
        await puppet.until_slot(puppet.next_slot)
        answers.append(await answer_to(puppet, await on_init(puppet)))

    street = played(work)
    assert answers == [(200, "40000", "'order-1' is the id of another order")]
    assert [state for state, *_ in with_puppet(street)] == ["CONFIRMED", "EXPIRED"]


@pytest.mark.parametrize(("kwh", "due"), [("0.500", "0.025000"), ("1.000", "0.025000"), ("0.000", "0.000000")])
def test_a_delivery_is_booked_once_and_another_report_of_it_is_refused(kwh: str, due: str, played: Played) -> None:
    async def work(puppet: Puppet) -> None:
        first = await on_status(puppet)
        await puppet.say(first)
        again = anew(puppet, first, {_DELIVERED: kwh, _DUE: due})
        assert await answer_to(puppet, again) == (200, "40000", "a delivery of 1.000 kWh is booked already")
        assert await answer_to(puppet, anew(puppet, first)) == ACKED

    street = played(work, energy_wh=BOUGHT_WH, amount_micro=-COST_MICRO)
    assert with_puppet(street) == [("DELIVERED", BOUGHT_WH, COST_MICRO)]


@pytest.mark.parametrize(
    ("kwh", "due", "text"),
    [
        ("1.001", "0.050050", "delivery of 1.001 kWh for an order of 1.000 kWh"),
        ("1.000", "0.050001", "0.050001 is not what 1.000 kWh of this order cost"),
        ("0.400", "0.050000", "0.050000 is not what 0.400 kWh of this order cost"),
    ],
    ids=["more than contracted", "dearer", "all for a part"],
)
def test_a_bill_that_is_not_the_contracts_is_refused_and_the_right_one_is_still_taken(
    kwh: str, due: str, text: str, played: Played
) -> None:
    async def work(puppet: Puppet) -> None:
        good = await on_status(puppet)
        assert await answer_to(puppet, anew(puppet, good, {_DELIVERED: kwh, _DUE: due})) == (200, "40000", text)
        assert await answer_to(puppet, good) == ACKED

    street = played(work, energy_wh=BOUGHT_WH, amount_micro=-COST_MICRO)
    assert with_puppet(street) == [("DELIVERED", BOUGHT_WH, COST_MICRO)]


@pytest.mark.parametrize("state", ["CANCELLED", "EXPIRED"])
def test_what_was_delivered_cannot_be_taken_back(state: str, played: Played) -> None:
    async def work(puppet: Puppet) -> None:
        call = await too_late_on_cancel(puppet)
        call = changed(call, "message.order.fulfillments.0.state.descriptor.code", state)
        text = f"the order is DELIVERED here; it cannot be {state}"
        assert await answer_to(puppet, call) == (200, "40000", text)

    street = played(work, energy_wh=BOUGHT_WH, amount_micro=-COST_MICRO)
    assert with_puppet(street) == [("DELIVERED", BOUGHT_WH, COST_MICRO)]


def test_a_confirmed_order_cannot_expire_but_the_seller_may_cancel_it_and_the_backstop_supplies(played: Played) -> None:
    async def work(puppet: Puppet) -> None:
        call = await on_cancel(puppet)
        expired = anew(puppet, call, {"message.order.fulfillments.0.state.descriptor.code": "EXPIRED"})
        text = "the order is CONFIRMED here; it cannot be EXPIRED"
        assert await answer_to(puppet, expired) == (200, "40000", text)
        assert await answer_to(puppet, call) == ACKED

    street = played(work)
    assert with_puppet(street) == [("CANCELLED", None, None)]


def test_who_was_selected_by_nobody_has_nothing_to_quote(played: Played) -> None:
    async def work(puppet: Puppet) -> None:
        other = puppet.signers[STRANGER]
        await puppet.register(other)
        call = await on_select(puppet)
        call = changed(call, "message.order.provider.id", STRANGER)
        text = "nothing was selected from 'stranger.default' in this transaction"
        assert await answer_to(puppet, call, other) == (200, "40000", text)

    played(work)


def test_a_seller_cannot_speak_of_another_sellers_order(played: Played) -> None:
    async def work(puppet: Puppet) -> None:
        other = puppet.signers[STRANGER]
        await puppet.register(other)
        call: Json = await on_status(puppet)
        refused = (200, "30010", "no order 'order-1' with you here")
        assert await answer_to(puppet, anew(puppet, call), other) == refused
        assert await answer_to(puppet, call) == ACKED

    street = played(work, energy_wh=BOUGHT_WH, amount_micro=-COST_MICRO)
    assert with_puppet(street) == [("DELIVERED", BOUGHT_WH, COST_MICRO)]
