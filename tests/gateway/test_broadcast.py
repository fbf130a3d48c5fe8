from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Mapping

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.gateway.support import NOW, SellerSite, World, asked, entry, outcomes, problem, run
from tests.world.subscribers import signer
from wattmesh_beckn.answers import nack
from wattmesh_beckn.errors import Refusal, busy, too_many
from wattmesh_beckn.transport import Reply, TransportError
from wattmesh_gateway import broadcast
from wattmesh_gateway.broadcast import MOST_WAITING_OF_ONE, Broadcast, Cast, rest_s
from wattmesh_gateway.metrics import Metrics
from wattmesh_gateway.registry import Seller


def sellers(*names: str) -> list[Seller]:
    return [Seller(name, f"http://{name}") for name in names]


def cast(expires_at: float = NOW + 30, size: int = 2) -> Cast:
    return Cast(b"{" + b" " * (size - 2) + b"}", {}, expires_at)


class Street(World):
    """A broadcast by itself, with sites that need not be registered."""

    def __init__(self) -> None:
        super().__init__()
        self.metrics = Metrics()
        self.broadcast = Broadcast(self.memory, self.clock, self.metrics)

    def site(self, name: str, reply: Reply | None = None, *, delay_s: float = 0.0) -> SellerSite:
        site = SellerSite(self, reply, delay_s=delay_s)
        self.memory.attach(f"http://{name}", site)
        return site

    def counts(self) -> dict[str, int]:
        return outcomes(self.metrics)


def test_rests_grow_to_a_minute() -> None:
    assert [rest_s(failures) for failures in (1, 2, 3, 6, 7, 10_000)] == [1, 2, 4, 32, 60, 60]


def test_a_slow_and_a_dead_seller_delay_nobody() -> None:
    async def main() -> None:
        world = World()
        buyer = await world.buyer()
        slow = await world.seller("a-slow", delay_s=1_000)
        await world.subscribe(entry(signer("b-dead")))
        good = await world.seller("c-good")
        for _ in range(20):
            await world.search(buyer)
            await world.clock.sleep(0.25)
        assert good.times == [number * 0.25 for number in range(20)]
        # Four at once, then rests of 1 s, ended by the first timeout after 2 s; one trial after it, then 2 s of rest.
        assert slow.times == [0, 0.25, 0.5, 0.75, 3]
        assert world.outcomes()["acked"] == 20

    run(main())


def test_a_seller_that_refuses_the_connection_rests_longer_each_time_and_comes_back_at_once() -> None:
    async def main() -> None:
        street = Street()
        asked_at: list[float] = []
        for second in range(140):
            asked_at += [second] * street.broadcast.submit(cast(NOW + 1_000), sellers("dead"))
            await street.clock.sleep(1)
            if second == 130:
                street.site("dead")
        assert asked_at == [0, 1, 3, 7, 15, 31, 63, 123]
        assert street.counts() == {"refused": 8, "resting": 132}

    run(main())


def test_a_seller_is_well_again_after_one_answer() -> None:
    async def main() -> None:
        street = Street()
        street.broadcast.submit(cast(), sellers("house"))
        await street.clock.sleep(1)
        site = street.site("house")
        assert street.broadcast.submit(cast(), sellers("house")) == 1
        assert street.broadcast.submit(cast(), sellers("house")) == 0  # one trial at a time
        await street.clock.sleep(0.1)
        assert [street.broadcast.submit(cast(), sellers("house")) for _ in range(3)] == [1, 1, 1]
        await street.clock.sleep(0.1)
        assert len(site.got) == 4

    run(main())


def test_a_seller_with_a_new_address_is_asked_there_at_once() -> None:
    async def main() -> None:
        street = Street()
        street.broadcast.submit(cast(), sellers("house"))
        await street.clock.sleep(0.1)
        new = street.site("new")
        assert street.broadcast.submit(cast(), [Seller("house", "http://new")]) == 1
        await street.clock.sleep(0.1)
        assert len(new.got) == 1

    run(main())


@pytest.mark.parametrize("reply", [nack(busy("later", 1)), Reply(500, b"")])
def test_a_seller_that_cannot_answer_rests_and_is_not_asked_the_same_again(reply: Reply) -> None:
    async def main() -> None:
        street = Street()
        site = street.site("house", reply)
        street.broadcast.submit(cast(), sellers("house"))
        await street.clock.sleep(0.5)
        assert street.broadcast.submit(cast(), sellers("house")) == 0
        assert (len(site.got), street.counts()) == (1, {"refused": 1, "resting": 1})

    run(main())


def test_a_seller_that_hears_too_much_of_one_buyer_does_not_rest_for_the_others() -> None:
    async def main() -> None:
        street = Street()
        street.site("house", nack(too_many("'eager' may send 500 messages at once", 1)))
        for _ in range(2):
            assert street.broadcast.submit(cast(), sellers("house")) == 1
            await street.clock.sleep(0.1)
        assert street.counts() == {"nacked": 2}

    run(main())


def test_a_lost_connection_is_tried_once_more() -> None:
    class Flaky(SellerSite):
        async def post(self, path: str, body: bytes, headers: Mapping[str, str]) -> Reply:
            reply = await super().post(path, body, headers)
            if len(self.got) == 1:
                raise TransportError("Server disconnected")
            return reply

    async def main() -> None:
        street = Street()
        site = Flaky(street)
        street.memory.attach("http://house", site)
        street.broadcast.submit(cast(), sellers("house"))
        await street.clock.sleep(1)
        assert (len(site.got), street.counts()) == (2, {"acked": 1})

    run(main())


def test_a_seller_has_two_seconds_or_what_is_left_of_the_search() -> None:
    async def main() -> None:
        street = Street()
        street.site("slow", delay_s=1_000)
        street.broadcast.submit(cast(NOW + 0.5), sellers("slow"))
        await street.clock.sleep(0.501)
        assert street.counts() == {"timeout": 1}
        # With less than its full time it is not to blame: it does not rest.
        assert street.broadcast.submit(cast(), sellers("slow")) == 1
        await street.clock.sleep(1.999)
        assert street.counts() == {"timeout": 1}
        await street.clock.sleep(0.002)
        assert street.counts() == {"timeout": 2}
        assert street.broadcast.submit(cast(), sellers("slow")) == 0

    run(main())


def test_a_seller_has_four_searches_in_flight_and_the_others_wait_their_turn() -> None:
    async def main() -> None:
        street = Street()
        site = street.site("house", delay_s=1)
        for _ in range(10):
            assert street.broadcast.submit(cast(), sellers("house")) == 1
        await street.clock.sleep(10)
        assert site.times == [0] * 4 + [1] * 4 + [2] * 2

    run(main())


def test_few_sellers_are_asked_first_and_soon_more_at_once() -> None:
    async def main() -> None:
        street = Street()
        sites = [street.site(f"house-{number}", delay_s=1) for number in range(100)]
        street.broadcast.submit(cast(), sellers(*(f"house-{number}" for number in range(100))))
        await street.clock.sleep(3)
        begun = Counter(round(at, 2) for site in sites for at in site.times)
        assert begun == {0: 8, 0.02: 8, 0.04: 16, 0.06: 32, 1: 8, 1.02: 8, 1.04: 16, 1.06: 4}

    run(main())


def test_after_a_pause_few_are_asked_first_again() -> None:
    async def main() -> None:
        street = Street()
        sites = [street.site(f"house-{number}") for number in range(10)]
        for _ in range(2):
            street.broadcast.submit(cast(), sellers(*(f"house-{number}" for number in range(10))))
            await street.clock.sleep(1)
        assert Counter(at for site in sites for at in site.times) == {0: 10, 1: 10}, "who answers at once makes room"
        slow = [street.site(f"slow-{number}", delay_s=1) for number in range(10)]
        street.broadcast.submit(cast(), sellers(*(f"slow-{number}" for number in range(10))))
        await street.clock.sleep(2)
        assert Counter(round(at, 2) for site in slow for at in site.times) == {2: 8, 2.02: 2}

    run(main())


def test_what_waits_for_one_seller_is_bounded_and_the_rest_is_dropped_and_counted() -> None:
    async def main() -> None:
        street = Street()
        street.site("house", delay_s=1.9)
        taken = sum(street.broadcast.submit(cast(), sellers("house")) for _ in range(1_000))
        assert taken == MOST_WAITING_OF_ONE + 4
        await street.clock.sleep(60)
        # At most 16 waves of four fit into the search's 30 s.
        assert street.counts() == {"acked": 60, "dropped": 1_000 - 64, "timeout": 4}
        assert street.broadcast.waiting == 0

    run(main())


def test_many_dead_sellers_do_not_hold_up_the_live_ones() -> None:
    async def main() -> None:
        street = Street()
        dead = sellers(*(f"dead-{number}" for number in range(200)))
        for seller in dead:
            street.site(seller.subscriber_id, delay_s=1_000)
        good = street.site("good")
        street.broadcast.submit(cast(NOW + 100), dead)
        await street.clock.sleep(50)
        begun = street.clock.wall() - NOW
        assert street.broadcast.submit(cast(NOW + 100), [*dead, *sellers("good")]) == 201
        await street.clock.sleep(10)
        assert good.times == [begun]

    run(main())


def test_a_search_that_does_not_fit_whole_is_refused_and_the_queue_stays_bounded(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(broadcast, "MOST_WAITING", 100)

    async def main() -> None:
        world = World()
        buyer = await world.buyer()
        for number in range(30):
            await world.seller(f"house-{number}", delay_s=1)
        assert [asked(await world.search(buyer)) for _ in range(2)] == [30] * 2
        await world.clock.sleep(0.1)  # until as many may be asked at once as ever
        assert [asked(await world.search(buyer)) for _ in range(3)] == [30] * 3
        reply = await world.search(buyer)
        assert problem(reply) == (503, "40000", "86 sends wait already and this search needs 30 more")
        assert reply.headers["retry-after"] == "1"
        await world.clock.sleep(3)
        assert asked(await world.search(buyer)) == 30
        await world.clock.sleep(3)
        assert world.outcomes() == {"acked": 180}

    run(main())


def test_an_empty_queue_takes_any_search(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(broadcast, "MOST_WAITING", 100)

    async def main() -> None:
        street = Street()
        assert street.broadcast.submit(cast(), sellers(*(f"house-{number}" for number in range(200)))) == 200
        await street.clock.sleep(1)
        assert street.counts() == {"refused": 200}

    run(main())


def test_the_bytes_that_wait_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(broadcast, "MOST_WAITING_BYTES", 1_000)

    async def main() -> None:
        street = Street()
        street.site("house", delay_s=1)
        street.broadcast.submit(cast(size=600), sellers("house"))
        with pytest.raises(Refusal, match="600 bytes of searches wait already"):
            street.broadcast.submit(cast(size=600), sellers("house"))
        await street.clock.sleep(1.1)
        street.broadcast.submit(cast(size=600), sellers("house"))

    run(main())


def test_a_stop_finishes_what_is_under_way_and_gives_up_what_takes_too_long() -> None:
    async def main() -> None:
        street = Street()
        street.site("quick", delay_s=1)
        street.site("slow", delay_s=1.9)
        for _ in range(5):
            street.broadcast.submit(cast(), sellers("quick"))
        for _ in range(40):
            street.broadcast.submit(cast(), sellers("slow"))
        await street.broadcast.stop()
        assert street.clock.wall() == NOW + 5
        assert street.counts() == {"acked": 5 + 8, "dropped": 32}
        with pytest.raises(Refusal, match="the gateway is stopping"):
            street.broadcast.submit(cast(), sellers("quick"))
        assert len(asyncio.all_tasks()) == 1

    run(main())


@given(
    st.lists(
        st.tuples(st.integers(0, 5), st.integers(0, 3_000), st.integers(1, 300)),
        max_size=60,
    )
)
def test_every_pair_comes_to_exactly_one_outcome_and_nothing_is_left_behind(
    steps: list[tuple[int, int, int]],
) -> None:
    async def main() -> None:
        street = Street()
        for number, delay_s in enumerate((0, 0.1, 1.9, 2.1, 1_000)):  # and house-5 is dead
            street.site(f"house-{number}", delay_s=delay_s)
        pairs = 0
        for count, wait_ms, size in steps:
            names = [f"house-{number}" for number in range(count, 6)]
            street.broadcast.submit(cast(street.clock.wall() + 5, size + 2), sellers(*names))
            pairs += len(names)
            await street.clock.sleep(wait_ms / 1000)
        await street.broadcast.stop()
        assert sum(street.counts().values()) == pairs
        assert street.broadcast.waiting == 0
        assert street.broadcast._bytes == 0
        assert len(asyncio.all_tasks()) == 1

    run(main())
