"""A household that buys: what it believes of its sellers, and what it refuses."""

from __future__ import annotations

import pytest

from tests.world.market import World
from tests.world.parties import CURRENCY, NEXT, battery, household
from wattmesh_market.energy.slots import SLOT_S
from wattmesh_market.parties.books import Alarm, AlarmKind, Outcome, Purchase, Selection
from wattmesh_market.parties.events import Unanswered
from wattmesh_market.parties.selling import item_id
from wattmesh_market.strategies import Buy, Hold
from wattmesh_market.trade.contracts import Contract, ContractState, Delivery, Side
from wattmesh_market.trade.ledger import ReadingState
from wattmesh_market.trade.messages import (
    Action,
    Agreed,
    AskStatus,
    Cancel,
    Confirm,
    Confirmed,
    Declined,
    DeliveryStatus,
    Init,
    Line,
    Message,
    Offers,
    Pay,
    Quote,
    Receipt,
    Select,
    Status,
    Terms,
)
from wattmesh_market.trade.offers import Block, Offer
from wattmesh_market.trade.refusal import About, Reason

BUYER, ANN, BOB = "home-0.default", "ann.default", "bob.default"
T1, T2 = "t-1", "t-2"
PRICE = 200_000
QUOTED, AGREED, CONFIRMED = ContractState.QUOTED, ContractState.AGREED, ContractState.CONFIRMED
DELIVERED, SETTLED = ContractState.DELIVERED, ContractState.SETTLED


class Customer(World):
    """A household that buys, and sellers whose messages are made by hand."""

    def __init__(self, level_wh: int = 1500) -> None:
        super().__init__(household("home-0", battery(level_wh)))
        self.me = self[BUYER]

    def want(self, *sellers: str, transaction: str = T1, attempt: int = 0, selects: bool = True) -> None:
        """Each of the sellers offered 900 Wh, and 500 were selected from each, or taken where it `selects` not."""
        purchase = Purchase(transaction, NEXT, attempt, (Block(None, 1000),), self.now.ms)

        def selected() -> None:
            self.me.books.purchase(purchase)
            for seller in sellers:
                offer = Offer(seller, item_id(NEXT), PRICE, 900, selects=selects)
                self.me.books.select(transaction, seller, Selection(offer, 500, Outcome.SELECTED))

        self.act(self.me, selected)

    def quote(self, terms: Terms) -> Quote:
        return Quote(terms, self.now.ms + 14_000)

    def agreed(self, terms: Terms, order_id: str = "o-1", due: int | None = None) -> Agreed:
        return Agreed(order_id, terms, terms.total_micro if due is None else due, self.now.ms + 14_000)

    def hear(self, message: Message, seller: str = ANN, transaction: str = T1) -> None:
        """What a seller says is taken."""
        assert self.say(BUYER, seller, message, transaction) is None

    def why(self, message: Message, seller: str = ANN, transaction: str = T1) -> tuple[Reason, About | None]:
        """Why it is refused."""
        refused = self.refusal(BUYER, seller, message, transaction)
        return refused.reason, refused.about

    def contract(self, seller: str = ANN, transaction: str = T1) -> Contract:
        return self.me.books.contracts[transaction, seller]

    def state(self, seller: str = ANN, transaction: str = T1) -> ContractState | None:
        contract = self.me.books.contract(transaction, seller)
        return contract and contract.state

    def said(self, seller: str = ANN) -> list[Message]:
        return [letter.message for letter in self.under_way if letter.to == seller]


def terms(energy_wh: int = 500, amount: int | None = None, fee: int | None = 0, seller: str = ANN) -> Terms:
    """A seller's terms, 0.20 per kWh."""
    amount = PRICE * energy_wh // 1000 if amount is None else amount
    return Terms(seller, (Line(NEXT, item_id(NEXT), energy_wh, amount, fee),), amount, CURRENCY)


def status(
    state: ContractState, delivered_wh: int | None = None, due: int | None = None, *, slot: int = NEXT
) -> Status:
    """What Ann says of order o-1."""
    reason = "no reason" if state in (ContractState.EXPIRED, ContractState.CANCELLED) else None
    return Status("o-1", terms(), (DeliveryStatus(slot, state, delivered_wh, due),), reason)


def in_doubt(level_wh: int = 1500) -> Customer:
    """Has confirmed 500 Wh of Ann, and heard nothing since."""
    customer = Customer(level_wh)
    customer.want(ANN)
    customer.hear(customer.quote(terms()))
    customer.hear(customer.agreed(terms()))
    assert customer.contract().in_doubt
    return customer


# --- quote and terms ---


def test_a_quote_for_less_or_cheaper_is_taken() -> None:
    customer = Customer()
    customer.want(ANN)
    customer.hear(customer.quote(terms(300, amount=1)))
    assert customer.state() is QUOTED
    assert customer.said() == [Init(terms(300, amount=1))]


@pytest.mark.parametrize(
    "wrong",
    [
        terms(501),
        terms(500, amount=100_001),
        terms()._replace(currency="CHF"),
        terms(seller=BOB),
        terms()._replace(lines=(terms().lines[0]._replace(slot=NEXT + SLOT_S),)),
        terms()._replace(lines=(terms().lines[0]._replace(item_id="sunshine"),)),
        terms()._replace(lines=terms().lines * 2),
        terms()._replace(total_micro=99_999),
    ],
    ids=["more", "dearer", "currency", "provider", "slot", "item", "two slots", "sum"],
)
def test_a_quote_for_something_else_than_was_selected_is_refused(wrong: Terms) -> None:
    customer = Customer()
    customer.want(ANN)
    assert customer.why(customer.quote(wrong)) == (Reason.QUOTE_UNAVAILABLE, About.QUOTE)
    assert customer.state() is None
    assert customer.me.books.selections[T1][ANN].outcome is Outcome.FAILED


@pytest.mark.parametrize("granted_wh", [500, 300])
def test_the_terms_of_an_offer_that_was_taken_without_a_quote_are_confirmed(granted_wh: int) -> None:
    customer = Customer()
    customer.want(ANN, selects=False)
    customer.hear(customer.agreed(terms(granted_wh)))
    assert (customer.state(), customer.contract().in_doubt) == (AGREED, True)
    assert customer.said()[-1] == Confirm("o-1", terms(granted_wh), terms(granted_wh).total_micro)


def test_terms_dearer_than_an_offer_are_refused_and_the_order_cancelled() -> None:
    customer = Customer()
    customer.want(ANN, selects=False)
    assert customer.why(customer.agreed(terms(500, amount=100_001)))[0] is Reason.QUOTE_UNAVAILABLE
    assert customer.said() == [Cancel("o-1", "terms-changed")]
    assert customer.state() is None


def test_a_seller_that_wants_to_be_asked_for_a_quote_cannot_do_without() -> None:
    customer = Customer()
    customer.want(ANN)
    assert customer.why(customer.agreed(terms()))[0] is Reason.ORDER_NOT_FOUND


def test_a_seller_that_declines_to_give_what_it_offered_is_given_up() -> None:
    customer = Customer()
    customer.want(ANN, selects=False)
    why = Unanswered(Reason.QUANTITY_UNAVAILABLE, "sold")
    customer.act(customer.me, lambda: customer.me.events.unanswered(ANN, T1, Action.INIT, why))
    assert customer.me.books.selections[T1][ANN].outcome is Outcome.FAILED
    customer.hear(customer.agreed(terms()))
    assert customer.state() is None, "it says so too late"


def test_a_quote_that_nobody_asked_for_is_refused() -> None:
    customer = Customer()
    assert customer.why(customer.quote(terms())) == (Reason.BUSINESS, None)
    customer.want(ANN)
    assert customer.why(customer.quote(terms(seller=BOB)), BOB) == (Reason.BUSINESS, None)


def test_two_sellers_may_number_their_orders_alike() -> None:
    customer = Customer()
    customer.want(ANN, BOB)
    for seller in (ANN, BOB):
        customer.hear(customer.quote(terms(seller=seller)), seller)
        customer.hear(customer.agreed(terms(seller=seller), "1"), seller)
    assert customer.state(ANN) is customer.state(BOB) is AGREED


def test_one_seller_may_not_use_an_order_id_twice() -> None:
    customer = Customer()
    for attempt, transaction in enumerate((T1, T2)):
        customer.want(ANN, transaction=transaction, attempt=attempt)
        customer.hear(customer.quote(terms()), ANN, transaction)
    customer.hear(customer.agreed(terms(), "1"), ANN, T1)
    assert customer.why(customer.agreed(terms(), "1"), ANN, T2) == (Reason.BUSINESS, About.ORDER_ID)
    assert (customer.state(ANN, T1), customer.state(ANN, T2)) == (AGREED, QUOTED)


def test_who_bought_in_a_transaction_cannot_sell_in_it() -> None:
    """Else its quote would push out what was sold to it."""
    customer = Customer()
    customer.want(ANN)
    sold = Contract(BUYER, Side.SELLER, T1, ANN, (Delivery(NEXT, "item", 500, 1, 0, CONFIRMED),), 0, 0, 0)
    customer.act(customer.me, lambda: customer.me.books.put(sold))
    assert customer.why(customer.quote(terms())) == (Reason.BUSINESS, None)
    assert customer.contract() == sold


@pytest.mark.parametrize(
    ("other", "due", "about"),
    [
        (terms(400), 80_000, About.ENERGY),
        (terms(amount=100_001), 100_001, About.PRICE),
        (terms(fee=15_000), 100_000, About.BREAKUP),
        (terms(), 100_001, About.PAYMENT_AMOUNT),
    ],
)
def test_other_terms_than_quoted_are_refused_and_the_order_cancelled(other: Terms, due: int, about: About) -> None:
    customer = Customer()
    customer.want(ANN)
    customer.hear(customer.quote(terms()))
    assert customer.why(customer.agreed(other, due=due)) == (Reason.QUOTE_UNAVAILABLE, about)
    assert customer.state() is ContractState.CANCELLED
    assert customer.said()[-1] == Cancel("o-1", "terms-changed")


def test_terms_that_come_too_late_are_not_confirmed() -> None:
    customer = Customer()
    customer.want(ANN)
    customer.hear(customer.quote(terms()))
    customer.wait(14)
    customer.hear(customer.agreed(terms()))
    assert customer.state() is QUOTED
    customer.begin_slot()
    assert customer.state() is ContractState.EXPIRED
    assert [type(message) for message in customer.said()] == [Init]


def test_what_is_missing_is_bought_of_another_seller() -> None:
    customer = Customer()
    customer.want(ANN)
    other = Selection(Offer(BOB, item_id(NEXT), PRICE, 900))
    customer.act(customer.me, lambda: customer.me.books.select(T1, BOB, other))
    events = customer.me.events
    declined = Unanswered(Reason.QUANTITY_UNAVAILABLE, "nothing to sell")
    customer.act(customer.me, lambda: events.unanswered(ANN, T1, Action.SELECT, declined))
    (select,) = customer.said(BOB)
    assert isinstance(select, Select)
    assert select.wanted[0].energy_wh == 900  # of 1000


# --- in doubt ---


def test_a_confirmation_of_other_terms_leaves_it_in_doubt() -> None:
    customer = in_doubt()
    right = Confirmed("o-1", terms(), 100_000)
    assert customer.why(right._replace(order_id="o-2")) == (Reason.BUSINESS, About.ORDER_ID)
    assert customer.why(right._replace(terms=terms(400))) == (Reason.BUSINESS, About.ENERGY)
    assert customer.why(right._replace(due_micro=1)) == (Reason.BUSINESS, About.PAYMENT_AMOUNT)
    assert (customer.state(), customer.contract().in_doubt) == (AGREED, True)
    customer.hear(right)
    assert (customer.state(), customer.contract().in_doubt) == (CONFIRMED, False)


def test_in_doubt_nothing_is_guessed() -> None:
    customer = in_doubt()
    customer.wait(100)
    customer.open_slot(customer.me)
    assert (customer.state(), customer.contract().in_doubt) == (AGREED, True)
    reading = customer.me.books.readings[NEXT]
    assert reading.state is ReadingState.OPEN, "until the seller has said what it delivered"
    assert (reading.metered.bought_wh, reading.metered.imported_wh) == (0, 500)
    assert customer.me.books.standing.level_wh == 1500 + 475


def test_in_doubt_it_asks_again_every_three_seconds() -> None:
    customer = in_doubt()
    (alarm,) = [alarm for alarm in customer.me.alarms if alarm.kind is AlarmKind.DOUBT]
    assert customer.me.alarms[alarm] == customer.now.grid_s + 3 * customer.grid.speed
    for asked in (1, 2):
        customer.wait(3)
        customer.ring(customer.me, alarm)
        assert customer.said().count(AskStatus("o-1")) == asked
    customer.hear(status(CONFIRMED))
    customer.wait(3)
    customer.ring(customer.me, alarm)
    assert customer.said().count(AskStatus("o-1")) == 2
    assert alarm not in customer.me.alarms


@pytest.mark.parametrize("end", [ContractState.EXPIRED, ContractState.CANCELLED])
def test_a_doubt_ends_as_the_seller_says(end: ContractState) -> None:
    customer = in_doubt()
    customer.hear(status(end))
    assert (customer.state(), customer.contract().in_doubt, customer.contract().reason) == (end, False, "no reason")


def test_a_seller_that_knows_of_no_order_ends_a_doubt() -> None:
    customer = in_doubt()
    unknown = Unanswered(Reason.ORDER_NOT_FOUND, "no order")
    events = customer.me.events
    customer.act(customer.me, lambda: events.unanswered(ANN, T1, Action.STATUS, Unanswered(None, "no answer")))
    assert customer.contract().in_doubt
    customer.act(customer.me, lambda: events.unanswered(ANN, T1, Action.STATUS, unknown))
    assert customer.state() is ContractState.CANCELLED


def test_a_seller_that_has_lost_its_ledger_ends_what_was_confirmed_and_it_is_import() -> None:
    customer = in_doubt()
    customer.hear(status(CONFIRMED))
    customer.wait(31)
    events = customer.me.events
    customer.act(customer.me, events.open_slot)
    assert customer.me.books.readings[NEXT].state is ReadingState.OPEN
    unknown = Unanswered(Reason.ORDER_NOT_FOUND, "no order")
    customer.act(customer.me, lambda: events.unanswered(ANN, T1, Action.STATUS, unknown))
    assert customer.state() is ContractState.CANCELLED
    customer.wait(31)
    customer.act(customer.me, events.open_slot)
    reading = customer.me.books.readings[NEXT]
    assert (reading.state, reading.metered.bought_wh, reading.metered.imported_wh) == (ReadingState.FINAL, 0, 500)


def test_what_is_confirmed_does_not_expire() -> None:
    customer = in_doubt()
    customer.hear(status(CONFIRMED))
    assert customer.why(status(ContractState.EXPIRED)) == (Reason.BUSINESS, None)
    assert customer.state() is CONFIRMED


# --- delivery and payment ---


def test_what_the_seller_delivered_is_booked_once_and_what_it_did_not_is_import() -> None:
    customer = in_doubt()
    customer.wait(31)
    for _ in range(2):
        customer.hear(status(DELIVERED, 400, 80_000))
    assert customer.me.books.totals == (0, 400, -80_000)
    reading = customer.me.books.readings[NEXT]
    assert (reading.state, reading.metered.bought_wh, reading.metered.imported_wh) == (ReadingState.FINAL, 400, 100)
    assert customer.why(status(DELIVERED, 500, 100_000)) == (Reason.BUSINESS, About.READING)
    assert customer.me.books.totals == (0, 400, -80_000), "the first word counts"
    assert customer.said().count(Pay("o-1", NEXT, 80_000, "EUR")) == 1


def test_import_and_export_of_a_slot_are_netted_once_its_purchases_have_ended() -> None:
    customer = in_doubt(level_wh=10_000)  # no room: what was bought is exported
    customer.wait(31)
    customer.open_slot(customer.me)
    metered = customer.me.books.readings[NEXT].metered
    assert (metered.imported_wh, metered.exported_wh) == (500, 500)
    customer.hear(status(DELIVERED, 400, 80_000))
    metered = customer.me.books.readings[NEXT].metered
    assert (metered.bought_wh, metered.imported_wh, metered.exported_wh) == (400, 0, 400)


def test_no_delivery_is_believed_that_cannot_be() -> None:
    customer = in_doubt()
    delivered = status(DELIVERED, 400, 80_000)
    assert customer.why(delivered) == (Reason.BUSINESS, None)  # its slot has not ended
    customer.wait(31)
    assert customer.why(status(DELIVERED, 501, 80_000)) == (Reason.BUSINESS, About.READING)
    assert customer.why(status(DELIVERED)) == (Reason.BUSINESS, About.READING)
    assert customer.why(status(DELIVERED, 400, 80_001)) == (Reason.BUSINESS, About.PAYMENT_AMOUNT)
    assert customer.why(status(DELIVERED, 400, 80_000, slot=NEXT + SLOT_S)) == (Reason.BUSINESS, About.SLOT)
    assert customer.why(delivered._replace(order_id="o-2")) == (Reason.ORDER_NOT_FOUND, About.ORDER_ID)
    assert customer.why(delivered, BOB) == (Reason.ORDER_NOT_FOUND, About.ORDER_ID)
    assert customer.me.books.totals == (0, 0, 0)


def test_a_receipt_settles_what_was_delivered() -> None:
    customer = in_doubt()
    receipt = Receipt("o-1", NEXT, 100_000, "EUR")
    customer.wait(31)
    customer.hear(receipt)
    assert customer.state() is AGREED, "nothing was delivered yet"
    customer.hear(status(DELIVERED, 500, 100_000))
    assert customer.why(receipt._replace(order_id="o-2")) == (Reason.BUSINESS, About.ORDER)
    for _ in range(2):
        customer.hear(receipt._replace(slot=None))
    assert customer.state() is SETTLED


def test_a_delivery_is_paid_when_only_its_contract_is_left_of_the_purchase() -> None:
    customer = in_doubt()
    customer.restart(BUYER)
    assert customer.me.books.purchases == {}
    customer.wait(31)
    customer.hear(status(DELIVERED, 500, 100_000))
    assert customer.said()[-1] == Pay("o-1", NEXT, 100_000, "EUR")


def test_a_seller_that_never_reports_does_not_keep_the_buyer_from_buying() -> None:
    """What was to come in a slot that is metered is in the battery already, at the backstop's price if it must."""
    customer = in_doubt()
    customer.hear(status(CONFIRMED))
    customer.wait(31)
    customer.open_slot(customer.me)
    assert customer.me.books.standing.level_wh == 1975
    decision = customer.me.home.decide(customer.now.slot + SLOT_S)
    # 3025 Wh are missing to the target of 5000; a slot takes 1000.
    assert isinstance(decision, Buy)
    assert decision.energy_wh == 1000


def test_what_is_past_is_not_taken_off_what_is_missing() -> None:
    customer = in_doubt()
    customer.wait(31)
    books = customer.me.books
    customer.act(customer.me, customer.me.events.catch_up)
    customer.act(customer.me, lambda: books.stand(books.standing._replace(level_wh=4600, buying=True)))
    decision = customer.me.home.decide(customer.now.slot + SLOT_S)
    assert isinstance(decision, Buy)
    assert decision.energy_wh == 422, "400 Wh in the store"


def test_who_drains_makes_no_new_contracts() -> None:
    customer = Customer()
    customer.me.party.draining = True
    assert customer.me.home.decide(NEXT) == Hold()
    assert not customer.me.home.sells(NEXT)
    assert not customer.me.home.may_buy(NEXT)


# --- searching ---


def test_a_low_battery_makes_the_household_search() -> None:
    customer = Customer()
    customer.act(customer.me, lambda: customer.me.events.look(NEXT, 0))
    assert [letter.action for letter in customer.under_way] == [Action.SEARCH]
    assert [alarm.kind for alarm in customer.me.alarms] == [AlarmKind.OFFERS_IN]
    assert len(customer.me.books.purchases) == len(customer.me.journal.roles) == 1
    customer.act(customer.me, lambda: customer.me.events.look(NEXT, 1))
    assert len(customer.me.books.purchases) == 1, "one at a time"


def test_the_best_offer_of_each_seller_of_this_feeder_counts_while_they_are_collected() -> None:
    customer = Customer()
    first, second, third = (Offers(((NEXT, Offer(ANN, item_id(NEXT), price, 500)),)) for price in (2, 1, 3))
    assert customer.why(first) == (Reason.BUSINESS, None)  # no search
    customer.act(customer.me, lambda: customer.me.events.look(NEXT, 0))
    (search,) = customer.under_way
    transaction = search.transaction_id
    assert customer.refusal(BUYER, ANN, first, transaction, near=False).reason is Reason.POLICY
    customer.hear(first, ANN, transaction)
    customer.hear(second, ANN, transaction)
    customer.hear(third, ANN, transaction)
    other_slot = Offers(((NEXT + SLOT_S, Offer(BOB, item_id(NEXT + SLOT_S), 1, 500)),))
    customer.hear(other_slot, BOB, transaction)
    assert [one.offer for one in customer.me.books.selections[transaction].values()] == [second.offers[0][1]]


def test_a_platform_offers_for_several_providers_and_an_order_is_with_the_best_of_them() -> None:
    customer = Customer()
    customer.act(customer.me, lambda: customer.me.events.look(NEXT, 0))
    (search,) = customer.under_way
    at = item_id(NEXT)
    customer.hear(
        Offers(tuple((NEXT, Offer(ANN, at, price, 500, name)) for name, price in (("mill", 3), ("farm", 2)))),
        ANN,
        search.transaction_id,
    )
    customer.under_way.clear()
    over = Alarm(AlarmKind.OFFERS_IN, transaction_id=search.transaction_id)
    customer.act(customer.me, lambda: customer.me.events.ring(over))
    [select] = [letter.message for letter in customer.under_way]
    assert isinstance(select, Select)
    assert select.provider == "farm"
    line = Line(NEXT, at, select.wanted[0].energy_wh, 1, 0)
    mill = Quote(Terms("mill", (line,), 1, CURRENCY), customer.now.ms + 10_000)
    assert customer.refusal(BUYER, ANN, mill, search.transaction_id).reason is Reason.QUOTE_UNAVAILABLE


def test_without_offers_it_gives_up_and_looks_again_later() -> None:
    customer = Customer()
    customer.begin_slot()
    customer.until(customer.now.slot + SLOT_S - 1)
    attempts = sorted((one.attempt, one.closed) for one in customer.me.books.purchases.values())
    assert attempts == [(0, True), (1, True)]


DEAR = Offers(((NEXT, Offer(ANN, item_id(NEXT), 10_000_000, 500)),))


@pytest.mark.parametrize(("offers", "looks"), [(DEAR, 1), (Offers(()), 1), (None, 2)])
def test_it_does_not_look_again_where_nothing_was_of_use(offers: Offers | None, looks: int) -> None:
    """Prices hold while a slot lasts, so what was too dear stays so. Who has heard nothing looks again."""
    customer = Customer()
    customer.act(customer.me, lambda: customer.me.events.look(NEXT, 0))
    (search,) = customer.under_way
    if offers is not None:
        customer.hear(offers, ANN, search.transaction_id)
    over = Alarm(AlarmKind.OFFERS_IN, transaction_id=search.transaction_id)
    customer.act(customer.me, lambda: customer.me.events.ring(over))
    customer.act(customer.me, lambda: customer.me.events.look(NEXT, 1))
    assert len(customer.me.books.purchases) == looks


def test_a_look_after_the_gate_is_counted_as_missed() -> None:
    customer = Customer()
    customer.at(NEXT)
    customer.act(customer.me, lambda: customer.me.events.look(NEXT, 0))
    assert (customer.me.missed_gates, customer.under_way) == (1, [])


def test_a_seller_that_does_not_answer_is_given_up() -> None:
    customer = Customer()
    customer.want(ANN)
    books, stalled = customer.me.books, Alarm(AlarmKind.STALLED, transaction_id=T1)
    customer.act(customer.me, lambda: books.select(T1, BOB, Selection(Offer(BOB, item_id(NEXT), PRICE, 900))))
    customer.act(customer.me, lambda: customer.me.events.ring(stalled))
    assert books.selections[T1][ANN].outcome is Outcome.FAILED
    assert [type(message) for message in customer.said(BOB)] == [Select]


def test_confirm_that_nobody_acknowledged_is_asked_about() -> None:
    customer = in_doubt()
    assert [type(message) for message in customer.said()] == [Init, Confirm]
    events = customer.me.events
    customer.act(customer.me, lambda: events.unanswered(ANN, T1, Action.CONFIRM, Unanswered(None, "no answer")))
    assert customer.said()[-1] == AskStatus("o-1")
    assert customer.contract().in_doubt


def test_the_grid_fee_in_a_quote_is_kept_with_the_contract() -> None:
    customer = Customer()
    customer.want(ANN)
    customer.hear(customer.quote(terms(fee=15_000)))
    assert (customer.contract().amount_micro, customer.contract().fee_micro) == (100_000, 15_000)
    assert customer.said() == [Init(terms(fee=15_000))]
    other = customer.agreed(terms(fee=16_000))
    assert customer.why(other) == (Reason.QUOTE_UNAVAILABLE, About.BREAKUP)


# --- partners that follow other habits ---


def test_an_order_may_get_its_id_with_the_confirmation() -> None:
    customer = Customer()
    customer.want(ANN)
    customer.hear(customer.quote(terms()))
    customer.hear(customer.agreed(terms())._replace(order_id=None))
    confirm = customer.said()[-1]
    assert isinstance(confirm, Confirm)
    assert (confirm.order_id, customer.contract().in_doubt) == (None, True)
    customer.under_way.clear()
    doubt = Alarm(AlarmKind.DOUBT, transaction_id=T1, seller=ANN)
    customer.act(customer.me, lambda: customer.me.events.ring(doubt))
    assert customer.said() == [confirm], "there is no order yet to ask about: said again"
    customer.hear(Confirmed("o-7", terms(), terms().total_micro))
    assert (customer.state(), customer.contract().order_id) == (CONFIRMED, "o-7")
    assert customer.me.books.by_order("o-7", ANN) == customer.contract()


def test_or_with_the_first_status() -> None:
    customer = Customer()
    customer.want(ANN)
    customer.hear(customer.quote(terms()))
    customer.hear(customer.agreed(terms())._replace(order_id=None))
    customer.hear(status(CONFIRMED))
    assert (customer.state(), customer.contract().order_id) == (CONFIRMED, "o-1")


def test_but_not_with_one_that_names_no_order() -> None:
    customer = Customer()
    customer.want(ANN)
    customer.hear(customer.quote(terms()))
    customer.hear(customer.agreed(terms())._replace(order_id=None))
    nameless = status(CONFIRMED)._replace(order_id="")
    assert customer.why(nameless) == (Reason.ORDER_NOT_FOUND, About.ORDER_ID)
    assert (customer.state(), customer.contract().order_id, customer.contract().in_doubt) == (AGREED, None, True)


@pytest.mark.parametrize(
    ("action", "reason", "state"),
    [(Action.INIT, Reason.QUANTITY_UNAVAILABLE, ContractState.EXPIRED), (Action.SELECT, Reason.BUSINESS, QUOTED)],
)
def test_an_error_in_place_of_an_answer_is_a_refusal(action: Action, reason: Reason, state: ContractState) -> None:
    customer = Customer()
    customer.want(ANN)
    customer.hear(customer.quote(terms()))
    customer.hear(Declined(action, reason, "sold out"))
    assert customer.state() is state, "what was answered already stands"


def test_an_error_in_place_of_a_quote_frees_what_was_selected_and_of_an_offer_changes_nothing() -> None:
    customer = Customer()
    customer.want(ANN, BOB)
    customer.hear(Declined(Action.SEARCH, Reason.BUSINESS, "busy"))
    assert {one.outcome for one in customer.me.books.selections[T1].values()} == {Outcome.SELECTED}
    customer.hear(Declined(Action.SELECT, Reason.QUANTITY_UNAVAILABLE, "sold out"))
    assert customer.me.books.selections[T1][ANN].outcome is Outcome.FAILED
    assert customer.why(Declined(Action.SELECT, Reason.BUSINESS, "no"), transaction=T2) == (Reason.BUSINESS, None)


def test_a_seller_that_does_not_know_an_order_in_doubt_has_not_sold() -> None:
    customer = in_doubt()
    customer.hear(Declined(Action.STATUS, Reason.ORDER_NOT_FOUND, "30010"))
    assert customer.state() is ContractState.CANCELLED
