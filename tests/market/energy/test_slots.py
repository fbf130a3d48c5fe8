"""Delivery slots: a quarter of an hour of grid time, named by its start."""

from __future__ import annotations

from datetime import UTC, datetime, time, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wattmesh_market.energy.slots import (
    SLOT_S,
    slot_energy_wh,
    slot_from_range,
    slot_of,
    slot_range,
    slot_text,
    time_of_day,
)

NOON = datetime(2026, 6, 21, 12, 0, tzinfo=UTC)
SLOT = int(NOON.timestamp())
QUARTER = timedelta(minutes=15)
BERLIN_S = 7200


def test_slot_of_a_moment() -> None:
    assert slot_of(SLOT) == slot_of(SLOT + 0.5) == slot_of(SLOT + 899.999) == SLOT
    assert slot_of(SLOT - 0.001) == SLOT - 900
    assert slot_of(SLOT + 900) == SLOT + 900


def test_a_range_in_any_time_zone_is_its_slot() -> None:
    assert slot_range(SLOT) == (NOON, NOON + QUARTER)
    there = timezone(timedelta(hours=5, minutes=45))
    assert slot_from_range(NOON.astimezone(there), (NOON + QUARTER).astimezone(UTC)) == SLOT


@pytest.mark.parametrize(
    ("start", "end", "named"),
    [
        (NOON, NOON + 2 * QUARTER, "2026-06-21T12:00:00+00:00 to 2026-06-21T12:30:00+00:00"),
        (NOON, NOON - QUARTER, "2026-06-21T12:00:00+00:00 to 2026-06-21T11:45:00+00:00"),
        (
            NOON + timedelta(minutes=5),
            NOON + timedelta(minutes=20),
            "2026-06-21T12:05:00+00:00 to 2026-06-21T12:20:00+00:00",
        ),
        (
            NOON + timedelta(milliseconds=1),
            NOON + timedelta(milliseconds=1) + QUARTER,
            "2026-06-21T12:00:00.001000+00:00 to 2026-06-21T12:15:00.001000+00:00",
        ),
        (NOON, NOON + timedelta(seconds=899), "2026-06-21T12:00:00+00:00 to 2026-06-21T12:14:59+00:00"),
    ],
)
def test_any_other_range_is_no_slot(start: datetime, end: datetime, named: str) -> None:
    with pytest.raises(ValueError, match="is no delivery slot") as refused:
        slot_from_range(start, end)
    assert str(refused.value) == f"{named} is no delivery slot; slots last 15 minutes and start on the quarter hour"


@given(st.integers(0, 4_000_000_000), st.integers(-50_400, 50_400))
def test_every_moment_lies_in_one_slot_that_reads_back(moment: int, offset_s: int) -> None:
    slot = slot_of(moment)
    assert slot <= moment < slot + SLOT_S
    start, end = slot_range(slot)
    there = timezone(timedelta(seconds=offset_s))
    assert slot_from_range(start.astimezone(there), end.astimezone(there)) == slot


@pytest.mark.parametrize(("power_w", "energy_wh"), [(0, 0), (3, 0), (4, 1), (7, 1), (1000, 250)])
def test_energy_of_a_power_in_a_slot(power_w: int, energy_wh: int) -> None:
    assert slot_energy_wh(power_w) == energy_wh


def test_local_time_of_a_slot() -> None:
    assert time_of_day(SLOT, 0) == time(12, 0)
    assert time_of_day(SLOT, BERLIN_S) == time(14, 0)
    assert slot_text(SLOT, BERLIN_S) == "14:00-14:15"
    assert slot_text(SLOT + 12 * 3600 - 900, 0) == "23:45-00:00"
