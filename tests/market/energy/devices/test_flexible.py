"""What devices need within their windows, and how it goes on from slot to slot."""

from __future__ import annotations

from datetime import UTC, datetime, time

import pytest

from wattmesh_market.energy.devices.flexible import DeviceReading, FlexibleLoad, Need, at_once, windows
from wattmesh_market.energy.devices.window import Window
from wattmesh_market.energy.slots import DAY_S, SLOT_S

MIDNIGHT = int(datetime(2026, 6, 22, tzinfo=UTC).timestamp())
SIX_PM = MIDNIGHT + 18 * 3600
SEVEN_AM = SIX_PM + 13 * 3600
CAR = FlexibleLoad("ev", Window(time(18), time(7)), 10_000, 11_000)


def test_a_charger_that_is_too_weak_for_what_a_car_needs_is_refused() -> None:
    with pytest.raises(ValueError, match="ev needs 10001 Wh in a window, but can take 10000 Wh at most"):
        FlexibleLoad("ev", Window(time(18), time(20)), 10_001, 5000)
    assert FlexibleLoad("ev", Window(time(18), time(20)), 10_000, 5000).limit_wh == 1250


def found(last: DeviceReading | None, slot: int, load: FlexibleLoad = CAR) -> list[DeviceReading]:
    return list(windows(load, last, slot, slot + DAY_S + 3 * 3600, 0, lambda load, _: load.energy_wh))


def test_a_window_begins_with_all_that_is_needed() -> None:
    window, _ = found(None, SIX_PM)
    assert window == DeviceReading("ev", SIX_PM, SEVEN_AM, 10_000, 10_000, 0)


def test_a_window_goes_on_with_what_the_last_reading_left_and_the_next_one_follows() -> None:
    last = DeviceReading("ev", SIX_PM, SEVEN_AM, 10_000, 7250, 2750)
    going_on, following = found(last, SIX_PM + SLOT_S)
    assert going_on == DeviceReading("ev", SIX_PM, SEVEN_AM, 10_000, 7250, 0)
    assert (following.begin, following.left_wh) == (SIX_PM + DAY_S, 10_000)


def test_a_window_that_had_begun_before_there_was_a_reading_is_left_out() -> None:
    assert [window.begin for window in found(None, SIX_PM + SLOT_S)] == [SIX_PM + DAY_S]


def test_a_window_ends_as_it_has_begun_whatever_is_declared_meanwhile() -> None:
    last = DeviceReading("ev", SIX_PM, SEVEN_AM, 10_000, 7250, 2750)
    other = FlexibleLoad("ev", Window(time(20), time(22)), 4000, 11_000)
    going_on, following = found(last, SIX_PM + SLOT_S, other)
    assert (going_on.end, going_on.left_wh) == (SEVEN_AM, 7250)
    assert (following.begin, following.left_wh) == (SIX_PM + DAY_S + 2 * 3600, 4000)


def test_what_a_smaller_charger_cannot_give_any_more_is_not_needed() -> None:
    last = DeviceReading("ev", SIX_PM, SEVEN_AM, 10_000, 7250, 0)
    before_seven = SEVEN_AM - 2 * SLOT_S
    weak = FlexibleLoad("ev", CAR.window, 10_000, 4000)
    assert found(last, before_seven, weak)[0] == DeviceReading("ev", SIX_PM, SEVEN_AM, 4750, 2000, 0)


def test_at_once_is_at_full_power_from_the_start() -> None:
    needs = [Need("ev", SIX_PM, SEVEN_AM, 6000, 2750), Need("heat-pump", SIX_PM, SEVEN_AM, 0, 500)]
    assert at_once(needs) == [{SIX_PM: 2750, SIX_PM + SLOT_S: 2750, SIX_PM + 2 * SLOT_S: 500}, {}]
