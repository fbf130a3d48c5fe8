"""What a device needs in a window, by a plug-in."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, time

import pytest

from tests.world.plugged import thirsty, trips
from wattmesh_market.energy.devices.demand import Demand, DeviceWindow, devices
from wattmesh_market.energy.devices.flexible import FlexibleLoad
from wattmesh_market.energy.devices.window import Span, Window
from wattmesh_market.energy.slots import DAY_S
from wattmesh_market.plugins import Plugin
from wattmesh_market.plugins.watch import Watch

SUNDAY_EVENING = int(datetime(2026, 6, 21, 16, tzinfo=UTC).timestamp())
"""18:00 in Berlin."""


def evening(day: int) -> Span:
    """The window of that day after Sunday: four hours."""
    begin = SUNDAY_EVENING + day * DAY_S
    return Span(begin, begin + 4 * 3600)


def car(function: Callable[[DeviceWindow], int]) -> FlexibleLoad:
    return FlexibleLoad("ev", Window(time(18), time(22)), 10_000, 4000, plugin=devices.give(function))


def demand(watch: Watch) -> Demand:
    def ask(plugin: Plugin, slot: int, answer: Callable[[], int]) -> int | None:
        return watch.ask(plugin, "roof.test", slot, answer)

    return Demand("roof.test", 7, 7200, ask)


def test_a_plugin_says_what_each_window_needs() -> None:
    of = demand(Watch())
    assert [of.of(car(trips), evening(day)) for day in range(3)] == [0, 16_000, 10_000]


def test_it_sees_the_device_and_the_window_and_is_asked_once_for_each() -> None:
    seen: list[DeviceWindow] = []

    def watching(window: DeviceWindow) -> int:
        seen.append(window)
        return 500

    of, load = demand(Watch()), car(watching)
    assert [of.of(load, evening(day)) for day in (0, 1, 0)] == [500, 500, 500]
    assert seen[0] == DeviceWindow("roof.test", "ev", 7, *evening(0), 7200, 10_000, 16_000)
    assert f"{seen[1].time:%a %H:%M}" == "Mon 18:00"
    assert len(seen) == 2


@pytest.mark.parametrize("answer", [-1, 16_001, 2.5, None, True])
def test_without_an_answer_that_counts_it_needs_what_is_configured(answer: object) -> None:
    watch = Watch()
    assert demand(watch).of(car(lambda _: answer), evening(1)) == 10_000  # type: ignore[arg-type,return-value]
    assert "what a device needs must be" in watch.troubles[0].what


def test_a_plugin_that_wants_more_than_the_charger_gives_is_named() -> None:
    watch = Watch()
    demand(watch).of(car(thirsty), evening(1))
    (trouble,) = watch.troubles
    assert "from 0 to 16000, not 16001" in trouble.text(7200)
    assert trouble.text(7200).endswith("(for roof.test, slot 2026-06-22 18:00, so it needs what is configured)")
