"""Sellers that publish what they have, and buyers that find it at the gateway."""

from __future__ import annotations

from typing import Any

import pytest

from tests.market.invariants import check_end
from tests.world.market import World
from tests.world.market import street as neighbours
from tests.world.parties import FEES, FIRST_SLOT, GATEWAY, GRID, NEXT, Config, Weather, battery, household, utility
from wattmesh_market.energy.profiles import SlotProfile
from wattmesh_market.energy.slots import SLOT_S
from wattmesh_market.parties.books import AlarmKind
from wattmesh_market.parties.config import DemandResponse
from wattmesh_market.parties.events import Unanswered
from wattmesh_market.schedule import (
    AHEAD_S,
    HOUSEHOLD_LOOKS_PPM,
    PUBLISHED_S,
    QUIET_PPM,
    UTILITY_LOOKS_PPM,
    quiet_until_s,
)
from wattmesh_market.trade.contracts import DELIVERED, Side
from wattmesh_market.trade.messages import Action, Offers, Publish, PublishResult, Quote, Select, Wanted
from wattmesh_market.trade.offers import Offer
from wattmesh_market.trade.refusal import Reason, Refused

ROOF, FLAT, BARE = "roof-0.default", "flat-0.default", "bare-0.default"
LOCAL, GRID_FEE = FEES.local_grid_fee_micro_per_kwh, FEES.grid_fee_micro_per_kwh


def street(*, response: DemandResponse | None = None) -> World:
    """A roof with a full battery, a flat with an empty one, a household with neither, and the utility."""
    return World(
        utility(tariff=FEES, response=response),
        household("roof-0", battery(), tariff=FEES, sell_percent=50),
        household("flat-0", battery(1000), tariff=FEES),
        household("bare-0", tariff=FEES),
        weather={FLAT: Weather(load_wh=600), BARE: Weather(load_wh=100)},
        publishes=True,
    )


class Publishing(World):
    """A world whose sellers publish."""

    def __init__(self, *configs: Config, **more: Any) -> None:
        super().__init__(*configs, publishes=True, **more)


def told(world: World, name: str) -> list[Publish]:
    """What a party has published and is under way."""
    return [one.message for one in world.sent(name, Publish) if isinstance(one.message, Publish)]


def test_a_slot_begins_and_sellers_publish_what_they_have_for_the_next() -> None:
    world = street()
    world.begin_slot()
    following = NEXT + SLOT_S
    [of_roof] = told(world, ROOF)
    [(slot, offer)] = of_roof.offers
    assert (slot, offer.item_id, offer.local_fee_micro_per_kwh) == (following, f"energy-{following}", LOCAL)
    assert (offer.price_micro_per_kwh, offer.available_wh > 0) == (200_000, True)
    [of_grid] = told(world, GRID)
    assert [slot for slot, _ in of_grid.offers] == [*range(following, following + PUBLISHED_S, SLOT_S)]
    _, offer = of_grid.offers[0]  # what all pay is in the price
    assert (offer.price_micro_per_kwh, offer.local_fee_micro_per_kwh) == (300_000 + GRID_FEE, 0)
    assert told(world, FLAT) == [Publish(())]  # there may be something of before
    assert told(world, BARE) == []  # it is registered as a buyer only


def test_only_what_is_other_than_before_is_published() -> None:
    world = street()
    world.begin_slot()
    world.carry()
    world.act(world[ROOF], world[ROOF].events.catch_up)
    assert told(world, ROOF) == []
    slot = NEXT + SLOT_S
    quote = world.say(ROOF, FLAT, Select(ROOF, (Wanted(slot, f"energy-{slot}", 300),)))
    assert isinstance(quote, Quote)
    [after] = told(world, ROOF)
    assert world.catalogs[ROOF].offers[0][1].available_wh - after.offers[0][1].available_wh == 300


def test_that_slots_pass_is_no_news_until_more_may_be_asked_for_than_was_told() -> None:
    world = Publishing(utility())
    world[GRID].party.grid = world.grid._replace(end_s=None)
    published = []
    for _ in range(2 + (PUBLISHED_S - AHEAD_S) // SLOT_S):
        world.begin_slot()
        published.append(len(told(world, GRID)))
        world.carry()
    assert published == [1, *[0] * ((PUBLISHED_S - AHEAD_S) // SLOT_S), 1]


def test_what_is_over_need_not_be_withdrawn() -> None:
    world = street()
    world.begin_slot()
    world.carry()
    world[ROOF].party.draining = True
    world.begin_slot()  # of what it had, nothing can be ordered any more
    assert told(world, ROOF) == []


def test_what_is_sold_while_nobody_looks_is_published_when_somebody_does() -> None:
    world = street()
    world.begin_slot()
    world.carry()
    slot, of_slot = NEXT + SLOT_S, world.now.slot
    for part, buyer in ((0.25, FLAT), (0.3, BARE)):
        world.at(of_slot + part * SLOT_S)
        world.say(ROOF, buyer, Select(ROOF, (Wanted(slot, f"energy-{slot}", 300),)), buyer)
        assert told(world, ROOF) == []
    alarm = world.alarm_of(ROOF, AlarmKind.PUBLISH)
    assert world[ROOF].alarms[alarm] == of_slot + 0.44 * SLOT_S
    world.at(of_slot + 0.44 * SLOT_S)
    world.ring(world[ROOF], alarm)
    [after] = told(world, ROOF)
    assert world.catalogs[ROOF].offers[0][1].available_wh - after.offers[0][1].available_wh == 600


@pytest.mark.parametrize(
    ("part", "until"), [(0.1, None), (0.24, 0.44), (0.4395, None), (0.45, None), (0.5, 0.59), (0.9, 1)]
)
def test_nobody_looks_between_the_looks(part: float, until: float | None) -> None:
    assert quiet_until_s(NEXT + part * SLOT_S) == (None if until is None else NEXT + until * SLOT_S)


def test_looks_are_never_in_what_is_called_quiet() -> None:
    for looks in (HOUSEHOLD_LOOKS_PPM, UTILITY_LOOKS_PPM):
        for first, last in looks:
            assert all(high <= first or last <= low for low, high in QUIET_PPM)


def test_a_sale_that_was_refused_changes_nothing() -> None:
    world = street()
    world.begin_slot()
    world.carry()
    with pytest.raises(Refused):
        world.say(ROOF, FLAT, Select(ROOF, (Wanted(NEXT + SLOT_S, "sun", 300),)))
    assert told(world, ROOF) == []


def test_what_has_not_arrived_is_published_again_in_the_next_slot() -> None:
    world = street()
    world.begin_slot()
    [letter] = world.sent(FLAT, Publish)
    world.lose(letter)
    assert told(world, FLAT) == []
    world.begin_slot()
    assert told(world, FLAT) == [Publish(())]
    [again] = world.sent(FLAT, Publish)
    assert again.message_id != letter.message_id


def test_what_the_gateway_has_refused_is_published_again_too() -> None:
    world = street()
    world.begin_slot()
    world.carry()
    assert world.say(FLAT, GATEWAY, PublishResult(None)) is None
    assert world.say(FLAT, GATEWAY, PublishResult("30000 too long")) is None
    assert world.refusal(FLAT, ROOF, PublishResult("30000 no")).reason is Reason.BUSINESS
    world.begin_slot()
    assert told(world, FLAT) == [Publish(())]


def test_who_drains_withdraws_what_it_had() -> None:
    world = street()
    world.begin_slot()
    world.carry()
    world[ROOF].party.drain(draining=True)
    world.act(world[ROOF], world[ROOF].events.catch_up)
    assert told(world, ROOF) == [Publish(())]


def test_a_street_trades_by_what_was_published() -> None:
    world = street()
    world.live(6)
    world.settle_down()
    check_end(world)
    bought = [one for one in world[FLAT].journal.contracts.values() if one.state in DELIVERED]
    assert {one.counterparty for one in bought} >= {ROOF}
    for one in bought:
        fee = LOCAL if one.counterparty == ROOF else GRID_FEE
        assert one.deliveries[0].offered_micro_per_kwh == (200_000 if one.counterparty == ROOF else 300_000) + fee


def test_a_utility_pays_no_fee_of_neighbours() -> None:
    world = neighbours(response=DemandResponse(5_000, 280_000), tariff=FEES, world=Publishing)
    slots = range(FIRST_SLOT, FIRST_SLOT + 10 * SLOT_S, SLOT_S)
    world[FLAT].weather.given = dict.fromkeys(slots, SlotProfile(0, 1200))
    world.live(6)
    world.settle_down()
    check_end(world)
    contracts = [one for one in world[GRID].journal.contracts.values() if one.side is Side.BUYER]
    relief = [one for one in contracts if one.state in DELIVERED]
    assert {one.fee_micro for one in relief} == {0}
    assert {one.deliveries[0].offered_micro_per_kwh for one in relief} <= {180_000, 220_000}


# --- what a buyer believes ---


def offer_of(seller: str) -> Offer:
    return Offer(seller, f"energy-{NEXT + SLOT_S}", 100_000, 400, local_fee_micro_per_kwh=LOCAL)


def test_a_seller_speaks_for_itself_and_the_gateway_for_all_but_the_buyer() -> None:
    world = street()
    world.begin_slot()
    world.at(world.now.slot + 0.3 * SLOT_S)
    [look] = [one for one in world[FLAT].alarms if one.kind is AlarmKind.LOOK and one.attempt == 0]
    world.ring(world[FLAT], look)
    [transaction_id] = world[FLAT].books.purchases
    slot = NEXT + SLOT_S
    both = Offers(((slot, offer_of(ROOF)), (slot, offer_of("barn-0.default")), (slot, offer_of(FLAT))))
    world.say(FLAT, ROOF, both, transaction_id)
    assert {*world[FLAT].books.selections[transaction_id]} == {ROOF}
    world.say(FLAT, GATEWAY, both, transaction_id)
    selections = world[FLAT].books.selections[transaction_id]
    assert {*selections} == {ROOF, "barn-0.default"}
    assert {one.offer.price_micro_per_kwh for one in selections.values()} == {100_000 + LOCAL}


def test_a_failed_publication_is_told() -> None:
    world = street()
    world.begin_slot()
    events = world[ROOF].events
    world.act(world[ROOF], lambda: events.unanswered(GATEWAY, "t", Action.PUBLISH, Unanswered(None, "no answer")))
    assert world[ROOF].lines[-1].text == "offers not published: %s"
    assert world[ROOF].books.published.failed
