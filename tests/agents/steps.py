"""What a query costs, told by SQLite: the same on every machine."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def counted(connection: sqlite3.Connection, unit: int) -> Iterator[list[None]]:
    """A list that gets longer by one for each `unit` steps of SQLite's virtual machine while the block runs."""
    steps: list[None] = []
    connection.set_progress_handler(lambda: steps.append(None), unit)
    try:
        yield steps
    finally:
        connection.set_progress_handler(None, 0)
