"""The optimum of streets that are solved by hand: one to four slots, prices in millionths per kWh."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest
from numpy.typing import ArrayLike

from wattmesh_cli.field.optimum import Demand, Home, Optimum, Shiftable, Store, optimum
from wattmesh_cli.field.program import Program, Unsolved


def store(
    slots: int, *, level_wh: float = 0, power_wh: float = 2000, min_level_wh: float = 0, leak: float = 0
) -> Store:
    """10 kWh that give back nine tenths of what they take, all of it lost in charging."""
    return Store(
        level_wh=level_wh,
        min_level_wh=min_level_wh,
        capacity_wh=np.full(slots, 10_000.0),
        charge_wh=np.full(slots, power_wh),
        discharge_wh=np.full(slots, power_wh),
        charge_efficiency=0.9,
        discharge_efficiency=1.0,
        leak=np.full(slots, leak),
    )


def home(
    net_wh: Sequence[float],
    battery: Store | None = None,
    *,
    tariff: float | Sequence[float] = 300_000,
    feed_in: float = 80_000,
    fee: float = 0,
    stored: float = 0,
    devices: tuple[Shiftable, ...] = (),
) -> Home:
    """Needs are positive, surplus is negative."""
    net = np.array(net_wh, dtype=np.float64)
    each = np.ones(len(net))
    return Home(
        pv_wh=np.maximum(0, -net),
        load_wh=np.maximum(0, net),
        tariff_micro=each * tariff,
        feed_in_micro=each * feed_in,
        local_fee_micro=each * fee,
        store=battery,
        stored_micro_per_kwh=stored,
        devices=devices,
    )


def device(limit_wh: ArrayLike, least_wh: ArrayLike, most_wh: ArrayLike) -> Shiftable:
    limit, least, most = (np.asarray(of, dtype=np.float64) for of in (limit_wh, least_wh, most_wh))
    return Shiftable(limit, least, most)


CAR = device([0, 1000, 1000, 1000], [0, 0, 0, 1500], [0, 1500, 1500, 1500])
"""It needs 1500 Wh in the last three of four slots, of 1000 Wh at most each."""


def bill_of(found: Optimum) -> float:
    return pytest.approx(found.bills_micro.sum(), abs=1e-3)  # type: ignore[return-value]


def test_of_nobody_there_is_nothing_to_pay() -> None:
    assert optimum({}).bills_micro.sum() == 0


def test_alone_without_a_battery_there_is_nothing_to_decide() -> None:
    assert bill_of(optimum({"flat": home([1000, 500])})) == 1.5 * 300_000
    assert bill_of(optimum({"roof": home([-1000, 500])})) == -80_000 + 0.5 * 300_000


def test_a_surplus_goes_next_door_at_the_same_moment() -> None:
    homes = {"roof": home([-1000, -1000]), "flat": home([600, 1500])}
    assert list(optimum(homes).bills_micro) == pytest.approx([-0.4 * 80_000, 0.5 * 300_000])


def test_the_local_grid_fee_is_paid_on_what_goes_next_door() -> None:
    homes = {"roof": home([-1000], fee=30_000), "flat": home([600], fee=30_000)}
    assert bill_of(optimum(homes)) == 0.6 * 30_000 - 0.4 * 80_000


def test_nothing_goes_next_door_where_the_fee_costs_more_than_it_saves() -> None:
    homes = {"roof": home([-1000], fee=230_000), "flat": home([600], fee=230_000)}
    assert bill_of(optimum(homes)) == 0.6 * 300_000 - 80_000


def test_the_fee_is_that_of_the_sellers_utility() -> None:
    homes = {"roof": home([-1000], fee=50_000), "flat": home([1000], fee=10_000)}
    assert bill_of(optimum(homes)) == 50_000


def test_a_surplus_is_stored_for_what_is_needed_later() -> None:
    # 900 Wh are drawn in the second slot, for which 1000 are charged; the other 500 are fed in.
    found = optimum({"roof": home([-1500, 900], store(2))})
    assert bill_of(found) == -0.5 * 80_000
    flows = found.flows["roof"]
    assert list(flows.charged_wh) == pytest.approx([1000, 0])
    assert list(flows.discharged_wh) == pytest.approx([0, 900])
    assert list(flows.level_wh) == pytest.approx([900, 0])


def test_a_neighbours_battery_stores_it_too() -> None:
    homes = {"roof": home([-1500, 0]), "battery": home([0, 0], store(2)), "flat": home([0, 900])}
    assert bill_of(optimum(homes)) == -0.5 * 80_000


def test_energy_that_is_stored_next_door_bears_the_fee_each_time_it_passes_between_households() -> None:
    homes = {
        "roof": home([-1500, 0], fee=10_000),
        "battery": home([0, 0], store(2), fee=10_000),
        "flat": home([0, 900], fee=10_000),
    }
    assert bill_of(optimum(homes)) == 1.0 * 10_000 + 0.9 * 10_000 - 0.5 * 80_000


def test_a_battery_charges_from_the_grid_where_the_spread_pays_for_its_losses() -> None:
    assert bill_of(optimum({"flat": home([0, 900], store(2), tariff=[200_000, 300_000])})) == 200_000
    # 1 kWh at 0.28 to save 0.9 kWh at 0.30 would be a loss of 0.01.
    assert bill_of(optimum({"flat": home([0, 900], store(2), tariff=[280_000, 300_000])})) == 270_000


def test_power_limits_what_a_battery_takes_and_gives() -> None:
    found = optimum({"roof": home([-1500, 900], store(2, power_wh=400))})
    # 400 in, 360 out; 1100 are fed in, 540 imported.
    assert bill_of(found) == -1.1 * 80_000 + 0.54 * 300_000


def test_what_was_stored_is_used_down_to_the_lowest_level() -> None:
    found = optimum({"flat": home([900], store(1, level_wh=700, min_level_wh=500))})
    assert bill_of(found) == 0.7 * 300_000
    assert found.flows["flat"].level_wh[-1] == pytest.approx(500)


def test_a_level_below_the_lowest_stays_there() -> None:
    found = optimum({"flat": home([900], store(1, level_wh=300, min_level_wh=500))})
    assert bill_of(found) == 0.9 * 300_000
    assert found.flows["flat"].level_wh[-1] == pytest.approx(300)


def test_what_is_stored_leaks_at_the_start_of_each_slot() -> None:
    found = optimum({"flat": home([0, 900], store(2, level_wh=1000, leak=0.1))})
    assert bill_of(found) == 0.09 * 300_000  # 1000, 900, 810


def test_what_does_not_fit_into_a_smaller_battery_is_lost() -> None:
    battery = store(2, level_wh=1000)
    smaller = Store(**{**vars(battery), "capacity_wh": np.array([10_000.0, 400.0])})
    found = optimum({"flat": home([0, 0], smaller, stored=90_000)})
    assert bill_of(found) == -0.6 * 80_000  # what would be lost is fed in
    # With no way out it is lost.
    shut = Store(**{**vars(smaller), "discharge_wh": np.zeros(2)})
    assert optimum({"flat": home([0, 0], shut, stored=90_000)}).flows["flat"].level_wh[-1] == pytest.approx(400)


@pytest.mark.parametrize(("stored", "left_wh"), [(70_000, 0), (90_000, 1000)])
def test_what_is_left_counts_at_the_value_that_it_is_given(stored: float, left_wh: float) -> None:
    homes = {"flat": home([0], store(1, level_wh=1000), stored=stored)}
    found = optimum(homes)
    assert found.flows["flat"].level_wh[-1] == pytest.approx(left_wh)
    assert found.cost_micro(homes) == pytest.approx(-max(80_000, stored))


def test_a_utility_is_sold_what_sun_and_store_give_up_to_what_it_wants() -> None:
    wanted = Demand(energy_wh=np.array([900.0]), price_micro=np.array([400_000.0]))
    homes = {"battery": home([500], store(1, level_wh=700)), "flat": home([1000])}
    # 700 Wh are drawn for the utility, though 1500 are imported at 0.30 meanwhile; no more is there.
    assert bill_of(optimum(homes, wanted)) == 1.5 * 300_000 - 0.7 * 400_000
    with_sun = homes | {"roof": home([-1000])}
    assert bill_of(optimum(with_sun, wanted)) == 1.5 * 300_000 - 0.9 * 400_000 - 0.8 * 300_000


def test_what_is_charged_in_a_slot_is_not_sold_in_it() -> None:
    wanted = Demand(energy_wh=np.array([0.0, 900.0]), price_micro=np.array([0.0, 400_000.0]))
    homes = {"battery": home([0, 0], store(2))}
    # It is in the next one: 1 kWh at 0.30 to be paid 0.36 for 0.9.
    assert bill_of(optimum(homes, wanted)) == 300_000 - 0.9 * 400_000
    assert bill_of(optimum({"battery": home([0], store(1))}, Demand(np.array([900.0]), np.array([400_000.0])))) == 0


def test_without_sun_or_store_nothing_is_sold_to_a_utility_whatever_it_pays() -> None:
    wanted = Demand(energy_wh=np.array([900.0]), price_micro=np.array([400_000.0]))
    for fee in (0, 10_000):
        assert bill_of(optimum({"flat": home([1000], fee=fee)}, wanted)) == 300_000


def test_where_feed_in_is_above_the_tariff_nothing_runs_in_circles() -> None:
    homes = {"roof": home([-1000], feed_in=400_000), "flat": home([1000]), "battery": home([0], store(1))}
    assert bill_of(optimum(homes)) == 300_000 - 400_000


def test_a_device_takes_what_it_needs_where_that_is_cheapest_within_its_window_and_power() -> None:
    found = optimum({"car": home([0] * 4, tariff=[100_000, 400_000, 200_000, 300_000], devices=(CAR,))})
    assert bill_of(found) == 1.0 * 200_000 + 0.5 * 300_000
    assert [list(taken) for taken in found.taken_wh["car"]] == [pytest.approx([0, 0, 1000, 1500])]


@pytest.mark.parametrize("fee", [0, 30_000])
def test_a_device_takes_the_sun_of_its_own_or_next_door(fee: float) -> None:
    own = home([0, 0, -800, 0], devices=(CAR,), fee=fee)
    assert bill_of(optimum({"car": own})) == 0.7 * 300_000
    homes = {"car": home([0] * 4, devices=(CAR,), fee=fee), "roof": home([0, 0, -800, 0], fee=fee)}
    assert bill_of(optimum(homes)) == 0.7 * 300_000 + 0.8 * fee


def test_a_window_is_solved_across_the_borders_of_what_is_solved_at_once() -> None:
    """Windows of two slots each, the second of which is the cheaper one, and an optimum of three slots at a time."""
    slots = 400
    tariff = [300_000, 100_000] * (slots // 2)
    by = np.repeat(np.arange(slots // 2) * 500.0, 2)
    heat = device([1000] * slots, by + [0, 500] * (slots // 2), by + 500)
    found = optimum({"home": home([0] * slots, tariff=tariff, devices=(heat,))}, window=3)
    assert bill_of(found) == 0.5 * 100_000 * (slots // 2)


def test_a_contradiction_is_told() -> None:
    program = Program(1)
    program.constrain([(program.variable(upper=1.0), 1.0)], 2.0, 2.0)
    with pytest.raises(Unsolved, match=r"HiGHS: .*infeasible"):
        program.solve()
