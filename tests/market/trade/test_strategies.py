"""The rules: buy what is missing and fits, sell what is spare, hold between; a utility buys above its limit."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wattmesh_market.strategies import (
    STRATEGIES,
    Buy,
    Hold,
    HouseholdView,
    Sell,
    UtilityView,
    advised,
    household_rules,
    strategy_named,
    utility_rules,
)
from wattmesh_market.trade.offers import MIN_TRADE_WH, Block

LOW = HouseholdView(
    capacity_wh=10_000,
    level_wh=1500,
    projected_wh=1500,
    deficit_wh=300,
    buyable_wh=1000,
    sellable_wh=0,
    buying=True,
    buy_below_wh=2000,
    buy_target_wh=5000,
    charge_efficiency_ppm=950_000,
    max_buy_price_micro_per_kwh=280_000,
)
BETWEEN = LOW._replace(level_wh=6000, projected_wh=6000, buying=False)
FULL = LOW._replace(level_wh=9000, projected_wh=9000, buyable_wh=500, sellable_wh=900, buying=False)
NO_BATTERY = LOW._replace(
    capacity_wh=0, level_wh=0, projected_wh=-300, buyable_wh=0, buying=False, buy_below_wh=0, buy_target_wh=0
)


# --- households ---


def test_a_low_battery_buys_up_to_what_fits_in_a_slot() -> None:
    reason = "battery low: 1.50 of 10.00 kWh (15 %); buys below 20 % up to 50 %"
    assert household_rules(LOW) == Buy((Block(280_000, 1000),), reason)


def test_a_nearly_filled_battery_buys_only_what_the_target_needs() -> None:
    view = LOW._replace(level_wh=4500, projected_wh=4525)
    reason = "battery below its target: 4.50 of 10.00 kWh (45 %); buys below 20 % up to 50 %"
    # 475 Wh are missing in the store: 500 at the terminals.
    assert household_rules(view) == Buy((Block(280_000, 500),), reason)


def test_what_load_will_take_until_then_is_bought_too() -> None:
    view = LOW._replace(buyable_wh=9000, level_wh=1500, projected_wh=1200)
    assert household_rules(view) == Buy(
        (Block(280_000, 4000),), "battery low: 1.50 of 10.00 kWh (15 %); buys below 20 % up to 50 %"
    )


@pytest.mark.parametrize("projected_wh", [4992, 5000, 9000])
def test_a_battery_that_will_reach_its_target_holds(projected_wh: int) -> None:
    assert household_rules(LOW._replace(projected_wh=projected_wh)) == Hold()


def test_a_battery_without_room_holds() -> None:
    assert household_rules(LOW._replace(buyable_wh=MIN_TRADE_WH - 1)) == Hold()


def test_between_the_thresholds_it_holds() -> None:
    assert household_rules(BETWEEN) == Hold()


def test_a_full_battery_sells() -> None:
    assert household_rules(FULL) == Sell()
    assert household_rules(FULL._replace(sellable_wh=MIN_TRADE_WH)) == Sell()
    assert household_rules(FULL._replace(sellable_wh=MIN_TRADE_WH - 1)) == Hold()


def test_without_a_battery_the_house_buys_what_it_will_use() -> None:
    assert household_rules(NO_BATTERY) == Buy((Block(280_000, 300),), "expects to use 0.300 kWh")
    assert household_rules(NO_BATTERY._replace(deficit_wh=MIN_TRADE_WH - 1)) == Hold()
    assert household_rules(NO_BATTERY._replace(deficit_wh=-400)) == Hold(), "its sun goes to the backstop"


def test_without_a_price_limit_it_buys_without_one() -> None:
    decision = household_rules(LOW._replace(max_buy_price_micro_per_kwh=None))
    assert isinstance(decision, Buy)
    assert [block.price_micro_per_kwh for block in decision.wants] == [None]


views = st.builds(
    HouseholdView,
    capacity_wh=st.sampled_from([0, 1, 5000, 10_000]),
    level_wh=st.integers(0, 10_000),
    projected_wh=st.integers(-5000, 15_000),
    deficit_wh=st.integers(-3000, 3000),
    buyable_wh=st.integers(0, 3000),
    sellable_wh=st.integers(0, 3000),
    buying=st.booleans(),
    buy_below_wh=st.integers(0, 5000),
    buy_target_wh=st.integers(5000, 10_000),
    charge_efficiency_ppm=st.integers(500_000, 1_000_000),
    max_buy_price_micro_per_kwh=st.none() | st.integers(0, 400_000),
)


@given(views)
def test_a_household_buys_what_it_needs_and_never_above_what_fits(view: HouseholdView) -> None:
    decision = household_rules(view)
    if not isinstance(decision, Buy):
        return
    assert decision.energy_wh >= MIN_TRADE_WH
    assert decision.wants == (Block(view.max_buy_price_micro_per_kwh, decision.energy_wh),)
    if view.capacity_wh:
        assert view.buying
        assert decision.energy_wh <= view.buyable_wh
        one_less_wh = (decision.energy_wh - 1) * view.charge_efficiency_ppm // 1_000_000
        assert view.projected_wh + one_less_wh < view.buy_target_wh, "no more than reaches the target"
    else:
        assert decision.energy_wh == view.deficit_wh


@given(views.filter(lambda view: view.capacity_wh > 0))
def test_a_household_sells_only_what_it_has_while_it_does_not_buy(view: HouseholdView) -> None:
    decision = household_rules(view)
    assert isinstance(decision, Sell) == (not view.buying and view.sellable_wh >= MIN_TRADE_WH)


# --- utilities ---

BUSY = UtilityView(sold_wh=3000, bought_wh=500, backstop_wh=6000, start_wh=8000, max_price_micro_per_kwh=350_000)


def test_a_utility_sells_when_demand_is_below_its_start() -> None:
    assert utility_rules(BUSY._replace(backstop_wh=2000)) == Sell()


def test_in_high_demand_it_buys_what_lies_above_and_is_not_bought_yet() -> None:
    reason = "high demand: 9.000 kWh (sold 3.000, backstop 6.000) is above 8.000 kWh"
    assert utility_rules(BUSY) == Buy((Block(350_000, 500),), reason)


def test_less_than_a_contract_is_not_bought() -> None:
    assert utility_rules(BUSY._replace(bought_wh=991)) == Sell()
    decision = utility_rules(BUSY._replace(bought_wh=990))
    assert isinstance(decision, Buy)
    assert decision.energy_wh == MIN_TRADE_WH


def test_what_households_feed_in_lowers_demand() -> None:
    assert utility_rules(BUSY._replace(backstop_wh=-4000, sold_wh=11_000, bought_wh=0)) == Sell()


def test_without_demand_response_it_always_sells() -> None:
    assert utility_rules(BUSY._replace(start_wh=None, backstop_wh=10**9)) == Sell()


@given(st.integers(0, 9000), st.integers(0, 9000), st.integers(-9000, 9000), st.integers(0, 9000))
def test_after_the_purchase_demand_is_met(sold_wh: int, bought_wh: int, backstop_wh: int, start_wh: int) -> None:
    decision = utility_rules(UtilityView(sold_wh, bought_wh, backstop_wh, start_wh, 1))
    above_wh = sold_wh + backstop_wh - start_wh - bought_wh
    if above_wh >= MIN_TRADE_WH:
        assert isinstance(decision, Buy)
        assert decision.energy_wh == above_wh
    else:
        assert decision == Sell()


# --- by name ---


def test_strategies_by_name() -> None:
    assert strategy_named("rules") is STRATEGIES["rules"]
    with pytest.raises(ValueError, match="no strategy") as refused:
        strategy_named("greedy")
    assert str(refused.value).startswith("no strategy 'greedy'; there are: chat, plan, rules. Install the package")


def test_with_a_chat_model_a_household_plans_and_a_utility_goes_by_the_rules() -> None:
    rules, plan, chat = STRATEGIES["rules"], STRATEGIES["plan"], STRATEGIES["chat"]
    assert chat.utility == plan.utility == rules.utility
    assert [one.plans for one in (rules, plan, chat)] == [False, True, True]
    assert [advised(name) for name in ("rules", "plan", "chat")] == [False, False, True]
