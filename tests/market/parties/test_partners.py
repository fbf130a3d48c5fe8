"""Partners that do not keep their word: whom a party passes over, for how long, and how little they can take."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.market.parties.test_buying import (
    ANN,
    BOB,
    BUYER,
    DELIVERED,
    PRICE,
    SETTLED,
    T1,
    T2,
    Customer,
    in_doubt,
    status,
    terms,
)
from tests.market.parties.test_selling import SELLER, confirmed, contract_of, quoted, shop, wanted, why
from tests.world.market import World
from tests.world.parties import CURRENCY, FIRST_SLOT, GRID, NEXT, SLOT_WALL_S, utility
from wattmesh_market.energy.slots import DAY_S, SLOT_S
from wattmesh_market.parties import shopping
from wattmesh_market.parties.books import AlarmKind, Purchase, Selection
from wattmesh_market.parties.selling import item_id
from wattmesh_market.schedule import moment_s
from wattmesh_market.trade.contracts import Contract, ContractState, Delivery, Ended, Side
from wattmesh_market.trade.messages import Cancel, Confirm, Init, Pay, Select, Wanted
from wattmesh_market.trade.offers import Block, Offer
from wattmesh_market.trade.partners import (
    FAILURES_FORGIVEN,
    LAPSES_FORGIVEN,
    MOST_DOUBTS,
    TRIAL_WH,
    UNANSWERED,
    Trust,
    distrusted,
    has_failed,
    left_wh,
    trust_of,
)
from wattmesh_market.trade.quotas import CUSTOMER_WH, NEWCOMER_WH
from wattmesh_market.trade.refusal import Reason
from wattmesh_market.units import amount_micro

CONFIRMED, CANCELLED, EXPIRED = ContractState.CONFIRMED, ContractState.CANCELLED, ContractState.EXPIRED


def bought(seller: str, number: int, state: ContractState, *, wh: int | None = None, doubt: bool = False) -> Contract:
    """A purchase of 500 Wh in a slot of its own; `wh` were delivered."""
    slot = NEXT + number * SLOT_S
    one = Delivery(slot, item_id(slot), 500, 100_000, 0, state, wh, None if wh is None else 0)
    reason = Ended.UNKNOWN_TO_SELLER if state is CANCELLED else None
    return Contract(
        BUYER,
        Side.BUYER,
        f"of-{number}",
        seller,
        (one,),
        0,
        number,
        number,
        f"o-{number}",
        in_doubt=doubt,
        reason=reason,
    )


def look(customer: Customer, **prices: int) -> list[str]:
    """Of whom 500 Wh are bought, if these sellers (by first name) offer them at these prices."""
    return [*taken(customer, **prices)]


def taken(customer: Customer, **prices: int) -> dict[str, int]:
    """The same, and how much of it."""
    purchase = Purchase(T2, NEXT, 1, (Block(None, 500),), customer.now.ms)

    def search() -> None:
        customer.me.books.purchase(purchase)
        for name, price in prices.items():
            offer = Offer(f"{name}.default", item_id(NEXT), price, 900)
            customer.me.books.select(T2, offer.seller, Selection(offer))

    customer.act(customer.me, search)
    return {offer.seller: energy_wh for offer, energy_wh in shopping.picks(customer.me.party, purchase)}


def enter(customer: Customer, *contracts: Contract) -> None:
    def put() -> None:
        for contract in contracts:
            customer.me.books.put(contract)

    customer.act(customer.me, put)


# --- what a buyer makes of its sellers ---


def test_a_seller_that_is_silent_after_confirm_gets_nothing_more_however_cheap_it_is() -> None:
    customer = in_doubt()
    assert look(customer, ann=1, bob=PRICE) == [BOB]
    customer.act(customer.me, lambda: shopping.select(customer.me.party, T2))
    told = [line.text % line.values for line in customer.me.lines]
    assert "passes over ann: what became of a contract with it is not known" in told


def test_a_seller_that_is_silent_after_init_is_given_up_in_time_to_buy_of_another() -> None:
    customer = Customer()
    customer.want(ANN)
    customer.act(customer.me, lambda: shopping.watch(customer.me.party, T1))
    customer.wait(1)
    customer.hear(customer.quote(terms()))
    for state in (ContractState.QUOTED, EXPIRED):
        [(alarm, due_s)] = [one for one in customer.me.alarms.items() if one[0].kind is AlarmKind.STALLED]
        customer.at(due_s)
        customer.ring(customer.me, alarm)
        assert customer.state() is state
    assert customer.now.grid_s < NEXT
    assert (customer.state(), customer.contract().reason) == (EXPIRED, Ended.NOT_AGREED)
    assert has_failed(customer.contract())
    customer.hear(customer.agreed(terms()))  # too late, and harmless: nothing is confirmed
    assert customer.state() is EXPIRED


def test_once_it_has_answered_it_is_a_seller_like_others() -> None:
    customer = in_doubt()
    customer.hear(status(CONFIRMED))
    assert look(customer, ann=1, bob=PRICE) == [ANN]


def test_who_does_not_say_what_it_delivered_is_passed_over_a_slot_later() -> None:
    customer = Customer()
    enter(customer, bought(ANN, 0, CONFIRMED))
    for slots, chosen in ((1, ANN), (1, ANN), (1, BOB)):
        customer.at(customer.now.slot + slots * SLOT_S)
        assert look(customer, ann=1, bob=PRICE) == [chosen]


def test_with_many_contracts_in_doubt_only_who_has_delivered_is_trusted() -> None:
    customer = Customer()
    doubts = [bought(f"s{number}.default", number, ContractState.AGREED, doubt=True) for number in range(MOST_DOUBTS)]
    enter(customer, bought(BOB, 9, SETTLED, wh=500), *doubts[1:])
    assert look(customer, stranger=1, bob=PRICE) == ["stranger.default"]
    enter(customer, doubts[0])
    assert look(customer, stranger=1, bob=PRICE) == [BOB]


def test_who_has_only_bought_here_has_delivered_nothing() -> None:
    customer = Customer()
    doubts = [bought(f"s{number}.default", number, ContractState.AGREED, doubt=True) for number in range(MOST_DOUBTS)]
    sold = bought(ANN, 8, SETTLED, wh=500)._replace(side=Side.SELLER)
    enter(customer, bought(BOB, 9, SETTLED, wh=500), sold, *doubts)
    assert look(customer, ann=1, bob=PRICE) == [BOB]


UNANSWERED_INIT = bought(ANN, 0, EXPIRED)._replace(order_id=None, reason=Ended.QUOTE_RAN_OUT)


@pytest.mark.parametrize(
    "broken",
    [
        pytest.param(bought(ANN, 0, CANCELLED), id="lost"),
        pytest.param(bought(ANN, 0, CANCELLED)._replace(reason="a better buyer"), id="cancelled for any reason"),
        pytest.param(bought(ANN, 0, EXPIRED)._replace(reason="too late"), id="never confirmed"),
        pytest.param(UNANSWERED_INIT, id="silent after init"),
        pytest.param(bought(ANN, 0, DELIVERED, wh=0), id="nothing delivered"),
        pytest.param(bought(ANN, 0, DELIVERED, wh=1), id="one watt-hour delivered"),
    ],
)
def test_a_seller_that_does_not_deliver_what_it_quoted_rests_and_is_trusted_again_step_by_step(
    broken: Contract,
) -> None:
    customer = Customer()
    enter(customer, broken)
    customer.at(customer.now.slot + SLOT_S)
    assert look(customer, ann=1, bob=PRICE) == [ANN], "once may happen"
    enter(customer, bought(ANN, 1, CANCELLED))
    chosen = []
    for _ in range(3):
        customer.at(customer.now.slot + SLOT_S)
        chosen += [taken(customer, ann=1, bob=PRICE)]
    resting, trial = {BOB: 500}, {ANN: TRIAL_WH, BOB: 500 - TRIAL_WH}
    assert chosen == [resting, resting, trial]
    # What is under way counts.
    enter(customer, of(bought(ANN, 2, CONFIRMED), 60))
    assert taken(customer, ann=1, bob=PRICE) == {ANN: TRIAL_WH - 60, BOB: 500 - TRIAL_WH + 60}
    enter(customer, of(bought(ANN, 2, SETTLED, wh=60), 60), of(bought(ANN, 3, SETTLED, wh=100), 100))
    assert taken(customer, ann=1, bob=PRICE) == {ANN: 2 * 160, BOB: 180}
    enter(customer, of(bought(ANN, 4, SETTLED, wh=340), 340))
    assert taken(customer, ann=1, bob=PRICE) == {ANN: 500} or broken.state is not DELIVERED
    enter(customer, bought(ANN, 5, SETTLED, wh=500))
    assert taken(customer, ann=1, bob=PRICE) == {ANN: 500}


def test_who_is_on_trial_sells_nothing_for_later_slots_and_why_is_told() -> None:
    customer = Customer()
    enter(customer, bought(ANN, 0, CANCELLED), bought(ANN, 1, CANCELLED))
    for slots, said in (
        (1, "passes over ann: 2 contracts in a row came to nothing; until 06:45-07:00"),
        (3, "buys little of ann: 2 contracts in a row came to nothing; on trial with 0.100 kWh at a time"),
    ):
        customer.at(customer.now.slot + slots * SLOT_S)
        look(customer, ann=1, bob=PRICE)
        customer.act(customer.me, lambda: shopping.select(customer.me.party, T2))
        assert said in [line.text % line.values for line in customer.me.lines]


def test_who_is_not_trusted_is_listed_for_people_and_the_list_is_bounded() -> None:
    refused = of(bought(ANN, 0, EXPIRED), 500)._replace(side=Side.SELLER)
    lapses = [replace_slot(refused, number) for number in range(LAPSES_FORGIVEN + 1)]
    contracts = [
        *lapses,
        replace_slot(bought(BOB, 0, CANCELLED), 1),
        replace_slot(bought(BOB, 0, CANCELLED), 2),
        bought("carl.default", 0, ContractState.AGREED, doubt=True),
        bought("dora.default", 0, SETTLED, wh=500),
    ]
    now_slot = lapses[-1].last_slot
    listed = [
        (ANN, Side.SELLER, f"{len(lapses)} quotes in a row came to nothing; until {now_slot + 2 * SLOT_S}"),
        (BOB, Side.BUYER, "2 contracts in a row came to nothing; on trial with 0.100 kWh at a time"),
        ("carl.default", Side.BUYER, UNANSWERED),
    ]
    assert distrusted(contracts, now_slot, str) == listed
    assert distrusted(contracts, now_slot, str, 2) == listed[:2]


def test_an_order_that_is_in_doubt_when_its_gate_has_closed_is_not_counted_on() -> None:
    customer = Customer()
    slots = [NEXT + at * SLOT_S for at in range(8)]
    parts = [Delivery(slot, item_id(slot), 500, 1, 0, ContractState.AGREED) for slot in slots]
    order = bought(ANN, 0, ContractState.AGREED, doubt=True)._replace(deliveries=tuple(parts))
    enter(customer, order)
    assert [one.slot for one in customer.me.books.promises(Side.BUYER)] == slots
    customer.begin_slot()
    assert customer.me.books.promises(Side.BUYER) == []
    enter(customer, order.confirmed(customer.now.ms))
    assert [one.slot for one in customer.me.books.promises(Side.BUYER)] == slots


def test_what_is_remembered_survives_a_restart() -> None:
    customer = Customer()
    customer.at(NEXT)
    enter(customer, bought(ANN, 0, CANCELLED))
    again = customer.me.journal.load()
    assert again.failed == customer.me.books.failed
    assert [*again.failed] == [("of-0", ANN)]


FATES = {
    "kept": bought(ANN, 0, SETTLED, wh=500),
    "one watt-hour": bought(ANN, 0, SETTLED, wh=1),
    "lost": bought(ANN, 0, CANCELLED),
    "nothing delivered": bought(ANN, 0, SETTLED, wh=0),
    "under way": bought(ANN, 0, CONFIRMED),
}


@given(st.lists(st.sampled_from(sorted(FATES)), max_size=40))
def test_it_is_forgiving(fates: list[str]) -> None:
    contracts = [replace_slot(FATES[fate], number) for number, fate in enumerate(fates)]
    now_slot = NEXT + len(fates) * SLOT_S
    trust = trust_of(contracts, now_slot)
    assert trust.failures <= sum(has_failed(one) for one in contracts)
    assert (trust.most_wh is None) == (trust.until == 0) == (trust.failures <= FAILURES_FORGIVEN)
    assert trust.until <= now_slot + 64 * SLOT_S
    if fates and FATES[fates[-1]].state is not CONFIRMED and has_failed(contracts[-1]):
        assert trust.failures > 0
    # After its rest it has always a chance; what it keeps then makes good what was before, and so does a day.
    after = max(trust.until, now_slot)
    steps = 0
    while trust.most_wh is not None:
        assert left_wh(trust, (), after) == trust.most_wh >= TRIAL_WH
        steps += 1
        number = len(contracts)
        contracts.append(of(replace_slot(bought(ANN, 0, SETTLED, wh=trust.most_wh), number), trust.most_wh))
        trust = trust_of(contracts, after)
    assert steps <= 7, "each step is thrice what was kept before, so 40 contracts are made good in a few"
    assert trust_of(contracts[: len(fates)], now_slot + DAY_S) == Trust()


def replace_slot(contract: Contract, number: int) -> Contract:
    """The same of another slot."""
    [one] = contract.deliveries
    return contract._replace(
        transaction_id=f"of-{number}", created_ms=number, deliveries=(one._replace(slot=NEXT + number * SLOT_S),)
    )


def of(contract: Contract, energy_wh: int) -> Contract:
    """The same over another amount of energy."""
    [one] = contract.deliveries
    return contract._replace(deliveries=(one._replace(energy_wh=energy_wh),))


# --- what a seller makes of its buyers ---


def test_who_lets_quotes_run_out_again_and_again_is_quoted_nothing_for_a_while() -> None:
    world = shop()
    for number in range(LAPSES_FORGIVEN + 1):
        quoted(world, 100, transaction=f"q-{number}", slot=world.now.slot + SLOT_S)
        world.begin_slot()
    following = wanted(100, world.now.slot + SLOT_S)
    refused = world.refusal(SELLER, ANN, following, "one-more")
    assert (refused.reason, refused.text) == (
        Reason.TOO_MANY,
        f"of 'ann.default' {LAPSES_FORGIVEN + 1} quotes in a row came to nothing; until 09:15-09:30",
    )
    assert refused.wait_s == pytest.approx(2 * SLOT_WALL_S)
    assert quoted(world, 100, BOB, slot=world.now.slot + SLOT_S)
    world.wait(refused.wait_s or 0)
    # It may try again, with a little of what it was lent at first. Who takes and pays that is a buyer like others.
    order_id = confirmed(world, TRIAL_WH, ANN, "taken", world.now.slot + SLOT_S)
    world.begin_slot()
    following = wanted(100, world.now.slot + SLOT_S)
    assert world.refusal(SELLER, ANN, following, "not paid").text == (
        "'ann.default' has 0.100 kWh here that are not paid, and may have 0.100 kWh; pay what was delivered first"
    )
    world.begin_slot()
    (one,) = contract_of(world, ANN, "taken").deliveries
    world.say(SELLER, ANN, Pay(order_id, one.slot, one.settled_micro or 0, CURRENCY), "taken")
    quoted(world, 100, ANN, "next", world.now.slot + SLOT_S)


def test_what_a_buyer_has_ordered_and_not_paid_of_a_utility_is_bounded_and_grows_with_what_it_pays() -> None:
    world = World(utility(80_000))
    part_wh = CUSTOMER_WH // 4
    slots = [NEXT + number * SLOT_S for number in range(8)]

    def order(slot: int, energy_wh: int) -> str:
        transaction = f"of {slot} {energy_wh}"
        quote = world.say(GRID, ANN, Select(GRID, (Wanted(slot, item_id(slot), energy_wh),)), transaction)
        agreed = world.say(GRID, ANN, Init(quote.terms), transaction)
        world.say(GRID, ANN, Confirm(agreed.order_id, agreed.terms, agreed.due_micro), transaction)
        return str(agreed.order_id)

    first, *_ = [order(slot, part_wh) for slot in slots[:4]]
    more = Select(GRID, (Wanted(slots[4], item_id(slots[4]), 10),))
    refused = world.refusal(GRID, ANN, more, "more")
    assert refused.text == (
        "'ann.default' has 60.000 kWh here that are not paid, and may have 60.000 kWh; pay what was delivered first"
    )
    world.begin_slot(2)
    assert world.refusal(GRID, ANN, more, "delivered is not paid").reason is Reason.BUSINESS
    world.say(GRID, ANN, Pay(first, NEXT, amount_micro(300_000, part_wh), CURRENCY), f"of {NEXT} {part_wh}")
    order(slots[4], part_wh)
    order(slots[5], part_wh)
    assert "may have 75.000 kWh" in world.refusal(GRID, ANN, more, "and more").text


def test_a_household_lends_anybody_a_little_and_a_utility_and_its_customers_each_other_more() -> None:
    world = shop()
    seller, grid = world[SELLER].party, World(utility())[GRID].party
    assert [seller.lends_wh(ANN), seller.lends_wh(GRID), grid.lends_wh(SELLER)] == [NEWCOMER_WH, *[CUSTOMER_WH] * 2]


# --- a cancellation is no option ---


@pytest.mark.parametrize(("part_ppm", "possible"), [(869_000, True), (870_000, False), (999_000, False)])
def test_what_nobody_else_can_buy_any_more_is_not_cancelled(part_ppm: int, possible: bool) -> None:
    world = shop()
    next_order, later_order = confirmed(world, 100), confirmed(world, 100, transaction="later", slot=NEXT + SLOT_S)
    world.at(moment_s(FIRST_SLOT, part_ppm))
    if possible:
        world.say(SELLER, ANN, Cancel(next_order, "cheaper elsewhere"))
    else:
        assert why(world, Cancel(next_order, "cheaper elsewhere"))[0] is Reason.CANCELLATION_NOT_POSSIBLE
    world.say(SELLER, ANN, Cancel(later_order, "cheaper elsewhere"), "later")
