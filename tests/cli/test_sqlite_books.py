"""Reading runtimes' databases while they are written, after a stop, after a crash, and when they are not usable."""

from __future__ import annotations

import gc
import shutil
import sqlite3
from collections.abc import Iterable
from contextlib import closing
from dataclasses import fields, replace
from pathlib import Path

import pytest
from typer.testing import CliRunner

from tests.cli.street_books import FLAT, street, write_database, write_state
from wattmesh_agents.store.schema import FORMER_APPLICATION_ID, VERSION
from wattmesh_cli import sqlite_books
from wattmesh_cli.audit import audit, together
from wattmesh_cli.books import Book, Messages
from wattmesh_cli.main import app
from wattmesh_cli.sqlite_books import read_books, read_markets
from wattmesh_cli.state import StateError


def test_what_the_runtimes_wrote_is_read(tmp_path: Path) -> None:
    assert read_books(write_state(tmp_path / "state", street())) == tuple(street())


def test_a_running_runtime_is_read_without_what_it_has_not_committed(tmp_path: Path) -> None:
    state = write_state(tmp_path / "state", street())
    runtime = sqlite3.connect(state / "agents" / "flat-0.db", isolation_level=None)
    runtime.execute("UPDATE parties SET level_wh = 7")
    runtime.execute("BEGIN IMMEDIATE")
    runtime.execute("UPDATE parties SET level_wh = 8")
    assert read_books(state)[0].parties[0].level_wh == 7
    runtime.execute("COMMIT")
    assert read_books(state)[0].parties[0].level_wh == 8
    runtime.close()


def test_a_crashed_runtime_is_read_with_all_that_it_committed(tmp_path: Path) -> None:
    running, crashed = write_state(tmp_path / "running", street()), tmp_path / "crashed"
    runtime = sqlite3.connect(running / "agents" / "flat-0.db", isolation_level=None)
    runtime.execute("UPDATE parties SET level_wh = 7")
    shutil.copytree(running, crashed, ignore=shutil.ignore_patterns("*-shm"))
    runtime.close()
    assert (crashed / "agents" / "flat-0.db-wal").stat().st_size
    assert read_books(crashed)[0].parties[0].level_wh == 7


def test_reading_changes_nothing(tmp_path: Path) -> None:
    state = write_state(tmp_path / "state", street())
    before = {path.name: path.read_bytes() for path in (state / "agents").glob("*.db")}
    read_books(state)
    assert {path.name: path.read_bytes() for path in (state / "agents").glob("*.db")} == before


def test_a_runtime_that_is_being_set_up_has_an_empty_book(tmp_path: Path) -> None:
    state = write_state(tmp_path / "state", [])
    (state / "agents" / "flat-0.db").touch()
    assert read_books(state) == (Book("flat-0"),)


def test_fees_times_and_counts_are_read(tmp_path: Path) -> None:
    flat, *others = street()
    paid = replace(flat.contracts[0], fee_micro=15_000, searched_ms=1, confirmed_ms=2)
    sent = (Messages(FLAT, "confirm", 2), Messages(FLAT, "search", 3))
    book = replace(flat, contracts=(paid, flat.contracts[1]), messages=sent)
    assert read_books(write_state(tmp_path / "state", [book, *others])) == (book, *others)


def test_a_name_that_means_something_in_a_uri_is_only_a_name(tmp_path: Path) -> None:
    state = write_state(tmp_path / "state?mode=rw#1 %41", street())
    assert [book.name for book in read_books(state)] == ["flat-0", "grid", "roof-0"]


@pytest.mark.parametrize(
    ("how", "what"),
    [
        ("foreign", "this is another program's database"),
        ("former", "made by a wattmesh before its first release, which is not read; move it away"),
        ("newer", f"made by a newer wattmesh (schema {VERSION + 1}; this one knows {VERSION})"),
        ("text", "not a usable database (file is not a database)"),
        ("no table", "not a usable database (no such table: contracts)"),
    ],
)
def test_a_database_that_cannot_be_used_is_named(tmp_path: Path, how: str, what: str) -> None:
    state = write_state(tmp_path / "state", [street()[0]])
    path = state / "agents" / "other.db"
    match how:
        case "text":
            path.write_text("once upon a time " * 100)
        case "foreign":
            with sqlite3.connect(path) as connection:
                connection.execute("CREATE TABLE places (url TEXT)")
            connection.close()
        case _:
            write_database(path, street()[1])
            connection = sqlite3.connect(path)
            if how == "former":
                connection.execute(f"PRAGMA application_id = {FORMER_APPLICATION_ID}")
            elif how == "newer":
                connection.execute(f"PRAGMA user_version = {VERSION + 1}")
            else:
                connection.execute("DROP TABLE contracts")
            connection.commit()
            connection.close()
    with pytest.raises(StateError) as error:
        read_books(state)
    assert str(error.value) == f"{path}: {what}"


def test_a_damaged_database_is_named(tmp_path: Path) -> None:
    state = write_state(tmp_path / "state", street())
    path = state / "agents" / "flat-0.db"
    content = bytearray(path.read_bytes())
    content[4096:] = b"\xff" * (len(content) - 4096)
    path.write_bytes(content)
    with pytest.raises(StateError, match=r"flat-0\.db: not a usable database \(database disk image is malformed\)"):
        read_books(state)


def test_a_missing_state_directory_says_what_makes_it(tmp_path: Path) -> None:
    with pytest.raises(StateError) as error:
        read_books(tmp_path / "none")
    assert str(error.value) == (
        f"{tmp_path / 'none'}: there is no such directory; 'wattmesh up' makes it, --state names another"
    )
    (tmp_path / "file").touch()
    with pytest.raises(StateError, match=r"file: is not a directory; "):
        read_books(tmp_path / "file")
    with pytest.raises(StateError, match=r"no street in it; "):
        read_books(tmp_path)


def elsewhere(text: object) -> object:
    return text.replace(".default", ".other") if isinstance(text, str) else text


def twin() -> list[Book]:
    """The same street again, everybody in another namespace."""
    return [
        Book(
            f"{book.name}.other",
            **{
                table.name: tuple(
                    replace(row, **{one.name: elsewhere(getattr(row, one.name)) for one in fields(row)})
                    for row in getattr(book, table.name)
                )
                for table in fields(Book)
                if table.name != "name"
            },
        )
        for book in street()
    ]


def test_markets_that_have_nothing_to_do_with_each_other_are_read_and_audited_apart(tmp_path: Path) -> None:
    state = write_state(tmp_path / "state", [*street(), *twin()])
    markets = list(read_markets(state))
    assert [[book.name for book in market] for market in markets] == [
        [book.name for book in sorted(books, key=lambda book: book.name)] for books in (street(), twin())
    ]
    assert sorted(book.name for market in markets for book in market) == [book.name for book in read_books(state)]
    assert together(audit(market) for market in markets) == audit(read_books(state))
    with closing(sqlite3.connect(state / "agents" / "roof-0.other.db")) as file, file:
        file.execute("UPDATE ledger SET energy_wh = energy_wh - 1 WHERE kind = 'trade'")
    apart, whole = together(audit(market) for market in read_markets(state)), audit(read_books(state))
    assert apart.findings
    assert set(apart.findings) == set(whole.findings)
    assert apart.energy_sum_wh == whole.energy_sum_wh != 0


def test_markets_of_which_one_knows_somebody_of_the_other_are_read_together(tmp_path: Path) -> None:
    flat, *others = twin()
    known = replace(flat.ledger[0], counterparty=FLAT, reference="of another market")
    books = [*street(), replace(flat, ledger=(*flat.ledger, known)), *others]
    [market] = read_markets(write_state(tmp_path / "state", books))
    assert len(market) == 6


def test_the_audit_lets_go_of_a_market_before_it_reads_the_next(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    state = write_state(tmp_path / "state", [*street(), *twin()])
    read, there = sqlite_books._read_all, list[int]()

    def counted(databases: Iterable[sqlite_books._Opened]) -> tuple[Book, ...]:
        there.append(sum(isinstance(one, Book) for one in gc.get_objects()))
        return read(databases)

    monkeypatch.setattr(sqlite_books, "_read_all", counted)
    audited = CliRunner().invoke(app, ["audit", "--state", str(state)])
    assert "4 deliveries" in audited.output
    assert there == [there[0]] * 2
