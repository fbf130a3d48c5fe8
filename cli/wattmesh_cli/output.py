"""What commands print beside tables: JSON and CSV, slots as text, one line for what is wrong with the command."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterable, Sequence
from datetime import datetime, tzinfo
from enum import StrEnum
from pathlib import Path
from typing import Annotated, NoReturn

import typer

FOUND = 1
"""Exit code: an audit or validation found something."""
BAD_INPUT = 2
"""Exit code: the command cannot be run like this."""


class Output(StrEnum):
    """How to print."""

    TABLE = "table"
    JSON = "json"


class TableOutput(StrEnum):
    """How to print a table."""

    TABLE = "table"
    WIDE = "wide"
    JSON = "json"


OutputOption = Annotated[Output, typer.Option("--output", "-o", help="Text for people, or JSON.")]
TableOutputOption = Annotated[
    TableOutput, typer.Option("--output", "-o", help="A table as wide as the terminal, one with all columns, or JSON.")
]
StateOption = Annotated[Path, typer.Option("--state", metavar="DIR", help="Where 'wattmesh up' keeps its databases.")]
DEFAULT_OUTPUT = Output.TABLE
DEFAULT_TABLE = TableOutput.TABLE


def print_json(value: object) -> None:
    """Print a value as JSON and nothing else."""
    typer.echo(json.dumps(value, indent=2))


def csv_text(columns: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    """Rows as CSV, below their columns' names."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(columns)
    writer.writerows(rows)
    return text.getvalue()


def slot_text(slot: int | None, zone: tzinfo) -> str:
    """A slot's start in local time, for people."""
    return "" if slot is None else f"{datetime.fromtimestamp(slot, zone):%Y-%m-%d %H:%M}"


def slot_json(slot: int | None, zone: tzinfo) -> str | None:
    """A slot's start in local time, RFC 3339."""
    return None if slot is None else datetime.fromtimestamp(slot, zone).isoformat()


def refuse(error: Exception) -> NoReturn:
    """End the command with one line on stderr."""
    typer.echo(f"wattmesh: {error}", err=True)
    raise typer.Exit(BAD_INPUT)
