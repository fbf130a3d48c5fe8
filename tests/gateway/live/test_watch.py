"""Looking at the pods, in virtual time."""

from __future__ import annotations

from contextlib import ExitStack
from typing import Any

import pytest

from tests.gateway.live.pages import SLOT, Pods, party, raw_page
from tests.gateway.support import World, entry, run
from tests.world.parties import FEEDER
from tests.world.subscribers import DOMAIN, signer
from tests.world.tokens import TOKEN
from wattmesh_beckn.transport import Reply
from wattmesh_common.clock import utc
from wattmesh_gateway.live.watch import FIRST_LOOK_S, KEPT_S, MOST_VIEWERS, TooManyViewers, Watch


async def watched(*names: str) -> tuple[World, Pods, Watch]:
    """A gateway at which `<pod>/<name>` are registered, each as BAP and BPP, and its watch."""
    world, pages = World(), Pods()
    for name in names:
        pod, _, household = name.partition("/")
        for role in ("BAP", "BPP"):
            reply = await world.subscribe(entry(signer(household), role, url=f"http://{pod}/{household}"))
            assert reply.status == 200, reply.body
        page = pages.pages.setdefault(f"http://{pod}", raw_page())
        page["parties"].append(party(household))
    return world, pages, world.gateway.watched_through(pages, TOKEN)


def reached(watch: Watch, world: World) -> dict[str, bool]:
    return {one["subscriber_id"]: one["reached"] for one in watch.street.snapshot(world.clock.wall())["parties"]}


def test_nobody_is_asked_while_nobody_looks_and_each_pod_once_a_second_while_somebody_does() -> None:
    async def main() -> None:
        world, pages, watch = await watched("one/a", "one/b", "two/c")
        await world.clock.sleep(10)
        assert pages.asked == []
        with watch.viewing(), watch.viewing():
            assert watch.viewers == 2
            await world.clock.sleep(9.5)
        asked = len(pages.asked)
        assert pages.asked[:2] == ["http://one/live?after=0&slot=0", "http://two/live?after=0&slot=0"]
        assert asked == 20
        await world.clock.sleep(10)
        assert len(pages.asked) == asked
        assert reached(watch, world) == {"a": True, "b": True, "c": True}
        await watch.stop()

    run(main())


def test_a_dead_pod_rests_and_holds_nobody_up() -> None:
    async def main() -> None:
        world, pages, watch = await watched("one/a", "dead/b", "bad/c", "angry/d")
        del pages.pages["http://dead"]
        pages.pages["http://bad"] = {"no": "page"}
        pages.pages["http://angry"] = Reply(503, b"")
        with watch.viewing():
            await world.clock.sleep(60.5)
        count = {pod: sum(url.startswith(f"http://{pod}/") for url in pages.asked) for pod in ("one", "dead", "bad")}
        assert count["one"] > 55
        assert count["dead"] == count["bad"] == 6  # at 0, 1, 3, 7, 15 and 31 s
        assert reached(watch, world) == {"a": True, "b": False, "c": False, "d": False}
        pages.pages["http://dead"] = raw_page(party("b"))
        with watch.viewing():
            await world.clock.sleep(60)
        assert reached(watch, world)["b"]
        await watch.stop()

    run(main())


def test_who_comes_first_is_shown_what_is_known_by_then() -> None:
    async def main() -> None:
        world, pages, watch = await watched("slow/a")
        pages.delay_s = 100
        began = world.clock.wall()
        await watch.look()
        assert world.clock.wall() - began == pytest.approx(FIRST_LOOK_S)
        assert reached(watch, world) == {"a": False}
        await watch.stop()

    run(main())


def test_looking_often_asks_no_more_often() -> None:
    async def main() -> None:
        world, pages, watch = await watched("one/a")
        for _ in range(50):
            await watch.look()
            await world.clock.sleep(0.1)
        assert 4 <= len(pages.asked) <= 6
        await watch.stop()

    run(main())


def test_who_leaves_the_registry_leaves_the_street() -> None:
    async def main() -> None:
        world, _, watch = await watched("one/a", "two/b")
        with watch.viewing():
            await world.clock.sleep(2)
            for role in ("BAP", "BPP"):
                ended = entry(signer("b"), role, url="http://two/b", valid_until=utc(world.clock.wall() + 2))
                assert (await world.subscribe(ended)).status == 200
            await world.clock.sleep(10)
        assert reached(watch, world) == {"a": True}
        await watch.stop()

    run(main())


def test_there_is_room_for_so_many() -> None:
    async def main() -> None:
        _, _, watch = await watched()
        with ExitStack() as places:
            for _ in range(MOST_VIEWERS):
                places.enter_context(watch.viewing())
            with pytest.raises(TooManyViewers):
                places.enter_context(watch.viewing())
        with watch.viewing():
            assert watch.viewers == 1
        await watch.stop()

    run(main())


def test_who_has_looked_for_longest_makes_room_for_who_comes() -> None:
    async def main() -> None:
        world, _, watch = await watched()
        with ExitStack() as places:
            silent = [places.enter_context(watch.viewing()) for _ in range(MOST_VIEWERS)]
            await world.clock.sleep(KEPT_S)
            for number in range(3):
                places.enter_context(watch.viewing())
                assert [one.is_set() for one in silent].count(True) == number + 1
                assert silent[number].is_set()
                assert watch.viewers == MOST_VIEWERS
        assert watch.viewers == 0
        await watch.stop()

    run(main())


def test_an_address_that_today_could_not_be_registered_is_not_called() -> None:
    async def main() -> None:
        world, pages, watch = await watched("one/a")
        now = world.clock.wall()
        for number, url in enumerate(["http://169.254.169.254/x", "http://0x7f.1/x", "http://[fe80::1]/x"]):
            # As a gateway before these rules may have written it.
            await world.registry.put(entry(signer(f"old-{number}"), "BPP", url=url), now)
        await watch.look()
        assert pages.asked == ["http://one/live?after=0&slot=0"]
        assert len(await world.registry.members(DOMAIN, now, most=10)) == 4
        await watch.stop()

    run(main())


def test_a_fault_in_one_look_does_not_end_the_looking(caplog: pytest.LogCaptureFixture) -> None:
    async def main() -> None:
        world, pages, watch = await watched("one/a")
        get, faults = pages.get, iter([True, False])

        async def faulty(url: str, **options: Any) -> Reply:
            if next(faults, False):
                raise RuntimeError("what nobody thought of")
            return await get(url, **options)

        pages.get = faulty  # type: ignore[method-assign]
        with watch.viewing():
            await world.clock.sleep(3)
        assert reached(watch, world) == {"a": True}
        await watch.stop()

    run(main())
    assert "fault in looking at the street" in caplog.text


def test_the_books_are_read_while_somebody_looks_and_a_slot_once_all_have_told_it() -> None:
    async def main() -> None:
        world, pages, watch = await watched("one/a", "two/b")
        booked = [SLOT - 900, 1, 0, 100, 100, 0, 0, 100, 0, 0, 0]
        for pod, name in (("one", "a"), ("two", "b")):
            pages.pages[f"http://{pod}/history"] = {"until": SLOT, "more": False, "feeders": {FEEDER: [booked]}}
            reading = [SLOT - 900, 0, 0, 100, 0, 0, 100, 0]
            pages.pages[f"http://{pod}/history/{SLOT - 900}"] = {"readings": {name: reading}, "contracts": []}
        with watch.viewing():
            await world.clock.sleep(3)
        [row] = watch.street.history(FEEDER)
        assert (row.households, row.load_wh) == (2, 200)
        lost = pages.pages.pop(f"http://two/history/{SLOT - 900}")
        past = await watch.past(FEEDER, SLOT - 900)
        assert (past["readings"].keys(), past["unreached"]) == ({"a"}, ["b"])
        pages.pages[f"http://two/history/{SLOT - 900}"] = lost
        past = await watch.past(FEEDER, SLOT - 900)
        assert (past["readings"].keys(), past["unreached"]) == ({"a", "b"}, [])
        pages.pages.clear()
        assert await watch.past(FEEDER, SLOT - 900) == past, "it is remembered"
        await watch.stop()

    run(main())
