"""Events in order, for readers who may be slow."""

from __future__ import annotations

import asyncio

from wattmesh_gateway.live.feed import MOST_BYTES, MOST_EVENTS, Feed


def feed(events: int, size: int = 1) -> Feed:
    made = Feed()
    for number in range(1, events + 1):
        made.publish(f"{number}".ljust(size).encode())
    return made


def test_a_reader_gets_what_came_after_its_place() -> None:
    made = feed(3)
    assert made.after(1) == [(2, b"2"), (3, b"3")]
    assert made.after(3) == []
    assert made.number_of(made.id_of(2)) == 2


def test_an_id_of_another_feed_or_of_what_is_forgotten_leads_nowhere() -> None:
    made = feed(MOST_EVENTS + 10)
    assert [made.number_of(made.id_of(number)) for number in (9, 10, MOST_EVENTS + 11)] == [None, 10, None]
    for text in (None, "", "1", feed(20).id_of(15), f"{made.id_of(15)}x", made.id_of(15).replace("15", "²"), "-" * 999):
        assert made.number_of(text) is None


def test_it_is_bounded_in_bytes_but_the_newest_stays() -> None:
    made = feed(5, size=MOST_BYTES // 3)
    assert [number for number, _ in made.after(0)] == [3, 4, 5]
    assert [number for number, _ in feed(2, size=2 * MOST_BYTES).after(0)] == [2]


def test_who_waits_is_woken() -> None:
    async def main() -> list[tuple[int, bytes]]:
        made = feed(1)
        waiting = asyncio.create_task(made.more())
        await asyncio.sleep(0)
        made.publish(b"2")
        await asyncio.wait_for(waiting, 5)
        return list(made.after(1))

    assert asyncio.run(main()) == [(2, b"2")]
