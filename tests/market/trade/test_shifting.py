"""When a plan runs devices: wherever a kWh costs least, and always all that is needed."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from wattmesh_market.energy.battery import Battery
from wattmesh_market.energy.devices.flexible import Need
from wattmesh_market.energy.slots import SLOT_S
from wattmesh_market.energy.value import Prospect
from wattmesh_market.strategies.shifting import Source, Stored, cheapest, sources

PPM = 1_000_000
PROSPECT = Prospect(0, 300_000, 200_000, 120_000, 80_000, 400)
BATTERY = Battery(10_000, 0, 4000, 2000, 900_000, 900_000)


def cost_of(energy_wh: int, surplus_wh: int, stored: Stored | None = None) -> list[Source]:
    """From where a device is given energy, the cheapest first."""
    found = []
    for micro, wh in sorted(sources(PROSPECT, surplus_wh, stored)):
        given_wh = max(0, min(wh, energy_wh))
        energy_wh -= given_wh
        found += [(micro, given_wh)] if given_wh else []
    return found


def test_surplus_is_taken_before_neighbours_and_those_before_the_utility() -> None:
    """Of 1000 Wh neighbours would buy 400; what is beyond would be fed in."""
    assert cost_of(2000, 1000) == [(80_000, 600), (120_000, 400), (200_000, 400), (300_000, 600)]


def test_what_the_house_lacks_neighbours_sell_to_the_house() -> None:
    assert cost_of(1000, -300) == [(200_000, 100), (300_000, 900)]


def test_surplus_that_a_battery_would_store_costs_what_it_is_worth_there() -> None:
    """A stored kWh is worth 0.27, and one that is charged 0.243, as a tenth of it is lost."""
    assert cost_of(2000, 1800, Stored(BATTERY, 270_000)) == [
        (80_000, 400),
        (120_000, 400),
        (200_000, 400),
        (243_000, 800),
    ]


def test_stored_energy_that_is_worth_little_is_taken_before_neighbours_energy() -> None:
    assert cost_of(2000, -100, Stored(BATTERY, 90_000)) == [(100_000, 400), (200_000, 300), (300_000, 1300)]


drawn_needs = st.tuples(st.integers(0, 7), st.integers(1, 8), st.integers(1, 3000), st.integers(0, 100))
"""First slot, number of slots, the most in a slot (Wh), and the need as a percentage of the most in all of them."""


@given(
    st.lists(drawn_needs, min_size=1, max_size=3),
    st.lists(st.tuples(st.integers(-3000, 3000), st.integers(-50_000, 400_000)), min_size=16, max_size=16),
    st.none() | st.integers(0, 400_000),
)
def test_every_device_gets_what_it_needs_within_its_window_and_its_power(
    drawn: list[tuple[int, int, int, int]], slots: list[tuple[int, int]], stored_micro: int | None
) -> None:
    needs = [
        Need(f"device{at}", begin * SLOT_S, (begin + width) * SLOT_S, width * limit_wh * percent // 100, limit_wh)
        for at, (begin, width, limit_wh, percent) in enumerate(drawn)
    ]
    stored = None if stored_micro is None else Stored(BATTERY, stored_micro)

    def at(slot: int, given_wh: int) -> list[Source]:
        surplus_wh, buy_micro = slots[slot // SLOT_S]
        prospect = Prospect(0, buy_micro, buy_micro - 1, min(buy_micro - 2, 90_000), min(buy_micro - 2, 80_000), 400)
        return sources(prospect, surplus_wh - given_wh, stored)

    for need, schedule in zip(needs, cheapest(needs, at), strict=True):
        assert sum(schedule.values()) == need.energy_wh
        assert set(schedule) <= set(need.slots)
        assert all(0 < wh <= need.limit_wh for wh in schedule.values())


@given(st.lists(st.integers(-100_000, 400_000), min_size=8, max_size=8), st.integers(0, 8000))
def test_with_known_prices_no_other_schedule_costs_less(prices: list[int], energy_wh: int) -> None:
    need = Need("ev", 0, 8 * SLOT_S, energy_wh, 1000)
    [schedule] = cheapest([need], lambda slot, _: [(prices[slot // SLOT_S], 10_000)])
    cost = sum(prices[slot // SLOT_S] * wh for slot, wh in schedule.items())
    full, rest_wh = divmod(energy_wh, 1000)
    assert cost == 1000 * sum(sorted(prices)[:full]) + (rest_wh * sorted(prices)[full] if rest_wh else 0)


def test_a_second_device_is_not_given_what_the_first_one_takes() -> None:
    first, second = (Need(name, 0, 2 * SLOT_S, 500, 500) for name in ("washer", "dryer"))
    found = cheapest([first, second], lambda slot, given: [(0 if slot else 1, 500 - given), (9, 10_000)])
    assert found == [{SLOT_S: 500}, {0: 500}]
