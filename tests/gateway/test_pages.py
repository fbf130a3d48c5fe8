"""Look-ups by pages and by change: nothing is left out, nothing is read twice, and no answer is too big."""

from __future__ import annotations

import json
import uuid
from collections.abc import Mapping
from itertools import chain
from pathlib import Path
from typing import Any

import pytest

from tests.gateway.support import NOW, World, answer_of, entry, problem, run
from tests.world.subscribers import signer
from wattmesh_beckn.registry import RegistryUnavailable, Subscription, SubscriptionStatus
from wattmesh_beckn.registry_copy import RegistryCopy
from wattmesh_beckn.transport import MAX_ANSWER_BYTES, Reply, Transport, TransportError
from wattmesh_gateway.lookup import MOST_FOUND, MOST_ON_PAGE
from wattmesh_gateway.registry import MOST_ENTRIES_OF_ONE

KEY = signer("house")
URL = "http://gateway.street"


def house(number: int, **changes: Any) -> Subscription:
    return entry(KEY, **{"subscriber_id": f"house-{number}", **changes})


async def fill(world: World, number: int, **changes: Any) -> None:
    async with world.registry.writing("subscribe", NOW) as writing:
        for one in range(number):
            await writing.put(house(one, **changes), NOW)


async def page(
    world: World, after: str | None = None, most: int = MOST_ON_PAGE, **subset: Any
) -> tuple[Any, str, bool]:
    """Subscriber ids of a page, its cursor, and whether there is more."""
    asked = {"most": most} | ({} if after is None else {"after": after})
    answer = await world.lookup(**subset, page=asked)
    return [one["subscriber_id"] for one in answer["entries"]], answer["cursor"], answer["more"]


async def pages(world: World, most: int = MOST_ON_PAGE, **subset: Any) -> list[list[str]]:
    found, cursor, more = await page(world, most=most, **subset)
    read = [found]
    while more:
        found, cursor, more = await page(world, cursor, most, **subset)
        read.append(found)
    return read


def test_more_than_one_answer_holds_is_read_by_pages_each_entry_once() -> None:
    async def main() -> None:
        world = World()
        await fill(world, MOST_FOUND + 1)
        text = f"more than {MOST_FOUND} entries or {MAX_ANSWER_BYTES} bytes match; read them by pages, with 'page'"
        assert problem(await world.post("/lookup", b'{"type": "BPP"}')) == (400, "30000", text)
        read = await pages(world, type="BPP")
        assert [len(one) for one in read] == [1000, 1000, 1]
        assert [*chain(*read)] == [f"house-{number}" for number in range(MOST_FOUND + 1)]

    run(main())


def test_a_page_holds_what_is_asked_for_and_a_full_last_one_says_that_it_is_the_last() -> None:
    async def main() -> None:
        world = World()
        await fill(world, 4)
        await world.registry.put(house(9, location={"city": {"code": "feeder-2"}}), NOW)
        assert await pages(world, 2) == [["house-0", "house-1"], ["house-2", "house-3"], ["house-9"]]
        assert await pages(world, 2, location={"city": {"code": "feeder-1"}}) == [
            ["house-0", "house-1"],
            ["house-2", "house-3"],
        ]

    run(main())


def test_a_cursor_leads_to_what_has_changed_since() -> None:
    async def main() -> None:
        world = World()
        await fill(world, 3)
        _, cursor, _ = await page(world)
        assert await page(world, cursor) == ([], cursor, False)
        await world.registry.put(house(1, status=SubscriptionStatus.UNSUBSCRIBED), NOW)
        found, later, more = await page(world, cursor)
        assert (found, more) == (["house-1"], False)
        assert await page(world, later) == ([], later, False)

    run(main())


def test_what_changes_while_pages_are_read_comes_on_a_later_one() -> None:
    async def main() -> None:
        world = World()
        await fill(world, 4)
        first, cursor, _ = await page(world, most=2)
        await world.registry.put(house(0, status=SubscriptionStatus.UNSUBSCRIBED), NOW)
        second, cursor, more = await page(world, cursor, most=2)
        third, _, _ = await page(world, cursor, most=2)
        assert (first, second, third) == (["house-0", "house-1"], ["house-2", "house-3"], ["house-0"])
        assert more

    run(main())


def test_a_page_of_long_entries_is_short_enough_to_be_read() -> None:
    async def main() -> None:
        world = World()
        await fill(world, 1500, url=f"http://house/{'x' * 2000}")
        reply = await world.post("/lookup", b'{"page": {}}')
        assert len(reply.body) <= MAX_ANSWER_BYTES
        assert answer_of(reply)["more"]
        assert problem(await world.post("/lookup", b"{}"))[0] == 400
        assert [*chain(*await pages(world))] == [f"house-{number}" for number in range(1500)]

    run(main())


@pytest.mark.parametrize(
    ("asked", "text"),
    [
        ({"most": 0}, "page.most: Input should be greater than or equal to 1"),
        ({"most": 1001}, "page.most: Input should be less than or equal to 1000"),
        ({"most": "10"}, "page.most: Input should be a valid integer"),
        ({"after": "x" * 101}, "page.after: String should have at most 100 characters"),
        ({"number": 2}, "page.number: Extra inputs are not permitted"),
        (3, "page: Input should be a valid dictionary or instance of PageAsked"),
    ],
)
def test_an_unsound_page_is_refused(asked: Any, text: str) -> None:
    async def main() -> Any:
        return await World().post("/lookup", json.dumps({"page": asked}).encode())

    assert problem(run(main())) == (400, "30000", text)


GONE = (410, "30000", "page.after: what has changed since is not known any more; read from the beginning, without it")


@pytest.mark.parametrize("cursor", ["", "x", "x.1", "{start}", "{start}.", "{start}.-1", "{start}.7", "{start}.1.1"])
def test_a_cursor_that_leads_nowhere_is_gone(cursor: str) -> None:
    async def main() -> Any:
        world = World()
        await fill(world, 3)
        _, held, _ = await page(world)
        asked = {"page": {"after": cursor.format(start=held.partition(".")[0])}}
        return await world.post("/lookup", json.dumps(asked).encode())

    assert problem(run(main())) == GONE


@pytest.mark.sqlite
def test_after_a_start_of_the_gateway_all_is_read_anew(tmp_path: Path) -> None:
    async def main() -> None:
        first = World(tmp_path / "registry.db")
        await fill(first, 3)
        _, cursor, _ = await page(first)
        first.registry.close()
        second = World(tmp_path / "registry.db")
        reply = await second.post("/lookup", json.dumps({"page": {"after": cursor}}).encode())
        assert problem(reply) == GONE
        found, _, _ = await page(second)
        assert found == ["house-0", "house-1", "house-2"]
        second.registry.close()

    run(main())


def test_who_has_not_read_what_was_dropped_reads_anew() -> None:
    """Else it would take an entry that has ended for one that goes on."""

    async def main() -> None:
        world = World()
        copy = RegistryCopy(URL, world.memory)
        keys = [str(uuid.UUID(int=number, version=4)) for number in range(MOST_ENTRIES_OF_ONE + 1)]
        await world.registry.put(house(0, key_id=keys[0]), NOW)
        assert [one.key_id for one in await copy.update(NOW)] == [keys[0]]
        await world.registry.put(house(0, key_id=keys[0], status=SubscriptionStatus.UNSUBSCRIBED), NOW)
        for key in keys[1:]:
            await world.registry.put(house(0, key_id=key), NOW + 1)
        assert {one.key_id for one in await copy.update(NOW)} == {*keys[1:]}

    run(main())


def test_a_copy_holds_what_the_registry_holds_after_every_change() -> None:
    async def main() -> None:
        world = World()
        await fill(world, MOST_FOUND + 1)
        copy = RegistryCopy(URL, world.memory)
        assert len(await copy.update(NOW)) == MOST_FOUND + 1
        await world.registry.put(house(5, status=SubscriptionStatus.UNSUBSCRIBED), NOW)
        await world.registry.put(house(6, url="http://moved", domain="another"), NOW)
        held = {one.subscriber_id: one for one in await copy.update(NOW)}
        assert len(held) == MOST_FOUND
        assert "house-5" not in held
        assert (held["house-6"].url, held["house-6"].domain) == ("http://moved", "another")
        assert len(await copy.update(NOW + 3600)) == 0, "all have ended"

    run(main())


class Failing:
    """A transport on which the calls of some numbers fail."""

    def __init__(self, transport: Transport, *fails: int) -> None:
        self._transport = transport
        self._fails = fails
        self.asked: list[dict[str, Any]] = []

    async def post(self, url: str, body: bytes, headers: Mapping[str, str], *, timeout_s: float) -> Reply:
        self.asked.append(json.loads(body)["page"])
        if len(self.asked) in self._fails:
            raise TransportError("connection refused")
        return await self._transport.post(url, body, headers, timeout_s=timeout_s)


def test_a_reading_that_breaks_off_is_taken_up_where_it_was() -> None:
    async def main() -> None:
        world = World()
        await fill(world, 3 * MOST_ON_PAGE)
        transport = Failing(world.memory, 3)
        copy = RegistryCopy(URL, transport)
        with pytest.raises(RegistryUnavailable, match="connection refused"):
            await copy.update(NOW)
        assert len(await copy.update(NOW)) == 3 * MOST_ON_PAGE
        assert transport.asked[2] == transport.asked[3]
        assert len(transport.asked) == 4

    run(main())
