from __future__ import annotations

from math import ceil

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.beckn.support import NOW
from wattmesh_beckn.errors import Refusal, require
from wattmesh_common.limits import RateLimit

RATES = st.floats(0.1, 1000)
BURSTS = st.integers(1, 50)
STEPS = st.lists(st.floats(0, 3), max_size=200)


@given(RATES, BURSTS, STEPS)
def test_no_window_holds_more_than_the_burst_and_what_its_length_adds(
    per_s: float, burst: int, steps_s: list[float]
) -> None:
    limit, now = RateLimit(per_s=per_s, burst=burst), NOW
    taken: list[float] = []
    for step_s in steps_s:
        now += step_s / per_s
        if not limit.wait_s("a", now):
            taken.append(now)
    for first, begin in enumerate(taken):
        for last, end in enumerate(taken[first:], first):
            assert last - first + 1 <= burst + per_s * (end - begin) + 0.01


@given(RATES, BURSTS, STEPS, st.booleans())
def test_who_waits_as_long_as_it_is_told_is_taken(per_s: float, burst: int, steps_s: list[float], exact: bool) -> None:
    limit, now = RateLimit(per_s=per_s, burst=burst), NOW
    for step_s in steps_s:
        now += step_s / per_s
        if wait_s := limit.wait_s("a", now):
            now += wait_s if exact else ceil(wait_s)
            assert limit.wait_s("a", now) == 0


@given(RATES, BURSTS, STEPS)
def test_the_full_burst_is_there_for_who_was_silent_and_no_asking_in_vain_delays_it(
    per_s: float, burst: int, steps_s: list[float]
) -> None:
    limit, now = RateLimit(per_s=per_s, burst=burst), NOW
    for step_s in steps_s:
        now += step_s / per_s
        limit.wait_s("a", now)
    now += burst / per_s + 0.001
    assert [limit.wait_s("a", now) for _ in range(burst)] == [0] * burst


@given(st.lists(st.sampled_from("abc"), max_size=60))
def test_each_name_has_its_own(names: list[str]) -> None:
    together, alone = RateLimit(per_s=1, burst=5), {name: RateLimit(per_s=1, burst=5) for name in "abc"}
    for second, name in enumerate(names):
        now = NOW + second / 10
        assert together.wait_s(name, now) == alone[name].wait_s(name, now)


def test_memory_is_bounded_and_asking_on_and_on_never_makes_a_name_forgotten() -> None:
    limit = RateLimit(per_s=0.001, burst=1, most=10)
    assert limit.wait_s("eager", NOW) == 0
    for n in range(1000):
        limit.wait_s(f"other-{n}", NOW)
        assert limit.wait_s("eager", NOW) > 0
        assert len(limit) <= 10


def test_only_as_many_others_as_are_remembered_make_a_silent_name_forgotten() -> None:
    limit = RateLimit(per_s=0.001, burst=1, most=10)
    limit.wait_s("eager", NOW)
    for n in range(9):
        limit.wait_s(f"other-{n}", NOW)
    assert limit.wait_s("eager", NOW) > 0
    for n in range(10):
        limit.wait_s(f"other-{n}", NOW)
    assert limit.wait_s("eager", NOW) == 0


def test_a_clock_that_is_set_back_locks_nobody_out() -> None:
    limit = RateLimit(per_s=2, burst=4)
    for _ in range(4):
        limit.wait_s("a", NOW)
    assert limit.wait_s("a", NOW - 86_400) == pytest.approx(0.5)


def test_what_is_given_back_can_be_had_again() -> None:
    limit = RateLimit(per_s=1, burst=1)
    limit.give_back("a")  # has taken nothing: nothing to give
    assert limit.wait_s("a", NOW) == 0
    limit.give_back("a")
    assert [limit.wait_s("a", NOW) for _ in range(2)] == pytest.approx([0, 1])


def test_a_refusal_says_the_limit_and_when_to_come_again() -> None:
    limit = RateLimit(per_s=0.4, burst=2, what="searches")
    require(limit, "a.street", NOW)
    require(limit, "a.street", NOW)
    with pytest.raises(Refusal) as info:
        require(limit, "a.street", NOW)
    refusal = info.value
    assert (refusal.status, refusal.code, refusal.headers) == (429, "50000", {"Retry-After": "3"})
    assert refusal.message == "'a.street' may send 2 searches at once and 0.4 a second; come again in 3 s"
    require(limit, "a.street", NOW + 3)
