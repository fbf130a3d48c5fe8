"""A buyer from elsewhere that speaks Beckn v2.0.0 LTS: it finds a household's energy and buys it, or is refused."""

from __future__ import annotations

import json
import uuid
from collections.abc import Awaitable, Callable
from datetime import datetime
from typing import Any

import pytest

from tests.foreign.partner import Json
from tests.foreign.platform_v2 import instant
from tests.foreign.play_v2 import VisitorV2, visited_by
from tests.street.puppet import PUPPET
from tests.world.street import Street
from wattmesh_cli.books import ContractRow

SELLER = "roof-0"


class Buyer(VisitorV2):
    """The platform as a buyer."""

    async def tell(self, action: str, message: Json, to: str = SELLER, **context: str) -> Json:
        """Say something to a household; its answer, which it has signed."""
        seller = {} if to == "gateway" else {"bppId": f"{to}.default", "bppUri": f"http://{to}/{to}"}
        now = self.street.clock.wall()
        return await self.send(self.call(action, message, now, transactionId=self.transaction, **seller, **context), to)

    async def ask(self, action: str, message: Json, to: str = SELLER) -> Json:
        """Say something that is answered later: with what."""
        said = await self.tell(action, message, to)
        assert said["status"] == "ACK", said
        return await self.hears_message(f"on_{action}")

    async def hears_message(self, action: str) -> Json:
        """Wait for a call; what it says."""
        message: Json = (await self.hears(action))["message"]
        return message

    async def finds(self, kwh: float = 0.25) -> Json:
        """Ask the discovery service again and again until the household has so much for the next slot; the offer."""
        filters = {"type": "jsonpath", "expression": f"$[?@.provider.id == '{SELLER}.default']"}
        while True:
            await self.street.clock.sleep(2.5)
            for catalog in (await self.ask("discover", {"intent": {"filters": filters}}, "gateway"))["catalogs"]:
                for offer in catalog["offers"]:
                    series = offer["offerAttributes"]["commitmentAttributes"]
                    start = datetime.fromisoformat(series["intervalPeriod"]["start"]).timestamp()
                    values = {one["type"]: one["values"][0] for one in series["intervals"][0]["payloads"]}
                    if start == self.street.next_slot and values["AVAILABLE_QTY"] >= kwh:
                        return {**offer, "provider": catalog["provider"]}

    def cart(self, offer: Json, kwh: float) -> Json:
        """A contract that takes so much of an offer, in this platform's own words."""
        return {
            "status": {"code": "DRAFT"},
            "commitments": [
                {
                    "id": "my-first",
                    "status": {"descriptor": {"code": "DRAFT"}},
                    "resources": [
                        {"id": offer["resourceIds"][0], "quantity": {"unitCode": "KWH", "unitQuantity": kwh}}
                    ],
                    "offer": {"id": offer["id"], "resourceIds": offer["resourceIds"], "provider": offer["provider"]},
                    "commitmentAttributes": {
                        "intervalPeriod": {"start": instant(self.street.next_slot), "duration": "PT15M"},
                        "payloadDescriptors": [{"payloadType": "REQUESTED_QTY", "units": "WH"}],
                        "intervals": [{"id": 0, "payloads": [{"type": "REQUESTED_QTY", "values": [kwh * 1000]}]}],
                    },
                }
            ],
        }

    async def buys(self, kwh: float) -> Json:
        """Find, select, agree and confirm; the contract in force."""
        quoted = (await self.ask("select", {"contract": self.cart(await self.finds(), kwh)}))["contract"]
        agreed = (await self.ask("init", {"contract": quoted}))["contract"]
        confirmed: Json = (await self.ask("confirm", {"contract": agreed}))["contract"]
        return confirmed


def visited(act: Callable[[Buyer], Awaitable[None]]) -> Street:
    """Run the street with a buyer that does `act`."""
    return visited_by(Buyer(), act)


def sold(street: Street) -> list[ContractRow]:
    """What the household has sold to the buyer, slot by slot."""
    return [row for row in street.contracts("seller") if row.counterparty == PUPPET]


def amounts(contract: Json, kind: str) -> list[Any]:
    """What the settlements of a kind are about."""
    found = [one["settlementAttributes"] for one in contract["settlements"]]
    return [one["amount"] for one in found if one["@type"] == kind]


def test_it_finds_what_is_published_buys_it_and_pays() -> None:
    async def act(buyer: Buyer) -> None:
        contract = await buyer.buys(0.25)
        assert contract["status"]["code"] == "ACTIVE"
        [due] = amounts(contract, "SettlementTerm")
        delivered = (await buyer.hears_message("on_status"))["contract"]
        assert (delivered["id"], delivered["status"]["code"]) == (contract["id"], "COMPLETE")
        assert amounts(delivered, "SettlementTerm") == [due]
        paid = {"@type": "PaymentAction", "amount": due, "paymentStatus": "SETTLED"}
        settlement = {"id": "mine", "status": "COMPLETE", "settlementAttributes": paid}
        payment = {"contract": {"id": contract["id"], "settlements": [settlement]}}
        receipt = (await buyer.ask("update", payment))["contract"]
        assert amounts(receipt, "PaymentAction") == [due]
        stands = (await buyer.ask("status", {"contract": {"id": contract["id"]}}))["contract"]
        assert [one["status"] for one in stands["settlements"]] == ["COMPLETE", "COMPLETE"]

    [row] = sold(visited(act))
    assert (row.state, row.energy_wh, row.delivered_wh) == ("SETTLED", 250, 250)


def test_it_gives_back_what_it_has_bought() -> None:
    async def act(buyer: Buyer) -> None:
        contract = await buyer.buys(0.25)
        over = {"id": contract["id"], "status": {"code": "CANCELLED", "shortDesc": "not at home"}}
        cancelled = (await buyer.ask("cancel", {"contract": over}))["contract"]
        assert (cancelled["id"], cancelled["status"]["code"]) == (contract["id"], "CANCELLED")

    [row] = sold(visited(act))
    assert (row.state, row.delivered_wh) == ("CANCELLED", None)


@pytest.mark.parametrize(
    ("action", "change", "code", "path"),
    [
        ("select", {"intervals": []}, "30000", "commitmentAttributes"),
        ("select", {"payloadDescriptors": [{"payloadType": "REQUESTED_QTY", "units": "THM"}]}, "30000", "Descriptors"),
        ("status", {}, "30010", "contract.id"),
    ],
)
def test_what_cannot_be_is_refused_at_once_with_its_code_and_place(
    action: str, change: Json, code: str, path: str
) -> None:
    async def act(buyer: Buyer) -> None:
        contract = buyer.cart(await buyer.finds(), 0.25)
        contract["commitments"][0]["commitmentAttributes"] |= change
        if action == "status":
            contract = {"id": str(uuid.uuid4())}
        said = await buyer.tell(action, {"contract": contract})
        assert said["status"] == said["message"]["status"] == "NACK"
        assert said["error"]["code"] == said["error"]["errorCode"] == code
        assert path in json.dumps(said["error"])

    assert sold(visited(act)) == []


def test_one_message_id_is_of_one_message() -> None:
    async def act(buyer: Buyer) -> None:
        offer, message_id = await buyer.finds(), str(uuid.uuid4())
        carts = [{"contract": buyer.cart(offer, kwh)} for kwh in (0.25, 0.25, 0.5)]
        said = [await buyer.tell("select", cart, messageId=message_id) for cart in carts]
        assert [one["status"] for one in said] == ["ACK", "ACK", "NACK"]
        await buyer.hears("on_select")

    assert len(sold(visited(act))) == 1
