"""What all tables of the registry's database share: one transaction at a time, and one error."""

from __future__ import annotations

import sqlite3
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress

from wattmesh_beckn.registry import RegistryUnavailable
from wattmesh_common.faultpoints import FaultPoint


@contextmanager
def transaction(db: sqlite3.Connection, call: str) -> Iterator[None]:
    """What a call writes, all of it or nothing."""
    db.execute("BEGIN IMMEDIATE")
    try:
        yield
        sys.audit(FaultPoint.BEFORE_REGISTRY_COMMIT, call)
        db.execute("COMMIT")
        sys.audit(FaultPoint.AFTER_REGISTRY_COMMIT, call)
    except BaseException:
        with suppress(sqlite3.Error):
            db.execute("ROLLBACK")
        raise


@contextmanager
def available() -> Iterator[None]:
    """Raises RegistryUnavailable when the database fails."""
    try:
        yield
    except sqlite3.Error as error:
        raise RegistryUnavailable(f"the registry's database fails: {error}") from error
