"""PV and load of a household in each slot: built-in shapes, or measured values from a CSV file.

The built-in shapes are the same in every run with the same seed: each slot's value depends on seed and slot alone.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from math import asin, ceil, cos, degrees, exp, pi, radians, sin
from typing import ClassVar, NamedTuple, Protocol

from wattmesh_market.energy.slots import DAY_S, SLOT_S, local, slot_energy_wh
from wattmesh_market.units import require_amounts

_HOUR_WEIGHT = (
    0.47, 0.41, 0.38, 0.37, 0.39, 0.52, 0.86, 1.11, 1.08, 0.99, 0.97, 1.06,
    1.26, 1.13, 0.97, 0.92, 0.98, 1.22, 1.60, 1.73, 1.60, 1.31, 0.98, 0.69,
)  # fmt: skip
"""Household consumption by hour of day against its mean: low at night, up at breakfast and noon, highest in the
evening; the form of the German standard load profile H0 on a working day, in rough."""
_MEAN_WEIGHT = sum(_HOUR_WEIGHT) / 24
_LEAST_LOAD, _LOAD_SPREAD = 0.55, 0.9
"""A slot's load is its mean times something from the first on, evenly spread."""
_CLEAR_DAY = 0.35
_HAZE = 0.25
_OWN_SKY = 0.1
"""A tenth of the clouds over a roof are its own; the others pass over all its neighbours."""
_MEAN_SKY_PPM = 894_375
"""What clouds let through on average: half of what a day's cloudiness takes, which is (1 - 0.35)² / 2 on average."""
_PPM = 1_000_000
_REMEMBERED = 4096
_REMEMBERED_DAYS = 64
"""Roofs and loads are often alike."""
_DAYS = 2
"""Of each household so many days: one looks a day ahead."""


@dataclass(frozen=True)
class Pv:
    """A roof: peak power, where it stands, its slope and where it looks (degrees; azimuth from north over east)."""

    __pydantic_config__: ClassVar = {"extra": "forbid"}

    peak_w: int
    latitude: float
    longitude: float
    tilt_degrees: float = 0
    azimuth_degrees: float = 180

    def __post_init__(self) -> None:
        require_amounts(peak_w=self.peak_w)
        if not (abs(self.latitude) <= 90 and abs(self.longitude) <= 180):
            raise ValueError("a roof's latitude must be within ±90°, its longitude within ±180°")
        if not (0 <= self.tilt_degrees <= 90 and 0 <= self.azimuth_degrees <= 360):
            raise ValueError("a roof's tilt must be from 0° to 90°, its azimuth from 0° to 360°")


@dataclass(frozen=True)
class Load:
    """A household's consumption: yearly energy, spread over the day by the built-in shape."""

    __pydantic_config__: ClassVar = {"extra": "forbid"}

    annual_wh: int

    def __post_init__(self) -> None:
        require_amounts(annual_wh=self.annual_wh)


class SlotProfile(NamedTuple):
    """What the sun gives and the house takes in one slot (Wh)."""

    pv_wh: int
    load_wh: int


class ExpectedDay(NamedTuple):
    """What is expected of each slot of a day, under a clear sky and with clouds as they are on average."""

    clear: tuple[SlotProfile, ...]
    average: tuple[SlotProfile, ...]


class Profile(Protocol):
    """PV and load over time."""

    def actual(self, slot: int) -> SlotProfile:
        """What is metered in a slot."""
        ...

    def forecast(self, slot: int) -> SlotProfile:
        """What the household expects of a slot beforehand."""
        ...


@dataclass
class ShapeProfile:
    """Clear-sky PV of all roofs under passing clouds, and the standard daily load with a household's own variation."""

    seed: int
    utc_offset_s: int
    pv: tuple[Pv, ...]
    load: Load | None
    weather_seed: int = 0
    _days: dict[int, ExpectedDay] = field(default_factory=dict, init=False, compare=False, repr=False)
    """What is expected of each slot of a day (UTC), under a clear sky and with clouds as they are on average."""

    def actual(self, slot: int) -> SlotProfile:
        """The shapes, times what clouds let through and what people did."""
        pv_wh, load_wh = self.clear(slot)
        if pv_wh:
            cloudiness, passing = _sky(self.weather_seed, slot)
            passing += _OWN_SKY * (self._chance("cloud", slot) - passing)
            pv_wh = int(pv_wh * (1 - cloudiness * passing))
        if load_wh:
            load_wh = int(load_wh * (_LEAST_LOAD + _LOAD_SPREAD * self._chance("load", slot)))
        return SlotProfile(pv_wh, load_wh)

    def forecast(self, slot: int) -> SlotProfile:
        """The shapes under clouds as they are on average."""
        day, second = divmod(slot, DAY_S)
        return self._of(day).average[second // SLOT_S]

    def clear(self, slot: int) -> SlotProfile:
        """The shapes without noise, under a clear sky."""
        day, second = divmod(slot, DAY_S)
        return self._of(day).clear[second // SLOT_S]

    def _of(self, day: int) -> ExpectedDay:
        found = self._days.get(day)
        if found is None:
            if len(self._days) >= _DAYS:
                del self._days[min(self._days)]
            found = self._days[day] = expected_day(self.pv, self.load, self.utc_offset_s, day)
        return found

    def _chance(self, what: str, index: int) -> float:
        return _chance(self.seed, what, index)


def _chance(seed: int, what: str, index: int) -> float:
    raw = hashlib.blake2b(f"{seed}/{what}/{index}".encode(), digest_size=8).digest()
    return int.from_bytes(raw, "big") / 2**64


@lru_cache(maxsize=_REMEMBERED)
def _sky(weather_seed: int, slot: int) -> tuple[float, float]:
    """How cloudy the day is (0 to 0.65), and how much of its clouds pass in the slot (0 to 1), for all neighbours."""
    cloudiness = max(0.0, _chance(weather_seed, "day", slot // 86_400) - _CLEAR_DAY)
    passing = 0.5 * _chance(weather_seed, "cloud", slot // 3600) + 0.5 * _chance(weather_seed, "cloud", slot)
    return cloudiness, passing


@lru_cache(maxsize=_REMEMBERED_DAYS)
def expected_day(roofs: tuple[Pv, ...], load: Load | None, utc_offset_s: int, day: int) -> ExpectedDay:
    """PV and load of a day since 1970 (UTC)."""
    both = list(zip(clear_day_wh(roofs, day), mean_day_wh(load, utc_offset_s), strict=True))
    return ExpectedDay(
        tuple([SlotProfile(clear_wh, load_wh) for clear_wh, load_wh in both]),
        tuple([SlotProfile(clear_wh * _MEAN_SKY_PPM // _PPM, load_wh) for clear_wh, load_wh in both]),
    )


@lru_cache(maxsize=_REMEMBERED_DAYS)
def clear_day_wh(roofs: tuple[Pv, ...], day: int) -> tuple[int, ...]:
    """Energy of all roofs under a clear sky, in each slot of a day since 1970 (UTC)."""
    slots = range(day * DAY_S, (day + 1) * DAY_S, SLOT_S)
    return tuple([sum([clear_sky_wh(roof, slot) for roof in roofs]) for slot in slots])


def clear_sky_wh(pv: Pv, slot: int) -> int:
    """Energy of a roof under a clear sky in one slot, at mid-slot sun.

    Declination by Cooper (1969), hour angle from longitude without the equation of time, direct light thinned by air
    mass 1/sin(elevation) (Meinel and Meinel, 1976: 0.7^(AM^0.678)) against 1000 W/m2 at rated power. Of the diffuse
    light a sloping roof gets the part of the sky that it sees; nothing comes from the ground. How far that is off:
    docs/profiles.md.
    """
    middle = slot + SLOT_S / 2
    day_of_year = local(slot, 0).timetuple().tm_yday
    declination = radians(23.45 * sin(2 * pi * (284 + day_of_year) / 365))
    solar_hour = (middle % 86_400) / 3600 + pv.longitude / 15
    hour_angle = radians(15 * (solar_hour - 12))
    latitude = radians(pv.latitude)
    sine = sin(latitude) * sin(declination) + cos(latitude) * cos(declination) * cos(hour_angle)
    if degrees(asin(max(-1.0, min(1.0, sine)))) <= 0.5:
        return 0
    direct_w_per_m2 = 1353 * 0.7 ** ((1 / sine) ** 0.678)
    diffuse_w_per_m2 = _HAZE * direct_w_per_m2 * exp(-2 * sine)
    tilt, azimuth = radians(pv.tilt_degrees), radians(pv.azimuth_degrees)
    east = -cos(declination) * sin(hour_angle)
    north = sin(declination) * cos(latitude) - cos(declination) * sin(latitude) * cos(hour_angle)
    incidence = sine * cos(tilt) + sin(tilt) * (east * sin(azimuth) + north * cos(azimuth))
    roof_w_per_m2 = direct_w_per_m2 * max(0.0, incidence) + diffuse_w_per_m2 * (1 + cos(tilt)) / 2
    return int(slot_energy_wh(pv.peak_w) * min(1.0, roof_w_per_m2 / 1000))


def peak_load_w(load: Load) -> int:
    """What a household's consumption never exceeds in any slot."""
    return ceil(load.annual_wh / (365 * 24) * max(_HOUR_WEIGHT) / _MEAN_WEIGHT * (_LEAST_LOAD + _LOAD_SPREAD))


@lru_cache(maxsize=_REMEMBERED_DAYS)
def mean_day_wh(load: Load | None, utc_offset_s: int) -> tuple[int, ...]:
    """A household's mean consumption in each slot of any day (UTC)."""
    return tuple([mean_load_wh(load, slot, utc_offset_s) if load else 0 for slot in range(0, DAY_S, SLOT_S)])


def mean_load_wh(load: Load, slot: int, utc_offset_s: int) -> int:
    """A household's mean consumption in a slot, by hour of day, straight lines between hours."""
    hour, second = divmod((slot + utc_offset_s) % DAY_S, 3600)
    fraction = second // 60 / 60
    weight = _HOUR_WEIGHT[hour] * (1 - fraction) + _HOUR_WEIGHT[(hour + 1) % 24] * fraction
    return int(load.annual_wh / (365 * 96) * weight / _MEAN_WEIGHT)


@dataclass(frozen=True)
class MeasuredProfile:
    """Measured values by slot; they repeat from their first day when time runs past them."""

    slots: Mapping[int, SlotProfile]
    first: int
    days: int

    def actual(self, slot: int) -> SlotProfile:
        """The measured value, of the same time of day in the file when the slot lies outside it."""
        return self.slots[self.first + (slot - self.first) % (self.days * 86_400)]

    def forecast(self, slot: int) -> SlotProfile:
        """What is measured is also what is expected."""
        return self.actual(slot)
