"""What commands print: tables for people, JSON for programs, one line for what is wrong with the command itself."""

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
from rich.console import Console
from rich.table import Table
from rich.text import Text

FOUND = 1
"""Exit code: an audit or validation found something."""
BAD_INPUT = 2
"""Exit code: the command cannot be run like this."""


class Output(StrEnum):
    """How to print."""

    TABLE = "table"
    JSON = "json"


OutputOption = Annotated[Output, typer.Option("--output", "-o", help="A table for people, or JSON.")]
StateOption = Annotated[Path, typer.Option("--state", metavar="DIR", help="Where 'wattmesh up' keeps its databases.")]
DEFAULT_OUTPUT = Output.TABLE


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


def print_table(columns: Sequence[str], rows: Sequence[Sequence[str]], right: Sequence[str] = ()) -> None:
    """Print rows under columns, those in `right` aligned right.

    On a terminal the last column wraps where there is no room; elsewhere nothing is wrapped, cut or coloured.
    """
    table = Table(box=None, pad_edge=False, header_style="bold")
    for column in columns:
        table.add_column(
            column, justify="right" if column in right else "left", no_wrap=column != columns[-1], overflow="fold"
        )
    for row in rows:
        table.add_row(*map(Text, row))
    console = Console()
    if not console.is_terminal:
        console.width = max(1, console.measure(table, options=console.options.update_width(100_000)).maximum)
    console.print(table)


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
