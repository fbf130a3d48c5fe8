"""The codec of Beckn v2.0.0 LTS."""

from __future__ import annotations

from functools import cache
from typing import Final

from wattmesh_beckn.client import Outcome
from wattmesh_beckn.codec.port import Envelope, Lookup, nothing
from wattmesh_beckn.codec.v1.refusals import from_outcome
from wattmesh_beckn.codec.v2.messages import CallV2, ContractMessage
from wattmesh_beckn.codec.v2.reading import read_body, read_contract
from wattmesh_beckn.codec.v2.writing import NAMES, Market, write
from wattmesh_market.parties.events import Unanswered
from wattmesh_market.trade.messages import Message, Sent

SCHEMA_HOST: Final = "schema.nfh.global"
"""Where the JSON-LD contexts lie; they have moved once, from schema.beckn.io."""
_ACTIONS = {name: action for action, name in NAMES.items()}


class CodecV2:
    """Writes and reads as a `Codec` does. `network` is the `networkId`; offers in another currency are passed over."""

    def __init__(self, currency: str, network: str, *, utc_offset_s: int = 0, schema_host: str = SCHEMA_HOST) -> None:
        self._market = Market(currency, utc_offset_s, network, schema_host)

    def encode(self, message: Sent, envelope: Envelope) -> bytes:
        """See Codec."""
        return write(message, envelope, self._market)

    def decode(self, call: CallV2, sender: str, known: Lookup = nothing) -> Message:
        """What a call of a sender says; Refusal, with code and path, where its form is wrong."""
        action = _ACTIONS[call.context.action]
        if isinstance(call.message, ContractMessage):
            return read_contract(action, call.context, call.message.contract, cache(known))
        return read_body(action, call.message, sender, self._market.currency)

    def unanswered(self, outcome: Outcome) -> Unanswered | None:
        """See Codec."""
        return from_outcome(outcome)
