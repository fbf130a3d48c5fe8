"""Durations as people type them."""

from __future__ import annotations

import pytest

from wattmesh_cli.durations import duration_s, duration_text


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("90m", 5400), ("16h", 57_600), ("1d", 86_400), ("1h30m", 5400), ("45s", 45), ("1d1s", 86_401)],
)
def test_forms(text: str, seconds: int) -> None:
    assert duration_s(text) == seconds


@pytest.mark.parametrize("text", ["", "soon", "0h", "h", "1.5h", "30m1h", "1 h", "-1h", "٣h"])
def test_what_is_none_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"^invalid duration .*: use 90m, 16h or 1d$"):
        duration_s(text)


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0, "0s"), (59, "59s"), (3600, "1h"), (8100, "2h 15m"), (86_400 + 60, "1d"), (5 * 86_400 + 3 * 3600 + 1, "5d 3h")],
)
def test_durations_are_told_in_two_units(seconds: int, text: str) -> None:
    assert duration_text(seconds) == text
