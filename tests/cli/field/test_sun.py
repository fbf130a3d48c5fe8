"""What panels give by pvlib: at night nothing, at noon the most, and no more than they can."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from wattmesh_cli.field.sun import pv_wh
from wattmesh_cli.field.weather import DatedWeather, Moment
from wattmesh_market.energy.profiles import Pv

ROOF = Pv(peak_w=5000, latitude=48.1, longitude=11.6, tilt_degrees=35, azimuth_degrees=180)
JUNE, DECEMBER = datetime(2026, 6, 21, tzinfo=UTC), datetime(2026, 12, 21, tzinfo=UTC)


def day(start: datetime) -> list[datetime]:
    return [start + timedelta(minutes=15 * number) for number in range(96)]


def clear_wh(start: datetime, *, altitude_m: float | None = None, **changed: float) -> list[int]:
    roof = replace(ROOF, **changed)  # type: ignore[arg-type]
    return pv_wh(roof, day(start), None, altitude_m)


def weather(start: datetime, moments: Sequence[Moment], step_s: int = 3600) -> DatedWeather:
    return DatedWeather(Path("weather.csv"), start, step_s, moments)


def morning_share(wh: Sequence[int]) -> float:
    """Share of the energy before 11:14 UTC, when the sun stands highest at 11.6° east in June."""
    return sum(wh[:45]) / sum(wh)


@pytest.mark.parametrize("start", [JUNE, DECEMBER])
@pytest.mark.parametrize("tilt_degrees", [0, 35, 90])
def test_there_is_none_at_night_and_never_more_than_the_peak(start: datetime, tilt_degrees: float) -> None:
    wh = clear_wh(start, tilt_degrees=tilt_degrees)
    assert set(wh[:8] + wh[84:]) == {0}, "from 21:00 to 02:00 UTC"
    assert 0 < max(wh) <= 1250
    assert min(wh) == 0


def test_panels_to_the_south_give_as_much_before_noon_as_after() -> None:
    assert morning_share(clear_wh(JUNE)) == pytest.approx(0.5, abs=0.015)


def test_there_is_more_in_june_than_in_december_in_the_north_and_less_in_the_south() -> None:
    assert sum(clear_wh(JUNE)) > 2 * sum(clear_wh(DECEMBER))
    cape_town = {"latitude": -33.9, "longitude": 18.4, "azimuth_degrees": 0}
    assert sum(clear_wh(JUNE, **cape_town)) < sum(clear_wh(DECEMBER, **cape_town))


@pytest.mark.parametrize("latitude", [67.5, 78.2, 89.99, 90])
@pytest.mark.parametrize("longitude", [-180, 0, 15.6, 180])
def test_there_is_none_in_the_polar_night_and_some_all_the_polar_day(latitude: float, longitude: float) -> None:
    place = {"longitude": longitude, "tilt_degrees": 35}
    for night, day_, here in ((DECEMBER, JUNE, latitude), (JUNE, DECEMBER, -latitude)):
        assert set(clear_wh(night, latitude=here, **place)) == {0}
        wh = clear_wh(day_, latitude=here, **place)
        assert 0 <= min(wh) < max(wh) <= 1250
        if latitude > 75:
            assert min(clear_wh(day_, latitude=here, longitude=longitude, tilt_degrees=0)) > 0


def test_panels_to_the_north_give_more_in_the_south() -> None:
    north, south = (
        sum(clear_wh(JUNE, latitude=-33.9, longitude=18.4, azimuth_degrees=azimuth)) for azimuth in (0, 180)
    )
    assert north > 2 * south


def test_panels_to_the_east_give_in_the_morning_and_to_the_west_in_the_evening() -> None:
    assert morning_share(clear_wh(JUNE, azimuth_degrees=90)) > 0.6
    assert morning_share(clear_wh(JUNE, azimuth_degrees=270)) < 0.4


def test_steep_panels_to_the_south_give_more_in_winter_and_less_to_the_north() -> None:
    flat, steep = (sum(clear_wh(DECEMBER, tilt_degrees=tilt)) for tilt in (0, 60))
    assert steep > 2 * flat
    assert sum(clear_wh(DECEMBER, tilt_degrees=60, azimuth_degrees=0)) < flat
    assert sum(clear_wh(JUNE, tilt_degrees=0)) > sum(clear_wh(JUNE, tilt_degrees=60))


def test_peak_power_scales_and_none_gives_none() -> None:
    assert sum(clear_wh(JUNE, peak_w=10_000)) == pytest.approx(2 * sum(clear_wh(JUNE)), abs=1)
    assert set(clear_wh(JUNE, peak_w=0)) == {0}


def test_rounding_is_carried() -> None:
    """A panel of 1 W gives less than 1 Wh in a slot, and as much in a day as a thousandth of 1 kW."""
    assert sum(clear_wh(JUNE, peak_w=1)) == round(sum(clear_wh(JUNE, peak_w=1000)) / 1000)


def test_high_up_the_sky_is_clearer() -> None:
    assert sum(clear_wh(JUNE, altitude_m=2500)) > sum(clear_wh(JUNE, altitude_m=0))


def test_weather_takes_the_place_of_the_clear_sky() -> None:
    dark = weather(JUNE, [(0, 0, 0, 15, 1)] * 24)
    grey = weather(JUNE, [(100, 0, 100, 15, 1)] * 24)
    assert set(pv_wh(ROOF, day(JUNE), dark, None)) == {0}
    grey_wh = pv_wh(ROOF, day(JUNE), grey, None)
    assert 0 < sum(grey_wh) < sum(clear_wh(JUNE)) / 2
    assert set(grey_wh[:8]) == {0}, "light that a file has at night is none"


def test_cold_and_windy_air_makes_panels_better() -> None:
    hot, cold = (weather(JUNE, [(700, 600, 150, *air)] * 24) for air in ((35, 0.5), (0, 8)))
    assert sum(pv_wh(ROOF, day(JUNE), cold, None)) > 1.1 * sum(pv_wh(ROOF, day(JUNE), hot, None))
