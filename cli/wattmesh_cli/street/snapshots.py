"""Snapshots of a study: all databases of one moment, in a folder of the state directory's `snapshots`.

The newest is the one to read: whoever reads the state directory sees one moment, whole, and a process that is killed
leaves the moment before. A folder's name is the number of slots that were run, `00096`; the settled end of a run, which
nothing goes on from, has `-settled` after it.
"""

from __future__ import annotations

import os
import shutil
import sqlite3
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from wattmesh_cli.state import SNAPSHOT, SNAPSHOTS, StateError


@dataclass(frozen=True, order=True)
class Snapshot:
    """What is in a folder: the databases after `slots` slots, with all that was delivered paid and booked or not."""

    slots: int
    settled: bool = False

    @property
    def name(self) -> str:
        """Its folder's name."""
        return f"{self.slots:05}{'-settled' if self.settled else ''}"


class Snapshots:
    """The snapshots of a state directory. Methods raise StateError when a file cannot be written."""

    def __init__(self, state: Path) -> None:
        self._folder = state / SNAPSHOTS

    def all(self) -> list[Snapshot]:
        """The snapshots that are whole, oldest first."""
        found = (SNAPSHOT.fullmatch(path.name) for path in self._folder.glob("*"))
        return sorted(Snapshot(int(match[1]), match[2] is not None) for match in found if match)

    def folder(self, snapshot: Snapshot) -> Path:
        """Where it is."""
        return self._folder / snapshot.name

    def add(self, snapshot: Snapshot, write: Callable[[Path], None]) -> None:
        """Let `write` fill a folder; the snapshot is there when all of it is on disk, not before."""
        unfinished = self._folder / f"{snapshot.name}.new"
        try:
            shutil.rmtree(unfinished, ignore_errors=True)
            unfinished.mkdir(parents=True)
            write(unfinished)
            _to_disk(unfinished)
            shutil.rmtree(self.folder(snapshot), ignore_errors=True)
            unfinished.rename(self.folder(snapshot))
            _to_disk(self._folder)
        except (OSError, sqlite3.Error) as error:
            raise StateError(f"{self._folder}: cannot be written: {error}") from None

    def keep(self, *snapshots: Snapshot) -> None:
        """Delete all others."""
        kept = {one.name for one in snapshots}
        for path in self._folder.glob("*"):
            if path.name not in kept:
                shutil.rmtree(path, ignore_errors=True)


def _to_disk(folder: Path) -> None:
    if os.name != "posix":  # a folder cannot be opened there, nor need it be
        return
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
