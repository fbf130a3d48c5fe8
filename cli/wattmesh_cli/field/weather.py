"""Weather files: EPW, TMY3 and PVGIS, which hold a typical year, and CSV with the weather of certain days."""

from __future__ import annotations

import csv
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, tzinfo
from math import isfinite
from pathlib import Path
from typing import Any, Protocol

from pvlib import iotools

FIELDS: Mapping[str, tuple[float, float]] = {
    "ghi": (0, 1500),
    "dni": (0, 1500),
    "dhi": (0, 1500),
    "temp_air": (-90, 60),
    "wind_speed": (0, 100),
}
"""What is needed of each moment and the bounds of it: irradiance in W/m² (global and diffuse on level ground, direct
towards the sun), air temperature in °C, wind in m/s. The codes for a missing value lie outside the bounds."""
_STEPS_S = (900, 1800, 3600)

Moment = tuple[float, ...]
"""The values of FIELDS in their order, each the mean of an interval."""


class Weather(Protocol):
    """The weather over time."""

    def __hash__(self) -> int: ...

    def during(self, slots: Sequence[datetime]) -> list[Moment]:
        """The weather of each slot, by its start with zone. ValueError if there is none for one of them."""
        ...


@dataclass(frozen=True, eq=False)
class DatedWeather:
    """Weather of certain days, in intervals of `step_s`, the first of which starts at `first`."""

    path: Path
    first: datetime
    step_s: int
    moments: Sequence[Moment]

    def during(self, slots: Sequence[datetime]) -> list[Moment]:
        """The interval that each slot lies in."""
        end = self.first + timedelta(seconds=self.step_s * len(self.moments))
        last = slots[-1] + timedelta(minutes=15)
        if slots[0] < self.first or last > end:
            raise ValueError(
                f"{self.path}: has the weather from {self.first.isoformat()} to {end.isoformat()}; the profiles need"
                f" {slots[0].isoformat()} to {last.isoformat()}: give a longer file, fewer --days, or another"
                " clock.start of the BecknGateway"
            )
        return [self.moments[int((slot - self.first).total_seconds()) // self.step_s] for slot in slots]


@dataclass(frozen=True, eq=False)
class TypicalYear:
    """The weather of each month, day and hour of the site's standard time; that of any year."""

    path: Path
    zone: tzinfo
    hours: Mapping[tuple[int, int, int], Moment]

    def during(self, slots: Sequence[datetime]) -> list[Moment]:
        """The hour that each slot lies in; the 29th of February is like the 28th."""
        return [self._at(slot.astimezone(self.zone)) for slot in slots]

    def _at(self, local: datetime) -> Moment:
        day = 28 if (local.month, local.day) == (2, 29) else local.day
        try:
            return self.hours[local.month, day, local.hour]
        except KeyError:
            raise ValueError(
                f"{self.path}: has no weather for {local:%d %B %H}:00; a typical year needs all its 8760 hours"
            ) from None


def read_weather(path: Path) -> Weather:
    """Read EPW (*.epw), TMY3, a PVGIS TMY (CSV or *.json), or CSV with the columns time (RFC 3339 start, with zone) and
    those of FIELDS.

    ValueError says what is wrong in the file, and where.
    """
    try:
        if path.suffix.lower() == ".epw":
            return _typical(path, iotools.read_epw(path)[0], hour_ends=False)
        if path.suffix.lower() == ".json":
            return _pvgis(path, "json")
        with path.open(newline="", encoding="utf-8-sig") as file:
            head = [file.readline(), file.readline()]
        if head[0].startswith("Latitude (decimal degrees)"):
            return _pvgis(path, "csv")
        if "ghi" in _cells(head[0]):
            return _dated(path)
        if "Date (MM/DD/YYYY)" in head[1]:
            return _typical(path, iotools.read_tmy3(path, map_variables=True)[0], hour_ends=True)
    except OSError as error:
        raise ValueError(f"{path}: cannot be read: {error.strerror}") from None
    except (UnicodeDecodeError, KeyError, IndexError, TypeError, AttributeError) as error:
        raise ValueError(f"{path}: is no whole EPW, TMY3, PVGIS or CSV file: {type(error).__name__} {error}") from None
    raise ValueError(
        f"{path}: is no weather file; it must be EPW (*.epw), TMY3, a PVGIS TMY, or CSV with the columns time,"
        f" {', '.join(FIELDS)}"
    )


def _cells(line: str) -> list[str]:
    return [cell.strip() for cell in line.split(",")]


def _pvgis(path: Path, form: str) -> TypicalYear:
    """A typical year of PVGIS in UTC, whose months are of different years."""
    try:
        frame = iotools.read_pvgis_tmy(path, pvgis_format=form)[0]
    except ValueError as error:
        raise ValueError(f"{path}: is no whole TMY of PVGIS: {error}") from None
    return _typical(path, frame, hour_ends=False)


def _typical(path: Path, frame: Any, *, hour_ends: bool) -> TypicalYear:
    """A frame of pvlib, whose index says when an hour starts or ends."""
    starts = frame.index - timedelta(hours=1) if hour_ends else frame.index
    hours = {}
    for start, *values in zip(starts.to_pydatetime(), *(frame[name] for name in FIELDS), strict=True):
        where = f"{path}: {start:%d %B %H}:00"
        hours[start.month, start.day, start.hour] = _checked(where, [float(value) for value in values])
    if not hours:
        raise ValueError(f"{path}: has no hour")
    return TypicalYear(path, frame.index.tz, hours)


def _dated(path: Path) -> DatedWeather:
    times: list[datetime] = []
    moments: list[Moment] = []
    with path.open(newline="", encoding="utf-8-sig") as file:
        reader = csv.DictReader(file, skipinitialspace=True)
        missing = [name for name in ("time", *FIELDS) if name not in (reader.fieldnames or ())]
        if missing:
            raise ValueError(f"{path}: line 1: needs the columns {', '.join(missing)}")
        for row in reader:
            where = f"{path}: line {reader.line_num}"
            try:
                time = datetime.fromisoformat(row["time"])
                values = [float(row[name]) for name in FIELDS]
            except (TypeError, ValueError) as error:
                raise ValueError(f"{where}: {error}; time is RFC 3339, all else are numbers") from None
            if time.tzinfo is None or time.timestamp() % 900:
                raise ValueError(f"{where}: time needs a zone and must be on the quarter hour")
            times.append(time.astimezone(UTC))
            moments.append(_checked(where, values))
            if len(times) > 1 and times[-1] - times[-2] != times[1] - times[0]:
                raise ValueError(f"{where}: times must follow each other in equal steps, none left out")
    step_s = int((times[1] - times[0]).total_seconds()) if len(times) > 1 else 0
    if step_s not in _STEPS_S:
        raise ValueError(f"{path}: needs at least two times, 15, 30 or 60 minutes apart")
    return DatedWeather(path, times[0], step_s, moments)


def _checked(where: str, values: list[float]) -> Moment:
    for (name, (least, greatest)), value in zip(FIELDS.items(), values, strict=True):
        if not isfinite(value) or not least <= value <= greatest:
            raise ValueError(f"{where}: {name} must be from {least:g} to {greatest:g}, not {value:g}")
    return tuple(values)
