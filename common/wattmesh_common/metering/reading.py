"""A meter file → PV and load of each slot, with what was found; or every mistake in it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path

from wattmesh_common.metering.series import (
    SLOT_S,
    Balance,
    Grid,
    Series,
    balanced,
    energies,
    fill_gaps,
    kind_of,
    runs,
    slots_of,
)
from wattmesh_common.metering.table import Column, Table, decimal_of, numbers, read_table, value_columns
from wattmesh_common.metering.times import YEARS, Times, read_times, time_columns
from wattmesh_common.metering.told import (
    FileMistake,
    Found,
    FoundColumn,
    MeterFile,
    MeterFileError,
    Reading,
    Role,
    Told,
)

_DAY_S = 86_400
_COMPLETED_S = 7200
"""With a way to fill gaps, a first or last day is completed that lacks no more than this."""


def read_meter_file(path: Path, told: Told) -> MeterFile:
    """Read a CSV file of a meter. OSError; MeterFileError with every mistake by line and column."""
    mistakes: list[FileMistake] = []

    def none_so_far() -> None:
        if mistakes:
            raise MeterFileError(path, mistakes)

    table = read_table(path, mistakes)
    at = time_columns(table, told, mistakes)
    columns = value_columns(table, at, told, mistakes)
    decimal = decimal_of(table, columns, told)
    values = {column: numbers(table, column, decimal, mistakes) for column in columns}
    times = read_times(table, at, told, mistakes) if at else None
    none_so_far()
    assert times is not None  # noqa: S101 - its absence is a mistake
    grid, rows = _grid(table, times, told)
    every = [
        _series(column, [None if row is None else read[row] for row in rows], grid, told, table.is_plain, mistakes)
        for column, read in values.items()
    ]
    none_so_far()
    steps = min(len(one.wh) for one in every)
    start, end = _whole_days(grid, steps, told, mistakes)
    none_so_far()
    grid = grid.cut(start, end)
    for one in every:
        one.cut(start, end)
    gaps = list(runs([None if any(one.wh[at] is None for one in every) else 0.0 for at in range(end - start)]))
    _fill(every, grid, told, mistakes)
    none_so_far()
    balance = _balance(every, grid, mistakes)
    none_so_far()
    pv_wh, load_wh = slots_of(balance.pv_wh, grid.step_s), slots_of(balance.load_wh, grid.step_s)
    _check_connection(pv_wh, load_wh, grid, told.connection_w, mistakes)
    first_slot, utc_offsets_s = _dated(grid, len(load_wh), told, mistakes)
    none_so_far()
    found = Found(
        rows=len(table.rows),
        step_s=grid.step_s,
        delimiter=table.delimiter,
        decimal=decimal,
        times=times.how,
        columns=tuple(
            FoundColumn(one.column.name, one.column.role, one.column.unit, one.reading, sum(_full(one)))
            for one in every
        ),
        ignored=tuple(
            name for other, name in enumerate(table.header) if other not in {*at, *(one.at for one in columns)}
        ),
        gaps=len(gaps),
        filled=sum(last - first for first, last in gaps),
        left_out=max(0, start) + max(0, steps - end),
        net=balance.net,
    )
    return MeterFile(first_slot, pv_wh, load_wh, utc_offsets_s, found)


def _grid(table: Table, times: Times, told: Told) -> tuple[Grid, list[int | None]]:
    """The steps from the first reading to the last, and the row of each; None where there is no reading."""
    rows: list[int | None] = []
    lines: list[int] = []
    offsets: list[int] = []
    for unix, offset, row in zip(times.starts, times.utc_offsets_s, times.rows, strict=True):
        at, line = (unix - times.starts[0]) // times.step_s, table.rows[row][0]
        # Steps without a reading are shown by the line of the next one, and have the zone of the last one.
        offsets += [offsets[-1] if offsets else offset] * (at - len(rows)) + [offset]
        lines += [line] * (at + 1 - len(rows))
        rows += [None] * (at - len(rows)) + [row]
    return Grid(times.starts[0], times.step_s, lines, offsets, told.timezone), rows


def _series(
    column: Column,
    values: Sequence[float | None],
    grid: Grid,
    told: Told,
    plain: bool,
    mistakes: list[FileMistake],
) -> Series:
    reading = None
    if not column.unit.is_power:
        reading = kind_of(column, values, grid.step_s, told.connection_w, told.reading, plain)
        if reading is None:
            known = [value for value in values if value is not None]
            what = (
                f"never falls from {known[0]:g} to {known[-1]:g} in {len(known)} readings, as a register;"
                " tell what it is: import-meter --reading register or energy"
            )
            mistakes.append(FileMistake(what, 1, column.place))
    for at, value in enumerate(values):
        if value is not None and value < 0 and (column.role in (Role.PV, Role.EXPORT) or reading is Reading.REGISTER):
            what = f"{value:g} {column.unit} of {column.role} must be 0 or more"
            mistakes.append(FileMistake(what, grid.line(at), column.place))
    return energies(column, values, reading, grid, mistakes)


def _whole_days(grid: Grid, steps: int, told: Told, mistakes: list[FileMistake]) -> tuple[int, int]:
    """First and last+1 of the steps to keep; beyond the file's where a day is completed by filling it."""
    start, end = 0, steps
    lacks_before = grid.into_day_s(0)
    lacks_after = -grid.into_day_s(steps) % _DAY_S
    if told.fill is not None:
        start -= lacks_before // grid.step_s if lacks_before <= _COMPLETED_S else 0
        end += lacks_after // grid.step_s if lacks_after <= _COMPLETED_S else 0
    if told.cuts:
        midnights = [at for at in range(start, end + 1) if not grid.into_day_s(at)]
        start, end = (midnights[0], midnights[-1]) if len(midnights) > 1 else (0, 0)
    on_the_wall = grid.into_day_s(end) - grid.into_day_s(start)
    if end <= start or on_the_wall or (grid.first + start * grid.step_s) % SLOT_S:
        has = f"has {steps} steps of {grid.step_s // 60} minutes from {grid.text(0)} to {grid.text(steps)}"
        register = ", and a register's last reading ends the step before it" if len(grid.lines) > steps else ""
        ways = "--fill completes a day that lacks up to 2 hours"
        if not told.cuts:
            ways = f"import-meter leaves incomplete days out, and its {ways}"
        mistakes.append(FileMistake(f"needs whole days, {has}{register}; {ways}"))
    return start, end


def _fill(every: Sequence[Series], grid: Grid, told: Told, mistakes: list[FileMistake]) -> None:
    """Fill all columns; what is wrong with all of them alike is said once, of the line."""
    found: list[FileMistake] = []
    for one in every:
        fill_gaps(one, told.fill, grid, found)
    of_column = Counter((mistake.line, mistake.what) for mistake in found)
    for mistake in found:
        alike = len(every) > 1 and of_column[mistake.line, mistake.what] == len(every)
        said = replace(mistake, column=None) if alike else mistake
        if said not in mistakes:
            mistakes.append(said)


def _balance(every: Iterable[Series], grid: Grid, mistakes: list[FileMistake]) -> Balance:
    by_role = {one.column.role: one for one in every}
    of_load = by_role.get(Role.LOAD) or by_role.get(Role.IMPORT)
    pv, export = by_role.get(Role.PV), by_role.get(Role.EXPORT)
    first = of_load or pv or export
    assert first is not None  # noqa: S101 - its absence is a mistake
    return balanced(
        _full(of_load) if of_load else [0.0] * len(first.wh),
        _full(pv) if pv else None,
        _full(export) if export else None,
        at_grid=Role.IMPORT in by_role,
        place=first.column.place,
        grid=grid,
        mistakes=mistakes,
    )


def _full(series: Series) -> list[float]:
    return [wh for wh in series.wh if wh is not None]


def _check_connection(
    pv_wh: Sequence[int], load_wh: Sequence[int], grid: Grid, connection_w: int, mistakes: list[FileMistake]
) -> None:
    """A mistake when more flows than the connection carries, at the first slot of those."""
    watts = [abs(used - sun) * 3600 // SLOT_S for used, sun in zip(load_wh, pv_wh, strict=True)]
    above = [slot for slot, power in enumerate(watts) if power > connection_w]
    if above:
        at = above[0] * SLOT_S // grid.step_s
        carried = f"the {connection_w / 1000:g} kW of the connection"
        most = f"{len(above)} of {len(watts)} slots, up to {max(watts) / 1000:g} kW"
        what = (
            f"{watts[above[0]] / 1000:g} kW from {grid.text(at)} on are more than {carried} ({most}): another unit"
            " (import-meter --unit), a register (--reading), or a stronger connection (spec.connectionKw, import-meter"
            " --connection-kw)?"
        )
        mistakes.append(FileMistake(what, grid.line(at)))


def _dated(grid: Grid, slots: int, told: Told, mistakes: list[FileMistake]) -> tuple[int, list[int]]:
    """Start of the first slot and each slot's offset (s), on the day that the file is moved to, if it is."""
    offsets = [grid.utc_offsets_s[slot * SLOT_S // grid.step_s] for slot in range(slots)]
    if told.move_to is None:
        return grid.first, offsets
    if told.move_to.year not in YEARS:
        mistakes.append(FileMistake(f"days cannot be moved to {told.move_to}"))
        return grid.first, offsets
    old = grid.local(0)
    first = int(datetime.combine(told.move_to, old.time(), old.tzinfo).timestamp())
    moved = [grid.local((first - grid.first) // grid.step_s + slot * SLOT_S // grid.step_s) for slot in range(slots)]
    moved_offsets = [int((one.utcoffset() or timedelta()).total_seconds()) for one in moved]
    if len({*offsets}) > 1 or len({*moved_offsets}) > 1:
        days = f"in these days or in those from {told.move_to} on"
        what = f"clocks change {days}: tell a fixed offset, as import-meter --timezone +01:00"
        mistakes.append(FileMistake(what))
    return first, moved_offsets
