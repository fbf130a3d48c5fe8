"""`drain`: the registrar asks a household to make no new contracts, so that it can be taken down with none open.

Not a Beckn action: a call from the operator that runs the pod. It is signed like a `subscribe` by the registrar.
"""

from __future__ import annotations

from collections.abc import Mapping

from wattmesh_beckn.answers import json_reply
from wattmesh_beckn.errors import invalid
from wattmesh_beckn.receiver import check_size, parse, unauthorized
from wattmesh_beckn.signature import (
    AUTHORIZATION,
    SignatureProblem,
    check_signature,
    check_times,
    parse_header,
)
from wattmesh_beckn.transport import Reply

DRAIN = "drain"
REGISTRAR = "registrar"


def asked_to_drain(
    body: bytes, headers: Mapping[str, str], registrar_keys: Mapping[str, str], realm: str, now: float
) -> bool:
    """Whether the call asks to drain or to stop draining: `{"draining": true}`.

    `registrar_keys` maps key ids to public keys (base64). Raises Refusal: 413, 400 or 401 with what is wrong.
    """
    check_size(len(body))
    raw = parse(body)
    try:
        header = parse_header(headers.get(AUTHORIZATION))
        check_times(header, now)
        if header.subscriber_id != REGISTRAR or header.key_id not in registrar_keys:
            raise SignatureProblem(f"key {header.key_id!r} of {header.subscriber_id!r} is no registrar's")
        check_signature(header, body, registrar_keys[header.key_id])
    except SignatureProblem as problem:
        raise unauthorized(str(problem), realm) from None
    draining = raw.get("draining")
    if not isinstance(draining, bool):
        raise invalid("draining must be true or false", "draining")
    return draining


def drain_reply(draining: bool, open_contracts: int) -> Reply:
    """What the household says: whether it drains, and how many contracts are still open."""
    return json_reply(200, {"draining": draining, "open_contracts": open_contracts})
