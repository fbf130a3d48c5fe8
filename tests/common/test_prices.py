"""Files of prices as people have them: what is read, and what is refused with line and column."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path

import pytest

from wattmesh_common.metering.prices import PriceUnit, read_prices
from wattmesh_common.metering.told import MeterFileError
from wattmesh_common.price_files import series_of
from wattmesh_market.energy.tariff import PriceFile, PriceSeries, Tariff

FIRST = int(datetime.fromisoformat("2026-06-21T00:00:00+02:00").timestamp())


def read(tmp_path: Path, text: str, **told: str) -> PriceSeries:
    path = tmp_path / "prices.csv"
    path.write_text(text, encoding="utf-8")
    return read_prices(PriceFile(path, **told))[0]


def hours(prices: str, header: str = "slot,price_per_kwh") -> str:
    """A price for each hour of a summer day in Berlin."""
    rows = [f"2026-06-21T{hour:02}:00:00+02:00,{price}" for hour, price in enumerate(prices.split())]
    return "\n".join([header, *rows])


def test_each_hour_is_four_slots_and_a_negative_price_is_one(tmp_path: Path) -> None:
    assert read(tmp_path, hours("0.25 -0.05 0")) == PriceSeries(FIRST, (250_000,) * 4 + (-50_000,) * 4 + (0,) * 4)


@pytest.mark.parametrize(
    ("header", "told", "micro"),
    [
        ("slot,Day-ahead [EUR/MWh]", {}, 87_340),
        ("slot,Spot price ct/kWh", {}, 873_400),
        ("slot,price_per_kwh", {}, 87_340_000),
        ("slot,price", {"unit": "perMwh"}, 87_340),
    ],
)
def test_the_unit_is_in_the_columns_name_or_told(tmp_path: Path, header: str, told: dict[str, str], micro: int) -> None:
    assert read(tmp_path, hours("87.34 87.34", header), **told).price == (micro,) * 8


def test_a_utilitys_own_columns_and_fees(tmp_path: Path) -> None:
    header = "slot,price_per_kwh,feed_in_per_kwh,grid_fee_per_kwh,local_grid_fee_per_kwh"
    read_of = read(tmp_path, hours("0.3,0.08,0.07,0.03 0.2,-0.01,0.05,0.02", header))
    assert read_of == PriceSeries(
        FIRST,
        price=(300_000,) * 4 + (200_000,) * 4,
        feed_in=(80_000,) * 4 + (-10_000,) * 4,
        grid_fee=(70_000,) * 4 + (50_000,) * 4,
        local_grid_fee=(30_000,) * 4 + (20_000,) * 4,
    )


def test_one_column_may_stand_for_two(tmp_path: Path) -> None:
    found = read(tmp_path, hours("90 -4", "slot,Spot (EUR/MWh)"), price="Spot (EUR/MWh)", feed_in="Spot (EUR/MWh)")
    assert found.price == found.feed_in == (90_000,) * 4 + (-4_000,) * 4


def test_day_first_dates_a_decimal_comma_and_a_zone_that_is_told(tmp_path: Path) -> None:
    text = "Datum;Preis (ct/kWh)\n21.06.2026 00:00;8,5\n21.06.2026 00:30;-1,25\n"
    found = read(tmp_path, text, timezone="Europe/Berlin")
    assert found == PriceSeries(FIRST, (85_000, 85_000, -12_500, -12_500))


@pytest.mark.parametrize(("day", "slots"), [("25.10.2026", 100), ("29.03.2026", 92)])
def test_days_of_25_and_of_23_hours(tmp_path: Path, day: str, slots: int) -> None:
    autumn = day.startswith("25.10")
    times = [hour for hour in range(24) for _ in range(2 if autumn and hour == 2 else 1) if autumn or hour != 2]
    rows = [f"{day} {hour:02}:00;{number}" for number, hour in enumerate(times)]
    found = read(tmp_path, "\n".join(["Datum;Spot (EUR/MWh)", *rows]), timezone="Europe/Berlin")
    assert len(found.price) == slots
    assert found.price[-1] == (len(times) - 1) * 1000


def test_prices_of_five_minutes_are_averaged(tmp_path: Path) -> None:
    rows = [f"2026-06-21T00:{5 * at:02}:00+02:00,{price}" for at, price in enumerate((10, 20, 30, 1, 1, 2))]
    assert read(tmp_path, "\n".join(["slot,price (EUR/MWh)", *rows])).price == (20_000, 1_333)


@pytest.mark.parametrize(
    ("text", "told", "mistakes"),
    [
        (
            "slot,price_per_kwh\n2026-06-21T00:00:00+02:00,1\n2026-06-21T01:00:00+02:00,\n2026-06-21T02:00:00+02:00,x",
            {},
            [
                "line 3, column 2 (price_per_kwh): has no price",
                "line 4, column 2 (price_per_kwh): 'x' is no number with a decimal point",
            ],
        ),
        (
            "slot,price_per_kwh\n2026-06-21T00:00:00+02:00,1\n2026-06-21T01:00:00+02:00,1\n"
            "2026-06-21T03:00:00+02:00,1\n2026-06-21T04:00:00+02:00,1",
            {},
            ["line 4, column 1 (slot): 1 price is missing before this; each needs one"],
        ),
        (
            hours("1 2", "slot,price"),
            {},
            ["line 1, column 2 (price): names no unit, as EUR/MWh; tell it: series.unit (perKwh, perMwh, centPerKwh)"],
        ),
        (
            hours("1,2 2,3", "slot,Spot DE (EUR/MWh),Spot AT (EUR/MWh)"),
            {},
            ["line 1: Spot DE (EUR/MWh), Spot AT (EUR/MWh) could all be price; tell one: series.columns.price"],
        ),
        (
            hours("1 2", "slot,temperature"),
            {},
            [
                "line 1: has no column of prices, as price_per_kwh or feed_in_per_kwh; tell it: series.columns.price;"
                " has slot, temperature"
            ],
        ),
        (
            hours("1 2", "slot,price_per_kwh"),
            {"price": "spot"},
            ["line 1: has no column spot; there are slot, price_per_kwh"],
        ),
        (
            hours("1 -2", "slot,grid_fee_per_kwh"),
            {},
            ["line 3, column 2 (grid_fee_per_kwh): -2 is a negative grid fee"],
        ),
        (
            "slot,price_per_kwh\n2026-06-21 00:00,1\n2026-06-21 01:00,1",
            {},
            ["line 2, column 1 (slot): 2026-06-21 00:00:00 has no time zone; tell it: series.timezone Europe/Berlin"],
        ),
        (
            "slot,price_per_kwh\n03/04/2026 00:00,1\n03/04/2026 01:00,1",
            {"timezone": "Europe/Berlin"},
            [
                "line 2, column 1 (slot): '03/04/2026 00:00' may be day-first or month-first; tell it: series.dates"
                " day-first or month-first"
            ],
        ),
        (
            "slot,price_per_kwh\n2026-06-21T00:05:00+02:00,1\n2026-06-21T00:10:00+02:00,1",
            {},
            ["line 2, column 1 (slot): prices must start on a border of a slot, a quarter of an hour"],
        ),
        (
            hours("1 20000000"),
            {},
            ["line 3, column 2 (price_per_kwh): a price must be within 1,000,000 per kWh"],
        ),
    ],
)
def test_what_is_wrong_is_told_by_line_and_column(
    tmp_path: Path, text: str, told: dict[str, str], mistakes: list[str]
) -> None:
    with pytest.raises(MeterFileError) as raised:
        read(tmp_path, text, **told)
    assert [str(mistake) for mistake in raised.value.mistakes] == mistakes


def test_a_series_is_read_again_when_its_file_has_changed(tmp_path: Path) -> None:
    path = tmp_path / "prices.csv"
    path.write_text(hours("1 2"))
    tariff = Tariff(0, 0, file=PriceFile(path))
    first = series_of(tariff)
    assert first is not None
    assert first is series_of(tariff)
    path.write_text(hours("1 2 3"))
    newer = series_of(tariff)
    assert newer is not None
    assert newer.end == first.end + 3600


def test_without_a_file_there_is_no_series() -> None:
    assert series_of(Tariff(0, 0)) is None


def test_what_was_found_is_said(tmp_path: Path) -> None:
    path = tmp_path / "prices.csv"
    path.write_text(hours("87.34 -3", "slot,Day-ahead [EUR/MWh]"))
    _, found = read_prices(PriceFile(path))
    assert found.columns == {"price": ("Day-ahead [EUR/MWh]", PriceUnit.PER_MWH)}
    assert (found.step_s, found.decimal) == (3600, "point")
