from __future__ import annotations

import base64
import json
from pathlib import Path
from typing import Any

import pytest

from tests.gateway.support import GATEWAY, NOW, REGISTRAR, World, answer_of, entry, problem, run
from tests.world.subscribers import signer
from wattmesh_beckn.registry import SubscriptionStatus
from wattmesh_beckn.signature import AUTHORIZATION, Signer, digest
from wattmesh_beckn.transport import Reply
from wattmesh_common.clock import utc
from wattmesh_gateway.registry import MOST_ENTRIES_OF_ONE

HOUSE = signer("rooftop-0")
HOUSE_2 = signer("rooftop-0", 2)
OTHER = signer("rooftop-1")
NO_KEY = (
    "signing_public_key: is not an Ed25519 public key: no point of the curve's main subgroup, or one of small order"
)


def mixed_order(public_key: str) -> str:
    """A sound key plus the point of order 2: on the curve, and not of the main subgroup."""
    value = int.from_bytes(base64.b64decode(public_key), "little")
    sign, y = divmod(value, 2**255)
    return base64.b64encode(((2**255 - 19 - y) + (1 - sign) * 2**255).to_bytes(32, "little")).decode()


GONE = SubscriptionStatus.UNSUBSCRIBED


def raw(**changes: Any) -> dict[str, Any]:
    """An entry as JSON, with fields changed, or taken out where None."""
    values = json.loads(entry(HOUSE).model_dump_json(exclude_none=True)) | changes
    return {name: value for name, value in values.items() if value is not None}


def first(wanted: Any, by: Signer = REGISTRAR, **more: Any) -> Reply:
    """The answer to a subscribe at an empty registry."""

    async def main() -> Reply:
        return await World().subscribe(wanted, by, **more)

    return run(main())


def renewal(wanted: Any, by: Signer = HOUSE) -> Reply:
    """The answer to a subscribe where the registrar made rooftop-0 a BPP ten seconds ago."""

    async def main() -> Reply:
        world = World()
        await world.subscribe(entry(HOUSE))
        await world.clock.sleep(10)
        return await world.subscribe(wanted, by)

    return run(main())


def test_a_registrar_makes_an_entry() -> None:
    async def main() -> None:
        world = World()
        reply = await world.subscribe(raw(created="2020-01-01T00:00:00Z", anything_else=[1]))
        assert (reply.status, answer_of(reply)) == (200, {"status": "UNDER_SUBSCRIPTION"})
        expected = raw(created="2026-09-21T14:13:20.000Z", updated="2026-09-21T14:13:20.000Z")
        assert await world.lookup(subscriber_id="rooftop-0") == [expected]

    run(main())


@pytest.mark.parametrize(
    ("changes", "text"),
    [
        ({"subscriber_id": None}, "subscriber_id: Field required"),
        ({"url": None, "type": None}, "url: Field required (and 1 more)"),
        ({"type": "BPPX"}, "type: Input should be 'BAP', 'BPP' or 'BG'"),
        ({"url": "ftp://rooftop-0"}, "url: String should match pattern '^https?://[^\\s]+$'"),
        ({"url": "http://:80"}, "url: names no host to call"),
        ({"url": "http://rooftop-0:99999"}, "url: is no URL: Port out of range 0-65535"),
        (
            {"url": "http://rooftop-0?x="},
            "url: must be a plain address, to which /search and the like are added: no user, query or fragment",
        ),
        (
            {"valid_until": "2026-09-21T14:12:20.000Z"},
            "valid_until, 2026-09-21T14:12:20.000Z, must be after valid_from, 2026-09-21T14:12:20.000Z",
        ),
        (
            {"valid_until": "2026-09-21T14:13:20.000Z"},
            "valid_until, 2026-09-21T14:13:20.000Z, is past; this clock says 2026-09-21T14:13:20.000Z",
        ),
        ({"status": "INITIATED"}, "status: must be SUBSCRIBED or UNSUBSCRIBED, not INITIATED"),
        (
            {"signing_public_key": "c2hvcnQ="},
            "signing_public_key: String should match pattern '^[A-Za-z0-9+/]{43}=$'",
        ),
        (
            {"signing_public_key": base64.b64encode(b"\x02" + bytes(31)).decode()},
            NO_KEY,
        ),
        (
            {"signing_public_key": base64.b64encode(bytes(32)).decode()},
            NO_KEY,
        ),
        (
            {"signing_public_key": base64.b64encode(b"\xff" * 32).decode()},
            NO_KEY,
        ),
        ({"signing_public_key": mixed_order(HOUSE.public_key)}, NO_KEY),
    ],
)
def test_an_unsound_entry_is_refused_and_the_field_named(changes: dict[str, Any], text: str) -> None:
    assert problem(first(raw(**changes))) == (400, "30000", text)


def test_a_body_that_is_no_object_is_refused_before_its_signature_is_looked_at() -> None:
    async def main() -> None:
        world = World()
        assert problem(await world.post("/subscribe", b"{"))[:2] == (400, "30000")
        assert problem(await world.post("/subscribe", b"[]"))[:2] == (400, "30000")
        reply = await world.post("/subscribe", b" " * 300_000)
        assert problem(reply) == (413, "30000", "body is 300000 bytes; at most 262144 are read")

    run(main())


def test_every_bad_signature_is_refused_with_its_reason() -> None:
    async def main() -> None:
        world = World()
        body = json.dumps(raw()).encode()
        wrong = (
            "wrong signature: it was made with another key, or over another body, created or expires; "
            f"the digest of the body received is BLAKE-512={digest(body)}"
        )
        good = REGISTRAR.sign(body, created=NOW, expires=NOW + 30)
        forged = Signer.from_seed("registrar", REGISTRAR.key_id, bytes(32)).sign(body, created=NOW, expires=NOW + 30)
        cases = {
            None: "no signature: the header is missing",
            "Basic x": 'malformed signature header: it must start with "Signature keyId=…"',
            good.replace("ed25519", "rsa"): "algorithm 'rsa' in keyId is not accepted; use 'ed25519'",
            good.replace(f'expires="{NOW + 30}"', f'expires="{NOW + 31}"'): wrong,
            forged: wrong,
            REGISTRAR.sign(body + b" ", created=NOW, expires=NOW + 30): wrong,
            REGISTRAR.sign(body, created=NOW - 30, expires=NOW): (
                "signature expired at 2026-09-21T14:13:20.000Z; this clock says 2026-09-21T14:13:20.000Z"
            ),
            REGISTRAR.sign(body, created=NOW + 6, expires=NOW + 30): (
                "signature created at 2026-09-21T14:13:26.000Z, ahead of this clock, 2026-09-21T14:13:20.000Z, by more "
                "than 5 s; set the sender's clock"
            ),
            signer("registrar", 2).sign(body, created=NOW, expires=NOW + 30): (
                "key '00000000-0000-4000-8000-000000000002' is no registrar's here"
            ),
            OTHER.sign(body, created=NOW, expires=NOW + 30): (
                "signed by 'rooftop-1' but subscriber_id is 'rooftop-0'; only a registrar and the subscriber itself "
                "may write its entry"
            ),
            HOUSE.sign(body, created=NOW, expires=NOW + 30): (
                "subscriber 'rooftop-0' is not in the registry; a registrar makes the first entry"
            ),
        }
        for header, text in cases.items():
            reply = await world.post("/subscribe", body, {} if header is None else {AUTHORIZATION: header})
            assert problem(reply) == (401, "30000", text)
            assert reply.headers["www-authenticate"] == (
                'Signature realm="gateway.street",headers="(created) (expires) digest"'
            )
        assert await world.lookup() == []

    run(main())


@pytest.mark.parametrize(
    "changed",
    [entry(HOUSE_2), entry(HOUSE, url="http://rooftop-0.new"), entry(HOUSE, valid_until=utc(NOW + 7200))],
    ids=["new key", "new url", "longer"],
)
def test_a_subscriber_renews_itself(changed: Any) -> None:
    reply = renewal(changed)
    assert (reply.status, answer_of(reply)) == (200, {"status": "UNDER_SUBSCRIPTION"})


@pytest.mark.parametrize(
    ("wanted", "text"),
    [
        (entry(HOUSE, "BG"), "a subscriber cannot register itself as BG; a registrar can"),
        (
            entry(HOUSE, "BAP"),
            "'rooftop-0' has no live entry of type BAP and domain 'uei:p2p_trading' to renew; a registrar can make one",
        ),
        (
            entry(HOUSE, domain="other"),
            "'rooftop-0' has no live entry of type BPP and domain 'other' to renew; a registrar can make one",
        ),
        (entry(HOUSE, feeder="feeder-2"), "'rooftop-0' cannot move to 'feeder-2' by itself; a registrar can move it"),
    ],
)
def test_a_subscriber_cannot_give_itself_more_than_it_has(wanted: Any, text: str) -> None:
    assert problem(renewal(wanted)) == (403, "50000", text)


def test_a_key_that_is_not_registered_renews_nothing() -> None:
    text = "key '00000000-0000-4000-8000-000000000002' of subscriber 'rooftop-0' is not in the registry"
    assert problem(renewal(entry(HOUSE_2), HOUSE_2)) == (401, "30000", text)


@pytest.mark.parametrize("by", [HOUSE, REGISTRAR], ids=["renewal", "registrar"])
def test_a_key_id_never_gets_another_key(by: Signer) -> None:
    text = (
        "key_id '00000000-0000-4000-8000-000000000001' of 'rooftop-0' is known with another signing_public_key; "
        "every key needs a key_id of its own"
    )
    assert problem(renewal(entry(HOUSE, signing_public_key=HOUSE_2.public_key), by)) == (409, "30000", text)


@pytest.mark.parametrize("name", ["registrar", "gateway.street"])
def test_the_names_of_registrar_and_gateway_are_not_given_away(name: str) -> None:
    text = f"subscriber_id {name!r} is reserved here"
    assert problem(first(entry(signer(name, 3)))) == (403, "50000", text)


def test_nor_is_the_name_that_stands_for_all_who_were_forgotten() -> None:
    text = (
        "subscriber_id 'forgotten' is reserved: books have this name in place of households that were forgotten; "
        "choose another"
    )
    assert problem(first(entry(signer("forgotten", 3)))) == (403, "50000", text)


def test_a_subscriber_leaves_and_only_a_registrar_brings_its_key_back() -> None:
    async def main() -> None:
        world = World()
        await world.subscribe(entry(HOUSE))
        await world.subscribe(entry(HOUSE_2))
        await world.clock.sleep(1)
        assert answer_of(await world.subscribe(entry(HOUSE, status=GONE), HOUSE)) == {"status": "UNDER_SUBSCRIPTION"}
        await world.clock.sleep(1)
        text = "key '00000000-0000-4000-8000-000000000001' of subscriber 'rooftop-0' is UNSUBSCRIBED"
        assert problem(await world.subscribe(entry(HOUSE), HOUSE)) == (401, "30000", text)
        text = (
            "key '00000000-0000-4000-8000-000000000001' was unsubscribed; use a new key, or a registrar can bring it "
            "back"
        )
        assert problem(await world.subscribe(entry(HOUSE), HOUSE_2)) == (403, "50000", text)
        assert answer_of(await world.subscribe(entry(HOUSE))) == {"status": "UNDER_SUBSCRIPTION"}

    run(main())


def test_an_expired_key_renews_nothing_and_both_times_are_said() -> None:
    async def main() -> None:
        world = World()
        await world.subscribe(entry(HOUSE, valid_until=utc(NOW + 60)))
        await world.clock.sleep(60)
        assert problem(await world.subscribe(entry(HOUSE), HOUSE)) == (
            401,
            "30000",
            "key '00000000-0000-4000-8000-000000000001' of subscriber 'rooftop-0' is valid from "
            "2026-09-21T14:12:20.000Z until 2026-09-21T14:14:20.000Z; this clock says 2026-09-21T14:14:20.000Z",
        )

    run(main())


def test_an_older_call_has_no_effect_even_after_a_restart(tmp_path: Path) -> None:
    async def main() -> None:
        world = World(tmp_path / "registry.db")
        await world.subscribe(entry(HOUSE), created=NOW - 3)
        await world.subscribe(entry(HOUSE, status=GONE), created=NOW - 2)
        for restarted in (False, True):
            running = World(tmp_path / "registry.db") if restarted else world
            assert problem(await running.subscribe(entry(HOUSE), created=NOW - 3)) == (
                409,
                "30000",
                "signed at 2026-09-21T14:13:17.000Z, but a subscribe for 'rooftop-0' signed at "
                "2026-09-21T14:13:18.000Z was accepted; sign it anew if it still holds",
            )
            assert [found["status"] for found in await running.lookup(subscriber_id="rooftop-0")] == ["UNSUBSCRIBED"]
            running.registry.close()

    run(main())


def test_the_same_call_again_gets_the_first_answer_and_has_no_effect() -> None:
    async def main() -> None:
        world = World()
        await world.subscribe(entry(HOUSE), created=NOW)
        await world.subscribe(entry(HOUSE, status=GONE), created=NOW)
        assert answer_of(await world.subscribe(entry(HOUSE), created=NOW)) == {"status": "UNDER_SUBSCRIPTION"}
        assert [found["status"] for found in await world.lookup(subscriber_id="rooftop-0")] == ["UNSUBSCRIBED"]

    run(main())


def test_a_subscriber_that_left_with_its_last_key_can_ask_whether_it_did() -> None:
    async def main() -> None:
        world = World()
        await world.subscribe(entry(HOUSE))
        await world.clock.sleep(1)
        for _ in range(2):
            reply = await world.subscribe(entry(HOUSE, status=GONE), HOUSE, created=NOW + 1)
            assert answer_of(reply) == {"status": "UNDER_SUBSCRIPTION"}

    run(main())


def test_calls_signed_in_one_second_are_bounded() -> None:
    async def main() -> None:
        world = World()
        for second in range(100):
            await world.subscribe(entry(HOUSE, valid_until=utc(NOW + 60 + second)), created=NOW)
        assert problem(await world.subscribe(entry(HOUSE), created=NOW)) == (
            409,
            "30000",
            "100 subscribes for 'rooftop-0' signed at 2026-09-21T14:13:20.000Z were accepted; sign it anew, a second "
            "later",
        )
        assert (await world.subscribe(entry(HOUSE), created=NOW + 1)).status == 200

    run(main())


def test_the_entries_of_one_subscriber_are_bounded_and_ended_ones_make_room() -> None:
    async def main() -> None:
        world = World()
        keys = [signer("rooftop-0", number) for number in range(1, MOST_ENTRIES_OF_ONE + 2)]
        for key in keys[:-1]:
            assert (await world.subscribe(entry(key))).status == 200
        assert problem(await world.subscribe(entry(keys[-1]))) == (
            409,
            "30000",
            "'rooftop-0' has 64 entries that have not ended; unsubscribe some first",
        )
        assert (await world.subscribe(entry(keys[3], status=GONE))).status == 200
        assert (await world.subscribe(entry(keys[-1]))).status == 200
        left = {found["key_id"] for found in await world.lookup(subscriber_id="rooftop-0")}
        assert left == {key.key_id for key in keys} - {keys[3].key_id}

    run(main())


def test_the_gateway_registers_itself_and_ends_its_old_key_when_nobody_needs_it_any_more(tmp_path: Path) -> None:
    async def main() -> None:
        world, former = World(tmp_path / "registry.db"), signer("gateway.street", 2)
        await world.gateway.start()
        await world.registry.put(entry(former, "BG"), NOW)

        async def statuses() -> dict[str, str]:
            return {one["key_id"]: one["status"] for one in await world.lookup(type="BG")}

        for _ in range(2):  # a replica starts after the other
            await world.gateway.start()
            assert await statuses() == {GATEWAY.key_id: "SUBSCRIBED", former.key_id: "SUBSCRIBED"}
            await world.clock.sleep(299)
        await world.clock.sleep(2)
        assert await statuses() == {GATEWAY.key_id: "SUBSCRIBED", former.key_id: "EXPIRED"}
        world.registry.close()

    run(main())
