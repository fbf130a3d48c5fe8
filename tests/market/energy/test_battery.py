"""The battery and the meter: nothing is made, nothing is lost uncounted, and what was promised is there."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from wattmesh_market.energy.availability import Promise, buyable_wh, drawn_wh, held_wh, room_wh, sellable_wh, sunny_wh
from wattmesh_market.energy.battery import NO_BATTERY, Battery, Metered, SlotPlan, meter_slot
from wattmesh_market.energy.slots import SLOT_S

NOON = 1_782_036_000
BATTERY = Battery(
    capacity_wh=10_000,
    min_level_wh=1000,
    charge_power_w=4000,
    discharge_power_w=4000,
    charge_efficiency_ppm=950_000,
    discharge_efficiency_ppm=900_000,
)
"""1000 Wh per slot in each direction; 1000 Wh charged store 950, 900 Wh discharged take 1000."""

energies = st.integers(0, 3000)
slots = st.integers(0, 4_000_000).map(lambda number: number * SLOT_S)
leaks = st.just(0) | st.integers(0, 20_000) | st.integers(0, 1_000_000)
efficiencies = st.integers(1, 1_000_000) | st.integers(800_000, 1_000_000)


@st.composite
def batteries(draw: st.DrawFn) -> Battery:
    capacity_wh = draw(st.integers(0, 8000))
    return Battery(
        capacity_wh,
        draw(st.integers(0, capacity_wh)),
        draw(st.integers(0, 10_000)),
        draw(st.integers(0, 10_000)),
        draw(efficiencies),
        draw(efficiencies),
        draw(leaks),
    )


@st.composite
def any_plan(draw: st.DrawFn) -> SlotPlan:
    """The owner fills its battery from the grid no further than from the sun."""
    fill_wh = draw(st.just(0) | st.integers(0, 8000))
    return SlotPlan(
        slot=draw(slots),
        pv_wh=draw(energies),
        load_wh=draw(energies),
        bought_wh=draw(energies),
        sold_wh=draw(energies),
        held_wh=draw(energies),
        room_wh=draw(energies),
        relief_wh=draw(st.just(0) | energies),
        fill_wh=fill_wh,
        reserve_wh=draw(st.just(0) | st.integers(0, 8000)),
        full_wh=draw(st.none() | st.integers(fill_wh, 8000)),
    )


plans = any_plan()
carries = st.just(0) | st.just(999_999) | st.integers(0, 999_999)
PPM = 1_000_000


def start_uwh(battery: Battery, level_wh: int, plan: SlotPlan, carried_uwh: int) -> int:
    """What is stored (millionths of a Wh) once the slot's leak is gone."""
    held_uwh = min(level_wh * PPM + carried_uwh, battery.capacity_wh * PPM)
    return held_uwh - battery.leaked_wh(held_uwh // PPM, plan.slot) * PPM


def after_uwh(metered: Metered) -> int:
    """What is stored at the end, in millionths of a Wh."""
    return metered.level_after_wh * PPM + metered.carried_uwh


def charged_wh(metered: Metered) -> int:
    """What passed the battery's terminals, negative when it left."""
    into_wh = metered.pv_wh + metered.bought_wh + metered.imported_wh
    return into_wh - metered.load_wh - metered.sold_wh - metered.exported_wh


def balance_wh(metered: Metered) -> int:
    """What is not explained of the change in stored energy."""
    sources_wh = metered.pv_wh + metered.bought_wh + metered.imported_wh
    sinks_wh = metered.load_wh + metered.sold_wh + metered.exported_wh + metered.losses_wh
    return metered.level_after_wh - metered.level_before_wh - sources_wh + sinks_wh


# --- examples, computed by hand ---


def test_surplus_charges_with_losses() -> None:
    metered = meter_slot(BATTERY, 5000, SlotPlan(NOON, pv_wh=900, load_wh=200))
    # 700 Wh at the terminals store 665 and lose 35.
    assert metered == Metered(5000, 5665, 900, 200, 0, 0, imported_wh=0, exported_wh=0, losses_wh=35)


def test_surplus_beyond_the_power_limit_is_exported() -> None:
    metered = meter_slot(BATTERY, 5000, SlotPlan(NOON, pv_wh=1500, load_wh=100))
    assert metered == Metered(5000, 5950, 1500, 100, 0, 0, imported_wh=0, exported_wh=400, losses_wh=50)


def test_surplus_beyond_the_capacity_is_exported() -> None:
    metered = meter_slot(BATTERY, 9905, SlotPlan(NOON, pv_wh=800, load_wh=0))
    # 95 Wh of room take 100 Wh at the terminals.
    assert metered == Metered(9905, 10_000, 800, 0, 0, 0, imported_wh=0, exported_wh=700, losses_wh=5)


def test_a_full_battery_takes_nothing() -> None:
    metered = meter_slot(BATTERY, 10_000, SlotPlan(NOON, pv_wh=800, load_wh=0))
    assert metered == Metered(10_000, 10_000, 800, 0, 0, 0, imported_wh=0, exported_wh=800, losses_wh=0)


def test_deficit_discharges_with_losses() -> None:
    metered = meter_slot(BATTERY, 5000, SlotPlan(NOON, pv_wh=50, load_wh=500))
    # 450 Wh at the terminals take 500 of the store.
    assert metered == Metered(5000, 4500, 50, 500, 0, 0, imported_wh=0, exported_wh=0, losses_wh=50)


def test_deficit_below_the_minimum_level_is_imported() -> None:
    metered = meter_slot(BATTERY, 1100, SlotPlan(NOON, pv_wh=0, load_wh=500))
    assert metered == Metered(1100, 1000, 0, 500, 0, 0, imported_wh=410, exported_wh=0, losses_wh=10)


def test_deficit_beyond_the_power_limit_is_imported() -> None:
    metered = meter_slot(BATTERY, 5000, SlotPlan(NOON, pv_wh=0, load_wh=1800))
    # 1000 Wh at the terminals take 1111.111112 of the store; what it holds beyond a whole Wh is carried.
    after = {"imported_wh": 800, "exported_wh": 0, "losses_wh": 112, "carried_uwh": 888_888}
    assert metered == Metered(5000, 3888, 0, 1800, 0, 0, **after)


def test_a_sale_comes_before_own_load() -> None:
    metered = meter_slot(BATTERY, 2000, SlotPlan(NOON, pv_wh=0, load_wh=600, sold_wh=900))
    # The store gives 900 Wh down to the minimum; all of them are the buyer's.
    assert metered == Metered(2000, 1000, 0, 600, 0, 900, imported_wh=600, exported_wh=0, losses_wh=100)


def test_a_sale_is_met_by_the_sun_first_then_by_the_store() -> None:
    sunny = meter_slot(BATTERY, 1100, SlotPlan(NOON, pv_wh=5000, load_wh=0, sold_wh=900))
    assert sunny == Metered(1100, 2050, 5000, 0, 0, 900, imported_wh=0, exported_wh=3100, losses_wh=50)
    cloudy = meter_slot(BATTERY, 2000, SlotPlan(NOON, pv_wh=800, load_wh=350, sold_wh=900))
    # 450 Wh of sun are spare; the store gives 450 for 500.
    assert cloudy == Metered(2000, 1500, 800, 350, 0, 900, imported_wh=0, exported_wh=0, losses_wh=50)


def test_what_sun_and_store_do_not_give_of_a_sale_the_backstop_covers() -> None:
    metered = meter_slot(BATTERY, 2000, SlotPlan(NOON, pv_wh=0, load_wh=200, sold_wh=900, held_wh=500))
    # 500 Wh above the minimum are held for a later buyer, the other 500 give 450.
    after = {"imported_wh": 650, "exported_wh": 0, "losses_wh": 50, "covered_wh": 450}
    assert metered == Metered(2000, 1500, 0, 200, 0, 900, **after)


def test_a_utility_gets_only_what_sun_and_store_give() -> None:
    metered = meter_slot(BATTERY, 2000, SlotPlan(NOON, pv_wh=0, load_wh=0, sold_wh=450, relief_wh=900))
    # 500 Wh of the store are left above the minimum; they give 450 of the 900.
    assert metered == Metered(2000, 1000, 0, 0, 0, 900, imported_wh=0, exported_wh=0, losses_wh=100)
    sunny = meter_slot(NO_BATTERY, 0, SlotPlan(NOON, pv_wh=800, load_wh=300, relief_wh=900))
    assert sunny == Metered(0, 0, 800, 300, 0, 500, imported_wh=0, exported_wh=0, losses_wh=0)
    dark = meter_slot(NO_BATTERY, 0, SlotPlan(NOON, pv_wh=0, load_wh=300, relief_wh=900))
    assert dark == Metered(0, 0, 0, 300, 0, 0, imported_wh=300, exported_wh=0, losses_wh=0)


def test_up_to_a_level_its_owner_charges_it_from_the_grid() -> None:
    metered = meter_slot(BATTERY, 5000, SlotPlan(NOON, pv_wh=100, load_wh=0, fill_wh=5475))
    # 475 Wh of room take 500 Wh at the terminals, of which the sun gives 100.
    assert metered == Metered(5000, 5475, 100, 0, 0, 0, imported_wh=400, exported_wh=0, losses_wh=25)


def test_below_a_level_its_owner_saves_what_is_stored() -> None:
    metered = meter_slot(BATTERY, 5000, SlotPlan(NOON, pv_wh=0, load_wh=500, reserve_wh=4900))
    assert metered == Metered(5000, 4900, 0, 500, 0, 0, imported_wh=410, exported_wh=0, losses_wh=10)
    sold = meter_slot(BATTERY, 5000, SlotPlan(NOON, pv_wh=0, load_wh=0, sold_wh=900, reserve_wh=4900))
    assert (sold.level_after_wh, sold.covered_wh) == (4000, 0), "what was sold was not to be saved"


def test_above_a_level_its_owner_feeds_in() -> None:
    metered = meter_slot(BATTERY, 5000, SlotPlan(NOON, pv_wh=900, load_wh=0, full_wh=5095))
    assert metered == Metered(5000, 5095, 900, 0, 0, 0, imported_wh=0, exported_wh=800, losses_wh=5)


def test_own_load_leaves_what_is_held_for_later_buyers() -> None:
    metered = meter_slot(BATTERY, 3000, SlotPlan(NOON, pv_wh=0, load_wh=900, held_wh=1500))
    # 500 Wh are free; they give 450.
    assert metered == Metered(3000, 2500, 0, 900, 0, 0, imported_wh=450, exported_wh=0, losses_wh=50)


def test_own_sun_leaves_the_room_kept_for_purchases() -> None:
    metered = meter_slot(BATTERY, 8000, SlotPlan(NOON, pv_wh=1000, load_wh=0, room_wh=1810))
    # 190 Wh are free; they take 200.
    assert metered == Metered(8000, 8190, 1000, 0, 0, 0, imported_wh=0, exported_wh=800, losses_wh=10)


def test_a_purchase_charges() -> None:
    metered = meter_slot(BATTERY, 8000, SlotPlan(NOON, pv_wh=0, load_wh=400, bought_wh=1000))
    assert metered == Metered(8000, 8570, 0, 400, 1000, 0, imported_wh=0, exported_wh=0, losses_wh=30)


def test_what_no_longer_fits_a_smaller_battery_is_lost_and_counted() -> None:
    smaller = replace(BATTERY, capacity_wh=6000)
    metered = meter_slot(smaller, 9000, SlotPlan(NOON, pv_wh=0, load_wh=90))
    assert metered == Metered(9000, 5900, 0, 90, 0, 0, imported_wh=0, exported_wh=0, losses_wh=3010)


def test_without_a_battery_everything_is_exchanged_with_the_backstop() -> None:
    night = meter_slot(NO_BATTERY, 0, SlotPlan(NOON, pv_wh=0, load_wh=300, bought_wh=200))
    assert night == Metered(0, 0, 0, 300, 200, 0, imported_wh=100, exported_wh=0, losses_wh=0)
    noon = meter_slot(NO_BATTERY, 0, SlotPlan(NOON, pv_wh=800, load_wh=300, sold_wh=400))
    assert noon == Metered(0, 0, 800, 300, 0, 400, imported_wh=0, exported_wh=100, losses_wh=0)
    cloud = meter_slot(NO_BATTERY, 0, SlotPlan(NOON, pv_wh=500, load_wh=300, sold_wh=400))
    after = {"imported_wh": 200, "exported_wh": 0, "losses_wh": 0, "covered_wh": 200}
    assert cloud == Metered(0, 0, 500, 300, 0, 400, **after)


def test_a_level_below_the_minimum_only_rises() -> None:
    raised = replace(BATTERY, min_level_wh=5000)
    metered = meter_slot(raised, 3000, SlotPlan(NOON, pv_wh=0, load_wh=300, sold_wh=200))
    after = {"imported_wh": 500, "exported_wh": 0, "losses_wh": 0, "covered_wh": 200}
    assert metered == Metered(3000, 3000, 0, 300, 0, 200, **after)


@pytest.mark.parametrize(("power_w", "limit_wh"), [(0, 0), (3, 0), (4, 1), (4000, 1000), (11_001, 2750)])
def test_the_limits_of_a_slot_are_a_quarter_of_an_hour_rounded_down(power_w: int, limit_wh: int) -> None:
    assert replace(BATTERY, charge_power_w=power_w).charge_limit_wh == limit_wh
    assert replace(BATTERY, discharge_power_w=power_w).discharge_limit_wh == limit_wh


def test_each_direction_has_its_own_power() -> None:
    lopsided = replace(BATTERY, charge_power_w=800, discharge_power_w=400)
    charged = meter_slot(lopsided, 5000, SlotPlan(NOON, pv_wh=900, load_wh=0))
    assert (charged.level_after_wh, charged.exported_wh) == (5190, 700)
    discharged = meter_slot(lopsided, 5000, SlotPlan(NOON, pv_wh=0, load_wh=900))
    assert (discharged.level_after_wh, discharged.imported_wh) == (4888, 800)


# --- self-discharge ---

LEAKY = replace(BATTERY, self_discharge_ppm_per_day=10_000)
"""1 % a day."""


def test_what_leaks_counts_as_lost_and_goes_first() -> None:
    leaky = replace(BATTERY, self_discharge_ppm_per_day=960_000)  # of 5000 Wh 50 in each slot
    metered = meter_slot(leaky, 5000, SlotPlan(NOON, pv_wh=200, load_wh=0))
    assert metered == Metered(5000, 5140, 200, 0, 0, 0, imported_wh=0, exported_wh=0, losses_wh=60)
    # 950 Wh are left above the minimum and give 855.
    metered = meter_slot(leaky, 1969, SlotPlan(NOON, pv_wh=0, load_wh=0, sold_wh=900))
    assert (metered.sold_wh, metered.covered_wh, metered.level_after_wh) in {
        (900, 46, 1000),
        (900, 45, 1000),
        (900, 44, 1000),
    }


def test_it_leaks_below_the_minimum_level_and_never_below_empty() -> None:
    leaky = replace(BATTERY, self_discharge_ppm_per_day=1_000_000)
    level_wh = 1000
    for number in range(3000):
        level_wh = meter_slot(leaky, level_wh, SlotPlan(NOON + number * SLOT_S, pv_wh=0, load_wh=100)).level_after_wh
    assert level_wh == 0


@pytest.mark.parametrize("level_wh", [1, 997, 10_000])
def test_over_a_whole_period_a_level_leaks_exactly_its_share(level_wh: int) -> None:
    period = 75_025
    lost_wh = sum(LEAKY.leaked_wh(level_wh, NOON + number * SLOT_S) for number in range(period))
    assert lost_wh == level_wh * period // (96 * 100)


@given(st.integers(0, 20_000), slots, st.integers(1, 1000), leaks)
def test_over_any_number_of_slots_a_level_leaks_its_share_but_for_some_watt_hours(
    level_wh: int, first: int, count: int, leak: int
) -> None:
    leaky = replace(BATTERY, self_discharge_ppm_per_day=leak)
    lost_wh = sum(leaky.leaked_wh(level_wh, first + number * SLOT_S) for number in range(count))
    assert abs(lost_wh - level_wh * leak * count / 96e6) < 3


def test_left_alone_a_battery_loses_its_share_day_after_day() -> None:
    level_wh = 10_000
    for number in range(30 * 96):
        level_wh = meter_slot(LEAKY, level_wh, SlotPlan(NOON + number * SLOT_S, pv_wh=0, load_wh=0)).level_after_wh
    assert abs(level_wh - 10_000 * (1 - 0.01 / 96) ** (30 * 96)) < 5


@given(batteries(), st.integers(0, 20_000), slots)
def test_more_stored_never_leaves_less(battery: Battery, level_wh: int, slot: int) -> None:
    left_wh = level_wh - battery.leaked_wh(level_wh, slot)
    assert 0 <= left_wh <= level_wh
    assert left_wh <= level_wh + 1 - battery.leaked_wh(level_wh + 1, slot) <= left_wh + 1


@given(batteries(), st.integers(1, 20_000), slots)
def test_the_least_that_leaves_a_level_is_the_least(battery: Battery, level_wh: int, slot: int) -> None:
    before_wh = battery.before_leak_wh(level_wh, slot)
    assert before_wh - battery.leaked_wh(before_wh, slot) >= level_wh
    assert before_wh - 1 - battery.leaked_wh(before_wh - 1, slot) < level_wh


# --- what is carried from slot to slot ---


@pytest.mark.parametrize("load_wh", [1, 5, 7])
def test_a_small_load_is_served_at_the_battery_s_own_efficiency(load_wh: int) -> None:
    """Rounded in each slot, a load of 1 Wh would take 2 Wh of the store, one of 5 Wh 6 Wh: 50 and 83 % for 95."""
    battery = replace(BATTERY, min_level_wh=0, discharge_efficiency_ppm=950_000)
    level_wh, carried_uwh, count = 10_000, 0, 1000
    for number in range(count):
        plan = SlotPlan(NOON + number * SLOT_S, pv_wh=0, load_wh=load_wh)
        metered = meter_slot(battery, level_wh, plan, carried_uwh)
        assert metered.imported_wh == 0
        level_wh, carried_uwh = metered.level_after_wh, metered.carried_uwh
    drawn = 10_000 - level_wh - carried_uwh / 1e6
    assert drawn == pytest.approx(count * load_wh / 0.95, abs=0.001 * count / 1000)


@pytest.mark.parametrize("pv_wh", [1, 3])
def test_a_little_sun_is_stored_at_the_battery_s_own_efficiency(pv_wh: int) -> None:
    level_wh, carried_uwh, count = 1000, 0, 1000
    for number in range(count):
        metered = meter_slot(BATTERY, level_wh, SlotPlan(NOON + number * SLOT_S, pv_wh, 0), carried_uwh)
        level_wh, carried_uwh = metered.level_after_wh, metered.carried_uwh
    assert level_wh * PPM + carried_uwh == 1000 * PPM + count * pv_wh * 950_000


# --- properties of one slot ---


@given(batteries(), st.integers(0, 12_000), plans, carries)
@settings(max_examples=400)
def test_a_slot_balances_to_the_watt_hour(battery: Battery, level_wh: int, plan: SlotPlan, carried_uwh: int) -> None:
    metered = meter_slot(battery, level_wh, plan, carried_uwh)
    assert balance_wh(metered) == 0
    assert 0 <= metered.level_after_wh <= battery.capacity_wh
    assert 0 <= metered.carried_uwh < PPM
    assert after_uwh(metered) <= battery.capacity_wh * PPM
    assert min(metered) >= 0
    assert min(metered.imported_wh, metered.exported_wh) == 0
    assert plan.sold_wh <= metered.sold_wh <= plan.sold_wh + plan.relief_wh
    assert (metered.pv_wh, metered.load_wh, metered.bought_wh) == (plan.pv_wh, plan.load_wh, plan.bought_wh)


@given(batteries(), st.integers(0, 12_000), plans, carries)
@settings(max_examples=400)
def test_what_is_stored_changes_by_what_passes_the_terminals_to_the_millionth(
    battery: Battery, level_wh: int, plan: SlotPlan, carried_uwh: int
) -> None:
    metered = meter_slot(battery, level_wh, plan, carried_uwh)
    passed_wh, before_uwh = charged_wh(metered), start_uwh(battery, level_wh, plan, carried_uwh)
    if passed_wh >= 0:
        found_uwh = min(before_uwh + passed_wh * battery.charge_efficiency_ppm, battery.capacity_wh * PPM)
    else:
        found_uwh = before_uwh - -(passed_wh * PPM * PPM // battery.discharge_efficiency_ppm)
    assert after_uwh(metered) == found_uwh


@given(batteries(), st.integers(0, 12_000), plans, carries)
@settings(max_examples=250)
def test_the_backstop_covers_of_a_sale_only_what_sun_and_store_do_not_give(
    battery: Battery, level_wh: int, plan: SlotPlan, carried_uwh: int
) -> None:
    metered = meter_slot(battery, level_wh, plan, carried_uwh)
    sun_wh = max(0, plan.pv_wh + plan.bought_wh - plan.load_wh)
    free_uwh = start_uwh(battery, level_wh, plan, carried_uwh) - (battery.min_level_wh + plan.held_wh) * PPM
    store_wh = min(battery.discharge_limit_wh, max(0, free_uwh) * battery.discharge_efficiency_ppm // (PPM * PPM))
    assert metered.covered_wh == max(0, plan.sold_wh - sun_wh - store_wh)
    assert metered.imported_wh >= metered.covered_wh
    # A utility gets what is left of both.
    assert metered.sold_wh - plan.sold_wh <= max(0, sun_wh + store_wh - plan.sold_wh)
    assert metered._replace(imported_wh=0) == meter_slot(
        battery, level_wh, plan._replace(relief_wh=metered.sold_wh - plan.sold_wh), carried_uwh
    )._replace(imported_wh=0)


@given(batteries(), st.integers(0, 12_000), plans, carries)
@settings(max_examples=250)
def test_neither_load_nor_sale_takes_the_reserve(
    battery: Battery, level_wh: int, plan: SlotPlan, carried_uwh: int
) -> None:
    metered = meter_slot(battery, level_wh, plan, carried_uwh)
    before_uwh = start_uwh(battery, level_wh, plan, carried_uwh)
    least_wh = battery.min_level_wh + plan.held_wh
    assert after_uwh(metered) >= min(before_uwh, least_wh * PPM)
    if not (plan.sold_wh or plan.relief_wh):
        assert after_uwh(metered) >= min(before_uwh, max(least_wh, plan.reserve_wh) * PPM)


@given(batteries(), st.integers(0, 12_000), plans, carries)
@settings(max_examples=250)
def test_charging_leaves_the_room_that_is_kept(
    battery: Battery, level_wh: int, plan: SlotPlan, carried_uwh: int
) -> None:
    metered = meter_slot(battery, level_wh, plan, carried_uwh)
    before_uwh = start_uwh(battery, level_wh, plan, carried_uwh)
    assert after_uwh(metered) <= max(before_uwh, (battery.capacity_wh - plan.room_wh) * PPM)
    if plan.full_wh is not None:
        # The least that fills it may pass it by less than a Wh at the terminals.
        assert after_uwh(metered) <= max(before_uwh, plan.full_wh * PPM + battery.charge_efficiency_ppm - 1)


@given(batteries(), st.integers(0, 8000), plans, carries)
@settings(max_examples=250)
def test_the_power_limit_holds_in_both_directions(
    battery: Battery, level_wh: int, plan: SlotPlan, carried_uwh: int
) -> None:
    level_wh = min(level_wh, battery.capacity_wh)
    metered = meter_slot(battery, level_wh, plan, carried_uwh)
    assert -battery.discharge_limit_wh <= charged_wh(metered) <= battery.charge_limit_wh
    sun_wh = max(0, plan.pv_wh + plan.bought_wh - plan.load_wh)
    assert metered.sold_wh - metered.covered_wh <= battery.discharge_limit_wh + sun_wh


@given(batteries(), st.integers(0, 8000), plans, carries)
@settings(max_examples=250)
def test_losses_are_those_of_the_battery(battery: Battery, level_wh: int, plan: SlotPlan, carried_uwh: int) -> None:
    level_wh = min(level_wh, battery.capacity_wh)
    metered = meter_slot(battery, level_wh, plan, carried_uwh)
    before_uwh = start_uwh(battery, level_wh, plan, carried_uwh)
    change_uwh = after_uwh(metered) - before_uwh
    burnt_uwh = charged_wh(metered) * PPM - change_uwh
    if change_uwh > 0:
        assert change_uwh <= charged_wh(metered) * battery.charge_efficiency_ppm
    elif change_uwh < 0:
        assert -charged_wh(metered) * PPM * PPM <= -change_uwh * battery.discharge_efficiency_ppm
    elif metered.level_after_wh == battery.capacity_wh:
        assert burnt_uwh == 0, "a full battery burns nothing"


# --- properties of the conversions ---


@given(batteries(), energies, carries)
def test_room_takes_the_most_that_fits_whatever_is_carried(battery: Battery, room_wh: int, carried_uwh: int) -> None:
    most_wh, worst_uwh = battery.chargeable_wh(room_wh), 999_999
    assert most_wh == 0 or carried_uwh + most_wh * battery.charge_efficiency_ppm <= room_wh * PPM
    assert worst_uwh + (most_wh + 1) * battery.charge_efficiency_ppm > room_wh * PPM


@given(batteries(), energies)
def test_a_store_gives_the_most_that_it_has(battery: Battery, store_wh: int) -> None:
    given_wh = battery.dischargeable_wh(store_wh)
    assert battery.drawn_wh(given_wh) <= store_wh
    assert battery.drawn_wh(given_wh + 1) > store_wh


@given(batteries(), energies)
def test_a_round_trip_never_makes_energy(battery: Battery, energy_wh: int) -> None:
    assert battery.dischargeable_wh(battery.stored_wh(energy_wh)) <= energy_wh
    assert battery.drawn_wh(energy_wh) >= energy_wh


@given(batteries(), st.lists(energies, max_size=8))
def test_rounding_many_promises_never_needs_more_than_is_held(battery: Battery, sales: list[int]) -> None:
    held = drawn_wh(battery, [Promise(0, energy_wh) for energy_wh in sales])
    assert battery.drawn_wh(sum(sales)) <= held
    assert battery.dischargeable_wh(held) >= sum(sales)


@given(batteries(), st.lists(energies, max_size=8), carries)
def test_rounding_many_purchases_never_needs_more_than_the_room(
    battery: Battery, purchases: list[int], carried_uwh: int
) -> None:
    room = room_wh(battery, [Promise(0, energy_wh) for energy_wh in purchases])
    assert (carried_uwh + sum(purchases) * battery.charge_efficiency_ppm) // PPM <= room
    assert battery.stored_wh(sum(purchases)) == room


@given(batteries(), st.lists(energies, max_size=8), carries)
def test_rounding_many_sales_never_draws_more_than_is_held(
    battery: Battery, sales: list[int], carried_uwh: int
) -> None:
    held = drawn_wh(battery, [Promise(0, energy_wh) for energy_wh in sales])
    left_uwh = held * PPM + carried_uwh
    for energy_wh in sales:
        left_uwh -= -(-energy_wh * PPM * PPM // battery.discharge_efficiency_ppm)
    assert left_uwh >= 0


# --- promise → any slots → delivery ---


LIVELY = st.builds(
    Battery,
    st.integers(4000, 8000),
    st.integers(0, 1000),
    st.integers(2000, 10_000),
    st.integers(2000, 10_000),
    st.integers(800_000, 1_000_000),
    st.integers(800_000, 1_000_000),
    st.integers(50_000, 1_000_000),
)
"""Has much to promise, and much leaks of it."""


@given(
    LIVELY,
    slots,
    st.integers(2000, 8000),
    st.lists(st.tuples(st.integers(0, 6), st.integers(1, 4)), min_size=1, max_size=6),
    st.lists(energies, min_size=7, max_size=7),
)
@settings(max_examples=300)
def test_all_that_was_promised_for_several_slots_is_there_however_much_leaks_until_then(
    battery: Battery, first: int, level_wh: int, promises: list[tuple[int, int]], loads: list[int]
) -> None:
    level_wh, carried_uwh = min(level_wh, battery.capacity_wh), 0
    sales: list[Promise] = []
    for ahead, part in promises:
        slot = first + ahead * SLOT_S
        sales.append(Promise(slot, sellable_wh(battery, level_wh, 0, sales, first, slot) // part))
    for number, load_wh in enumerate(loads):
        slot = first + number * SLOT_S
        sold_wh = sum(sale.energy_wh for sale in sales if sale.slot == slot)
        held = held_wh(battery, [sale for sale in sales if sale.slot > slot], slot + SLOT_S)
        plan = SlotPlan(slot, 0, load_wh, sold_wh=sold_wh, held_wh=held)
        metered = meter_slot(battery, level_wh, plan, carried_uwh)
        assert (metered.sold_wh, metered.covered_wh) == (sold_wh, 0)
        level_wh, carried_uwh = metered.level_after_wh, metered.carried_uwh


class PromisesAreKept(RuleBasedStateMachine):
    """A household that promises all it may, for any slot ahead, lives through any weather and delivers in full.

    The backstop covers no more than what was counted on a sun that did not come: never what the store was to give.
    Purchases promised to it find their room: the store takes them as far as the power limit lets it.
    """

    battery: Battery
    floor_wh: int
    level_wh: int
    slot: int
    sales: list[Promise]
    purchases: list[Promise]
    carried_uwh: int

    @initialize(
        battery=batteries() | LIVELY,
        floor_wh=st.just(0) | st.integers(0, 8000),
        level_wh=st.just(8000) | st.integers(0, 8000),
    )
    def move_in(self, battery: Battery, floor_wh: int, level_wh: int) -> None:
        self.battery = battery
        self.floor_wh = floor_wh  # may lie below the minimum level: then that counts
        self.level_wh = min(level_wh, battery.capacity_wh)
        self.carried_uwh = 0
        self.slot = NOON
        self.sales, self.purchases = [], []

    @rule(ahead=st.integers(1, 4), part=st.just(1) | st.fractions(0, 1))
    def promise_a_sale(self, ahead: int, part: float) -> None:
        slot = self.slot + ahead * SLOT_S
        most_wh = sellable_wh(self.battery, self.level_wh, self.floor_wh, self.sales, self.slot + SLOT_S, slot)
        assert most_wh >= 0
        self.sales.append(Promise(slot, int(most_wh * part)))

    @rule(ahead=st.integers(1, 4), part=st.just(1) | st.fractions(0, 1), surplus_wh=energies)
    def promise_sun(self, ahead: int, part: float, surplus_wh: int) -> None:
        slot = self.slot + ahead * SLOT_S
        sun_wh = sunny_wh(surplus_wh, self.sales, slot)
        assert 0 <= sun_wh <= surplus_wh
        self.sales.append(Promise(slot, int(sun_wh * part), int(sun_wh * part)))

    @rule(ahead=st.integers(1, 4), part=st.fractions(0, 1))
    def promise_a_purchase(self, ahead: int, part: float) -> None:
        slot = self.slot + ahead * SLOT_S
        most_wh = buyable_wh(self.battery, self.level_wh, self.purchases, slot)
        assert most_wh >= 0
        self.purchases.append(Promise(slot, int(most_wh * part)))

    @precondition(lambda self: self.sales)
    @rule(data=st.data())
    def free_a_sale(self, data: st.DataObject) -> None:
        self.sales.remove(data.draw(st.sampled_from(self.sales)))

    @rule(pv_wh=energies, load_wh=energies)
    def live_a_slot(self, pv_wh: int, load_wh: int) -> None:
        self.slot += SLOT_S
        sold_wh = sum(promise.energy_wh for promise in self.sales if promise.slot == self.slot)
        counted_wh = sum(promise.sun_wh for promise in self.sales if promise.slot == self.slot)
        bought_wh = sum(promise.energy_wh for promise in self.purchases if promise.slot == self.slot)
        self.sales = [promise for promise in self.sales if promise.slot > self.slot]
        self.purchases = [promise for promise in self.purchases if promise.slot > self.slot]
        held, room = held_wh(self.battery, self.sales, self.slot + SLOT_S), room_wh(self.battery, self.purchases)
        plan = SlotPlan(self.slot, pv_wh, load_wh, bought_wh, sold_wh, held, room)
        metered = meter_slot(self.battery, self.level_wh, plan, self.carried_uwh)
        assert metered.sold_wh == sold_wh, "what was promised is delivered in full"
        came_wh = max(0, pv_wh + bought_wh - load_wh)
        assert metered.covered_wh <= max(0, counted_wh - came_wh), "what the store was to give, it gives"
        assert balance_wh(metered) == 0
        if bought_wh and pv_wh >= load_wh and not sold_wh:
            taken_uwh = after_uwh(metered) - start_uwh(self.battery, self.level_wh, plan, self.carried_uwh)
            assert taken_uwh >= bought_wh * self.battery.charge_efficiency_ppm, "what was bought finds its room"
        self.level_wh, self.carried_uwh = metered.level_after_wh, metered.carried_uwh

    @invariant()
    def promises_are_covered(self) -> None:
        assert 0 <= self.level_wh <= self.battery.capacity_wh
        if any(promise.stored_wh for promise in self.sales):
            assert held_wh(self.battery, self.sales, self.slot + SLOT_S) <= self.level_wh - self.battery.min_level_wh
        if any(promise.energy_wh for promise in self.purchases):
            assert room_wh(self.battery, self.purchases) <= self.battery.capacity_wh - self.level_wh
        limits_wh = (self.battery.discharge_limit_wh, self.battery.charge_limit_wh)
        for promises, limit_wh in zip((self.sales, self.purchases), limits_wh, strict=True):
            for slot in {promise.slot for promise in promises}:
                assert sum(promise.stored_wh for promise in promises if promise.slot == slot) <= limit_wh


TestPromisesAreKept = PromisesAreKept.TestCase
TestPromisesAreKept.settings = settings(max_examples=150, stateful_step_count=25)
