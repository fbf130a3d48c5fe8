"""The table of how much streets save of what they could."""

from __future__ import annotations

from pathlib import Path

import pytest

from bench import optimum
from bench.optimum import Result, case, once


def test_an_interrupted_run_does_not_measure_a_street_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(optimum, "INTERRUPTED", tmp_path / "optimum")
    measured = once("flat1", 1, "perfect", lambda: case("flat1", 1, "perfect", planner=False))

    def again() -> Result:
        pytest.fail("the street was measured before")

    assert once("flat1", 1, "perfect", again) == measured
    with pytest.raises(InterruptedError):
        once("flat1", 1, "profile", _interrupted)
    other = once("flat1", 1, "profile", lambda: case("flat1", 1, "profile", planner=True))
    assert other.forecast == "profile"


def _interrupted() -> Result:
    raise InterruptedError
