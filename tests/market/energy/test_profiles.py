"""Sun and consumption: repeatable, plausible, and measured values read strictly."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from statistics import correlation

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from wattmesh_common.profile_files import profile_of, read_profile_csv
from wattmesh_market.energy.profiles import (
    Load,
    MeasuredProfile,
    Pv,
    ShapeProfile,
    SlotProfile,
    clear_sky_wh,
    mean_load_wh,
)
from wattmesh_market.energy.slots import SLOT_S
from wattmesh_market.energy.tariff import Tariff
from wattmesh_market.parties.config import Backstop, HouseholdConfig, Trading

MIDSUMMER = int(datetime(2026, 6, 21, tzinfo=UTC).timestamp())
MIDWINTER = int(datetime(2026, 12, 21, tzinfo=UTC).timestamp())
NEW_YEAR = int(datetime(2026, 1, 1, tzinfo=UTC).timestamp())
ROOF = Pv(peak_w=5000, latitude=52.5, longitude=13.4)
HOME = Load(annual_wh=3_500_000)
PROFILE = ShapeProfile(seed=7, utc_offset_s=7200, pv=(ROOF,), load=HOME)

slots = st.integers(0, 3_000_000).map(lambda number: number * SLOT_S)


def day(start: int) -> range:
    return range(start, start + 86_400, SLOT_S)


# --- built-in shapes ---


@given(st.integers(-(2**63), 2**63), slots)
def test_the_same_seed_gives_the_same_values(seed: int, slot: int) -> None:
    one, other = (ShapeProfile(seed, 7200, (ROOF,), HOME) for _ in range(2))
    assert one.actual(slot) == other.actual(slot)
    assert one.forecast(slot) == other.forecast(slot)


def test_another_seed_gives_another_household() -> None:
    neighbour = ShapeProfile(8, 7200, (ROOF,), HOME)
    assert [PROFILE.actual(slot) for slot in day(MIDSUMMER)] != [neighbour.actual(slot) for slot in day(MIDSUMMER)]
    assert [PROFILE.forecast(slot) for slot in day(MIDSUMMER)] == [neighbour.forecast(slot) for slot in day(MIDSUMMER)]


def test_neighbours_are_under_the_same_clouds() -> None:
    roof, other, elsewhere = (
        ShapeProfile(seed, 7200, (ROOF,), None, weather) for seed, weather in ((7, 1), (8, 1), (8, 2))
    )
    days = [[slot for slot in day(MIDSUMMER + at * 86_400) if roof.forecast(slot).pv_wh > 100] for at in range(30)]

    def of_day(profile: ShapeProfile) -> list[int]:
        return [sum(profile.actual(slot).pv_wh for slot in slots) for slots in days]

    def clear(profile: ShapeProfile) -> list[float]:
        return [profile.actual(slot).pv_wh / profile.forecast(slot).pv_wh for slots in days for slot in slots]

    for one_wh, other_wh in zip(of_day(roof), of_day(other), strict=True):
        assert abs(one_wh - other_wh) < 0.05 * one_wh
    assert 0.9 < correlation(clear(roof), clear(other)) < 1
    assert correlation(clear(roof), clear(elsewhere)) < 0.5


@given(slots, st.floats(-90, 90), st.floats(-180, 180), st.integers(0, 100_000))
@settings(max_examples=500)
def test_sun_is_never_more_than_the_peak_nor_less_than_nothing(
    slot: int, latitude: float, longitude: float, peak_w: int
) -> None:
    roof = Pv(peak_w=peak_w, latitude=latitude, longitude=longitude)
    assert 0 <= clear_sky_wh(roof, slot) <= peak_w // 4
    profile = ShapeProfile(1, 0, (roof,), HOME)
    assert 0 <= profile.actual(slot).pv_wh <= profile.clear(slot).pv_wh
    assert profile.actual(slot).load_wh >= 0


latitudes, azimuths, tilts = st.floats(-90, 90), st.floats(0, 360), st.floats(0, 90)


@given(slots, latitudes, st.lists(st.tuples(st.integers(0, 50_000), tilts, azimuths), max_size=4))
def test_a_house_has_the_sun_of_each_of_its_roofs(
    slot: int, latitude: float, panels: list[tuple[int, float, float]]
) -> None:
    roofs = tuple(Pv(peak_w, latitude, 13.4, tilt, azimuth) for peak_w, tilt, azimuth in panels)
    house = ShapeProfile(1, 0, roofs, None)
    assert house.clear(slot).pv_wh == sum(ShapeProfile(1, 0, (roof,), None).clear(slot).pv_wh for roof in roofs)
    assert 0 <= house.actual(slot).pv_wh <= house.clear(slot).pv_wh


def test_what_is_expected_is_what_the_weather_brings_on_average() -> None:
    roofs = [ShapeProfile(1, 0, (ROOF,), None, weather) for weather in range(200)]
    days = [[slot for slot in day(MIDSUMMER + at * 86_400) if roofs[0].forecast(slot).pv_wh] for at in range(4)]
    metered_wh = sum(roof.actual(slot).pv_wh for roof in roofs for slots in days for slot in slots[::4])
    expected_wh = len(roofs) * sum(roofs[0].forecast(slot).pv_wh for slots in days for slot in slots[::4])
    assert metered_wh == pytest.approx(expected_wh, rel=0.01)
    assert expected_wh < 0.9 * len(roofs) * sum(roofs[0].clear(slot).pv_wh for slots in days for slot in slots[::4])


def test_roofs_to_the_east_and_west_have_a_longer_day_than_one_to_the_south() -> None:
    def full_h(*azimuths: float) -> float:
        """Energy of a day against its brightest slot."""
        roofs = tuple(replace(ROOF, tilt_degrees=45, azimuth_degrees=azimuth) for azimuth in azimuths)
        wh = [ShapeProfile(1, 0, roofs, None).forecast(slot).pv_wh for slot in day(MIDSUMMER)]
        return sum(wh) / (4 * max(wh))

    assert full_h(90, 270) > 1.2 * full_h(180)


@given(st.floats(67, 90), st.floats(-180, 180), tilts, azimuths)
def test_there_is_nothing_in_the_polar_night(latitude: float, longitude: float, tilt: float, azimuth: float) -> None:
    for start, here in ((MIDWINTER, latitude), (MIDSUMMER, -latitude)):
        assert {clear_sky_wh(Pv(5000, here, longitude, tilt, azimuth), slot) for slot in day(start)} == {0}


@given(st.floats(72, 90), st.floats(-180, 180))
def test_the_sun_shines_all_the_polar_day(latitude: float, longitude: float) -> None:
    for start, here in ((MIDSUMMER, latitude), (MIDWINTER, -latitude)):
        assert min(clear_sky_wh(Pv(5000, here, longitude), slot) for slot in day(start)) > 0


@given(latitudes, tilts, azimuths)
def test_the_south_is_the_north_half_a_year_later_with_north_for_south(
    latitude: float, tilt: float, azimuth: float
) -> None:
    """East stays east: the azimuth is mirrored at the line from east to west."""
    here = Pv(100_000, latitude, 0, tilt, azimuth)
    there = replace(here, latitude=-latitude, azimuth_degrees=(180 - azimuth) % 360)
    for summer, winter in zip(day(MIDSUMMER), day(MIDWINTER), strict=True):
        assert clear_sky_wh(here, summer) == pytest.approx(clear_sky_wh(there, winter), abs=50)


def test_no_sun_at_night_and_most_at_solar_noon() -> None:
    # Berlin's sun stands highest at 12:00 - 13.4°/15 h = 11:06 UTC.
    given_wh = {slot: clear_sky_wh(ROOF, slot) for slot in day(MIDSUMMER)}
    brightest = max(given_wh, key=lambda slot: given_wh[slot])
    assert brightest == MIDSUMMER + 11 * 3600
    at_night = [slot for slot in given_wh if not 2 * 3600 < slot - MIDSUMMER < 20 * 3600]
    assert {given_wh[slot] for slot in at_night} == {0}
    assert sum(wh == 0 for wh in given_wh.values()) < 40, "a midsummer day in Berlin has more than 14 bright hours"


def test_the_sun_of_a_day_and_a_year_is_plausible() -> None:
    summer_wh = sum(clear_sky_wh(ROOF, slot) for slot in day(MIDSUMMER))
    winter_wh = sum(clear_sky_wh(ROOF, slot) for slot in day(MIDWINTER))
    assert 5 < summer_wh / ROOF.peak_w < 9, "hours at full power on a clear day in June"
    assert 0.2 < winter_wh / ROOF.peak_w < 1.5, "and in December"
    every_week = range(NEW_YEAR, NEW_YEAR + 365 * 86_400, 7 * 86_400)
    clear_h = 7 * sum(clear_sky_wh(ROOF, slot) for start in every_week for slot in day(start)) / ROOF.peak_w
    actual_h = 7 * sum(PROFILE.actual(slot).pv_wh for start in every_week for slot in day(start)) / ROOF.peak_w
    assert 1000 < clear_h < 1700
    assert 800 < actual_h < clear_h


def test_sloping_panels_look_somewhere_and_flat_ones_nowhere() -> None:
    def halves(start: int, **changed: float) -> tuple[int, int]:
        roof = replace(ROOF, **changed)  # type: ignore[arg-type]
        given_wh = [clear_sky_wh(roof, slot) for slot in day(start)]
        return sum(given_wh[:44]), sum(given_wh[44:])  # the sun of Berlin stands highest at about 11:06 UTC

    morning_wh, evening_wh = halves(MIDSUMMER, tilt_degrees=35, azimuth_degrees=90)
    assert morning_wh > 1.5 * evening_wh
    morning_wh, evening_wh = halves(MIDSUMMER, tilt_degrees=35, azimuth_degrees=270)
    assert evening_wh > 1.5 * morning_wh
    assert halves(MIDSUMMER, azimuth_degrees=90) == halves(MIDSUMMER, azimuth_degrees=180)
    assert sum(halves(MIDWINTER, tilt_degrees=60)) > 2 * sum(halves(MIDWINTER))
    assert sum(halves(MIDWINTER, tilt_degrees=60, azimuth_degrees=0)) < sum(halves(MIDWINTER))


@pytest.mark.parametrize("annual_wh", [1_500_000, 3_500_000, 12_000_000])
def test_consumption_sums_to_the_year(annual_wh: int) -> None:
    load = Load(annual_wh=annual_wh)
    day_wh = sum(mean_load_wh(load, slot, 7200) for slot in day(MIDSUMMER))
    assert day_wh * 365 == pytest.approx(annual_wh, rel=0.02)
    profile = ShapeProfile(3, 7200, (), load)
    month_wh = sum(profile.actual(slot).load_wh for slot in range(MIDSUMMER, MIDSUMMER + 30 * 86_400, SLOT_S))
    assert month_wh / 30 * 365 == pytest.approx(annual_wh, rel=0.05)


def test_consumption_is_lowest_at_night_and_highest_in_the_evening() -> None:
    by_time = {
        (slot - MIDSUMMER + 7200) // 900 % 96: mean_load_wh(HOME, slot, 7200)
        for slot in day(MIDSUMMER)
    }  # fmt: skip
    assert 2 <= min(by_time, key=lambda quarter: by_time[quarter]) / 4 < 5
    assert 18 <= max(by_time, key=lambda quarter: by_time[quarter]) / 4 < 21


def test_between_hours_consumption_moves_in_a_straight_line() -> None:
    # Weights 0.86 at 06:00 and 1.11 at 07:00 about a mean of 23/24, which stands for 99.886 Wh per slot.
    at_six = MIDSUMMER + 6 * 3600
    assert [mean_load_wh(HOME, at_six + 900 * quarter, 0) for quarter in range(5)] == [89, 96, 102, 109, 115]


def test_without_roof_or_load_there_is_nothing() -> None:
    empty = ShapeProfile(1, 0, (), None)
    assert {empty.actual(slot) for slot in day(MIDSUMMER)} == {SlotProfile(0, 0)}


# --- measured values ---


def csv_of(path: Path, rows: list[str], header: str = "slot,pv_wh,load_wh") -> Path:
    path.write_text("\n".join([header, *rows]) + "\n", encoding="utf-8")
    return path


def rows_of(slots_given: int, start: datetime = datetime(2026, 6, 21, tzinfo=UTC)) -> list[str]:
    """Rows that count up: the n-th has n Wh of sun and 1000 + n Wh of load."""
    return [f"{(start + n * timedelta(minutes=15)).isoformat()},{n},{1000 + n}" for n in range(slots_given)]


def test_measured_values_are_those_of_their_slots(tmp_path: Path) -> None:
    profile = read_profile_csv(csv_of(tmp_path / "two-days.csv", rows_of(192)), 30_000)
    assert profile.actual(MIDSUMMER) == SlotProfile(0, 1000)
    assert profile.actual(MIDSUMMER + 191 * SLOT_S) == SlotProfile(191, 1191)
    assert profile.forecast(MIDSUMMER + 5 * SLOT_S) == profile.actual(MIDSUMMER + 5 * SLOT_S)
    assert (profile.first, profile.days) == (MIDSUMMER, 2)


def test_measured_values_repeat_before_and_after(tmp_path: Path) -> None:
    profile = read_profile_csv(csv_of(tmp_path / "day.csv", rows_of(96)), 30_000)
    for days in (-400, -1, 1, 2, 1000):
        assert profile.actual(MIDSUMMER + days * 86_400 + 7 * SLOT_S) == SlotProfile(7, 1007)


@given(st.integers(1, 3), slots)
def test_measured_values_repeat_by_whole_days(days: int, slot: int) -> None:
    known = {MIDSUMMER + n * SLOT_S: SlotProfile(n, n) for n in range(days * 96)}
    profile = MeasuredProfile(known, MIDSUMMER, days)
    assert profile.actual(slot) == profile.actual(slot + days * 86_400)
    assert profile.actual(slot).pv_wh % 96 == (slot - MIDSUMMER) // SLOT_S % 96, "the same time of day"


# --- of configuration ---


def test_profile_of_a_household(tmp_path: Path) -> None:
    tariff = Tariff(price_micro_per_kwh=300_000, feed_in_micro_per_kwh=80_000)
    household = HouseholdConfig(
        name="home-0",
        subscriber_id="home-0.default",
        feeder="feeder-1",
        seed=7,
        pv=(ROOF,),
        load=HOME,
        trading=Trading(buy_below_wh=0, buy_target_wh=0, sell_above_wh=0, sell_price_micro_per_kwh=200_000),
        backstop=Backstop(utility_id="grid.default", tariff=tariff),
    )
    assert profile_of(household, 7200) == PROFILE
    measured = replace(household, profile_csv=csv_of(tmp_path / "day.csv", rows_of(96)))
    assert profile_of(measured, 7200).actual(MIDSUMMER) == SlotProfile(0, 1000)
