from __future__ import annotations

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.beckn.support import NOW
from tests.world.clocks import run
from wattmesh_common.clock import GridClock, LoopClock, SystemClock, rfc3339, utc
from wattmesh_market.energy.grid_time import GridTime

GRID_START = 1_780_300_800.0


def test_virtual_time_passes_only_by_waiting() -> None:
    async def main() -> tuple[float, float]:
        clock = LoopClock(NOW)
        before = clock.wall()
        await clock.sleep(3_600)
        await clock.sleep(-5)
        return before, clock.wall()

    assert run(main()) == (NOW, NOW + 3_600)


def test_the_system_clock_is_the_machines() -> None:
    async def main() -> bool:
        before = time.time()
        await SystemClock().sleep(-1)
        return before <= SystemClock().wall() <= time.time()

    assert run(main())


def test_grid_time_runs_faster_than_the_wall() -> None:
    async def main() -> tuple[float, float, float]:
        clock = LoopClock(NOW)
        grid = GridClock(clock, GridTime(GRID_START, NOW, speed=180.0))
        at_start = grid.now()
        await clock.sleep(5)
        return at_start, grid.now(), grid.wall_at(GRID_START + 900)

    assert run(main()) == (GRID_START, GRID_START + 900, NOW + 5)


@given(st.floats(0.5, 5000), st.floats(-10, 40_000))
def test_waiting_for_grid_time_ends_when_it_has_come(speed: float, ahead: float) -> None:
    async def main() -> float:
        grid = GridClock(LoopClock(NOW), GridTime(GRID_START, NOW, speed))
        await grid.sleep_until(GRID_START + ahead)
        return grid.now()

    assert run(main()) == pytest.approx(GRID_START + max(ahead, 0), abs=2e-6 * max(speed, 1))


def test_times_are_written_in_utc_to_the_millisecond() -> None:
    assert rfc3339(NOW) == "2026-05-28T20:26:40.000Z"
    assert rfc3339(NOW + 0.25) == "2026-05-28T20:26:40.250Z"
    assert utc(NOW).isoformat() == "2026-05-28T20:26:40+00:00"
