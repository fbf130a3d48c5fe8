"""A column's readings → the energy of each step: registers, gaps and how they are filled, the balance with the grid."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta, timezone, tzinfo
from itertools import accumulate, pairwise

from wattmesh_common.metering.table import Column
from wattmesh_common.metering.told import FileMistake, Fill, Reading, Unit

SLOT_S = 900
_DAY_S = 86_400
_LONGEST_LINE_S = 7200
_NAMED = re.compile(
    r"regist|counter|z(ä|ae)hler|stand(?![a-z])|total|cumul|kumul|meter.?reading|[12]\.8\.\d", re.IGNORECASE
)
_RISES = 10
_RISES_A_FALL = 20
"""A register rises so often, and so much more often than it falls (when a meter was changed)."""
_RISES_ASKED = 24
"""Energies that rise so often in a day or more, and never fall, may be a register's."""


@dataclass(frozen=True)
class Grid:
    """Steps of a file: start of the first, length (s), the line of each.

    Offsets (s) from UTC are those of `zone`, or of the file's own times; beyond its ends they are those at the end.
    """

    first: int
    step_s: int
    lines: Sequence[int]
    utc_offsets_s: Sequence[int]
    zone: tzinfo | None

    def local(self, at: int) -> datetime:
        """When a step starts, in its zone."""
        unix = self.first + at * self.step_s
        if self.zone is not None:
            return datetime.fromtimestamp(unix, self.zone)
        offset_s = self.utc_offsets_s[min(max(at, 0), len(self.utc_offsets_s) - 1)]
        return datetime.fromtimestamp(unix, timezone(timedelta(seconds=offset_s)))

    def text(self, at: int) -> str:
        """The same for people."""
        return self.local(at).isoformat(timespec="minutes")

    def line(self, at: int) -> int:
        """The line of a step, or the one nearest to it."""
        return self.lines[min(max(at, 0), len(self.lines) - 1)]

    def into_day_s(self, at: int) -> int:
        """How much of the local day is over when a step starts, by the clock on the wall."""
        wall = self.local(at)
        return wall.hour * 3600 + wall.minute * 60

    def cut(self, start: int, end: int) -> Grid:
        """Steps `start` to `end` (not included) only; both may lie beyond what there is."""
        kept = range(start, end)
        offsets = [self._offset(at) for at in kept]
        return Grid(self.first + start * self.step_s, self.step_s, [self.line(at) for at in kept], offsets, self.zone)

    def _offset(self, at: int) -> int:
        return int((self.local(at).utcoffset() or timedelta()).total_seconds())


@dataclass
class Series:
    """Energy of a column in each step (Wh), None where it is not known.

    `known` has what a register tells of a run of such steps together, by the first of them.
    """

    column: Column
    wh: list[float | None]
    reading: Reading | None
    known: dict[int, float] = field(default_factory=dict)

    def cut(self, start: int, end: int) -> None:
        """Keep steps `start` to `end` only; those beyond what there is are unknown."""
        steps = len(self.wh)
        self.wh = [self.wh[at] if 0 <= at < steps else None for at in range(start, end)]
        self.known = {at - start: total for at, total in self.known.items() if start <= at < end}


def kind_of(
    column: Column, values: Sequence[float | None], step_s: int, connection_w: int, told: Reading | None, plain: bool
) -> Reading | None:
    """Whether values in Wh or kWh are energies or a register's, None if that must be told.

    A register hardly ever falls. It is known by its name, or as energies that the connection could not carry.
    """
    known = [value for value in values if value is not None]
    rises = sum(later > earlier for earlier, later in pairwise(known))
    falls = sum(later < earlier for earlier, later in pairwise(known))
    if told is not None:
        return told if rises or falls else Reading.ENERGY
    if not rises or falls * _RISES_A_FALL > rises:
        return Reading.ENERGY
    factor = 1000 if column.unit is Unit.KWH else 1
    too_much = max(known) * factor * 3600 / step_s > connection_w
    if _NAMED.search(column.name) or (too_much and rises >= _RISES):
        return Reading.REGISTER
    asked = not plain and not falls and rises >= _RISES_ASKED and len(known) * step_s >= _DAY_S
    return None if asked else Reading.ENERGY


def energies(
    column: Column, values: Sequence[float | None], reading: Reading | None, grid: Grid, mistakes: list[FileMistake]
) -> Series:
    """Values by step → Wh by step. A register's last reading ends the step before it. `reading` None: power."""
    factor = {Unit.WH: 1.0, Unit.KWH: 1000.0, Unit.W: grid.step_s / 3600, Unit.KW: grid.step_s / 3.6}[column.unit]
    if reading is not Reading.REGISTER:
        return Series(column, [None if value is None else value * factor for value in values], reading)
    series = Series(column, [None] * (len(values) - 1), reading)
    levels = [(at, value) for at, value in enumerate(values) if value is not None]
    for (start, before), (end, after) in pairwise(levels):
        if after < before:
            what = f"a register falls from {before:g} to {after:g}: was the meter changed? Make two files of it"
            mistakes.append(FileMistake(what, grid.line(end), column.place))
        elif end == start + 1:
            series.wh[start] = (after - before) * factor
        else:
            series.known[start] = (after - before) * factor
    return series


def runs(wh: Sequence[float | None]) -> Iterator[tuple[int, int]]:
    """First and last+1 of each run of steps without a value."""
    start = None
    for at, value in enumerate([*wh, 0.0]):
        if value is None and start is None:
            start = at
        elif value is not None and start is not None:
            yield start, at
            start = None


def fill_gaps(series: Series, fill: Fill | None, grid: Grid, mistakes: list[FileMistake]) -> None:
    """Fill what is missing; without a way to do so each gap is a mistake."""
    for start, end in list(runs(series.wh)):
        line, place = grid.line(end), series.column.place
        minutes = (end - start) * grid.step_s // 60
        where = f"{minutes} minutes are missing from {grid.text(start)} on"
        if fill is None:
            ways = ", ".join(Fill)
            what = f"{where}; fill gaps with import-meter --fill ({ways})"
            mistakes.append(FileMistake(what, line, place))
            continue
        filled = _filled(series.wh, start, end, fill, grid.step_s)
        total = series.known.get(start)
        if isinstance(filled, str):
            mistakes.append(FileMistake(f"{where}; {filled}", line, place))
        elif total is None:
            series.wh[start:end] = filled
        elif fill is Fill.ZERO:
            what = f"{where}, and the register tells {total:g} Wh for them: --fill linear or day-before keeps these"
            mistakes.append(FileMistake(what, line, place))
        else:
            shape = sum(filled)
            series.wh[start:end] = [total * one / shape if shape else total / len(filled) for one in filled]


def _filled(wh: Sequence[float | None], start: int, end: int, fill: Fill, step_s: int) -> list[float] | str:
    """Values for a gap, or why there are none."""
    length = end - start
    if fill is Fill.ZERO:
        return [0.0] * length
    if fill is Fill.DAY_BEFORE:
        day = _DAY_S // step_s
        found: list[float] = []
        for at in range(start, end):
            # What was filled before counts as well, or a gap of days had no day before.
            source = found[at - day - start] if at - day >= start else wh[at - day] if at >= day else None
            if source is None and at + day < len(wh):
                source = wh[at + day]
            if source is None:
                return "neither the day before nor the day after has values then"
            found.append(source)
        return found
    if length * step_s > _LONGEST_LINE_S:
        return f"--fill linear is for gaps of up to {_LONGEST_LINE_S // 3600} hours: take day-before"
    before = wh[start - 1] if start else None
    after = wh[end] if end < len(wh) else None
    left, right = before if before is not None else after, after if after is not None else before
    if left is None or right is None:
        return "nothing is known before or after"
    return [left + (right - left) * (at + 1) / (length + 1) for at in range(length)]


@dataclass
class Balance:
    """PV and load of a household in each step (Wh); `net` when they are what its meter at the grid counted."""

    pv_wh: list[float]
    load_wh: list[float]
    net: bool


def balanced(
    load: Sequence[float],
    pv: Sequence[float] | None,
    export: Sequence[float] | None,
    *,
    at_grid: bool,
    place: tuple[int, str],
    grid: Grid,
    mistakes: list[FileMistake],
) -> Balance:
    """PV and load out of what was metered. Negative load, or import and export, are those of a meter at the grid.

    With PV metered apart, load is grid balance plus PV. Without, what flows out is PV and what flows in is load.
    """
    at_grid = at_grid or any(one < 0 for one in load)
    has_pv = pv is not None and any(pv)
    sold = list(export or [0.0] * len(load))
    if not at_grid and not (export and not has_pv):
        return Balance(list(pv or [0.0] * len(load)), list(load), net=False)
    if not has_pv:
        fed = [one + max(0.0, -used) for one, used in zip(sold, load, strict=True)]
        return Balance(fed, [max(0.0, used) for used in load], net=True)
    assert pv is not None  # noqa: S101
    used = [taken - fed + sun for taken, fed, sun in zip(load, sold, pv, strict=True)]
    for at, one in enumerate(used):
        if one < -0.5:
            what = f"{sold[at] - load[at]:g} Wh flow into the grid from {grid.text(at)} on, where PV gave {pv[at]:g} Wh"
            mistakes.append(FileMistake(what, grid.line(at), place))
    return Balance(list(pv), [max(0.0, one) for one in used], net=True)


def slots_of(wh: Sequence[float], step_s: int) -> list[int]:
    """Energy of steps → whole Wh of slots; what rounding leaves over is carried to the next slot."""
    borders = [0.0, *accumulate(wh)]
    if step_s <= SLOT_S:
        levels = borders[:: SLOT_S // step_s]
    else:
        parts = step_s // SLOT_S
        levels = [
            start + (end - start) * part / parts for start, end in pairwise(borders) for part in range(parts)
        ] + borders[-1:]
    whole = [round(round(level, 6)) for level in levels]
    return [later - earlier for earlier, later in pairwise(whole)]
