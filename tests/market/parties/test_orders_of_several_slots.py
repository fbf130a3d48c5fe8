"""An order for several slots, from both sides: it is confirmed as a whole, then each delivery goes its own way."""

from __future__ import annotations

from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.market.invariants import check_end, check_now, told
from tests.world.market import World
from tests.world.parties import CURRENCY, FEES, FIRST_SLOT, TARIFF, Weather, battery, household, utility
from wattmesh_market.energy.profiles import SlotProfile
from wattmesh_market.energy.slots import SLOT_S
from wattmesh_market.energy.tariff import Tariff
from wattmesh_market.parties import buying
from wattmesh_market.parties.books import AlarmKind
from wattmesh_market.parties.events import Unanswered
from wattmesh_market.parties.selling import item_id
from wattmesh_market.parties.terms import terms_of
from wattmesh_market.trade.contracts import Contract, ContractState, Side
from wattmesh_market.trade.ledger import EntryKind
from wattmesh_market.trade.messages import (
    Action,
    Agreed,
    Cancel,
    DeliveryStatus,
    Init,
    Paid,
    Pay,
    Quote,
    Receipt,
    Select,
    Status,
    Wanted,
)
from wattmesh_market.trade.refusal import About, Reason

ROOF, FLAT = "roof-0.default", "flat-0.default"
ORDER = "order"
AGREED, CONFIRMED, DELIVERED = ContractState.AGREED, ContractState.CONFIRMED, ContractState.DELIVERED
SETTLED, CANCELLED, EXPIRED = ContractState.SETTLED, ContractState.CANCELLED, ContractState.EXPIRED


class Pair(World):
    """A roof that has agreed to sell to a flat in some slots, and the flat, which has not confirmed yet."""

    def __init__(
        self,
        wanted_wh: tuple[int, ...] = (333, 400, 500),
        tariff: Tariff = TARIFF,
        *,
        strategy: str = "rules",
        stores: bool = True,
        pv_wh: int = 0,
    ) -> None:
        of = battery(9900) if stores else None
        homes = (
            household("roof-0", of, price_micro=180_001, tariff=tariff, strategy=strategy),
            household("flat-0", tariff=tariff, strategy=strategy),
        )
        super().__init__(*homes, utility(tariff=tariff), weather={ROOF: Weather(pv_wh, 50)})
        self.slots = tuple(FIRST_SLOT + SLOT_S * number for number in range(1, len(wanted_wh) + 1))
        wanted = tuple(Wanted(slot, item_id(slot), wh) for slot, wh in zip(self.slots, wanted_wh, strict=True))
        quote = self.say(ROOF, FLAT, Select(ROOF, wanted), ORDER)
        assert isinstance(quote, Quote)
        agreed = self.say(ROOF, FLAT, Init(quote.terms), ORDER)
        assert isinstance(agreed, Agreed)
        # Just these slots are bought by no strategy, so the flat's record is made of the roof's.
        bought = self.sold._replace(
            party=FLAT,
            side=Side.BUYER,
            counterparty=ROOF,
            deliveries=tuple(one._replace(offered_micro_per_kwh=180_001) for one in told(self.sold)),
            searched_ms=self.now.ms,
        )
        self.act(self[FLAT], lambda: self[FLAT].books.put(bought))
        assert agreed.order_id is not None
        self.order_id = agreed.order_id

    @property
    def sold(self) -> Contract:
        return self[ROOF].books.contracts[ORDER, FLAT]

    @property
    def bought(self) -> Contract:
        return self[FLAT].books.contracts[ORDER, ROOF]

    def confirm(self) -> None:
        """Write `confirm`; it is still to be carried."""
        self.act(self[FLAT], lambda: buying.confirm(self[FLAT].party, ORDER))

    def carry_all(self) -> None:
        while self.under_way:
            self.carry()

    def cancel(self, *slots: int) -> None:
        """Write `cancel` for some deliveries."""
        message = Cancel(self.order_id, "changed-mind", slots)
        self.act(self[FLAT], lambda: self[FLAT].party.send(ROOF, ORDER, message, occasion=slots))

    def states(self) -> tuple[list[ContractState], list[ContractState]]:
        """Of the deliveries, at the buyer and at the seller."""
        bought, sold = ([one.state for one in contract.deliveries] for contract in (self.bought, self.sold))
        return bought, sold

    def status(self, *deliveries: DeliveryStatus) -> Status:
        """What the seller might say."""
        terms = terms_of(self.sold, CURRENCY)
        return Status(self.order_id, terms, deliveries, "because")

    def hear(self, *told: tuple[int, ContractState]) -> None:
        """The buyer is told so of some slots."""
        self.say(FLAT, ROOF, self.status(*(DeliveryStatus(*one, None, None) for one in told)), ORDER)


def confirmed(*wanted_wh: int) -> Pair:
    pair = Pair(wanted_wh or (333, 400, 500))
    pair.confirm()
    pair.carry_all()
    assert {*pair.states()[0], *pair.states()[1]} == {CONFIRMED}
    return pair


def test_a_sun_that_does_not_come_is_bought_of_the_utility_and_every_slot_is_delivered() -> None:
    pair = Pair((333, 400), strategy="plan", stores=False, pv_wh=700)
    assert [one.sun_wh for one in pair.sold.deliveries] == [333, 400]
    pair.confirm()
    pair.carry_all()
    pair[ROOF].weather.given |= {pair.slots[0]: SlotProfile(150, 50), pair.slots[1]: SlotProfile(700, 50)}
    pair.live(4)
    pair.settle_down()
    check_end(pair)
    first, second = (pair[ROOF].journal.readings[slot].metered for slot in pair.slots)
    assert (first.sold_wh, first.covered_wh, first.imported_wh) == (333, 233, 233)
    assert (second.sold_wh, second.covered_wh, second.exported_wh) == (400, 0, 250)


def test_amounts_are_rounded_for_each_delivery_and_the_quote_is_their_sum() -> None:
    pair = Pair((333, 333, 333), FEES)
    # 0.180001 + 0.029999 = 0.21 for each kWh; the fee alone is 0.009989667.
    for contract in (pair.sold, pair.bought):
        assert [(one.amount_micro, one.fee_micro) for one in contract.deliveries] == [(69_930, 9_990)] * 3
        assert (contract.energy_wh, contract.amount_micro, contract.fee_micro) == (999, 209_790, 29_970)


def test_it_is_confirmed_as_a_whole_at_the_latest_when_the_earliest_gate_closes() -> None:
    pair = Pair()
    pair.confirm()
    pair.at(pair.slots[0])
    pair.carry_all()
    assert pair.states()[1] == [EXPIRED] * 3
    pair.live(1)
    assert pair.states() == ([EXPIRED] * 3, [EXPIRED] * 3)
    assert pair.bought.reason == "gate closed before it was confirmed"


def test_each_delivery_is_told_when_its_slot_has_ended_and_three_are_paid_at_once() -> None:
    pair = confirmed(*[250] * 4)
    pair.begin_slot()
    for expected in (
        [DELIVERED, CONFIRMED, CONFIRMED, CONFIRMED],
        [DELIVERED, DELIVERED, CONFIRMED, CONFIRMED],
        [SETTLED, SETTLED, SETTLED, CONFIRMED],
        [SETTLED] * 4,
    ):
        pair.begin_slot()
        pair.carry_all()
        assert pair.states() == (expected, expected)
        assert pair.bought.state is pair.sold.state is expected[-1]
    booked = [(one.slot, one.energy_wh, one.amount_micro) for one in pair[FLAT].journal.ledger if one.energy_wh > 0]
    assert [one for one in booked if one[0] in pair.slots] == [
        (one.slot, one.energy_wh, -one.amount_micro) for one in pair.sold.deliveries
    ]


def test_a_delivery_waits_to_be_paid_with_others_no_longer_than_three_slots() -> None:
    pair = confirmed()
    pair.begin_slot(2, [ROOF])
    pair.under_way.clear()  # nobody tells of the first
    pair.begin_slot(1, [ROOF, FLAT])
    messages = [one.message for one in pair.sent(ROOF) if isinstance(one.message, Status)]
    only = next(one.deliveries[1] for one in messages if one.deliveries[1].state is DELIVERED)
    pair.under_way.clear()
    pair.say(FLAT, ROOF, pair.status(only), ORDER)
    assert pair.states()[0] == [CONFIRMED, DELIVERED, CONFIRMED]
    assert pair.sent(FLAT, Pay) == []
    pair.under_way.clear()
    pair.begin_slot(3, [FLAT])  # nothing is told of the others
    assert [one.message for one in pair.sent(FLAT, Pay)] == [
        Pay(pair.order_id, pair.slots[1], only.due_micro or 0, CURRENCY)
    ]


@pytest.mark.parametrize("wrong", [0, 1])
def test_a_payment_for_several_deliveries_counts_for_all_of_them_or_none(wrong: int) -> None:
    pair = confirmed(333, 400)
    pair.begin_slot(3, [ROOF])
    due = [Paid(one.slot, one.settled_micro or 0) for one in pair.sold.deliveries]
    due[wrong] = due[wrong]._replace(amount_micro=1)
    pay = Pay(pair.order_id, *due[0], CURRENCY, (due[1],))
    assert pair.refusal(ROOF, FLAT, pay, ORDER).about is About.PAYMENT_AMOUNT
    assert pair.states()[1] == [DELIVERED] * 2


def test_a_receipt_is_for_one_delivery() -> None:
    pair = confirmed(333, 400)
    pair.begin_slot(3, [ROOF])
    pair.at(pair.now.grid_s)
    for letter in pair.sent(ROOF, Status):
        pair.deliver(letter)
    assert pair.states()[0] == [DELIVERED] * 2
    pair.under_way.clear()
    first, second = pair.bought.deliveries
    receipt = Receipt(pair.order_id, second.slot, second.amount_micro, CURRENCY)
    pair.say(FLAT, ROOF, receipt, ORDER)
    assert pair.states()[0] == [DELIVERED, SETTLED]
    assert pair.bought.state is DELIVERED
    for wrong in (receipt._replace(slot=None), receipt._replace(slot=first.slot + 9 * SLOT_S)):
        assert pair.refusal(FLAT, ROOF, wrong, ORDER).about is About.ORDER


def test_a_delivery_is_cancelled_singly() -> None:
    pair = confirmed()
    pair.cancel(pair.slots[1])
    pair.carry_all()
    assert pair.states() == ([CONFIRMED, CANCELLED, CONFIRMED], [CONFIRMED, CANCELLED, CONFIRMED])
    assert [promise.slot for promise in pair[FLAT].books.promises(Side.BUYER)] == [pair.slots[0], pair.slots[2]]
    pair.live(5)
    assert pair.states() == ([SETTLED, CANCELLED, SETTLED], [SETTLED, CANCELLED, SETTLED])
    assert pair[FLAT].books.readings[pair.slots[1]].metered.bought_wh == 0
    check_now(pair)


def test_a_cancellation_that_the_buyer_does_not_hear_of_is_asked_about() -> None:
    pair = confirmed()
    pair.cancel(pair.slots[1])
    (cancel,) = pair.sent(FLAT)
    pair.hand_over(cancel)
    pair.under_way.clear()  # on_cancel is lost for good
    assert pair.states() == ([CONFIRMED] * 3, [CONFIRMED, CANCELLED, CONFIRMED])
    pair.live(7)
    assert pair.states() == ([SETTLED, CANCELLED, SETTLED], [SETTLED, CANCELLED, SETTLED])
    pair.settle_down()
    check_end(pair)


# --- in doubt ---


def in_doubt() -> Pair:
    pair = Pair()
    pair.confirm()
    pair.under_way.clear()
    assert pair.bought.in_doubt
    return pair


def test_in_doubt_one_delivery_may_have_been_cancelled_and_the_others_hold() -> None:
    pair = in_doubt()
    first, second, third = pair.slots
    pair.hear((first, CANCELLED), (second, CONFIRMED), (third, CONFIRMED))
    assert pair.states()[0] == [CANCELLED, CONFIRMED, CONFIRMED]
    assert not pair.bought.in_doubt


def test_told_of_one_delivery_only_the_others_stay_in_doubt() -> None:
    pair = in_doubt()
    pair.hear((pair.slots[0], CANCELLED))
    assert (pair.states()[0], pair.bought.in_doubt) == ([CANCELLED, AGREED, AGREED], True)
    pair.begin_slot(2, [FLAT])
    metered = pair[FLAT].books.readings[pair.slots[0]].metered
    assert (metered.imported_wh, metered.exported_wh) == (0, 0), "what is cancelled is not waited for"
    assert pair.bought.in_doubt, "in doubt nothing expires"
    late = pair.status(DeliveryStatus(pair.slots[0], DELIVERED, 333, pair.sold.deliveries[0].amount_micro))
    refused = pair.refusal(FLAT, ROOF, late, ORDER)
    assert refused.reason is Reason.BUSINESS
    unknown = Unanswered(Reason.ORDER_NOT_FOUND, "no order")
    pair.act(pair[FLAT], lambda: pair[FLAT].events.unanswered(ROOF, ORDER, Action.STATUS, unknown))
    assert (pair.states()[0], pair.bought.in_doubt) == ([CANCELLED] * 3, False)


def test_in_doubt_a_delivery_says_that_all_was_confirmed() -> None:
    pair = in_doubt()
    first = pair.sold.deliveries[0]
    pair.begin_slot(2, [FLAT])
    pair.say(FLAT, ROOF, pair.status(DeliveryStatus(first.slot, DELIVERED, 333, first.amount_micro)), ORDER)
    assert (pair.states()[0], pair.bought.in_doubt) == ([DELIVERED, CONFIRMED, CONFIRMED], False)


def test_in_doubt_it_asks_once_for_the_whole_order() -> None:
    pair = in_doubt()
    (alarm,) = [alarm for alarm in pair[FLAT].alarms if alarm.kind is AlarmKind.DOUBT]
    pair.wait(3)
    pair.ring(pair[FLAT], alarm)
    assert [letter.action for letter in pair.sent(FLAT)] == [Action.STATUS]


# --- any order of messages ---


@settings(max_examples=150)
@given(
    wanted_wh=st.lists(st.integers(10, 600), min_size=2, max_size=3).map(tuple),
    tariff=st.sampled_from([TARIFF, FEES]),
    cancels=st.lists(st.tuples(st.integers(0, 3), st.integers(0, 2)), max_size=3),
    restarts=st.lists(st.tuples(st.integers(0, 3), st.sampled_from([ROOF, FLAT])), max_size=2),
    chance=st.randoms(use_true_random=False),
    faults=st.sampled_from([0, 3, 6]),
    roof=st.sampled_from(["rules", "plan", "panels"]),
)
def test_whatever_becomes_of_the_messages_both_sides_end_with_the_same_order(
    wanted_wh: tuple[int, ...],
    tariff: Tariff,
    cancels: list[tuple[int, int]],
    restarts: list[tuple[int, str]],
    chance: Random,
    faults: int,
    roof: str,
) -> None:
    strategy = "rules" if roof == "rules" else "plan"
    pair = Pair(wanted_wh, tariff, strategy=strategy, stores=roof != "panels", pv_wh=0 if roof == "rules" else 700)
    terms = [one[:5] for one in pair.sold.deliveries]
    pair.confirm()
    for slot in range(4):
        for when, which in cancels:
            if when == slot and which < len(pair.slots) and pair.bought.state is not EXPIRED:
                pair.cancel(pair.slots[which])
        for when, name in restarts:
            if when == slot:
                pair.restart(name)
        pair[ROOF].weather.given[pair.now.slot] = SlotProfile(chance.randrange(700), 50)
        pair.until(pair.now.slot + SLOT_S - 1, chance, faults)
        check_now(pair)
        pair.begin_slot()
    pair.settle_down()
    check_end(pair)
    assert told(pair.bought) == told(pair.sold)
    assert [one[:5] for one in pair.sold.deliveries] == terms
    for delivery in pair.sold.deliveries:
        booked = pair[FLAT].journal.booked(EntryKind.TRADE, delivery.slot, ROOF)
        assert [(one.energy_wh, -one.amount_micro) for one in booked] == (
            [(delivery.energy_wh, delivery.amount_micro)] if delivery.state is SETTLED else []
        )


@pytest.mark.parametrize("faults", [0, 6])
def test_a_cancelled_delivery_in_doubt_leaves_nothing_open(faults: int) -> None:
    """The confirmation is heard by the roof only, then one delivery is cancelled, then all else is as it comes."""
    pair = Pair()
    pair.confirm()
    (confirm,) = pair.sent(FLAT)
    pair.hand_over(confirm)
    pair.under_way.clear()
    pair.say(ROOF, FLAT, Cancel(pair.order_id, "changed-mind", (pair.slots[0],)), ORDER)
    assert pair.bought.in_doubt
    pair.until(pair.now.slot + SLOT_S - 1, Random(1), faults)
    pair.live(4, Random(2), faults)
    pair.settle_down()
    check_end(pair)
    assert pair.states() == ([CANCELLED, SETTLED, SETTLED], [CANCELLED, SETTLED, SETTLED])
