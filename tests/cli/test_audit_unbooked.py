"""What the audit says of readings that are not booked: which only wait for their slot's closing, which are overdue."""

from __future__ import annotations

from dataclasses import replace

import pytest

from tests.cli.street_books import FLAT, GRID, NEXT, SLOT, THIRD, street
from wattmesh_cli.audit import audit, overdue_text
from wattmesh_cli.audit.findings import Unbooked
from wattmesh_cli.books import Book, Reported

HOUR_S = 3600
LATE_S = HOUR_S + 3 * 900
"""So long after its slot a reading is overdue whose bill, told by the hour, was lost and asked for."""


def waiting(now: int, grid_now: int | None = None, state: str = "final") -> list[Book]:
    """The street with flat-0's second reading not booked, at a grid time of its book, and of the utility's."""
    flat, grid, roof = street()
    flat = replace(
        flat,
        parties=(replace(flat.parties[0], next_slot=now),),
        readings=(flat.readings[0], replace(flat.readings[1], state=state)),
    )
    grid = replace(
        grid,
        parties=(replace(grid.parties[0], next_slot=now if grid_now is None else grid_now),),
        reported=(*grid.reported, Reported(GRID, NEXT, FLAT, 0, 0, 0, False, "waiting")),
    )
    return [flat, grid, roof]


@pytest.mark.parametrize("state", ["open", "final"])
def test_a_reading_that_waits_for_its_closing_is_not_overdue(state: str) -> None:
    closed = NEXT + 3 * 900
    for now in (THIRD, closed, closed + 900):
        assert audit(waiting(now, state=state)).unbooked == Unbooked(1, 0, 0)


@pytest.mark.parametrize("state", ["open", "final"])
def test_one_that_waits_for_longer_than_bills_can_take_is_overdue_and_nothing_is_right(state: str) -> None:
    assert audit(waiting(THIRD + LATE_S - 900, state=state)).unbooked.overdue == 0
    result = audit(waiting(THIRD + LATE_S, state=state))
    assert result.unbooked == Unbooked(1, 1, LATE_S)
    assert not result.right
    assert audit(waiting(THIRD + 26 * HOUR_S)).unbooked == Unbooked(1, 1, 26 * HOUR_S)


def test_a_household_that_lags_is_told_by_its_utilitys_time() -> None:
    assert audit(waiting(THIRD, grid_now=THIRD + 2 * HOUR_S)).unbooked == Unbooked(1, 1, 2 * HOUR_S)


def test_another_market_in_the_same_books_may_be_at_another_time() -> None:
    other = Book("far", parties=(replace(street()[2].parties[0], party="far-0.other", next_slot=SLOT + 10**6),))
    assert audit([*waiting(THIRD), other]).unbooked.overdue == 0


def test_overload_for_five_days_is_told_in_numbers() -> None:
    [flat, *others] = street()
    days = [replace(flat.readings[1], slot=NEXT + 900 * n) for n in range(480)]
    readings = [replace(one, state="final" if n >= 139 else "booked") for n, one in enumerate(days)]
    end = NEXT + 480 * 900
    slow = replace(flat, parties=(replace(flat.parties[0], next_slot=end),), readings=tuple(readings))
    result = audit([slow, *others])
    assert result.unbooked == Unbooked(341, 334, (480 - 140) * 900)
    assert (
        overdue_text(result) == "334 of 482 readings (69 %) are overdue: the oldest is not booked 3d 13h after its slot"
    )
