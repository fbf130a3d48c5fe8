"""What may be told of a meter file, what is wrong with one, and what was found in it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, tzinfo
from enum import StrEnum
from pathlib import Path

_SHOWN = 50
"""So many mistakes of a file stand in an error's text; the others are counted."""


class Role(StrEnum):
    """What a column holds. Load is what a house uses; import and export are its exchange with the grid."""

    TIME = "time"
    LOAD = "load"
    PV = "pv"
    IMPORT = "import"
    EXPORT = "export"


class Unit(StrEnum):
    """The unit of a column; W and kW are the mean power of each step."""

    WH = "Wh"
    KWH = "kWh"
    W = "W"
    KW = "kW"

    @property
    def is_power(self) -> bool:
        """Whether it is one of power."""
        return self in (Unit.W, Unit.KW)


class Reading(StrEnum):
    """What a value in Wh or kWh is: the energy of its step, or a register's level at the step's start."""

    ENERGY = "energy"
    REGISTER = "register"


class Dates(StrEnum):
    """The order of dates as 01/02/2026."""

    DAY_FIRST = "day-first"
    MONTH_FIRST = "month-first"


class Decimal(StrEnum):
    """What stands before decimals."""

    POINT = "point"
    COMMA = "comma"


class Fill(StrEnum):
    """How gaps are filled: a straight line (up to 2 hours), nothing, or the same time of the day before (or after)."""

    LINEAR = "linear"
    ZERO = "zero"
    DAY_BEFORE = "day-before"


@dataclass(frozen=True)
class Options:
    """What somebody writes to tell it: for the texts of mistakes."""

    dates: str = "import-meter --dates"
    timezone: str = "import-meter --timezone"


@dataclass(frozen=True)
class Told:
    """What is known of a file beforehand; None is detected.

    `timezone` is that of times without one, and of the days. `connection_w` is what the household's connection carries.
    `cuts` leaves incomplete days at both ends out, where they are refused otherwise.
    """

    timezone: tzinfo | None = None
    unit: Unit | None = None
    reading: Reading | None = None
    dates: Dates | None = None
    decimal: Decimal | None = None
    columns: Mapping[Role, str] = field(default_factory=dict)
    fill: Fill | None = None
    move_to: date | None = None
    connection_w: int = 30_000
    cuts: bool = False
    options: Options = Options()


@dataclass(frozen=True)
class FileMistake:
    """One thing wrong in a file: `line` counts from 1, `column` is its number and name; None for the whole."""

    what: str
    line: int | None = None
    column: tuple[int, str] | None = None

    def __str__(self) -> str:
        column = f"column {self.column[0]} ({self.column[1]})" if self.column else ""
        where = ", ".join(part for part in (f"line {self.line}" if self.line else "", column) if part)
        return f"{where}: {self.what}" if where else self.what


class MeterFileError(ValueError):
    """Every mistake in a file, in the order of its lines."""

    def __init__(self, path: Path, mistakes: Sequence[FileMistake]) -> None:
        self.path = path
        self.mistakes = tuple(sorted(mistakes, key=lambda one: (one.line or 0, one.column or (0, ""))))
        shown = [f"{path}: {mistake}" for mistake in self.mistakes[:_SHOWN]]
        if len(self.mistakes) > _SHOWN:
            shown.append(f"{path}: and {len(self.mistakes) - _SHOWN} more")
        super().__init__("\n".join(shown))


@dataclass(frozen=True)
class FoundColumn:
    """A column that was read: its sum is in Wh, after gaps were filled and incomplete days left out."""

    name: str
    role: Role
    unit: Unit
    reading: Reading | None
    total_wh: float


@dataclass(frozen=True)
class Found:
    """What a file turned out to be. `filled` steps lay in `gaps` places and were filled.

    `left_out` steps belonged to incomplete days. `times` says how dates and zone were read.
    """

    rows: int
    step_s: int
    delimiter: str
    decimal: Decimal
    times: str
    columns: tuple[FoundColumn, ...]
    ignored: tuple[str, ...]
    gaps: int
    filled: int
    left_out: int
    net: bool


@dataclass(frozen=True)
class MeterFile:
    """PV and load (whole Wh) in each 15 minutes from `first` (unix seconds) on, with the zone's offset (s) in each."""

    first: int
    pv_wh: Sequence[int]
    load_wh: Sequence[int]
    utc_offsets_s: Sequence[int]
    found: Found
