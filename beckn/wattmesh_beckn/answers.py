"""The synchronous answer to a call: ACK, or NACK with an error; as v1 says it, and as v2 does."""

from __future__ import annotations

from typing import Any

import pydantic_core

from wattmesh_beckn.errors import Refusal
from wattmesh_beckn.signature import ANSWER_SIGNATURE, SignatureProblem, Signer, parse_header
from wattmesh_beckn.transport import Reply

ANSWER_S = 300
"""For how long the signature of an answer holds."""
_JSON = {"content-type": "application/json"}


def ack(**tags: str) -> Reply:
    """ACK: the call is taken and, where it has one, its callback will come. `tags` go into the ack."""
    if not tags:
        return PLAIN_ACK
    values = [{"descriptor": {"code": code}, "value": value} for code, value in tags.items()]
    answer = {"status": "ACK", "tags": [{"descriptor": {"code": "broadcast"}, "list": values}]}
    return _reply(200, {"message": {"ack": answer}})


def nack(refusal: Refusal) -> Reply:
    """NACK with the refusal's error, status and headers."""
    error = {"code": str(refusal.code), "message": refusal.message}
    if refusal.paths:
        error["paths"] = refusal.paths
    reply = _reply(refusal.status, {"message": {"ack": {"status": "NACK"}}, "error": error})
    headers = {**reply.headers, **{name.lower(): value for name, value in refusal.headers.items()}}
    return Reply(reply.status, reply.body, headers, refused=True)


def json_reply(status: int, value: Any) -> Reply:
    """Any JSON value as an answer."""
    return _reply(status, value)


def in_v2(
    reply: Reply, request: bytes, message_id: str, signer: Signer, now: float, authorization: str | None
) -> Reply:
    """An answer of v1 to a request as v2 has it, signed at unix seconds `now`: both as LTS and as its reference adapter
    spell and sign it.

    LTS' counter-signature is over the body without the member `signature`, which stands last; the adapter's is in a
    header, over the whole body and the signature in the request's `authorization`, if that has one.
    """
    said = pydantic_core.from_json(reply.body)
    body: dict[str, Any] = {"status": said["message"]["ack"]["status"]}
    if message_id:
        body["messageId"] = message_id
    if (error := said.get("error")) is not None:
        body["error"] = {"errorCode": error["code"], "errorMessage": error["message"], **error}
    unsigned = pydantic_core.to_json({**body, "message": body})
    created = int(now)
    signature = signer.countersign(unsigned, request, message_id, created=created, expires=created + ANSWER_S)
    signed = b'%s,"signature":%s}' % (unsigned[:-1], pydantic_core.to_json(signature))
    header = signer.sign_answer(signed, _signature_in(authorization), created=created, expires=created + ANSWER_S)
    return Reply(reply.status, signed, {**reply.headers, ANSWER_SIGNATURE: header}, refused=reply.refused)


def _signature_in(authorization: str | None) -> str | None:
    try:
        return parse_header(authorization).signature_text
    except SignatureProblem:  # which is what the answer says
        return None


def _reply(status: int, value: Any) -> Reply:
    return Reply(status, pydantic_core.to_json(value), _JSON)


PLAIN_ACK = _reply(200, {"message": {"ack": {"status": "ACK"}}})
