"""A buyer from elsewhere, with habits of its own: it buys from a household until all is paid, or is refused at once."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from tests.foreign.partner import Json
from tests.foreign.play import Visitor, visited
from tests.street.puppet import PUPPET
from tests.world.street import SLOT_S, Street
from wattmesh_cli.books import ContractRow

SELLER = "roof-0"
TRANSACTION = "6743e9e2-4fb5-487c-92b7-13ba8018f176"


def time_text(slot: int) -> str:
    return datetime.fromtimestamp(slot, UTC).isoformat()


def window(slot: int, slots: int = 1) -> list[Json]:
    return [{"time": {"range": {"start": time_text(slot), "end": time_text(slot + slots * SLOT_S)}}}]


def sought(visitor: Visitor, slots: int = 1, **changes: Any) -> Json:
    """What is sought: an amount, or nothing but a time."""
    return {"intent": {"fulfillment": {"stops": window(visitor.street.next_slot, slots)}, **changes}}


class Buyer:
    """Buys once from a household, one step after the other."""

    def __init__(self, visitor: Visitor) -> None:
        self.visitor = visitor

    async def search(self, *, slots: int = 1) -> list[Json]:
        """Ask the household itself; its items."""
        found = await self.asked("search", sought(self.visitor, slots))
        [self.provider] = found["catalog"]["providers"]
        items: list[Json] = self.provider["items"]
        return items

    async def select(self, *items: Json) -> Json:
        """Put items into the cart, by their ids alone; the order as it is quoted."""
        order = {"provider": {"id": self.provider["id"]}, "items": list(items)}
        quoted: Json = (await self.asked("select", {"order": order}))["order"]
        return quoted

    async def agree(self, order: Json) -> Json:
        """Send `init`; the order as it is agreed."""
        agreed: Json = (await self.asked("init", {"order": order}))["order"]
        return agreed

    async def asked(self, action: str, message: Json) -> Json:
        """Ask something that is answered; the answer's message."""
        await self.visitor.tell(action, SELLER, TRANSACTION, message)
        answer: Json = (await self.visitor.hears(f"on_{action}", SELLER))["message"]
        return answer

    async def refused(self, action: str, message: Json, message_id: str | None = None) -> Json:
        """Ask something that is not; the error."""
        context = self.visitor.context(action, SELLER, TRANSACTION, message_id)
        answer = await self.visitor.call(context, {"message": message})
        assert answer["message"]["ack"]["status"] == "NACK"
        error: Json = answer["error"]
        return error

    async def until_paid(self) -> Json:
        """Hear what was delivered and pay it; the receipt."""
        told = (await self.visitor.hears("on_status", SELLER))["message"]["order"]
        assert told["status"] == "COMPLETE"
        paid = [{"status": "PAID", "params": one["params"]} for one in told["payments"]]
        update = {"update_target": "order.payments", "order": {"id": told["id"], "payments": paid}}
        receipt: Json = (await self.asked("update", update))["order"]
        return receipt


def item(visitor: Visitor, value: str, unit: str = "kWH") -> Json:
    """An item of the next slot, as a buyer writes it that keeps to its id."""
    quantity = {"selected": {"measure": {"value": value, "unit": unit}}}
    return {"id": f"energy-{visitor.street.next_slot}", "quantity": quantity}


def sold(street: Street) -> list[ContractRow]:
    """What the household has sold to the buyer, slot by slot."""
    return [row for row in street.contracts("seller") if row.counterparty == PUPPET]


def test_a_buyer_that_repeats_nothing_buys_and_pays() -> None:
    """A cart is changed; `init` names neither price nor payer, `confirm` no order."""

    async def act(visitor: Visitor) -> None:
        buyer = Buyer(visitor)
        await buyer.search()
        first = await buyer.select(item(visitor, "0.3"))
        second = await buyer.select(item(visitor, "250.4", "Wh"))
        assert [one["items"][0]["quantity"]["selected"]["measure"]["value"] for one in (first, second)] == [
            "0.300",
            "0.250",
        ]
        items = [{"id": one["id"]} for one in second["items"]]
        agreed = await buyer.agree({"provider": second["provider"], "items": items})
        confirmed = (await buyer.asked("confirm", {"order": {"provider": second["provider"], "items": items}}))["order"]
        assert confirmed["id"] == agreed["id"]
        assert (await buyer.until_paid())["status"] == "COMPLETE"

    [row] = sold(visited(act))
    assert (row.state, row.energy_wh, row.delivered_wh) == ("SETTLED", 250, 250)


def test_a_window_of_several_slots_is_answered_for_each_that_the_seller_has() -> None:
    async def act(visitor: Visitor) -> None:
        buyer = Buyer(visitor)
        first, second, third = await buyer.search(slots=3)
        assert {first["id"], second["id"], third["id"]} == {
            f"energy-{visitor.street.next_slot + number * SLOT_S}" for number in range(3)
        }
        amount = {"selected": {"measure": {"value": "0.2", "unit": "kWh"}}}
        await buyer.select(*({"id": one["id"], "quantity": amount} for one in (first, second)))
        agreed = await buyer.agree({})
        await buyer.asked("confirm", {"order": {"id": agreed["id"]}})

    street = visited(act, 0.4)
    assert [(row.state, row.energy_wh) for row in sold(street)] == [("DELIVERED", 200)] * 2
    assert len({row.order_id for row in sold(street)}) == 1


def test_a_price_that_is_said_again_in_other_words_is_the_same() -> None:
    async def act(visitor: Visitor) -> None:
        buyer = Buyer(visitor)
        await buyer.search()
        quoted = await buyer.select(item(visitor, "0.5"))
        price = {"currency": "EUR", "value": f"{float(quoted['quote']['price']['value']):.9f}"}
        agreed = await buyer.agree({**quoted, "quote": {"price": price}, "fulfillments": []})
        half = {"type": "ON-FULFILLMENT", "collected_by": "BAP", "status": "NOT-PAID"}
        await buyer.asked("confirm", {"order": {**agreed, "payments": [{**half, "params": {"currency": "EUR"}}, half]}})

    [row] = sold(visited(act, 0.4))
    assert row.state == "DELIVERED"


def test_a_cancellation_needs_no_reason() -> None:
    async def act(visitor: Visitor) -> None:
        buyer = Buyer(visitor)
        await buyer.search()
        await buyer.select(item(visitor, "0.5"))
        agreed = await buyer.agree({})
        cancelled = (await buyer.asked("cancel", {"order_id": agreed["id"]}))["order"]
        assert cancelled["status"] == "CANCELLED"
        assert cancelled["cancellation"]["cancelled_by"] == "CONSUMER"

    [row] = sold(visited(act, 0.4))
    assert (row.state, row.reason) == ("CANCELLED", "cancelled by the buyer: no reason given")


@pytest.mark.parametrize("action", ["track", "support", "rating"])
def test_what_is_not_offered_is_said_to_be_so(action: str) -> None:
    async def act(visitor: Visitor) -> None:
        error = await Buyer(visitor).refused(action, {"order_id": "o-1"})
        assert error == {"code": "40000", "message": f"{action} is not offered here"}

    visited(act, 0.1)


def test_one_message_id_is_of_one_message() -> None:
    async def act(visitor: Visitor) -> None:
        buyer = Buyer(visitor)
        await buyer.search()
        order = await buyer.select(item(visitor, "0.5"))
        message_id = visitor.context("init", SELLER, TRANSACTION)["message_id"]
        for _ in range(2):  # the very same again is taken, and answered once
            context = visitor.context("init", SELLER, TRANSACTION, message_id)
            taken = await visitor.call(context, {"message": {"order": order}})
            assert taken["message"]["ack"]["status"] == "ACK"
        other = {**order, "billing": {"name": "somebody else"}}
        error = await buyer.refused("init", {"order": other}, message_id)
        assert error["paths"] == "context.message_id"
        assert error["message"] == (
            f"message_id '{message_id}' was used for another init; a new message needs a new one"
        )

    visited(act, 0.2)


@pytest.mark.parametrize("version", ["1.1.0", "1.1.1"])
@pytest.mark.parametrize("place", ["city", "location", "neither"])
def test_a_search_through_the_gateway_is_heard_by_the_sellers_of_the_buyers_feeder(place: str, version: str) -> None:
    async def act(visitor: Visitor) -> None:
        context = visitor.context("search", SELLER, TRANSACTION)
        del context["bpp_id"], context["bpp_uri"]
        context["version"] = version
        if place != "city":
            del context["city"]
        if place == "location":
            context["location"]["city"] = {"code": "main", "name": "Main Street"}
        answer = await visitor.call(context, {"message": sought(visitor)}, url="http://gateway")
        assert answer["message"]["ack"]["status"] == "ACK"
        found = await visitor.hears("on_search", SELLER)
        assert found["context"]["transaction_id"] == TRANSACTION

    visited(act, 0.1)


def test_a_window_off_the_grid_is_refused_by_the_gateway() -> None:
    async def act(visitor: Visitor) -> None:
        context = visitor.context("search", SELLER, TRANSACTION)
        del context["bpp_id"], context["bpp_uri"]
        message = sought(visitor)
        message["intent"]["fulfillment"]["stops"][0]["time"]["range"]["end"] = time_text(visitor.street.next_slot + 600)
        answer = await visitor.call(context, {"message": message}, url="http://gateway")
        assert answer["message"]["ack"]["status"] == "NACK"
        assert "is no row of delivery slots" in answer["error"]["message"]

    visited(act, 0.1)
