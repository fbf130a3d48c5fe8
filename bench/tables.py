"""Measured tables: printed, and kept in a page of docs/ between marks that bear their names."""

from __future__ import annotations

import os
import platform
import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from operator import itemgetter
from pathlib import Path

from wattmesh_cli.tables import Column, print_table

DOCS = Path(__file__).parents[1] / "docs"


@dataclass(frozen=True)
class Measured:
    """A table; `name` is that of its place in the page. The first column is aligned left."""

    name: str
    columns: Sequence[str]
    rows: Sequence[Sequence[str]]
    page: str = "benchmarks.md"

    def print(self) -> None:
        """Show it to people."""
        columns = [Column[Sequence[str]](name, itemgetter(at), right=at > 0) for at, name in enumerate(self.columns)]
        print_table(columns, self.rows)

    def markdown(self) -> str:
        """As GitHub reads it."""
        lines = [self.columns, ["---", *("--:" for _ in self.columns[1:])], *self.rows]
        return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def keep(measured: Measured) -> None:
    """Put a table into its place in the page, and on what it was measured; ValueError without such a place."""
    path = DOCS / measured.page
    page = path.read_text(encoding="utf-8")
    mark = re.compile(rf"(<!-- {measured.name} -->\n).*?(<!-- /{measured.name} -->)", re.DOTALL)
    if not mark.search(page):
        raise ValueError(f"{path}: has no place for {measured.name!r}")
    text = f"{measured.markdown()}\n\n{_where()}\n"
    path.write_text(mark.sub(lambda found: f"{found[1]}{text}{found[2]}", page), encoding="utf-8")


def _where() -> str:
    memory_gib = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    return (
        f"*Measured {datetime.now(UTC):%Y-%m-%d}: {os.cpu_count()} cores, {memory_gib:.0f} GiB, "
        f"{platform.system()}, CPython {platform.python_version()}.*"
    )
