"""Tables for people: columns that do not fit are left out by importance, and no number is ever cut."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Annotated, Any, Generic, TypeVar

import typer
from rich.cells import cell_len
from rich.console import Console, JustifyMethod
from rich.table import Table
from rich.text import Text

R = TypeVar("R")

NEVER = 0
"""Rank of a column that is never left out."""
_GAP = 2
_LEAST_WRAPPED = 24
_WATCH_EVERY_S = 2.0

SortOption = Annotated[
    str | None,
    typer.Option("--sort-by", metavar="COLUMN", help="Sort by a column, smallest first; -COLUMN: largest first."),
]
WatchOption = Annotated[bool, typer.Option("--watch", "-w", help="Show it anew every 2 s, until Ctrl-C.")]


@dataclass(frozen=True)
class Column(Generic[R]):
    """What a row has under a name: `text` is shown, `key` is what it is sorted by (default: the text).

    Where room is short, columns of the highest `rank` go first. `only_wide` ones are shown with `-o wide` alone. Words
    of a column that `wraps` may go on in the next line.
    """

    name: str
    text: Callable[[R], str]
    rank: int = NEVER
    key: Callable[[R], Any] | None = None
    right: bool = False
    only_wide: bool = False
    wraps: bool = False


def ordered(columns: Sequence[Column[R]], rows: Sequence[R], sort_by: str | None) -> list[R]:
    """The rows in the order of a column, those without a value last; as they are without one. ValueError."""
    if sort_by is None:
        return list(rows)
    wanted, largest_first = sort_by.removeprefix("-").casefold(), sort_by.startswith("-")
    found = [one for one in columns if one.name.casefold() == wanted]
    found = found or [one for one in columns if one.name.casefold().startswith(wanted)]
    if len(found) != 1:
        names = ", ".join(one.name for one in found or columns)
        raise ValueError(f"--sort-by {sort_by}: {'could be' if found else 'no such column; there are'} {names}")
    key = found[0].key or found[0].text
    with_value = [row for row in rows if key(row) is not None]
    return [
        *sorted(with_value, key=key, reverse=largest_first),
        *(row for row in rows if key(row) is None),
    ]


def fitting(columns: Sequence[Column[R]], widths: Sequence[int], width: int) -> list[int]:
    """Which columns fit into `width` cells side by side, by their own widths; with those that are never left out."""
    shown = list(range(len(columns)))
    while sum(widths[at] + _GAP for at in shown) - _GAP > width:
        least = max(shown, key=lambda at: (columns[at].rank, at))
        if columns[least].rank == NEVER:
            break
        shown.remove(least)
    return shown


def print_table(columns: Sequence[Column[R]], rows: Sequence[R], *, wide: bool = False) -> None:
    """Print rows under their columns: on a terminal those that fit, with `wide` and elsewhere all, however long."""
    console = Console()
    columns = [column for column in columns if wide or not column.only_wide]
    narrow = console.is_terminal and not wide
    cells = [[column.text(row) for row in rows] for column in columns]
    widths = [
        _LEAST_WRAPPED if narrow and column.wraps else max(map(cell_len, (column.name, *texts)))
        for column, texts in zip(columns, cells, strict=True)
    ]
    shown = fitting(columns, widths, console.width) if narrow else list(range(len(columns)))
    table = Table(box=None, pad_edge=False, header_style="bold")
    for at in shown:
        justify: JustifyMethod = "right" if columns[at].right else "left"
        wraps = narrow and columns[at].wraps
        table.add_column(columns[at].name, justify=justify, no_wrap=not wraps, min_width=widths[at])
    for row in zip(*(cells[at] for at in shown), strict=True):
        table.add_row(*map(Text, row))
    needed = sum(widths[at] + _GAP for at in shown) - _GAP
    # rich cuts what is wider than its console, and pads what is narrower.
    console.width = max(needed, console.width) if any(columns[at].wraps for at in shown) and narrow else max(1, needed)
    console.print(table)
    if len(shown) < len(columns):
        left_out = ", ".join(column.name for at, column in enumerate(columns) if at not in shown)
        say(f"Too narrow for {left_out}: -o wide shows them")


def say(text: str) -> None:
    """Print a sentence; on a terminal its lines end between words."""
    console = Console(highlight=False)
    console.print(Text(text), soft_wrap=not console.is_terminal)


def watched(read: Callable[[], R], show: Callable[[R], None], *, watch: bool) -> None:
    """Show what is read once, or anew until Ctrl-C: on a terminal in place of what was shown, elsewhere below it."""
    show(read())
    try:
        while watch:
            time.sleep(_WATCH_EVERY_S)
            value = read()
            Console().clear()
            show(value)
    except KeyboardInterrupt:
        return
