"""A household that buys: what it believes of its sellers, and what it refuses."""

from __future__ import annotations

from dataclasses import replace

import pydantic_core

from tests.agents.support import (
    CURRENCY,
    FIRST_SLOT,
    HandClock,
    Node,
    Weather,
    battery,
    call,
    entry,
    household,
    uuid_of,
)
from wattmesh_agents.parties.household import Household
from wattmesh_agents.parties.terms import agreed_order, item_id, quoted_order, status_order
from wattmesh_agents.store.contracts import Purchase
from wattmesh_agents.trade.contracts import Contract, ContractState, Side
from wattmesh_beckn.context import Action, BecknModel
from wattmesh_beckn.messages import OnInitMessage, OnSelectMessage, OnStatusMessage
from wattmesh_market.energy.profiles import SlotProfile
from wattmesh_market.strategies import Buy, Hold
from wattmesh_market.trade.offers import Offer

BUYER, ANN, BOB = "home-0.default", "ann.default", "bob.default"
NEXT = FIRST_SLOT + 900
T1, T2 = uuid_of("t1"), uuid_of("t2")
PRICE = 200_000


class Customer:
    """A buying household and sellers whose messages are made by hand."""

    def __init__(self, level_wh: int = 1500) -> None:
        self.clock = HandClock()
        self.node = Node(household("home-0", battery(level_wh)), self.clock, Weather(SlotProfile(0, 0)))
        assert isinstance(self.node.party, Household)
        self.home = self.node.party
        self.table = self.node.trader.contracts
        self.messages = 0
        with self.node.database.transaction():
            for seller in (ANN, BOB):
                self.node.trader.peers.meet(entry(seller, "BPP"), self.node.trader.now_ms)

    def want(self, transaction: str, sellers: dict[str, int], attempt: int = 0) -> None:
        """A search was sent, these offered so much, and 500 Wh were selected from each."""
        with self.node.database.transaction():
            purchase = Purchase(transaction, NEXT, attempt, 1000, None, None, closed=False)
            self.table.start_purchase(purchase)
            for seller, available_wh in sellers.items():
                self.table.add_offer(transaction, Offer(seller, item_id(NEXT), PRICE, available_wh))
                self.table.mark_offer(transaction, seller, "selected", 500)

    def hear(self, action: Action, body: BecknModel, seller: str, transaction: str) -> tuple[str, str]:
        """Code and text of the refusal; two empty texts for ACK."""
        self.messages += 1
        message = call(
            action, body, sender=seller, recipient=BUYER, transaction_id=transaction, now=self.clock.now,
            message_id=uuid_of("message", self.messages),
        )  # fmt: skip
        reply = self.node.dispatcher.receive(self.node.party, message)
        error = pydantic_core.from_json(reply.body).get("error", {"code": "", "message": ""})
        return error["code"], error["message"]

    def terms(self, seller: str, transaction: str, energy_wh: int = 500, **changes: object) -> Contract:
        """The seller's record of a quote for 0.20 per kWh."""
        contract = Contract(
            party=seller, side=Side.SELLER, transaction_id=transaction, counterparty=BUYER, item_id=item_id(NEXT),
            slot=NEXT, energy_wh=energy_wh, amount_micro=PRICE * energy_wh // 1000, state=ContractState.QUOTED,
            expires_ms=int(self.clock.now * 1000) + 14_000, created_ms=0, updated_ms=0,
        )  # fmt: skip
        return replace(contract, **changes)  # type: ignore[arg-type]

    def quote(self, contract: Contract) -> tuple[str, str]:
        body = OnSelectMessage(order=quoted_order(contract, CURRENCY, self.node.trader.now_ms))
        return self.hear("on_select", body, contract.party, contract.transaction_id)

    def agree(self, contract: Contract, order_id: str) -> tuple[str, str]:
        agreed = contract.agreed(order_id, self.node.trader.now_ms)
        body = OnInitMessage(order=agreed_order(agreed, CURRENCY, self.node.trader.now_ms))
        return self.hear("on_init", body, contract.party, contract.transaction_id)

    def report(self, contract: Contract) -> tuple[str, str]:
        body = OnStatusMessage(order=status_order(contract, CURRENCY, self.node.trader.now_ms))
        return self.hear("on_status", body, contract.party, contract.transaction_id)

    def state(self, seller: str, transaction: str) -> ContractState | None:
        contract = self.table.get(transaction, seller)
        return contract.state if contract else None


TAKEN = ("", "")


def in_doubt(customer: Customer) -> Contract:
    """The customer has confirmed 500 Wh of Ann; returns Ann's record."""
    customer.want(T1, {ANN: 500})
    contract = customer.terms(ANN, T1)
    assert customer.quote(contract) == TAKEN
    assert customer.agree(contract, "o-1") == TAKEN
    with customer.node.database.transaction():
        customer.home.buyer.confirm(T1)
    return replace(contract, state=ContractState.CONFIRMED, order_id="o-1")


def test_a_quote_for_less_or_cheaper_is_taken() -> None:
    customer = Customer()
    customer.want(T1, {ANN: 500})
    assert customer.quote(customer.terms(ANN, T1, 300, amount_micro=1)) == TAKEN
    assert customer.state(ANN, T1) is ContractState.QUOTED


def test_a_quote_for_more_or_dearer_is_refused() -> None:
    customer = Customer()
    customer.want(T1, {ANN: 900, BOB: 900})
    assert customer.quote(customer.terms(ANN, T1, 501)) == ("40003", "quoted 0.501 kWh but 0.500 kWh was selected")
    assert customer.quote(customer.terms(BOB, T1, 500, amount_micro=100_001)) == (
        "40003",
        "quoted 0.100001 EUR but the offer makes it 0.100000 EUR",
    )
    assert customer.state(ANN, T1) is customer.state(BOB, T1) is None


def test_two_sellers_may_number_their_orders_alike() -> None:
    customer = Customer()
    customer.want(T1, {ANN: 500, BOB: 500})
    for seller in (ANN, BOB):
        contract = customer.terms(seller, T1)
        assert customer.quote(contract) == TAKEN
        assert customer.agree(contract, "1") == TAKEN
    assert customer.state(ANN, T1) is customer.state(BOB, T1) is ContractState.AGREED


def test_one_seller_may_not_use_an_order_id_twice() -> None:
    customer = Customer()
    for transaction, attempt in ((T1, 0), (T2, 1)):
        customer.want(transaction, {ANN: 500}, attempt)
        assert customer.quote(customer.terms(ANN, transaction)) == TAKEN
    assert customer.agree(customer.terms(ANN, T1), "1") == TAKEN
    assert customer.agree(customer.terms(ANN, T2), "1") == ("40000", "'1' is the id of another order")
    assert customer.state(ANN, T1) is ContractState.AGREED
    assert customer.state(ANN, T2) is ContractState.QUOTED


def test_who_bought_in_a_transaction_cannot_sell_in_it() -> None:
    """Else its quote would push out what was sold to it."""
    customer = Customer()
    customer.want(T1, {ANN: 500})
    sold = replace(customer.terms(ANN, T1), party=BUYER, counterparty=ANN, state=ContractState.CONFIRMED)
    with customer.node.database.transaction():
        customer.table.put(sold)
    assert customer.quote(customer.terms(ANN, T1)) == (
        "40000",
        "'ann.default' buys in this transaction; it cannot sell in it, too",
    )
    assert customer.table.get(T1, ANN) == sold


def test_in_doubt_nothing_is_guessed() -> None:
    customer = Customer()
    in_doubt(customer)
    customer.clock.now += 100
    customer.node.dispatcher.open_slot(customer.node.party)
    contract = customer.table.get(T1, ANN)
    assert contract is not None
    assert (contract.state, contract.in_doubt) == (ContractState.AGREED, True)
    reading = customer.node.trader.meter.reading(NEXT)
    assert reading is not None
    assert reading.state == "open", "until the seller has said what it delivered"
    assert (reading.metered.bought_wh, reading.metered.imported_wh) == (0, 500)
    assert customer.node.trader.meter.state().level_wh == 1500 + 475


def test_what_the_seller_delivered_is_booked_once_and_what_it_did_not_is_import() -> None:
    customer = Customer()
    contract = in_doubt(customer)
    customer.clock.now += 31
    delivered = contract.delivered(400, 80_000, 0)
    for _ in range(2):
        assert customer.report(delivered) == TAKEN
    assert customer.node.trader.meter.totals() == (0, 400, -80_000)
    reading = customer.node.trader.meter.reading(NEXT)
    assert reading is not None
    assert (reading.state, reading.metered.bought_wh, reading.metered.imported_wh) == ("final", 400, 100)
    again = customer.report(replace(delivered, delivered_wh=500, settled_micro=100_000))
    assert again == ("40000", "a delivery of 0.400 kWh is booked already")
    assert customer.node.trader.meter.totals() == (0, 400, -80_000), "the first word counts"


def test_no_delivery_is_believed_that_cannot_be() -> None:
    customer = Customer()
    contract = in_doubt(customer)
    delivered = contract.delivered(400, 80_000, 0)
    assert customer.report(delivered) == ("40000", "delivery reported before its slot has ended")
    customer.clock.now += 31
    too_much = replace(delivered, delivered_wh=501)
    assert customer.report(too_much) == ("40000", "delivery of 0.501 kWh for an order of 0.500 kWh")
    assert customer.report(replace(delivered, settled_micro=80_001)) == (
        "40000",
        "0.080001 is not what 0.400 kWh of this order cost",
    )
    assert customer.node.trader.meter.totals() == (0, 0, 0)


def test_a_seller_that_never_reports_does_not_keep_the_buyer_from_buying() -> None:
    """What was to come in a slot that is metered is in the battery already, at the backstop's price if it must."""
    customer = Customer()
    contract = in_doubt(customer)
    assert customer.report(contract) == TAKEN
    assert customer.state(ANN, T1) is ContractState.CONFIRMED
    customer.clock.now += 31
    customer.node.dispatcher.open_slot(customer.node.party)
    level_wh = customer.node.trader.meter.state().level_wh
    assert level_wh == 1975
    decision = customer.home.decide(customer.node.trader.current_slot + 900)
    # 3025 Wh are missing to the target of 5000; a slot takes 1000.
    assert isinstance(decision, Buy)
    assert decision.energy_wh == 1000
    low = Customer(level_wh=4600)
    in_doubt(low)
    low.clock.now += 31
    with low.node.database.transaction():
        low.home.catch_up()
        state = low.node.trader.meter.state()
        low.node.trader.meter.set_state(replace(state, level_wh=4600, buying=True))
    decision = low.home.decide(low.node.trader.current_slot + 900)
    assert isinstance(decision, Buy)
    assert decision.energy_wh == 422, "400 Wh in the store, and nothing taken off for what is past"


def test_who_drains_makes_no_new_contracts() -> None:
    customer = Customer()
    customer.node.trader.draining = True
    assert customer.home.decide(NEXT) == Hold()
    assert not customer.home.sells(NEXT)
