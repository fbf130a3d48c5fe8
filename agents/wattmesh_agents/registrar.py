"""Calls of the registrar: `drain` asks a household to make no new contracts and to close its account before it is taken
down, `decide` and `correct` tell a utility what becomes of readings that it holds or held, `forget` has a pod let go of
a household that has left.

No Beckn actions: whoever runs the pod calls. A call is signed like a `subscribe` by the registrar, names the party that
it is for, and has an effect once.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TypeVar

from wattmesh_beckn.answers import json_reply
from wattmesh_beckn.errors import invalid
from wattmesh_beckn.receiver import check_size, parse, read_as, unauthorized
from wattmesh_beckn.signature import (
    AUTHORIZATION,
    SignatureHeader,
    SignatureProblem,
    check_signature,
    check_times,
    parse_header,
)
from wattmesh_beckn.transport import Reply
from wattmesh_common.clock import Clock
from wattmesh_common.decide import CorrectCall, DecideCall
from wattmesh_common.drain import DrainAnswer, DrainCall
from wattmesh_common.forget import ForgetCall
from wattmesh_common.runtime import REGISTRAR

Asked = TypeVar("Asked", DrainCall, DecideCall, CorrectCall, ForgetCall)


def asked_by_registrar(
    kind: type[Asked],
    body: bytes,
    headers: Mapping[str, str],
    registrar_keys: Mapping[str, str],
    subscriber_id: str,
    clock: Clock,
) -> tuple[Asked, SignatureHeader]:
    """What the registrar asks `subscriber_id`, and how it signed.

    `registrar_keys` maps key ids to public keys (base64). Raises Refusal: 413, 400 or 401 with what is wrong.
    """
    check_size(len(body))
    raw = parse(body)
    try:
        header = parse_header(headers.get(AUTHORIZATION))
        check_times(header, clock.wall(), clock.machine())
        if header.subscriber_id != REGISTRAR or header.key_id not in registrar_keys:
            raise SignatureProblem(f"key {header.key_id!r} of {header.subscriber_id!r} is no registrar's")
        check_signature(header, body, registrar_keys[header.key_id])
    except SignatureProblem as problem:
        raise unauthorized(str(problem), subscriber_id) from None
    call = read_as(kind, raw)
    if call.subscriber_id != subscriber_id:
        raise invalid(f"subscriber_id is {call.subscriber_id!r} but this is {subscriber_id!r}", "subscriber_id")
    return call, header


def drain_reply(*, draining: bool, open_contracts: int, unpriced_readings: int, closed: bool) -> Reply:
    """What the household says: see DrainAnswer."""
    answer = DrainAnswer(
        draining=draining, open_contracts=open_contracts, unpriced_readings=unpriced_readings, closed=closed
    )
    return json_reply(200, answer)
