"""Prices below 0: import that is paid for, feed-in that costs, and contracts that never cost less than nothing."""

from __future__ import annotations

import pytest

from tests.market.invariants import check_end
from tests.market.parties.test_sharing import FLAT, LOFT, SLOT, SUN, Neighbours
from tests.world.market import street
from tests.world.parties import GRID, NEXT
from wattmesh_market.energy.tariff import Tariff
from wattmesh_market.mechanisms.sharing import Prices as SlotPrices
from wattmesh_market.mechanisms.sharing import Sharing, bill, correction_micro
from wattmesh_market.pricing import PricingView, pricing_named
from wattmesh_market.strategies import Buy
from wattmesh_market.trade.ledger import EntryKind, ReadingState, ReportState
from wattmesh_market.trade.messages import PricedReading
from wattmesh_market.trade.refusal import About, Reason

NEGATIVE = Tariff(-50_000, -20_000)
FEED_IN_COSTS = Tariff(300_000, -20_000)
BELOW_ITS_FEE = Tariff(-50_000, 0, grid_fee_micro_per_kwh=70_000)


def exchanged(neighbours: Neighbours, name: str) -> list[tuple[int, int]]:
    """What a household has booked with its utility in the first slot: Wh and millionths."""
    booked = neighbours[name].journal.booked(EntryKind.BACKSTOP, SLOT, GRID)
    return [(entry.energy_wh, entry.amount_micro) for entry in booked]


@pytest.mark.parametrize("sharing", [None, Sharing()], ids=["unshared", "with sharing"])
@pytest.mark.parametrize(
    ("tariff", "sun_micro", "flat_micro"),
    [(NEGATIVE, -8_000, 15_000), (FEED_IN_COSTS, -8_000, -90_000), (BELOW_ITS_FEE, 0, -6_000)],
    ids=["both", "feed-in", "less than the grid fee"],
)
def test_import_at_a_negative_price_earns_and_export_costs(
    tariff: Tariff, sun_micro: int, flat_micro: int, sharing: Sharing | None
) -> None:
    neighbours = Neighbours(sharing if tariff is not BELOW_ITS_FEE else None, tariff=tariff)
    neighbours.reported()
    neighbours.close()
    neighbours.settle_down()
    assert exchanged(neighbours, SUN) == [(-400, sun_micro)]
    assert exchanged(neighbours, FLAT) == [(300, flat_micro)]
    assert exchanged(neighbours, LOFT) == [(500, flat_micro * 5 // 3)]
    assert {neighbours[name].books.readings[SLOT].state for name in (SUN, FLAT, LOFT)} == {ReadingState.BOOKED}


def test_nothing_is_shared_in_a_slot_with_a_negative_price() -> None:
    neighbours = Neighbours(tariff=FEED_IN_COSTS)
    neighbours.reported()
    told = neighbours.close()
    assert {priced.shared for priced in told.values()} == {None}
    assert neighbours[GRID].journal.closings == []
    assert {one.state for one in neighbours[GRID].books.reported[SLOT].values()} == {ReportState.ALONE}


def test_a_bill_below_zero_is_taken_only_where_the_tariff_is() -> None:
    neighbours = Neighbours(None, tariff=NEGATIVE)
    neighbours.begin_slot()
    told = neighbours.report(SUN)
    bill_of_sun = neighbours.say(GRID, SUN, told.message, told.transaction_id)
    # Export that costs more than the tariff makes it.
    dearer = replace_amount(bill_of_sun, -8_001)
    refused = neighbours.refusal(SUN, GRID, dearer, told.transaction_id)
    assert (refused.reason, refused.about) == (Reason.BUSINESS, About.PRICE)
    neighbours.say(SUN, GRID, bill_of_sun, told.transaction_id)
    assert exchanged(neighbours, SUN) == [(-400, -8_000)]


def test_a_negative_bill_at_a_positive_tariff_is_refused() -> None:
    neighbours = Neighbours(None)
    neighbours.begin_slot()
    told = neighbours.report(FLAT)
    bill_of_flat = neighbours.say(GRID, FLAT, told.message, told.transaction_id)
    refused = neighbours.refusal(FLAT, GRID, replace_amount(bill_of_flat, -1), told.transaction_id)
    assert "a part of the price is negative" in refused.text


def replace_amount(priced: PricedReading, amount_micro: int) -> PricedReading:
    return priced._replace(amount_micro=amount_micro)


# --- contracts ---


@pytest.mark.parametrize("strategy", ["rules", "plan"])
@pytest.mark.parametrize("tariff", [NEGATIVE, FEED_IN_COSTS], ids=["both", "feed-in"])
def test_no_contract_costs_less_than_nothing(strategy: str, tariff: Tariff) -> None:
    world = street(tariff=tariff, strategy=strategy)
    world.live(4)
    world.settle_down()
    assert all(
        delivery.amount_micro >= 0
        for member in world.members.values()
        for contract in member.books.contracts.values()
        for delivery in contract.deliveries
    )
    check_end(world)


def test_a_utility_that_would_have_to_pay_sells_nothing_ahead() -> None:
    world = street(tariff=NEGATIVE)
    assert not world[GRID].party.sells(NEXT)
    assert street(tariff=FEED_IN_COSTS)[GRID].party.sells(NEXT)


@pytest.mark.parametrize("strategy", ["rules", "plan"])
def test_nobody_buys_what_the_utility_pays_for_taking(strategy: str) -> None:
    world = street(tariff=NEGATIVE, strategy=strategy)
    assert not isinstance(world["flat-0.default"].home.decide(NEXT), Buy)
    assert not isinstance(world["home-0.default"].home.decide(NEXT), Buy)


@pytest.mark.parametrize("pricing", ["fixed", "level", "mid-market", "zero-intelligence"])
@pytest.mark.parametrize(
    ("utility_micro", "feed_in_micro"), [(-50_000, -80_000), (300_000, -400_000), (10_000, -20_000)]
)
def test_every_pricing_asks_zero_or_more_and_bids_no_more_than_the_utility(
    pricing: str, utility_micro: int, feed_in_micro: int
) -> None:
    view = PricingView(NEXT, 7, utility_micro, 0, feed_in_micro, None, None, 10_000, 6_000, 5_000, 8_000)
    of = pricing_named(pricing)
    assert of.ask(view) >= 0
    assert of.bid(view) <= utility_micro
    assert of.bid(view) >= 0 or utility_micro < 0


# --- rounding ---


@pytest.mark.parametrize(("wh", "micro"), [(1, -50), (3, -150), (10, -500)])
def test_a_negative_bill_is_rounded_half_up_as_any_other(wh: int, micro: int) -> None:
    assert bill(wh, 0, 0, SlotPrices(-50_000, 0, 0)).total_micro == micro
    assert bill(1, 0, 0, SlotPrices(-500, 0, 0)).total_micro == 0  # half a millionth, up
    assert bill(1, 0, 0, SlotPrices(-501, 0, 0)).total_micro == -1


def test_what_was_billed_at_a_negative_price_is_taken_back_at_it() -> None:
    prices = SlotPrices(-50_000, -20_000, 0)
    # Paid 5000 for 100 Wh that turn out to be 40: 3000 are owed back.
    assert correction_micro(100, -5_000, 40, prices) == -3_000
    assert correction_micro(40, -2_000, 100, prices) == 3_000
    assert correction_micro(-100, -2_000, -40, prices) == 1_200


# --- plans ---


def test_a_planning_store_is_filled_from_the_grid_when_that_is_paid() -> None:
    world = street(tariff=NEGATIVE, strategy="plan")
    home = world["home-0.default"].home
    home.draining = True
    world.begin_slot(2)
    metered = home.books.readings[NEXT].metered
    assert metered.imported_wh > metered.load_wh
    assert home.supply_micro(NEXT, metered.imported_wh) > 0
