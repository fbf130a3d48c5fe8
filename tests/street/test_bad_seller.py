"""A seller that does not keep to its offer or quote, or says things twice; and who reads a meter twice."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from tests.beckn.support import changed
from tests.street.puppet import PUPPET, Puppet, findings, puppet_play
from tests.street.stages import QUIET_S, STAGES, on_confirm, on_init, on_select, on_status, pay, reading
from tests.world.calls import Json
from tests.world.street import Street, ledger_bytes
from wattmesh_market.trade.contracts import PROMISED, Side

_AMOUNT = "message.order.payments.0.params.amount"
_PRICE = "message.order.quote.price.value"
_QUANTITY = "message.order.items.0.quantity.selected.measure.value"


def bought_after(
    stage: Callable[[Puppet], Awaitable[Json]], *changes: tuple[str, Any]
) -> tuple[tuple[int, str, str, str | None], Street, list[str]]:
    """What low-0 answers to the spoilt message of a stage, what it leaves, and what it sends the puppet then."""
    answers: list[tuple[int, str, str, str | None]] = []
    heard: list[str] = []

    async def work(puppet: Puppet) -> None:
        call = await stage(puppet)
        for path, value in changes:
            call = changed(call, path, value)
        body = json.dumps(call).encode()
        reply = await puppet.send("low-0", call["context"]["action"], body, puppet.signed(body))
        error = json.loads(reply.body)["error"]
        answers.append((reply.status, error["code"], error["message"], error.get("paths")))
        await puppet.clock.sleep(QUIET_S)
        heard.extend(h["context"]["action"] for h in puppet.heard if h["context"].get("bpp_id") == PUPPET)

    street = puppet_play(work)
    assert findings(street.books) == ()
    assert not any(street.faults.values())
    return answers[0], street, heard


@pytest.mark.parametrize(
    ("changes", "text"),
    [
        ([(_PRICE, "0.050001")], "quoted 0.050001 EUR but the offer makes it 0.050000 EUR"),
        ([("message.order.quote.price.currency", "CHF")], "quoted 0.050000 CHF but the offer makes it 0.050000 EUR"),
        ([(_QUANTITY, "1.001")], "quoted 1.001 kWh but 1.000 kWh was selected"),
        ([("message.order.items.0.id", "other")], "quoted another item, slot or provider than was selected"),
        ([("message.order.provider.id", "roof-0.default")], "quoted another item, slot or provider than was selected"),
    ],
    ids=["dearer", "other currency", "more", "other item", "other provider"],
)
def test_a_quote_that_is_not_the_offer_is_refused_and_bought_elsewhere(
    changes: list[tuple[str, Any]], text: str
) -> None:
    answer, street, heard = bought_after(on_select, *changes)
    assert answer == (200, "40003", text, "message.order.quote")
    assert heard == []
    first = street.contracts("buyer", "low-0")[0]
    assert (first.counterparty, first.energy_wh, first.state) == ("roof-0.default", 1000, "SETTLED")


@pytest.mark.parametrize(
    ("path", "value", "text"),
    [
        (_PRICE, "0.060000", "order says 60000 but 50000 was quoted"),
        (_AMOUNT, "0.060000", "payment of 0.060000 but 0.050000 was quoted"),
        (_QUANTITY, "0.900", "order says 0.900 kWh but 1.000 kWh was quoted"),
    ],
    ids=["price", "payment", "quantity"],
)
def test_terms_that_are_not_the_quote_are_refused_cancelled_and_bought_elsewhere(
    path: str, value: str, text: str
) -> None:
    answer, street, heard = bought_after(on_init, (path, value))
    assert answer[:3] == (200, "40003", text)
    assert heard == ["cancel"]
    of_first_slot = {row.counterparty: row.state for row in street.contracts("buyer", "low-0")[:2]}
    assert of_first_slot == {PUPPET: "CANCELLED", "roof-0.default": "SETTLED"}


@pytest.mark.parametrize("stage", ["select", "init", "confirm", "cancel", "pay", "on_search", "on_select", "on_init",
                                   "on_confirm", "on_status", "on_cancel", "on_update"])  # fmt: skip
def test_a_message_that_comes_twice_has_one_effect_and_one_answer(stage: str) -> None:
    async def work(puppet: Puppet) -> None:
        call = await STAGES[stage](puppet)
        action = call["context"]["action"]
        to = str(call["context"]["bap_id" if action.startswith("on_") else "bpp_id"]).partition(".")[0]
        body = json.dumps(call).encode()
        headers = puppet.signed(body)
        first = await puppet.send(to, action, body, headers)
        await puppet.clock.sleep(QUIET_S)
        before, heard = ledger_bytes(puppet.run), len(puppet.heard)
        assert await puppet.send(to, action, body, headers) == first
        await puppet.clock.sleep(QUIET_S)
        assert (ledger_bytes(puppet.run), len(puppet.heard)) == (before, heard)

    street = puppet_play(work)
    assert findings(street.books) == ()
    assert not any(street.faults.values())


def test_a_part_delivery_costs_its_part() -> None:
    async def work(puppet: Puppet) -> None:
        call = await on_status(puppet)
        call = changed(call, "message.order.fulfillments.0.tags.0.list.0.value", "0.333")
        await puppet.say(changed(call, _AMOUNT, "0.016650"))

    street = puppet_play(work)
    assert findings(street.books) == ()
    [row] = [row for row in street.contracts("buyer", "low-0") if row.counterparty == PUPPET]
    assert (row.state, row.delivered_wh, row.settled_micro) == ("DELIVERED", 333, 16_650)
    [entry] = [entry for entry in street.ledger("trade", "low-0") if entry.counterparty == PUPPET]
    assert (entry.energy_wh, entry.amount_micro) == (333, -16_650)
    of_slot = next(one for one in street.readings("low-0") if one.slot == row.slot)
    assert (of_slot.bought_wh, of_slot.imported_wh) == (333, 667)


def test_a_silent_seller_is_asked_again_and_its_energy_comes_from_the_backstop_until_it_speaks() -> None:
    asked: list[str] = []

    async def work(puppet: Puppet) -> None:
        call = await on_confirm(puppet)
        await puppet.say(call)
        await puppet.until_slot(puppet.next_slot + 2 * 900, 0.3)
        asked.extend(h["context"]["action"] for h in puppet.heard if h["context"].get("bpp_id") == PUPPET)

    street = puppet_play(work)
    assert findings(street.books) == ()
    assert asked.count("status") >= 1
    [row] = [row for row in street.contracts("buyer", "low-0") if row.counterparty == PUPPET]
    assert row.state == "CONFIRMED"
    of_slot = next(one for one in street.readings("low-0") if one.slot == row.slot)
    assert (of_slot.bought_wh, of_slot.imported_wh, of_slot.state) == (0, 1000, "open")


def test_a_quote_that_is_not_taken_holds_nothing_any_more() -> None:
    def held_wh(puppet: Puppet) -> list[int]:
        contracts = puppet.run.pods["roof-0"].parties["roof-0"].books.open_with(Side.SELLER, PUPPET)
        return [contract.energy_wh for contract in contracts if contract.state in PROMISED]

    async def work(puppet: Puppet) -> None:
        await STAGES["init"](puppet)
        assert held_wh(puppet) == [1000]
        await puppet.until_slot(puppet.next_slot)
        assert held_wh(puppet) == []

    street = puppet_play(work)
    assert findings(street.books) == ()
    [row] = [row for row in street.contracts("seller", "roof-0") if row.counterparty == PUPPET]
    assert (row.state, row.reason) == ("EXPIRED", "gate closed before it was confirmed")


def test_a_reading_is_booked_once_whatever_is_told_after() -> None:
    texts: list[str] = []
    ids: set[str] = set()

    async def work(puppet: Puppet) -> None:
        call = await reading(puppet)
        await puppet.say(call)
        again = puppet.call("update", "utility", call["message"], call["context"]["transaction_id"])
        await puppet.say(again)
        other = changed(again, "message.order.fulfillments.0.tags.0.list.0.value", "0.201")
        other = changed(other, "context.message_id", "00000000-0000-0000-0000-000000000009")
        body = json.dumps(other).encode()
        reply = await puppet.send("utility", "update", body, puppet.signed(body))
        texts.append(json.loads(reply.body)["error"]["message"])
        priced = [await puppet.hears("on_update", "utility")]  # when the hour is closed
        await puppet.say(puppet.call("update", "utility", call["message"], call["context"]["transaction_id"]))
        priced.append(await puppet.hears("on_update", "utility"))
        texts.extend(one["message"]["order"]["quote"]["price"]["value"] for one in priced)
        ids.update(one["context"]["message_id"] for one in priced)

    street = puppet_play(work, hours=2)
    assert texts == ["another reading of that slot is booked already", "0.050000", "0.050000"]
    assert len(ids) == 1, "whoever asks again gets the same message"
    [entry] = [entry for entry in street.ledger("backstop", "utility") if entry.counterparty == PUPPET]
    assert (entry.energy_wh, entry.amount_micro) == (-200, 50_000)


def test_a_sale_is_delivered_from_the_store_and_paid_once() -> None:
    async def work(puppet: Puppet) -> None:
        await puppet.say(await pay(puppet))

    street = puppet_play(work)
    [row] = [row for row in street.contracts("seller", "roof-0") if row.counterparty == PUPPET]
    assert (row.state, row.delivered_wh, row.settled_micro) == ("SETTLED", 1000, 150_000)
