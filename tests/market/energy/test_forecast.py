"""What a household expects: by its profile, by the day before, or as it will be."""

from __future__ import annotations

import pytest

from tests.world.parties import Weather
from wattmesh_market.energy.forecast import FORECASTS, Seen, forecast_named
from wattmesh_market.energy.profiles import SlotProfile
from wattmesh_market.energy.slots import SLOT_S

NOON = 1_782_036_000
DAY_BEFORE = NOON - 86_400
EXPECTED, REAL, BEFORE = SlotProfile(800, 100), SlotProfile(300, 150), SlotProfile(500, 90)
WEATHER = Weather(*EXPECTED, {NOON: REAL})


def expected(name: str, metered: dict[int, SlotProfile]) -> SlotProfile:
    return forecast_named(name, WEATHER, Seen(metered.get, lambda: NOON)).expected(NOON)


# --- profile ---


def morning(pv_wh: int, slots: int = 16) -> dict[int, SlotProfile]:
    """So many slots before noon, in each of which that was metered, and 800 Wh were to be expected."""
    return {NOON - at * SLOT_S: SlotProfile(pv_wh, 150) for at in range(1, slots + 1)}


def test_the_profile_is_expected_where_nothing_was_metered_of_late() -> None:
    assert expected("profile", {}) == EXPECTED
    assert expected("profile", {DAY_BEFORE: BEFORE, NOON - 17 * SLOT_S: BEFORE}) == EXPECTED


def test_of_the_sun_as_much_is_expected_as_the_last_hours_had_of_theirs() -> None:
    # The slot itself counts as one more that is as the profile says.
    assert expected("profile", morning(400)) == SlotProfile(800 * (16 * 400 + 800) // (17 * 800), 100)
    assert expected("profile", morning(800)) == EXPECTED
    assert expected("profile", morning(400, slots=1)) == SlotProfile(600, 100)


def test_a_sky_lasts_until_the_next_night_at_most() -> None:
    metered = morning(400)
    forecast = forecast_named("profile", WEATHER, Seen(metered.get, lambda: NOON))
    assert forecast.expected(NOON + 12 * 3600 - SLOT_S).pv_wh < 500
    assert forecast.expected(NOON + 12 * 3600) == EXPECTED


def test_a_plan_that_is_made_anew_goes_by_the_sky_that_was_seen_then() -> None:
    metered = morning(400) | {NOON: REAL, NOON + SLOT_S: REAL}
    seen = Seen(lambda slot: metered.get(slot), lambda: NOON + 2 * SLOT_S)
    forecast = forecast_named("profile", WEATHER, seen)
    now, later = forecast.expected(NOON + 3 * SLOT_S), NOON + 3 * SLOT_S
    with seen.until(NOON):
        then = forecast.expected(later)
    assert then == forecast_named("profile", WEATHER, Seen(morning(400).get, lambda: NOON)).expected(later) != now
    assert forecast.expected(later) == now


# --- the others ---


def test_persistence_expects_the_same_slot_of_the_day_before() -> None:
    assert expected("persistence", {DAY_BEFORE: BEFORE, NOON - 900: REAL}) == BEFORE


def test_a_night_of_nothing_is_a_forecast_too() -> None:
    assert expected("persistence", {DAY_BEFORE: SlotProfile(0, 0)}) == SlotProfile(0, 0)


def test_until_a_day_has_passed_persistence_expects_what_the_profile_does() -> None:
    assert expected("persistence", {NOON - 900: REAL}) == EXPECTED


def test_perfect_is_what_will_be_metered() -> None:
    assert expected("perfect", {DAY_BEFORE: BEFORE}) == REAL


def test_an_unknown_forecast_is_refused_with_the_names_there_are() -> None:
    assert set(FORECASTS) == {"profile", "persistence", "perfect"}
    with pytest.raises(ValueError, match=r"^no forecast 'oracle'; there are: perfect, persistence, profile\. Inst"):
        forecast_named("oracle", WEATHER, Seen(lambda _: None, lambda: NOON))
