"""Who plans buys later slots in the same order, where that is expected to cost no more than waiting."""

from __future__ import annotations

from random import Random
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.market.invariants import check_end, check_now
from tests.world.market import World
from tests.world.parties import CURRENCY, FEES, GRID, NEXT, TARIFF, Weather, battery, household, utility
from wattmesh_market.energy.slots import SLOT_S
from wattmesh_market.energy.tariff import Tariff
from wattmesh_market.parties.books import Outcome, Role
from wattmesh_market.parties.selling import item_id
from wattmesh_market.schedule import AHEAD_S
from wattmesh_market.trade.contracts import Contract, ContractState, Side
from wattmesh_market.trade.messages import Line, Offers, Quote, Search, Select, Terms, Wanted
from wattmesh_market.trade.offers import Offer
from wattmesh_market.trade.refusal import Reason
from wattmesh_market.units import amount_micro

STORE, FLAT, BOB = "store-0.default", "flat-0.default", "bob.default"
TRADED = NEXT + SLOT_S
"""The slot that is traded after the first."""
AHEAD = range(TRADED, TRADED + AHEAD_S, SLOT_S)


def evening(
    *, strategy: str = "plan", level_wh: int = 9000, most_micro: int | None = None, tariff: Tariff = TARIFF
) -> World:
    """A full battery with little to do, and a flat that takes 300 Wh in every slot."""
    return World(
        household("store-0", battery(level_wh), price_micro=None, strategy=strategy, tariff=tariff),
        household("flat-0", strategy=strategy, most_micro=most_micro, tariff=tariff),
        utility(tariff=tariff),
        weather={STORE: Weather(0, 10), FLAT: Weather(0, 300)},
    )


def orders(world: World, name: str = FLAT, side: Side = Side.BUYER) -> list[Contract]:
    return [one for one in world[name].journal.contracts.values() if one.side is side]


def search(world: World) -> str:
    """Let the flat search for the next slot; the transaction."""
    world.begin_slot()
    for alarm in sorted(world[FLAT].alarms, key=lambda one: one.attempt):
        if alarm.kind.value == "look" and not world.sent(FLAT, Search):
            world.at(world[FLAT].alarms[alarm])
            world.ring(world[FLAT], alarm)
    (letter,) = world.sent(FLAT, Search)
    return letter.transaction_id


def select(world: World, *offers: tuple[int, Offer]) -> Select:
    """Let the flat choose of one seller's offers; what it asks for."""
    transaction = search(world)
    world.say(FLAT, offers[0][1].seller, Offers(offers), transaction)
    alarm = next(one for one in world[FLAT].alarms if one.kind.value == "offers in")
    world.at(world[FLAT].alarms[alarm])
    world.ring(world[FLAT], alarm)
    (letter,) = world.sent(FLAT, Select)
    assert isinstance(letter.message, Select)
    return letter.message


def offered(*prices_micro: int, wh: int = 1000) -> list[tuple[int, Offer]]:
    """What Bob offers for the slots that follow one another after the traded one, that first."""
    return [(slot, Offer(BOB, item_id(slot), micro, wh)) for slot, micro in zip(AHEAD, prices_micro, strict=False)]


def test_an_evening_is_covered_with_two_handshakes_of_a_newcomer_and_the_seller_it_has_paid() -> None:
    """A newcomer is lent 1.2 kWh, four slots' need; what it has paid by then covers the rest."""
    world = evening()
    world.live(9)
    world.settle_down()
    check_end(world)
    covered = {delivery.slot: contract for contract in orders(world) for delivery in contract.deliveries}
    assert [slot in covered for slot in AHEAD] == [True] * len(AHEAD)
    first, second = covered[TRADED], covered[AHEAD[4]]
    assert [delivery.slot for delivery in first.deliveries] == list(AHEAD[:4])
    assert [delivery.slot for delivery in second.deliveries][:4] == list(AHEAD[4:])
    for one in (first, second):
        assert [delivery.energy_wh for delivery in one.deliveries] == [300] * len(one.deliveries)
        assert one.state is ContractState.SETTLED
    imported = [world[FLAT].journal.readings[slot].metered.imported_wh for slot in AHEAD]
    assert imported == [0] * len(AHEAD)


def test_rules_buy_for_the_slot_that_is_traded_alone() -> None:
    world = evening(strategy="rules")
    search(world)
    (letter,) = world.sent(FLAT, Search)
    assert letter.message == Search(TRADED, 300)
    world.live(4)
    world.settle_down()
    check_end(world)
    assert {len(contract.deliveries) for contract in orders(world)} == {1}


def test_nothing_is_sought_beyond_the_end_of_trading() -> None:
    world = evening()
    world.at(world.end_s - 4 * SLOT_S)
    search(world)
    (letter,) = world.sent(FLAT, Search)
    assert letter.message == Search(world.end_s - 2 * SLOT_S, 300, world.end_s)
    world = evening()
    world.grid = world[FLAT].party.grid = world.grid._replace(end_s=world.end_s - 300)
    world.at(world.end_s - 4 * SLOT_S)
    search(world)
    (letter,) = world.sent(FLAT, Search)
    assert letter.message == Search(world.end_s - 2 * SLOT_S, 300, world.end_s), "its last slot begins before the end"
    world = evening()
    world.at(world.end_s - 3 * SLOT_S)
    search(world)
    (letter,) = world.sent(FLAT, Search)
    assert letter.message == Search(world.end_s - SLOT_S, 300)


def test_later_slots_are_bought_only_for_what_neighbours_energy_is_expected_to_cost() -> None:
    world = evening()
    expected = TARIFF.price_micro_per_kwh
    wanted = select(world, *offered(200_000, expected, expected + 1, 200_000)).wanted
    assert [one.slot for one in wanted] == [TRADED, TRADED + SLOT_S, TRADED + 3 * SLOT_S]
    assert [one.energy_wh for one in wanted] == [300] * 3


def test_the_owners_price_limit_holds_for_later_slots() -> None:
    world = evening(most_micro=210_000)
    wanted = select(world, *offered(200_000, 211_000, 210_000)).wanted
    assert [one.slot for one in wanted] == [TRADED, TRADED + 2 * SLOT_S]


def test_who_has_bought_for_a_later_slot_sells_nothing_in_it() -> None:
    world = evening()
    wanted = select(world, *offered(200_000, 200_000)).wanted
    later = wanted[1].slot
    assert world[FLAT].journal.roles[later] is Role.BUYER
    assert not world[FLAT].home.sells(later)


def test_an_offer_for_later_slots_takes_no_role_and_a_sale_does() -> None:
    world = evening()
    world.begin_slot()
    answer = world.say(STORE, BOB, Search(TRADED, 300, TRADED + 3 * SLOT_S))
    assert [slot for slot, _ in answer.offers] == [TRADED, TRADED + SLOT_S, TRADED + 2 * SLOT_S]
    assert set(world[STORE].journal.roles) == {TRADED}
    quote = world.say(STORE, BOB, Select(STORE, tuple(Wanted(slot, item_id(slot), 100) for slot in AHEAD[:2])))
    assert [line.slot for line in quote.terms.lines] == [TRADED, TRADED + SLOT_S]
    assert world[STORE].journal.roles[TRADED + SLOT_S] is Role.SELLER


def test_a_seller_tells_of_later_slots_as_far_as_orders_go() -> None:
    world = evening()
    world.begin_slot()
    answer = world.say(STORE, BOB, Search(TRADED, 300, TRADED + 1000 * SLOT_S))
    assert len(answer.offers) == AHEAD_S // SLOT_S
    by_rules = evening(strategy="rules")
    by_rules.begin_slot()
    assert len(by_rules.say(STORE, BOB, Search(TRADED, 300, TRADED + AHEAD_S)).offers) == 1


@pytest.mark.parametrize(
    ("change", "wrong"),
    [
        ({"energy_wh": 301}, "quoted 0.301 kWh but 0.300 kWh was selected"),
        ({"item_id": "energy-1"}, "quoted another item, slot or provider than was selected"),
        ({"slot": NEXT + 5 * SLOT_S}, "quoted another item, slot or provider than was selected"),
        ({"amount_micro": 60_001}, "quoted 0.060001 EUR but the offer makes it 0.060000 EUR"),
    ],
    ids=["more", "another item", "another slot", "dearer"],
)
def test_a_quote_for_a_later_slot_is_refused_where_it_is_not_what_was_selected(
    change: dict[str, Any], wrong: str
) -> None:
    world = evening()
    wanted = select(world, *offered(200_000, 200_000)).wanted
    transaction = next(iter(world[FLAT].books.selections))
    lines = [Line(one.slot, one.item_id, 300, amount_micro(200_000, 300), 0) for one in wanted]
    lines[1] = lines[1]._replace(**change)
    terms = Terms(BOB, tuple(lines), sum(line.amount_micro for line in lines), CURRENCY)
    refused = world.refusal(FLAT, BOB, Quote(terms, world.now.ms + 20_000), transaction)
    assert (refused.reason, refused.text) == (Reason.QUOTE_UNAVAILABLE, wrong)
    assert world[FLAT].books.selections[transaction][BOB].outcome is Outcome.FAILED


def test_what_a_seller_leaves_out_of_a_quote_is_bought_when_its_slot_comes() -> None:
    world = evening()
    wanted = select(world, *offered(200_000, 200_000)).wanted
    transaction = next(iter(world[FLAT].books.selections))
    line = Line(wanted[0].slot, wanted[0].item_id, 300, amount_micro(200_000, 300), 0)
    quote = Quote(Terms(BOB, (line,), line.amount_micro, CURRENCY), world.now.ms + 20_000)
    assert world.say(FLAT, BOB, quote, transaction) is None
    assert [one.slot for one in orders(world)[0].deliveries] == [wanted[0].slot]
    world.at(wanted[0].slot - SLOT_S)
    assert search(world)


@settings(max_examples=15)
@given(
    loads_wh=st.lists(st.integers(0, 600), min_size=2, max_size=2),
    suns_wh=st.lists(st.integers(0, 900), min_size=2, max_size=2),
    level_wh=st.integers(1000, 9000),
    fees=st.booleans(),
    chance=st.randoms(use_true_random=False),
    faults=st.integers(0, 3),
)
def test_books_are_right_and_nobody_sells_what_is_not_there_whatever_is_lost(
    loads_wh: list[int], suns_wh: list[int], level_wh: int, fees: bool, chance: Random, faults: int
) -> None:
    tariff = FEES if fees else TARIFF
    world = World(
        household("store-0", battery(level_wh), price_micro=None, strategy="plan", tariff=tariff),
        household("flat-0", strategy="plan", tariff=tariff),
        household("roof-0", price_micro=None, strategy="plan", tariff=tariff),
        utility(tariff=tariff),
        weather={
            STORE: Weather(suns_wh[0], loads_wh[0]),
            FLAT: Weather(0, 300),
            "roof-0.default": Weather(suns_wh[1], loads_wh[1]),
        },
    )
    for _ in range(6):
        world.live(1, chance, faults)
        check_now(world)
    world.settle_down()
    check_end(world)
    for name in (STORE, FLAT, "roof-0.default"):
        bought = {one.slot for contract in orders(world, name) for one in contract.deliveries if one.delivered_wh}
        sold = {
            one.slot
            for contract in orders(world, name, Side.SELLER)
            for one in contract.deliveries
            if one.delivered_wh and contract.counterparty != GRID
        }
        assert not bought & sold
