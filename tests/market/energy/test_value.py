"""What stored energy is worth: the differences of a dynamic program that tries every level."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from wattmesh_market.energy.battery import NO_BATTERY, Battery
from wattmesh_market.energy.value import Prospect, Worth, worth_of, worths

PPM = 1_000_000
NIGHT = Prospect(-100, 250_000, 250_000, 80_000, 80_000, 0)
"""A load of 100 Wh, no neighbours."""


def ideal(capacity_wh: int, *, up_wh: int = 100, down_wh: int = 100, efficiency: int = PPM) -> Battery:
    """Limits per slot, at the terminals."""
    return Battery(capacity_wh, 0, 4 * up_wh, 4 * down_wh, efficiency, efficiency)


def earned(slot: Prospect, stored_wh: int, efficiency: Fraction) -> Fraction:
    """What a slot earns (millionths x Wh / kWh) when so much more is stored at its end than at its start."""
    terminals_wh = stored_wh / efficiency if stored_wh > 0 else stored_wh * efficiency
    left_wh = slot.surplus_wh - terminals_wh
    local_wh = min(abs(left_wh), Fraction(slot.local_wh))
    if left_wh < 0:
        return local_wh * -slot.local_buy_micro + (left_wh + local_wh) * slot.buy_micro
    return local_wh * slot.local_sell_micro + (left_wh - local_wh) * slot.feed_in_micro


def by_every_level(battery: Battery, ahead: Sequence[Prospect], end_micro: int) -> list[list[Fraction]]:
    """What each further Wh is worth (millionths per kWh) at the end of each slot."""
    efficiency = Fraction(battery.charge_efficiency_ppm, PPM)
    assert battery.discharge_efficiency_ppm == battery.charge_efficiency_ppm
    up_wh, down_wh = int(battery.charge_limit_wh * efficiency), int(battery.discharge_limit_wh / efficiency)
    levels = range(battery.capacity_wh + 1)
    value = [Fraction(level * end_micro) for level in levels]
    found = []
    for slot in reversed(ahead):
        found.append([value[level + 1] - value[level] for level in levels[:-1]])
        value = [
            max(
                value[after] + earned(slot, after - before, efficiency)
                for after in levels[max(0, before - down_wh) : before + up_wh + 1]
            )
            for before in levels
        ]
    return found[::-1]


def by_the_wh(segments: Sequence[tuple[int, int]]) -> list[int]:
    """What each further Wh is worth."""
    return [-slope for slope, width_wh in segments for _ in range(width_wh)]


@st.composite
def prospects(draw: st.DrawFn, even: int = 1) -> Prospect:
    """Of four prices, the dearest first, often the same; energies are multiples of `even`."""
    buy, local_buy, local_sell, feed_in = sorted([4 * draw(st.integers(0, 8)) for _ in range(4)], reverse=True)
    surplus_wh, local_wh = even * draw(st.integers(-8, 8)), even * draw(st.integers(0, 6))
    return Prospect(surplus_wh, buy, local_buy, local_sell, feed_in, local_wh)


@settings(max_examples=300)
@given(
    battery=st.builds(lambda of, up, down: ideal(of, up_wh=up, down_wh=down), *[st.integers(0, 12)] * 3),
    ahead=st.lists(prospects(), min_size=1, max_size=5),
    end_micro=st.integers(0, 40),
)
def test_without_losses_it_is_what_trying_every_level_finds(
    battery: Battery, ahead: list[Prospect], end_micro: int
) -> None:
    assert [by_the_wh(one) for one in worths(battery, ahead, end_micro)] == by_every_level(battery, ahead, end_micro)


@settings(max_examples=300)
@given(
    battery=st.builds(
        lambda of, up, down: ideal(of, up_wh=2 * up, down_wh=down, efficiency=PPM // 2), *[st.integers(0, 12)] * 3
    ),
    ahead=st.lists(prospects(even=2), min_size=1, max_size=5),
    end_micro=st.integers(0, 40),
)
def test_with_half_of_it_lost_each_way_too(battery: Battery, ahead: list[Prospect], end_micro: int) -> None:
    assert [by_the_wh(one) for one in worths(battery, ahead, end_micro)] == by_every_level(battery, ahead, end_micro)


@settings(max_examples=300)
@given(
    battery=st.builds(
        Battery,
        st.integers(1, 12_000),
        st.just(0),
        st.integers(0, 20_000),
        st.integers(0, 20_000),
        st.integers(500_000, PPM),
        st.integers(500_000, PPM),
        st.sampled_from([0, 1000, 50_000, PPM]),
    ),
    ahead=st.lists(prospects(even=97), min_size=1, max_size=12),
    end_micro=st.integers(0, 40),
)
def test_it_is_concave_covers_the_battery_and_consists_of_whole_numbers(
    battery: Battery, ahead: list[Prospect], end_micro: int
) -> None:
    for segments in worths(battery, ahead, end_micro):
        assert sum(width_wh for _, width_wh in segments) == battery.capacity_wh
        assert all(width_wh > 0 for _, width_wh in segments)
        slopes = [slope for slope, _ in segments]
        assert slopes == sorted(set(slopes)), "each further Wh is worth less, and equal ones are one"
        assert all(type(number) is int for segment in segments for number in segment)
        most_micro = max(end_micro, *[slot.buy_micro for slot in ahead]) * PPM // battery.charge_efficiency_ppm
        assert -slopes[0] <= most_micro + 1
        assert slopes[-1] <= 0


# --- examples ---


def test_what_the_night_needs_is_worth_the_tariff_and_the_rest_what_is_fed_in() -> None:
    (_, night) = worths(ideal(500), [NIGHT._replace(surplus_wh=200), NIGHT], 60_000)
    assert night == [(-60_000, 500)], "after the last slot"
    (before, _) = worths(ideal(500), [NIGHT, NIGHT], 60_000)
    # A slot takes 100 Wh, by power or load.
    assert before == [(-250_000, 100), (-60_000, 400)]


def test_the_dearest_hour_ahead_comes_first_as_far_as_its_power_reaches() -> None:
    peak = NIGHT._replace(buy_micro=400_000, local_buy_micro=400_000)
    (now, *_) = worths(ideal(500, up_wh=0), [NIGHT, NIGHT, peak, NIGHT], 60_000)
    assert now == [(-400_000, 100), (-250_000, 200), (-60_000, 200)]


def test_neighbours_who_buy_raise_what_is_left_over() -> None:
    evening = Prospect(-30, 250_000, 200_000, 200_000, 80_000, 50)
    (now, _) = worths(ideal(500), [NIGHT, evening], 0)
    # Its own 30 Wh would be bought locally, then the neighbours' 50 Wh, then 20 Wh are fed in.
    assert now == [(-200_000, 80), (-80_000, 20), (0, 400)]


def test_what_is_fed_in_at_the_tariff_is_all_worth_the_same() -> None:
    flat = Prospect(-100, 250_000, 250_000, 250_000, 250_000, 40)
    assert worths(ideal(500), [flat] * 3, 250_000) == [[(-250_000, 500)]] * 3


def test_losses_lower_what_is_charged_and_raise_what_must_be_paid_back() -> None:
    lossy = Battery(1000, 0, 4000, 4000, 800_000, 900_000)
    cheap = NIGHT._replace(surplus_wh=0, buy_micro=100_000, local_buy_micro=100_000)
    (empty, _) = worths(lossy, [NIGHT, NIGHT], 0)
    assert empty[0] == (-225_000, 111)  # 100 Wh at the terminals; 0.25 x 0.9
    (before_cheap, *_) = worths(lossy, [NIGHT, cheap, *[NIGHT] * 2], 0)
    # A kWh that is charged at 0.10 costs 0.125 in the store, and the rest can be fed in at 0.08 x 0.9.
    assert before_cheap[0][0] == -125_000


def test_a_surplus_beyond_the_charging_power_costs_only_what_it_would_be_fed_in_for() -> None:
    noon = Prospect(300, 250_000, 200_000, 180_000, 80_000, 100)
    # Of 300 Wh neighbours take 100 and the battery 100: both, and 100 Wh are left.
    (before, _) = worths(ideal(500, up_wh=100), [NIGHT, noon], 90_000)
    assert before == [(-90_000, 400), (-80_000, 100)]


def test_what_leaks_until_it_is_used_is_worth_nothing() -> None:
    leaky = Battery(500, 0, 400, 400, PPM, PPM, self_discharge_ppm_per_day=96 * 10_000)  # a hundredth in a slot
    idle = NIGHT._replace(surplus_wh=0)
    (now, then, last, _) = worths(leaky, [idle, idle, idle, NIGHT], 0)
    assert (last[0], then[0][0], now[0][0]) == ((-250_000, 100), -247_500, -245_025)


def test_without_a_battery_nothing_is_worth_anything() -> None:
    assert [by_the_wh(one) for one in worths(NO_BATTERY, [NIGHT, NIGHT], 250_000)] == [[], []]
    nothing = worth_of([], 0)
    assert (nothing.level_at(0), nothing.of_next(0), nothing.of_last(0)) == (0, 0, 0)
    assert list(nothing.below(0, 0)) == list(nothing.above(0, 0)) == []


# --- asking ---

WORTH = worth_of([(-300_000, 200), (-200_000, 300), (-80_000, 500)], 1000)
"""From the minimum of 1000 Wh up to 2000 Wh."""


@pytest.mark.parametrize(
    ("micro", "level_wh"),
    [(300_001, 0), (300_000, 0), (299_999, 1200), (200_000, 1200), (199_999, 1500), (80_000, 1500), (79_999, 2000)],
)
def test_up_to_which_level_a_kwh_is_worth_more_than_a_price(micro: int, level_wh: int) -> None:
    assert WORTH.level_at(micro) == level_wh


@pytest.mark.parametrize(
    ("level_wh", "last", "following"),
    [
        (1000, 300_000, 300_000),
        (1199, 300_000, 300_000),
        (1200, 300_000, 200_000),
        (1201, 200_000, 200_000),
        (1500, 200_000, 80_000),
        (1999, 80_000, 80_000),
        (2000, 80_000, 0),
    ],
)
def test_what_the_last_and_the_next_kwh_is_worth(level_wh: int, last: int, following: int) -> None:
    assert (WORTH.of_last(level_wh), WORTH.of_next(level_wh)) == (last, following)


def test_what_lies_below_and_above_a_level() -> None:
    assert list(WORTH.below(1600, 1000)) == [(80_000, 100), (200_000, 300), (300_000, 200)]
    assert list(WORTH.below(1600, 1450)) == [(80_000, 100), (200_000, 50)]
    assert list(WORTH.below(1000, 1000)) == []
    assert list(WORTH.above(1100, 2000)) == [(300_000, 100), (200_000, 300), (80_000, 500)]
    assert list(WORTH.above(1500, 1700)) == [(80_000, 200)]
    assert list(WORTH.above(2000, 2000)) == []


worths_of = st.builds(
    lambda slopes, widths, least_wh: worth_of(
        list(zip(sorted(-slope for slope in slopes), widths, strict=False)), least_wh
    ),
    st.sets(st.integers(0, 50), min_size=1, max_size=5),
    st.lists(st.integers(1, 20), min_size=5, max_size=5),
    st.integers(0, 30),
)


@given(worths_of, st.data())
def test_all_answers_are_those_of_the_slopes_wh_by_wh(worth: Worth, data: st.DataObject) -> None:
    top_wh = worth.levels[-1]
    bottom_wh = data.draw(st.integers(0, 30).filter(lambda wh: wh < worth.levels[0]))
    each = {wh: worth.of_last(wh) for wh in range(bottom_wh + 1, top_wh + 1)}
    level_wh = data.draw(st.integers(bottom_wh, top_wh))
    assert [micro for micro, wh in worth.below(level_wh, bottom_wh) for _ in range(wh)] == [
        each[wh] for wh in range(level_wh, bottom_wh, -1)
    ]
    assert [micro for micro, wh in worth.above(level_wh, top_wh) for _ in range(wh)] == [
        each[wh] for wh in range(level_wh + 1, top_wh + 1)
    ]
    assert level_wh == top_wh or worth.of_next(level_wh) == each[level_wh + 1]
    micro = data.draw(st.integers(0, 60))
    dearer = [wh for wh, of in each.items() if of > micro]
    assert worth.level_at(micro) == (max(dearer) if dearer else 0)
