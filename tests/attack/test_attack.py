"""The attack run at small size, and that what it is judged by can fail. `make attack` has all of it."""

from __future__ import annotations

import asyncio
from pathlib import Path

from tests.attack.__main__ import GOAL, ratio
from tests.attack.attacks import ATTACKS, BY_NAME
from tests.attack.run import Result, attacked, stopped

SECURITY = Path(__file__).parents[1] / "security"


def test_a_street_trades_beside_an_attack_and_its_books_are_right() -> None:
    result = asyncio.run(attacked(BY_NAME["forged, old, future signatures; replays"], slots=3, speed=200))
    assert result.sales > 0
    assert result.calls > 0
    assert (result.findings, result.broke) == ({}, "")


def test_an_attack_that_ends_by_itself_is_told() -> None:
    async def ended() -> str:
        work = asyncio.ensure_future(asyncio.sleep(0))
        await work
        return await stopped(work)

    assert asyncio.run(ended()) == "ended by itself"


def test_the_goal_is_of_the_quiet_streets_sales_in_the_same_grid_time() -> None:
    quiet = Result("quiet", "", 100, 20, 30, 0, 0, 0, {})
    slow = Result("slow", "", 50, 10, 60, 0, 0, 0, {})
    assert ratio(slow, quiet) == 1.0
    assert ratio(Result("bad", "", 79, 20, 30, 0, 0, 0, {}), quiet) < GOAL


def test_every_attack_names_a_test_that_is_there() -> None:
    for attack in ATTACKS:
        assert (SECURITY / attack.test).is_file(), attack.name
