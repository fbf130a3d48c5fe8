"""The port of a codec: what parties say, as bytes, and back.

codec = CodecV1(currency, utc_offset_s)                     # in `v1.codec`
codec.encode(message, envelope) -> bytes
codec.decode(received, known) -> Message                    # raises Refusal
codec.refusal(refused, action) -> Refusal                   # a party's refusal, as the network says it
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple, Protocol

from wattmesh_beckn.errors import Refusal
from wattmesh_beckn.receiver import Received
from wattmesh_market.parties.terms import Known
from wattmesh_market.trade.messages import Action, Message, Sent
from wattmesh_market.trade.refusal import Refused


class Envelope(NamedTuple):
    """What stands around a message. `bap` (buyer) and `bpp` (seller) are (subscriber id, url); a search names no `bpp`.

    `now_ms` is wall time. `ttl_s` is how long the message is worth acting on. `terms_until_ms` (wall time) is until
    when the quote holds that a message repeats without saying so itself (`Init`, `Confirm`); it is over when None.
    `request_digest` (base64) is that of the body which a callback answers, where a version has room for it.
    """

    domain: str
    feeder: str
    bap: tuple[str, str]
    bpp: tuple[str, str] | None
    transaction_id: str
    message_id: str
    now_ms: int
    ttl_s: float
    terms_until_ms: int | None = None
    request_digest: str | None = None


Lookup = Callable[[], Known | None]
"""Looks up what the receiver of a message has with its sender in that transaction."""


def nothing() -> None:
    """Of who has nothing with anybody."""


class Codec(Protocol):
    """Translates between the market's messages and those of one network."""

    def encode(self, message: Sent, envelope: Envelope) -> bytes:
        """The body to send. The message is taken to be sound: it comes from a party's own rules."""
        ...

    def decode(self, received: Received, known: Lookup = nothing) -> Message:
        """What a call says; Refusal, with code and path, where its form is wrong.

        What it leaves out is taken from what `known` gives: what the receiver has with the sender in the transaction.
        """
        ...

    def refusal(self, refused: Refused, action: Action) -> Refusal:
        """What a party refuses in a call of `action`, with code, status and path."""
        ...
