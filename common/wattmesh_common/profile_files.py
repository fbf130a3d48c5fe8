"""PV and load of a household, from a CSV file or the built-in shapes."""

from __future__ import annotations

from pathlib import Path

from wattmesh_common.metering.reading import read_meter_file
from wattmesh_common.metering.told import MeterFile, Told
from wattmesh_market.energy.profiles import MeasuredProfile, Profile, ShapeProfile, SlotProfile
from wattmesh_market.energy.slots import SLOT_S, SLOTS_PER_DAY
from wattmesh_market.parties.config import HouseholdConfig


def read_profile_csv(path: Path, connection_w: int) -> MeasuredProfile:
    """Read a meter file of whole days, which needs nothing told. OSError; MeterFileError with every mistake in it."""
    return _profile(read_meter_file(path, Told(connection_w=connection_w)))


def profile_of(household: HouseholdConfig, utc_offset_s: int) -> Profile:
    """The PV and load that a household is configured with. Reads its file, if it has one; errors as above."""
    if household.profile_csv is not None:
        return read_profile_csv(household.profile_csv, household.connection_w)
    return ShapeProfile(household.seed, utc_offset_s, household.pv, household.load, household.weather_seed)


def _profile(file: MeterFile) -> MeasuredProfile:
    """Values that repeat by whole days: days of 23 or 25 hours are followed by hours of the day before, up to 24."""
    values = [SlotProfile(sun, used) for sun, used in zip(file.pv_wh, file.load_wh, strict=True)]
    measured = len(values)
    days = -(-measured // SLOTS_PER_DAY)
    for at in range(measured, days * SLOTS_PER_DAY):
        values.append(values[at - SLOTS_PER_DAY if at >= SLOTS_PER_DAY else at - measured])
    return MeasuredProfile({file.first + at * SLOT_S: one for at, one in enumerate(values)}, file.first, days)
