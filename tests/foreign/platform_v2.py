"""A platform written from Beckn v2.0.0 LTS alone (and BECKN-006): nothing here knows wattmesh_beckn.

It signs and checks with PyNaCl. What it publishes is DEG's: EnergyResource, EnergyTradeOffer, BecknTimeSeries.
"""

from __future__ import annotations

import base64
import hashlib
import json
import re
import uuid
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from nacl.signing import SigningKey, VerifyKey

from tests.foreign.partner import signing_string

Json = dict[str, Any]
_HEADER = re.compile(
    r'Signature keyId="(?P<id>[^|"]+)\|(?P<key>[^|"]+)\|ed25519",algorithm="ed25519",created="(?P<created>\d+)",'
    r'expires="(?P<expires>\d+)",headers="(?P<headers>[^"]+)",signature="(?P<signature>[^"]+)"'
)
SCHEMAS = "https://schema.nfh.global"


def instant(unix_s: float) -> str:
    """A time as this platform writes it."""
    return datetime.fromtimestamp(unix_s, UTC).isoformat(timespec="seconds").replace("+00:00", "Z")


def digest(body: bytes) -> str:
    """BLAKE-512 of a body, in base64."""
    return base64.b64encode(hashlib.blake2b(body).digest()).decode()


class PlatformV2:
    """A buyer or seller: its name, its key, and how it signs and checks."""

    network = "wattmesh.io/gateway.street"

    def __init__(self, subscriber_id: str, key_id: str, seed: bytes, url: str) -> None:
        self.id, self.key_id, self.url = subscriber_id, key_id, url
        self._key = SigningKey(seed)

    @property
    def public_key(self) -> str:
        """As a registry has it."""
        return base64.b64encode(bytes(self._key.verify_key)).decode()

    def signature(self, body: bytes, now: float, request: str | None = None) -> str:
        """The Authorization header; of what answers a request also over the signature in that one's header."""
        created = int(now)
        signed, headers = signing_string(body, created, created + 30), "(created) (expires) digest"
        if request is not None:
            header = _HEADER.fullmatch(request)
            assert header is not None, request
            signed += f"\nrequest-signature: {header['signature']}".encode()
            headers += " request-signature"
        signature = base64.b64encode(self._key.sign(signed).signature).decode()
        return (
            f'Signature keyId="{self.id}|{self.key_id}|ed25519",algorithm="ed25519",created="{created}",'
            f'expires="{created + 30}",headers="{headers}",signature="{signature}"'
        )

    def counter_signature(self, answer: bytes, request: bytes, now: float) -> str:
        """LTS' CounterSignature of an answer, which is signed without it."""
        created, lines = int(now), "(created) (expires) digest (request-digest) (message-id)"
        signed = signing_string(answer, created, created + 30)
        signed += f"\n(request-digest): BLAKE-512={digest(request)}".encode()
        signed += f"\n(message-id): {json.loads(request)['context']['messageId']}".encode()
        return (
            f'Signature keyId="{self.id}|{self.key_id}|ed25519",algorithm="ed25519",created="{created}",'
            f'expires="{created + 30}",headers="{lines}",signature="'
            f'{base64.b64encode(self._key.sign(signed).signature).decode()}"'
        )

    def call(self, action: str, message: Json, now: float, **context: Any) -> Json:
        """A message to the discovery service."""
        role = "bpp" if action == "catalog/publish" else "bap"
        return {
            "context": {
                "networkId": self.network,
                "version": "2.0.0",
                "action": action,
                f"{role}Id": self.id,
                f"{role}Uri": self.url,
                "transactionId": str(uuid.uuid4()),
                "messageId": str(uuid.uuid4()),
                "timestamp": instant(now),
                "ttl": "PT30S",
                **context,
            },
            "message": message,
        }

    def catalog(self, slot: float, price: float = 0.15, *, slots: int = 1, **changes: Any) -> Json:
        """What it sells from a slot on."""
        attributes = {"@context": f"{SCHEMAS}/BecknTimeSeries/v1.0/context.jsonld", "@type": "TimeSeries"}
        series = {
            **attributes,
            "intervalPeriod": {"start": instant(slot), "duration": "PT15M"},
            "payloadDescriptors": [
                {"objectType": "EVENT_PAYLOAD_DESCRIPTOR", "payloadType": "PRICE_PER_KWH", "currency": "EUR"}
            ],
            "intervals": [
                {"id": number, "payloads": [{"type": "PRICE_PER_KWH", "values": [price]}]} for number in range(slots)
            ],
        }
        offer = {"@context": f"{SCHEMAS}/EnergyTradeOffer/v2.0/context.jsonld", "@type": "EnergyTradeOffer"}
        resource = {"@context": f"{SCHEMAS}/EnergyResource/v2.0/context.jsonld", "@type": "EnergyResource"}
        return {
            "id": f"catalog-{self.id}",
            "descriptor": {"name": self.id},
            "provider": {"id": self.id, "descriptor": {"name": self.id}},
            "resources": [{"id": "sun", "resourceAttributes": {**resource, "type": "SOLAR"}}],
            "offers": [
                {
                    "id": f"sun-{int(slot)}",
                    "resourceIds": ["sun"],
                    "offerAttributes": {**offer, "commitmentAttributes": series},
                }
            ],
            **changes,
        }


def signer_of(headers: Mapping[str, str], body: bytes, public_key: str) -> str:
    """Who signed a call with this key; an error where nobody did."""
    header = _HEADER.fullmatch(headers["authorization"])
    assert header is not None, headers["authorization"]
    assert header["headers"] == "(created) (expires) digest"
    signed = signing_string(body, int(header["created"]), int(header["expires"]))
    VerifyKey(base64.b64decode(public_key)).verify(signed, base64.b64decode(header["signature"]))
    return header["id"]


def answered(answer: bytes, request: bytes, public_key: str) -> Json:
    """A synchronous answer whose counter-signature is this key's; an error where it is not."""
    said: Json = json.loads(answer)
    signature = said.pop("signature")
    header = _HEADER.fullmatch(signature)
    assert header is not None, signature
    assert header["headers"] == "(created) (expires) digest (request-digest) (message-id)"
    unsigned = answer.replace(b',"signature":' + json.dumps(signature).encode(), b"")
    signed = signing_string(unsigned, int(header["created"]), int(header["expires"]))
    signed += f"\n(request-digest): BLAKE-512={digest(request)}".encode()
    signed += f"\n(message-id): {json.loads(request)['context']['messageId']}".encode()
    VerifyKey(base64.b64decode(public_key)).verify(signed, base64.b64decode(header["signature"]))
    return said
