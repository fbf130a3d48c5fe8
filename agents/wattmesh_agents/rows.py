"""The rows of a pod's database as JSON: what `/contracts` and `/ledger` show, and what an audit reads."""

from __future__ import annotations

import sqlite3
from typing import Any

LEDGER_TABLES = ("parties", "contracts", "readings", "ledger", "offers", "purchases", "roles", "messages")


def table_rows(connection: sqlite3.Connection, table: str) -> list[dict[str, Any]]:
    """All rows of one of `LEDGER_TABLES`, in the order of their keys; columns are named as in the schema."""
    if table not in LEDGER_TABLES:
        raise ValueError(f"no table {table!r} to show")
    cursor = connection.execute(f"SELECT * FROM {table}")  # noqa: S608 - one of the names above
    names = [column[0] for column in cursor.description]
    return [dict(zip(names, row, strict=True)) for row in cursor]
