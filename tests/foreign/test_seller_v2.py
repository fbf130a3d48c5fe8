"""A seller from elsewhere that speaks Beckn v2.0.0 LTS: a household buys from it, until all is paid or refused."""

from __future__ import annotations

import json
import uuid
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest

from tests.foreign.partner import Json
from tests.foreign.platform_v2 import SCHEMAS
from tests.foreign.play_v2 import URL, V2, VisitorV2, visited_by
from tests.street.puppet import PUPPET, SEED
from tests.world.street import SLOT_S, Hands, Street
from wattmesh_agents.store.evidence import kept
from wattmesh_beckn.evidence import Proof, check
from wattmesh_beckn.registry import SubscriberType
from wattmesh_cli.books import ContractRow

BUYER = "low-0"
CHEAP = 0.05


class Seller(VisitorV2):
    """The platform as a seller, which sells once to a household, one step after the other."""

    role: SubscriberType = "BPP"

    def __init__(self) -> None:
        super().__init__()
        self.contract_id: str | None = None
        """Said from `on_init` on where it is set; else the contract gets its id with its confirmation."""

    async def offer(self, *, provider: str = "mill", slots: int = 1, **attributes: Any) -> None:
        """Publish what one has for whom it sells."""
        catalog = self.catalog(self.street.next_slot, CHEAP, slots=slots)
        catalog |= {"provider": {"id": provider, "descriptor": {"name": provider}}, **attributes}
        self.offered = catalog["offers"][0]
        call = self.call("catalog/publish", {"catalogs": [catalog]}, self.street.clock.wall())
        assert (await self.send(call, "gateway"))["status"] == "ACK"
        [result] = (await self.hears("catalog/on_publish"))["message"]["results"]
        assert result["status"] == "ACCEPTED"

    async def until_slot_of_its_own(self) -> None:
        """Wait for the begin of a slot: what is published now is found for the next one."""
        await self.street.until_slot(self.street.next_slot)

    async def quote(self, price: float | None = None, **changes: Any) -> Json:
        """Quote what is selected, or some other price; the call that selects."""
        select = await self.hears("select", BUYER)
        self.transaction = select["context"]["transactionId"]
        [self.commitment] = select["message"]["contract"]["commitments"]
        assert self.commitment["offer"]["id"] == self.offered["id"]
        kwh = self.commitment["commitmentAttributes"]["intervals"][0]["payloads"][0]["values"][0]
        self.price = round(kwh * CHEAP, 7) if price is None else price
        await self.says("on_select", self.contract("DRAFT", **changes), select)
        return select

    def contract(self, status: str, **changes: Any) -> Json:
        """The contract in this platform's words."""
        flows = [
            {"role": "buyerPlatform", "value": -self.price, "currency": "EUR"},
            {"role": "sellerPlatform", "value": self.price, "currency": "EUR"},
        ]
        attributes = {"@context": f"{SCHEMAS}/RevenueFlow/v2.0/context.jsonld", "@type": "RevenueFlow"}
        money = {"id": "money", "status": {"code": "AGREED"}, "considerationAttributes": attributes}
        money["considerationAttributes"] = {**attributes, "revenueFlows": flows}
        named = {} if self.contract_id is None else {"id": self.contract_id}
        contract = {"status": {"code": status}, "commitments": [self.commitment], "consideration": [money]}
        return {**named, **contract, **changes}

    async def agree(self) -> None:
        """Ask for two payments."""
        init = await self.hears("init", BUYER)
        halves = [self.settlement(f"part-{number}", self.price / 2, "DRAFT") for number in (1, 2)]
        await self.says("on_init", self.contract("DRAFT", settlements=halves), init)

    def settlement(self, name: str, amount: float, status: str, kind: str = "SettlementTerm") -> Json:
        """What is due, or was paid."""
        attributes = {"@context": f"{SCHEMAS}/{kind}/v2.0/context.jsonld", "@type": kind}
        amount_due = {"value": round(amount, 8), "currency": "EUR"}
        return {"id": name, "status": status, "settlementAttributes": {**attributes, "amount": amount_due}}

    async def confirm(self) -> None:
        """Take the order, under an id at last, and say no more of it than that."""
        confirm = await self.hears("confirm", BUYER)
        assert confirm["message"]["contract"].get("id") == self.contract_id
        self.contract_id = self.contract_id or str(uuid.uuid4())
        await self.says("on_confirm", {"id": self.contract_id, "status": {"code": "ACTIVE"}}, confirm)

    async def sell(self) -> None:
        """All of that."""
        await self.offer()
        await self.quote()
        await self.agree()
        await self.confirm()

    async def until_delivered(self) -> None:
        """Wait for the end of the slot that was sold."""
        await self.street.until_slot(self.street.next_slot + SLOT_S, part=0.1)

    async def paid(self) -> None:
        """Take the payment and give a receipt."""
        update = await self.hears("update", BUYER)
        [payment] = update["message"]["contract"]["settlements"]
        assert payment["settlementAttributes"]["@type"] == "PaymentAction"
        received = self.settlement("whatever", payment["settlementAttributes"]["amount"]["value"], "COMPLETE")
        received["settlementAttributes"] |= {"@type": "PaymentAction", "paymentStatus": "SETTLED"}
        await self.says("on_update", {"id": self.contract_id, "settlements": [received]}, update)

    async def says(self, action: str, contract: Json, request: Json | None = None) -> None:
        """Say something of the contract that is taken."""
        answer = await self.tell(action, {"message": {"contract": contract}}, request)
        assert answer["status"] == "ACK", answer

    async def tell(self, action: str, content: Json, request: Json | None = None) -> Json:
        """Say something to the buyer; its answer, which it has signed."""
        now, buyer = self.street.clock.wall(), {"bapId": f"{BUYER}.default", "bapUri": f"http://{BUYER}/{BUYER}"}
        me = {"bppId": self.id, "bppUri": URL}
        named = {} if request is None else {"messageId": request["context"]["messageId"]}
        call = self.call(action, {}, now, transactionId=self.transaction, **buyer, **me, **named)
        del call["context"]["ttl"], call["message"]  # LTS needs neither
        return await self.send({**call, **content}, BUYER, request)


def visited(act: Callable[[Seller], Awaitable[None]], hours: float = 1.5, hands: Hands | None = None) -> Street:
    """Run the street with a seller that does `act`."""

    async def begin(seller: Seller) -> None:
        await seller.until_slot_of_its_own()
        await act(seller)

    return visited_by(Seller(), begin, hours, hands)


def bought(street: Street) -> list[ContractRow]:
    """What the household has bought of the seller, slot by slot."""
    return [row for row in street.contracts("buyer") if row.counterparty == PUPPET and row.order_id]


def test_a_household_buys_what_a_platform_publishes_for_another_and_pays() -> None:
    """The contract's id comes with its confirmation, and that all is delivered is a bare COMPLETE."""

    async def act(seller: Seller) -> None:
        await seller.sell()
        await seller.until_delivered()
        await seller.says("on_status", {"id": seller.contract_id, "status": {"code": "COMPLETE"}})
        await seller.paid()

    [row] = bought(visited(act))
    assert (row.state, row.provider) == ("SETTLED", "mill")
    assert row.delivered_wh == row.energy_wh > 0
    assert row.settled_micro == row.amount_micro == round(row.energy_wh * CHEAP * 1000)


def test_what_it_signs_over_the_buyers_requests_proves_the_contract_to_anybody() -> None:
    proofs: list[Proof] = []
    without: list[str] = []

    async def act(seller: Seller) -> None:
        await seller.offer()
        await seller.quote()
        await seller.agree()
        confirm = await seller.hears("confirm", BUYER)
        seller.contract_id = str(uuid.uuid4())
        await seller.says("on_confirm", seller.contract("ACTIVE"), confirm)
        await seller.until_delivered()
        await seller.says("on_status", seller.contract("COMPLETE"))
        await seller.paid()
        pods = seller.street.run.pods.values()
        sides = [side for pod in pods for side in kept(pod.database.connection, seller.transaction, "EUR")]
        proofs.extend(check(side, sides) for side in sides)
        for side in sides:
            bare = [message.model_copy(update={"request_signature": None}) for message in side.messages]
            without.extend(check(side.model_copy(update={"messages": tuple(bare)})).problems)

    visited(act)
    [proof] = proofs
    assert [message.action for message in proof.side.messages] == ["on_confirm", "on_status", "on_update"]
    assert [bool(message.request_signature) for message in proof.side.messages] == [True, False, True]
    assert proof.problems == ()
    assert all(one.delivered and one.paid for one in proof.deliveries)
    assert [text.partition(" of ")[0] for text in without] == ["on_confirm", "on_update"]


@pytest.mark.parametrize(
    ("parts", "state"),
    [
        ({"status": {"code": "CANCELLED", "shortDesc": "the wheel is broken"}}, "CANCELLED"),
        ({"status": {"code": "ACTIVE"}}, "CONFIRMED"),
    ],
)
def test_what_it_says_of_a_contract_is_understood(parts: Json, state: str) -> None:
    async def act(seller: Seller) -> None:
        seller.contract_id = str(uuid.uuid4())
        await seller.sell()
        await seller.says("on_cancel" if state == "CANCELLED" else "on_status", {"id": seller.contract_id, **parts})

    [row] = bought(visited(act, 0.8))
    assert row.state == state


def test_or_refused_at_once() -> None:
    said: list[Json] = []

    async def act(seller: Seller) -> None:
        await seller.sell()
        for parts in ({"status": {"code": "ON_HOLD"}}, {}, {"status": {"code": "DRAFT"}}):
            contract = {"id": seller.contract_id, **parts}
            said.append((await seller.tell("on_status", {"message": {"contract": contract}}))["error"])

    [row] = bought(visited(act, 0.8))
    assert row.state == "CONFIRMED"
    assert [(one["errorCode"], one["paths"]) for one in said] == [
        ("40000", "message.contract.status.code"),
        ("40000", "message.contract.status"),
        ("40000", "message.contract.status"),
    ]


def test_less_than_was_ordered_is_paid_by_what_came() -> None:
    async def act(seller: Seller) -> None:
        await seller.sell()
        await seller.until_delivered()
        series = seller.commitment["commitmentAttributes"]
        [interval] = series["intervals"]
        half = interval["payloads"][0]["values"][0] / 2
        told = {**interval, "payloads": [*interval["payloads"], {"type": "FINAL_ALLOC", "values": [half]}]}
        commitment = {**seller.commitment, "commitmentAttributes": {**series, "intervals": [told]}}
        await seller.says("on_status", seller.contract("COMPLETE", commitments=[commitment]))
        await seller.paid()

    [row] = bought(visited(act))
    assert (row.state, row.delivered_wh) == ("SETTLED", (row.energy_wh + 1) // 2)
    assert row.settled_micro == pytest.approx(row.amount_micro / 2, abs=50)


@pytest.mark.parametrize("where", ["beside", "within"])
@pytest.mark.parametrize("step", ["on_select", "on_init"])
def test_an_error_in_place_of_an_answer_sends_the_buyer_to_the_next_seller(step: str, where: str) -> None:
    transactions: list[str] = []

    async def act(seller: Seller) -> None:
        await seller.offer()
        if step == "on_init":
            await seller.quote()
        request = await seller.hears(step.removeprefix("on_"), BUYER)
        seller.transaction = request["context"]["transactionId"]
        transactions.append(seller.transaction)
        error: Json = {"error": {"errorCode": "40002", "errorMessage": "the river is dry"}}
        content = {"message": {}, **error} if where == "beside" else {"message": error}
        assert (await seller.tell(step, content, request))["status"] == "ACK"

    street = visited(act, 0.8)
    others = {row.counterparty for row in street.contracts("buyer") if row.transaction_id in transactions}
    assert others - {PUPPET} <= {"utility.default", "roof-0.default"}
    assert others - {PUPPET}


def test_a_dearer_quote_is_refused_and_the_slot_not_lost() -> None:
    answers: list[Json] = []
    transactions: list[str] = []

    async def act(seller: Seller) -> None:
        await seller.offer()
        select = await seller.hears("select", BUYER)
        seller.heard.append(select)
        seller.transaction = select["context"]["transactionId"]
        transactions.append(seller.transaction)
        [seller.commitment] = select["message"]["contract"]["commitments"]
        seller.price = 9.0
        contract = {"message": {"contract": seller.contract("DRAFT")}}
        answers.append((await seller.tell("on_select", contract, select))["error"])

    street = visited(act, 0.8)
    assert [one["errorCode"] for one in answers] == ["40003"]
    assert [row for row in street.contracts("buyer") if row.transaction_id in transactions and row.order_id]


@pytest.mark.parametrize(
    "answer",
    [
        {"status": "ACK"},
        {"message": {"status": "ACK"}},
        {"message": {"ack": {"status": "ACK"}}},
        {"status": "ACK", "signature": "Signature nothing"},
    ],
    ids=["LTS", "adapter", "v1", "wrongly signed"],
)
def test_an_acknowledgement_comes_in_several_forms(answer: Json) -> None:
    async def act(seller: Seller) -> None:
        seller.answer = json.dumps(answer).encode()
        await seller.sell()

    [row] = bought(visited(act, 0.8))
    assert row.state == "CONFIRMED"


def in_unit(commitment: Json, unit: str, factor: float) -> Json:
    """A commitment whose energy is said in another unit."""
    series = commitment["commitmentAttributes"]
    descriptors = [{"payloadType": "REQUESTED_QTY", "units": unit}]
    [interval] = series["intervals"]
    [kwh] = interval["payloads"][0]["values"]
    told = {"id": 0, "payloads": [{"type": "REQUESTED_QTY", "values": [kwh * factor]}]}
    return {
        **commitment,
        "commitmentAttributes": {**series, "payloadDescriptors": descriptors, "intervals": [told]},
    }


@pytest.mark.parametrize(("unit", "factor"), [("WH", 1000), ("MWH", 0.001), ("kWh", 1)])
def test_a_quote_may_be_in_another_unit(unit: str, factor: float) -> None:
    async def act(seller: Seller) -> None:
        await seller.offer()
        select = await seller.hears("select", BUYER)
        seller.heard.append(select)
        [commitment] = select["message"]["contract"]["commitments"]
        await seller.quote(commitments=[in_unit(commitment, unit, factor)])
        await seller.agree()
        await seller.confirm()

    [row] = bought(visited(act, 0.8))
    assert row.state == "CONFIRMED"


def test_a_quote_may_say_its_price_by_the_kwh_alone() -> None:
    async def act(seller: Seller) -> None:
        await seller.offer()
        select = await seller.hears("select", BUYER)
        seller.heard.append(select)
        [commitment] = select["message"]["contract"]["commitments"]
        series = commitment["commitmentAttributes"]
        [interval] = series["intervals"]
        price = {"type": "PRICE_PER_KWH", "values": [CHEAP]}
        told = {**series, "intervals": [{**interval, "payloads": [*interval["payloads"], price]}]}
        await seller.quote(consideration=[], commitments=[{**commitment, "commitmentAttributes": told}])
        await seller.agree()
        await seller.confirm()

    [row] = bought(visited(act, 0.8))
    assert (row.state, row.amount_micro) == ("CONFIRMED", round(row.energy_wh * CHEAP * 1000))


def test_one_offer_may_be_for_several_slots() -> None:
    async def act(seller: Seller) -> None:
        await seller.offer(slots=4)
        await seller.quote()
        await seller.agree()
        await seller.confirm()

    [row] = bought(visited(act, 0.8))
    assert row.state == "CONFIRMED"


@pytest.mark.parametrize("named", [True, False])
def test_who_hears_nothing_of_its_confirm_asks(named: bool) -> None:
    """By the contract's id, where it has one; else it confirms again."""

    async def act(seller: Seller) -> None:
        seller.contract_id = str(uuid.uuid4()) if named else None
        await seller.offer()
        await seller.quote()
        await seller.agree()
        lost = await seller.hears("confirm", BUYER)
        asked = await seller.hears("status" if named else "confirm", BUYER)
        if named:
            assert asked["message"]["contract"]["id"] == seller.contract_id
            await seller.says("on_status", {"id": seller.contract_id, "status": {"code": "ACTIVE"}}, asked)
        else:
            assert asked["context"]["messageId"] == lost["context"]["messageId"]
            seller.heard.append(asked)
            await seller.confirm()

    [row] = bought(visited(act, 0.8))
    assert row.state == "CONFIRMED"


@pytest.mark.parametrize("step", ["select", "init", "confirm"])
def test_a_buyer_that_was_stopped_takes_what_is_signed_over_its_request(step: str, tmp_path: Path) -> None:
    """Who died after its request was taken knows its signature from the journal."""
    hands = Hands(V2, SEED, tmp_path)
    answers: list[Json] = []

    async def act(seller: Seller) -> None:
        await seller.offer()
        if step != "select":
            await seller.quote()
        if step == "confirm":
            await seller.agree()
        request = await seller.hears(step, BUYER)
        await seller.street.clock.sleep(0.0)
        await hands.kill(BUYER)
        hands.revive(BUYER)
        seller.heard.append(request)
        seller.commitment = request["message"]["contract"]["commitments"][0]
        seller.transaction = request["context"]["transactionId"]
        if step == "confirm":
            await seller.confirm()
        else:
            seller.price = 0.001
            contract = {"message": {"contract": seller.contract("DRAFT")}}
            answers.append(await seller.tell(f"on_{step}", contract, request))

    rows = bought(visited(act, 0.8, hands))
    # What was sought is gone with the process, so a quote is not waited for any more: that is no matter of signatures.
    assert not any("signature" in json.dumps(one.get("error", {})) for one in answers)
    assert [row.state for row in rows] == (["CONFIRMED"] if step == "confirm" else [])
