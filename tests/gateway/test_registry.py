from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from tests.gateway.support import NOW, World, asked, entry, problem, run
from tests.world.clocks import at_once
from tests.world.subscribers import signer
from wattmesh_beckn.registry import RegistryUnavailable
from wattmesh_common.sqlite_files import DatabaseRefused
from wattmesh_gateway.registry import Registry


def refusal_of(path: Path) -> str:
    """Why a file is refused; it must not change by that."""
    before = path.read_bytes()
    with pytest.raises(DatabaseRefused) as caught:
        Registry(path)
    assert path.read_bytes() == before
    return str(caught.value).removeprefix(f"{path}: ")


def test_entries_survive_a_restart_and_sellers_are_searched_as_before(tmp_path: Path) -> None:
    async def main() -> None:
        first = World(tmp_path / "registry.db")
        buyer = await first.buyer()
        await first.seller("house")
        before = await first.lookup()
        first.registry.close()
        second = World(tmp_path / "registry.db")
        assert await second.lookup() == before
        assert asked(await second.search(buyer)) == 1
        await second.gateway.stop()
        second.registry.close()

    run(main())


def test_the_database_is_durable_and_bears_its_name(tmp_path: Path) -> None:
    registry = Registry(tmp_path / "registry.db")
    at_once(registry.put(entry(signer("house")), NOW))
    with closing(sqlite3.connect(tmp_path / "registry.db")) as other:
        assert other.execute("PRAGMA journal_mode").fetchone() == ("wal",)
        assert other.execute("PRAGMA application_id").fetchone() == (0x574D4752,)
        assert other.execute("PRAGMA user_version").fetchone() == (4,)
    registry.close()


def test_a_file_that_is_no_database_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "registry.db"
    path.write_text("dear diary, " * 100)
    assert refusal_of(path) == (
        "not a usable database (file is not a database); restore it from a backup or move it away"
    )


def test_another_programs_database_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "registry.db"
    with closing(sqlite3.connect(path)) as other:
        other.execute("CREATE TABLE diary (day)")
    assert refusal_of(path) == ("this is another program's database, not a wattmesh registry; name another file")


def test_a_newer_schema_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "registry.db"
    Registry(path).close()
    with closing(sqlite3.connect(path)) as other:
        other.execute("PRAGMA user_version = 5")
    assert refusal_of(path) == ("made by a newer wattmesh (schema 5; this one knows 4); use that one")


def test_a_damaged_file_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "registry.db"
    registry = Registry(path)
    for number in range(20):
        at_once(registry.put(entry(signer(f"house-{number}")), NOW))
    registry.close()
    with path.open("r+b") as file:
        file.seek(4096 + 100)
        file.write(b"\xff" * 4000)
    assert "restore it from a backup" in refusal_of(path)


def test_a_place_that_is_not_there_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DatabaseRefused, match="cannot be locked"):
        Registry(tmp_path / "missing" / "registry.db")


@pytest.mark.sqlite
def test_a_database_that_fails_is_busy_for_every_call_and_not_ready(tmp_path: Path) -> None:
    async def main() -> None:
        world = World(tmp_path / "registry.db")
        buyer = await world.buyer()
        assert await world.gateway.ready()
        world.registry.close()
        assert not await world.gateway.ready()
        replies = [await world.subscribe(entry(buyer)), await world.post("/lookup", b"{}"), await world.search(buyer)]
        for reply in replies:
            assert problem(reply)[:2] == (503, "40000")
            assert reply.headers["retry-after"] == "1"
        with pytest.raises(RegistryUnavailable, match="the registry's database fails"):
            await world.gateway.metrics_text()

    run(main())


@pytest.mark.sqlite
def test_an_entry_whose_call_cannot_be_remembered_is_not_written_either(tmp_path: Path) -> None:
    async def main() -> None:
        world = World(tmp_path / "registry.db")
        with closing(sqlite3.connect(tmp_path / "registry.db")) as other:
            other.execute("CREATE TRIGGER full BEFORE INSERT ON accepted BEGIN SELECT raise(ABORT, 'disk full'); END")
        assert problem(await world.subscribe(entry(signer("house"))))[0] == 503
        assert await world.lookup() == []
        world.registry.close()

    run(main())
