"""A seller from elsewhere, with habits of its own: households buy from it, until all is paid or refused."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from tests.foreign.partner import Json
from tests.foreign.play import Visitor, visited
from tests.street.puppet import PUPPET
from tests.world.street import SLOT_S, Street
from wattmesh_beckn.answers import json_reply
from wattmesh_beckn.transport import Reply
from wattmesh_cli.books import ContractRow

BUYER = "low-0"
CHEAP, DEAR = "0.05", "0.90"


def scalar(value: str, unit: str = "kWH") -> Json:
    return {"measure": {"value": value, "unit": unit}}


def stops(search: Json) -> list[Json]:
    """The slot that is sought, as two moments, as the DEG networks write it."""
    window = search["message"]["intent"]["fulfillment"]["stops"][0]["time"]["range"]
    return [
        {"type": "START", "location": {"gps": "48.1,11.5"}, "time": {"timestamp": window["start"]}},
        {"type": "END", "time": {"timestamp": window["end"]}},
    ]


def provider(name: str, price: str, search: Json) -> Json:
    """One of those the platform sells for."""
    item = {"id": f"{name}-power", "price": {"value": price, "currency": "EUR/kWH"}, "fulfillment_ids": ["1"]}
    return {
        "id": name,
        "items": [{**item, "quantity": {"available": scalar("3.0000")}}],
        "fulfillments": [{"id": "1", "stops": stops(search)}],
    }


class Seller:
    """Sells once to a household, one step after the other."""

    def __init__(self, visitor: Visitor) -> None:
        self.visitor = visitor
        self.order_id: str | None = None
        """Said from `on_init` on where it is set; else the order gets its id with its confirmation."""

    async def offer(self, *pages: list[tuple[str, str]]) -> None:
        """Answer the next search, in as many pages as are given, of providers and their prices."""
        search = await self.visitor.hears("search", BUYER)
        self.transaction, self.stops = search["context"]["transaction_id"], stops(search)
        for page in pages:
            providers = [provider(name, price, search) for name, price in page]
            await self.say("on_search", {"catalog": {"providers": providers}}, search)

    async def quote(self) -> None:
        """Quote what is selected, with no ttl, and parts of a price that have no title."""
        select = await self.visitor.hears("select", BUYER)
        order = select["message"]["order"]
        self.provider, self.item = order["provider"], order["items"][0]
        kwh = float(self.item["quantity"]["selected"]["measure"]["value"])
        self.price = f"{kwh * float(CHEAP):.7f}"
        price = {"value": self.price, "currency": "EUR"}
        part = {"item": {"descriptor": {"name": "units"}}, "price": price}
        self.order = {**order, "quote": {"price": price, "breakup": [part]}}
        await self.say("on_select", {"order": self.order}, select)

    async def agree(self) -> None:
        """Ask for two payments in advance, to be collected by the buyer's platform."""
        init = await self.visitor.hears("init", BUYER)
        half = {"type": "PRE-ORDER", "collected_by": "BAP", "status": "NOT-PAID"}
        parts = [f"{float(self.price) * share:.7f}" for share in (0.25, 0.75)]
        payments = [{**half, "params": {"amount": part, "currency": "EUR"}} for part in parts]
        named = {"id": self.order_id} if self.order_id else {}
        await self.say("on_init", {"order": {**self.order, **named, "payments": payments}}, init)

    async def confirm(self) -> None:
        """Take the order, under an id at last."""
        confirm = await self.visitor.hears("confirm", BUYER)
        assert confirm["message"]["order"].get("id") == self.order_id
        self.order_id = self.order_id or "DEG/7"
        placed = {"id": "1", "state": {"descriptor": {"code": "Order-Placed"}}}
        order = {"id": self.order_id, "status": "ACTIVE", "fulfillments": [placed]}
        await self.say("on_confirm", {"order": order}, confirm)

    async def sell(self) -> None:
        """All of that."""
        await self.offer([("mill", CHEAP)])
        await self.quote()
        await self.agree()
        await self.confirm()

    async def until_delivered(self) -> None:
        """Wait for the end of the slot that was sold."""
        await self.visitor.street.until_slot(self.visitor.street.next_slot + SLOT_S, part=0.1)

    async def paid(self) -> None:
        """Take the payment."""
        update = await self.visitor.hears("update", BUYER)
        assert update["message"]["order"]["payments"][0]["status"] == "PAID"
        order = {"id": self.order_id, "payments": [{"status": "PAID"}]}
        await self.say("on_update", {"order": order}, update)

    async def say(self, action: str, message: Json, request: Json | None = None) -> None:
        """Say something that is taken."""
        reply_to = request["context"]["message_id"] if request else None
        await self.visitor.tell(action, BUYER, self.transaction, message, reply_to)


def bought(street: Street) -> ContractRow:
    """The contract that the household has with the seller."""
    [row] = [row for row in street.contracts("buyer") if row.counterparty == PUPPET and row.order_id]
    return row


def test_a_household_buys_from_the_best_provider_of_a_platform() -> None:
    """Offers come in two pages, the order's id with the confirmation, and the news are core's alone."""

    async def act(visitor: Visitor) -> None:
        seller = Seller(visitor)
        await seller.offer([("mill", DEAR), ("dam", "0.06")], [("mill", CHEAP)])
        await seller.quote()
        assert seller.provider == {"id": "mill"}
        await seller.agree()
        await seller.confirm()
        await seller.until_delivered()
        completed = {"id": "1", "state": {"descriptor": {"code": "ORDER_COMPLETED"}}}
        await seller.say("on_status", {"order": {"status": "COMPLETE", "fulfillments": [completed]}})
        await seller.paid()

    row = bought(visited(act, 1.5))
    assert (row.state, row.order_id, row.provider, row.counterparty) == ("SETTLED", "DEG/7", "mill", PUPPET)
    assert row.delivered_wh == row.energy_wh > 0
    assert row.settled_micro == row.amount_micro == round(row.energy_wh * float(CHEAP) * 1000)


NEWS: list[tuple[Json, str]] = [
    ({"status": "COMPLETE"}, "SETTLED"),
    ({"status": "COMPLETED"}, "SETTLED"),
    ({"fulfillments": [{"state": {"descriptor": {"code": "ORDER_DELIVERED"}}}]}, "SETTLED"),
    ({"status": "COMPLETE", "fulfillments": [{"state": {"descriptor": {"code": "IN-PROGRESS"}}}]}, "SETTLED"),
    ({"status": "CANCELLED"}, "CANCELLED"),
    ({"fulfillments": [{"state": {"descriptor": {"code": "Cancelled"}}}]}, "CANCELLED"),
]


@pytest.mark.parametrize(("order", "state"), NEWS)
def test_what_a_seller_says_of_an_order_is_understood(order: Json, state: str) -> None:
    async def act(visitor: Visitor) -> None:
        seller = Seller(visitor)
        seller.order_id = "o-1"
        await seller.sell()
        await seller.until_delivered()
        await seller.say("on_cancel" if state == "CANCELLED" else "on_status", {"order": {"id": "o-1", **order}})
        if state == "SETTLED":
            await seller.paid()

    assert bought(visited(act, 1.5)).state == state


@pytest.mark.parametrize(
    ("order", "text", "path"),
    [
        ({"status": "ON_HOLD"}, "an order with status 'ON_HOLD' is not understood here", "message.order.status"),
        (
            {"status": "COMPLETE", "fulfillments": [{"state": {"descriptor": {"code": "RTO"}}}]},
            "a fulfillment in state 'RTO' is not understood here",
            "message.order.fulfillments.0.state",
        ),
        ({}, "how the order stands is missing", "message.order.status"),
    ],
)
def test_or_refused(order: Json, text: str, path: str) -> None:
    refused: list[Json] = []

    async def act(visitor: Visitor) -> None:
        seller = Seller(visitor)
        await seller.sell()
        context = visitor.context("on_status", BUYER, seller.transaction)
        refused.append(await visitor.call(context, {"message": {"order": {"id": seller.order_id, **order}}}))

    assert bought(visited(act, 0.5)).state == "CONFIRMED"
    [answer] = refused
    assert answer["error"] == {"code": "40000", "message": text, "paths": path}


@pytest.mark.parametrize("where", ["call", "message"])
@pytest.mark.parametrize("step", ["on_select", "on_init"])
def test_an_error_in_place_of_an_answer_sends_the_buyer_to_the_next_seller_at_once(step: str, where: str) -> None:
    heard: list[str] = []

    async def act(visitor: Visitor) -> None:
        seller = Seller(visitor)
        await seller.offer([("mill", CHEAP)])
        if step == "on_init":
            await seller.quote()
        request = await visitor.hears(step.removeprefix("on_"), BUYER)
        error: Json = {"error": {"code": "40002", "message": "sold out"}}
        context = visitor.context(step, BUYER, seller.transaction, request["context"]["message_id"])
        heard.append(context["transaction_id"])
        answer = await visitor.call(context, error if where == "call" else {"message": error})
        assert answer["message"]["ack"]["status"] == "ACK"

    street = visited(act, 0.5)
    others = {row.counterparty for row in street.contracts("buyer") if row.transaction_id in heard and row.order_id}
    assert others
    assert others <= {"utility.default", "roof-0.default"}


@pytest.mark.parametrize(
    "answer",
    [
        json_reply(202, {"message": {"ack": {"status": "ACK"}}}),
        json_reply(200, {"message": {"status": "ACK"}}),
        json_reply(200, {"context": {}, "message": {"ack": {"status": "ACK"}}, "error": None}),
    ],
    ids=["202", "v2", "with context"],
)
def test_an_acknowledgement_comes_in_several_forms(answer: Reply) -> None:
    async def act(visitor: Visitor) -> None:
        visitor.answer = answer
        await Seller(visitor).sell()

    assert bought(visited(act, 0.5)).state == "CONFIRMED"


@pytest.mark.parametrize(
    "change",
    [
        lambda item: item.update(quantity={"available": scalar("3000", "Wh")}),
        lambda item: item.update(quantity={"available": scalar("0.003", "MWh")}),
        lambda item: item.pop("quantity"),
        lambda item: item.pop("fulfillment_ids"),
        lambda item: item.update(price={"value": "0.05000000001", "currency": "EUR"}),
    ],
    ids=["Wh", "MWh", "no quantity", "no fulfillment_ids", "decimals"],
)
def test_an_offer_may_leave_out_what_core_leaves_optional(change: Callable[[Any], Any]) -> None:
    async def act(visitor: Visitor) -> None:
        seller = Seller(visitor)
        search = await visitor.hears("search", BUYER)
        seller.transaction = search["context"]["transaction_id"]
        mill = provider("mill", CHEAP, search)
        change(mill["items"][0])
        await seller.say("on_search", {"catalog": {"providers": [mill]}}, search)
        await seller.quote()
        await seller.agree()
        await seller.confirm()

    assert bought(visited(act, 0.5)).state == "CONFIRMED"
