"""The state directory of a local run: its files, and how they are written.

`street.json` says which street it is (`street_record`), `agents/<pod>.db` is the journal of each runtime. A live street
has `gateway.db`, `keys.json` and `clock.json` besides; a study has `snapshots` (see `street.snapshots`), and by calls
`agents/<feeder>.db` for each feeder.
"""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from filelock import FileLock, Timeout

from wattmesh_cli.books import BooksError

DEFAULT_STATE = Path(".wattmesh")
STREET = "street.json"
CLOCK = "clock.json"
KEYS = "keys.json"
TOKEN = "token"  # noqa: S105 - a file's name
AGENTS = "agents"
GATEWAY = "gateway.db"
SNAPSHOTS = "snapshots"
SNAPSHOT = re.compile(r"(\d{5,})(-settled)?")
"""Name of a study's snapshot: how many slots were run, and whether all that was delivered is settled."""
LOCK = "lock"
_NEW = ".new"
_PARTS = {
    AGENTS, SNAPSHOTS, *(GATEWAY + end for end in ("", "-wal", "-shm", "-lock")),
    *(name for kept in (STREET, CLOCK, KEYS, TOKEN) for name in (kept, str(Path(kept).with_suffix(_NEW)))),
}  # fmt: skip
"""All that a street has in its state directory, but for the lock."""


class StateError(BooksError):
    """The state directory, or a file in it, cannot be used. The message is one line for the user."""


@contextmanager
def locked(state: Path) -> Iterator[None]:
    """Make the state directory, its owner's only, and keep others from running on it; StateError when somebody does."""
    with ExitStack() as stack:
        try:
            state.mkdir(parents=True, exist_ok=True)
            state.chmod(0o700)  # what households use lies in it
            stack.enter_context(FileLock(state / LOCK, timeout=0))
        except Timeout:
            text = f"{state}: a street is running on it already; stop it, or name another --state"
            raise StateError(text) from None
        except OSError as error:
            raise StateError(f"{state}: cannot be used: {error.strerror}") from None
        yield


def write_whole(path: Path, text: str, *, mode: int = 0o666) -> None:
    """Write a file whole or not at all, on the disk when this returns. `mode` is that of a new file. OSError."""
    new = path.with_suffix(_NEW)
    descriptor = os.open(new, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, mode)
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    new.replace(path)


def is_empty(state: Path) -> bool:
    """Whether nothing of a street is in a directory, or there is none."""
    return not any((state / name).exists() for name in _PARTS)


def clear(state: Path) -> None:
    """Delete the street that a state directory holds. StateError, and nothing is deleted, when it holds more."""
    try:
        paths = [path for path in state.iterdir() if path.name != LOCK]
        for path in paths:
            if path.name not in _PARTS:
                raise StateError(f"{state}: holds {path.name}, which is no part of a street; name another --state")
        for path in paths:
            if path.is_dir():
                shutil.rmtree(path)
            else:
                path.unlink()
    except OSError as error:
        raise StateError(f"{state}: cannot be cleared: {error.strerror}") from None


def agent_databases(state: Path) -> list[Path]:
    """The databases by name, of a study those of its newest snapshot; StateError when there are none."""
    if not state.is_dir():
        what = "is not a directory" if state.exists() else "there is no such directory"
        raise StateError(f"{state}: {what}; 'wattmesh up' makes it, --state names another")
    snapshots = [path for path in (state / SNAPSHOTS).glob("*") if SNAPSHOT.fullmatch(path.name)]
    newest = max(snapshots, key=lambda path: (int(path.name.partition("-")[0]), path.name), default=state / AGENTS)
    databases = sorted(newest.glob("*.db"))
    if not databases:
        raise StateError(f"{state}: no street in it; 'wattmesh up' makes one, --state names another directory")
    return databases
