"""A CSV file of prices → the prices of each slot, with what was found; or every mistake in it."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from enum import StrEnum

from wattmesh_common.metering.table import Numbers, Table, at_of, decimal_of, numbers, read_table
from wattmesh_common.metering.times import Times, read_times, time_columns, zone_named
from wattmesh_common.metering.told import Dates, Decimal, FileMistake, MeterFileError, Options, Told
from wattmesh_market.energy.slots import SLOT_S
from wattmesh_market.energy.tariff import PriceFile, PriceSeries


class PriceUnit(StrEnum):
    """The unit of a column of prices; the currency is the market's."""

    PER_KWH = "perKwh"
    PER_MWH = "perMwh"
    CENT_PER_KWH = "centPerKwh"


MICRO = {PriceUnit.PER_KWH: 1_000_000, PriceUnit.PER_MWH: 1_000, PriceUnit.CENT_PER_KWH: 10_000}
"""Each unit in millionths of the currency per kWh."""
MOST_MICRO = 10**12
_UNITS = (
    (PriceUnit.PER_MWH, re.compile(r"mwh", re.IGNORECASE)),
    (PriceUnit.CENT_PER_KWH, re.compile(r"(?<![a-z])(ct|cents?|p|¢)[\s_]*(/|per)[\s_]*kwh", re.IGNORECASE)),
    (PriceUnit.PER_KWH, re.compile(r"(/|per)[\s_]*kwh", re.IGNORECASE)),
)
_COLUMNS = (
    ("local_grid_fee", re.compile(r"local.*(fee|charge)", re.IGNORECASE)),
    ("grid_fee", re.compile(r"(grid|network).*(fee|charge)|netz.?entgelt", re.IGNORECASE)),
    ("feed_in", re.compile(r"feed.?in|export|einspeis", re.IGNORECASE)),
    ("price", re.compile(r"price|preis|spot|day.?ahead|tarif|import", re.IGNORECASE)),
)
"""Words of column names; what comes first counts."""
FIELDS = {"price": "price", "feed_in": "feedIn", "grid_fee": "gridFee", "local_grid_fee": "localGridFee"}
"""The columns as manifests name them."""
_FEES = frozenset({"grid_fee", "local_grid_fee"})
_OPTIONS = Options(dates="series.dates", timezone="series.timezone")


@dataclass(frozen=True)
class PricesFound:
    """What a file turned out to be: its columns by what they are, each with its unit, and how its times were read."""

    step_s: int
    decimal: Decimal
    times: str
    columns: Mapping[str, tuple[str, PriceUnit]]
    utc_offsets_s: tuple[int, int]

    def time(self, unix: int, *, end: bool = False) -> datetime:
        """A time in the file's own zone, at its beginning or end."""
        return datetime.fromtimestamp(unix, timezone(timedelta(seconds=self.utc_offsets_s[end])))


def read_prices(file: PriceFile) -> tuple[PriceSeries, PricesFound]:
    """Read a file of prices. OSError; MeterFileError with every mistake by line and column."""
    path, mistakes = file.path, list[FileMistake]()
    table = read_table(path, mistakes, file.text)
    zone = None if file.timezone is None else zone_named(file.timezone)
    told = Told(timezone=zone, dates=None if file.dates is None else Dates(file.dates), options=_OPTIONS)
    at = time_columns(table, told, mistakes)
    columns = _columns(table, at, file, mistakes)
    decimal = decimal_of(table, list(columns.values()), told)
    values = {name: numbers(table, column, decimal, mistakes) for name, column in columns.items()}
    units = {name: _unit(column, file, mistakes) for name, column in columns.items()}
    times = read_times(table, at, told, mistakes) if at else None
    if times is not None and not mistakes:
        _check_steps(table, times, at, mistakes)
    _check_values(table, values, columns, mistakes)
    if mistakes or times is None:
        raise MeterFileError(path, mistakes)
    of_slots = {
        name: _of_slots([round((values[name][row] or 0.0) * MICRO[units[name]]) for row in times.rows], times.step_s)
        for name in columns
    }
    if problems := _out_of_range(of_slots, times, table, columns):
        raise MeterFileError(path, problems)
    offsets = (times.utc_offsets_s[0], times.utc_offsets_s[-1])
    found = {name: (column.name, units[name]) for name, column in columns.items()}
    return PriceSeries(times.starts[0], **of_slots), PricesFound(times.step_s, decimal, times.how, found, offsets)


def _columns(table: Table, times: Sequence[int], file: PriceFile, mistakes: list[FileMistake]) -> dict[str, Numbers]:
    """The column of each kind of price: that which was told, else those that are named so."""
    told = {name: getattr(file, name) for name in FIELDS if getattr(file, name) is not None}
    found: dict[str, list[int]] = {}
    if told:
        found = {name: [at_of(table, column, mistakes)] for name, column in told.items()}
    else:
        for at, header in enumerate(table.header):
            kinds = [name for name, words in _COLUMNS if words.search(header)]
            if at not in times and kinds:
                found.setdefault(kinds[0], []).append(at)
        for name, all_of in found.items():
            if len(all_of) > 1:
                names = ", ".join(table.header[at] for at in all_of)
                what = f"{names} could all be {FIELDS[name]}; tell one: series.columns.{FIELDS[name]}"
                mistakes.append(FileMistake(what, 1))
        if not found:
            names = ", ".join(table.header)
            what = "has no column of prices, as price_per_kwh or feed_in_per_kwh; tell it: series.columns.price"
            mistakes.append(FileMistake(f"{what}; has {names}", 1))
    return {name: Numbers(all_of[0], table.header[all_of[0]]) for name, all_of in found.items() if all_of[0] >= 0}


def _unit(column: Numbers, file: PriceFile, mistakes: list[FileMistake]) -> PriceUnit:
    if file.unit is not None:
        return PriceUnit(file.unit)
    for unit, words in _UNITS:
        if words.search(column.name):
            return unit
    units = ", ".join(PriceUnit)
    mistakes.append(FileMistake(f"names no unit, as EUR/MWh; tell it: series.unit ({units})", 1, column.place))
    return PriceUnit.PER_KWH


def _check_steps(table: Table, times: Times, at: Sequence[int], mistakes: list[FileMistake]) -> None:
    """Refuse steps that are missing, and a beginning or an end within a slot."""
    place = (at[0] + 1, table.header[at[0]])
    starts, step_s = times.starts, times.step_s
    for one, before in zip(range(1, len(starts)), starts, strict=False):
        missing = (starts[one] - before) // step_s - 1
        if missing:
            what = f"{missing} {'price is' if missing == 1 else 'prices are'} missing before this; each needs one"
            mistakes.append(FileMistake(what, table.rows[times.rows[one]][0], place))
    for edge, unix, row in (("start", starts[0], 0), ("end", starts[-1] + step_s, -1)):
        if unix % SLOT_S:
            what = f"prices must {edge} on a border of a slot, a quarter of an hour"
            mistakes.append(FileMistake(what, table.rows[times.rows[row]][0], place))


def _check_values(
    table: Table,
    values: Mapping[str, Sequence[float | None]],
    columns: Mapping[str, Numbers],
    mistakes: list[FileMistake],
) -> None:
    """A mistake for each price that is missing, and for each grid fee below 0."""
    told = {(mistake.line, mistake.column) for mistake in mistakes}
    for name, of_rows in values.items():
        for (line, _), value in zip(table.rows, of_rows, strict=True):
            place = columns[name].place
            if value is None and (line, place) not in told:
                mistakes.append(FileMistake("has no price", line, place))
            elif value is not None and value < 0 and name in _FEES:
                mistakes.append(FileMistake(f"{value:g} is a negative grid fee", line, place))


def _of_slots(micro: Sequence[int], step_s: int) -> tuple[int, ...]:
    """Prices of steps → of slots: repeated in long steps, the mean of short ones."""
    if step_s >= SLOT_S:
        return tuple(price for price in micro for _ in range(step_s // SLOT_S))
    size = SLOT_S // step_s
    return tuple(round(sum(micro[at : at + size]) / size) for at in range(0, len(micro), size))


def _out_of_range(
    of_slots: Mapping[str, Sequence[int]], times: Times, table: Table, columns: Mapping[str, Numbers]
) -> list[FileMistake]:
    found = []
    for name, micro in of_slots.items():
        beyond = [at for at, price in enumerate(micro) if abs(price) > MOST_MICRO]
        if beyond:
            row = times.rows[beyond[0] * SLOT_S // times.step_s]
            what = f"a price must be within {MOST_MICRO // 1_000_000:,} per kWh"
            found.append(FileMistake(what, table.rows[row][0], columns[name].place))
    return found
