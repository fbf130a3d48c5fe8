"""What a test's subscriber says and hears, composed in Beckn v1, as it stands on the wires of a network of v2.

Both ways lead through the market's messages, so only how something is said changes, never what. What the codec of v1
refuses to read cannot be said so: such a lie is written in v2's own shape.
"""

from __future__ import annotations

import json
import uuid
from datetime import datetime

from tests.world.calls import Json
from tests.world.subscribers import DOMAIN, entry_at, signer
from wattmesh_beckn.codec.port import Envelope
from wattmesh_beckn.codec.v1.codec import CodecV1
from wattmesh_beckn.codec.v2 import messages as v2
from wattmesh_beckn.codec.v2.codec import CodecV2
from wattmesh_beckn.codec.versions import name_of
from wattmesh_beckn.messages import read_call
from wattmesh_beckn.receiver import Received
from wattmesh_market.trade.messages import ACTION_OF, Declined, Publish, PublishResult, Sent

_V1 = CodecV1("EUR")
_READ_NOW = 0
"""Signatures are not looked at here."""


def on_wire(call: Json, network: str, digest: str | None = None) -> tuple[str, bytes]:
    """The action and the body of a call of v1 in v2; `digest` (base64) is that of the request that it answers."""
    context = call["context"]
    action = context["action"]
    read = read_call(action, call)
    seller = entry_at(_READ_NOW, signer(context.get("bpp_id", "nobody")), "BPP")
    said = Received(action, read.context, read.message, seller, b"", "", _READ_NOW)
    message = _sent(_V1.decode(said))
    return name_of(ACTION_OF[type(message)], "v2"), CodecV2("EUR", network).encode(message, _envelope(call, digest))


def published(call: Json, network: str) -> bytes:
    """The body of `catalog/publish` with the offers of an `on_search`."""
    read = read_call("on_search", call)
    seller = entry_at(_READ_NOW, signer(call["context"]["bpp_id"]), "BPP")
    offers = _V1.decode(Received("on_search", read.context, read.message, seller, b"", "", _READ_NOW))
    envelope = _envelope(call, None)._replace(message_id=str(uuid.uuid4()))
    return CodecV2("EUR", network).encode(Publish(*offers), envelope)


def as_composed(raw: Json, network: str) -> Json:
    """A call of v2 about a contract as it is said in v1."""
    context = raw["context"]
    action = context["action"]
    read = v2.read_call(action, raw)
    who = entry_at(_READ_NOW, signer(context["bppId" if action.startswith("on_") else "bapId"]), "BPP")
    said = Received(action, read.context, read.message, who, b"", "", _READ_NOW)
    message = _sent(CodecV2("EUR", network).decode(said))
    envelope = Envelope(
        domain=DOMAIN,
        feeder="main",
        bap=(context["bapId"], context["bapUri"]),
        bpp=(context["bppId"], context["bppUri"]),
        transaction_id=context["transactionId"],
        message_id=context["messageId"],
        now_ms=_ms(context["timestamp"]),
        ttl_s=30.0,
    )
    composed: Json = json.loads(_V1.encode(message, envelope))
    return composed


def _sent(message: object) -> Sent:
    assert not isinstance(message, Declined | PublishResult)
    return message  # type: ignore[return-value]


def _envelope(call: Json, digest: str | None) -> Envelope:
    context = call["context"]
    return Envelope(
        domain=context["domain"],
        feeder=context["location"]["city"]["code"],
        bap=(context["bap_id"], context["bap_uri"]),
        bpp=(context["bpp_id"], context["bpp_uri"]) if "bpp_id" in context else None,
        transaction_id=context["transaction_id"],
        message_id=context["message_id"],
        now_ms=_ms(context["timestamp"]),
        ttl_s=30.0,
        request_digest=digest,
    )


def _ms(timestamp: str) -> int:
    return round(datetime.fromisoformat(timestamp).timestamp() * 1000)
