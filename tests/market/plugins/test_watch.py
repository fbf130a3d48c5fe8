"""Whatever a plug-in does, who asks it has an answer that counts, or none; and its fault is told once."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import pytest

from wattmesh_market.plugins import Kind, Plugin
from wattmesh_market.plugins.watch import SLOW_S, Fault, Nonsense, Trouble, Watch, merged

LP = Plugin(Kind.STRATEGY, "lp", "lp-strategy 1.2", None)
ROOF, SLOT = "roof.test", 1_782_000_000


def raising(error: BaseException) -> Callable[[], str]:
    def answer() -> str:
        raise error

    return answer


class Stopwatch:
    """Runs only as far as plug-ins let it."""

    now = 0.0

    def __call__(self) -> float:
        return self.now

    def taking(self, seconds: float) -> Callable[[], str]:
        """An answer that takes so long."""

        def answer() -> str:
            self.now += seconds
            return "sell"

        return answer


@pytest.mark.parametrize("error", [ZeroDivisionError("by zero"), SystemExit(3), asyncio.CancelledError()])
def test_what_a_plugin_raises_is_no_answer(error: BaseException) -> None:
    watch = Watch()
    assert watch.ask(LP, ROOF, SLOT, raising(error)) is None
    (trouble,) = watch.troubles
    assert (trouble.fault, trouble.party, trouble.slot) == (Fault.RAISED, ROOF, SLOT)
    assert type(error).__name__ in trouble.what
    assert "test_watch.py:" in trouble.what


def test_ctrl_c_is_no_fault_of_a_plugin() -> None:
    with pytest.raises(KeyboardInterrupt):
        Watch().ask(LP, ROOF, SLOT, raising(KeyboardInterrupt()))


def test_a_fault_is_told_once_and_counted() -> None:
    told: list[Trouble] = []
    watch = Watch(tell=told.append)
    for slot in (SLOT, SLOT + 900, SLOT + 1800):
        watch.ask(LP, ROOF, slot, raising(Nonsense("Sell.energy_wh must be from 0 to 500, not 501")))
    assert [one.text(7200) for one in told] == [
        "strategy lp (lp-strategy 1.2) answered nonsense: Sell.energy_wh must be from 0 to 500, not 501"
        " (for roof.test, slot 2026-06-21 02:00, so the household held)"
    ]
    assert [one.times for one in watch.troubles] == [3]


def test_what_several_processes_saw_becomes_one() -> None:
    early, late = (
        Trouble("strategy lp", Kind.STRATEGY, Fault.RAISED, ROOF, slot, "KeyError", 2) for slot in (SLOT, SLOT + 900)
    )
    assert merged([late, early]) == (early._replace(times=4),)


def test_a_slow_answer_counts_and_is_told_of() -> None:
    stopwatch = Stopwatch()
    watch = Watch(stopwatch)
    assert [watch.ask(LP, ROOF, SLOT + at, stopwatch.taking(3 * SLOW_S)) for at in range(5)] == ["sell"] * 5
    (trouble,) = watch.troubles
    assert (trouble.fault, trouble.held, trouble.times) == (Fault.SLOW, False, 5)
    assert "3.0 s" in trouble.what


def test_many_quick_answers_for_a_slot_are_slow_together() -> None:
    stopwatch = Stopwatch()
    watch = Watch(stopwatch)
    for _ in range(12):
        watch.ask(LP, ROOF, SLOT, stopwatch.taking(SLOW_S / 10))
    assert [(one.fault, one.times) for one in watch.troubles] == [(Fault.SLOW, 1)]


def test_where_trade_waits_for_nobody_three_slow_answers_in_a_row_set_a_plugin_aside() -> None:
    stopwatch = Stopwatch()
    watch = Watch(stopwatch, most_slow=3)
    took = [2, 2, 0.1, 2, 2, 2, 0.1]
    answers = [watch.ask(LP, ROOF, SLOT + at, stopwatch.taking(seconds)) for at, seconds in enumerate(took)]
    assert answers == ["sell"] * 6 + [None]
    assert [one.fault for one in watch.troubles] == [Fault.SLOW, Fault.SET_ASIDE]
