"""What was found in a meter file, or in one of prices, for people and machines."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone
from typing import Any

from wattmesh_common.metering.prices import PricesFound
from wattmesh_common.metering.told import Found, FoundColumn, MeterFile
from wattmesh_market.energy.slots import SLOT_S
from wattmesh_market.energy.tariff import PriceSeries
from wattmesh_market.units import kwh_text


def found_lines(file: MeterFile) -> list[tuple[str, str]]:
    """What was found, by name, as it is read in a table."""
    found = file.found
    first, end = _period(file)
    delimiter = {"\t": "tab"}.get(found.delimiter, found.delimiter)
    lines = [
        ("rows", f"{found.rows:,}"),
        ("period", f"{first.isoformat(' ', 'minutes')} to {end.isoformat(' ', 'minutes')}"),
        ("step", f"{found.step_s // 60} min"),
        ("format", f"{delimiter} between fields, decimal {found.decimal}"),
        ("times", found.times),
        *((f"column {column.name}", _column_text(column)) for column in found.columns),
        ("load", f"{kwh_text(sum(file.load_wh))} kWh"),
        ("PV", f"{kwh_text(sum(file.pv_wh))} kWh"),
        ("gaps", f"{found.gaps}; steps filled: {found.filled}" if found.gaps else "none"),
        ("left out", f"steps of incomplete days: {found.left_out}" if found.left_out else "nothing"),
    ]
    if found.net:
        lines.append(("balance", "of a meter at the grid: what flows out is PV, what flows in is load"))
    if found.ignored:
        lines.append(("ignored", ", ".join(found.ignored)))
    return lines


def found_json(file: MeterFile) -> dict[str, Any]:
    """The same for machines: energies in Wh, lengths in seconds."""
    found = file.found
    first, end = _period(file)
    return {
        "rows": found.rows,
        "start": first.isoformat(),
        "end": end.isoformat(),
        "step_s": found.step_s,
        "delimiter": found.delimiter,
        "decimal": found.decimal,
        "times": found.times,
        "columns": [
            {"name": one.name, "role": one.role, "unit": one.unit, "reading": one.reading, "total_wh": one.total_wh}
            for one in found.columns
        ],
        "ignored": list(found.ignored),
        "net": found.net,
        "slots": len(file.load_wh),
        "load_wh": sum(file.load_wh),
        "pv_wh": sum(file.pv_wh),
        "gaps": found.gaps,
        "filled": found.filled,
        "left_out": found.left_out,
    }


def how_it_was_read(found: Found) -> str:
    """Format, step and columns in one line: the same for files of one kind."""
    columns = "; ".join(f"{column.name} is {_column_text(column, total=False)}" for column in found.columns)
    return f"{found.step_s // 60} min, decimal {found.decimal}, times {found.times}; {columns}"


def how_prices_were_read(series: PriceSeries, found: PricesFound) -> str:
    """Period, step and columns of a file of prices, in one line."""
    first, end = (one.isoformat(" ", "minutes") for one in _published(series, found))
    columns = "; ".join(f"{name} is {kind}, {unit}" for kind, (name, unit) in found.columns.items())
    head = f"prices from {first} to {end}, {found.step_s // 60} min, decimal {found.decimal}"
    return f"{head}, times {found.times}; {columns}"


def prices_json(series: PriceSeries, found: PricesFound) -> dict[str, Any]:
    """The same for machines."""
    first, end = _published(series, found)
    return {
        "start": first.isoformat(),
        "end": end.isoformat(),
        "step_s": found.step_s,
        "decimal": found.decimal,
        "times": found.times,
        "columns": [{"name": name, "role": kind, "unit": unit} for kind, (name, unit) in found.columns.items()],
    }


def _published(series: PriceSeries, found: PricesFound) -> tuple[datetime, datetime]:
    return found.time(series.first), found.time(series.end, end=True)


def _column_text(column: FoundColumn, *, total: bool = True) -> str:
    kind = "mean power" if column.reading is None else "energy of each step"
    if column.reading == "register":
        kind = "register"
    energy = f", {column.total_wh / 1000:.3f} kWh" if total else ""
    return f"{column.role}, {column.unit}, {kind}{energy}"


def _period(file: MeterFile) -> tuple[datetime, datetime]:
    zones = [timezone(timedelta(seconds=offset)) for offset in (file.utc_offsets_s[0], file.utc_offsets_s[-1])]
    return (
        datetime.fromtimestamp(file.first, zones[0]),
        datetime.fromtimestamp(file.first + len(file.load_wh) * SLOT_S, zones[1]),
    )
