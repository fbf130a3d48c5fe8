"""SQLite files that belong to one kind of process: known by their mark, held by one process, refused when unsound.

A file that is refused stays byte for byte, its WAL too.
"""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, closing, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from filelock import FileLock, Timeout

WAL_BYTES = 4 * 1024 * 1024
"""What a WAL is cut down to once its content is in the database; SQLite moves it there at about this size."""
_WAL_HEADER_BYTES = 32
_FRAME_HEADER_BYTES = 24


class DatabaseRefused(Exception):
    """The file is not a database that this version can use. It was not touched."""


@dataclass(frozen=True)
class Kind:
    """What marks a file as one of ours: SQLite's `application_id` and `user_version`. `what` names it to people.

    `former` marked files of ours that are not read any more.
    """

    what: str
    application_id: int
    version: int
    former: int | None = None


@contextmanager
def held(path: Path, kind: Kind) -> Iterator[None]:
    """Hold the database at `path` (or the place of a new one) alone while the block runs.

    DatabaseRefused when it is another program's, of a newer version, damaged, cannot be read, or held by another
    process. Reading it is no holding: an audit may look at it all the time. The lock is a file beside it that stays.
    """
    with refusing(path):
        _check_mark(path, kind)
        with locked(path):
            if path.exists():
                _check_sound(path)
            yield


def check_copy(path: Path, kind: Kind) -> None:
    """DatabaseRefused when the file at `path`, without a write-ahead log, is no whole database of this kind that this
    version reads. Raises OSError.
    """
    head, size = _head_and_size(path)
    pages, page_bytes = int.from_bytes(head[28:32], "big"), int.from_bytes(head[16:18], "big")
    # SQLite takes what is missing of the last page for zeros.
    if not size or size != pages * (65536 if page_bytes == 1 else page_bytes):
        raise DatabaseRefused(f"{path}: not the whole of a database ({size} bytes); copy it again")
    with refusing(path):
        _check_mark(path, kind)
        _check_sound(path)


def _head_and_size(path: Path) -> tuple[bytes, int]:
    """The first bytes of a file, and how many it has. Format: sqlite.org/fileformat.html."""
    with path.open("rb") as file:
        return file.read(100), file.seek(0, os.SEEK_END)


def write_copy(connection: sqlite3.Connection, path: Path) -> None:
    """Write a copy of what is committed to a new file at `path`, and onto the disk; OSError, sqlite3.Error.

    Others may read and write the database meanwhile.
    """
    with closing(sqlite3.connect(path)) as file:
        file.execute("PRAGMA synchronous = OFF")  # once, below, instead of for each page
        connection.backup(file)
        file.execute("PRAGMA journal_mode = DELETE")  # so that reading it makes no files beside it
    with path.open("rb") as written:
        os.fsync(written.fileno())


@contextmanager
def refusing(path: Path | str) -> Iterator[None]:
    """SQLite's errors about a file as DatabaseRefused: what, where, and what to do."""
    try:
        yield
    except sqlite3.OperationalError as error:
        text = f"{path}: cannot be used now ({error}); look at its folder, its rights and the space left"
        raise DatabaseRefused(text) from None
    except sqlite3.DatabaseError as error:
        text = f"{path}: not a usable database ({error}); restore it from a backup or move it away"
        raise DatabaseRefused(text) from None


def prepare(connection: sqlite3.Connection, path: Path | str) -> None:
    """Write-ahead log with every commit on disk, moved into the database every 4 MiB and cut down after a long reader.

    DatabaseRefused where the file cannot be written or have a write-ahead log.
    """
    (mode,) = connection.execute("PRAGMA journal_mode = WAL").fetchone()
    if mode not in ("wal", "memory"):
        raise DatabaseRefused(f"{path}: its file system cannot hold a write-ahead log; use a local one")
    connection.execute("PRAGMA synchronous = FULL")
    connection.execute(f"PRAGMA journal_size_limit = {WAL_BYTES}")
    connection.execute("BEGIN IMMEDIATE")  # SQLite opens what it may only read without a word
    connection.execute(f"PRAGMA user_version = {connection.execute('PRAGMA user_version').fetchone()[0]}")
    connection.execute("ROLLBACK")


Step = str | tuple[str, Callable[[sqlite3.Connection], None]]
"""What leads to the next version: SQL, and where that is not enough a function that goes on in its transaction."""


def bring_forward(connection: sqlite3.Connection, steps: Sequence[Step]) -> None:
    """Run what leads from the file's version to the newest; `steps` lead from each version to the next.

    Each step is one transaction with its version, so a kill leaves one version or the next. Raises sqlite3.Error.
    """
    (version,) = connection.execute("PRAGMA user_version").fetchone()
    for number, step in enumerate(steps[version - 1 :], version + 1):
        sql, *then = (step,) if isinstance(step, str) else step
        try:
            connection.executescript(f"BEGIN IMMEDIATE; {sql}")
            for go_on in then:
                go_on(connection)
            connection.execute(f"PRAGMA user_version = {number}")
            connection.execute("COMMIT")
        except Exception:
            with suppress(sqlite3.Error):
                connection.execute("ROLLBACK")
            raise


@contextmanager
def reading(path: Path) -> Iterator[sqlite3.Connection]:
    """Read without writing: even closing a file opened to write would move a crashed program's WAL into it."""
    with closing(sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True)) as connection:
        yield connection


def _check_mark(path: Path, kind: Kind) -> None:
    if path.is_dir():
        raise DatabaseRefused(f"{path}: is a directory; name a file in it")
    if not path.exists():
        return
    with reading(path) as connection:
        (version,) = connection.execute("PRAGMA user_version").fetchone()
        (application_id,) = connection.execute("PRAGMA application_id").fetchone()
        (tables,) = connection.execute("SELECT count(*) FROM sqlite_schema").fetchone()
    if kind.former is not None and application_id == kind.former:
        raise DatabaseRefused(f"{path}: made by a wattmesh before its first release, which is not read; move it away")
    if application_id != kind.application_id and (application_id or tables or version):
        raise DatabaseRefused(f"{path}: this is another program's database, not {kind.what}; name another file")
    if version > kind.version:
        raise DatabaseRefused(
            f"{path}: made by a newer wattmesh (schema {version}; this one knows {kind.version}); use that one"
        )


@contextmanager
def locked(path: Path) -> Iterator[None]:
    """Hold the lock of the database at `path` while the block runs; DatabaseRefused when another process does."""
    with ExitStack() as stack:
        try:
            path.parent.stat()  # FileLock would make a folder that is missing
            stack.enter_context(FileLock(f"{path}-lock", timeout=0))
        except Timeout:
            text = f"{path}: another process works on it; stop that one first, two would spoil each other's books"
            raise DatabaseRefused(text) from None
        except OSError as error:
            text = f"{path}: cannot be locked ({error.strerror}); look at its folder, its rights and the space left"
            raise DatabaseRefused(text) from None
        yield


def _check_sound(path: Path) -> None:
    with reading(path) as connection:
        (result,) = connection.execute("PRAGMA quick_check(1)").fetchone()
        lost = _commits_after_damage(path) if result == "ok" else 0
    if result != "ok":
        raise DatabaseRefused(f"{path}: damaged ({' '.join(str(result).split())}); restore it from a backup")
    if lost:
        raise DatabaseRefused(f"{path}-wal: damaged ({lost} commits cannot be read); restore both from a backup")


def _commits_after_damage(path: Path) -> int:
    """How many commits in a WAL lie behind its first unreadable frame; 0 when all is well.

    SQLite takes the first bad frame for the end, which is right for the one commit that a power cut may tear. Each
    commit is on disk before the next is begun, so two behind a bad frame mean that what was on disk has changed.
    Formats: sqlite.org/walformat.html. Call it while a connection has the database open.
    """
    try:
        raw, index = Path(f"{path}-wal").read_bytes(), Path(f"{path}-shm").read_bytes()[:48]
    except FileNotFoundError:
        return 0
    if len(raw) < _WAL_HEADER_BYTES + _FRAME_HEADER_BYTES or len(index) < 48:
        return 0
    order = "little" if index[:4] == (3007000).to_bytes(4, "little") else "big"
    readable = int.from_bytes(index[16:20], order)  # type: ignore[arg-type]
    salts, frame_bytes = raw[16:24], _FRAME_HEADER_BYTES + int.from_bytes(raw[8:12], "big")
    commits = 0
    for start in range(_WAL_HEADER_BYTES + readable * frame_bytes, len(raw) - frame_bytes + 1, frame_bytes):
        commits += raw[start + 8 : start + 16] == salts and raw[start + 4 : start + 8] != b"\0\0\0\0"
    return commits if commits > 1 else 0
