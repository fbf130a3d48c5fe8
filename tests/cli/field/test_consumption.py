"""Consumption by BDEW profiles: the year's energy to the Wh, and no household like the other."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from wattmesh_cli.field.consumption import KINDS, load_wh, standard_load_wh, year_load_wh
from wattmesh_cli.field.rounding import shared_wh, whole_wh

ZONE = timezone(timedelta(hours=2))
A_YEAR = 35_040


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(("year", "slots"), [(2026, A_YEAR), (2028, A_YEAR + 96)])
def test_a_year_sums_to_its_energy_to_the_wh(kind: str, year: int, slots: int) -> None:
    wh = year_load_wh(kind, 3_500_001, 7, year)
    assert (len(wh), sum(wh)) == (slots, 3_500_001)
    assert min(wh) >= 0


@settings(max_examples=15, deadline=None)
@given(st.integers(0, 10**9), st.integers(0, 2**53 - 1))
def test_it_does_for_every_household(annual_wh: int, seed: int) -> None:
    wh = year_load_wh("h0", annual_wh, seed, 2026)
    assert sum(wh) == annual_wh
    assert min(wh) >= 0


def test_the_same_seed_repeats_a_household_and_another_gives_another() -> None:
    assert year_load_wh("h0", 3_500_000, 7, 2026) == year_load_wh("h0", 3_500_000, 7, 2026)
    assert year_load_wh("h0", 3_500_000, 7, 2026) != year_load_wh("h0", 3_500_000, 8, 2026)
    assert year_load_wh("h0", 3_500_000, 7, 2026) != year_load_wh("h0", 3_500_000, 7, 2025)


def test_many_households_together_are_like_the_standard_profile() -> None:
    street = np.mean([year_load_wh("h0", 3_500_000, seed, 2026) for seed in range(60)], axis=0)
    hours, standard = (
        np.reshape(wh, (-1, 96)).mean(axis=0) for wh in (street, standard_load_wh("h0", 3_500_000, 2026))
    )
    assert np.abs(hours - standard).max() < 0.1 * standard.max()


def test_households_shift_the_day_by_up_to_an_hour() -> None:
    """A bakery is closed when its profile says so, to the hour: shifted by whole slots and no more than four."""
    standard = np.array(standard_load_wh("g5", 50_000_000, 2026), dtype=float)
    best = set()
    for seed in range(40):
        wh = np.array(year_load_wh("g5", 50_000_000, seed, 2026), dtype=float)
        best.add(max(range(-8, 9), key=lambda shift: float(np.dot(wh, np.roll(standard, shift)))))
    assert best == set(range(-4, 5))


def test_a_business_rests_at_night_and_a_household_peaks_in_the_evening() -> None:
    business, household = (
        np.reshape(standard_load_wh(kind, 3_500_000, 2026), (-1, 96)).mean(axis=0) for kind in ("g1", "h0")
    )
    assert 8 * 4 <= int(np.argmax(business)) <= 16 * 4
    assert 17 * 4 <= int(np.argmax(household)) <= 21 * 4


def test_days_are_cut_out_of_their_years() -> None:
    start = datetime(2026, 12, 31, tzinfo=ZONE)
    old, new = (year_load_wh("h0", 3_500_000, 7, year) for year in (2026, 2027))
    assert load_wh("h0", 3_500_000, 7, start, 192) == old[-96:] + new[:96]
    assert load_wh("h0", 3_500_000, 7, datetime(2026, 1, 1, tzinfo=ZONE), A_YEAR) == old


@given(st.lists(st.floats(0, 1000), min_size=1, max_size=200))
def test_rounding_keeps_every_partial_sum_to_half_a_wh(energy_wh: list[float]) -> None:
    whole = whole_wh(np.array(energy_wh))
    assert min(whole) >= 0
    assert np.abs(np.cumsum(whole) - np.cumsum(energy_wh)).max() <= 0.5


def test_a_whole_is_shared_without_rest() -> None:
    assert shared_wh(10, np.array([1.0, 1.0, 1.0])) == [3, 4, 3]
