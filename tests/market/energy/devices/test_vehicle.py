"""Vehicle-to-home: a car's store gives and takes for the house, and is full again when the car leaves."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from wattmesh_market.energy.devices.vehicle import Charger, Moved, VehicleStore, Wishes, vehicle_slot
from wattmesh_market.energy.slots import SLOT_S

STORE = VehicleStore(8000, 900_000, 900_000)
PLENTY = Charger(limit_wh=2750, taken_wh=0, later_wh=100_000)
GIVE, KEEP, FILL = Wishes(0, 0, 0), Wishes(0, 8000, 0), Wishes(8000, 8000, 8000)


def test_it_gives_what_the_house_lacks_within_the_chargers_power() -> None:
    assert vehicle_slot(STORE, 8000, PLENTY, 0, -900, GIVE) == Moved(0, 900, 7000)
    assert vehicle_slot(STORE, 8000, PLENTY, 0, -9000, GIVE) == Moved(0, 2750, 4944)
    assert vehicle_slot(STORE, 8000, PLENTY, 0, -900, KEEP) == Moved(0, 0, 8000)


def test_it_takes_surplus_and_from_the_grid_as_the_house_wishes() -> None:
    assert vehicle_slot(STORE, 5000, PLENTY, 0, 1000, Wishes(0, 0, 8000)) == Moved(1000, 0, 5900)
    assert vehicle_slot(STORE, 5000, PLENTY, 0, 1000, FILL) == Moved(2750, 0, 7475)


def test_what_the_car_takes_for_itself_leaves_less_of_the_charger() -> None:
    charging = PLENTY._replace(taken_wh=2000)
    assert vehicle_slot(STORE, 5000, charging, 0, -500, FILL) == Moved(750, 0, 5675)
    assert vehicle_slot(STORE, 5000, charging, 0, -500, GIVE) == Moved(0, 0, 5000), "not both ways in a slot"


def test_it_gives_no_more_than_can_be_charged_again_before_the_car_leaves() -> None:
    assert vehicle_slot(STORE, 8000, Charger(2750, 0, later_wh=1000), 0, -2000, GIVE) == Moved(0, 810, 7100)
    assert vehicle_slot(STORE, 7000, Charger(2750, 0, later_wh=0), 0, -2000, GIVE) == Moved(1112, 0, 8000)


@given(
    st.integers(500_000, 1_000_000),
    st.integers(500_000, 1_000_000),
    st.integers(0, 3000),
    st.lists(st.tuples(st.integers(-4000, 4000), st.tuples(*[st.integers(0, 8000)] * 3)), min_size=1, max_size=20),
)
def test_whatever_is_wished_it_is_full_when_the_car_leaves_but_for_a_wh_a_slot(
    charge_ppm: int, discharge_ppm: int, limit_wh: int, slots: list[tuple[int, tuple[int, int, int]]]
) -> None:
    store, level_wh = VehicleStore(8000, charge_ppm, discharge_ppm), 8000
    for number, (surplus_wh, wishes) in enumerate(slots):
        charger = Charger(limit_wh, 0, (len(slots) - number - 1) * limit_wh)
        moved = vehicle_slot(store, level_wh, charger, number * SLOT_S, surplus_wh, Wishes(*wishes))
        assert 0 <= moved.level_wh <= 8000
        assert max(moved.charged_wh, moved.discharged_wh) <= limit_wh
        assert moved.discharged_wh <= max(0, -surplus_wh)
        assert moved.level_wh - level_wh <= moved.charged_wh - moved.discharged_wh, "nothing is gained"
        level_wh = moved.level_wh
    assert level_wh >= 8000 - len(slots)
