"""A subscriber written from Beckn's specifications alone (core 1.1.1, BECKN-006): nothing here knows wattmesh_beckn.

It signs and checks with PyNaCl, and speaks as other networks do: units, states and ids of its own, and no field that
core leaves optional and it has no use for. Only how a message reaches a subscriber of a test's street is the street's.
"""

from __future__ import annotations

import base64
import hashlib
import json
import re
import uuid
from collections.abc import Awaitable, Callable, Mapping
from datetime import UTC, datetime
from typing import Any

from nacl.signing import SigningKey, VerifyKey

Json = dict[str, Any]
Post = Callable[[str, bytes, Mapping[str, str]], Awaitable[tuple[int, Any]]]
"""Posts a body to a url: status and parsed answer."""
_HEADER = re.compile(
    r'Signature keyId="(?P<id>[^|"]+)\|(?P<key>[^|"]+)\|ed25519",algorithm="ed25519",created="(?P<created>\d+)",'
    r'expires="(?P<expires>\d+)",headers="\(created\) \(expires\) digest",signature="(?P<signature>[^"]+)"'
)
_ACK: Json = {"message": {"ack": {"status": "ACK"}}}


def signing_string(body: bytes, created: int, expires: int) -> bytes:
    """What BECKN-006 has signed."""
    digest = base64.b64encode(hashlib.blake2b(body).digest()).decode()
    return f"(created): {created}\n(expires): {expires}\ndigest: BLAKE-512={digest}".encode()


class Partner:
    """A platform on the network. `post` sends; `now` is unix seconds."""

    def __init__(self, subscriber_id: str, key_id: str, seed: bytes, url: str) -> None:
        self.id, self.key_id, self.url = subscriber_id, key_id, url
        self._key = SigningKey(seed)
        self.heard: list[Json] = []
        self.send: Post
        self.now: Callable[[], float]

    def signature(self, body: bytes) -> str:
        """The Authorization header."""
        created = int(self.now())
        signature = base64.b64encode(self._key.sign(signing_string(body, created, created + 30)).signature).decode()
        return (
            f'Signature keyId="{self.id}|{self.key_id}|ed25519",algorithm="ed25519",created="{created}",'
            f'expires="{created + 30}",headers="(created) (expires) digest",signature="{signature}"'
        )

    async def verified(self, body: bytes, headers: Mapping[str, str]) -> Json:
        """The call in a body that its sender has signed, by the key that the registry has of it."""
        call: Json = json.loads(body)
        header = _HEADER.fullmatch(headers["authorization"])
        assert header is not None, headers["authorization"]
        context = call["context"]
        assert header["id"] == context["bpp_id" if context["action"].startswith("on_") else "bap_id"]
        entry = await self.entry_of(header["id"], header["key"])
        signed = signing_string(body, int(header["created"]), int(header["expires"]))
        VerifyKey(base64.b64decode(entry["signing_public_key"])).verify(signed, base64.b64decode(header["signature"]))
        return call

    async def entry_of(self, subscriber_id: str, key_id: str) -> Json:
        """The registry's first entry of a subscriber's key."""
        wanted = {"subscriber_id": subscriber_id, "unique_key_id": key_id, "nonce": "7"}
        status, found = await self.send("http://gateway/lookup", json.dumps(wanted).encode(), {})
        assert (status, found[0]["status"]) == (200, "SUBSCRIBED")
        entry: Json = found[0]
        return entry

    def context(self, action: str, partner: str, transaction: str, message_id: str | None = None) -> Json:
        """Core's context, with no ttl, and the city where older contexts had it."""
        mine, theirs = (self.id, self.url), (f"{partner}.default", f"http://{partner}/{partner}")
        bap, bpp = (theirs, mine) if action.startswith("on_") else (mine, theirs)
        return {
            "domain": "uei:p2p-trading",
            "action": action,
            "location": {"country": {"name": "Germany", "code": "DEU"}},
            "city": "main",
            "version": "1.1.1",
            "bap_id": bap[0],
            "bap_uri": bap[1],
            "bpp_id": bpp[0],
            "bpp_uri": bpp[1],
            "transaction_id": transaction,
            "message_id": message_id or str(uuid.uuid4()),
            "timestamp": datetime.fromtimestamp(self.now(), UTC).isoformat(timespec="milliseconds"),
        }

    async def call(self, context: Json, content: Json, *, url: str | None = None) -> Json:
        """Send a call, a message or an error; the synchronous answer."""
        body = json.dumps({"context": context, **content}).encode()
        to = url or context["bap_uri" if context["action"].startswith("on_") else "bpp_uri"]
        where = f"{to}/{context['action']}"
        answer: Json
        _, answer = await self.send(where, body, {"authorization": self.signature(body)})
        return answer

    async def tell(
        self, action: str, partner: str, transaction: str, message: Json, reply_to: str | None = None
    ) -> None:
        """Send a message that the partner takes."""
        answer = await self.call(self.context(action, partner, transaction, reply_to), {"message": message})
        assert answer == _ACK, answer
