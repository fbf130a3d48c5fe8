"""Messages of a street that speaks v1, as the codec of v2 writes them."""

from __future__ import annotations

import json
from typing import Any

from tests.beckn.codec_support import received
from tests.conformance.traffic import Exchange
from wattmesh_beckn.codec.port import Envelope
from wattmesh_beckn.codec.v1.codec import CodecV1
from wattmesh_beckn.codec.v2.codec import CodecV2
from wattmesh_beckn.context import Context
from wattmesh_market.trade.messages import Declined, PublishResult

V1, V2 = CodecV1("EUR", utc_offset_s=7200), CodecV2("EUR", "wattmesh.io/market.default", utc_offset_s=7200)


def in_v2(exchange: Exchange) -> Any | None:
    """The request of an exchange as v2 has it; None when it is none of a trade's."""
    call = received(exchange.request)
    message, context = V1.decode(call), call.context
    assert isinstance(context, Context)
    if isinstance(message, Declined | PublishResult):
        return None
    envelope = Envelope(
        domain=context.domain,
        feeder=context.feeder or "",
        bap=(context.bap_id, context.bap_uri),
        bpp=(context.bpp_id, context.bpp_uri) if context.bpp_id and context.bpp_uri else None,
        transaction_id=context.transaction_id,
        message_id=context.message_id,
        now_ms=int(context.timestamp.timestamp() * 1000),
        ttl_s=context.ttl.total_seconds(),
    )
    return json.loads(V2.encode(message, envelope))
