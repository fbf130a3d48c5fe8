"""The synchronous answer to a call: ACK, or NACK with an error."""

from __future__ import annotations

from typing import Any

import pydantic_core

from wattmesh_beckn.errors import Refusal
from wattmesh_beckn.transport import Reply

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


def _reply(status: int, value: Any) -> Reply:
    return Reply(status, pydantic_core.to_json(value), _JSON)


PLAIN_ACK = _reply(200, {"message": {"ack": {"status": "ACK"}}})
