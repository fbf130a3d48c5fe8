"""Beckn core 1.1: the codec that wattmesh speaks; docs/protocol.md has the messages."""

from __future__ import annotations

import pydantic_core

from wattmesh_beckn.codec import Envelope
from wattmesh_beckn.codec.v1_read import READERS
from wattmesh_beckn.codec.v1_write import context_of, message_of
from wattmesh_beckn.receiver import Received
from wattmesh_market.trade.messages import ACTION_OF, Message


class CodecV1:
    """Writes and reads Beckn core 1.1."""

    def encode(self, message: Message, envelope: Envelope) -> bytes:
        """The body of a call."""
        action = ACTION_OF[type(message)]
        return pydantic_core.to_json(
            {"context": context_of(action, envelope), "message": message_of(message, envelope)}
        )

    def decode(self, received: Received) -> Message:
        """What a proven call says; Refusal where its form is wrong."""
        return READERS[received.action](received)
