"""What the signature of a synchronous answer proves, made as LTS says it and as its reference adapter does."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable
from hashlib import blake2b
from typing import Any

import pytest
from nacl.signing import SigningKey

from tests.beckn.support import BUYER, NOW, SELLER, Entries, clock, entry
from tests.world.clocks import run
from tests.world.subscribers import DOMAIN
from wattmesh_beckn.answers import ack, in_v2
from wattmesh_beckn.proofs import Judged, Proof, Request, judge
from wattmesh_beckn.registry import RegistryUnavailable
from wattmesh_beckn.signature import Signer, parse_header
from wattmesh_beckn.transport import Reply

BODY, MESSAGE_ID = b'{"context":{"messageId":"m-1"},"message":{}}', "m-1"
CREATED, EXPIRES = int(NOW), int(NOW) + 300
AUTHORIZATION = BUYER.sign(BODY, created=CREATED, expires=CREATED + 30)
REQUEST = Request(BODY, MESSAGE_ID, AUTHORIZATION, SELLER.subscriber_id, "BPP")
STREET = Entries(entry(SELLER, "BPP"), entry(BUYER, "BPP"))
COUNTER_LINES = (
    f"(request-digest): BLAKE-512={base64.b64encode(blake2b(BODY).digest()).decode()}",
    "(message-id): m-1",
)
COUNTER = "(created) (expires) digest (request-digest) (message-id)"
OF_REQUEST = "(created) (expires) digest request-signature"


def made(answer: bytes, headers: str, *lines: str, by: Signer = SELLER, created: int = CREATED) -> str:
    """A signature over an answer, put together by hand."""
    key = SigningKey(by._private_key.private_bytes_raw())
    digest = base64.b64encode(blake2b(answer).digest()).decode()
    told = (f"(created): {created}", f"(expires): {EXPIRES}", f"digest: BLAKE-512={digest}", *lines)
    value = base64.b64encode(key.sign("\n".join(told).encode()).signature).decode()
    return (
        f'Signature keyId="{by.subscriber_id}|{by.key_id}|ed25519",algorithm="ed25519",created="{created}",'
        f'expires="{EXPIRES}",headers="{headers}",signature="{value}"'
    )


def judged(reply: Reply, request: Request = REQUEST, directory: Entries = STREET) -> Judged:
    return run(judge(reply, request, DOMAIN, directory, clock()))


def of_adapter(**changes: Any) -> Reply:
    """As the reference adapter answers: plain, with a header over the whole body and the request's signature."""
    body = b'{"message":{"status":"ACK","messageId":"m-1"}}'
    line = f"request-signature: {parse_header(AUTHORIZATION).signature_text}"
    return Reply(200, body, {"signature": made(body, OF_REQUEST, line, **changes)})


def of_lts(*, indent: bool = False, **changes: Any) -> Reply:
    """As LTS has it: the signature is a member of what is signed without it."""
    separators = (", ", ": ") if indent else (",", ":")
    answer = {"status": "ACK"}
    unsigned = json.dumps(answer, separators=separators).encode()
    signature = made(unsigned, COUNTER, *COUNTER_LINES, **changes)
    return Reply(200, json.dumps({"signature": signature, **answer}, separators=separators).encode())


def test_its_own_answers_prove_themselves_in_either_form() -> None:
    reply = in_v2(ack(), BODY, MESSAGE_ID, SELLER, NOW, AUTHORIZATION)
    assert judged(reply) == Judged(Proof.SIGNED)
    assert judged(Reply(reply.status, reply.body)) == Judged(Proof.SIGNED)
    assert OF_REQUEST in reply.headers["signature"]


def test_to_what_was_not_signed_the_answer_is_signed_alone() -> None:
    reply = in_v2(ack(), BODY, MESSAGE_ID, SELLER, NOW, None)
    assert 'headers="(created) (expires) digest"' in reply.headers["signature"]
    assert judged(reply) == Judged(Proof.SIGNED)


@pytest.mark.parametrize("reply", [of_adapter(), of_lts(), of_lts(indent=True)], ids=["adapter", "LTS", "with spaces"])
def test_others_answers_prove_themselves(reply: Reply) -> None:
    assert judged(reply) == Judged(Proof.SIGNED)


@pytest.mark.parametrize("make", [of_adapter, of_lts])
def test_an_answer_of_another_or_to_something_else_proves_nothing(make: Callable[..., Reply]) -> None:
    other = REQUEST._replace(
        message_id="m-2", authorization=BUYER.sign(b"another", created=CREATED, expires=CREATED + 30)
    )
    for reply, request, why in (
        (make(), other, "wrong signature"),
        (make(by=BUYER), REQUEST, "signed by 'buyer.street' but 'seller.street' was asked"),
        (make(created=CREATED + 60), REQUEST, "ahead of this clock"),
    ):
        proof, text = judged(reply, request)
        assert (proof, why in text) == (Proof.WRONG, True), text


@pytest.mark.parametrize(
    "body", [b'{"status":"ACK"}', b"<html>", b'["signature"]', b'{"signature":7}', b'{"signature"']
)
def test_an_answer_without_a_signature_is_unsigned(body: bytes) -> None:
    assert judged(Reply(200, body)) == Judged(Proof.UNSIGNED)


def test_without_a_registry_nothing_is_said_about_it() -> None:
    class Silent(Entries):
        async def find(self, subscriber_id: str, *, fresh: bool = False) -> list:  # type: ignore[type-arg]  # noqa: ARG002
            raise RegistryUnavailable("nobody there")

    assert judged(of_lts(), directory=Silent()) == Judged(Proof.UNCHECKED, "nobody there")
