from __future__ import annotations

import base64
import json
from hashlib import blake2b
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from tests.beckn.codec_support import NOW_MS, SELLER_ID, SLOT, envelope, status_of, terms_of
from tests.beckn.support import BUYER, GATEWAY, GONE, NOW, SELLER, Entries, Json, changed, clock, entry, example, wire
from tests.beckn.test_receiver import Memory, receive, signed
from tests.world.subscribers import DOMAIN, signer
from wattmesh_beckn.answers import ack
from wattmesh_beckn.client import Acked, Nacked, read_answer
from wattmesh_beckn.codec.v2.codec import CodecV2
from wattmesh_beckn.errors import ErrorCode, declined
from wattmesh_beckn.receiver import Asked, Receiver
from wattmesh_beckn.signature import Signer, digest, parse_header
from wattmesh_beckn.transport import Reply
from wattmesh_common.fields import Protocols
from wattmesh_market.trade.contracts import ContractState
from wattmesh_market.trade.messages import DeliveryStatus, Offers, Quote, Search, Select, Sent, Wanted
from wattmesh_market.trade.offers import Offer

CODEC = CodecV2("EUR", "wattmesh.io/gateway.street")
STREET = Entries(
    entry(BUYER, "BAP"), entry(BUYER, "BPP"), entry(SELLER, "BPP"), entry(SELLER, "BAP"), entry(GATEWAY, "BG")
)
BOTH: Protocols = ("v1", "v2")


def said(message: Sent) -> Json:
    found: Json = json.loads(CODEC.encode(message, envelope(message)))
    return found


SELECT = said(Select(SELLER_ID, (Wanted(SLOT, f"energy-{SLOT}", 250),)))
QUOTE = said(Quote(terms_of(SLOT), NOW_MS + 30_000))
FOUND = said(Offers(((SLOT, Offer(SELLER_ID, f"energy-{SLOT}", 150_000, 500)),)))


def ear(memory: Memory, owner: Signer = SELLER, **more: Any) -> Receiver:
    options: dict[str, Any] = {
        "subscriber_id": owner.subscriber_id,
        "domain": DOMAIN,
        "actions": frozenset({"search", "select", "discover", "on_select", "on_discover", "on_status"}),
        "directory": STREET,
        "inbox": memory,
        "clock": clock(),
        "handler": memory.handle,
        "gateway_id": GATEWAY.subscriber_id,
        "protocols": BOTH,
        "signer": lambda: owner,
    }
    return Receiver(**{**options, **more})


def answer_of(raw: Json, by: Signer, owner: Signer = SELLER, memory: Memory | None = None, **more: Any) -> Reply:
    body = wire(raw)
    heard = ear(memory or Memory(), owner, **more)
    return receive(heard, raw["context"]["action"], body, signed(body, by))


def refused(raw: Json, by: Signer, owner: Signer = SELLER, **more: Any) -> tuple[int, str]:
    reply = answer_of(raw, by, owner, **more)
    error = json.loads(reply.body)["error"]
    assert (error["errorCode"], error["errorMessage"]) == (error["code"], error["message"])
    return reply.status, error["message"]


def require_countersigned(reply: Reply, request: bytes, owner: Signer) -> None:
    """By the lines of LTS' CounterSignature, put together anew."""
    answer = json.loads(reply.body)
    signature = answer["signature"]
    part = b',"signature":' + json.dumps(signature).encode()
    assert reply.body.count(part) == 1
    values = dict(pair.split("=", 1) for pair in signature.removeprefix("Signature ").split(","))
    created, expires, value = (values[name].strip('"') for name in ("created", "expires", "signature"))
    assert values["headers"].strip('"') == "(created) (expires) digest (request-digest) (message-id)"
    digests = [base64.b64encode(blake2b(raw).digest()).decode() for raw in (reply.body.replace(part, b""), request)]
    lines = (
        f"(created): {created}",
        f"(expires): {expires}",
        f"digest: BLAKE-512={digests[0]}",
        f"(request-digest): BLAKE-512={digests[1]}",
        f"(message-id): {answer['messageId']}",
    )
    key = Ed25519PublicKey.from_public_bytes(base64.b64decode(owner.public_key))
    key.verify(base64.b64decode(value), "\n".join(lines).encode())


def test_a_call_in_v2_is_handed_over_and_answered_in_both_forms_of_v2() -> None:
    memory = Memory()
    reply = answer_of(SELECT, BUYER, memory=memory)
    answer = json.loads(reply.body)
    message_id = SELECT["context"]["messageId"]
    assert (answer["status"], answer["messageId"]) == ("ACK", message_id)
    assert answer["message"] == {"status": "ACK", "messageId": message_id}
    require_countersigned(reply, wire(SELECT), SELLER)
    assert isinstance(read_answer(reply), Acked)
    [received] = memory.received
    assert (received.protocol, received.sender) == ("v2", entry(BUYER, "BAP"))
    assert CODEC.decode(received) == Select(SELLER_ID, (Wanted(SLOT, f"energy-{SLOT}", 250),))


def test_a_refusal_is_answered_in_both_forms_of_v2() -> None:
    reply = answer_of(SELECT, BUYER, memory=Memory(declined(ErrorCode.QUANTITY_UNAVAILABLE, "sold out", "message")))
    answer = json.loads(reply.body)
    error = {
        "errorCode": "40002",
        "errorMessage": "sold out",
        "code": "40002",
        "message": "sold out",
        "paths": "message",
    }
    assert (answer["status"], answer["error"], answer["message"]["error"]) == ("NACK", error, error)
    assert read_answer(reply) == Nacked(200, "40002", "sold out")
    require_countersigned(reply, wire(SELECT), SELLER)


def test_the_first_answer_is_given_again_signed_anew() -> None:
    memory = Memory()
    heard, body = ear(memory), wire(SELECT)
    for _ in range(2):
        reply = receive(heard, "select", body, signed(body))
        assert reply.status == 200
        require_countersigned(reply, body, SELLER)
    assert len(memory.received) == 1


def test_a_message_id_that_was_used_for_another_message_is_refused() -> None:
    memory = Memory()
    answer_of(SELECT, BUYER, memory=memory)
    path = "message.contract.commitments.0.commitmentAttributes.intervals.0.payloads.0.values"
    status, text = refused(changed(SELECT, path, [0.5]), BUYER, memory=memory)
    assert (status, "was used for another select" in text) == (400, True)


def test_a_quote_that_only_holds_longer_is_the_same_one() -> None:
    memory = Memory()
    answer_of(QUOTE, SELLER, BUYER, memory)
    answer_of(said(Quote(terms_of(SLOT), NOW_MS + 31_000)), SELLER, BUYER, memory)
    assert len(memory.received) == 1


@pytest.mark.parametrize(
    ("raw", "by", "owner", "status", "text"),
    [
        (SELECT, SELLER, SELLER, 401, "signed by 'seller.street' but context.bapId is 'buyer.street'"),
        (QUOTE, BUYER, BUYER, 401, "signed by 'buyer.street' but context.bppId is 'seller.street'"),
        (SELECT, BUYER, signer("other.street"), 400, "context.bppId is 'seller.street' but this is 'other.street'"),
        (changed(SELECT, "context.ttl", "PT2H"), BUYER, SELLER, 400, "ttl must be more than 0 s"),
        (changed(SELECT, "context.version", "2.1.0"), BUYER, SELLER, 400, "use '2.0.0'"),
        (changed(SELECT, "context.bppUri", GONE), BUYER, SELLER, 400, "select needs context.bppUri"),
        (changed(SELECT, "message.contract", GONE), BUYER, SELLER, 400, "message.contract: Field required"),
        (said(Search(SLOT, 250)), BUYER, SELLER, 400, "context.bppId is None but this is 'seller.street'"),
    ],
)
def test_who_is_not_proven_or_not_meant_is_refused(
    raw: Json, by: Signer, owner: Signer, status: int, text: str
) -> None:
    found = refused(raw, by, owner)
    assert (found[0], text in found[1]) == (status, True), found


def test_another_network_is_named_in_vain() -> None:
    reply = answer_of(changed(SELECT, "context.networkId", "acmenet.org/charge-net"), BUYER)
    error = json.loads(reply.body)["error"]
    assert (reply.status, error["code"], error["paths"], error["message"]) == (
        400,
        "30000",
        "context.networkId",
        "networkId 'acmenet.org/charge-net' is another network; this is 'wattmesh.io/gateway.street': "
        "name that, or none",
    )
    elsewhere = changed(SELECT, "context.networkId", "wattmesh.io/gateway.street@dedi.example.org")
    assert refused(elsewhere, BUYER)[0] == 400


@pytest.mark.parametrize("named", [GONE, None, "", "wattmesh.io/gateway.street@dedi.global"])
def test_the_network_need_not_be_named_and_may_be_with_its_default_host(named: Any) -> None:
    assert answer_of(changed(SELECT, "context.networkId", named), BUYER).status == 200


def test_offers_are_the_gateways_for_all_or_a_sellers_own() -> None:
    memory = Memory()
    answer_of(FOUND, GATEWAY, BUYER, memory)
    answer_of(changed(FOUND, "context.messageId", "6d3f6c5e-0000-4000-8000-000000000009"), SELLER, BUYER, memory)
    assert [received.sender.type for received in memory.received] == ["BG", "BPP"]
    assert refused(FOUND, signer("other.street"), BUYER)[0] == 401
    assert refused(changed(QUOTE, "context.bppId", "gateway.street"), GATEWAY, BUYER)[0] == 401  # it sells nothing


def test_each_version_has_its_own_calls() -> None:
    assert answer_of(example("select"), BUYER) == ack(count="1")
    body = wire(changed(example("search"), "context.action", "discover"))
    reply = receive(ear(Memory()), "discover", body, signed(body))
    assert (reply.status, b"Beckn 1.1.0 has no discover" in reply.body) == (400, True)
    assert refused(changed(SELECT, "context.action", "search"), BUYER) == (400, "Beckn 2.0.0 has no search")


@pytest.mark.parametrize(
    ("spoken", "raw", "text"),
    [(("v1",), SELECT, "version '2.0.0' is not spoken here"), (("v2",), example("select"), "version '1.1.0' is not")],
)
def test_a_version_that_the_network_does_not_speak_is_refused(spoken: Protocols, raw: Json, text: str) -> None:
    reply = answer_of(raw, BUYER, protocols=spoken)
    error = json.loads(reply.body)["error"]
    assert (reply.status, error["paths"], text in error["message"]) == (400, "context.version", True)


# --- a callback, and the request that it answers ---

DIGEST = digest(wire(SELECT))
ASKED = Asked(DIGEST, signed(wire(SELECT))["authorization"])


def known(message_id: str, action: str) -> Asked | None:
    return ASKED if (message_id, action) == (SELECT["context"]["messageId"], "select") else None


def answering(request_digest: str) -> Json:
    return changed(QUOTE, "context.requestDigest", {"digest": f"BLAKE-512={request_digest}"})


def test_a_callback_says_which_request_it_answers() -> None:
    assert answer_of(answering(DIGEST), SELLER, BUYER, asked=known).status == 200
    assert answer_of(answering(digest(b"another")), SELLER, BUYER).status == 200  # the request is forgotten
    status, text = refused(answering(digest(b"another")), SELLER, BUYER, asked=known)
    assert (status, f"what was asked is BLAKE-512={DIGEST}" in text) == (400, True)


def test_a_callback_may_be_signed_with_the_signature_of_its_request() -> None:
    body, created, expires = wire(QUOTE), int(NOW), int(NOW) + 30
    lines = f"(created): {created}\n(expires): {expires}\ndigest: BLAKE-512={digest(body)}"
    value = SELLER._private_key.sign(
        f"{lines}\nrequest-signature: {parse_header(ASKED.authorization).signature_text}".encode()
    )
    header = SELLER.sign(body, created=created, expires=expires)
    header = header.replace('digest"', 'digest request-signature"')
    header = f'{header.partition("signature=")[0]}signature="{base64.b64encode(value).decode()}"'
    headers = {"authorization": header}
    assert receive(ear(Memory(), BUYER, asked=known), "on_select", body, headers).status == 200
    assert receive(ear(Memory(), BUYER), "on_select", body, headers).status == 401
    other = Asked(DIGEST, SELLER.sign(wire(SELECT), created=created, expires=expires))
    assert receive(ear(Memory(), BUYER, asked=lambda *_: other), "on_select", body, headers).status == 401


def test_what_was_not_asked_for_answers_nothing() -> None:
    told = said(status_of(DeliveryStatus(SLOT, ContractState.DELIVERED, 1250, 234_375)))
    assert answer_of(told, SELLER, BUYER, asked=known).status == 200


@pytest.mark.parametrize("message_id", ["7", "a\n(message-id): b", 7, None])
def test_a_message_id_that_is_none_is_not_repeated(message_id: Any) -> None:
    reply = answer_of(changed(SELECT, "context.messageId", message_id), BUYER)
    answer = json.loads(reply.body)
    assert (reply.status, answer["status"], "messageId" in answer, "messageId" in answer["message"]) == (
        400,
        "NACK",
        False,
        False,
    )


@pytest.mark.parametrize("action", ["track", "rate", "on_rate"])
def test_what_is_not_offered_is_declined_in_v2(action: str) -> None:
    body = wire(changed(SELECT, "context.action", action))
    reply = receive(ear(Memory()), action, body, signed(body))
    assert read_answer(reply) == Nacked(200, "40000", f"{action} is not offered here")
    assert json.loads(reply.body)["messageId"] == SELECT["context"]["messageId"]
