from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.beckn.support import BUYER, GATEWAY, GONE, NOW, SELLER, Entries, Json, changed, clock, entry, example, wire
from tests.world.clocks import StillClock, run
from tests.world.subscribers import DOMAIN, signer
from wattmesh_beckn.answers import ack
from wattmesh_beckn.errors import ErrorCode, busy, declined
from wattmesh_beckn.messages import OnSelectMessage, SelectMessage
from wattmesh_beckn.receiver import MAX_BODY_BYTES, FirstAnswer, Received, Receiver
from wattmesh_beckn.registry import SubscriptionStatus
from wattmesh_beckn.signature import Signer
from wattmesh_beckn.transport import Reply
from wattmesh_common.clock import rfc3339

CREATED = int(NOW)
CHALLENGE = 'Signature realm="{}",headers="(created) (expires) digest"'
STREET = Entries(
    entry(BUYER, "BAP"), entry(BUYER, "BPP"), entry(SELLER, "BPP"), entry(SELLER, "BAP"), entry(GATEWAY, "BG")
)


class Memory:
    """An inbox and a handler that acknowledges everything and remembers it."""

    def __init__(self, answer: Reply | Exception | None = None) -> None:
        self.answer = answer
        self.received: list[Received] = []
        self.answers: dict[tuple[str, str, str], FirstAnswer] = {}

    async def first_answer(self, sender: str, message_id: str, action: str) -> FirstAnswer | None:
        return self.answers.get((sender, message_id, action))

    async def handle(self, received: Received) -> Reply:
        self.received.append(received)
        if isinstance(self.answer, Exception):
            raise self.answer
        reply = self.answer or ack(count=str(len(self.received)))
        self.answers[received.sender.subscriber_id, received.context.message_id, received.action] = FirstAnswer(
            reply, received.said
        )
        return reply


def seller(memory: Memory, directory: Entries = STREET, **more: Any) -> Receiver:
    options: dict[str, Any] = {
        "subscriber_id": "seller.street",
        "domain": DOMAIN,
        "actions": frozenset({"search", "select", "on_select", "confirm"}),
        "directory": directory,
        "inbox": memory,
        "clock": clock(),
        "handler": memory.handle,
        "gateway_id": "gateway.street",
    }
    return Receiver(**{**options, **more})


def signed(body: bytes, by: Signer = BUYER, gateway: Signer | None = None, ttl_s: int = 30) -> dict[str, str]:
    headers = {"authorization": by.sign(body, created=CREATED, expires=CREATED + ttl_s)}
    if gateway:
        headers["x-gateway-authorization"] = gateway.sign(body, created=CREATED, expires=CREATED + ttl_s)
    return headers


def receive(receiver: Receiver, action: str, body: bytes, headers: Mapping[str, str], at: float = 0.0) -> Reply:
    async def main() -> Reply:
        await asyncio.sleep(at)
        return await receiver.receive(action, body, headers)

    return run(main())


def refused(
    action: str, body: bytes, headers: Mapping[str, str], directory: Entries = STREET, **more: Any
) -> tuple[int, Json]:
    """Status and error of a refusal that never reached the handler."""
    memory = Memory()
    reply = receive(seller(memory, directory, **more), action, body, headers)
    answer = json.loads(reply.body)
    assert answer.pop("message") == {"ack": {"status": "NACK"}}
    assert memory.received == []
    assert reply.headers["content-type"] == "application/json"
    assert ("www-authenticate" in reply.headers or "proxy-authenticate" in reply.headers) == (reply.status == 401)
    return reply.status, answer["error"]


def error(message: str, path: str | None = None, code: str = "30000") -> Json:
    return {"code": code, "message": message} | ({"paths": path} if path else {})


SELECT = wire(example("select"))
SEARCH = wire(example("search"))


def test_a_good_call_is_handed_over_with_what_is_proven_about_it() -> None:
    memory = Memory()
    headers = signed(SELECT)
    reply = receive(seller(memory), "select", SELECT, headers)
    assert (reply.status, json.loads(reply.body)["message"]["ack"]["status"]) == (200, "ACK")
    [received] = memory.received
    assert (received.action, received.body, received.sender) == ("select", SELECT, entry(BUYER, "BAP"))
    assert (received.authorization, received.signature_expires) == (headers["authorization"], CREATED + 30)
    assert received.context.message_id == example("select")["context"]["message_id"]
    assert received.read(SelectMessage).order.items[0].id == "item-1"
    with pytest.raises(TypeError, match=r"^select carries no OnSelectMessage$"):
        received.read(OnSelectMessage)


def test_a_clock_that_has_stood_still_understands_who_goes_by_the_machines() -> None:
    behind = StillClock(NOW)
    behind.stood_s = 60
    later = CREATED + 60
    body = wire(changed(example("select"), "context.timestamp", rfc3339(later)))
    headers = {"authorization": BUYER.sign(body, created=later, expires=later + 30)}
    assert run(seller(Memory(), clock=behind).receive("select", body, headers)) == ack(count="1")
    assert run(seller(Memory(), clock=behind).receive("select", SELECT, signed(SELECT))) == ack(count="1")
    behind.stood_s = 54
    assert run(seller(Memory(), clock=behind).receive("select", body, headers)).status == 401


def test_a_replay_gets_the_first_answer_and_has_no_second_effect() -> None:
    memory = Memory()
    receiver = seller(memory)
    first = receive(receiver, "select", SELECT, signed(SELECT))
    again = receive(receiver, "select", SELECT, signed(SELECT), at=20)
    assert again == first == ack(count="1")
    assert len(memory.received) == 1
    other = wire(changed(example("select"), "context.message_id", "6d3f6c5e-0000-4000-8000-000000000009"))
    assert receive(receiver, "select", other, signed(other)) == ack(count="2")


def test_a_replay_in_another_name_is_no_replay() -> None:
    memory = Memory()
    receiver = seller(memory)
    receive(receiver, "select", SELECT, signed(SELECT))
    other = signer("other.street")
    body = wire(changed(example("select"), "context.bap_id", "other.street"))
    receiver = seller(memory, Entries(entry(other, "BAP")))
    assert receive(receiver, "select", body, signed(body, other)) == ack(count="2")


def test_two_copies_at_once_run_the_handler_once() -> None:
    memory = Memory()

    async def main() -> list[Reply]:
        receiver = seller(memory)
        return await asyncio.gather(*(receiver.receive("select", SELECT, signed(SELECT)) for _ in range(5)))

    assert run(main()) == [ack(count="1")] * 5
    assert len(memory.received) == 1


@pytest.mark.parametrize(
    ("refusal", "status", "told"),
    [
        (declined(ErrorCode.QUANTITY_UNAVAILABLE, "sold"), 200, error("sold", code="40002")),
        (busy("too much work", 3), 503, error("too much work", code="40000")),
    ],
)
def test_the_handlers_refusals_are_answered(refusal: Exception, status: int, told: Json) -> None:
    reply = receive(seller(Memory(refusal)), "select", SELECT, signed(SELECT))
    assert (reply.status, json.loads(reply.body)["error"]) == (status, told)
    assert reply.headers.get("retry-after") == ("3" if status == 503 else None)


# Each call below is wrong in the way named and in every later way as well: the first way is the one told.


def test_1_the_action() -> None:
    told = error("no action 'refund' here; there are confirm, on_select, search, select")
    assert refused("refund", b"x" * (MAX_BODY_BYTES + 1), {}) == (404, told)
    assert refused("status", SELECT, signed(SELECT))[0] == 404
    assert refused("x" * 10_000, SELECT, {})[1]["message"].startswith(f"no action '{'x' * 50}' here")


def test_2_the_size() -> None:
    told = error("body is 262145 bytes; at most 262144 are read")
    assert refused("select", b"x" * (MAX_BODY_BYTES + 1), {"authorization": "junk"}) == (413, told)


def test_3_the_json() -> None:
    told = error("body is not JSON: expected value at line 1 column 1")
    assert refused("select", b"junk", {"authorization": "junk"}) == (400, told)
    assert refused("select", b"x" * MAX_BODY_BYTES, {}) == (400, told)
    assert refused("select", b"[]", {}) == (400, error("body must be a JSON object with context and message"))


def test_4_the_signature() -> None:
    nonsense = wire({"context": {"bap_id": "buyer.street"}, "message": 5})
    assert refused("select", nonsense, {}) == (401, error("no signature: the header is missing"))
    assert refused("select", nonsense, {"authorization": "junk"})[0] == 401


def test_5_the_schema() -> None:
    nonsense = wire({"context": {"bap_id": "buyer.street", "ttl": 1}, "message": 5})
    status, told = refused("select", nonsense, signed(nonsense))
    assert (status, told["paths"]) == (400, "context.domain")


def test_6_the_context() -> None:
    body = wire(changed(example("select"), "context.version", "0.9.4"))
    told = error("version '0.9.4' is not spoken here; use '1.1.0'", "context.version")
    assert refused("select", body, signed(body)) == (400, told)
    memory = Memory()
    receiver = seller(memory)
    receive(receiver, "select", SELECT, signed(SELECT))
    assert receive(receiver, "select", body, signed(body)).status == 400, "schema and context come before replay"


def test_a_401_carries_the_challenge_of_beckn_006() -> None:
    reply = receive(seller(Memory()), "select", SELECT, {})
    assert reply.status == 401
    assert reply.headers == {
        "content-type": "application/json",
        "www-authenticate": CHALLENGE.format("seller.street"),
    }
    assert json.loads(reply.body) == {
        "message": {"ack": {"status": "NACK"}},
        "error": {"code": "30000", "message": "no signature: the header is missing"},
    }


def test_a_search_without_the_gateways_signature_is_told_so_by_the_proxy_challenge() -> None:
    reply = receive(seller(Memory()), "search", SEARCH, signed(SEARCH))
    assert reply.status == 401
    assert reply.headers == {
        "content-type": "application/json",
        "proxy-authenticate": CHALLENGE.format("seller.street"),
    }
    assert json.loads(reply.body)["error"] == error("X-Gateway-Authorization: no signature: the header is missing")


def test_a_search_with_both_signatures_is_taken() -> None:
    memory = Memory()
    assert receive(seller(memory), "search", SEARCH, signed(SEARCH, gateway=GATEWAY)).status == 200
    assert memory.received[0].sender == entry(BUYER, "BAP")


def test_a_search_signed_by_somebody_who_is_no_gateway_is_refused() -> None:
    told = error("X-Gateway-Authorization: signed by 'buyer.street' but the gateway is 'gateway.street'")
    assert refused("search", SEARCH, signed(SEARCH, gateway=BUYER)) == (401, told)


def test_the_gateways_signature_is_over_the_same_body() -> None:
    headers = {**signed(SEARCH), "x-gateway-authorization": signed(b"other", GATEWAY)["authorization"]}
    status, told = refused("search", SEARCH, headers)
    assert status == 401
    assert told["message"].startswith("X-Gateway-Authorization: wrong signature")


def test_the_gateways_signature_does_not_stand_for_the_buyers() -> None:
    headers = {"x-gateway-authorization": signed(SEARCH, GATEWAY)["authorization"]}
    assert refused("search", SEARCH, headers) == (401, error("no signature: the header is missing"))


def test_the_gateway_itself_hears_searches_from_buyers() -> None:
    memory = Memory()
    gateway = seller(memory, subscriber_id="gateway.street", actions=frozenset({"search"}), gateway_id=None)
    assert receive(gateway, "search", SEARCH, signed(SEARCH)).status == 200


def test_only_a_search_needs_the_gateway() -> None:
    assert receive(seller(Memory()), "select", SELECT, signed(SELECT)).status == 200


ON_SELECT = changed(example("on_select"), "context.bap_id", "seller.street")
"""To the seller's household as a buyer, from the buyer's as a seller."""
ON_SELECT = changed(ON_SELECT, "context.bpp_id", "buyer.street")


def test_a_callback_is_signed_by_the_seller() -> None:
    body = wire(ON_SELECT)
    assert receive(seller(Memory()), "on_select", body, signed(body, BUYER)).status == 200


def test_a_callback_signed_by_the_buyer_is_refused() -> None:
    body = wire(ON_SELECT)
    told = error("signed by 'seller.street' but context.bpp_id is 'buyer.street'")
    assert refused("on_select", body, signed(body, SELLER)) == (401, told)


def test_a_request_signed_by_the_seller_is_refused() -> None:
    told = error("signed by 'seller.street' but context.bap_id is 'buyer.street'")
    assert refused("select", SELECT, signed(SELECT, SELLER)) == (401, told)


def test_a_role_is_needed_as_well_as_a_key() -> None:
    body = wire(ON_SELECT)
    told = error("subscriber 'buyer.street' is not registered as BPP")
    assert refused("on_select", body, signed(body, BUYER), Entries(entry(BUYER, "BAP"))) == (401, told)
    told = error("subscriber 'buyer.street' is not registered as BAP")
    assert refused("select", SELECT, signed(SELECT), Entries(entry(BUYER, "BPP"))) == (401, told)


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        (GONE, "None"),
        (None, "None"),
        (5, "5"),
        (["buyer.street"], "['buyer.street']"),
        ("", "''"),
        ("x" * 200, "'" + "x" * 99),
    ],
)
def test_a_sender_that_is_no_subscriber_is_refused(value: Any, shown: str) -> None:
    body = wire(changed(example("select"), "context.bap_id", value))
    told = error(f"signed by 'buyer.street' but context.bap_id is {shown}")
    assert refused("select", body, signed(body)) == (401, told)


@pytest.mark.parametrize("raw", [{}, {"context": None}, {"context": []}, {"context": "bap_id"}])
def test_without_a_context_nobody_can_have_signed(raw: Json) -> None:
    body = wire(raw)
    told = error("signed by 'buyer.street' but context.bap_id is None")
    assert refused("select", body, signed(body)) == (401, told)


def test_an_unknown_sender_is_refused() -> None:
    told = error("subscriber 'buyer.street' is not in the registry")
    assert refused("select", SELECT, signed(SELECT), Entries()) == (401, told)


def test_an_unsubscribed_sender_is_refused() -> None:
    gone = Entries(entry(BUYER, "BAP", status=SubscriptionStatus.UNSUBSCRIBED))
    told = error(f"key '{BUYER.key_id}' of subscriber 'buyer.street' is UNSUBSCRIBED")
    assert refused("select", SELECT, signed(SELECT), gone) == (401, told)


def test_an_expired_signature_is_refused() -> None:
    memory = Memory()
    reply = receive(seller(memory), "select", SELECT, signed(SELECT, ttl_s=2), at=3)
    assert (reply.status, json.loads(reply.body)["error"]) == (
        401,
        error("signature expired at 2026-05-28T20:26:42.000Z; this clock says 2026-05-28T20:26:43.000Z"),
    )
    assert memory.received == []


def test_a_message_can_expire_before_its_signature() -> None:
    reply = receive(seller(Memory()), "select", SELECT, signed(SELECT, ttl_s=60), at=31)
    assert (reply.status, json.loads(reply.body)["error"]["paths"]) == (400, "context.ttl")


def test_without_the_registry_the_sender_is_asked_to_come_again() -> None:
    memory = Memory()
    reply = receive(seller(memory, Entries(down=True)), "select", SELECT, signed(SELECT))
    assert (reply.status, json.loads(reply.body)["error"], reply.headers["retry-after"]) == (
        503,
        error(
            "signatures cannot be checked now, the registry does not answer: http://registry/lookup answered 500",
            code="40000",
        ),
        "1",
    )
    assert memory.received == []


def test_a_message_for_somebody_else_is_refused() -> None:
    body = wire(changed(example("select"), "context.bpp_id", "other.street"))
    told = error("context.bpp_id is 'other.street' but this is 'seller.street'", "context.bpp_id")
    assert refused("select", body, signed(body)) == (400, told)


def test_a_signed_message_cannot_be_played_as_another_action() -> None:
    body = wire(example("confirm") | {"context": example("select")["context"]})
    told = error("context.action is 'select' but the call was 'confirm'", "context.action")
    assert refused("confirm", body, signed(body)) == (400, told)


def test_a_receiver_of_actions_that_do_not_exist_is_a_mistake() -> None:
    with pytest.raises(ValueError, match=r"^no Beckn actions: \['refund'\]$"):
        seller(Memory(), actions=frozenset({"select", "refund"}))


@given(st.binary(max_size=300), st.dictionaries(st.just("authorization"), st.text(max_size=200)))
def test_whatever_strangers_send_they_get_a_nack(body: bytes, headers: dict[str, str]) -> None:
    assert refused("select", body, headers)[0] in (400, 401)


@given(
    st.recursive(
        st.none() | st.integers() | st.text(),
        lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
        max_leaves=10,
    )
)
def test_whatever_a_subscriber_signs_it_gets_a_nack(value: Any) -> None:
    body = wire({"context": {**example("select")["context"], "domain": value}, "message": value})
    assert refused("select", body, signed(body))[0] == 400
