"""A household that sells, to any number of buyers that say whatever they like in whatever order.

Whatever comes, the seller promises no more than it has, and what it has confirmed it delivers.
"""

from __future__ import annotations

from dataclasses import replace

import pytest

from tests.world.market import World
from tests.world.parties import FIRST_SLOT, GRID, NEXT, Weather, battery, household, utility
from wattmesh_market.energy.slots import SLOT_S
from wattmesh_market.parties.events import Unanswered
from wattmesh_market.parties.selling import item_id
from wattmesh_market.pricing import PRICINGS
from wattmesh_market.trade.contracts import Contract, ContractState, Delivery, Side
from wattmesh_market.trade.ledger import EntryKind
from wattmesh_market.trade.messages import (
    Action,
    Agreed,
    AskStatus,
    Cancel,
    Cancelled,
    Confirm,
    Confirmed,
    Init,
    Line,
    Message,
    Offers,
    Pay,
    Quote,
    Receipt,
    Search,
    Select,
    Status,
    Terms,
    Wanted,
)
from wattmesh_market.trade.offers import Offer
from wattmesh_market.trade.refusal import About, Reason, Refused
from wattmesh_market.units import MAX_ENERGY_WH, amount_micro, share_micro

SELLER, ANN, BOB = "roof-0.default", "ann.default", "bob.default"
T1, T2 = "t-1", "t-2"
PRICE = 200_001
"""Odd, so that amounts need rounding."""


def shop(
    level_wh: int = 9000,
    sky: Weather | None = None,
    *,
    sell: int = 80,
    pricing: str = "fixed",
    utility_ids: tuple[str, ...] = (),
    **of_battery: int,
) -> World:
    """A selling household, at 0.200001 EUR per kWh."""
    of = battery(level_wh, **of_battery)
    config = household("roof-0", of, price_micro=PRICE, sell_percent=sell, pricing=pricing, utility_ids=utility_ids)
    return World(config, weather={SELLER: sky or Weather()})


def wanted(energy_wh: int, slot: int = NEXT) -> Select:
    return Select(SELLER, (Wanted(slot, item_id(slot), energy_wh),))


def offered(world: World, buyer: str = ANN, slot: int = NEXT) -> Offer:
    answer = world.say(SELLER, buyer, Search(slot, 500), "search")
    assert isinstance(answer, Offers)
    ((of_slot, offer),) = answer.offers
    assert of_slot == slot
    return offer


def quoted(world: World, energy_wh: int, buyer: str = ANN, transaction: str = T1, slot: int = NEXT) -> Quote:
    quote = world.say(SELLER, buyer, wanted(energy_wh, slot), transaction)
    assert isinstance(quote, Quote)
    return quote


def agreed(world: World, energy_wh: int, buyer: str = ANN, transaction: str = T1, slot: int = NEXT) -> Agreed:
    terms = world.say(SELLER, buyer, Init(quoted(world, energy_wh, buyer, transaction, slot).terms), transaction)
    assert isinstance(terms, Agreed)
    return terms


def confirmed(world: World, energy_wh: int, buyer: str = ANN, transaction: str = T1, slot: int = NEXT) -> str:
    """The order id."""
    answer = world.say(SELLER, buyer, confirm(agreed(world, energy_wh, buyer, transaction, slot)), transaction)
    assert isinstance(answer, Confirmed)
    return answer.order_id


def confirm(terms: Agreed) -> Confirm:
    return Confirm(terms.order_id, terms.terms, terms.due_micro)


def pay(order_id: str, amount: int, currency: str = "EUR") -> Pay:
    return Pay(order_id, None, amount, currency)


def contract_of(world: World, buyer: str = ANN, transaction: str = T1) -> Contract:
    return world[SELLER].books.contracts[transaction, buyer]


def why(world: World, message: Message, buyer: str = ANN, transaction: str = T1) -> tuple[Reason, About | None]:
    refused = world.refusal(SELLER, buyer, message, transaction)
    return refused.reason, refused.about


# --- offers and quotes ---


def test_an_offer_holds_nothing_and_a_quote_does() -> None:
    world = shop(level_wh=8500)
    assert [offered(world), offered(world)] == [Offer(SELLER, item_id(NEXT), PRICE, 450)] * 2
    assert quoted(world, 300).terms.lines[0].energy_wh == 300
    # 300 Wh hold 334 of the store's 500; 166 give 149.
    assert offered(world, BOB).available_wh == 149


def test_a_quote_is_for_less_when_less_is_left_and_refused_when_nothing_is() -> None:
    world = shop(level_wh=8500)
    assert quoted(world, 9000).terms.lines[0].energy_wh == 450
    assert why(world, wanted(100), BOB, T2) == (Reason.QUANTITY_UNAVAILABLE, None)


def test_who_takes_an_offer_without_a_quote_gets_what_there_is_and_an_order() -> None:
    world = shop(level_wh=8500)
    amount = amount_micro(PRICE, 9000)
    as_offered = Init(Terms(SELLER, (Line(NEXT, item_id(NEXT), 9000, amount, None),), amount, "EUR"), quoted=False)
    answer = world.say(SELLER, ANN, as_offered)
    assert isinstance(answer, Agreed)
    assert [(one.energy_wh, one.amount_micro) for one in answer.terms.lines] == [(450, amount_micro(PRICE, 450))]
    assert (contract_of(world).state, contract_of(world).order_id) == (ContractState.AGREED, answer.order_id)
    assert isinstance(world.say(SELLER, ANN, confirm(answer)), Confirmed)
    assert why(world, as_offered, BOB, T2) == (Reason.QUANTITY_UNAVAILABLE, None)
    assert why(world, as_offered._replace(quoted=True), BOB, T2)[0] is Reason.QUOTE_UNAVAILABLE


def test_a_quote_is_rounded_once() -> None:
    terms = quoted(shop(), 333).terms
    # 0.200001 x 0.333 = 0.066600333
    assert (terms.total_micro, terms.lines[0].amount_micro) == (66_600, 66_600)


@pytest.mark.parametrize("pricing", PRICINGS)
def test_a_quote_costs_what_the_offer_said_whatever_was_reserved_meanwhile(pricing: str) -> None:
    world = shop(9500, Weather(200, 100), pricing=pricing)
    world.begin_slot()
    slot = NEXT + SLOT_S
    offer = offered(world, ANN, slot)
    confirmed(world, 300, BOB, T2, slot)
    world.wait(10)  # of the slot's 15 s
    assert quoted(world, 500, ANN, T1, slot).terms.total_micro == amount_micro(offer.price_micro_per_kwh, 500)


def test_an_expired_quote_is_free_for_others() -> None:
    world, later = shop(level_wh=8500), NEXT + 3 * SLOT_S
    assert quoted(world, 450, slot=later).expires_ms == world.now.ms + 30_000
    world.wait(29.9)
    assert why(world, wanted(450, later), BOB, T2)[0] is Reason.QUANTITY_UNAVAILABLE
    world.wait(0.1)
    assert quoted(world, 450, BOB, T2, later).terms.lines[0].energy_wh == 450
    assert contract_of(world).state is ContractState.EXPIRED


def test_more_than_an_order_can_hold_is_offered_in_part() -> None:
    world = World(utility(capacity_w=10**12))
    assert world.say(GRID, ANN, Search(NEXT, 500)).offers[0][1].available_wh == MAX_ENERGY_WH


@pytest.mark.parametrize(
    ("ahead_s", "about", "text"),
    [
        (0, About.SLOT, "gate closed: the delivery slot 06:00-06:15 has started"),
        (-SLOT_S, About.SLOT, "gate closed: the delivery slot 05:45-06:00 has started"),
        (86_400 + SLOT_S, None, "slots are sold up to 24 h ahead"),
    ],
)
def test_slots_out_of_reach_are_not_sold(ahead_s: int, about: About | None, text: str) -> None:
    world, slot = shop(), FIRST_SLOT + ahead_s
    for message in (Search(slot, 100), wanted(100, slot)):
        refused = world.refusal(SELLER, ANN, message)
        assert (refused.reason, refused.about, refused.text) == (Reason.BUSINESS, about, text)


def test_a_slot_a_day_ahead_is_sold() -> None:
    assert offered(shop(), slot=FIRST_SLOT + 86_400).available_wh > 0


def test_who_is_on_another_feeder_is_sold_nothing() -> None:
    world = shop()
    for message in (Search(NEXT, 100), wanted(100)):
        assert world.refusal(SELLER, ANN, message, near=False).reason is Reason.POLICY
    assert world[SELLER].books.contracts == {}


def test_only_what_is_in_the_catalogue_is_sold() -> None:
    world = shop()
    others = Select("other.default", wanted(100).wanted)
    unknown = Select(SELLER, (Wanted(NEXT, "sunshine", 100),))
    assert why(world, others) == (Reason.ITEM_NOT_FOUND, About.PROVIDER)
    assert why(world, unknown) == (Reason.ITEM_NOT_FOUND, About.ITEM)


def test_a_buyer_holds_no_more_than_eight_quotes() -> None:
    world = shop()
    for number in range(8):
        quoted(world, 10, transaction=f"t-{number}")
    refused = world.refusal(SELLER, ANN, wanted(10), "t-8")
    assert (refused.reason, refused.wait_s) == (Reason.TOO_MANY, 15.0)  # when the gate closes
    quoted(world, 10, BOB, T1)


def test_who_owes_for_five_deliveries_is_sold_nothing_until_it_pays() -> None:
    world = shop(10_000)
    orders = {number: confirmed(world, 10, transaction=f"t-{number}") for number in range(5)}
    world.begin_slot(2)
    later = world.now.slot + SLOT_S
    quoted(world, 10, transaction="soon", slot=later)
    world.begin_slot(5)  # more than a minute
    later = world.now.slot + SLOT_S
    assert why(world, wanted(10, later), transaction="late") == (Reason.BUSINESS, None)
    world.say(SELLER, ANN, pay(orders[0], 2_000), "t-0")
    quoted(world, 10, transaction="late", slot=later)


def test_deliveries_of_one_order_are_owed_one_by_one() -> None:
    world = World(utility())
    slots = [NEXT + SLOT_S * number for number in range(12)]
    order = Select(GRID, tuple(Wanted(slot, item_id(slot), 10) for slot in slots))
    agreed = world.say(GRID, ANN, Init(world.say(GRID, ANN, order).terms))
    world.say(GRID, ANN, confirm(agreed))

    def buy_more() -> object:
        later = world.now.slot + SLOT_S
        terms = world.say(GRID, ANN, Select(GRID, (Wanted(later, item_id(later), 10),)), f"at {later}").terms
        taken = world.say(GRID, ANN, Init(terms), f"at {later}")
        return world.say(GRID, ANN, Cancel(taken.order_id, "no need"), f"at {later}")

    # The order changes with each delivery; a minute is four slots, so five are owed for longer after eleven.
    world.begin_slot(2)
    for _ in range(9):
        buy_more()
        world.begin_slot()
    with pytest.raises(Refused, match="5 unpaid"):
        buy_more()
    world.say(GRID, ANN, Pay(agreed.order_id, slots[0], amount_micro(300_000, 10), "EUR"))
    buy_more()


# --- from the order to the payment ---


def test_a_confirmed_sale_is_delivered_at_the_end_of_its_slot_and_paid() -> None:
    world = shop(sky=Weather(load_wh=900))
    order_id = confirmed(world, 777)
    amount = amount_micro(PRICE, 777)
    assert why(world, pay(order_id, amount)) == (Reason.BUSINESS, None)  # nothing to pay yet
    world.begin_slot(2)
    (told,) = world.sent(SELLER, Status)
    assert isinstance(told.message, Status)
    assert told.message.deliveries == ((NEXT, ContractState.DELIVERED, 777, amount),)
    (booked,) = world[SELLER].journal.booked(EntryKind.TRADE, NEXT, ANN)
    assert (booked.energy_wh, booked.amount_micro) == (-777, amount)
    for wrong in (pay(order_id, amount - 1), pay(order_id, amount, "CHF")):
        assert why(world, wrong) == (Reason.BUSINESS, About.PAYMENT_AMOUNT)
    for _ in range(2):
        assert world.say(SELLER, ANN, pay(order_id, amount)) == Receipt(order_id, NEXT, amount, "EUR")
    assert contract_of(world).state is ContractState.SETTLED


def test_what_is_not_paid_is_told_again_at_the_next_slot_but_one() -> None:
    world = shop()
    confirmed(world, 500)
    world.begin_slot(2)
    first = world.sent(SELLER, Status)
    world.begin_slot()
    again = world.sent(SELLER, Status)
    assert len({letter.message_id for letter in again}) == len(first) + 1
    assert len({letter.message for letter in again}) == 1


def test_a_battery_made_smaller_delivers_in_full_and_buys_what_is_missing() -> None:
    world = shop(level_wh=9000)
    confirmed(world, 500)
    confirmed(world, 300, BOB, T2)
    world[SELLER].home.battery = replace(world[SELLER].home.battery, capacity_wh=1667)
    world.begin_slot(2)
    (ann,), (bob,) = contract_of(world).deliveries, contract_of(world, BOB, T2).deliveries
    # 667 Wh above the minimum give 600; the backstop gives the rest, at the seller's cost.
    assert (ann.delivered_wh, bob.delivered_wh) == (500, 300)
    assert (ann.settled_micro, bob.settled_micro) == (ann.amount_micro, bob.amount_micro)
    metered = world[SELLER].books.readings[NEXT].metered
    assert (metered.sold_wh, metered.covered_wh, metered.imported_wh) == (800, 200, 200)


def test_a_utility_gets_what_sun_and_store_give_at_its_share_of_the_price() -> None:
    world = shop(level_wh=9000)
    confirmed(world, 777, GRID)
    world[SELLER].home.battery = replace(world[SELLER].home.battery, capacity_wh=1667)
    world.begin_slot(2)
    (delivery,) = contract_of(world, GRID).deliveries
    # 155401 x 600 / 777 = 120000.77, rounded half up
    assert (delivery.amount_micro, delivery.delivered_wh, delivery.settled_micro) == (155_401, 600, 120_001)
    metered = world[SELLER].books.readings[NEXT].metered
    assert (metered.covered_wh, metered.imported_wh) == (0, 0), "nobody imports to sell to a utility"


def test_of_two_utilities_the_first_to_order_is_served_first() -> None:
    world = shop(level_wh=9000, utility_ids=("other.default",))
    confirmed(world, 500, "other.default")
    world.wait(1)
    confirmed(world, 300, GRID, T2)
    world[SELLER].home.battery = replace(world[SELLER].home.battery, capacity_wh=1667)
    world.begin_slot(2)
    (other,), (grid,) = contract_of(world, "other.default").deliveries, contract_of(world, GRID, T2).deliveries
    assert (other.delivered_wh, grid.delivered_wh) == (500, 100)
    assert (other.settled_micro, grid.settled_micro) == (other.amount_micro, share_micro(grid.amount_micro, 100, 300))


def test_own_load_leaves_what_was_sold_for_a_later_slot() -> None:
    world = shop(2000, Weather(load_wh=5000), sell=10)
    # All that lies above the minimum, to be delivered three slots of heavy load later.
    confirmed(world, 900, slot=NEXT + 2 * SLOT_S)
    world.begin_slot(4)
    assert contract_of(world).deliveries[0].delivered_wh == 900
    assert world[SELLER].books.standing.level_wh == 1000


def test_after_the_gate_nothing_is_confirmed_or_cancelled() -> None:
    world = shop()
    terms = agreed(world, 500)
    order_id = confirmed(world, 300, BOB, T2)
    world.begin_slot()
    refused = world.refusal(SELLER, ANN, confirm(terms))
    assert refused.reason is Reason.QUOTE_UNAVAILABLE
    assert refused.text == "the quote is EXPIRED: gate closed before it was confirmed"
    assert why(world, Cancel(order_id, "changed-mind"), BOB, T2)[0] is Reason.CANCELLATION_NOT_POSSIBLE
    assert contract_of(world, BOB, T2).state is ContractState.CONFIRMED


def test_until_the_gate_a_buyer_may_cancel_and_the_energy_is_free_again() -> None:
    world = shop(level_wh=8500)
    order_id = confirmed(world, 450)
    answer = world.say(SELLER, ANN, Cancel(order_id, "changed-mind"))
    assert isinstance(answer, Cancelled)
    assert answer.status.deliveries[0].state is ContractState.CANCELLED
    assert contract_of(world).reason == "cancelled by the buyer: changed-mind"
    assert quoted(world, 450, BOB, T2).terms.lines[0].energy_wh == 450


def test_other_terms_than_quoted_are_refused() -> None:
    world = shop()
    terms = quoted(world, 500).terms
    (line,) = terms.lines
    for wrong, about in (
        (terms._replace(total_micro=1), About.PRICE),
        (terms._replace(currency="CHF"), About.CURRENCY),
        (terms._replace(lines=(line._replace(energy_wh=501),)), About.ENERGY),
        (terms._replace(lines=(line._replace(slot=NEXT + SLOT_S),)), About.SLOT),
        (terms._replace(lines=(line._replace(item_id="other"),)), About.ITEM),
        (terms._replace(lines=(line, line)), About.ITEM),
        (terms._replace(lines=(line._replace(amount_micro=1),)), About.BREAKUP),
    ):
        assert why(world, Init(wrong)) == (Reason.QUOTE_UNAVAILABLE, about)
    assert contract_of(world).state is ContractState.QUOTED


def test_a_confirmation_repeats_terms_and_payment_as_agreed() -> None:
    world = shop()
    right = confirm(agreed(world, 500))
    other_terms = right.terms._replace(total_micro=1)
    assert why(world, right._replace(terms=other_terms)) == (Reason.QUOTE_UNAVAILABLE, About.PRICE)
    assert why(world, right._replace(due_micro=1)) == (Reason.QUOTE_UNAVAILABLE, About.PAYMENT_AMOUNT)
    assert why(world, right._replace(order_id="o-2")) == (Reason.ORDER_NOT_FOUND, About.ORDER_ID)
    assert contract_of(world).state is ContractState.AGREED


def test_a_strangers_order_id_is_nobodys() -> None:
    world = shop()
    order_id = confirmed(world, 500)
    for message in (AskStatus(order_id), Cancel(order_id, "spite"), pay(order_id, 1)):
        assert why(world, message, BOB) == (Reason.ORDER_NOT_FOUND, About.ORDER_ID)
    assert contract_of(world).state is ContractState.CONFIRMED


def test_a_cart_that_changes_is_quoted_anew_but_held_no_longer() -> None:
    world = shop()
    first = quoted(world, 100)
    world.wait(5)
    second = quoted(world, 200)
    assert [one.energy_wh for one in second.terms.lines] == [200]
    assert second.expires_ms == first.expires_ms
    assert [(one.slot, one.energy_wh) for one in world[SELLER].books.promises(Side.SELLER)] == [(NEXT, 200)]


def test_a_cart_that_changes_has_not_run_out() -> None:
    """Else who changes its cart would be lent less each time."""
    world = shop()
    for energy_wh in (800, 900, 500, 900):
        assert [one.energy_wh for one in quoted(world, energy_wh).terms.lines] == [energy_wh]


def test_a_transaction_has_one_order_with_a_buyer() -> None:
    world = shop()
    quoted(world, 100)
    other = Select(SELLER, (Wanted(NEXT + SLOT_S, item_id(NEXT + SLOT_S), 100),))
    assert why(world, other) == (Reason.BUSINESS, None)
    agreed(world, 200)
    assert why(world, wanted(100)) == (Reason.BUSINESS, None)
    quoted(world, 100, BOB, T1)


def test_a_seller_in_a_purchase_cannot_turn_it_into_a_sale() -> None:
    """Else whoever sold to a household could make it forget what it owes."""
    world = shop()
    delivery = Delivery(NEXT + SLOT_S, "item", 500, 1, 0, ContractState.CONFIRMED)
    bought = Contract(SELLER, Side.BUYER, T1, ANN, (delivery,), 0, 0, 0)
    world.act(world[SELLER], lambda: world[SELLER].books.put(bought))
    assert why(world, wanted(100)) == (Reason.BUSINESS, None)
    assert contract_of(world) == bought


def test_a_declined_quote_is_free_and_a_confirmed_sale_is_not_declined() -> None:
    world = shop(level_wh=8500)
    quoted(world, 200)
    confirmed(world, 100, BOB, T2)
    events, declined = world[SELLER].events, Unanswered(Reason.QUOTE_UNAVAILABLE, "too dear")
    events.unanswered(ANN, T1, Action.ON_SELECT, declined)
    events.unanswered(BOB, T2, Action.ON_INIT, declined)
    assert contract_of(world).state is ContractState.CANCELLED
    assert contract_of(world, BOB, T2).state is ContractState.CONFIRMED


def test_a_quote_that_nobody_acknowledges_runs_out_by_itself() -> None:
    world = shop()
    quoted(world, 200)
    world[SELLER].events.unanswered(ANN, T1, Action.ON_SELECT, Unanswered(None, "no answer"))
    assert contract_of(world).state is ContractState.QUOTED


def test_who_drains_sells_nothing() -> None:
    world = shop()
    world[SELLER].party.draining = True
    assert why(world, Search(NEXT, 100)) == (Reason.QUANTITY_UNAVAILABLE, None)
