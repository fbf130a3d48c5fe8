"""When a plan runs devices: wherever a kWh costs least, and always all that is needed."""

from __future__ import annotations

from collections.abc import Callable

from hypothesis import given
from hypothesis import strategies as st

from wattmesh_market.energy.battery import Battery
from wattmesh_market.energy.devices.flexible import Need
from wattmesh_market.energy.slots import SLOT_S
from wattmesh_market.energy.value import Prospect
from wattmesh_market.strategies.shifting import ENDLESS_WH, Look, Offer, Sources, cheapest, taken_now

PROSPECT = Prospect(0, 300_000, 200_000, 120_000, 80_000, 400)
BATTERY = Battery(10_000, 0, 4000, 2000, 900_000, 900_000)


def cost_of(energy_wh: int, surplus_wh: int, stored_micro: int | None = None) -> list[tuple[int, int]]:
    """From where a device is given energy in a slot, the cheapest first: what a kWh costs, and how much of it."""
    look = Look(0, [PROSPECT], (), [(0, 400_000)])
    found = []
    for micro, _, wh in sorted(Sources(look, BATTERY, stored_micro, {0: surplus_wh}).at(0, 0)):
        given_wh = min(wh, energy_wh)
        energy_wh -= given_wh
        found += [(micro, given_wh)] if given_wh else []
    return found


def test_surplus_is_taken_before_neighbours_and_those_before_the_utility() -> None:
    """Of 1000 Wh neighbours would buy 400; what is beyond would be fed in."""
    assert cost_of(2000, 1000) == [(80_000, 600), (120_000, 400), (200_000, 400), (300_000, 600)]


def test_what_the_house_lacks_neighbours_sell_to_the_house() -> None:
    assert cost_of(1000, -300) == [(200_000, 100), (300_000, 900)]


def test_surplus_that_a_battery_would_store_costs_what_it_is_worth_there() -> None:
    """A stored kWh is worth 0.27, and one that is charged 0.243, as a tenth of it is lost. 1000 Wh can be charged."""
    assert cost_of(2200, 1800, 270_000) == [(80_000, 400), (120_000, 400), (200_000, 400), (243_000, 1000)]


def test_stored_energy_that_is_worth_little_is_taken_before_neighbours_energy() -> None:
    assert cost_of(2000, -100, 90_000) == [(100_000, 400), (200_000, 300), (300_000, 1300)]


def test_a_stored_kwh_is_worth_later_what_it_is_worth_now_but_for_what_it_is_worth_then_at_least_and_most() -> None:
    look = Look(0, [PROSPECT] * 3, (), [(0, 50_000), (0, 400_000), (150_000, 400_000)])
    of = Sources(look, BATTERY, 90_000, {})
    cheapest_micro = [min(of.at(slot, 0))[0] for slot in range(0, 3 * SLOT_S, SLOT_S)]
    assert cheapest_micro == [55_556, 100_000, 166_667]


drawn_needs = st.tuples(st.integers(0, 7), st.integers(1, 8), st.integers(1, 3000), st.integers(0, 100))
"""First slot, number of slots, the most in a slot (Wh), and the need as a percentage of the most in all of them."""


@given(
    st.lists(drawn_needs, min_size=1, max_size=3),
    st.lists(st.tuples(st.integers(-3000, 3000), st.integers(-50_000, 400_000)), min_size=16, max_size=16),
    st.none() | st.integers(0, 400_000),
    st.integers(-3000, 3000),
)
def test_every_device_gets_what_it_needs_within_its_window_and_its_power(
    drawn: list[tuple[int, int, int, int]],
    slots: list[tuple[int, int]],
    stored_micro: int | None,
    surplus_now_wh: int,
) -> None:
    needs = [
        Need(f"device{at}", begin * SLOT_S, (begin + width) * SLOT_S, width * limit_wh * percent // 100, limit_wh)
        for at, (begin, width, limit_wh, percent) in enumerate(drawn)
    ]
    prospects = [
        Prospect(surplus_wh, buy, buy - 1, min(buy - 2, 90_000), min(buy - 2, 80_000), 400) for surplus_wh, buy in slots
    ]
    look = Look(0, prospects, (), [(-60_000, 300_000)] * 16)
    sources = Sources(look, BATTERY, stored_micro, {})
    for need, shifted in zip(needs, cheapest(needs, sources.at), strict=True):
        schedule = shifted.schedule
        assert sum(schedule.values()) == need.energy_wh
        assert set(schedule) <= set(need.slots)
        assert all(0 < wh <= need.limit_wh for wh in schedule.values())
        if need.energy_wh:
            assert taken_now(need, shifted, sources.at(need.begin, 0)) >= 0
            now = Sources(look, BATTERY, stored_micro, {need.begin: surplus_now_wh})
            taken_wh = taken_now(need, shifted, now.at(need.begin, 0))
            left_wh = need.energy_wh - taken_wh
            assert 0 <= taken_wh <= need.limit_wh
            assert 0 <= left_wh <= (len(need.slots) - 1) * need.limit_wh, "the rest can still be given"


def offers_at(prices: list[int]) -> Callable[[int, int], list[Offer]]:
    return lambda slot, _: [(prices[slot // SLOT_S], slot, ENDLESS_WH)]


@given(st.lists(st.integers(-100_000, 400_000), min_size=8, max_size=8), st.integers(0, 8000))
def test_with_known_prices_no_other_schedule_costs_less(prices: list[int], energy_wh: int) -> None:
    need = Need("ev", 0, 8 * SLOT_S, energy_wh, 1000)
    [shifted] = cheapest([need], offers_at(prices))
    cost = sum(prices[slot // SLOT_S] * wh for slot, wh in shifted.schedule.items())
    full, rest_wh = divmod(energy_wh, 1000)
    assert cost == 1000 * sum(sorted(prices)[:full]) + (rest_wh * sorted(prices)[full] if rest_wh else 0)
    if energy_wh:
        as_expected = taken_now(need, shifted, offers_at(prices)(0, 0))
        assert as_expected == shifted.schedule.get(0, 0), "what comes as expected is taken as planned"


def test_a_second_device_is_not_given_what_the_first_one_takes() -> None:
    first, second = (Need(name, 0, 2 * SLOT_S, 500, 500) for name in ("washer", "dryer"))

    def offers(slot: int, given_wh: int) -> list[Offer]:
        return [(0 if slot else 1, slot, 500 - given_wh), (9, slot, ENDLESS_WH)]

    assert [shifted.schedule for shifted in cheapest([first, second], offers)] == [{SLOT_S: 500}, {0: 500}]


def test_more_sun_than_expected_is_taken_at_once_and_less_is_waited_for() -> None:
    """A heat pump that counts on 300 Wh of sun now and 700 Wh in the next slot."""
    prospects = [PROSPECT._replace(surplus_wh=wh) for wh in (300, 700, -100)]
    look, need = Look(0, prospects, (), ()), Need("heat-pump", 0, 3 * SLOT_S, 1000, 800)
    [shifted] = cheapest([need], Sources(look, BATTERY, None, {}).at)
    assert shifted.schedule == {0: 300, SLOT_S: 700}

    def taken_of(surplus_wh: int) -> int:
        return taken_now(need, shifted, Sources(look, BATTERY, None, {0: surplus_wh - 300}).at(0, 0))

    assert (taken_of(300), taken_of(100), taken_of(650)) == (300, 100, 550), (
        "400 Wh at what neighbours pay, 250 Wh fed in"
    )
