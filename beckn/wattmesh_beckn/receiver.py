"""The server end: what happens to a call before it is acted on.

In this order, each cheaper or surer than the next: size → parse → signature → rate → schema → replay → hand over.
"""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from functools import lru_cache
from hashlib import blake2b
from typing import Any, NamedTuple, Protocol, TypeVar

import pydantic_core
from pydantic import BaseModel, ValidationError

from wattmesh_beckn.answers import in_v2, nack
from wattmesh_beckn.codec.v2 import messages as v2
from wattmesh_beckn.codec.v2.messages import CallV2, ContextV2
from wattmesh_beckn.context import ACTIONS, VERSION, BecknModel, Context, check_context
from wattmesh_beckn.errors import ErrorCode, Refusal, busy, declined, invalid
from wattmesh_beckn.messages import Call, read_call
from wattmesh_beckn.registry import Directory, RegistryUnavailable, SubscriberType, Subscription, key_of
from wattmesh_beckn.signature import (
    AUTHORIZATION,
    GATEWAY_AUTHORIZATION,
    SignatureHeader,
    SignatureProblem,
    Signer,
    check_signature,
    check_times,
    parse_header,
)
from wattmesh_beckn.transport import Reply
from wattmesh_common.clock import Clock
from wattmesh_common.fields import V1_ONLY, Protocols, ProtocolVersion

MAX_BODY_BYTES = 256 * 1024
NOT_OFFERED: Mapping[ProtocolVersion, frozenset[str]] = {
    "v1": frozenset({"track", "support", "rating", "on_track", "on_support", "on_rating"}),
    "v2": frozenset({"track", "support", "rate", "on_track", "on_support", "on_rate"}),
}
"""Actions of core that have no use here."""
ModelT = TypeVar("ModelT", bound=BaseModel)
BodyT = TypeVar("BodyT", bound=BecknModel)


@dataclass(frozen=True)
class Received:
    """A call whose sender and form are proven. `body` is the raw bytes, `sender` the registry's entry of it.

    `action` is the call's name in its version. `since` is when the registry first had an entry of the sender of an
    update (wall time; 0: not known). `answers` is the signature (base64) of the request that the sender's covers, if it
    covers one.
    """

    action: str
    context: Context | ContextV2
    message: BecknModel
    sender: Subscription
    body: bytes
    authorization: str = field(repr=False)
    signature_expires: int
    since: float = 0.0
    answers: str | None = None

    @property
    def protocol(self) -> ProtocolVersion:
        """The version of Beckn that it is in."""
        return "v2" if isinstance(self.context, ContextV2) else "v1"

    @property
    def said(self) -> bytes:
        """A digest of what the message says, without its times, which differ when it is said again."""
        return _said(self.body)

    def read(self, kind: type[BodyT]) -> BodyT:
        """The message as the class that its action has; TypeError when asked for another."""
        if not isinstance(self.message, kind):
            raise TypeError(f"{self.action} carries no {kind.__name__}")
        return self.message


class FirstAnswer(NamedTuple):
    """The answer that a message got, and the digest of what it said; None where that is not known any more."""

    reply: Reply
    said: bytes | None


class Inbox(Protocol):
    """Remembers the answer given to each message."""

    async def first_answer(self, sender: str, message_id: str, action: str) -> FirstAnswer | None:
        """The answer given before, or None when the message is new."""
        ...


Handler = Callable[[Received], Awaitable[Reply]]
"""Acts on a call and remembers its answer in the inbox, both or neither."""
Admit = Callable[[str], Awaitable[None]]
"""Raises Refusal where a sender calls too often."""


class Asked(NamedTuple):
    """A request that was sent: the digest of its body (base64), and its `Authorization`."""

    digest: str
    authorization: str


def _nothing(message_id: str, action: str) -> Asked | None:  # noqa: ARG001 - of who remembers no requests
    return None


class Receiver:
    """One subscriber's ear: checks each call, in any of its `protocols`, and hands the good ones over.

    `gateway_id` is the one gateway whose signature a search needs that does not name this subscriber, and that answers
    for the sellers of its network; None at a gateway, which hears buyers themselves. `signer` has the key that signs
    answers in v2, whose messages have `bodies`. `asked` knows requests by message id and action: what a callback says
    of its request is checked with it.
    """

    def __init__(
        self,
        *,
        subscriber_id: str,
        domain: str,
        actions: frozenset[str],
        directory: Directory,
        inbox: Inbox,
        clock: Clock,
        handler: Handler,
        gateway_id: str | None,
        limit: Admit | None = None,
        protocols: Protocols = V1_ONLY,
        signer: Callable[[], Signer] | None = None,
        bodies: Mapping[str, type[v2.V2Model]] = v2.BODIES,
        asked: Callable[[str, str], Asked | None] = _nothing,
    ) -> None:
        if "v2" in protocols and signer is None:
            raise ValueError("answers in v2 are signed, and there is no key")
        unknown = actions - {*ACTIONS, *bodies}
        if unknown:
            raise ValueError(f"no Beckn actions: {sorted(unknown)}")
        self._subscriber_id = subscriber_id
        self._domain = domain
        self._actions = actions
        self._directory = directory
        self._inbox = inbox
        self._clock = clock
        self._handler = handler
        self._gateway_id = gateway_id
        self._limit = limit
        self._protocols = protocols
        self._signer = signer
        self._bodies = bodies
        self._asked = asked
        self._not_offered = frozenset[str]().union(*(NOT_OFFERED[version] for version in protocols))

    async def receive(self, action: str, body: bytes, headers: Mapping[str, str]) -> Reply:
        """Answer a call. Header names are lower case. Refusals become NACK; nothing is raised.

        What is answered in v1 and remembered so becomes v2's answer here.
        """
        try:
            self._require_action(action)
            check_size(len(body))
            raw = _parsed(body)
        except Refusal as refusal:
            return nack(refusal)
        version = version_of(raw)
        try:
            reply = await self._receive(version, action, raw, body, headers)
        except Refusal as refusal:
            reply = nack(refusal)
        if version not in self._protocols or version == "v1" or self._signer is None:
            return reply
        now, authorization = self._clock.machine(), headers.get(AUTHORIZATION)
        return in_v2(reply, body, _message_id(raw), self._signer(), now, authorization)

    def _require_action(self, action: str) -> None:
        if action not in self._actions | self._not_offered:
            known = ", ".join(sorted(self._actions))
            raise Refusal(404, ErrorCode.INVALID_REQUEST, f"no action {action[:50]!r} here; there are {known}")

    async def _receive(
        self, version: ProtocolVersion, action: str, raw: dict[str, Any], body: bytes, headers: Mapping[str, str]
    ) -> Reply:
        if action in self._not_offered:
            raise declined(ErrorCode.BUSINESS_ERROR, f"{action} is not offered here")
        if version not in self._protocols:
            said, spoken = (v2.VERSION, VERSION) if version == "v2" else (VERSION, v2.VERSION)
            raise invalid(f"version {said!r} is not spoken here; use {spoken!r}", "context.version")
        if action not in (self._bodies if version == "v2" else ACTIONS):
            raise invalid(f"Beckn {v2.VERSION if version == 'v2' else VERSION} has no {action}", "context.version")
        header, sender, answers = await self._authenticate(version, action, raw, body, headers)
        if self._limit is not None:  # not before: in another's name nobody shall use up its allowance
            await self._limit(sender.subscriber_id)
        context, message = self._read(version, action, body)
        # Only readings, which come in updates, depend on it. Pods wait for nothing between inbox and handler.
        since = await self._since(sender) if action == "update" else 0.0
        first = await self._inbox.first_answer(sender.subscriber_id, context.message_id, action)
        if first is not None and (first.said is None or first.said == _said(body)):
            return first.reply
        # A seller may answer one request in several callbacks, such as pages of offers; a request is said once.
        if first is not None and not context.is_callback:
            text = f"message_id {context.message_id!r} was used for another {action}; a new message needs a new one"
            raise invalid(text, "context.message_id")
        authorization = headers.get(AUTHORIZATION, "")
        return await self._handler(
            Received(action, context, message, sender, body, authorization, header.expires, since, answers)
        )

    def _read(self, version: ProtocolVersion, action: str, body: bytes) -> tuple[Context | ContextV2, BecknModel]:
        """Context and message, which are sound and meant for this subscriber."""
        now, machine = self._clock.wall(), self._clock.machine()
        to_gateway = self._gateway_id is None and action in {"search", *v2.TO_DISCOVERY}
        subscriber_id = None if to_gateway else self._subscriber_id
        if version == "v1":
            call = _read(action, body)
            check_context(
                call.context, action=action, domain=self._domain, subscriber_id=subscriber_id, now=now, machine=machine
            )
            return call.context, call.message
        told = v2.read_call(action, _parsed(body), self._bodies)
        network = v2.network_of(self._gateway_id or self._subscriber_id)
        v2.check_context(
            told.context, action=action, network=network, subscriber_id=subscriber_id, now=now, machine=machine
        )
        asked = self._asked(told.context.message_id, _request(action))
        answers = told.context.request_digest
        if asked is not None and answers is not None and answers.digest != (wanted := f"BLAKE-512={asked.digest}"):
            text = f"it answers {answers.digest!r:.120}, and what was asked is {wanted}"
            raise invalid(text, "context.requestDigest.digest")
        return told.context, told.message

    async def _since(self, sender: Subscription) -> float:
        """Since when a sender is in the registry, whose times are the machine's, in wall time."""
        try:
            entries = await self._directory.find(sender.subscriber_id)
        except RegistryUnavailable as error:
            raise busy(f"the registry does not answer: {error}", 1) from None
        created = [one.created.timestamp() for one in (sender, *entries) if one.created is not None]
        return min(created) - self._clock.machine() + self._clock.wall() if created else 0.0

    async def _authenticate(
        self, version: ProtocolVersion, action: str, raw: dict[str, Any], body: bytes, headers: Mapping[str, str]
    ) -> tuple[SignatureHeader, Subscription, str | None]:
        said = raw.get("context")
        context: dict[str, Any] = said if isinstance(said, dict) else {}
        seller = v2.is_callback(action) or action == v2.PUBLISH
        field = _SENDERS[version][seller]
        role: SubscriberType = "BPP" if seller else "BAP"
        try:
            header = parse_header(headers.get(AUTHORIZATION))
            if action in v2.OF_DISCOVERY and header.subscriber_id == self._gateway_id:
                role = "BG"
            elif header.subscriber_id != (claimed := context.get(field)):
                raise SignatureProblem(f"signed by {header.subscriber_id!r} but context.{field} is {claimed!r:.100}")
            asked = self._asked(str(context.get("messageId")), _request(action)) if header.of_callback else None
            signature = asked and parse_header(asked.authorization).signature_text
            sender = await verify(header, role, self._domain, body, self._directory, self._clock, signature)
        except SignatureProblem as problem:
            raise unauthorized(str(problem), self._subscriber_id) from None
        named = context.get("bpp_id") == self._subscriber_id
        if action == "search" and self._gateway_id is not None and not named:
            try:
                gateway = parse_header(headers.get(GATEWAY_AUTHORIZATION))
                if gateway.subscriber_id != self._gateway_id:
                    raise SignatureProblem(
                        f"signed by {gateway.subscriber_id!r} but the gateway is {self._gateway_id!r}"
                    )
                await verify(gateway, "BG", self._domain, body, self._directory, self._clock)
            except SignatureProblem as problem:
                text = f"X-Gateway-Authorization: {problem}"
                raise unauthorized(text, self._subscriber_id, "Proxy-Authenticate") from None
        return header, sender, signature


async def verify(
    header: SignatureHeader,
    role: SubscriberType,
    domain: str,
    body: bytes,
    directory: Directory,
    clock: Clock,
    request_signature: str | None = None,
) -> Subscription:
    """The registry's entry of whoever signed `body`, and the signature of the request that it answers, where it is so.

    Raises SignatureProblem, or Refusal (503) when the registry cannot be asked.
    """
    check_times(header, clock.wall(), clock.machine())
    try:
        entry = await key_of(header, role, domain, directory, clock.machine())
    except RegistryUnavailable as error:
        raise busy(f"signatures cannot be checked now, the registry does not answer: {error}", 1) from None
    check_signature(header, body, entry.signing_public_key, request_signature)
    return entry


async def proven(
    body: bytes,
    headers: Mapping[str, str],
    roles: Sequence[SubscriberType],
    domain: str,
    directory: Directory,
    clock: Clock,
    realm: str,
) -> tuple[dict[str, Any], Subscription]:
    """A call beside Beckn's, as parsed JSON, and the registry's entry of who signed it, in the first of `roles` it has.

    Refusal: 413, 400, 401 in the name of `realm`, or 503 when the registry cannot be asked.
    """
    check_size(len(body))
    raw = parse(body)
    try:
        header = parse_header(headers.get(AUTHORIZATION))
        for role in roles[:-1]:
            with suppress(SignatureProblem):
                return raw, await verify(header, role, domain, body, directory, clock)
        return raw, await verify(header, roles[-1], domain, body, directory, clock)
    except SignatureProblem as problem:
        raise unauthorized(str(problem), realm) from None


def version_of(raw: Mapping[str, Any]) -> ProtocolVersion:
    """The version of Beckn that parsed JSON is in: v2 by what its context says, or how that is spelled."""
    context = raw.get("context")
    if not isinstance(context, dict):
        return "v1"
    spelled = "bapId" in context or "bppId" in context
    return "v2" if spelled or context.get("version") == v2.VERSION else "v1"


def read_any(action: str, raw: dict[str, Any]) -> Call | CallV2:
    """The message that parsed JSON holds, in either version; Refusal (400) names the first wrong field."""
    if version_of(raw) == "v1":
        return read_call(action, raw)
    if action not in v2.BODIES:
        raise invalid(f"Beckn {v2.VERSION} has no {action}", "context.version")
    return v2.read_call(action, raw)


_UUID = re.compile(r"[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}", re.ASCII)
_SENDERS: Mapping[ProtocolVersion, tuple[str, str]] = {"v1": ("bap_id", "bpp_id"), "v2": ("bapId", "bppId")}
"""The context's fields of buyer and seller."""


def _message_id(raw: Mapping[str, Any]) -> str:
    """The message id of a call in v2, which its answer repeats; none where it is no UUID, which cannot be signed."""
    said = raw["context"].get("messageId")
    return said if isinstance(said, str) and _UUID.fullmatch(said) else ""


def _request(action: str) -> str:
    """The call that a callback answers."""
    return action.replace("on_", "", 1)


@lru_cache(maxsize=32)
def _read(action: str, body: bytes) -> Call:
    """The message in a body. Remembered: a search comes to every seller of a process in the same bytes."""
    return read_call(action, _parsed(body))


def check_size(size: int) -> None:
    """Refuse (413) a body of more than 256 KiB."""
    if size > MAX_BODY_BYTES:
        raise Refusal(413, ErrorCode.INVALID_REQUEST, f"body is {size} bytes; at most {MAX_BODY_BYTES} are read")


def parse(body: bytes) -> dict[str, Any]:
    """The JSON object in a body; Refusal (400) says where it breaks."""
    try:
        raw = pydantic_core.from_json(body, allow_inf_nan=False)
    except ValueError as error:
        raise invalid(f"body is not JSON: {error}") from None
    if not isinstance(raw, dict):
        raise invalid("body must be a JSON object with context and message")
    return raw


def read_as(model: type[ModelT], raw: Mapping[str, Any]) -> ModelT:
    """A call beside Beckn's as a model; Refusal (400) names the first wrong field."""
    try:
        return model.model_validate(raw, strict=True)
    except ValidationError as error:
        first = error.errors(include_url=False, include_context=False, include_input=False)[0]
        path = ".".join(str(part) for part in first["loc"])
        raise invalid(f"{path}: {first['msg']}", path) from None


_parsed = lru_cache(maxsize=32)(parse)
"""The same, for who only reads it. Remembered for the sender's proof and the reading that follows."""


@lru_cache(maxsize=32)
def _said(body: bytes) -> bytes:
    message = _parsed(body).get("message")
    if isinstance(message, dict) and isinstance(contract := message.get("contract"), dict):
        message = {**message, "contract": _without(contract, "contractAttributes", "quoteValidUntil")}
    elif isinstance(message, dict) and isinstance(order := message.get("order"), dict):
        message = {**message, "order": _without(order, "quote", "ttl")}
    return blake2b(pydantic_core.to_json(message), digest_size=16).digest()


def _without(whole: dict[str, Any], part: str, name: str) -> dict[str, Any]:
    """An object without one member of one of its parts."""
    value = whole.get(part)
    return {**whole, part: {**value, name: None}} if isinstance(value, dict) else whole


def unauthorized(problem: str, realm: str, challenge: str = "WWW-Authenticate") -> Refusal:
    """401 with the challenge that BECKN-006 asks for."""
    value = f'Signature realm="{realm}",headers="(created) (expires) digest"'
    return Refusal(401, ErrorCode.INVALID_REQUEST, problem, headers={challenge: value})
