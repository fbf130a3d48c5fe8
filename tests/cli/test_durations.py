"""Durations as people type them."""

from __future__ import annotations

import pytest

from wattmesh_cli.durations import duration_s


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
