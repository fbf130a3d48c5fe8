"""Prices by name: examples by hand, and the bounds that all keep."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wattmesh_market.pricing import PRICINGS, PricingView, pricing_named

VIEW = PricingView(
    slot=1_782_036_000,
    seed=7,
    utility_price_micro_per_kwh=300_000,
    local_grid_fee_micro_per_kwh=0,
    feed_in_micro_per_kwh=80_000,
    sell_price_micro_per_kwh=None,
    max_buy_price_micro_per_kwh=None,
    capacity_wh=10_000,
    level_wh=9000,
    sell_above_wh=8000,
    buy_target_wh=5000,
)
FIXED, LEVEL = PRICINGS["fixed"], PRICINGS["level"]
MID_MARKET, RANDOM = PRICINGS["mid-market"], PRICINGS["zero-intelligence"]

prices = st.integers(0, 1_000_000)
views = st.builds(
    PricingView,
    slot=st.integers(0, 4_000_000).map(lambda number: number * 900),
    seed=st.integers(0, 2**53 - 1),
    utility_price_micro_per_kwh=prices,
    local_grid_fee_micro_per_kwh=prices,
    feed_in_micro_per_kwh=prices,
    sell_price_micro_per_kwh=st.none() | prices,
    max_buy_price_micro_per_kwh=st.none() | prices,
    capacity_wh=st.integers(0, 10_000),
    level_wh=st.integers(0, 12_000),
    sell_above_wh=st.integers(0, 10_000),
    buy_target_wh=st.integers(0, 10_000),
)
names = st.sampled_from(sorted(PRICINGS))


# --- bounds ---


@given(names, views)
def test_no_buyer_pays_more_than_its_limit_or_its_utility(name: str, view: PricingView) -> None:
    bid = PRICINGS[name].bid(view)
    assert 0 <= bid <= view.utility_price_micro_per_kwh
    assert view.max_buy_price_micro_per_kwh is None or bid <= view.max_buy_price_micro_per_kwh


@given(st.sampled_from(sorted(set(PRICINGS) - {"fixed"})), views)
def test_no_seller_asks_less_than_its_floor_or_more_than_the_utility(name: str, view: PricingView) -> None:
    ask = PRICINGS[name].ask(view)
    floor = max(view.feed_in_micro_per_kwh, view.sell_price_micro_per_kwh or 0)
    assert floor <= ask <= max(floor, view.utility_price_micro_per_kwh - view.local_grid_fee_micro_per_kwh)


@given(names, views)
def test_a_price_is_the_same_whenever_it_is_asked(name: str, view: PricingView) -> None:
    pricing = PRICINGS[name]
    assert (pricing.ask(view), pricing.bid(view)) == (pricing.ask(view._replace()), pricing.bid(view._replace()))


# --- each ---


def test_fixed_is_what_was_written_wherever_the_utility_is() -> None:
    dear = VIEW._replace(sell_price_micro_per_kwh=350_000, max_buy_price_micro_per_kwh=200_000)
    assert (FIXED.ask(dear), FIXED.bid(dear)) == (350_000, 200_000)
    assert (FIXED.ask(VIEW), FIXED.bid(VIEW)) == (80_000, 300_000)


@pytest.mark.parametrize(
    ("level_wh", "price"), [(0, 300_000), (8000, 300_000), (8500, 245_000), (9000, 190_000), (10_000, 80_000)]
)
def test_the_fuller_the_battery_the_cheaper_it_sells(level_wh: int, price: int) -> None:
    assert LEVEL.ask(VIEW._replace(level_wh=level_wh)) == price


def test_a_full_battery_still_asks_the_price_that_was_written() -> None:
    assert LEVEL.ask(VIEW._replace(level_wh=10_000, sell_price_micro_per_kwh=120_000)) == 120_000


@pytest.mark.parametrize(("level_wh", "price"), [(0, 300_000), (2500, 190_000), (5000, 80_000), (9000, 80_000)])
def test_the_emptier_the_battery_the_more_it_pays(level_wh: int, price: int) -> None:
    assert LEVEL.bid(VIEW._replace(level_wh=level_wh)) == price


def test_without_a_battery_it_pays_up_to_its_limit() -> None:
    assert LEVEL.bid(VIEW._replace(capacity_wh=0, level_wh=0, sell_above_wh=0, buy_target_wh=0)) == 300_000


def test_neighbours_meet_in_the_middle_of_utility_and_feed_in() -> None:
    assert MID_MARKET.ask(VIEW) == MID_MARKET.bid(VIEW) == 190_000
    assert MID_MARKET.ask(VIEW._replace(sell_price_micro_per_kwh=200_000)) == 200_000
    assert MID_MARKET.bid(VIEW._replace(max_buy_price_micro_per_kwh=150_000)) == 150_000


def test_with_the_local_grid_fee_on_top_nobody_pays_more_than_the_utility_asks() -> None:
    view = VIEW._replace(local_grid_fee_micro_per_kwh=40_000)
    assert LEVEL.ask(view._replace(level_wh=8000)) == 260_000
    # (80 000 + 300 000 - 40 000) / 2 goes to the seller; the buyer pays 40 000 more.
    assert (MID_MARKET.ask(view), MID_MARKET.bid(view)) == (170_000, 210_000)
    assert LEVEL.bid(view._replace(level_wh=5000)) == 120_000


def test_random_prices_spread_over_all_that_a_budget_allows() -> None:
    slots = [VIEW._replace(slot=VIEW.slot + 900 * number) for number in range(400)]
    for draw in (RANDOM.ask, RANDOM.bid):
        drawn = [draw(view) for view in slots]
        assert min(drawn) < 90_000 < 290_000 < max(drawn)
        assert 180_000 < sum(drawn) / len(drawn) < 200_000


def test_random_prices_differ_between_households_and_between_asking_and_paying() -> None:
    neighbour = VIEW._replace(seed=8)
    assert len({RANDOM.ask(VIEW), RANDOM.bid(VIEW), RANDOM.ask(neighbour), RANDOM.bid(neighbour)}) == 4


def test_an_unknown_pricing_is_refused_with_the_names_there_are() -> None:
    assert pricing_named("level") is LEVEL
    with pytest.raises(ValueError, match=r"^no pricing 'greedy'; there are: fixed, level, mid-market, zero-intelli"):
        pricing_named("greedy")
