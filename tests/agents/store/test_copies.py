"""Copies of a journal are whole, and take its place whole or not at all."""

from __future__ import annotations

import io
import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest

from wattmesh_agents.store.copies import parties_of, put, ready, restore, take
from wattmesh_agents.store.database import Database
from wattmesh_common.sqlite_files import DatabaseRefused


def made(path: Path, *keys: str, party: str = "roof-0.street") -> Database:
    """A journal of a party with these keys in it."""
    database = Database.open(path, salt="s")
    with database.transaction() as connection:
        connection.execute(
            "INSERT INTO parties (party, kind, initial_level_wh, level_wh, capacity_wh, first_slot, next_slot, buying) "
            "VALUES (?, 'household', 0, 0, 0, 0, 0, 0)",
            (party,),
        )
    for key in keys:
        write(database, key)
    return database


def write(database: Database, key: str) -> None:
    with database.transaction() as connection:
        connection.execute("INSERT INTO meta VALUES (?, '')", (key,))


def keys_in(path: Path) -> set[str]:
    database = Database.open(path)
    try:
        return {key for (key,) in database.connection.execute("SELECT key FROM meta")} - {"salt"}
    finally:
        database.close()


def test_a_copy_has_what_is_committed_while_the_database_is_written(tmp_path: Path) -> None:
    database = made(tmp_path / "pod.db", "before")
    with database.transaction() as connection:
        connection.execute("INSERT INTO meta VALUES ('unfinished', '')")
        take(tmp_path / "pod.db", tmp_path / "copy.db")
    write(database, "after")
    database.close()

    assert parties_of(tmp_path / "copy.db") == ["roof-0.street"]
    assert [file.name for file in tmp_path.iterdir() if file.name.startswith("copy")] == ["copy.db"]
    assert keys_in(tmp_path / "copy.db") == {"before"}
    assert keys_in(tmp_path / "pod.db") == {"before", "unfinished", "after"}


def test_a_copy_takes_the_place_of_a_database_with_its_write_ahead_log(tmp_path: Path) -> None:
    path = tmp_path / "pod.db"
    database = made(path, "old")
    take(path, tmp_path / "copy.db")
    write(database, "new")  # in the write-ahead log
    assert Path(f"{path}-wal").stat().st_size > 0
    wal = Path(f"{path}-wal").read_bytes()
    database.close()
    Path(f"{path}-wal").write_bytes(wal)  # as a kill leaves it

    with (tmp_path / "copy.db").open("rb") as copy:
        put(path, copy)

    assert keys_in(path) == {"old"}
    assert not ready(path).exists()


def test_a_file_with_its_write_ahead_log_is_restored_to_its_last_commit(tmp_path: Path) -> None:
    path, snapshot = tmp_path / "pod.db", tmp_path / "snapshot" / "ledger.db"
    database = made(path, "first", "last")
    snapshot.parent.mkdir()
    for end in ("", "-wal"):  # as a volume's snapshot has them
        Path(f"{snapshot}{end}").write_bytes(Path(f"{path}{end}").read_bytes())
    write(database, "lost")
    database.close()
    put(path, snapshot)
    assert keys_in(path) == {"first", "last"}


def test_who_holds_the_database_is_waited_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "pod.db"
    database = made(path, "old")
    take(path, tmp_path / "copy.db")
    write(database, "new")
    copy = (tmp_path / "copy.db").read_bytes()
    waits: list[float] = []

    def lets_go(seconds: float) -> None:
        assert ready(path).exists()
        waits.append(seconds)
        database.close()

    monkeypatch.setattr("wattmesh_agents.store.copies.time.sleep", lets_go)
    put(path, io.BytesIO(copy))

    assert len(waits) == 1
    assert keys_in(path) == {"old"}


def test_who_does_not_let_go_has_it_at_its_next_start(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "pod.db"
    database = made(path, "old")
    take(path, tmp_path / "copy.db")
    write(database, "new")
    monkeypatch.setattr("wattmesh_agents.store.copies.LETS_GO_S", 0.0)

    with pytest.raises(DatabaseRefused, match="another process works on it"):
        put(path, io.BytesIO((tmp_path / "copy.db").read_bytes()))

    with pytest.raises(DatabaseRefused, match="another process works on it"):
        restore(path)
    database.close()
    assert keys_in(path) == {"old"}


def test_a_copy_that_is_cut_off_is_refused_and_nothing_changes(tmp_path: Path) -> None:
    path = tmp_path / "pod.db"
    made(path, "kept").close()
    take(path, tmp_path / "copy.db")
    whole = (tmp_path / "copy.db").read_bytes()
    for size in (0, 50, 4096, len(whole) - 4096, len(whole) - 1):
        with pytest.raises(DatabaseRefused):
            put(path, io.BytesIO(whole[:size]))

    assert keys_in(path) == {"kept"}
    assert [file.name for file in tmp_path.iterdir() if "restore" in file.name] == []


def test_books_of_others_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "pod.db"
    made(path, "kept").close()
    made(tmp_path / "other.db", party="roof-1.street").close()
    text = "has the books of roof-1.street, and here are those of roof-0.street"
    with pytest.raises(DatabaseRefused, match=text):
        put(path, io.BytesIO((tmp_path / "other.db").read_bytes()))
    assert keys_in(path) == {"kept"}


def test_a_damaged_database_is_replaced(tmp_path: Path) -> None:
    path = tmp_path / "pod.db"
    made(path, "kept").close()
    take(path, tmp_path / "copy.db")
    path.write_bytes(b"no database at all" * 1000)
    put(path, io.BytesIO((tmp_path / "copy.db").read_bytes()))
    assert keys_in(path) == {"kept"}


def test_a_place_without_a_database_takes_a_copy(tmp_path: Path) -> None:
    made(tmp_path / "pod.db", "kept").close()
    put(tmp_path / "new.db", io.BytesIO((tmp_path / "pod.db").read_bytes()))
    assert keys_in(tmp_path / "new.db") == {"kept"}


def backup(*arguments: str, given: bytes = b"") -> subprocess.CompletedProcess[bytes]:
    """What is run in a pod."""
    command = [sys.executable, "-m", "wattmesh_agents.backup", *arguments]
    return subprocess.run(command, input=given, capture_output=True, check=False, timeout=60)


def test_the_command_of_a_pod_writes_a_copy_and_reads_one(tmp_path: Path) -> None:
    path = tmp_path / "pod.db"
    made(path, "old").close()
    out = backup("take", str(path))
    assert (out.returncode, out.stderr) == (0, b"")
    assert backup("take", str(path), "--to", str(tmp_path / "copy.db")).returncode == 0
    assert sqlite3.connect(tmp_path / "copy.db").execute("SELECT count(*) FROM meta").fetchone() == (2,)
    database = Database.open(path)
    write(database, "new")
    database.close()

    refused = backup("put", str(path), given=out.stdout[:-1])
    assert refused.returncode == 2
    assert b"wattmesh_agents.backup: " in refused.stderr
    for put_back in (["put", str(path)], ["put", str(path), "--from", str(tmp_path / "copy.db")]):
        assert backup(*put_back, given=out.stdout).returncode == 0
        assert keys_in(path) == {"old"}
    assert not [file.name for file in tmp_path.iterdir() if "-copy" in file.name]
