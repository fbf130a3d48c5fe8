"""Whether a synchronous answer in v2 was signed by who was asked.

An answer counts whether it is signed or not: the networks' own rule (NFH-007) is that a missing or wrong signature
lowers trust and ends no transaction. So it is told apart here, and refused nowhere.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Callable
from enum import StrEnum
from typing import Any, NamedTuple

import pydantic_core

from wattmesh_beckn.registry import Directory, RegistryUnavailable, SubscriberType, key_of
from wattmesh_beckn.signature import (
    ANSWER_SIGNATURE,
    HEADERS,
    HEADERS_OF_ANSWER,
    HEADERS_OF_CALLBACK,
    SignatureHeader,
    SignatureProblem,
    check_signature,
    check_times,
    is_countersigned,
    parse_header,
)
from wattmesh_beckn.transport import Reply
from wattmesh_common.clock import Clock
from wattmesh_common.limits import TOLD_AT_ONCE, TOLD_PER_S, RateLimit

log = logging.getLogger(__name__)


class Proof(StrEnum):
    """What the signature of an answer proves."""

    SIGNED = "signed"
    UNSIGNED = "unsigned"
    WRONG = "wrong"
    UNCHECKED = "unchecked"
    """The registry does not answer."""


class Judged(NamedTuple):
    """What an answer proves, and why no more."""

    proof: Proof
    why: str = ""


class Request(NamedTuple):
    """A request that was answered: its body, message id and `Authorization`, and who was asked in which role.

    A callback is a request in this sense, too: its receiver answers it at once.
    """

    body: bytes
    message_id: str
    authorization: str
    asked: str
    role: SubscriberType


class Judge:
    """Judges the answers that a process gets: tells `proven` of each, and logs those whose signature is wrong."""

    def __init__(self, domain: str, directory: Directory, clock: Clock, proven: Callable[[Proof], None]) -> None:
        self._domain = domain
        self._directory = directory
        self._clock = clock
        self._proven = proven
        self._told = RateLimit(per_s=TOLD_PER_S, burst=TOLD_AT_ONCE)

    async def hear(self, reply: Reply, action: str, request: Request) -> None:
        """Count what an answer proves, and say where it was not signed by who was asked; it counts all the same."""
        proof, why = await judge(reply, request, self._domain, self._directory, self._clock)
        self._proven(proof)
        if proof is Proof.WRONG and not self._told.wait_s("", self._clock.wall()):
            log.warning("the signature of %s's answer to %s proves nothing: %s", request.asked, action, why)


async def judge(reply: Reply, request: Request, domain: str, directory: Directory, clock: Clock) -> Judged:
    """What the signature of an answer proves: the reference adapter's in a header, or LTS' in the body."""
    header, member = reply.headers.get(ANSWER_SIGNATURE), _member(reply.body)
    if header is None and member is None:
        return Judged(Proof.UNSIGNED)
    try:
        if header is not None:
            signature = parse_header(header)
            key = await _key(signature, request, domain, directory, clock)
            check_signature(signature, reply.body, key, parse_header(request.authorization).signature_text)
        elif member is not None:
            # The specification has the lines of a CounterSignature; some sign theirs like a request.
            signature = parse_header(member, (HEADERS_OF_ANSWER, HEADERS, HEADERS_OF_CALLBACK))
            key = await _key(signature, request, domain, directory, clock)
            _check_member(signature, reply.body, request, key)
    except SignatureProblem as problem:
        return Judged(Proof.WRONG, str(problem))
    except RegistryUnavailable as error:
        return Judged(Proof.UNCHECKED, str(error))
    return Judged(Proof.SIGNED)


async def _key(signature: SignatureHeader, request: Request, domain: str, directory: Directory, clock: Clock) -> str:
    """The public key of who was asked; SignatureProblem when another has signed, or at another time."""
    if signature.subscriber_id != request.asked:
        raise SignatureProblem(f"signed by {signature.subscriber_id!r} but {request.asked!r} was asked")
    check_times(signature, clock.wall(), clock.machine())
    return (await key_of(signature, request.role, domain, directory, clock.machine())).signing_public_key


def _check_member(signature: SignatureHeader, body: bytes, request: Request, key: str) -> None:
    """SignatureProblem when a signature is not over the answer without it, as JSON with or without spaces."""
    said = pydantic_core.from_json(body)
    del said["signature"]
    for unsigned in (pydantic_core.to_json(said), json.dumps(said, ensure_ascii=False).encode()):
        if is_countersigned(signature, unsigned, request.body, request.message_id, key):
            return
    raise SignatureProblem("wrong signature: it was made with another key, or over another answer or request")


def _member(body: bytes) -> str | None:
    if b'"signature"' not in body:
        return None
    try:
        said: Any = pydantic_core.from_json(body)
    except ValueError:
        return None
    signature = said.get("signature") if isinstance(said, dict) else None
    return signature if isinstance(signature, str) else None
