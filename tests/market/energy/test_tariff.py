"""Time-of-use tariffs: the first matching period's price, else the base price."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, time
from pathlib import Path

import pytest

from wattmesh_market.energy.tariff import PriceFile, PriceSeries, Rates, Tariff, TariffPeriod

BASE, DAY, NIGHT, EVENING = 300_000, 350_000, 200_000, 420_000
TARIFF = Tariff(
    price_micro_per_kwh=BASE,
    feed_in_micro_per_kwh=80_000,
    periods=(
        TariffPeriod(start=time(22), end=time(6), price_micro_per_kwh=NIGHT),
        TariffPeriod(start=time(17), end=time(20), price_micro_per_kwh=EVENING),
        TariffPeriod(start=time(12), end=time(18), price_micro_per_kwh=DAY),
    ),
)


def at(hour: int, minute: int = 0) -> int:
    return int(datetime(2026, 6, 21, hour, minute, tzinfo=UTC).timestamp())


@pytest.mark.parametrize(
    ("hour", "minute", "price_micro"),
    [
        (21, 45, BASE),
        (22, 0, NIGHT),
        (23, 45, NIGHT),
        (0, 0, NIGHT),
        (5, 45, NIGHT),
        (6, 0, BASE),
        (11, 45, BASE),
        (12, 0, DAY),
        (17, 0, EVENING),  # also in the day's period: the first one counts
        (19, 45, EVENING),
        (20, 0, BASE),
    ],
)
def test_price_by_local_time(hour: int, minute: int, price_micro: int) -> None:
    assert Rates(TARIFF, 0).price(at(hour, minute)) == price_micro


def test_periods_follow_the_streets_time_zone() -> None:
    assert Rates(TARIFF, 0).price(at(20)) == BASE
    assert Rates(TARIFF, 7200).price(at(20)) == NIGHT


def test_without_periods_the_base_price() -> None:
    assert Rates(replace(TARIFF, periods=()), 0).price(at(3)) == BASE


def test_a_period_that_ends_where_it_starts_lasts_all_day() -> None:
    whole = TariffPeriod(start=time(9), end=time(9), price_micro_per_kwh=DAY)
    tariff = replace(TARIFF, periods=(whole,))
    assert {Rates(tariff, 0).price(at(hour)) for hour in range(24)} == {DAY}


# --- days, months and borders of slots ---


def on(day: str, hour: int) -> int:
    return int(datetime.fromisoformat(f"2026-{day}T{hour:02}:00:00+00:00").timestamp())


def test_a_period_of_some_days_belongs_to_the_day_on_which_it_begins() -> None:
    friday_night = TariffPeriod(time(22), time(6), NIGHT, days=("Fri",))
    rates = Rates(replace(TARIFF, periods=(friday_night,)), 0)
    # 19 June 2026 is a Friday.
    assert [rates.price(on(day, hour)) for day, hour in (("06-19", 3), ("06-19", 22), ("06-20", 5), ("06-20", 22))] == [
        *(BASE, NIGHT, NIGHT, BASE)
    ]


def test_a_period_of_some_months_is_a_season() -> None:
    winter = TariffPeriod(time(17), time(20), EVENING, months=("Dec", "Jan", "Feb"))
    rates = Rates(replace(TARIFF, periods=(winter,)), 0)
    assert [rates.price(on(day, 18)) for day in ("02-28", "03-01", "12-01")] == [EVENING, BASE, EVENING]
    assert not rates.daily


@pytest.mark.parametrize(
    ("start", "end"), [(time(17, 10), time(20)), (time(17), time(20, 1)), (time(17, 0, 1), time(20))]
)
def test_a_period_beside_the_borders_of_slots_is_refused(start: time, end: time) -> None:
    with pytest.raises(ValueError, match="is not on borders of slots of 15 minutes"):
        TariffPeriod(start, end, NIGHT)


# --- series ---

SPOT = PriceSeries(at(0), price=(10_000, -30_000, *(0,) * 94), feed_in=(5_000, -40_000, *(0,) * 94))
ON_SPOT = Tariff(150_000, -1_000, 70_000, 30_000, file=PriceFile(Path("spot.csv")))


def test_a_series_comes_on_top_of_what_the_tariff_says() -> None:
    rates = Rates(ON_SPOT, 0, SPOT)
    second = at(0, 15)
    assert (rates.price(at(0)), rates.price(second)) == (160_000, 120_000)
    assert (rates.feed_in(at(0)), rates.feed_in(second)) == (4_000, -41_000)
    assert (rates.all_in(second), rates.grid_fee(second), rates.local_grid_fee(second)) == (190_000, 70_000, 30_000)
    assert not rates.daily


def test_a_series_comes_on_top_of_a_periods_price_too() -> None:
    night = TariffPeriod(time(0), time(6), 50_000)
    assert Rates(replace(ON_SPOT, periods=(night,)), 0, SPOT).price(at(0)) == 60_000


def test_beyond_what_is_published_the_nearest_days_prices_hold() -> None:
    rates = Rates(ON_SPOT, 0, SPOT)
    assert [rates.price(at(0, 15) + days * 86_400) for days in (-2, -1, 1, 2)] == [120_000] * 4


def test_beyond_a_series_of_less_than_a_day_its_nearest_price_holds() -> None:
    rates = Rates(ON_SPOT, 0, PriceSeries(at(12), price=(10_000, 20_000)))
    assert [rates.price(at(hour)) for hour in (11, 13)] == [160_000, 170_000]
    assert [rates.price(at(12, 15) + days * 86_400) for days in (-1, 0, 1)] == [170_000] * 3


def test_a_newer_series_goes_on_with_what_the_former_one_said() -> None:
    rates = Rates(ON_SPOT, 0, SPOT)
    rates.publish(PriceSeries(SPOT.end, price=(7_000,) * 96, feed_in=(0,) * 96))
    assert (rates.price(at(0, 15)), rates.price(SPOT.end)) == (120_000, 157_000)
    assert rates.end == SPOT.end + 86_400


def test_prices_that_were_not_read_are_no_prices() -> None:
    with pytest.raises(ValueError, match=r"the prices of spot\.csv were not read"):
        Rates(ON_SPOT, 0)


def test_kinds_of_prices_must_be_as_long_as_each_other() -> None:
    with pytest.raises(ValueError, match="as many of each kind"):
        PriceSeries(at(0), price=(1, 2), feed_in=(1,))


def test_a_grid_fee_must_not_be_negative_and_a_price_may() -> None:
    assert Tariff(-50_000, -20_000).may_be_negative
    assert not TARIFF.may_be_negative
    with pytest.raises(ValueError, match="grid_fee_micro_per_kwh must be from 0"):
        Tariff(300_000, 80_000, grid_fee_micro_per_kwh=-1)
