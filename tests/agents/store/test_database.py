"""The database: opened only when it is ours, changed only in whole transactions."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest

from wattmesh_agents.store.database import IN_MEMORY, Database
from wattmesh_agents.store.schema import APPLICATION_ID, VERSION
from wattmesh_common.sqlite_files import DatabaseRefused

FOREIGN = "this is another program's database, not a wattmesh agents' database; name another file"
LOOK = "look at its folder, its rights and the space left"


class Failure(Exception):
    pass


def keys(database: Database) -> set[str]:
    return {row[0] for row in database.connection.execute("SELECT key FROM meta")}


def write(database: Database, key: str) -> None:
    database.connection.execute("INSERT INTO meta VALUES (?, '')", (key,))


def transact(database: Database, work: Callable[[], None]) -> None:
    with database.transaction():
        work()


# --- opening ---


def test_a_new_database_is_marked_as_ours_and_kept(tmp_path: Path) -> None:
    path = tmp_path / "pod.db"
    database = Database.open(path, salt="s")
    with database.transaction():
        write(database, "kept")
    database.close()
    again = Database.open(path, salt="another")
    assert keys(again) == {"salt", "kept"}
    assert again.salt == "s", "the salt is that of the first opening"
    mark = again.connection.execute("PRAGMA application_id").fetchone()[0]
    assert (mark, again.connection.execute("PRAGMA user_version").fetchone()[0]) == (APPLICATION_ID, VERSION)
    assert again.connection.execute("PRAGMA journal_mode").fetchone()[0] == "wal"
    assert again.connection.execute("PRAGMA synchronous").fetchone()[0] == 2
    again.close()


def test_a_crash_leaves_what_was_committed_and_no_more(tmp_path: Path) -> None:
    path, image = tmp_path / "pod.db", tmp_path / "image"
    database = Database.open(path)
    with database.transaction():
        write(database, "committed")
    image.mkdir()
    with database.transaction():
        write(database, "not committed")
        for file in tmp_path.glob("pod.db*"):  # what the disk holds when the power goes
            (image / file.name).write_bytes(file.read_bytes())
    database.close()
    after = Database.open(image / "pod.db")
    assert keys(after) == {"salt", "committed"}
    after.close()


def test_each_new_database_has_its_own_salt() -> None:
    first, second = Database.open(IN_MEMORY), Database.open(IN_MEMORY)
    assert first.salt != second.salt
    assert len(first.salt) == 32
    first.close()
    second.close()


def test_an_empty_file_becomes_a_database(tmp_path: Path) -> None:
    path = tmp_path / "pod.db"
    path.touch()
    database = Database.open(path)
    assert keys(database) == {"salt"}
    database.close()


def foreign(path: Path) -> None:
    connection = sqlite3.connect(path)
    connection.execute("CREATE TABLE notes (text)")
    connection.execute("INSERT INTO notes VALUES ('mine')")
    connection.commit()
    connection.close()


def foreign_and_empty(path: Path) -> None:
    connection = sqlite3.connect(path)
    connection.execute("PRAGMA application_id = 42")
    connection.close()


def foreign_with_a_version(path: Path) -> None:
    connection = sqlite3.connect(path)
    connection.execute("PRAGMA user_version = 7")
    connection.close()


def newer(path: Path) -> None:
    Database.open(path).close()
    connection = sqlite3.connect(path)
    connection.execute(f"PRAGMA user_version = {VERSION + 1}")
    connection.close()


def text_file(path: Path) -> None:
    path.write_text("Dear diary, today the sun shone. " * 50)


def damaged(path: Path) -> None:
    database = Database.open(path)
    with database.transaction():
        for n in range(2000):
            write(database, f"key {n}")
    database.connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    database.close()
    raw = bytearray(path.read_bytes())
    raw[-8192:-4096] = b"\xff" * 4096
    path.write_bytes(raw)


def cut_short(path: Path) -> None:
    damaged(path)
    path.write_bytes(path.read_bytes()[:10_000])


@pytest.mark.parametrize(
    ("make", "text"),
    [
        (foreign, FOREIGN),
        (foreign_and_empty, FOREIGN),
        (foreign_with_a_version, FOREIGN),
        (newer, f"made by a newer wattmesh (schema {VERSION + 1}; this one knows {VERSION}); use that one"),
        (text_file, "not a usable database (file is not a database); restore it from a backup or move it away"),
        (
            cut_short,
            "not a usable database (database disk image is malformed); restore it from a backup or move it away",
        ),
    ],
)
def test_what_is_not_ours_is_refused_and_left_alone(tmp_path: Path, make: Callable[[Path], None], text: str) -> None:
    path = tmp_path / "pod.db"
    make(path)
    before = path.read_bytes()
    with pytest.raises(DatabaseRefused) as refused:
        Database.open(path)
    assert str(refused.value) == f"{path}: {text}"
    assert path.read_bytes() == before
    assert [file.name for file in tmp_path.glob("pod.db-wal") if file.stat().st_size] == [], "nothing waits to go in"


@pytest.mark.parametrize("lost", [(), ("pod.db-shm",)])
def test_what_a_newer_version_left_in_its_wal_stays_there(tmp_path: Path, lost: tuple[str, ...]) -> None:
    path, crashed = tmp_path / "pod.db", tmp_path / "crashed"
    database = Database.open(path)
    database.connection.execute(f"PRAGMA user_version = {VERSION + 1}")
    crashed.mkdir()
    for file in tmp_path.glob("pod.db*"):
        if file.name not in lost:
            (crashed / file.name).write_bytes(file.read_bytes())
    database.close()
    before = {name: (crashed / name).read_bytes() for name in ("pod.db", "pod.db-wal")}
    with pytest.raises(DatabaseRefused, match="newer"):
        Database.open(crashed / "pod.db")
    assert {name: (crashed / name).read_bytes() for name in before} == before


def test_a_damaged_page_is_refused_and_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "pod.db"
    damaged(path)
    before = path.read_bytes()
    with pytest.raises(DatabaseRefused) as refused:
        Database.open(path)
    # What SQLite says of the damage stands between; which page it finds first is its own business.
    assert str(refused.value).startswith(f"{path}: damaged (")
    assert str(refused.value).endswith("); restore it from a backup")
    assert path.read_bytes() == before


def test_a_folder_that_is_not_there_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "missing" / "pod.db"
    with pytest.raises(DatabaseRefused) as refused:
        Database.open(path)
    assert str(refused.value) == f"{path}: cannot be locked (No such file or directory); {LOOK}"


def test_a_database_that_another_process_holds_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "pod.db"
    Database.open(path).close()
    connect = sqlite3.connect
    holder = connect(path, isolation_level=None)
    holder.execute("PRAGMA locking_mode = EXCLUSIVE")
    holder.execute("BEGIN EXCLUSIVE")
    monkeypatch.setattr(sqlite3, "connect", partial(connect, timeout=0))
    with pytest.raises(DatabaseRefused) as refused:
        Database.open(path)
    assert str(refused.value) == f"{path}: cannot be used now (database is locked); {LOOK}"
    holder.close()


# --- transactions ---


@pytest.fixture
def database() -> Database:
    return Database.open(IN_MEMORY, salt="s")


def test_a_transaction_commits_all_of_it(database: Database) -> None:
    with database.transaction():
        write(database, "a")
        write(database, "b")
    assert keys(database) == {"salt", "a", "b"}


@pytest.mark.parametrize("error", [Failure, KeyboardInterrupt, SystemExit])
def test_a_failure_leaves_nothing(database: Database, error: type[BaseException]) -> None:
    def work() -> None:
        write(database, "a")
        raise error

    with pytest.raises(error):
        transact(database, work)
    assert keys(database) == {"salt"}
    with database.transaction():
        write(database, "b")
    assert keys(database) == {"salt", "b"}


def test_a_commit_that_fails_leaves_nothing(database: Database) -> None:
    connection = database.connection
    connection.execute("CREATE TABLE child (key TEXT REFERENCES meta (key) DEFERRABLE INITIALLY DEFERRED)")
    connection.execute("PRAGMA foreign_keys = ON")

    def work() -> None:
        write(database, "a")
        connection.execute("INSERT INTO child VALUES ('nobody')")  # told only when it is committed

    with pytest.raises(sqlite3.IntegrityError):
        transact(database, work)
    assert keys(database) == {"salt"}
    assert connection.execute("SELECT count(*) FROM child").fetchone() == (0,)
    with database.transaction():
        write(database, "b")
    assert keys(database) == {"salt", "b"}


def test_transactions_do_not_nest(database: Database) -> None:
    def work() -> None:
        write(database, "a")
        transact(database, lambda: write(database, "not reached"))

    with pytest.raises(RuntimeError, match="open already"):
        transact(database, work)
    assert keys(database) == {"salt"}
    with database.transaction():
        write(database, "b")
    assert keys(database) == {"salt", "b"}
