"""The client end: sends a signed message until it is acknowledged, refused, or out of time."""

from __future__ import annotations

import random
import sys
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any

import pydantic_core

from wattmesh_beckn.answers import PLAIN_ACK
from wattmesh_beckn.context import CLOCK_TOLERANCE_S
from wattmesh_beckn.signature import AUTHORIZATION, Signer
from wattmesh_beckn.transport import Reply, Transport, TransportError
from wattmesh_common.clock import Clock
from wattmesh_common.faultpoints import FaultPoint

FIRST_RETRY_S = 0.1
LONGEST_RETRY_S = 10.0
ATTEMPT_TIMEOUT_S = 5.0


@dataclass(frozen=True)
class Acked:
    """The other side took the message. `tags` are those of its ack."""

    tags: Mapping[str, str]


@dataclass(frozen=True)
class Nacked:
    """The other side refused it for good."""

    status: int
    code: str
    message: str


@dataclass(frozen=True)
class Undelivered:
    """Time ran out; whether the message arrived is not known."""

    reason: str


Outcome = Acked | Nacked | Undelivered


def retry_delay_s(attempt: int, rng: random.Random) -> float:
    """Seconds before try `attempt` + 1: doubling from 0.1 s to 10 s, full jitter in the upper half."""
    longest = min(LONGEST_RETRY_S, FIRST_RETRY_S * 2 ** min(attempt, 20))
    return rng.uniform(longest / 2, longest)


class BecknClient:
    """Sends messages for any number of subscribers."""

    def __init__(self, transport: Transport, clock: Clock, rng: random.Random) -> None:
        self._transport = transport
        self._clock = clock
        self._rng = rng

    async def send(
        self,
        signer: Signer,
        url: str,
        body: bytes,
        expires_at: float,
        headers: Mapping[str, str] | None = None,
        authorization: str | None = None,
        answered: Callable[[Reply, str], Awaitable[None]] | None = None,
    ) -> Outcome:
        """POST `body` to `url` until ACK, NACK, or `expires_at` (unix seconds, from the message's ttl).

        The message is signed once, unless it comes with its `authorization`; every try carries the same bytes and
        signature. 5xx, 429 and lost connections are tried again, `Retry-After` is honoured. `answered` is told the
        answer, and what signature the request had.
        """
        signature = authorization or signer.sign_until(body, expires_at, self._clock)
        all_headers = {"content-type": "application/json", **(headers or {}), AUTHORIZATION: signature}
        attempt, action = 0, url.rpartition("/")[2]
        while True:
            left = expires_at - self._clock.wall()
            if left <= 0:
                return Undelivered("the message's ttl ran out before it could be sent")
            wait = 0.0
            sys.audit(FaultPoint.BEFORE_SEND, action)
            try:
                reply = await self._transport.post(url, body, all_headers, timeout_s=min(left, ATTEMPT_TIMEOUT_S))
            except TransportError as error:
                reason = str(error)
            else:
                sys.audit(FaultPoint.AFTER_SEND, action)
                if reply.status < 500 and reply.status != 429:
                    answer = read_answer(reply)
                    if answered is not None:
                        await answered(reply, signature)
                    late = self._clock.wall() >= expires_at - CLOCK_TOLERANCE_S
                    if attempt and late and isinstance(answer, Nacked) and answer.status != 200:
                        # An earlier try may have been taken, and this refusal only say that it is too late by now.
                        return Undelivered(f"{answer.message} (after {attempt + 1} tries)")
                    return answer
                reason = f"HTTP {reply.status}"
                wait = _retry_after_s(reply)
            attempt += 1
            wait = max(wait, retry_delay_s(attempt, self._rng))
            if self._clock.wall() + wait >= expires_at:
                return Undelivered(f"{reason} (after {attempt} {'try' if attempt == 1 else 'tries'})")
            await self._clock.sleep(wait)


def read_answer(reply: Reply) -> Acked | Nacked:
    """What a synchronous answer says; one that is no Beckn answer counts as NACK."""
    if reply.status == 200 and reply.body == PLAIN_ACK.body:  # nearly all are
        return _ACKED
    try:
        answer: Any = pydantic_core.from_json(reply.body)
        # Beckn v2 has no `ack` around it; LTS has no `message` either, as its reference adapter has.
        message = answer.get("message", answer)
        ack = message.get("ack", message)
        if ack["status"] == "ACK" and reply.status in (200, 202):
            return Acked(_tags(ack))
        error = answer.get("error") or message["error"]
        code, text = (
            error.get(lts) or error[name] for lts, name in (("errorCode", "code"), ("errorMessage", "message"))
        )
        return Nacked(reply.status, str(code)[:100], str(text)[:1000])
    except (ValueError, KeyError, TypeError, AttributeError):
        return Nacked(reply.status, "", f"HTTP {reply.status} with no Beckn answer")


def _tags(ack: Any) -> dict[str, str]:
    try:
        return {tag["descriptor"]["code"]: str(tag["value"]) for group in ack.get("tags", []) for tag in group["list"]}
    except (KeyError, TypeError, AttributeError):
        return {}  # taken all the same


def _retry_after_s(reply: Reply) -> float:
    text = reply.headers.get("retry-after", "")
    return float(text) if text.isascii() and text.isdigit() else 0.0


_ACKED = Acked({})
