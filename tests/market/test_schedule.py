"""When things happen: within bounds, always the same, and spread over parties; the books depend on nothing else."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.market.invariants import check_end
from tests.world.market import World, street
from tests.world.parties import FEES, FIRST_SLOT, SPEED, battery, household, utility
from wattmesh_market.energy.slots import SLOT_S
from wattmesh_market.parties.config import DemandResponse
from wattmesh_market.schedule import (
    HOUSEHOLD_LOOKS_PPM,
    PPM,
    REPORT_PPM,
    SURELY_REPORTED_S,
    UTILITY_LOOKS_PPM,
    WINDOW_PPM,
    look_ppm,
    moment_s,
    report_ppm,
)

seeds, parties = st.integers(0, 2**32), st.from_regex(r"[a-z]{1,10}\.[a-z]{1,5}", fullmatch=True)
slots = st.integers(0, 4_000_000).map(lambda number: number * SLOT_S)


@given(seeds, parties, slots, st.sampled_from([HOUSEHOLD_LOOKS_PPM, UTILITY_LOOKS_PPM]), st.integers(0, 1))
def test_moments_are_within_bounds_and_the_same_for_the_same_arguments(
    seed: int, party: str, slot: int, looks: tuple[tuple[int, int], ...], attempt: int
) -> None:
    look, (earliest, latest) = look_ppm(looks, seed, party, slot, attempt), looks[attempt]
    assert earliest <= look < latest
    assert look == look_ppm(looks, seed, party, slot, attempt)
    report = report_ppm(seed, party, slot)
    assert REPORT_PPM[0] <= report < REPORT_PPM[1]
    assert report == report_ppm(seed, party, slot)
    assert slot <= moment_s(slot, look) < slot + SLOT_S


def test_moments_differ_between_parties_seeds_slots_and_attempts() -> None:
    looks = [
        look_ppm(HOUSEHOLD_LOOKS_PPM[:1] * 2, seed, f"home-{number}.default", slot, attempt)
        for seed in (1, 2)
        for number in range(10)
        for slot in (0, SLOT_S)
        for attempt in (0, 1)
    ]
    assert len(set(looks)) > len(looks) * 0.9
    reports = [report_ppm(1, f"home-{number}.default", 0) for number in range(100)]
    low, high = REPORT_PPM
    assert len({(report - low) * 10 // (high - low) for report in reports}) == 10, "spread over all of the time"


def test_what_goes_before_is_over_in_time() -> None:
    """Offers have come and been chosen among before a utility counts, and reports before demand is forecast."""
    first, second = HOUSEHOLD_LOOKS_PPM
    response, again = UTILITY_LOOKS_PPM
    for (_, latest), (earliest, _) in pairwise((first, response, second, again)):
        assert latest < earliest
    assert HOUSEHOLD_LOOKS_PPM[0][1] + WINDOW_PPM <= UTILITY_LOOKS_PPM[0][0]
    assert HOUSEHOLD_LOOKS_PPM[1][1] + WINDOW_PPM < PPM
    assert moment_s(SLOT_S, REPORT_PPM[1]) < SURELY_REPORTED_S


# --- books ---


def books_of(world: World) -> dict[str, Any]:
    """What each party has traded, metered and booked; not when by wall time."""
    return {
        name: (
            sorted(member.journal.ledger),
            member.journal.readings,
            member.journal.roles,
            member.journal.standing,
            {key: (one.deliveries, one.order_id) for key, one in member.journal.contracts.items()},
        )
        for name, member in world.members.items()
    }


def lived(world: World, slots: int = 5) -> dict[str, Any]:
    world.live(slots)
    world.settle_down()
    check_end(world)
    assert sum(len(member.journal.contracts) for member in world.members.values()) > 4
    return books_of(world)


RESPONSE = DemandResponse(5_000, 280_000)


@cache
def usual() -> dict[str, Any]:
    return lived(street(response=RESPONSE, tariff=FEES))


def twins(order: Sequence[int] = range(5)) -> World:
    """Three roofs of one price and level, and two homes that want more than one of them has."""
    roofs = [household(f"roof-{number}", battery(9000)) for number in range(3)]
    homes = [household(f"home-{number}", battery(1500)) for number in range(2)]
    configs = [*roofs, *homes]
    return World(*(configs[at] for at in order), utility())


@settings(max_examples=20)
@given(st.permutations(range(5)))
def test_books_do_not_depend_on_the_order_in_which_parties_are_listed(order: list[int]) -> None:
    assert lived(street(response=RESPONSE, tariff=FEES, order=order)) == usual()


@settings(max_examples=20)
@given(st.permutations(range(5)))
def test_nor_does_it_matter_among_equals(order: list[int]) -> None:
    assert lived(twins(order), 2) == lived(twins(), 2)


@pytest.mark.parametrize("speed", [1.0, 7.0, 300.0, 3600.0])
def test_books_do_not_depend_on_the_speed_of_grid_time(speed: float) -> None:
    assert speed != SPEED
    assert lived(street(response=RESPONSE, tariff=FEES, speed=speed)) == usual()


def test_the_first_slot_is_only_traded_in_advance() -> None:
    traded = {slot for _, readings, *_ in usual().values() for slot, one in readings.items() if one.metered.bought_wh}
    assert traded
    assert min(traded) > FIRST_SLOT
