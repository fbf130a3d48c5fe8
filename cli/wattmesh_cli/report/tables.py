"""HTML tables that are read, sorted and heard: captions, scopes, numbers aligned right, undefined values explained."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape

from wattmesh_cli.report.indicators import Cell
from wattmesh_cli.report.text import UNDEFINED

Row = tuple[str, Sequence[Cell]]
"""What the row is about, and its numbers."""


def sortable(caption: str, columns: Sequence[str], rows: Sequence[Row], total: Row | None = None) -> str:
    """A table of numbers, which its headings' buttons sort; `total` stays below."""
    heads = "".join(
        f'<th scope="col"{" aria-sort=ascending" if number == 0 else ""}>'
        f'<button type="button">{escape(column)}</button></th>'
        for number, column in enumerate(columns)
    )
    foot = f"<tfoot>{_row(total)}</tfoot>" if total else ""
    return _framed(
        caption, f"<thead><tr>{heads}</tr></thead><tbody>{''.join(map(_row, rows))}</tbody>{foot}", "sortable"
    )


def plain(caption: str, columns: Sequence[str], rows: Sequence[Sequence[str]], *, kind: str = "") -> str:
    """A table of cells that are HTML already."""
    heads = "".join(f'<th scope="col">{escape(column)}</th>' for column in columns)
    body = "".join(
        f'<tr><th scope="row">{first}</th>{"".join(f"<td>{one}</td>" for one in more)}</tr>' for first, *more in rows
    )
    return _framed(caption, f"<thead><tr>{heads}</tr></thead><tbody>{body}</tbody>", kind)


def shown(value: Cell) -> str:
    """A value; a dash with the reason where there is none."""
    if value.why is None:
        return escape(value.text)
    why = escape(value.why)
    return (
        f'<span class="undefined" title="{why}"><span aria-hidden="true">{UNDEFINED}</span>'
        f'<span class="hidden">{why}</span></span>'
    )


def _row(row: Row) -> str:
    name, cells = row
    numbers = "".join(
        f"<td{'' if value.order is None else f' data-order={value.order:g}'}>{shown(value)}</td>" for value in cells
    )
    return f'<tr><th scope="row">{escape(name)}</th>{numbers}</tr>'


def _framed(caption: str, inside: str, kind: str) -> str:
    """A table that scrolls within a frame, which the keyboard reaches."""
    caption = escape(caption)
    return (
        f'<div class="frame" role="region" aria-label="{caption}" tabindex="0"><table class="{kind}">'
        f"<caption>{caption}</caption>{inside}</table></div>"
    )
