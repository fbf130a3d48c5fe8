"""Signatures of BECKN-006: Ed25519 over the creation time, the expiry and the BLAKE2b-512 digest of the raw body."""

from __future__ import annotations

import base64
import binascii
import hashlib
import re
from dataclasses import dataclass, field
from functools import lru_cache
from math import ceil

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from wattmesh_beckn.context import CLOCK_TOLERANCE_S, MAX_TTL_S
from wattmesh_common.clock import Clock, rfc3339

AUTHORIZATION = "authorization"
ANSWER_SIGNATURE = "signature"
"""The header of a synchronous answer in v2, as the reference adapter signs it."""
GATEWAY_AUTHORIZATION = "x-gateway-authorization"
ALGORITHM = "ed25519"
HEADERS = "(created) (expires) digest"
HEADERS_OF_CALLBACK = f"{HEADERS} request-signature"
"""Of a callback or a synchronous answer, as v2's reference adapter signs it: over the signature of the request that it
answers, too."""
HEADERS_OF_ANSWER = f"{HEADERS} (request-digest) (message-id)"
"""Of a synchronous answer in v2 (CounterSignature)."""

LONGEST_VALIDITY_S = 86_400
"""From created to expires: BECKN-006's own example has 60,000 s."""
_MAX_HEADER = 2048
_PARAMETER = re.compile(r'\s*([A-Za-z]+)\s*=\s*"([^"\\\x00-\x1f]*)"\s*(?:,|$)')
_UNIX = re.compile(r"0|[1-9]\d{0,10}", re.ASCII)


class SignatureProblem(Exception):
    """Why a signature is refused, in words that help to mend it."""


class Signer:
    """A subscriber's key: signs in its name. Never shows the private part."""

    def __init__(self, subscriber_id: str, key_id: str, private_key: Ed25519PrivateKey) -> None:
        self.subscriber_id = subscriber_id
        self.key_id = key_id
        self._private_key = private_key

    @classmethod
    def from_seed(cls, subscriber_id: str, key_id: str, seed: bytes) -> Signer:
        """From the 32 bytes of an Ed25519 private key (RFC 8032)."""
        return cls(subscriber_id, key_id, Ed25519PrivateKey.from_private_bytes(seed))

    @property
    def public_key(self) -> str:
        """base64 of the 32 bytes of the public key, as the registry holds it."""
        raw = self._private_key.public_key().public_bytes(serialization.Encoding.Raw, serialization.PublicFormat.Raw)
        return base64.b64encode(raw).decode()

    def sign(self, body: bytes, *, created: int, expires: int) -> str:
        """The `Authorization` value for a body; `created` and `expires` are unix seconds."""
        return self._signed(HEADERS, _signing_string(body, created, expires), created, expires)

    def sign_answer(self, answer: bytes, request_signature: str | None, *, created: int, expires: int) -> str:
        """The `Signature` header of a synchronous answer in v2; `request_signature` (base64) is that of the request."""
        signed = _signing_string(answer, created, expires) + _of_request(request_signature)
        return self._signed(HEADERS if request_signature is None else HEADERS_OF_CALLBACK, signed, created, expires)

    def countersign(self, answer: bytes, request: bytes, message_id: str, *, created: int, expires: int) -> str:
        """The `CounterSignature` of v2 for a synchronous answer: over its body, that of the request, and its id."""
        signed = _signing_string(answer, created, expires) + _of_answer(request, message_id)
        return self._signed(HEADERS_OF_ANSWER, signed, created, expires)

    def sign_until(self, body: bytes, expires_at: float, clock: Clock) -> str:
        """The `Authorization` value for a body that is worth acting on until `expires_at`, wall time of `clock`."""
        now = clock.machine()
        created, expires = int(now), ceil(now + expires_at - clock.wall())
        return self.sign(body, created=created, expires=max(created + 1, expires))

    def _signed(self, headers: str, signed: bytes, created: int, expires: int) -> str:
        signature = base64.b64encode(self._private_key.sign(signed)).decode()
        return (
            f'Signature keyId="{self.subscriber_id}|{self.key_id}|{ALGORITHM}",algorithm="{ALGORITHM}",'
            f'created="{created}",expires="{expires}",headers="{headers}",signature="{signature}"'
        )

    def __repr__(self) -> str:
        return f"Signer({self.subscriber_id!r}, {self.key_id!r})"


@dataclass(frozen=True)
class SignatureHeader:
    """A parsed signature; times are unix seconds. `headers` says what is signed."""

    subscriber_id: str
    key_id: str
    created: int
    expires: int
    signature: bytes = field(repr=False)
    headers: str = HEADERS

    @property
    def of_callback(self) -> bool:
        """Whether the signature of the request that is answered is signed, too."""
        return self.headers == HEADERS_OF_CALLBACK

    @property
    def signature_text(self) -> str:
        """The signature in base64, as a callback's signature covers it."""
        return base64.b64encode(self.signature).decode()


@lru_cache(maxsize=64)
def parse_header(value: str | None, allowed: tuple[str, ...] = (HEADERS, HEADERS_OF_CALLBACK)) -> SignatureHeader:
    """Parse a signature header whose `headers` are one of those; SignatureProblem says what is missing or malformed.

    Remembered: a search comes to every seller of a process with the same two.
    """
    if value is None:
        raise SignatureProblem("no signature: the header is missing")
    scheme, _, rest = value.strip().partition(" ")
    if len(value) > _MAX_HEADER:
        raise SignatureProblem(f"malformed signature header: it is longer than {_MAX_HEADER} characters")
    if scheme.lower() != "signature":
        raise SignatureProblem('malformed signature header: it must start with "Signature keyId=…"')
    parameters = _parameters(rest)
    for name in ("keyId", "algorithm", "created", "expires", "headers", "signature"):
        if name not in parameters:
            raise SignatureProblem(f"malformed signature header: no {name}")
    key_id = parameters["keyId"].split("|")
    if len(key_id) != 3 or not all(key_id):
        raise SignatureProblem('malformed signature header: keyId must be "subscriber_id|key_id|ed25519"')
    if key_id[2] != ALGORITHM:
        raise SignatureProblem(f"algorithm {key_id[2]!r} in keyId is not accepted; use {ALGORITHM!r}")
    if parameters["algorithm"] != key_id[2]:
        raise SignatureProblem(f"algorithm {parameters['algorithm']!r} differs from {key_id[2]!r} in keyId")
    if parameters["headers"] not in allowed:
        raise SignatureProblem(f"malformed signature header: headers must be {allowed[0]!r}")
    for name in ("created", "expires"):
        if not _UNIX.fullmatch(parameters[name]):
            raise SignatureProblem(f"malformed signature header: {name} must be unix seconds")
    return SignatureHeader(
        subscriber_id=key_id[0],
        key_id=key_id[1],
        created=int(parameters["created"]),
        expires=int(parameters["expires"]),
        signature=_base64(parameters["signature"], 64, "malformed signature header: signature"),
        headers=parameters["headers"],
    )


def check_times(header: SignatureHeader, wall: float, machine: float) -> None:
    """SignatureProblem, with both clocks, when the signature is from the future, has expired or holds for too long.

    However long it would hold, it may not be older than the longest ttl: no message is sent for longer.

    `wall` and `machine` are what the Clock says: what has stood still here is no reason to refuse.
    """
    if header.created > machine + CLOCK_TOLERANCE_S:
        raise SignatureProblem(
            f"signature created at {rfc3339(header.created)}, ahead of this clock, {rfc3339(machine)}, by more than "
            f"{CLOCK_TOLERANCE_S} s; set the sender's clock"
        )
    if header.expires <= wall:
        raise SignatureProblem(f"signature expired at {rfc3339(header.expires)}; this clock says {rfc3339(wall)}")
    if header.expires <= header.created:
        raise SignatureProblem("signature expires before it was created")
    if header.expires - header.created > LONGEST_VALIDITY_S:
        raise SignatureProblem(
            f"signature created at {rfc3339(header.created)} expires at {rfc3339(header.expires)}; it may hold for at "
            f"most {LONGEST_VALIDITY_S} s"
        )
    if header.created < wall - MAX_TTL_S - CLOCK_TOLERANCE_S:
        raise SignatureProblem(
            f"signature created at {rfc3339(header.created)}, more than the longest ttl, {MAX_TTL_S} s, before this "
            f"clock, {rfc3339(wall)}; sign the message anew"
        )


def check_signature(
    header: SignatureHeader, body: bytes, public_key: str, request_signature: str | None = None
) -> None:
    """SignatureProblem when body and header were not signed by the owner of `public_key` (base64, 32 bytes).

    `request_signature` (base64) is that of the request which the body answers, for a header `of_callback`.
    """
    if header.of_callback and request_signature is None:
        raise SignatureProblem("it covers the signature of a request, and no such request is known here")
    signed = _signing_string(body, header.created, header.expires)
    if header.of_callback:
        signed += _of_request(request_signature)
    if not _verify(public_key, header.signature, signed):
        raise SignatureProblem(
            "wrong signature: it was made with another key, or over another body, created or expires; "
            f"the digest of the body received is BLAKE-512={digest(body)}"
        )


def is_countersigned(header: SignatureHeader, answer: bytes, request: bytes, message_id: str, public_key: str) -> bool:
    """Whether the owner of `public_key` made the `CounterSignature` of a synchronous answer; it is not in `answer`."""
    signed = _signing_string(answer, header.created, header.expires) + _of_answer(request, message_id)
    return _verify(public_key, header.signature, signed)


@lru_cache(maxsize=4096)
def _verify(public_key: str, signature: bytes, signed: bytes) -> bool:
    """Whether a key made a signature. Remembered: a search comes to every seller of a process with the same two."""
    try:
        _public_key(public_key).verify(signature, signed)
    except InvalidSignature:
        return False
    return True


@lru_cache(maxsize=4096)
def _public_key(text: str) -> Ed25519PublicKey:
    return Ed25519PublicKey.from_public_bytes(_base64(text, 32, "the registry's key"))


def digest(body: bytes) -> str:
    """base64 of the BLAKE2b-512 (RFC 7693) of the raw body."""
    return base64.b64encode(hashlib.blake2b(body, digest_size=64).digest()).decode()


def _signing_string(body: bytes, created: int, expires: int) -> bytes:
    return f"(created): {created}\n(expires): {expires}\ndigest: BLAKE-512={digest(body)}".encode()


def _of_request(signature: str | None) -> bytes:
    return b"" if signature is None else f"\nrequest-signature: {signature}".encode()


def _of_answer(request: bytes, message_id: str) -> bytes:
    return f"\n(request-digest): BLAKE-512={digest(request)}\n(message-id): {message_id}".encode()


def _parameters(text: str) -> dict[str, str]:
    parameters: dict[str, str] = {}
    position = 0
    while position < len(text):
        match = _PARAMETER.match(text, position)
        if match is None:
            raise SignatureProblem('malformed signature header: parameters must be name="value", separated by commas')
        if match[1] in parameters:
            raise SignatureProblem(f"malformed signature header: {match[1]} stands twice")
        parameters[match[1]] = match[2]
        position = match.end()
    return parameters


def _base64(text: str, size: int, what: str) -> bytes:
    try:
        raw = base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        raise SignatureProblem(f"{what} is not base64") from None
    if len(raw) != size:
        raise SignatureProblem(f"{what} must be {size} bytes in base64, not {len(raw)}")
    return raw
