"""What can still be promised: examples by hand."""

from __future__ import annotations

from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from wattmesh_market.energy.availability import Promise, buyable_wh, drawn_wh, held_wh, room_wh, sellable_wh
from wattmesh_market.energy.battery import NO_BATTERY, Battery

NOW, LATER = 900, 1800
BATTERY = Battery(10_000, 1000, 4000, 4000, 950_000, 900_000)
FLOOR_WH = 8000


def test_energy_above_the_floor_is_sellable_less_discharge_losses() -> None:
    assert sellable_wh(BATTERY, 8500, FLOOR_WH, [], NOW, NOW) == 450


def test_nothing_is_sellable_at_or_below_the_floor() -> None:
    assert sellable_wh(BATTERY, 8000, FLOOR_WH, [], NOW, NOW) == 0
    assert sellable_wh(BATTERY, 3000, FLOOR_WH, [], NOW, NOW) == 0


def test_a_promise_for_any_slot_is_no_longer_sellable() -> None:
    # 450 Wh at the terminals hold 500 of the store.
    assert sellable_wh(BATTERY, 9000, FLOOR_WH, [Promise(LATER, 450)], NOW, NOW) == 450
    assert sellable_wh(BATTERY, 9000, FLOOR_WH, [Promise(NOW, 450)], NOW, NOW) == 450
    assert sellable_wh(BATTERY, 9000, FLOOR_WH, [Promise(NOW, 450), Promise(LATER, 450)], NOW, NOW) == 0


def test_the_power_limit_counts_only_promises_for_the_same_slot() -> None:
    strong = replace(BATTERY, min_level_wh=0)
    assert sellable_wh(strong, 10_000, 0, [], NOW, NOW) == 1000
    assert sellable_wh(strong, 10_000, 0, [Promise(NOW, 700)], NOW, NOW) == 300
    assert sellable_wh(strong, 10_000, 0, [Promise(LATER, 700)], NOW, NOW) == 1000


def test_the_minimum_level_is_never_sold_even_with_a_lower_floor() -> None:
    assert sellable_wh(BATTERY, 1500, 0, [], NOW, NOW) == 450
    assert sellable_wh(BATTERY, 900, 0, [], NOW, NOW) == 0


def test_promises_beyond_what_is_left_leave_nothing_rather_than_less() -> None:
    assert sellable_wh(BATTERY, 8100, FLOOR_WH, [Promise(NOW, 1000)], NOW, NOW) == 0


def test_room_is_buyable_with_charge_losses() -> None:
    # Almost a Wh may be carried beyond the level.
    assert buyable_wh(BATTERY, 9050, [], NOW) == 998
    assert buyable_wh(BATTERY, 9525, [], NOW) == 498
    assert buyable_wh(BATTERY, 10_000, [], NOW) == 0


def test_purchases_under_way_take_room_and_power() -> None:
    assert buyable_wh(BATTERY, 9050, [Promise(LATER, 400)], NOW) == 598
    assert buyable_wh(BATTERY, 0, [Promise(NOW, 400)], NOW) == 600
    assert buyable_wh(BATTERY, 0, [Promise(LATER, 400)], NOW) == 1000


def test_a_level_above_a_smaller_battery_leaves_no_room() -> None:
    assert buyable_wh(BATTERY, 12_000, [], NOW) == 0


def test_without_a_battery_there_is_nothing_to_sell_and_no_room() -> None:
    assert sellable_wh(NO_BATTERY, 0, 0, [], NOW, NOW) == 0
    assert buyable_wh(NO_BATTERY, 0, [], NOW) == 0


def test_held_energy_and_kept_room_are_those_of_the_store() -> None:
    promises = [Promise(NOW, 450), Promise(LATER, 900)]
    assert held_wh(BATTERY, promises, NOW) == 500 + 1000
    assert room_wh(BATTERY, promises) == 1283  # 1282.5, and what is carried may make it a Wh more
    assert drawn_wh(BATTERY, promises) == 500 + 1000
    assert held_wh(BATTERY, [], NOW) == room_wh(BATTERY, []) == 0


def test_each_direction_has_its_own_power() -> None:
    lopsided = replace(BATTERY, charge_power_w=2000, discharge_power_w=1000)
    assert sellable_wh(lopsided, 10_000, 0, [], NOW, NOW) == 250
    assert buyable_wh(lopsided, 2000, [], NOW) == 500


def test_what_leaks_until_delivery_is_held_too() -> None:
    leaky = replace(BATTERY, self_discharge_ppm_per_day=960_000)  # a hundredth in each slot, rounded either way
    # 500 Wh are drawn. 1500 are left of 1515, and these of 1530: the minimum level leaks as well.
    assert held_wh(leaky, [Promise(LATER, 450)], NOW) in range(529, 533)
    assert held_wh(leaky, [Promise(LATER, 450)], LATER) in range(514, 518)
    assert sellable_wh(leaky, 1530, 0, [], NOW, LATER) in range(448, 452)


def test_what_was_due_before_is_held_for_the_next_slot() -> None:
    assert held_wh(BATTERY, [Promise(NOW, 450)], LATER) == 500


batteries = st.integers(0, 10_000).flatmap(
    lambda capacity_wh: st.builds(
        Battery,
        st.just(capacity_wh),
        st.integers(0, capacity_wh),
        st.integers(0, 20_000),
        st.integers(0, 20_000),
        st.integers(700_000, 1_000_000),
        st.integers(700_000, 1_000_000),
        st.just(0) | st.integers(0, 1_000_000),
    )
)
slots = st.sampled_from([NOW, LATER, LATER + 900, LATER + 86_400])
promised = st.lists(st.builds(Promise, slots, st.integers(0, 1500), st.just(0)), max_size=5)


@given(batteries, st.integers(0, 10_000), st.integers(0, 10_000), promised, slots, st.integers(1, 500))
def test_what_is_sellable_can_be_held_and_one_more_watt_hour_could_not_be_delivered(
    battery: Battery, level_wh: int, floor_wh: int, promises: list[Promise], slot: int, more_wh: int
) -> None:
    spare_wh = level_wh - max(floor_wh, battery.min_level_wh)
    most_wh = sellable_wh(battery, level_wh, floor_wh, promises, NOW, slot)
    if most_wh:
        assert held_wh(battery, [*promises, Promise(slot, most_wh)], NOW) <= spare_wh
    too_much = [*promises, Promise(slot, most_wh + more_wh)]
    beyond_power = sum(promise.energy_wh for promise in too_much if promise.slot == slot) > battery.discharge_limit_wh
    assert beyond_power or held_wh(battery, too_much, NOW) > spare_wh


@given(batteries, st.integers(0, 10_000), promised, st.integers(1, 500))
def test_more_than_buyable_would_not_be_stored(
    battery: Battery, level_wh: int, purchases: list[Promise], more_wh: int
) -> None:
    most_wh = buyable_wh(battery, level_wh, purchases, NOW)
    too_much = [*purchases, Promise(NOW, most_wh + more_wh)]
    bought_wh = sum(promise.energy_wh for promise in too_much)
    beyond_power = sum(promise.energy_wh for promise in too_much if promise.slot == NOW) > battery.charge_limit_wh
    assert beyond_power or bought_wh > battery.chargeable_wh(battery.capacity_wh - level_wh)
