"""How far the runtime's built-in shapes are off, against pvlib and demandlib: the numbers of docs/profiles.md."""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pytest

from wattmesh_cli.field.consumption import standard_load_wh
from wattmesh_cli.field.sun import pv_wh
from wattmesh_market.energy.profiles import Load, Pv, clear_sky_wh, mean_load_wh

DOCS = Path(__file__).parents[3] / "docs" / "profiles.md"
ZONE_S = 3600
START = datetime(2026, 1, 1, tzinfo=timezone(timedelta(seconds=ZONE_S)))
SLOTS = [START + timedelta(minutes=15 * number) for number in range(35_040)]
MONTHS = np.array([slot.month for slot in SLOTS])
ROOFS = {
    "Munich, flat": Pv(peak_w=5000, latitude=48.1, longitude=11.6),
    "Munich, 35° south": Pv(peak_w=5000, latitude=48.1, longitude=11.6, tilt_degrees=35),
    "Munich, 35° east": Pv(peak_w=5000, latitude=48.1, longitude=11.6, tilt_degrees=35, azimuth_degrees=90),
    "Berlin, 35° south": Pv(peak_w=5000, latitude=52.5, longitude=13.4, tilt_degrees=35),
    "Rome, 35° south": Pv(peak_w=5000, latitude=41.9, longitude=12.5, tilt_degrees=35),
}


class Error(NamedTuple):
    """Energy against the library's (percent), and hourly root mean square error (percent of the library's peak)."""

    year: float
    june: float
    december: float
    hourly: float


def error(shape_wh: Sequence[int], library_wh: Sequence[int]) -> Error:
    shape, library = np.array(shape_wh, dtype=float), np.array(library_wh, dtype=float)

    def energy(month: int | None) -> float:
        chosen = month == MONTHS if month else MONTHS > 0
        return float(shape[chosen].sum() / library[chosen].sum() - 1) * 100

    hours, library_hours = (wh.reshape(-1, 4).sum(axis=1) for wh in (shape, library))
    rms = float(np.sqrt(((hours - library_hours) ** 2).mean()))
    return Error(energy(None), energy(6), energy(12), rms / float(library_hours.max()) * 100)


def documented(name: str) -> Error:
    """The numbers of a row of a table in the documentation."""
    [row] = re.findall(rf"^\| {re.escape(name)} \|(.+)\|$", DOCS.read_text(encoding="utf-8"), re.MULTILINE)
    return Error(*(float(cell.replace("−", "-").replace("%", "")) for cell in row.split("|")))


@pytest.mark.parametrize("name", ROOFS)
def test_the_built_in_sun_is_off_by_what_is_documented(name: str) -> None:
    roof = ROOFS[name]
    found = error([clear_sky_wh(roof, int(slot.timestamp())) for slot in SLOTS], pv_wh(roof, SLOTS, None, None))
    assert found == pytest.approx(documented(name), abs=0.6)


def test_the_built_in_consumption_is_off_by_what_is_documented() -> None:
    load = Load(annual_wh=3_500_000)
    shape = [mean_load_wh(load, int(slot.timestamp()), ZONE_S) for slot in SLOTS]
    found = error(shape, standard_load_wh("h0", 3_500_000, 2026))
    assert found == pytest.approx(documented("H0, 3500 kWh a year"), abs=0.6)
