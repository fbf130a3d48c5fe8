"""Time-of-use tariffs: the first matching period's price, else the base price."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, time

import pytest

from wattmesh_market.energy.tariff import Rates, Tariff, TariffPeriod

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
