"""What is true of a registry in PostgreSQL only; the rest is the same tests with `--database postgresql`."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest

from tests.gateway.support import GATEWAY, NOW, REGISTRAR, World, answer_of, entry, problem
from tests.world import clocks, postgresql
from tests.world.postgresql import PASSWORD, CountedDatabase, Server, uri_file
from tests.world.subscribers import signer
from wattmesh_beckn.errors import Refusal
from wattmesh_common.clock import LoopClock
from wattmesh_common.sqlite_files import DatabaseRefused
from wattmesh_gateway.limits import Limit
from wattmesh_gateway.postgresql import PostgresDatabase
from wattmesh_gateway.registry import ChangesForgotten, Registry
from wattmesh_gateway.tables import VERSION


@pytest.fixture
def server() -> Server:
    return postgresql.server()


@pytest.fixture
def own_server() -> Iterator[Server]:
    """One that a test may stop."""
    made = Server()
    yield made
    made.remove()


def registry_of(uri: Path) -> Registry:
    return Registry(CountedDatabase(uri, GATEWAY.subscriber_id))


def run(main: Coroutine[Any, Any, None]) -> None:
    clocks.run(main, postgresql.under_way)


def refusal(uri: Path, gateway: str = "market") -> str:
    """Why a gateway does not start on it."""

    async def main() -> None:
        database = PostgresDatabase(uri)
        try:
            await database.start(gateway)
        finally:
            await database.stop()

    with pytest.raises(DatabaseRefused) as caught:
        asyncio.run(main())
    assert PASSWORD not in str(caught.value)
    return str(caught.value)


def test_two_replicas_see_what_either_writes_and_number_changes_together(tmp_path: Path) -> None:
    uri = uri_file(tmp_path)

    async def main() -> None:
        one, other = registry_of(uri), registry_of(uri)
        await one.put(entry(signer("house-0")), NOW)
        first = await other.changes({}, NOW, after=None, most=10)
        await other.put(entry(signer("house-1")), NOW)
        second = await one.changes({}, NOW, after=first.cursor, most=10)
        assert [[each.subscriber_id for each in page.entries] for page in (first, second)] == [["house-0"], ["house-1"]]
        await one.stop()
        await other.stop()

    run(main())


def test_who_starts_first_makes_the_tables_and_both_may_try_at_once(tmp_path: Path) -> None:
    uri = uri_file(tmp_path)

    async def main() -> None:
        databases = [CountedDatabase(uri, "market") for _ in range(4)]
        await asyncio.gather(*(database.start("market") for database in databases))
        for database in databases:
            await database.stop()

    run(main())


def test_a_call_that_comes_again_at_another_replica_has_its_effect_once(tmp_path: Path) -> None:
    uri = uri_file(tmp_path)

    async def main() -> None:
        one, other = World(registry=registry_of(uri)), World(registry=registry_of(uri))
        buyer = await one.buyer()
        [seller, same] = [await world.seller("house") for world in (one, other)]
        body = one.search_body("buyer")
        headers = one.signed(buyer, body)
        first = await one.post("/search", body, headers)
        await one.clock.sleep(1)
        assert answer_of(await other.post("/search", body, headers)) == answer_of(first)
        await one.clock.sleep(1)
        assert (len(seller.got), len(same.got)) == (1, 0)

        renewal = entry(signer("house"), url="http://house.new").model_dump_json(exclude_none=True).encode()
        for world, url in ((one, "http://house.new"), (other, "http://house.new")):
            assert (await world.post("/subscribe", renewal, one.signed(REGISTRAR, renewal))).status == 200
            assert {held["url"] for held in await world.lookup(type="BPP")} == {url}
        await one.registry.stop()
        await other.registry.stop()

    run(main())


def test_what_somebody_may_send_is_for_all_replicas_together(tmp_path: Path) -> None:
    uri = uri_file(tmp_path)

    async def main() -> None:
        databases = [CountedDatabase(uri, "market") for _ in range(2)]
        clock = LoopClock(NOW)
        limits = [Limit(database, clock, per_s=2, burst=4, what="searches") for database in databases]
        for limit in (*limits, *limits):
            await limit.require("buyer")
        with pytest.raises(Refusal, match=r"'buyer' may send 4 searches at once and 2 a second; come again in 1 s"):
            await limits[0].require("buyer")
        await limits[1].require("another")
        await clock.sleep(0.5)
        await limits[1].require("buyer")
        with pytest.raises(Refusal):
            await limits[0].require("buyer")
        for database in databases:
            await database.stop()

    run(main())


def test_another_gateways_database_is_refused(tmp_path: Path) -> None:
    uri = uri_file(tmp_path)

    async def main() -> None:
        registry = registry_of(uri)
        await registry.start("market.street")
        await registry.stop()

    run(main())
    text = "the database is the registry of 'market.street'; give 'market.village' one of its own"
    assert refusal(uri, "market.village") == text


def test_tables_of_another_version_are_refused(tmp_path: Path, server: Server) -> None:
    at = server.new_database()
    uri = uri_file(tmp_path, at)

    async def main() -> None:
        registry = registry_of(uri)
        await registry.start("market")
        await registry.stop()

    run(main())
    with psycopg.connect(at) as connection:
        connection.execute("UPDATE wattmesh.registry SET version = 99")
    text = f"the database was made by another wattmesh (schema 99; this one knows {VERSION}); use that one"
    assert refusal(uri) == text


@pytest.mark.parametrize(
    ("wrong", "text"),
    [
        (lambda uri: uri.replace("/registry", "/nowhere"), 'database "nowhere'),
        (lambda uri: uri.replace("fuses", "fuzes"), "password authentication failed"),
        (lambda uri: uri.replace("host=", "host=/nowhere"), "No such file or directory"),
        (
            lambda _: f"postgresql//keeper:{PASSWORD}@host/db",
            "is not one of PostgreSQL, such as postgresql://user:password@host/database",
        ),
    ],
    ids=["database", "password", "host", "no URI"],
)
def test_a_uri_that_leads_nowhere_is_told_without_its_password(
    tmp_path: Path, server: Server, wrong: Callable[[str], str], text: str
) -> None:
    said = refusal(uri_file(tmp_path, wrong(server.new_database())))
    assert str(tmp_path / "uri") in said
    assert text in said


def test_a_password_that_was_changed_is_taken_at_the_next_connection(tmp_path: Path, server: Server) -> None:
    at = server.new_database()
    with psycopg.connect(at, autocommit=True) as connection:
        connection.execute("CREATE ROLE keeper LOGIN SUPERUSER PASSWORD 'old'")
    uri = uri_file(tmp_path, at.replace("wattmesh:fuses%20and%20meters", "keeper:old"))

    async def main() -> None:
        registry = registry_of(uri)
        await registry.put(entry(signer("house")), NOW)
        await registry.stop()
        with psycopg.connect(at, autocommit=True) as connection:
            connection.execute("ALTER ROLE keeper PASSWORD 'new'")
        uri.write_text(uri.read_text().replace("keeper:old", "keeper:new"))
        assert len(await registry.find("house", NOW)) == 1
        await registry.stop()

    run(main())


def test_while_the_server_is_gone_calls_are_busy_and_afterwards_all_is_there(
    tmp_path: Path, own_server: Server
) -> None:
    uri = uri_file(tmp_path, own_server.new_database())

    async def main() -> None:
        world = World(registry=registry_of(uri))
        buyer = await world.buyer()
        assert await world.gateway.ready()
        own_server.stop()
        assert not await world.gateway.ready()
        replies = [await world.subscribe(entry(buyer)), await world.post("/lookup", b"{}"), await world.search(buyer)]
        for reply in replies:
            assert problem(reply)[:2] == (503, "40000")
            assert reply.headers["retry-after"] == "1"
            assert PASSWORD not in str(answer_of(reply))
        own_server.start()
        assert await world.gateway.ready()
        assert [one["subscriber_id"] for one in await world.lookup()] == ["buyer"]
        await world.registry.stop()

    run(main())


def test_after_a_start_of_the_server_all_is_read_anew(tmp_path: Path, own_server: Server) -> None:
    """It may have been restored from an older copy."""
    uri = uri_file(tmp_path, own_server.new_database())

    async def main() -> None:
        registry = registry_of(uri)
        await registry.put(entry(signer("house")), NOW)
        page = await registry.changes({}, NOW, after=None, most=10)
        await registry.stop()
        own_server.stop()
        own_server.start()
        with pytest.raises(ChangesForgotten):
            await registry.changes({}, NOW, after=page.cursor, most=10)
        await registry.stop()

    run(main())


def test_a_text_that_postgresql_cannot_keep_is_refused_and_asks_for_no_repetition(tmp_path: Path) -> None:
    uri = uri_file(tmp_path)

    async def main() -> None:
        registry = registry_of(uri)
        with pytest.raises(Refusal, match=r"it cannot be kept: .*NUL") as caught:
            await registry.find("house\0", NOW)
        assert caught.value.status == 400
        await registry.stop()

    run(main())


def test_entries_are_in_the_order_of_their_bytes_whatever_the_databases_language(
    tmp_path: Path, server: Server
) -> None:
    uri = uri_file(tmp_path, server.new_database(language="en"))

    async def main() -> None:
        registry = registry_of(uri)
        for name in ("b", "B", "a-1", "a1"):
            await registry.put(entry(signer("house"), subscriber_id=name), NOW)
        found = [one.subscriber_id for one in await registry.lookup({}, NOW, most=10)]
        assert found == sorted(found) == ["B", "a-1", "a1", "b"]
        await registry.stop()

    run(main())
