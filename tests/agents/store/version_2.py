"""A database of schema version 2: indexes for what is forgotten, and when each peer was last heard."""

from __future__ import annotations

import sqlite3
from pathlib import Path

from tests.agents.store.version_1 import ORDER_INDEXES, TABLES, write_version

_PEERS = "    url TEXT NOT NULL\n"
_CHANGED = """
CREATE INDEX contracts_unagreed ON contracts (slot)
    WHERE order_id IS NULL AND state IN ('EXPIRED', 'CANCELLED');
CREATE INDEX contracts_ended ON contracts (updated_ms)
    WHERE order_id IS NOT NULL AND state IN ('EXPIRED', 'CANCELLED');
CREATE INDEX peers_age ON peers (heard_ms);
"""


def write_version_2(path: Path, rows_of: sqlite3.Connection) -> None:
    """Make a file of version 2 with the rows of a database of today, without what version 2 did not know."""
    assert TABLES.count(_PEERS) == 1
    tables = TABLES.replace(_PEERS, "    url TEXT NOT NULL,\n    heard_ms INTEGER NOT NULL\n")
    write_version(path, rows_of, 2, f"{tables} {ORDER_INDEXES[1]}; {_CHANGED}")
