"""When a device may run: hours of every day or of some, also past midnight."""

from __future__ import annotations

from datetime import UTC, datetime, time

import pytest

from wattmesh_market.energy.devices.window import Window
from wattmesh_market.energy.slots import DAY_S

MONDAY = int(datetime(2026, 6, 22, tzinfo=UTC).timestamp())
NIGHT = Window(time(18), time(7))


def spans(window: Window, first: str, until: str, utc_offset_s: int = 0) -> list[tuple[str, str]]:
    """From and until a time of the week of `MONDAY`, as `Mon 18:00`."""
    found = window.spans(at(first), at(until), utc_offset_s)
    return [(text(span.begin), text(span.end)) for span in found]


def at(text: str) -> int:
    day, clock = text.split()
    moment = time.fromisoformat(clock)
    return MONDAY + ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun").index(day) * DAY_S + moment.hour * 3600


def text(slot: int) -> str:
    return datetime.fromtimestamp(slot, UTC).strftime("%a %H:%M")


def test_a_window_past_midnight_ends_on_the_next_day() -> None:
    assert spans(NIGHT, "Mon 00:00", "Wed 00:00") == [("Mon 18:00", "Tue 07:00"), ("Tue 18:00", "Wed 07:00")]
    assert NIGHT.slots == 13 * 4


def test_only_windows_that_begin_in_a_span_of_time_are_found() -> None:
    assert spans(NIGHT, "Mon 18:00", "Tue 18:00") == [("Mon 18:00", "Tue 07:00")]
    assert spans(NIGHT, "Mon 19:00", "Tue 18:00") == []


def test_a_window_whose_end_is_its_start_lasts_a_day() -> None:
    assert spans(Window(time(6), time(6)), "Mon 00:00", "Tue 00:00") == [("Mon 06:00", "Tue 06:00")]


def test_its_hours_are_local() -> None:
    assert spans(NIGHT, "Mon 00:00", "Tue 00:00", utc_offset_s=7200) == [("Mon 16:00", "Tue 05:00")]


def test_a_window_of_some_days_or_months_begins_on_those_only() -> None:
    weekdays = Window(time(22), time(5), days=("Fri", "Sat"))
    assert spans(weekdays, "Mon 00:00", "Sun 23:00") == [("Fri 22:00", "Sat 05:00"), ("Sat 22:00", "Sun 05:00")]
    assert spans(Window(time(22), time(5), months=("Dec",)), "Mon 00:00", "Sun 23:00") == []
    early_on_monday = Window(time(1), time(5), days=("Mon",))
    assert spans(early_on_monday, "Mon 00:00", "Sun 22:00") == [("Mon 01:00", "Mon 05:00")]
    assert spans(early_on_monday, "Mon 00:00", "Sun 22:00", utc_offset_s=7200) == [], "it was on Sunday, 23:00 UTC"


def test_a_window_is_on_borders_of_slots() -> None:
    with pytest.raises(ValueError, match="is not on borders of slots of 15 minutes"):
        Window(time(18, 5), time(7))
