"""Between the market's messages and a network's: what a party says, as bytes, and what it is told, as a message.

Parties and the market's core never see a message model of the wire. Another version of Beckn is another `Codec`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple, Protocol

from wattmesh_beckn.client import Acked, Nacked, Outcome
from wattmesh_beckn.errors import ErrorCode, Refusal, declined, invalid, too_many
from wattmesh_beckn.receiver import Received
from wattmesh_market.parties.events import Unanswered
from wattmesh_market.trade.messages import Message
from wattmesh_market.trade.refusal import About, Reason, Refused

__all__ = ["Codec", "Envelope", "refusal_of", "unanswered_of"]


class Envelope(NamedTuple):
    """Who says something to whom, and when. `sender` and `receiver` are subscriber id and url.

    The message is worth acting on for `ttl_ms` from `now_ms` on (wall time).
    """

    domain: str
    feeder: str
    sender: tuple[str, str]
    receiver: tuple[str, str]
    transaction_id: str
    message_id: str
    now_ms: int
    ttl_ms: int


class Codec(Protocol):
    """One version of a network's messages."""

    def encode(self, message: Message, envelope: Envelope) -> bytes:
        """The body of a call."""
        ...

    def decode(self, received: Received) -> Message:
        """What a proven call says; Refusal where its form is wrong."""
        ...


_CODES: Mapping[Reason, ErrorCode] = {
    Reason.ITEM_NOT_FOUND: ErrorCode.ITEM_NOT_FOUND,
    Reason.ORDER_NOT_FOUND: ErrorCode.ORDER_NOT_FOUND,
    Reason.BUSINESS: ErrorCode.BUSINESS_ERROR,
    Reason.QUANTITY_UNAVAILABLE: ErrorCode.QUANTITY_UNAVAILABLE,
    Reason.QUOTE_UNAVAILABLE: ErrorCode.QUOTE_UNAVAILABLE,
    Reason.POLICY: ErrorCode.POLICY_ERROR,
    Reason.CANCELLATION_NOT_POSSIBLE: ErrorCode.CANCELLATION_NOT_POSSIBLE,
}
_REASONS: Mapping[str, Reason] = {code: reason for reason, code in _CODES.items()}
_PATHS: Mapping[About, str] = {
    About.TRANSACTION: "context.transaction_id",
    About.ORDER: "message.order",
    About.ORDER_ID: "message.order.id",
    About.PROVIDER: "message.order.provider",
    About.ITEM: "message.order.items.0.id",
    About.ENERGY: "message.order.items.0.quantity",
    About.SLOT: "message.order.fulfillments.0.stops.0.time.range",
    About.QUOTE: "message.order.quote",
    About.PRICE: "message.order.quote.price.value",
    About.CURRENCY: "message.order.quote.price.currency",
    About.BREAKUP: "message.order.quote.breakup",
    About.PAYMENT_AMOUNT: "message.order.payments.0.params.amount",
    About.PAYMENT_STATUS: "message.order.payments.0.status",
    About.READING: "message.order.fulfillments.0.tags",
    About.GRID_FEE: "message.order.fulfillments.0.tags",
    About.TARGET: "message.update_target",
}


def refusal_of(refused: Refused) -> Refusal:
    """A party's refusal as an answer on the wire."""
    path = _PATHS[refused.about] if refused.about else None
    if refused.reason is Reason.UNSOUND:
        return invalid(refused.text, path)
    if refused.reason is Reason.TOO_MANY:
        return too_many(refused.text, refused.wait_s)
    return declined(_CODES[refused.reason], refused.text, path)


def unanswered_of(outcome: Outcome) -> Unanswered:
    """What came of a message that was not acknowledged; TypeError of one that was."""
    match outcome:
        case Nacked(code=code, message=message):
            return Unanswered(_REASONS.get(code, Reason.UNSOUND), f"{code} {message}".strip())
        case Acked():
            raise TypeError("the message was acknowledged")
        case _:
            return Unanswered(None, outcome.reason)
