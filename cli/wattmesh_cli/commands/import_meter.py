"""`wattmesh import-meter`: a meter's export as it is → a profile of 15 minutes."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime, tzinfo
from pathlib import Path
from typing import Annotated

import typer

from wattmesh_cli.meter_text import found_json, found_lines
from wattmesh_cli.output import DEFAULT_OUTPUT, Output, csv_text, print_json, refuse
from wattmesh_cli.tables import Column, print_table
from wattmesh_common.metering.reading import read_meter_file
from wattmesh_common.metering.times import zone_named
from wattmesh_common.metering.told import Dates, Decimal, Fill, MeterFile, Reading, Role, Told, Unit
from wattmesh_market.energy.slots import SLOT_S, local


def import_meter(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="CSV file of a meter.", show_default=False)],
    out: Annotated[
        Path | None,
        typer.Option("-o", metavar="OUT", help="Where the profile goes; without it, only say what is found."),
    ] = None,
    zone: Annotated[
        str | None,
        typer.Option(
            "--timezone",
            metavar="ZONE",
            help="Zone of times and days: Europe/Berlin, or +01:00.",
            show_default="the file's",
        ),
    ] = None,
    unit: Annotated[
        Unit | None, typer.Option("--unit", case_sensitive=False, help="Unit of all values.", show_default="by name")
    ] = None,
    reading: Annotated[
        Reading | None,
        typer.Option(
            "--reading", help="Whether Wh and kWh are of each step or a register's.", show_default="by values"
        ),
    ] = None,
    columns: Annotated[
        list[str] | None,
        typer.Option(
            "--column", metavar="ROLE=NAME", help="Column of time, load, pv, import or export. May be repeated."
        ),
    ] = None,
    dates: Annotated[
        Dates | None, typer.Option("--dates", help="Order of dates as 01/02/2026.", show_default="by values")
    ] = None,
    decimal: Annotated[
        Decimal | None, typer.Option("--decimal", help="What is before decimals.", show_default="by values")
    ] = None,
    fill: Annotated[
        Fill | None,
        typer.Option("--fill", help="Fill gaps: a line (up to 2 h), zero, or the day before.", show_default="refuse"),
    ] = None,
    move_to: Annotated[
        datetime | None,
        typer.Option("--move-to", metavar="DATE", formats=["%Y-%m-%d"], help="Let the days begin with this one."),
    ] = None,
    connection_kw: Annotated[
        float, typer.Option("--connection-kw", min=0.001, help="What the connection carries; more is refused.")
    ] = 30,
    output: Annotated[
        Output, typer.Option("--output", help="What is found: text for people, or JSON.")
    ] = DEFAULT_OUTPUT,
) -> None:
    """Turn a meter's CSV file into a profile: PV and load of each 15 minutes, in Wh, for spec.profile of a SolarAgent.

    Reads 1, 5, 15, 30 and 60 minutes, Wh, kWh, W, kW and registers. What it is not sure of it asks for. Incomplete
    first and last days are left out.
    """
    try:
        told = Told(
            timezone=None if zone is None else _zone(zone),
            unit=unit,
            reading=reading,
            dates=dates,
            decimal=decimal,
            columns=_columns(columns or []),
            fill=fill,
            move_to=None if move_to is None else move_to.date(),
            connection_w=round(connection_kw * 1000),
            cuts=True,
        )
        meter = read_meter_file(file, told)
        if out is not None:
            _write(out, meter)
    except OSError as error:
        refuse(ValueError(f"{error.filename}: {error.strerror}"))
    except ValueError as error:
        refuse(error)
    if output is Output.JSON:
        print_json({"file": str(file), "written": None if out is None else str(out), "fill": fill, **found_json(meter)})
        return
    lines = found_lines(meter)
    if fill is not None:
        lines.append(("filled by", fill))
    if out is not None:
        lines.append(("written", f"{out}, {len(meter.load_wh):,} slots of 15 min"))
    name, value = (lambda line: line[0]), (lambda line: line[1])
    print_table([Column[tuple[str, str]]("FOUND", name), Column("IN " + str(file), value, wraps=True)], lines)


def _write(out: Path, meter: MeterFile) -> None:
    out.write_text(csv_text(("slot", "pv_wh", "load_wh"), _rows(meter)), encoding="utf-8")


def _rows(meter: MeterFile) -> Iterator[tuple[str, int, int]]:
    values = zip(meter.utc_offsets_s, meter.pv_wh, meter.load_wh, strict=True)
    for number, (offset_s, pv_wh, load_wh) in enumerate(values):
        yield local(meter.first + number * SLOT_S, offset_s).isoformat(), pv_wh, load_wh


def _zone(text: str) -> tzinfo:
    try:
        return zone_named(text)
    except ValueError as error:
        raise ValueError(f"--timezone {error}") from None


def _columns(written: Sequence[str]) -> dict[Role, str]:
    found = {}
    for text in written:
        role, _, name = text.partition("=")
        if role not in list(Role) or not name:
            raise ValueError(f"--column {text}: must be ROLE=NAME; roles are {', '.join(Role)}")
        found[Role(role)] = name
    return found
