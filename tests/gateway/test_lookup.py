from __future__ import annotations

import json
from typing import Any

import pytest

from tests.gateway.support import NOW, World, entry, problem, run
from tests.world.subscribers import signer
from wattmesh_common.clock import utc
from wattmesh_gateway import lookup

A, B = signer("a"), signer("b")


async def street() -> World:
    """a buys and sells on feeder-1, b sells on feeder-2 for a minute, in both versions of Beckn."""
    world = World()
    await world.subscribe(entry(A, "BAP"))
    await world.subscribe(entry(A, "BPP"))
    await world.subscribe(entry(B, "BPP", feeder="feeder-2", valid_until=utc(NOW + 60), protocols=("v1", "v2")))
    return world


@pytest.mark.parametrize(
    ("subset", "found"),
    [
        ({}, ["a BAP", "a BPP", "b BPP"]),
        ({"subscriber_id": "a"}, ["a BAP", "a BPP"]),
        ({"type": "BPP"}, ["a BPP", "b BPP"]),
        ({"type": "BPP", "location": {"city": {"code": "feeder-2"}}}, ["b BPP"]),
        ({"location": {"country": {"code": "DEU"}}, "type": "BAP"}, ["a BAP"]),
        ({"domain": "uei:p2p_trading", "url": "http://b"}, ["b BPP"]),
        ({"domain": "other"}, []),
        ({"key_id": A.key_id, "status": "SUBSCRIBED"}, ["a BAP", "a BPP", "b BPP"]),
        ({"signing_public_key": B.public_key}, ["b BPP"]),
        ({"valid_until": "2026-09-21T16:14:20+02:00"}, ["b BPP"]),
        ({"created": "2026-09-21T14:13:20Z", "type": "BAP"}, ["a BAP"]),
        ({"status": "EXPIRED"}, []),
        ({"type": None, "subscriber_id": "b"}, ["b BPP"]),
        ({"protocols": ["v2", "v1"]}, ["b BPP"]),
        ({"protocols": ["v1"], "type": "BPP"}, ["a BPP"]),
        ({"type": "BPP", "city": "feeder-2", "country": "DEU", "nonce": "123"}, ["b BPP"]),
        ({"subscriber_id": "a", "unique_key_id": A.key_id}, ["a BAP", "a BPP"]),
        ({"subscriber_id": "a", "unique_key_id": "00000000-0000-4000-8000-000000000007"}, []),
    ],
)
def test_a_lookup_finds_what_agrees_with_all_it_says(subset: dict[str, Any], found: list[str]) -> None:
    async def main() -> Any:
        return await (await street()).lookup(**subset)

    assert [f"{one['subscriber_id']} {one['type']}" for one in run(main())] == found


def test_of_a_subscribers_entries_those_that_hold_come_first() -> None:
    async def main() -> list[tuple[str, str]]:
        world = World()
        for number in (1, 2, 3):
            ends = utc(NOW + (60 if number != 2 else 86_400))
            await world.subscribe(entry(signer("a", number), "BPP", valid_until=ends))
        await world.clock.sleep(61)
        return [(one["key_id"][-1], one["status"]) for one in await world.lookup(subscriber_id="a")]

    assert run(main()) == [("2", "SUBSCRIBED"), ("1", "EXPIRED"), ("3", "EXPIRED")]


def test_an_entry_is_expired_from_its_very_end_on() -> None:
    async def main() -> None:
        world = await street()
        await world.clock.sleep(59.999)
        assert [one["status"] for one in await world.lookup(subscriber_id="b")] == ["SUBSCRIBED"]
        await world.clock.sleep(0.001)
        assert [one["status"] for one in await world.lookup(subscriber_id="b")] == ["EXPIRED"]
        assert [one["subscriber_id"] for one in await world.lookup(status="EXPIRED")] == ["b"]
        assert [one["type"] for one in await world.lookup(status="SUBSCRIBED")] == ["BAP", "BPP"]

    run(main())


@pytest.mark.parametrize(
    ("subset", "text"),
    [
        (
            {"state": "Bavaria"},
            "entries cannot be looked up by 'state'; the fields are subscriber_id, url, type, domain, location, "
            "key_id, signing_public_key, encr_public_key, protocols, valid_from, valid_until, status, created, "
            "updated, page, unique_key_id, city, country, nonce",
        ),
        ({"type": "SELLER"}, "type: Input should be 'BAP', 'BPP' or 'BG'"),
        ({"location": {"gps": "1,2"}}, "location.gps: Extra inputs are not permitted"),
        ({"subscriber_id": 7}, "subscriber_id: Input should be a valid string"),
    ],
)
def test_a_lookup_by_anything_else_is_refused(subset: dict[str, Any], text: str) -> None:
    async def main() -> Any:
        return await World().post("/lookup", json.dumps(subset).encode())

    assert problem(run(main())) == (400, "30000", text)


def test_another_path_is_not_there() -> None:
    async def main() -> Any:
        return await World().post("/select", b"{}")

    assert problem(run(main())) == (404, "30000", "no such path '/select'; there are /lookup, /search, /subscribe")


def test_a_lookup_that_matches_too_much_is_refused_and_never_cut_short(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lookup, "MOST_FOUND", 2)

    async def main() -> None:
        world = await street()
        text = "more than 2 entries or 1048576 bytes match; read them by pages, with 'page'"
        assert problem(await world.post("/lookup", b"{}")) == (400, "30000", text)
        assert len(await world.lookup(type="BPP")) == 2

    run(main())
