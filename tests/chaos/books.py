"""What the databases of a run say: progress while it runs, what is still open, and what an audit finds at the end."""

from __future__ import annotations

import sqlite3
from collections import Counter
from collections.abc import Iterable, Mapping
from contextlib import closing
from pathlib import Path

from wattmesh_cli.audit import AuditResult, audit
from wattmesh_cli.sqlite_books import read_books

OPEN = ("QUOTED", "AGREED", "CONFIRMED", "DELIVERED")
_MOST_WAL_BYTES = 16 * 1024 * 1024
_KEPT = ("inbox", "outbox")
"""Tables that hold what is under way; the others are the books."""


def ask(database: Path, query: str, *values: object) -> list[tuple[object, ...]]:
    """Rows of a database that its process may be writing."""
    with closing(sqlite3.connect(f"{database.as_uri()}?mode=ro", uri=True, timeout=5)) as connection:
        return connection.execute(query, values).fetchall()


def traded(databases: Iterable[Path]) -> int:
    """How many contracts were delivered, as the sellers say."""
    query = "SELECT count(*) FROM contracts WHERE side = 'seller' AND state IN ('DELIVERED', 'SETTLED')"
    return sum(int(str(ask(database, query)[0][0])) for database in databases)


def unfinished(databases: Iterable[Path], before_slot: int) -> str:
    """What is still open: contracts, messages to send, and readings of slots before `before_slot`; empty if nothing."""
    open_contracts: Counter[str] = Counter()
    waiting = unbooked = 0
    for database in databases:
        marks = ", ".join("?" * len(OPEN))
        states = ask(database, f"SELECT state, in_doubt FROM contracts WHERE state IN ({marks})", *OPEN)  # noqa: S608
        open_contracts.update("IN_DOUBT" if doubt else str(state) for state, doubt in states)
        waiting += len(ask(database, "SELECT 1 FROM outbox WHERE action <> 'update' AND action <> 'on_update'"))
        unbooked += len(ask(database, "SELECT 1 FROM readings WHERE state <> 'booked' AND slot < ?", before_slot))
    parts = [f"{count} {state}" for state, count in sorted(open_contracts.items())]
    parts += [f"{waiting} to send"] if waiting else []
    parts += [f"{unbooked} readings to book"] if unbooked else []
    return ", ".join(parts)


def states(databases: Iterable[Path]) -> Mapping[str, int]:
    """How many contracts ended in which state, as the sellers say."""
    counts: Counter[str] = Counter()
    for database in databases:
        for state, number in ask(
            database, "SELECT state, count(*) FROM contracts WHERE side = 'seller' GROUP BY state"
        ):
            counts[str(state)] += int(str(number))
    return counts


def audit_of(state: Path) -> AuditResult:
    """The audit of all books in a state directory."""
    return audit(read_books(state))


def left_behind(database: Path) -> dict[str, int]:
    """Rows of what is under way, and the bytes of the write-ahead log."""
    rows = {table: int(str(ask(database, f"SELECT count(*) FROM {table}")[0][0])) for table in _KEPT}  # noqa: S608
    log = database.with_name(f"{database.name}-wal")
    return rows | {"wal bytes": log.stat().st_size if log.exists() else 0}


def too_much(left: Mapping[str, int], parties: int) -> list[str]:
    """What is more than a pod with that many parties may keep when all is done.

    The inbox keeps the answers of the last minute or so (what a signature may be old, and its margin); messages
    are those of the slot that runs.
    """
    most = {"inbox": 1200 * parties, "outbox": 20 * parties, "wal bytes": _MOST_WAL_BYTES}
    return [f"{count} {what}, at most {most[what]}" for what, count in left.items() if count > most[what]]
