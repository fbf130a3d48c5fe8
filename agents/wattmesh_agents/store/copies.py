"""Copies of a pod's journal: taken while it is written, and restored.

A copy that is to be restored is laid ready beside the database. The process that works there sees it, stops for good
and lets go of the lock (`Replaced`); whoever gets the lock next puts the copy in the database's place.
"""

from __future__ import annotations

import os
import shutil
import time
from pathlib import Path
from typing import BinaryIO

from wattmesh_agents.store.schema import APPLICATION_ID, FORMER_APPLICATION_ID, VERSION
from wattmesh_common.sqlite_files import (
    DatabaseRefused,
    Kind,
    check_copy,
    locked,
    reading,
    refusing,
    write_copy,
)

OURS = Kind("a wattmesh agents' database", APPLICATION_ID, VERSION, former=FORMER_APPLICATION_ID)
LETS_GO_S = 20.0
"""How long a process may take to let go of its database."""
_AGAIN_S = 0.1


def ready(database: Path) -> Path:
    """Where a copy is laid ready that is to take the place of a database."""
    return Path(f"{database}-restore")


def parties_of(database: Path) -> list[str]:
    """Whose books a database has: subscriber ids in order. DatabaseRefused when it cannot be read."""
    with refusing(database), reading(database) as connection:
        return [party for (party,) in connection.execute("SELECT party FROM parties ORDER BY party")]


def take(database: Path, to: Path) -> None:
    """Write a copy of one moment to `to`, whole or not at all. DatabaseRefused or OSError says what is wrong."""
    new = Path(f"{to}.new")
    try:
        new.unlink(missing_ok=True)
        with refusing(database), reading(database) as connection:
            write_copy(connection, new)
        check_copy(new, OURS)
        new.replace(to)
    finally:
        new.unlink(missing_ok=True)


def put(database: Path, copy: Path | BinaryIO) -> None:
    """Lay a copy ready and wait until it has taken the place of a database, whose process is silent from then on.

    `copy` is what `take` has written, or any journal's file with its write-ahead log beside it.

    DatabaseRefused, and nothing has changed, when it is no whole copy, or one of other parties' books; also when the
    process does not let go of the database, where the copy takes its place when that process is next started.
    """
    restored = ready(database)
    new = Path(f"{restored}.new")
    try:
        if isinstance(copy, Path):
            take(copy, new)
        else:
            with new.open("wb") as file:
                shutil.copyfileobj(copy, file)
                file.flush()
                os.fsync(file.fileno())
            check_copy(new, OURS)
        _check_parties(database, new)
        new.replace(restored)
    finally:
        new.unlink(missing_ok=True)
    until = time.monotonic() + LETS_GO_S
    while True:
        try:
            restore(database)
        except DatabaseRefused:
            if time.monotonic() > until:
                raise
            time.sleep(_AGAIN_S)
        else:
            return


def restore(database: Path) -> None:
    """Put what was laid ready in the place of a database, if anything was. DatabaseRefused while a process holds it.

    A kill in between leaves the copy ready.
    """
    restored = ready(database)
    if not restored.exists():
        return
    with locked(database):
        if restored.exists():  # else another process was faster
            for end in ("-wal", "-shm"):
                Path(f"{database}{end}").unlink(missing_ok=True)
            restored.replace(database)


def _check_parties(database: Path, copy: Path) -> None:
    try:
        here = parties_of(database) if database.exists() else []
    except DatabaseRefused:
        return  # what is damaged says nothing
    theirs = parties_of(copy)
    if here and not set(here) & set(theirs):
        raise DatabaseRefused(f"{copy}: has the books of {', '.join(theirs)}, and here are those of {', '.join(here)}")
