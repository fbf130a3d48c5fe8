"""Files that cannot serve as a database: each is refused in one line, and stays byte for byte."""

from __future__ import annotations

import os
import sqlite3
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.gateway.support import NOW, entry
from tests.world.clocks import at_once
from tests.world.subscribers import signer
from wattmesh_agents.store.database import Database
from wattmesh_common.sqlite_files import WAL_BYTES, DatabaseRefused, bring_forward
from wattmesh_gateway.registry import Registry

NOBODY = 65_534


@dataclass(frozen=True)
class Program:
    """How one of our programs opens its database; `fill` opens it, commits often, and returns how to close it."""

    open: Callable[[Path], Database | Registry]
    fill: Callable[[Path], Callable[[], None]]


def _fill_agents(path: Path) -> Callable[[], None]:
    database = Database.open(path)
    for batch in range(20):
        with database.transaction() as connection:
            rows = [(f"key {batch} {n}", "x" * 50) for n in range(50)]
            connection.executemany("INSERT INTO meta VALUES (?, ?)", rows)
    return database.close


def _fill_registry(path: Path) -> Callable[[], None]:
    registry = Registry(path)
    for number in range(60):
        at_once(registry.put(entry(signer(f"house-{number}")), NOW))
    return registry.close


@pytest.fixture(params=["agents", "gateway"])
def program(request: pytest.FixtureRequest) -> Program:
    return Program(Database.open, _fill_agents) if request.param == "agents" else Program(Registry, _fill_registry)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "pod.db"


def state(path: Path) -> tuple[bytes, bytes]:
    """The bytes of a database and of its WAL. Its -shm is only an index, in which readers leave marks, too."""
    database, wal = (file.read_bytes() if file.is_file() else b"" for file in (path, Path(f"{path}-wal")))
    return database, wal


def refused(program: Program, path: Path) -> str:
    """Why a file is refused; nothing changes by that, and nobody is kept from it."""
    before = state(path)
    for _ in range(2):
        with pytest.raises(DatabaseRefused) as error:
            program.open(path)
        assert state(path) == before
    text = str(error.value)
    assert text.startswith(str(path))
    assert "\n" not in text
    return text.removeprefix(str(path))


def flip(path: Path, offset: int, count: int = 64) -> None:
    raw = bytearray(path.read_bytes())
    for at in range(offset, offset + count):
        raw[at] ^= 0xFF
    path.write_bytes(raw)


def crashed(program: Program, path: Path, then: Callable[[Path], None] = lambda _: None) -> None:
    """What a killed process leaves: a database whose newest commits are in the WAL."""
    running = path.parent / "running.db"
    close = program.fill(running)
    then(running)
    for suffix in ("", "-wal", "-shm"):
        Path(f"{path}{suffix}").write_bytes(Path(f"{running}{suffix}").read_bytes())
    close()


def page_of(path: Path, name: str) -> int:
    """Where a table's or index's first page begins."""
    with closing(sqlite3.connect(path)) as connection:
        query = "SELECT (rootpage - 1) * 4096 FROM sqlite_schema WHERE name = ? AND rootpage"
        offset: int = connection.execute(query, (name,)).fetchone()[0]
        return offset


# --- not ours ---


def test_an_empty_file_is_a_new_database(program: Program, path: Path) -> None:
    path.touch()
    program.open(path).close()
    assert path.stat().st_size > 0


def test_a_text_file(program: Program, path: Path) -> None:
    path.write_text("Dear diary, today the sun shone. " * 50)
    assert refused(program, path) == (
        ": not a usable database (file is not a database); restore it from a backup or move it away"
    )


def test_another_programs_database(program: Program, path: Path) -> None:
    with closing(sqlite3.connect(path)) as other:
        other.execute("CREATE TABLE diary (day)")
    assert ": this is another program's database, not a wattmesh " in refused(program, path)


def test_the_other_ones_database(program: Program, path: Path) -> None:
    other = Registry(path) if program.open == Database.open else Database.open(path)
    other.close()
    assert ": this is another program's database, not a wattmesh " in refused(program, path)


def test_a_newer_version_whose_last_commits_are_in_the_wal(program: Program, path: Path) -> None:
    def mark(running: Path) -> None:
        with closing(sqlite3.connect(running)) as newer:
            newer.execute("PRAGMA user_version = 77")

    crashed(program, path, mark)
    assert ": made by a newer wattmesh (schema 77; this one knows " in refused(program, path)


def test_a_directory(program: Program, path: Path) -> None:
    path.mkdir()
    assert refused(program, path) == ": is a directory; name a file in it"


# --- damaged ---


def test_a_truncated_file(program: Program, path: Path) -> None:
    program.fill(path)()
    path.write_bytes(path.read_bytes()[:10_000])
    assert "restore it from a backup" in refused(program, path)


@pytest.mark.parametrize("offset", [0, 16, 100])
def test_flipped_bytes_in_the_header(program: Program, path: Path, offset: int) -> None:
    program.fill(path)()
    flip(path, offset, 12)
    assert "restore it from a backup" in refused(program, path)


@pytest.mark.parametrize("which", ["table", "index"])
def test_flipped_bytes_in_a_page(program: Program, path: Path, which: str) -> None:
    program.fill(path)()
    names = {"table": "meta", "index": "sqlite_autoindex_meta_1"}
    if program.open != Database.open:
        names = {"table": "subscription", "index": "subscription_by_area"}
    flip(path, page_of(path, names[which]))
    assert "damaged (" in refused(program, path)


def test_flipped_bytes_in_the_wal(program: Program, path: Path) -> None:
    """SQLite takes the first bad frame for the end and would forget what was committed after it."""
    crashed(program, path)
    wal = Path(f"{path}-wal")
    flip(wal, wal.stat().st_size // 2)
    Path(f"{path}-shm").unlink()  # as after a power cut
    text = refused(program, path)
    assert text.startswith("-wal: damaged (")
    assert text.endswith(" commits cannot be read); restore both from a backup")


def test_a_wal_whose_last_commit_is_torn_is_a_power_cut(program: Program, path: Path) -> None:
    crashed(program, path)
    wal = Path(f"{path}-wal")
    flip(wal, wal.stat().st_size - 3000)
    Path(f"{path}-shm").unlink()
    program.open(path).close()


# --- not to be used ---


@contextmanager
def unprivileged() -> Iterator[None]:
    """As somebody whom the rights of files hold."""
    root = os.geteuid() == 0
    if root:
        os.seteuid(NOBODY)
    try:
        yield
    finally:
        if root:
            os.seteuid(0)


@pytest.fixture
def open_folder() -> Iterator[Path]:
    """A folder that anybody reaches and may write to."""
    with tempfile.TemporaryDirectory() as folder:
        Path(folder).chmod(0o777)
        yield Path(folder)


@pytest.mark.parametrize(("file_mode", "folder_mode"), [(0o000, 0o777), (0o444, 0o777), (0o666, 0o555)])
def test_what_must_not_be_read_or_written(
    program: Program, open_folder: Path, file_mode: int, folder_mode: int
) -> None:
    path = open_folder / "pod.db"
    program.fill(path)()
    Path(f"{path}-lock").unlink()
    path.chmod(file_mode)
    open_folder.chmod(folder_mode)
    before = path.read_bytes()
    with unprivileged(), pytest.raises(DatabaseRefused) as error:
        program.open(path)
    assert "; look at its folder, its rights and the space left" in str(error.value)
    assert path.read_bytes() == before
    open_folder.chmod(0o777)


_HOLD = """
import sys
from pathlib import Path
from wattmesh_agents.store.database import Database
from wattmesh_gateway.registry import Registry
held = {"agents": Database.open, "gateway": Registry}[sys.argv[1]](Path(sys.argv[2]))
print("held", flush=True)
sys.stdin.read()
"""


def test_what_another_process_works_on_until_that_is_killed(program: Program, path: Path) -> None:
    name = "agents" if program.open == Database.open else "gateway"
    arguments = [sys.executable, "-c", _HOLD, name, str(path)]
    with subprocess.Popen(arguments, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == b"held\n"
        text = refused(program, path)
        with closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True)) as auditor:
            assert auditor.execute("SELECT count(*) FROM sqlite_schema").fetchone()[0] > 0, "reading is free"
        holder.kill()
    assert text == ": another process works on it; stop that one first, two would spoil each other's books"
    program.open(path).close()


# --- size ---


def test_the_wal_is_cut_down_once_a_long_reader_has_gone(path: Path) -> None:
    database = Database.open(path)
    wal = Path(f"{path}-wal")

    def churn(key: str) -> None:
        for _ in range(40):
            with database.transaction() as connection:
                connection.execute("INSERT OR REPLACE INTO meta VALUES (?, ?)", (key, "x" * 200_000))

    with closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True, isolation_level=None)) as reader:
        reader.execute("BEGIN")
        reader.execute("SELECT count(*) FROM meta").fetchone()
        churn("while read")
        grown = wal.stat().st_size
    churn("after")
    assert grown > WAL_BYTES + 1_000_000
    assert wal.stat().st_size <= WAL_BYTES + 1_000_000, "4 MiB, and what one commit adds"
    size = path.stat().st_size
    churn("after")
    assert path.stat().st_size == size, "free pages are used again"
    database.close()


# --- versions ---

STEPS = ("CREATE TABLE second (x INTEGER);", "CREATE TABLE third (x INTEGER); INSERT INTO third VALUES (3);")


def tables(connection: sqlite3.Connection) -> set[str]:
    return {name for (name,) in connection.execute("SELECT name FROM sqlite_schema")}


@pytest.mark.parametrize(("version", "made"), [(1, {"second", "third"}), (2, {"third"}), (3, set())])
def test_an_older_file_is_brought_forward_step_by_step(version: int, made: set[str]) -> None:
    with closing(sqlite3.connect(":memory:")) as connection:
        connection.execute(f"PRAGMA user_version = {version}")
        bring_forward(connection, STEPS)
        assert connection.execute("PRAGMA user_version").fetchone() == (3,)
        assert tables(connection) == made


def test_a_step_that_fails_leaves_the_version_before_it() -> None:
    with closing(sqlite3.connect(":memory:")) as connection:
        connection.execute("PRAGMA user_version = 1")
        with pytest.raises(sqlite3.OperationalError):
            bring_forward(connection, (STEPS[0], "CREATE TABLE third (x INTEGER); INSERT INTO nowhere VALUES (3);"))
        assert connection.execute("PRAGMA user_version").fetchone() == (2,)
        assert tables(connection) == {"second"}
        bring_forward(connection, STEPS)
        assert tables(connection) == {"second", "third"}


def test_a_step_goes_on_in_python_and_is_whole_or_not_at_all() -> None:
    def fill(connection: sqlite3.Connection) -> None:
        connection.execute("INSERT INTO second VALUES (2)")
        if failing:
            raise ValueError("no")

    with closing(sqlite3.connect(":memory:")) as connection:
        connection.execute("PRAGMA user_version = 1")
        failing = True
        with pytest.raises(ValueError, match="no"):
            bring_forward(connection, [(STEPS[0], fill)])
        assert (connection.execute("PRAGMA user_version").fetchone(), tables(connection)) == ((1,), set())
        failing = False
        bring_forward(connection, [(STEPS[0], fill)])
        assert connection.execute("PRAGMA user_version").fetchone() == (2,)
        assert connection.execute("SELECT x FROM second").fetchall() == [(2,)]
