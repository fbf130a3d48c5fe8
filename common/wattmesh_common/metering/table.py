"""A meter file's text → rows, its columns with role and unit, numbers with decimal point or comma."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from wattmesh_common.metering.told import Decimal, FileMistake, MeterFileError, Role, Told, Unit

_UNIT = re.compile(r"(?:^|[\s_\-(\[/,.])(kwh|wh|kw|w)[)\]]?\s*$", re.IGNORECASE)
_UNITS = {unit.lower(): unit for unit in Unit}
_ROLES = (
    (Role.EXPORT, re.compile(r"export|feed.?in|einspeis|liefer|2\.8\.\d|returned|inject", re.IGNORECASE)),
    (Role.PV, re.compile(r"(?<![a-z])pv(?![a-z])|solar|generat|produ[ck]|erzeug|ertrag|yield", re.IGNORECASE)),
    (Role.IMPORT, re.compile(r"import|bezug|1\.8\.\d|grid|net(?![a-z])|netz", re.IGNORECASE)),
    (
        Role.LOAD,
        re.compile(
            r"load|consum|verbrauch|(?<![a-z])last(?![a-z])|usage|demand|energ|power|leistung|value|wert|reading"
            r"|register|z(ä|ae)hlerstand|^\W*k?wh?\W*$",
            re.IGNORECASE,
        ),
    ),
)
"""Words of column names; what comes first counts."""
_MISSING = frozenset({"", "-", "--", "?", "nan", "null", "none", "n/a", "na"})
_POINT = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?")
_COMMA = re.compile(r"[+-]?(\d+|\d{1,3}(\.\d{3})+)(,\d+)?")
_WITH_COMMA = re.compile(r"[+-]?[\d.]*,\d+")


_TOO_MUCH = 1e12


@dataclass(frozen=True)
class Numbers:
    """A column with numbers: `at` counts from 0."""

    at: int
    name: str

    @property
    def place(self) -> tuple[int, str]:
        """For people: counted from 1."""
        return self.at + 1, self.name


@dataclass(frozen=True)
class Column(Numbers):
    """A column with what a meter has read."""

    role: Role
    unit: Unit


@dataclass(frozen=True)
class Table:
    """A file's cells: header, and rows with their line numbers."""

    delimiter: str
    header: Sequence[str]
    rows: Sequence[tuple[int, list[str]]]

    @property
    def is_plain(self) -> bool:
        """Whether it has the columns of wattmesh's own profiles, whose values are the energy of each step."""
        return {"slot", "pv_wh", "load_wh"} <= set(self.header)


def read_table(path: Path, mistakes: list[FileMistake], text: str | None = None) -> Table:
    """Read the cells of a file, or of `text` in its place; rows of another length than the header's are mistakes.

    OSError, MeterFileError.
    """
    try:
        text = path.read_bytes().decode("utf-8-sig") if text is None else text
        first = text.partition("\n")[0]
        delimiter = next((one for one in ";\t" if one in first), ",")
        reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter)
        rows = [(reader.line_num, [cell.strip() for cell in cells]) for cells in reader if cells]
    except (UnicodeDecodeError, csv.Error) as error:
        raise MeterFileError(path, [FileMistake(f"no CSV text in UTF-8: {error}")]) from None
    header = rows[0][1] if rows else []
    if len(rows) < 2:
        raise MeterFileError(path, [FileMistake("needs a line with the columns' names, and readings below it")])
    kept = []
    for line, cells in rows[1:]:
        if len(cells) == len(header):
            kept.append((line, cells))
        elif any(cells):
            comma = " (numbers with a decimal comma need quotes, or ; between fields)" if delimiter == "," else ""
            what = f"has {len(cells)} fields where line 1 names {len(header)}"
            mistakes.append(FileMistake(what + (comma if len(cells) > len(header) else ""), line))
    return Table(delimiter, header, kept)


def value_columns(table: Table, times: Sequence[int], told: Told, mistakes: list[FileMistake]) -> list[Column]:
    """The columns that hold a role: those that are told, else by their names. `times` are those that hold times."""
    by_role: dict[Role, list[int]] = {}
    for role, name in told.columns.items():
        if role is not Role.TIME:
            by_role[role] = [at_of(table, name, mistakes)]
    if not by_role:
        for at, name in enumerate(table.header):
            roles = [role for role, words in _ROLES if words.search(name)]
            if at not in times and roles:
                by_role.setdefault(roles[0], []).append(at)
    if Role.LOAD in by_role and Role.PV in by_role and not told.columns:
        by_role.pop(Role.IMPORT, None)  # follows from the two
        by_role.pop(Role.EXPORT, None)
    if Role.LOAD in by_role and Role.IMPORT in by_role and not told.columns:
        by_role.pop(Role.LOAD)  # without the sun's part, load is not known from import
        by_role.setdefault(Role.IMPORT, [])
    columns = []
    for role, found in by_role.items():
        if len(found) > 1:
            names = ", ".join(table.header[at] for at in found)
            mistakes.append(FileMistake(f"{names} could all be {role}; tell one: import-meter --column {role}=NAME", 1))
        for at in found[:1]:
            if at >= 0:
                unit = told.unit or _unit_in(table.header[at])
                if unit is None:
                    place = (at + 1, table.header[at])
                    mistakes.append(
                        FileMistake("names no unit; tell it: import-meter --unit Wh, kWh, W or kW", 1, place)
                    )
                columns.append(Column(at, table.header[at], role, unit or Unit.WH))
    if not by_role:
        names = ", ".join(table.header)
        told_ones = "others that can be told (import-meter --column load=NAME)"
        what = f"needs the columns slot, pv_wh and load_wh, or {told_ones}; has {names}"
        mistakes.append(FileMistake(what, 1))
    return columns


def at_of(table: Table, name: str, mistakes: list[FileMistake]) -> int:
    """Where a column that was told stands; a mistake and -1 when there is none."""
    found = [at for at, one in enumerate(table.header) if one.casefold() == name.casefold()]
    if not found:
        mistakes.append(FileMistake(f"has no column {name}; there are {', '.join(table.header)}", 1))
    return found[0] if found else -1


def decimal_of(table: Table, columns: Sequence[Numbers], told: Told) -> Decimal:
    """Comma if some value has one before its last digits, as 1.234,5 or 0,5; else point."""
    if told.decimal:
        return told.decimal
    cells = (cells[column.at] for _, cells in table.rows for column in columns)
    return Decimal.COMMA if any("," in cell and _WITH_COMMA.fullmatch(cell) for cell in cells) else Decimal.POINT


def numbers(table: Table, column: Numbers, decimal: Decimal, mistakes: list[FileMistake]) -> list[float | None]:
    """A column's value in each row, None where there is none; what is no number is a mistake, and None."""
    form = _COMMA if decimal is Decimal.COMMA else _POINT
    found: list[float | None] = []
    for line, cells in table.rows:
        cell = cells[column.at]
        if form.fullmatch(cell):
            value = float(cell.replace(".", "").replace(",", ".") if decimal is Decimal.COMMA else cell)
            if abs(value) < _TOO_MUCH:
                found.append(value)
                continue
        found.append(None)
        if cell.casefold() not in _MISSING:
            mistakes.append(FileMistake(f"{cell[:40]!r} is no number with a decimal {decimal}", line, column.place))
    return found


def _unit_in(name: str) -> Unit | None:
    found = _UNIT.search(name)
    return _UNITS[found[1].lower()] if found else None
