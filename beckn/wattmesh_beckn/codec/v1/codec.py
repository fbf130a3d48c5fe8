"""The codec of Beckn core 1.1."""

from __future__ import annotations

from functools import cache

from wattmesh_beckn.codec.port import Envelope, Lookup, nothing
from wattmesh_beckn.codec.v1.reading import read
from wattmesh_beckn.codec.v1.refusals import to_wire
from wattmesh_beckn.codec.v1.writing import Market, write
from wattmesh_beckn.errors import Refusal
from wattmesh_beckn.receiver import Received
from wattmesh_common.runtime import Vocabulary
from wattmesh_market.trade.messages import Action, Message, Sent
from wattmesh_market.trade.refusal import Refused


class CodecV1:
    """See `Codec`. Offers in another currency than the market's are passed over; their names are in local time.

    `vocabulary` is that of what is written: core's alone, or the layer-2 document's of the energy networks.
    """

    def __init__(self, currency: str, utc_offset_s: int = 0, vocabulary: Vocabulary = "core") -> None:
        self._market = Market(currency, utc_offset_s, vocabulary)

    def encode(self, message: Sent, envelope: Envelope) -> bytes:
        """See Codec."""
        return write(message, envelope, self._market)

    def decode(self, received: Received, known: Lookup = nothing) -> Message:
        """See Codec. What is wrong between fields is refused here, what is wrong in a field by `read_call` before."""
        return read(received, self._market.currency, cache(known))

    def refusal(self, refused: Refused, action: Action) -> Refusal:
        """See Codec."""
        return to_wire(refused, action)
