from __future__ import annotations

import uuid
from typing import Any

import pytest

from tests.gateway import support
from tests.gateway.support import GATEWAY, NOW, TTL_S, World, asked, entry, problem, run
from tests.world.subscribers import signer
from wattmesh_beckn.answers import nack
from wattmesh_beckn.context import SubscriberId
from wattmesh_beckn.errors import ErrorCode, declined
from wattmesh_beckn.registry import SubscriptionStatus
from wattmesh_beckn.signature import (
    AUTHORIZATION,
    GATEWAY_AUTHORIZATION,
    Signer,
    check_signature,
    check_times,
    digest,
    parse_header,
)
from wattmesh_common.clock import utc
from wattmesh_gateway import inbox


def test_a_search_reaches_every_live_seller_of_its_feeder_and_domain_once_and_nobody_else() -> None:
    async def main() -> None:
        world = World()
        buyer = await world.buyer("buyer")
        await world.subscribe(entry(buyer, "BPP"))
        near = [await world.seller(name) for name in ("house-c", "house-a", "house-b")]
        await world.subscribe(entry(signer("house-a", 2), "BPP"))  # two keys, one seller
        elsewhere = [
            await world.seller("far", feeder="feeder-2"),
            await world.seller("other", domain="other"),
            await world.seller("early", valid_from=utc(NOW + 10)),
            await world.seller("late", valid_until=utc(NOW + 1)),
            await world.seller("gone", status=SubscriptionStatus.UNSUBSCRIBED),
        ]
        await world.clock.sleep(1)
        assert asked(await world.search(buyer)) == 3
        assert support.kept_in_postgresql or world.asked_in_order == []  # else the ACK comes first
        await world.clock.sleep(1)
        assert world.asked_in_order == [near[1], near[2], near[0]]
        assert not any(site.got for site in elsewhere)
        assert world.outcomes() == {"acked": 3}

    run(main())


def test_sellers_get_the_buyers_bytes_with_both_signatures() -> None:
    async def main() -> None:
        world = World()
        buyer = await world.buyer()
        seller = await world.seller("house-a")
        body = world.search_body("buyer").replace(b'{"context"', b'  {"context" ') + b"\n"
        headers = world.signed(buyer, body)
        await world.post("/search", body, headers)
        await world.clock.sleep(1)
        [(_, path, got, got_headers)] = seller.got
        assert (path, got) == ("/search", body)
        assert got_headers[AUTHORIZATION] == headers[AUTHORIZATION]
        for name, signed_by in ((AUTHORIZATION, buyer), (GATEWAY_AUTHORIZATION, GATEWAY)):
            header = parse_header(got_headers[name])
            check_times(header, NOW, NOW)
            check_signature(header, got, signed_by.public_key)
            assert (header.subscriber_id, header.expires) == (signed_by.subscriber_id, NOW + TTL_S)

    run(main())


def test_a_seller_is_asked_at_the_address_it_registered_last() -> None:
    async def main() -> None:
        world = World()
        buyer = await world.buyer()
        old, new = await world.seller("house-a"), await world.seller("moved")
        await world.clock.sleep(1)
        await world.subscribe(entry(signer("house-a"), url="http://moved/"), signer("house-a"))
        await world.subscribe(entry(signer("moved"), status=SubscriptionStatus.UNSUBSCRIBED))
        assert asked(await world.search(buyer)) == 1
        await world.clock.sleep(1)
        assert (len(old.got), [path for _, path, *_ in new.got]) == (0, ["/search"])

    run(main())


def test_a_nack_is_an_answer_like_any_other() -> None:
    async def main() -> None:
        world = World()
        buyer = await world.buyer()
        seller = await world.seller("house-a", nack(declined(ErrorCode.BUSINESS_ERROR, "nothing to sell")))
        for _ in range(3):
            await world.search(buyer)
            await world.clock.sleep(0.1)
        assert len(seller.got) == 3
        assert world.outcomes() == {"nacked": 3}

    run(main())


def test_a_search_sent_again_is_broadcast_once_and_gets_the_first_answer() -> None:
    async def main() -> None:
        world = World()
        buyer = await world.buyer()
        seller = await world.seller("house-a")
        body = world.search_body("buyer")
        headers = world.signed(buyer, body)
        first = await world.post("/search", body, headers)
        await world.seller("house-b")
        for _ in range(3):
            assert await world.post("/search", body, headers) == first
            await world.clock.sleep(TTL_S / 3 - 0.01)
        assert len(seller.got) == 1
        await world.clock.sleep(1)
        assert problem(await world.post("/search", body, headers))[0] == 401

    run(main())


def test_every_bad_signature_is_refused_with_its_reason_and_nothing_is_broadcast() -> None:
    async def main() -> None:
        world = World()
        buyer = await world.buyer()
        seller = await world.seller("house-a")
        await world.subscribe(entry(signer("buyer", 2), "BAP", status=SubscriptionStatus.UNSUBSCRIBED))
        await world.subscribe(entry(signer("buyer", 3), "BAP", valid_until=utc(NOW + 1)))
        await world.clock.sleep(1)
        now = NOW + 1
        body = world.search_body("buyer")
        good = buyer.sign(body, created=now, expires=now + 30)
        wrong = (
            "wrong signature: it was made with another key, or over another body, created or expires; "
            f"the digest of the body received is BLAKE-512={digest(body)}"
        )
        forged = Signer.from_seed("buyer", buyer.key_id, bytes(32))
        key = "key '00000000-0000-4000-8000-00000000000{}' of subscriber 'buyer' is "
        cases: dict[str | None, str] = {
            None: "no signature: the header is missing",
            "Bearer x": 'malformed signature header: it must start with "Signature keyId=…"',
            good.replace("algorithm=", "algo="): "malformed signature header: no algorithm",
            good.replace("|ed25519", "|rsa"): "algorithm 'rsa' in keyId is not accepted; use 'ed25519'",
            good.replace('algorithm="ed25519"', 'algorithm="rsa"'): "algorithm 'rsa' differs from 'ed25519' in keyId",
            forged.sign(body, created=now, expires=now + 30): wrong,
            buyer.sign(body[:-1], created=now, expires=now + 30): wrong,
            buyer.sign(body, created=now + 6, expires=now + 30): (
                "signature created at 2026-09-21T14:13:27.000Z, ahead of this clock, 2026-09-21T14:13:21.000Z, by more "
                "than 5 s; set the sender's clock"
            ),
            buyer.sign(body, created=now - 30, expires=now): (
                "signature expired at 2026-09-21T14:13:21.000Z; this clock says 2026-09-21T14:13:21.000Z"
            ),
            signer("house-a").sign(body, created=now, expires=now + 30): (
                "signed by 'house-a' but context.bap_id is 'buyer'"
            ),
            signer("buyer", 9).sign(body, created=now, expires=now + 30): key.format(9) + "not in the registry",
            signer("buyer", 2).sign(body, created=now, expires=now + 30): key.format(2) + "UNSUBSCRIBED",
            signer("buyer", 3).sign(body, created=now, expires=now + 30): (
                key.format(3) + "valid from 2026-09-21T14:12:20.000Z until 2026-09-21T14:13:21.000Z; "
                "this clock says 2026-09-21T14:13:21.000Z"
            ),
        }
        for header, text in cases.items():
            reply = await world.post("/search", body, {} if header is None else {AUTHORIZATION: header})
            assert problem(reply) == (401, "30000", text)
            assert reply.headers["www-authenticate"] == (
                'Signature realm="gateway.street",headers="(created) (expires) digest"'
            )
        stranger = world.search_body("stranger")
        reply = await world.post("/search", stranger, world.signed(signer("stranger"), stranger))
        assert problem(reply) == (401, "30000", "subscriber 'stranger' is not in the registry")
        seller_only = world.search_body("house-a")
        reply = await world.post("/search", seller_only, world.signed(signer("house-a"), seller_only))
        assert problem(reply) == (401, "30000", "subscriber 'house-a' is not registered as BAP")
        await world.clock.sleep(1)
        assert seller.got == []

    run(main())


@pytest.mark.parametrize(
    ("changes", "text"),
    [
        ({"domain": "other"}, "domain 'other' is not traded here; use 'uei:p2p_trading'"),
        ({"ttl_s": 4000}, "ttl must be more than 0 s and at most 3600 s"),
        (
            {"now": NOW - 60},
            "message expired at 2026-09-21T14:12:50.000Z (timestamp + ttl); this clock says 2026-09-21T14:13:20.000Z",
        ),
    ],
)
def test_a_search_that_nobody_here_can_act_on_is_refused(changes: dict[str, Any], text: str) -> None:
    async def main() -> None:
        world = World()
        assert problem(await world.search(await world.buyer(), **changes)) == (400, "30000", text)

    run(main())


def test_a_sender_with_too_many_open_searches_waits_and_others_do_not(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(inbox.GatewayInbox.__init__, "__kwdefaults__", {"most": 5, "most_of_one_sender": 3})

    async def main() -> None:
        world = World()
        eager, other, third = await world.buyer("eager"), await world.buyer("other"), await world.buyer("third")
        for _ in range(3):
            assert asked(await world.search(eager)) == 0
        reply = await world.search(eager)
        text = "'eager' has 3 messages that have not expired yet, and may have no more; come again in 30 s"
        assert problem(reply) == (429, "50000", text)
        assert reply.headers["retry-after"] == "30"
        for _ in range(2):
            assert asked(await world.search(other)) == 0
        text = "5 messages have not expired yet; no more can be told apart"
        assert problem(await world.search(third)) == (503, "40000", text)
        await world.clock.sleep(TTL_S + 1)
        assert asked(await world.search(eager)) == 0

    run(main())


def test_one_message_id_of_two_senders_is_two_searches() -> None:
    async def main() -> None:
        world = World()
        message_id = str(uuid.uuid4())
        await world.seller("house-a")
        buyers: list[SubscriberId] = ["buyer-a", "buyer-b"]
        for name in buyers:
            assert asked(await world.search(await world.buyer(name), message_id=message_id)) == 1
        await world.clock.sleep(1)
        assert world.outcomes() == {"acked": 2}

    run(main())
