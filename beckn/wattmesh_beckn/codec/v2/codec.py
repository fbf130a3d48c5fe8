"""The codec of Beckn v2.0.0 LTS."""

from __future__ import annotations

from functools import cache

from wattmesh_beckn.codec.port import Envelope, Lookup, nothing
from wattmesh_beckn.codec.v2.reading import read
from wattmesh_beckn.codec.v2.refusals import to_wire
from wattmesh_beckn.codec.v2.writing import Market, write
from wattmesh_beckn.errors import Refusal
from wattmesh_beckn.receiver import Received
from wattmesh_common.runtime import SCHEMA_HOST
from wattmesh_market.trade.messages import Action, Message, Sent
from wattmesh_market.trade.refusal import Refused


class CodecV2:
    """See `Codec`. `network` is the `networkId`, `schema_host` has the JSON-LD contexts; offers in another currency are
    passed over.
    """

    def __init__(self, currency: str, network: str, *, utc_offset_s: int = 0, schema_host: str = SCHEMA_HOST) -> None:
        self._market = Market(currency, utc_offset_s, network, schema_host)

    def encode(self, message: Sent, envelope: Envelope) -> bytes:
        """See Codec."""
        return write(message, envelope, self._market)

    def decode(self, received: Received, known: Lookup = nothing) -> Message:
        """See Codec. What is wrong between fields is refused here, what is wrong in a field by `read_call` before."""
        return read(received, self._market.currency, cache(known))

    def refusal(self, refused: Refused, action: Action) -> Refusal:
        """See Codec."""
        return to_wire(refused, action)
