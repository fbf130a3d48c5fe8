"""The gateway as v2's discovery service: what sellers publish, and what buyers find of it."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from tests.foreign.platform_v2 import PlatformV2, answered, digest, instant, signer_of
from tests.gateway.support import GATEWAY, NOW, World, asked, entry, run
from tests.world.subscribers import signer
from wattmesh_beckn.codec.v2.writing import filter_for
from wattmesh_beckn.registry import SubscriberType
from wattmesh_beckn.signature import AUTHORIZATION
from wattmesh_beckn.transport import Reply
from wattmesh_common.clock import utc
from wattmesh_common.fields import ProtocolVersion
from wattmesh_gateway import catalogs, discovery
from wattmesh_market.energy.slots import SLOT_S

Json = dict[str, Any]
SLOT = NOW // SLOT_S * SLOT_S + SLOT_S
"""The following one; grid time is wall time here."""
NEXT = SLOT + SLOT_S
BOTH: tuple[ProtocolVersion, ...] = ("v1", "v2")


class Member(PlatformV2):
    """A registered platform, and the callbacks that it hears."""

    def __init__(self, world: World, name: str) -> None:
        self.seed = bytes(name.encode().ljust(32, b"."))
        super().__init__(name, "00000000-0000-4000-8000-000000000001", self.seed, f"http://{name}")
        self.world = world
        self.heard: list[Json] = []
        self.answer = Reply(200, b'{"message":{"status":"ACK"}}')
        self.answers_as: PlatformV2 | None = None
        """Who signs its answers to callbacks."""

    async def enter(self, role: SubscriberType, **changes: Any) -> None:
        """Be registered, and listen."""
        own = entry(signer(self.id), role, **{"protocols": ("v2",), "signing_public_key": self.public_key, **changes})
        assert (await self.world.subscribe(own)).status == 200
        self.world.memory.attach(self.url, self)

    async def post(self, path: str, body: bytes, headers: Mapping[str, str]) -> Reply:
        """Hear a callback, which the gateway has signed."""
        call: Json = json.loads(body)
        assert path == f"/{call['context']['action']}"
        assert signer_of(headers, body, GATEWAY.public_key) == GATEWAY.subscriber_id
        self.heard.append(call)
        if self.answers_as is None:
            return self.answer
        signature = self.answers_as.signature(self.answer.body, self.world.clock.wall(), headers["authorization"])
        return Reply(self.answer.status, self.answer.body, {"signature": signature})

    async def say(self, action: str, message: Json, **context: Any) -> Json:
        """Say something to the gateway, and take its answer, which is signed."""
        call = self.call(action, message, self.world.clock.wall(), **context)
        reply, body = await self.send(action, call)
        said = answered(reply.body, body, GATEWAY.public_key)
        assert said["messageId"] == call["context"]["messageId"]
        assert said["message"].get("status") == said["status"]  # as the reference adapter has it
        return said | {"http": reply.status}

    async def send(self, action: str, call: Json) -> tuple[Reply, bytes]:
        body = json.dumps(call).encode()
        headers = {AUTHORIZATION: self.signature(body, self.world.clock.wall())}
        return await self.world.post(f"/{action}", body, headers), body

    async def publish(self, *published: Json, **more: Any) -> list[Json]:
        """Publish catalogs that are taken; what is told of each then."""
        said = await self.say("catalog/publish", {"catalogs": list(published), **more})
        assert said["status"] == "ACK"
        await asyncio.sleep(0.1)
        results: list[Json] = self.heard.pop()["message"]["results"] if self.heard else []
        return results

    async def discover(self, expression: str | None = None, **context: Any) -> list[Json]:
        """The catalogs that are found, in one answer."""
        filters = {} if expression is None else {"filters": {"type": "jsonpath", "expression": expression}}
        said = await self.say("discover", {"intent": filters}, **context)
        assert said["status"] == "ACK"
        await asyncio.sleep(0.1)
        found: list[Json] = self.heard.pop()["message"]["catalogs"]
        assert not self.heard
        return found


async def street(*names: str, database: Path | None = None) -> tuple[World, Member, list[Member]]:
    """A buyer and sellers of its feeder, all of v2."""
    world = World(database, protocols=BOTH)
    buyer, sellers = Member(world, "buyer"), [Member(world, name) for name in names]
    await buyer.enter("BAP")
    for seller in sellers:
        await seller.enter("BPP")
    return world, buyer, sellers


def prices(found: list[Json]) -> dict[str, list[float]]:
    """Of each seller the first price of each of its offers."""
    return {
        catalog["bppId"]: [
            offer["offerAttributes"]["commitmentAttributes"]["intervals"][0]["payloads"][0]["values"][0]
            for offer in catalog["offers"]
        ]
        for catalog in found
    }


def test_what_is_published_is_found_with_who_sells_and_where() -> None:
    async def main() -> tuple[list[Json], list[Json], Json]:
        _, buyer, (roof,) = await street("roof")
        told = await roof.publish(roof.catalog(SLOT))
        return told, await buyer.discover(filter_for(SLOT)), roof.catalog(SLOT)

    told, (found,), said = run(main())
    assert told == [{"catalogId": "catalog-roof", "status": "ACCEPTED"}]
    assert found == {"bppId": "roof", "bppUri": "http://roof", **said}


def test_an_answer_names_the_question_and_its_digest() -> None:
    async def main() -> tuple[bytes, Json]:
        _, buyer, _ = await street()
        call = buyer.call("discover", {"intent": {}}, NOW)
        _, body = await buyer.send("discover", call)
        await asyncio.sleep(0.1)
        return body, buyer.heard[0]

    body, told = run(main())
    context, asked_in = told["context"], json.loads(body)["context"]
    assert told["message"] == {"catalogs": []}, "who finds nothing is told so, and need not wait"
    assert {name: context[name] for name in ("networkId", "version", "action", "bapId", "bapUri")} == {
        "networkId": "wattmesh.io/gateway.street",
        "version": "2.0.0",
        "action": "on_discover",
        "bapId": "buyer",
        "bapUri": "http://buyer",
    }
    assert [context[name] == asked_in[name] for name in ("transactionId", "messageId")] == [True, True]
    assert context["requestDigest"] == {"digest": f"BLAKE-512={digest(body)}"}


@pytest.mark.parametrize(("by", "proof"), [("who was asked", "signed"), ("another", "wrong"), ("nobody", "unsigned")])
@pytest.mark.parametrize("call", ["on_discover", "catalog/on_publish"])
def test_what_the_answer_to_a_callback_proves_is_counted_and_it_counts_in_any_case(
    by: str, proof: str, call: str, caplog: pytest.LogCaptureFixture
) -> None:
    async def main() -> tuple[World, str]:
        world, buyer, (roof, other) = await street("roof", "other")
        asked = buyer if call == "on_discover" else roof
        asked.answers_as = {"who was asked": asked, "another": other}.get(by)
        await (buyer.discover() if asked is buyer else roof.publish(roof.catalog(SLOT)))
        return world, asked.id

    world, asked = run(main())
    proven = {one: _counted(world, "answers_received", proof=one) for one in ("signed", "unsigned", "wrong")}
    assert proven == {"signed": 0, "unsigned": 0, "wrong": 0, proof: 1}
    assert _counted(world, "callbacks", call=call, outcome="acked") == 1
    warned = [one.getMessage() for one in caplog.records]
    expected = f"the signature of {asked}'s answer to {call} proves nothing: signed by 'other' but {asked!r} was asked"
    assert warned == ([expected] if proof == "wrong" else [])


def _counted(world: World, name: str, **labels: str) -> float:
    return world.gateway.metrics.collectors.get_sample_value(f"wattmesh_gateway_{name}_total", labels) or 0.0


def test_the_newest_catalog_of_an_id_counts_and_one_that_is_not_active_is_none() -> None:
    async def main() -> list[dict[str, float]]:
        world, buyer, (roof,) = await street("roof")
        found = []
        for said in (
            roof.catalog(SLOT, 0.15),
            roof.catalog(SLOT, 0.14),
            roof.catalog(SLOT, 0.2, id="another"),
            roof.catalog(SLOT, isActive=False),
        ):
            await world.clock.sleep(1)
            await roof.publish(said)
            found.append(await buyer.discover())
        return [{one["id"]: prices([one])["roof"][0] for one in each} for each in found]

    assert run(main()) == [
        {"catalog-roof": 0.15},
        {"catalog-roof": 0.14},
        {"another": 0.2, "catalog-roof": 0.14},
        {"another": 0.2},
    ]


@pytest.mark.parametrize("withdrawn", [False, True])
def test_what_was_said_before_and_comes_later_has_no_effect(withdrawn: bool) -> None:
    async def main() -> tuple[list[Json], list[Json]]:
        world, buyer, (roof,) = await street("roof")
        late = roof.call("catalog/publish", {"catalogs": [roof.catalog(SLOT, 0.1)]}, NOW)
        await world.clock.sleep(2)
        await roof.publish(roof.catalog(SLOT, 0.2, isActive=not withdrawn))
        await roof.send("catalog/publish", late)
        await asyncio.sleep(0.1)
        return roof.heard.pop()["message"]["results"], await buyer.discover()

    (told,), found = run(main())
    assert told["status"] == "REJECTED"
    assert told["errors"][0][
        "errorMessage"
    ] == f"what was said of 'catalog-roof' at {instant(NOW + 2)} is newer".replace("Z", ".000Z")
    assert prices(found) == ({} if withdrawn else {"roof": [0.2]})


def test_a_message_that_is_sent_twice_is_answered_alike_and_acted_on_once() -> None:
    async def main() -> tuple[bool, int]:
        _, buyer, _ = await street()
        call = buyer.call("discover", {"intent": {}}, NOW)
        first, _ = await buyer.send("discover", call)
        again, _ = await buyer.send("discover", call)
        await asyncio.sleep(0.1)
        return json.loads(first.body)["status"] == json.loads(again.body)["status"] == "ACK", len(buyer.heard)

    assert run(main()) == (True, 1)


def test_only_who_is_live_on_the_buyers_feeder_is_found_and_never_the_buyer() -> None:
    async def main() -> list[str]:
        world, buyer, sellers = await street("here", "gone", "ends")
        there = Member(world, "there")
        await there.enter("BPP", feeder="feeder-2")
        await buyer.enter("BPP")
        for seller in (*sellers, there, buyer):
            await seller.publish(seller.catalog(SLOT))
        await world.subscribe(
            entry(
                signer("gone"),
                "BPP",
                protocols=("v2",),
                signing_public_key=sellers[1].public_key,
                status="UNSUBSCRIBED",
            )
        )
        await sellers[2].enter("BPP", valid_until=utc(NOW + 60))
        await world.clock.sleep(61)
        return list(prices(await buyer.discover()))

    assert run(main()) == ["here"]


def test_offers_are_found_until_their_last_interval_has_ended() -> None:
    async def main() -> list[list[str]]:
        world, buyer, (roof, low) = await street("roof", "low")
        await roof.publish(roof.catalog(SLOT))
        await low.publish(low.catalog(SLOT, slots=2))
        found = []
        for moment in (NEXT - 1, NEXT, NEXT + SLOT_S):
            await world.clock.sleep(moment - world.clock.wall())
            found.append(list(prices(await buyer.discover())))
        return found

    assert run(main()) == [["low", "roof"], ["low"], []]


def test_the_validity_of_offer_and_catalog_ends_it_too() -> None:
    async def main() -> list[list[str]]:
        world, buyer, (roof, low) = await street("roof", "low")
        await roof.publish(roof.catalog(SLOT, validity={"endDate": instant(NOW + 60)}))
        said = low.catalog(SLOT)
        said["offers"][0]["validity"] = {"endDate": instant(NOW + 30)}
        await low.publish(said)
        found = []
        for moment in (NOW + 20, NOW + 40, NOW + 70):
            await world.clock.sleep(moment - world.clock.wall())
            found.append(list(prices(await buyer.discover())))
        return found

    assert run(main()) == [["low", "roof"], ["roof"], []]


def test_an_offer_that_is_for_others_is_not_shown() -> None:
    async def main() -> dict[str, list[str]]:
        _, buyer, (roof,) = await street("roof")
        said = roof.catalog(SLOT)
        [offer] = said["offers"]
        audiences = {
            "buyer": [{"type": "PARTICIPANT", "id": "buyer"}],
            "another": [{"type": "PARTICIPANT", "id": "low"}],
            "network": [{"type": "PARTICIPANT", "id": "low"}, {"type": "NETWORK", "id": "wattmesh.io/gateway.street"}],
            "sellers": [{"type": "ROLE", "id": "BPP"}],
            "buyers": [{"type": "ROLE", "id": "BAP"}],
        }
        said["offers"] = [{**offer, "id": name, "availableTo": to} for name, to in audiences.items()]
        await roof.publish(said)
        (every,), (filtered,) = await buyer.discover(), await buyer.discover("$[*].offers[*]")
        return {how: [one["id"] for one in found["offers"]] for how, found in (("all", every), ("by", filtered))}

    assert run(main()) == {"all": ["buyer", "network", "buyers"], "by": ["buyer", "network", "buyers"]}


def of_two_slots(seller: PlatformV2) -> Json:
    """A catalog with an offer of each of two slots, and resources of their own."""
    said, later = seller.catalog(SLOT, 0.15), seller.catalog(NEXT, 0.25)
    later["resources"][0]["id"] = later["offers"][0]["resourceIds"][0] = "store"
    return {**said, "resources": said["resources"] + later["resources"], "offers": said["offers"] + later["offers"]}


@pytest.mark.parametrize(
    ("expression", "found"),
    [
        (None, {"roof": [0.15, 0.25], "low": [0.3]}),
        (filter_for(SLOT), {"roof": [0.15], "low": [0.3]}),
        (filter_for(NEXT), {"roof": [0.25]}),
        (filter_for(NEXT + SLOT_S), {}),
        ("$[?(@.resources[*].resourceAttributes['@type']=='EnergyResource')]", {"roof": [0.15, 0.25], "low": [0.3]}),
        ("$[?@.bppId == 'low']", {"low": [0.3]}),
        ("$[*].offers[?@..values[0] < 0.2]", {"roof": [0.15]}),
        ("$[*].offers[?count(@..intervals[*]) == 2]", {}),
        ("$..offers[1]", {"roof": [0.25]}),
        ("$[?@.provider.id == 'nobody']", {}),
    ],
)
def test_a_filter_trims_what_is_found(expression: str | None, found: dict[str, list[float]]) -> None:
    async def main() -> list[Json]:
        _, buyer, (low, roof) = await street("low", "roof")
        await roof.publish(of_two_slots(roof))
        await low.publish(low.catalog(SLOT, 0.3))
        return await buyer.discover(expression)

    catalogs_found = run(main())
    assert prices(catalogs_found) == found
    for catalog in catalogs_found:
        named = {name for offer in catalog["offers"] for name in offer["resourceIds"]}
        assert {one["id"] for one in catalog["resources"]} == named


@pytest.mark.parametrize(
    ("intent", "status", "text"),
    [
        ({"filters": {"type": "jsonpath", "expression": "$["}}, 400, "the filter is no JSONPath: "),
        (
            {"filters": {"type": "jsonpath", "expression": "offers"}},
            400,
            "the filter is no JSONPath: it must begin with $",
        ),
        ({"filters": {"type": "jsonpath", "expression": "$[?@.id =~ /(a+)+b/]"}}, 400, "regular expressions are not"),
        (
            {"filters": {"type": "jsonpath", "expression": "$[?match(@.id, 'a')]"}},
            400,
            "function 'match' is not defined",
        ),
        ({"filters": {"type": "jsonpath", "expression": "$..[?@..id]"}}, 400, "it may descend (..) once"),
        ({"filters": {"type": "jsonpath", "expression": "$[*,*][*,*]"}}, 400, "a list may have names and numbers"),
        ({"filters": {"type": "jsonpath", "expression": "$[?@.id == $[0].id]"}}, 400, "within a filter a path begins"),
        ({"filters": {"type": "jsonpath", "expression": f"$[?{'(' * 900}"}}, 400, "the filter is nested too deep"),
        ({"filters": {"type": "jsonpath", "expression": "$[*] | $[*]"}}, 400, "the filter must be one path"),
        ({"filters": {"type": "jsonpath", "expression": "$" + "[*]" * 700}}, 400, "message.intent.filters.expression"),
        ({"filters": {"type": "sql", "expression": "1"}}, 400, "message.intent.filters.type"),
        ({"textSearch": "cheap"}, 200, "intent.textSearch is not offered here; use filters"),
        ({"spatial": [{"op": "s_within"}]}, 200, "intent.spatial is not offered here; use filters"),
    ],
)
def test_a_question_that_is_not_understood_is_refused_at_once(intent: Json, status: int, text: str) -> None:
    async def main() -> Json:
        _, buyer, _ = await street()
        return await buyer.say("discover", {"intent": intent})

    said = run(main())
    assert (said["http"], said["status"]) == (status, "NACK")
    assert text in said["error"]["errorMessage"]


def test_a_filter_that_cannot_be_applied_is_answered_with_an_error() -> None:
    async def main() -> Json:
        _, buyer, (roof,) = await street("roof")
        await roof.publish(roof.catalog(SLOT))
        expression = "$[?count(1) == 1]"
        await buyer.say("discover", {"intent": {"filters": {"type": "jsonpath", "expression": expression}}})
        await asyncio.sleep(0.1)
        return buyer.heard[0]

    told = run(main())
    assert told["message"] == {"catalogs": []}
    assert told["error"]["errorMessage"].startswith("the filter cannot be applied: ")


def test_a_filter_has_only_so_much_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(discovery, "LONGEST_FILTERING_S", 0.0)

    async def main() -> Json:
        _, buyer, (roof,) = await street("roof")
        await roof.publish(roof.catalog(SLOT))
        await buyer.say("discover", {"intent": {"filters": {"type": "jsonpath", "expression": "$..offers[0]"}}})
        await asyncio.sleep(0.1)
        return buyer.heard[0]

    assert run(main())["error"]["errorMessage"] == "the filter takes too long; ask for less at once"


def test_a_buyer_may_have_ten_filters_of_its_own_at_once_and_any_number_of_wattmeshs() -> None:
    async def main() -> tuple[list[int], list[int]]:
        world, buyer, _ = await street()
        statuses: dict[str, list[int]] = {}
        for expression in ("$..offers[0]", filter_for(SLOT)):
            for _ in range(discovery.FILTERS_AT_ONCE + 1):
                said = await buyer.say(
                    "discover", {"intent": {"filters": {"type": "jsonpath", "expression": expression}}}
                )
                statuses.setdefault(expression, []).append(said["http"])
                await world.clock.sleep(0.1)
        mine, own = statuses.values()
        return mine, own

    mine, own = run(main())
    assert mine == [200] * discovery.FILTERS_AT_ONCE + [429]
    assert own == [200] * len(own)


def test_a_long_answer_comes_in_pages(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(discovery, "MOST_PAGE_BYTES", 3_000)

    async def main() -> tuple[list[tuple[list[str], bool]], int]:
        _, buyer, sellers = await street(*(f"roof-{number}" for number in range(7)))
        for seller in sellers:
            await seller.publish(seller.catalog(SLOT))
        await buyer.say("discover", {"intent": {}})
        await asyncio.sleep(0.1)
        pages = [(list(prices(one["message"]["catalogs"])), one["context"].get("more", False)) for one in buyer.heard]
        return pages, len({one["context"]["messageId"] for one in buyer.heard})

    pages, ids = run(main())
    assert len(pages) > 2
    assert [name for names, _ in pages for name in names] == [f"roof-{number}" for number in range(7)]
    assert [more for _, more in pages] == [True] * (len(pages) - 1) + [False]
    assert ids == 1


def test_what_cannot_be_taken_is_told_and_the_rest_is_taken() -> None:
    async def main() -> tuple[list[Json], list[str]]:
        _, buyer, (roof,) = await street("roof")
        sound, twice = roof.catalog(SLOT, id="sound"), roof.catalog(SLOT, id="bad offers")
        twice["offers"][0]["offerAttributes"]["commitmentAttributes"]["intervalPeriod"] = {"duration": "PT15M"}
        [offer] = sound["offers"]
        deep: Any = {}
        for _ in range(40):
            deep = {"a": deep}
        told = await roof.publish(
            {"id": "nameless", "offers": []},
            sound,
            roof.catalog(SLOT, id="anothers", bppId="low"),
            roof.catalog(SLOT, id="merged", publishDirectives={"catalogType": "regular", "updateMode": "MERGE"}),
            twice,
            roof.catalog(SLOT, id="many", offers=[{**offer, "id": str(number)} for number in range(97)]),
            roof.catalog(
                SLOT,
                id="long",
                descriptor={"name": "x" * 900},
                offers=[{**offer, "descriptor": {"name": "x" * 900}}] * 90,
            ),
            roof.catalog(
                SLOT,
                id="deep",
                provider={
                    "id": "p",
                    "descriptor": {},
                    "providerAttributes": {"@context": "c", "@type": "t", "a": deep},
                },
            ),
        )
        return told, [one["id"] for one in await buyer.discover()]

    told, found = run(main())
    assert found == ["sound"]
    assert {one["catalogId"]: one["status"] for one in told} == {
        "sound": "ACCEPTED",
        **dict.fromkeys(("nameless", "anothers", "merged", "bad offers", "many", "long", "deep"), "REJECTED"),
    }
    texts = {one["catalogId"]: one["errors"][0]["errorMessage"] for one in told if "errors" in one}
    assert texts["nameless"].startswith("descriptor: ")
    assert texts["anothers"] == "bppId is 'low', but 'roof' publishes it"
    assert "publish the whole catalog" in texts["merged"]
    assert texts["bad offers"].startswith("offers.0.offerAttributes.commitmentAttributes.intervalPeriod.start: ")
    assert texts["many"].startswith("offers: ")
    assert "a catalog may have 65536" in texts["long"]
    assert texts["deep"] == "it is nested more than 32 deep"


def test_who_wants_to_hear_of_rejections_only_hears_of_no_other() -> None:
    async def main() -> tuple[list[Json], list[Json]]:
        _, _, (roof,) = await street("roof")
        taken = await roof.publish(roof.catalog(SLOT), results="REJECTED")
        return taken, await roof.publish(roof.catalog(SLOT, bppId="low"), results="REJECTED")

    taken, rejected = run(main())
    assert taken == []
    assert rejected[0]["status"] == "REJECTED"


def test_unknown_fields_do_not_reach_buyers_and_attributes_do() -> None:
    async def main() -> list[Json]:
        _, buyer, (roof,) = await street("roof")
        said = roof.catalog(SLOT, rating={"value": 5}, publishDirectives={"catalogType": "regular"})
        said["descriptor"]["docs"] = [{"url": 7}]
        said["resources"][0]["resourceAttributes"]["tilt"] = {"degrees": 30.5, "by": None}
        await roof.publish(said)
        return await buyer.discover()

    (found,) = run(main())
    assert "rating" not in found
    assert "publishDirectives" not in found
    assert found["descriptor"] == {"name": "roof"}
    assert found["resources"][0]["resourceAttributes"]["tilt"] == {"degrees": 30.5, "by": None}


def test_a_seller_may_have_sixteen_catalogs() -> None:
    async def main() -> list[Json]:
        world, _, (roof,) = await street("roof")
        await roof.publish(*(roof.catalog(SLOT, id=str(number)) for number in range(catalogs.MOST_OF_ONE)))
        await world.clock.sleep(1)
        return await roof.publish(roof.catalog(SLOT, id="one more"), roof.catalog(SLOT, 0.2, id="7"))

    more, renewed = run(main())
    assert more["errors"][0]["errorMessage"] == "'roof' has 16 catalogs, and may have no more"
    assert renewed["status"] == "ACCEPTED"


def test_who_is_not_registered_for_v2_is_told_to_be() -> None:
    async def main() -> Json:
        _, _, (roof,) = await street("roof")
        await roof.enter("BPP", protocols=("v1",))
        return await roof.say("catalog/publish", {"catalogs": [roof.catalog(SLOT)]})

    said = run(main())
    assert (said["http"], said["error"]["errorCode"]) == (200, "50000")
    assert said["error"]["errorMessage"].startswith("'roof' is registered without v2; subscribe with protocols")


@pytest.mark.parametrize("action", ["catalog_publish", "catalog/publish"])
def test_both_spellings_of_the_action_are_read(action: str) -> None:
    async def main() -> Any:
        _, _, (roof,) = await street("roof")
        call = roof.call("catalog/publish", {"catalogs": [roof.catalog(SLOT)]}, NOW)
        call["context"]["action"] = action
        reply, _ = await roof.send("catalog/publish", call)
        return json.loads(reply.body)["status"]

    assert run(main()) == "ACK"


def test_what_is_meant_for_another_network_is_refused() -> None:
    async def main() -> tuple[list[Json], list[Json]]:
        _, buyer, (roof,) = await street("roof")
        catalogs = {"catalogs": [roof.catalog(SLOT)]}
        said = [
            await roof.say("catalog/publish", catalogs, networkId="acmenet.org/charge-net"),
            await buyer.say("discover", {"intent": {}}, networkId="acmenet.org/charge-net"),
        ]
        assert not buyer.heard
        return said, await buyer.discover()

    said, found = run(main())
    text = "networkId 'acmenet.org/charge-net' is another network; this is 'wattmesh.io/gateway.street': "
    text += "name that, or none"
    assert [(one["http"], one["error"]["paths"], one["error"]["errorMessage"]) for one in said] == [
        (400, "context.networkId", text)
    ] * 2
    assert found == []


def test_who_names_no_network_is_heard() -> None:
    async def main() -> list[Json]:
        _, buyer, (roof,) = await street("roof")
        call = roof.call("catalog/publish", {"catalogs": [roof.catalog(SLOT)]}, NOW)
        del call["context"]["networkId"]
        await roof.send("catalog/publish", call)
        return await buyer.discover()

    assert len(run(main())) == 1


def test_only_the_seller_itself_publishes() -> None:
    async def main() -> Json:
        _, _, (roof, low) = await street("roof", "low")
        return await low.say("catalog/publish", {"catalogs": [roof.catalog(SLOT)]}, bppId="roof")

    said = run(main())
    assert said["http"] == 401
    assert "signed by 'low' but context.bppId is 'roof'" in said["error"]["errorMessage"]


def test_catalogs_outlive_the_gateways_process(tmp_path: Path) -> None:
    async def main() -> list[Json]:
        first, _, (roof,) = await street("roof", database=tmp_path / "registry.db")
        await roof.publish(roof.catalog(SLOT))
        first.registry.close()
        second = World(tmp_path / "registry.db", protocols=BOTH)
        buyer = Member(second, "buyer")
        await buyer.enter("BAP")
        return await buyer.discover()

    assert list(prices(run(main()))) == ["roof"]


def test_an_answer_that_cannot_be_sent_is_tried_for_as_long_as_the_question_holds() -> None:
    async def main() -> tuple[int, int]:
        world, buyer, _ = await street()
        buyer.answer = Reply(503, b"")
        await buyer.say("discover", {"intent": {}})
        await world.clock.sleep(20)
        tried = len(buyer.heard)
        await world.clock.sleep(60)
        return tried, len(buyer.heard)

    tried, in_all = run(main())
    assert 3 < tried <= in_all < 20


def test_a_buyer_that_takes_no_answers_is_asked_to_wait_and_others_are_not() -> None:
    async def main() -> tuple[list[int], int]:
        world, buyer, (other,) = await street("other")
        await other.enter("BAP")
        buyer.answer = Reply(503, b"")
        statuses = [(await buyer.say("discover", {"intent": {}}))["http"] for _ in range(17)]
        answer = await other.say("discover", {"intent": {}})
        await world.gateway.stop()
        return statuses, answer["http"]

    statuses, others = run(main())
    assert statuses == [200] * discovery.MOST_ANSWERS_OF_ONE + [429]
    assert others == 200


@pytest.mark.parametrize(
    ("buyer", "hear"),
    [
        (("v1",), ["of v1", "of both"]),
        (("v1", "v2"), ["of v1"]),
    ],
)
def test_a_search_goes_to_those_whom_the_buyer_does_not_find_by_discover(
    buyer: tuple[ProtocolVersion, ...], hear: list[str]
) -> None:
    async def main() -> tuple[int, list[str]]:
        world = World(protocols=BOTH)
        by = await world.buyer(protocols=buyer)
        sites = {
            f"of {name}": await world.seller(name, protocols=spoken)
            for name, spoken in (("v1", ("v1",)), ("both", BOTH), ("v2", ("v2",)))
        }
        number = asked(await world.search(by))
        await asyncio.sleep(1)
        return number, [name for name, site in sites.items() if site.got]

    assert run(main()) == (len(hear), hear)


def test_a_gateway_answers_in_its_networks_protocols_alone() -> None:
    async def main() -> dict[str, list[str]]:
        found: dict[str, list[str]] = {}
        for protocols in (("v1",), ("v2",), BOTH):
            world = World(protocols=protocols)
            for path in ("/search", "/discover", "/catalog/publish"):
                if (await world.post(path, b"{}")).status != 404:
                    found.setdefault("+".join(protocols), []).append(path)
        return found

    assert run(main()) == {
        "v1": ["/search"],
        "v2": ["/discover", "/catalog/publish"],
        "v1+v2": ["/search", "/discover", "/catalog/publish"],
    }
