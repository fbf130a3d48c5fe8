"""Journals as older versions left them."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

from wattmesh_agents.store.schema import APPLICATION_ID

VERSION_3 = Path(__file__).parent / "version_3"
"""The journals of a street that was stopped amid trade, by pod."""


def write_version_3(pod: str, path: Path) -> None:
    """Make a pod's file as version 3 left it."""
    path.unlink(missing_ok=True)
    with closing(sqlite3.connect(path)) as file:
        file.executescript((VERSION_3 / f"{pod}.sql").read_text(encoding="utf-8"))
        file.executescript(f"PRAGMA application_id = {APPLICATION_ID}; PRAGMA user_version = 3;")
