"""A household that sells, to any number of buyers that say whatever they like in whatever order.

The buyers are no wattmesh: each message is made by hand, many of them wrong. Whatever comes, the seller promises no
more than it has, and what it has confirmed it delivers.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import pydantic_core
import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from tests.agents.support import (
    FIRST_SLOT,
    GRID,
    SLOT_WALL_S,
    HandClock,
    Node,
    Weather,
    battery,
    book_of,
    call,
    entry,
    household,
    utility,
    uuid_of,
)
from wattmesh_agents.parties.household import Household
from wattmesh_agents.parties.terms import item_id, select_order, selected
from wattmesh_agents.parties.trader import delivery
from wattmesh_agents.trade.contracts import DELIVERED, PROMISED, TENTATIVE, Contract, ContractState, Side
from wattmesh_beckn.context import Action, BecknModel, Code
from wattmesh_beckn.errors import ErrorCode, Refusal
from wattmesh_beckn.messages import (
    AgreedOrder,
    Billing,
    CancelMessage,
    ConfirmMessage,
    InitMessage,
    InitOrder,
    Intent,
    IntentItem,
    OnInitMessage,
    OnSearchMessage,
    OnSelectMessage,
    OnStatusMessage,
    Payment,
    PaymentParams,
    SearchMessage,
    SelectMessage,
    StatusMessage,
    UpdatedOrder,
    UpdateMessage,
    read_call,
)
from wattmesh_beckn.receiver import Received
from wattmesh_cli.audit import audit
from wattmesh_cli.books import Book, LedgerEntry, Offer
from wattmesh_cli.books import Party as PartyRow
from wattmesh_market.energy.availability import Promise, held_wh
from wattmesh_market.energy.profiles import SlotProfile
from wattmesh_market.pricing import PRICINGS
from wattmesh_market.units import amount_micro, share_micro

SELLER, NEXT = "roof-0.default", FIRST_SLOT + 900
PRICE = 200_001
"""Odd, so that amounts need rounding."""


class Counter:
    """A selling household and somebody who talks to it."""

    def __init__(
        self,
        level_wh: int = 9000,
        weather: Weather | None = None,
        *,
        sell_percent: int = 80,
        pricing: str = "fixed",
        **of_battery: int,
    ) -> None:
        self.clock = HandClock()
        config = household(
            "roof-0",
            battery(level_wh, **of_battery),
            price_micro=PRICE,
            buy_percent=min(20, sell_percent),
            sell_percent=sell_percent,
            pricing=pricing,
        )
        self.node = Node(config, self.clock, weather or Weather())
        assert isinstance(self.node.party, Household)
        self.home = self.node.party
        self.messages = 0

    def say(self, action: Action, body: BecknModel, buyer: str, transaction: str) -> BecknModel | Refusal:
        """Send a message; returns the callback's body, or the refusal."""
        self.messages += 1
        message = call(
            action,
            body,
            sender=buyer,
            recipient=SELLER,
            transaction_id=transaction,
            now=self.clock.now,
            message_id=uuid_of("message", self.messages),
        )
        return self.hear(message)

    def hear(self, message: Received) -> BecknModel | Refusal:
        seller = self.home.seller
        handler = {
            "search": seller.offer,
            "select": seller.quote,
            "init": seller.agree,
            "confirm": seller.commit,
            "status": seller.report,
            "cancel": seller.withdraw,
            "update": seller.receive_payment,
        }[message.action]
        try:
            with self.node.database.transaction():
                self.node.trader.peers.meet(message.sender, self.node.trader.now_ms)
                self.home.catch_up()
                self.node.posted.clear()  # deliveries that catching up told; they are read where they matter
                handler(message)
        except Refusal as refusal:
            return refusal
        answer = self.node.posted.pop()
        assert (answer.action, answer.recipient) == (f"on_{message.action}", message.context.bap_id)
        return read_call(answer.action, pydantic_core.from_json(answer.body)).message

    def pass_slots(self, number: int) -> None:
        """Go to the start of a later slot and meter what ended."""
        slot = self.node.trader.current_slot + 900 * number
        self.clock.now = self.node.trader.around.grid.wall_at(slot)
        with self.node.database.transaction():
            self.home.catch_up()

    def contract(self, transaction: str, buyer: str) -> Contract:
        contract = self.node.trader.contracts.get(transaction, buyer)
        assert contract is not None
        return contract

    def sales(self) -> list[Contract]:
        return self.node.trader.contracts.in_states(Side.SELLER, ContractState)


def search(slot: int, energy_wh: int = 500) -> SearchMessage:
    return SearchMessage(
        intent=Intent(
            item=IntentItem(descriptor=Code(code="energy"), quantity=selected(energy_wh)), fulfillment=delivery(slot)
        )
    )


def select(slot: int, energy_wh: int) -> SelectMessage:
    return SelectMessage(order=select_order(SELLER, item_id(slot), slot, energy_wh))


def init(quote: OnSelectMessage, buyer: str) -> InitMessage:
    return InitMessage(order=InitOrder(**dict(quote.order), billing=Billing(name=buyer)))


def confirm(terms: OnInitMessage) -> ConfirmMessage:
    return ConfirmMessage(order=AgreedOrder(**dict(terms.order)))


def payment(order_id: str, amount: int) -> UpdateMessage:
    paid = Payment(status="PAID", params=PaymentParams(amount_micro=amount, currency="EUR"))
    return UpdateMessage(update_target="order.payments", order=UpdatedOrder(id=order_id, payments=(paid,)))


ANN, BOB = "ann.default", "bob.default"
T1, T2 = uuid_of("t1"), uuid_of("t2")


def quoted(
    counter: Counter, energy_wh: int, buyer: str = ANN, transaction: str = T1, slot: int = NEXT
) -> OnSelectMessage:
    quote = counter.say("select", select(slot, energy_wh), buyer, transaction)
    assert isinstance(quote, OnSelectMessage), quote
    return quote


def agreed(
    counter: Counter, energy_wh: int, buyer: str = ANN, transaction: str = T1, slot: int = NEXT
) -> OnInitMessage:
    terms = counter.say("init", init(quoted(counter, energy_wh, buyer, transaction, slot), buyer), buyer, transaction)
    assert isinstance(terms, OnInitMessage), terms
    return terms


def confirmed(counter: Counter, energy_wh: int, buyer: str = ANN, transaction: str = T1, slot: int = NEXT) -> str:
    terms = agreed(counter, energy_wh, buyer, transaction, slot)
    answer = counter.say("confirm", confirm(terms), buyer, transaction)
    assert not isinstance(answer, Refusal), answer
    return terms.order.id


def refusal(answer: BecknModel | Refusal) -> tuple[str, str]:
    assert isinstance(answer, Refusal), answer
    return str(answer.code), answer.message


# --- examples ---


def test_an_offer_holds_nothing_and_a_quote_does() -> None:
    counter = Counter(level_wh=8500)
    for _ in range(2):
        answer = counter.say("search", search(NEXT), ANN, T1)
        assert isinstance(answer, OnSearchMessage)
        item = answer.catalog.providers[0].items[0]
        assert (item.quantity.available.measure.energy_wh, item.price.value_micro) == (450, PRICE)
    assert quoted(counter, 300).order.energy_wh == 300
    answer = counter.say("search", search(NEXT), BOB, T2)
    assert isinstance(answer, OnSearchMessage)
    # 300 Wh hold 334 of the store's 500; 166 give 149.
    assert answer.catalog.providers[0].items[0].quantity.available.measure.energy_wh == 149


def test_a_quote_is_for_less_when_less_is_left_and_refused_when_nothing_is() -> None:
    counter = Counter(level_wh=8500)
    assert quoted(counter, 9000).order.energy_wh == 450
    answer = counter.say("select", select(NEXT, 100), BOB, T2)
    assert refusal(answer) == (ErrorCode.QUANTITY_UNAVAILABLE, "nothing to sell for 06:15-06:30")


def test_a_quote_is_rounded_once() -> None:
    counter = Counter()
    order = quoted(counter, 333).order
    # 0.200001 x 0.333 = 0.066600333
    assert order.quote.price.value_micro == 66_600
    assert order.quote.breakup[0].price.value_micro == 66_600


@pytest.mark.parametrize("pricing", PRICINGS)
def test_a_quote_costs_what_the_offer_said_whatever_was_reserved_meanwhile(pricing: str) -> None:
    counter = Counter(level_wh=9500, weather=Weather(SlotProfile(200, 100)), pricing=pricing)
    counter.pass_slots(1)
    slot = NEXT + 900
    offer = counter.say("search", search(slot), ANN, T1)
    assert isinstance(offer, OnSearchMessage)
    confirmed(counter, 300, BOB, T2, slot)
    counter.clock.now += 10  # of the slot's 15 s
    quote = quoted(counter, 500, ANN, T1, slot)
    price_micro = offer.catalog.providers[0].items[0].price.value_micro
    assert quote.order.quote.price.value_micro == amount_micro(price_micro, 500)


def test_an_expired_quote_is_free_for_others() -> None:
    counter = Counter(level_wh=8500)
    quoted(counter, 450, slot=NEXT + 2700)
    counter.clock.now += 30
    assert quoted(counter, 450, BOB, T2, slot=NEXT + 2700).order.energy_wh == 450
    assert counter.contract(T1, ANN).state is ContractState.EXPIRED


def test_a_confirmed_sale_is_delivered_at_the_end_of_its_slot_and_paid() -> None:
    counter = Counter(weather=Weather(SlotProfile(pv_wh=0, load_wh=900)))
    order_id = confirmed(counter, 777)
    amount = counter.contract(T1, ANN).amount_micro
    assert refusal(counter.say("update", payment(order_id, amount), ANN, T1)) == (
        ErrorCode.BUSINESS_ERROR,
        "nothing to pay yet: the order is CONFIRMED",
    )
    counter.pass_slots(2)
    (told,) = [message for message in counter.node.posted if message.action == "on_status"]
    order = read_call("on_status", pydantic_core.from_json(told.body)).message
    assert isinstance(order, OnStatusMessage)
    assert (order.order.delivered_wh, order.order.state) == (777, "DELIVERED")
    [booked] = counter.node.trader.meter.entries(["trade"], NEXT, ANN)
    assert (booked.energy_wh, booked.amount_micro) == (-777, amount)
    assert refusal(counter.say("update", payment(order_id, amount - 1), ANN, T1))[0] == ErrorCode.BUSINESS_ERROR
    for _ in range(2):
        assert not isinstance(counter.say("update", payment(order_id, amount), ANN, T1), Refusal)
    assert counter.contract(T1, ANN).state is ContractState.SETTLED


def test_a_battery_made_smaller_delivers_what_is_left_at_its_share_of_the_price() -> None:
    counter = Counter(level_wh=9000)
    confirmed(counter, 500)
    confirmed(counter, 300, BOB, T2)
    counter.home.battery = replace(counter.home.battery, capacity_wh=1667)
    counter.pass_slots(2)
    ann, bob = counter.contract(T1, ANN), counter.contract(T2, BOB)
    # 667 Wh above the minimum give 600: Ann came first.
    assert (ann.delivered_wh, bob.delivered_wh) == (500, 100)
    assert (ann.settled_micro, bob.settled_micro) == (ann.amount_micro, share_micro(bob.amount_micro, 100, 300))


def test_own_load_leaves_what_was_sold_for_a_later_slot() -> None:
    counter = Counter(level_wh=2000, sell_percent=10, weather=Weather(SlotProfile(pv_wh=0, load_wh=5000)))
    # All that lies above the minimum, to be delivered three slots of heavy load later.
    confirmed(counter, 900, slot=NEXT + 1800)
    counter.pass_slots(4)
    assert counter.contract(T1, ANN).delivered_wh == 900
    assert counter.node.trader.meter.state().level_wh == 1000


def test_after_the_gate_nothing_is_confirmed_or_cancelled() -> None:
    counter = Counter()
    terms = agreed(counter, 500)
    order_id = confirmed(counter, 300, BOB, T2)
    counter.pass_slots(1)
    answer = counter.say("confirm", confirm(terms), ANN, T1)
    assert refusal(answer) == (
        ErrorCode.QUOTE_UNAVAILABLE,
        "the quote is EXPIRED: gate closed before it was confirmed",
    )
    answer = counter.say("cancel", CancelMessage(order_id=order_id, cancellation_reason_id="changed-mind"), BOB, T2)
    assert refusal(answer)[0] == ErrorCode.CANCELLATION_NOT_POSSIBLE
    assert counter.contract(T2, BOB).state is ContractState.CONFIRMED


def test_until_the_gate_a_buyer_may_cancel_and_the_energy_is_free_again() -> None:
    counter = Counter(level_wh=8500)
    order_id = confirmed(counter, 450)
    counter.say("cancel", CancelMessage(order_id=order_id, cancellation_reason_id="changed-mind"), ANN, T1)
    contract = counter.contract(T1, ANN)
    assert (contract.state, contract.reason) == (ContractState.CANCELLED, "cancelled by the buyer: changed-mind")
    assert quoted(counter, 450, BOB, T2).order.energy_wh == 450


def test_other_terms_than_quoted_are_refused() -> None:
    counter = Counter()
    quote = quoted(counter, 500)
    cheaper = init(quote, ANN).model_copy(deep=True)
    price = quote.order.quote.price.model_copy(update={"value_micro": 1})
    order = cheaper.order.model_copy(update={"quote": quote.order.quote.model_copy(update={"price": price})})
    answer = counter.say("init", InitMessage(order=order), ANN, T1)
    assert refusal(answer) == (ErrorCode.QUOTE_UNAVAILABLE, "order says 1 but 100001 was quoted")
    assert counter.contract(T1, ANN).state is ContractState.QUOTED


def test_a_strangers_order_id_is_nobodys() -> None:
    counter = Counter()
    order_id = confirmed(counter, 500)
    answer = counter.say("status", StatusMessage(order_id=order_id), BOB, T1)
    assert refusal(answer) == (ErrorCode.ORDER_NOT_FOUND, f"no order {order_id!r} of yours here")
    cancel = CancelMessage(order_id=order_id, cancellation_reason_id="spite")
    assert refusal(counter.say("cancel", cancel, BOB, T1))[0] == ErrorCode.ORDER_NOT_FOUND
    assert counter.contract(T1, ANN).state is ContractState.CONFIRMED


def test_a_transaction_has_one_order_with_a_buyer() -> None:
    counter = Counter()
    quoted(counter, 100)
    answer = counter.say("select", select(NEXT, 100), ANN, T1)
    text = "this transaction has an order here already; search anew"
    assert refusal(answer) == (ErrorCode.BUSINESS_ERROR, text)
    quoted(counter, 100, BOB, T1)


def test_a_seller_in_a_purchase_cannot_turn_it_into_a_sale() -> None:
    """Else whoever sold to a household could make it forget what it owes."""
    counter = Counter()
    bought = Contract(
        party=SELLER, side=Side.BUYER, transaction_id=T1, counterparty=ANN, item_id=item_id(NEXT), slot=NEXT + 900,
        energy_wh=500, amount_micro=1, state=ContractState.CONFIRMED, expires_ms=0, created_ms=0, updated_ms=0,
    )  # fmt: skip
    with counter.node.database.transaction():
        counter.node.trader.contracts.put(bought)
    answer = counter.say("select", select(NEXT, 100), ANN, T1)
    text = "this transaction has an order here already; search anew"
    assert refusal(answer) == (ErrorCode.BUSINESS_ERROR, text)
    assert counter.contract(T1, ANN) == bought


def test_more_than_a_message_can_say_is_offered_in_part() -> None:
    counter = Counter()
    node = Node(utility(capacity_w=10**12), counter.clock)
    buyer = entry(ANN, "BAP")
    message = call("search", search(NEXT), sender=ANN, recipient=GRID, transaction_id=T1, now=counter.clock.now)
    with node.database.transaction():
        node.trader.peers.meet(buyer, node.trader.now_ms)
        node.party.seller.offer(message)
    answer = read_call("on_search", pydantic_core.from_json(node.posted[0].body)).message
    assert isinstance(answer, OnSearchMessage)
    assert answer.catalog.providers[0].items[0].quantity.available.measure.energy_wh == 10**9


@pytest.mark.parametrize(
    ("ahead_s", "text"),
    [
        (0, "gate closed: the delivery slot 06:00-06:15 has started"),
        (-900, "gate closed: the delivery slot 05:45-06:00 has started"),
        (86_400 + 900, "slots are sold up to 24 h ahead"),
    ],
)
def test_slots_out_of_reach_are_not_sold(ahead_s: int, text: str) -> None:
    counter = Counter()
    for action, body in (("search", search(FIRST_SLOT + ahead_s)), ("select", select(FIRST_SLOT + ahead_s, 100))):
        assert refusal(counter.say(action, body, ANN, T1)) == (ErrorCode.BUSINESS_ERROR, text)  # type: ignore[arg-type]


# --- any interleaving ---


@dataclass
class Deal:
    """What a buyer holds of the seller's answers."""

    buyer: str
    transaction: str
    slot: int
    asked_wh: int
    quote: OnSelectMessage
    terms: OnInitMessage | None = None
    confirmed: bool = False
    cancelled: bool = False


class Selling(RuleBasedStateMachine):
    """Searches, orders, cancellations, payments, repetitions and slots, in any order."""

    counter: Counter
    deals: list[Deal]
    seen: dict[tuple[str, str], Contract]

    @initialize(
        level_wh=st.integers(0, 10_000),
        power_w=st.integers(0, 20_000),
        leak=st.sampled_from([0, 0, 1_000, 50_000, 1_000_000]),
        minimum_wh=st.sampled_from([0, 1000, 8500]),
        charge=st.integers(700_000, 1_000_000),
        discharge=st.integers(700_000, 1_000_000),
        sell_percent=st.sampled_from([0, 10, 80]),
    )
    def open_shop(
        self, level_wh: int, power_w: int, leak: int, minimum_wh: int, charge: int, discharge: int, sell_percent: int
    ) -> None:
        self.counter = Counter(
            level_wh=level_wh,
            sell_percent=sell_percent,
            discharge_power_w=power_w,
            self_discharge_ppm_per_day=leak,
            min_level_wh=minimum_wh,
            charge_efficiency_ppm=charge,
            discharge_efficiency_ppm=discharge,
        )
        self.deals, self.seen = [], {}

    def teardown(self) -> None:
        if hasattr(self, "counter"):
            self.close_shop()
            self.counter.node.database.close()

    # --- buyers ---

    @rule(ahead=st.integers(-1, 4), buyer=st.sampled_from([ANN, BOB]))
    def ask(self, ahead: int, buyer: str) -> None:
        slot = self.counter.node.trader.current_slot + 900 * ahead
        before = self.counter.sales()
        answer = self.counter.say("search", search(slot), buyer, uuid_of("looking"))
        if isinstance(answer, OnSearchMessage):
            offered_wh = answer.catalog.providers[0].items[0].quantity.available.measure.energy_wh
            assert offered_wh == self.counter.home.sellable_wh(slot) > 0
            assert ahead > 0
        assert self.counter.sales() == before or ahead <= 0 or any(c.expired(self.now_ms) for c in before)

    @rule(ahead=st.integers(-1, 4), energy_wh=st.integers(1, 3000), buyer=st.sampled_from([ANN, BOB]))
    def order(self, ahead: int, energy_wh: int, buyer: str) -> None:
        slot = self.counter.node.trader.current_slot + 900 * ahead
        transaction = uuid_of("deal", len(self.deals))
        answer = self.counter.say("select", select(slot, energy_wh), buyer, transaction)
        if isinstance(answer, OnSelectMessage):
            quoted_wh, price = answer.order.energy_wh, answer.order.quote.price.value_micro
            assert ahead > 0
            assert 0 < quoted_wh <= energy_wh
            assert price == amount_micro(PRICE, quoted_wh)
            self.deals.append(Deal(buyer, transaction, slot, energy_wh, answer))

    @precondition(lambda self: self.deals)
    @rule(data=st.data())
    def agree(self, data: st.DataObject) -> None:
        deal = data.draw(st.sampled_from(self.deals))
        answer = self.counter.say("init", init(deal.quote, deal.buyer), deal.buyer, deal.transaction)
        if isinstance(answer, OnInitMessage):
            assert deal.terms is None or deal.terms.order.id == answer.order.id
            assert answer.order.payments[0].params.amount_micro == deal.quote.order.quote.price.value_micro
            deal.terms = answer
        else:
            contract = self.counter.contract(
                deal.transaction, deal.buyer
            )  # its expiry was undone with the refused call
            assert contract.state not in TENTATIVE or contract.expired(self.now_ms)

    @precondition(lambda self: any(deal.terms for deal in self.deals))
    @rule(data=st.data())
    def confirm(self, data: st.DataObject) -> None:
        deal = data.draw(st.sampled_from([deal for deal in self.deals if deal.terms]))
        assert deal.terms is not None
        answer = self.counter.say("confirm", confirm(deal.terms), deal.buyer, deal.transaction)
        if isinstance(answer, Refusal):
            assert self.state(deal) is not ContractState.CONFIRMED
        else:
            assert self.state(deal) is ContractState.CONFIRMED
            deal.confirmed = True

    @precondition(lambda self: any(deal.terms for deal in self.deals))
    @rule(data=st.data())
    def cancel(self, data: st.DataObject) -> None:
        deal = data.draw(st.sampled_from([deal for deal in self.deals if deal.terms]))
        assert deal.terms is not None
        message = CancelMessage(order_id=deal.terms.order.id, cancellation_reason_id="changed-mind")
        answer = self.counter.say("cancel", message, deal.buyer, deal.transaction)
        if not isinstance(answer, Refusal):
            assert self.state(deal) in (ContractState.CANCELLED, ContractState.EXPIRED)
            deal.cancelled = True

    @precondition(lambda self: any(deal.terms for deal in self.deals))
    @rule(data=st.data())
    def ask_status(self, data: st.DataObject) -> None:
        deal = data.draw(st.sampled_from([deal for deal in self.deals if deal.terms]))
        assert deal.terms is not None
        answer = self.counter.say("status", StatusMessage(order_id=deal.terms.order.id), deal.buyer, deal.transaction)
        assert isinstance(answer, OnStatusMessage)
        assert answer.order.state == self.state(deal)

    @precondition(lambda self: any(deal.terms for deal in self.deals))
    @rule(data=st.data(), wrong_by=st.sampled_from([0, 0, 1]))
    def pay(self, data: st.DataObject, wrong_by: int) -> None:
        deal = data.draw(st.sampled_from([deal for deal in self.deals if deal.terms]))
        assert deal.terms is not None
        self.meter()
        due = self.counter.contract(deal.transaction, deal.buyer).settled_micro
        answer = self.counter.say(
            "update", payment(deal.terms.order.id, (due or 0) + wrong_by), deal.buyer, deal.transaction
        )
        assert isinstance(answer, Refusal) == (due is None or wrong_by > 0)

    @precondition(lambda self: any(deal.terms for deal in self.deals))
    @rule(data=st.data())
    def say_what_another_agreed(self, data: st.DataObject) -> None:
        deal = data.draw(st.sampled_from([deal for deal in self.deals if deal.terms]))
        assert deal.terms is not None
        thief = BOB if deal.buyer == ANN else ANN
        for action, body in (("confirm", confirm(deal.terms)), ("status", StatusMessage(order_id=deal.terms.order.id))):
            assert isinstance(self.counter.say(action, body, thief, deal.transaction), Refusal)  # type: ignore[arg-type]

    @precondition(lambda self: self.deals)
    @rule(data=st.data())
    def decline_the_quote(self, data: st.DataObject) -> None:
        deal = data.draw(st.sampled_from(self.deals))
        before = self.state(deal)
        with self.counter.node.database.transaction():
            self.counter.home.seller.declined_by_buyer(deal.transaction, deal.buyer, "too dear")
        assert self.state(deal) is (ContractState.CANCELLED if before in TENTATIVE else before)

    # --- time ---

    @rule(seconds=st.floats(0.001, 12))
    def wait(self, seconds: float) -> None:
        self.counter.clock.now += seconds

    @rule(slots=st.integers(1, 3), pv_wh=st.integers(0, 2500), load_wh=st.integers(0, 2500))
    def live(self, slots: int, pv_wh: int, load_wh: int) -> None:
        self.counter.node.weather.usual = SlotProfile(pv_wh, load_wh)
        self.counter.pass_slots(slots)

    # --- what must always hold ---

    @property
    def now_ms(self) -> int:
        return self.counter.node.trader.now_ms

    def state(self, deal: Deal) -> ContractState:
        return self.counter.contract(deal.transaction, deal.buyer).state

    def meter(self) -> None:
        with self.counter.node.database.transaction():
            self.counter.home.catch_up()

    @invariant()
    def promises_can_be_kept(self) -> None:
        home, node = self.counter.home, self.counter.node
        state = node.trader.meter.state()
        assert 0 <= state.level_wh <= home.battery.capacity_wh
        promises = [Promise(c.slot, c.energy_wh) for c in self.counter.sales() if c.state in PROMISED]
        if promises:
            assert held_wh(home.battery, promises, state.next_slot) <= state.level_wh - home.battery.min_level_wh
        for slot in {promise.slot for promise in promises}:
            of_slot_wh = sum(promise.energy_wh for promise in promises if promise.slot == slot)
            assert of_slot_wh <= home.battery.discharge_limit_wh

    @invariant()
    def contracts_only_go_forwards(self) -> None:
        for contract in self.counter.sales():
            key = (contract.transaction_id, contract.counterparty)
            before = self.seen.get(key, contract)
            same = (contract.slot, contract.energy_wh, contract.amount_micro, contract.item_id)
            assert same == (before.slot, before.energy_wh, before.amount_micro, before.item_id)
            assert contract.order_id == before.order_id or before.order_id is None
            if before.state in DELIVERED:
                assert contract.delivered_wh == before.delivered_wh
            self.seen[key] = contract
        assert len(self.seen) == len(self.deals), "no contract is ever forgotten"

    @invariant()
    def confirmed_is_delivered_in_full_once_its_slot_has_ended(self) -> None:
        next_slot = self.counter.node.trader.meter.state().next_slot
        for deal in self.deals:
            contract = self.counter.contract(deal.transaction, deal.buyer)
            if contract.slot < next_slot and deal.confirmed and not deal.cancelled:
                assert contract.state in DELIVERED
                assert contract.delivered_wh == contract.energy_wh
                assert contract.settled_micro == contract.amount_micro == amount_micro(PRICE, contract.energy_wh)
            if not deal.confirmed:
                assert contract.state not in (ContractState.CONFIRMED, *DELIVERED)

    @invariant()
    def the_books_pass_the_audit(self) -> None:
        mine = book_of(self.counter.node)
        findings = audit([mine, *self.mirrored(mine)]).findings
        assert findings == ()

    def mirrored(self, mine: Book) -> list[Book]:
        """The buyers' books as they would be, were they told everything at once."""
        slot = mine.parties[0].next_slot
        theirs = []
        for buyer in (ANN, BOB):
            contracts = tuple(
                replace(row, party=buyer, side="buyer", counterparty=SELLER)
                for row in mine.contracts
                if row.counterparty == buyer
            )
            entries = tuple(
                LedgerEntry(buyer, "trade", row.slot, SELLER, row.reference, -row.energy_wh, -row.amount_micro)
                for row in mine.ledger
                if row.counterparty == buyer
            )
            offers = tuple(Offer(buyer, row.transaction_id, SELLER, PRICE) for row in contracts)
            # A utility's meter is not checked: the buyers need none.
            theirs.append(Book(buyer, (PartyRow(buyer, "utility", 0, 0, 0, slot, slot),), contracts, offers, entries))
        return theirs

    def close_shop(self) -> None:
        """In the end nothing is promised any more and all that was sold was delivered and booked."""
        self.counter.pass_slots(6)
        self.confirmed_is_delivered_in_full_once_its_slot_has_ended()
        self.the_books_pass_the_audit()
        delivered = [contract for contract in self.counter.sales() if contract.state in DELIVERED]
        assert not [contract for contract in self.counter.sales() if contract.state in PROMISED]
        sold_wh, bought_wh, _ = self.counter.node.trader.meter.totals()
        assert (sold_wh, bought_wh) == (sum(c.delivered_wh or 0 for c in delivered), 0)


TestSelling = Selling.TestCase
TestSelling.settings = settings(max_examples=60, stateful_step_count=30)
assert int(SLOT_WALL_S) == 15, "quotes of 30 s outlive a slot, so they end both by time and by gate"
