"""PV and load of a household from a CSV file."""

from __future__ import annotations

import csv
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path

from wattmesh_market.energy.profiles import MeasuredProfile, Profile, ShapeProfile, SlotProfile
from wattmesh_market.energy.slots import SLOT_S
from wattmesh_market.parties.config import HouseholdConfig


def read_profile_csv(path: Path) -> MeasuredProfile:
    """Read columns `slot` (RFC 3339 start, with zone), `pv_wh`, `load_wh`: whole days, every slot, in order.

    ValueError names the file, the line and what is expected there.
    """
    slots: dict[int, SlotProfile] = {}
    for line, row in _csv_rows(path):
        where = f"{path}: line {line}"
        try:
            moment = datetime.fromisoformat(row["slot"])
            values = SlotProfile(int(row["pv_wh"]), int(row["load_wh"]))
        except (TypeError, ValueError) as error:
            raise ValueError(f"{where}: {error}; slot is RFC 3339, pv_wh and load_wh are whole Wh") from None
        if moment.tzinfo is None or values.pv_wh < 0 or values.load_wh < 0:
            raise ValueError(f"{where}: slot needs a time zone, pv_wh and load_wh must be 0 or more")
        start = moment.timestamp()
        expected = next(iter(slots)) + len(slots) * SLOT_S if slots else start
        if start != expected or start % SLOT_S:
            raise ValueError(f"{where}: slots must start on the quarter hour and follow each other, none left out")
        slots[int(start)] = values
    if not slots or len(slots) % 96:
        raise ValueError(f"{path}: needs whole days of 96 slots, has {len(slots)} slots")
    return MeasuredProfile(slots, next(iter(slots)), len(slots) // 96)


def _csv_rows(path: Path) -> Iterator[tuple[int, dict[str, str]]]:
    """Rows with their line numbers; with or without the mark that spreadsheets put before UTF-8."""
    with path.open(newline="", encoding="utf-8-sig") as file:
        reader = csv.DictReader(file)
        try:
            if not {"slot", "pv_wh", "load_wh"} <= set(reader.fieldnames or ()):
                raise ValueError(f"{path}: line 1: needs the columns slot, pv_wh and load_wh")
            for row in reader:
                yield reader.line_num, row
        except (UnicodeDecodeError, csv.Error) as error:
            raise ValueError(f"{path}: no CSV text in UTF-8: {error}") from None


def profile_of(household: HouseholdConfig, utc_offset_s: int) -> Profile:
    """The PV and load that a household is configured with. Reads its file, if it has one; ValueError as above."""
    if household.profile_csv is not None:
        return read_profile_csv(household.profile_csv)
    return ShapeProfile(household.seed, utc_offset_s, household.pv, household.load, household.weather_seed)
