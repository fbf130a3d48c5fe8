"""The attack run at small size, and that what it is judged by can fail. `make attack` has all of it."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from tests.attack.__main__ import GOAL, HTTP, MEMORY, Row, ratio
from tests.attack.attacks import ATTACKS, BY_NAME
from tests.attack.run import Result, attacked, attacked_in_memory, stopped

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
    quiet = Result("quiet", "", 100, 20, 0, {})
    slow = Result("slow", "", 50, 10, 0, {})
    assert ratio(slow, quiet) == 1.0
    assert Row(MEMORY, Result("bad", "", 79, 20, 0, {}), quiet).failed
    assert not Row(MEMORY, Result("good", "", 80, 20, 0, {}), quiet).failed
    assert not Row(HTTP, Result("judged in virtual time", "", 0, 20, 0, {}), None).failed


@pytest.mark.parametrize("name", ["quotes held and let expire", "50 contracts, unpaid"])
def test_who_holds_or_owes_leaves_the_honest_the_goal(name: str) -> None:
    quiet, beside = (attacked_in_memory(attack, slots=6, speed=600) for attack in (None, BY_NAME[name]))
    assert ratio(beside, quiet) >= GOAL
    assert (beside.findings, beside.broke) == ({}, "")


def test_in_virtual_time_the_same_is_sold_each_time() -> None:
    first, again = (attacked_in_memory(BY_NAME["50 contracts, unpaid"], slots=3, speed=600) for _ in range(2))
    assert first == again
    assert first.sales > 0


def test_every_attack_names_a_test_that_is_there() -> None:
    for attack in ATTACKS:
        assert (SECURITY / attack.test).is_file(), attack.name
