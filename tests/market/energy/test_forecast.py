"""What a household expects: by its profile, by the day before, or as it will be."""

from __future__ import annotations

import pytest

from tests.world.parties import Weather
from wattmesh_market.energy.forecast import FORECASTS, forecast_named
from wattmesh_market.energy.profiles import SlotProfile

NOON = 1_782_036_000
DAY_BEFORE = NOON - 86_400
EXPECTED, REAL, BEFORE = SlotProfile(800, 100), SlotProfile(300, 150), SlotProfile(500, 90)
WEATHER = Weather(*EXPECTED, {NOON: REAL})


def expected(name: str, metered: dict[int, SlotProfile]) -> SlotProfile:
    return forecast_named(name, WEATHER, metered.get).expected(NOON)


def test_the_profile_is_expected_whatever_was_metered() -> None:
    assert expected("profile", {DAY_BEFORE: BEFORE}) == EXPECTED


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
        forecast_named("oracle", WEATHER, lambda _: None)
