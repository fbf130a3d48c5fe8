"""Backups: a folder with a copy of each pod's database and a list of what is in it, written last.

Those of a state directory have its other files besides.
"""

from __future__ import annotations

import hashlib
import shutil
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Literal, get_args

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from wattmesh_agents.store.copies import OURS, parties_of, put, take
from wattmesh_cli.books import BooksError
from wattmesh_cli.state import AGENTS, GATEWAY, StateError, locked, write_whole
from wattmesh_cli.street_record import read_record
from wattmesh_common.sqlite_files import DatabaseRefused, check_copy, reading, refusing, write_copy

LIST = "backup.json"
StreetFile = Literal["street.json", "keys.json", "clock.json", "token", "gateway.db"]
"""A file of a live street beside its pods' databases."""
_FILES: tuple[StreetFile, ...] = get_args(StreetFile)


class Kept(BaseModel):
    """A file of a backup: its SHA-256 (hexadecimal), and of a pod's database whose books it has."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    sha256: Annotated[str, Field(pattern="^[0-9a-f]{64}$")]
    parties: tuple[str, ...] = ()


class Contents(BaseModel):
    """What is in a backup: files by name; `pods` are the databases, `<pod>.db`."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    format: Literal["wattmesh-backup/1"] = "wattmesh-backup/1"
    made: datetime
    pods: dict[Annotated[str, Field(pattern=r"^[a-z0-9]([a-z0-9.-]*[a-z0-9])?$")], Kept]
    files: dict[StreetFile, Kept] = {}


@dataclass(frozen=True)
class Backup:
    """A backup that is whole, in a folder."""

    folder: Path
    contents: Contents

    def copy_of(self, pod: str) -> Path:
        """The copy of a pod's database."""
        return self.folder / f"{pod}.db"

    def chosen(self, pods: Sequence[str]) -> list[str]:
        """These pods, or all where none is named; BooksError when one is not in it."""
        for name in pods:
            if name not in self.contents.pods:
                there = ", ".join(
                    pod if _names(kept) == [pod] else f"{pod} ({', '.join(_names(kept))})"
                    for pod, kept in sorted(self.contents.pods.items())
                )
                raise BooksError(f"{self.folder}: no pod {name} in this backup; there are {there}")
        return list(dict.fromkeys(pods)) or sorted(self.contents.pods)


def _names(kept: Kept) -> list[str]:
    return [party.partition(".")[0] for party in kept.parties]


@contextmanager
def new_backup(folder: Path) -> Iterator[Path]:
    """A folder that is to be filled, the owner's only; BooksError when something is in it or it cannot be written."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        if any(folder.iterdir()):
            raise BooksError(f"{folder}: there is something in it; name a new folder")
        folder.chmod(0o700)  # what households use lies in it
        yield folder
    except OSError as error:
        raise BooksError(f"{folder}: cannot be written: {error.strerror or error}") from None


def finish(folder: Path, pods: Sequence[str], files: Sequence[StreetFile] = ()) -> Contents:
    """Check all copies and write the list of a backup. OSError; BooksError when a copy is not whole."""
    contents = Contents(
        made=datetime.now(UTC).replace(microsecond=0),
        pods={pod: _kept_database(folder / f"{pod}.db") for pod in sorted(pods)},
        files={name: Kept(sha256=_digest(folder / name)) for name in files},
    )
    write_whole(folder / LIST, contents.model_dump_json(indent=2, exclude_defaults=True) + "\n", mode=0o600)
    return contents


def _kept_database(copy: Path) -> Kept:
    try:
        check_copy(copy, OURS)
        return Kept(sha256=_digest(copy), parties=tuple(parties_of(copy)))
    except DatabaseRefused as refused:
        raise BooksError(f"the copy is not whole: {refused}") from None


def read_backup(folder: Path) -> Backup:
    """A backup whose files are all there as they were written; BooksError when it is not."""
    try:
        contents = Contents.model_validate_json((folder / LIST).read_bytes())
        kept: Mapping[str, Kept] = {f"{pod}.db": of for pod, of in contents.pods.items()} | contents.files
        for name, of in kept.items():
            if _digest(folder / name) != of.sha256:
                raise BooksError(f"{folder / name}: not as it was written; take another backup")
    except FileNotFoundError as missing:
        raise BooksError(f"{folder}: no whole backup, {Path(missing.filename).name} is missing") from None
    except OSError as error:
        raise BooksError(f"{folder}: cannot be read: {error.strerror}") from None
    except ValidationError:
        raise BooksError(f"{folder / LIST}: is no list of a backup that this version reads") from None
    return Backup(folder, contents)


def _digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


# --- a state directory ---


def back_up_state(state: Path, folder: Path) -> Contents:
    """Copy a live street's state directory, which may be running. BooksError."""
    if read_record(state).study is not None:
        raise StateError(f"{state}: has a study; it is made again from its manifests, or copied as it is")
    databases = sorted((state / AGENTS).glob("*.db"))
    with new_backup(folder):
        try:
            for database in databases:
                take(database, folder / database.name)
            with refusing(state / GATEWAY), reading(state / GATEWAY) as registry:
                write_copy(registry, folder / GATEWAY)
        except DatabaseRefused as refused:
            raise BooksError(str(refused)) from None
        for name in _FILES:
            if name != GATEWAY and (state / name).exists():
                shutil.copyfile(state / name, folder / name)
        files = [name for name in _FILES if (folder / name).exists()]
        return finish(folder, [database.stem for database in databases], files)


def restore_state(state: Path, backup: Backup, pods: Sequence[str]) -> None:
    """Put copies of pods' databases in their places, and other files where they are missing. BooksError.

    No street may be running on the state directory. What is not named stays as it is.
    """
    with locked(state):
        try:
            for name in backup.contents.files:
                if not (state / name).exists():
                    shutil.copyfile(backup.folder / name, state / name)
                    (state / name).chmod(0o600)
            (state / AGENTS).mkdir(exist_ok=True)
            for pod in pods:
                put(state / AGENTS / f"{pod}.db", backup.copy_of(pod))
        except DatabaseRefused as refused:
            raise BooksError(str(refused)) from None
        except OSError as error:
            raise StateError(f"{state}: cannot be written: {error.strerror or error}") from None
