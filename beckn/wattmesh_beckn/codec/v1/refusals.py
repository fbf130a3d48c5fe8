"""Refusals: a party's reasons and Beckn's error codes, both ways, and the JSON path of what a refusal is about."""

from __future__ import annotations

from collections.abc import Mapping

from wattmesh_beckn.client import Acked, Nacked, Outcome
from wattmesh_beckn.errors import ErrorCode, Refusal, declined, invalid, too_many
from wattmesh_market.parties.events import Unanswered
from wattmesh_market.trade.messages import Action
from wattmesh_market.trade.refusal import About, Reason, Refused

CODES: Mapping[Reason, ErrorCode] = {
    Reason.UNSOUND: ErrorCode.INVALID_REQUEST,
    Reason.ITEM_NOT_FOUND: ErrorCode.ITEM_NOT_FOUND,
    Reason.ORDER_NOT_FOUND: ErrorCode.ORDER_NOT_FOUND,
    Reason.BUSINESS: ErrorCode.BUSINESS_ERROR,
    Reason.QUANTITY_UNAVAILABLE: ErrorCode.QUANTITY_UNAVAILABLE,
    Reason.QUOTE_UNAVAILABLE: ErrorCode.QUOTE_UNAVAILABLE,
    Reason.POLICY: ErrorCode.POLICY_ERROR,
    Reason.CANCELLATION_NOT_POSSIBLE: ErrorCode.CANCELLATION_NOT_POSSIBLE,
}
_REASONS: Mapping[str, Reason] = {str(code): reason for reason, code in CODES.items()}

_PATHS: Mapping[About, str] = {
    About.TRANSACTION: "context.transaction_id",
    About.ORDER: "message.order",
    About.ORDER_ID: "message.order.id",
    About.PROVIDER: "message.order.provider",
    About.ITEM: "message.order.items.0.id",
    About.ENERGY: "message.order.items.0.quantity",
    About.SLOT: "message.order.fulfillments.0",
    About.QUOTE: "message.order.quote",
    About.PRICE: "message.order.quote.price.value",
    About.CURRENCY: "message.order.quote.price.currency",
    About.BREAKUP: "message.order.quote.breakup",
    About.PAYMENT_AMOUNT: "message.order.payments.0.params.amount",
    About.PAYMENT_STATUS: "message.order.payments.0",
    About.READING: "message.order.fulfillments.0.tags",
    About.GRID_FEE: "message.order.fulfillments.0.tags",
    About.TARGET: "message.update_target",
}
_TIME_RANGE = "message.order.fulfillments.0.stops.0.time.range"
_PATHS_IN: Mapping[tuple[Action, About], str] = {
    (Action.SEARCH, About.SLOT): _TIME_RANGE,
    (Action.SELECT, About.SLOT): _TIME_RANGE,
    (Action.SELECT, About.ITEM): "message.order.items.0",
}
"""Where an action's path is not the usual one."""


def path_of(action: Action, about: About) -> str:
    """The JSON path of what a refusal is about; in an order of several deliveries it leads to the first."""
    return _PATHS_IN.get((action, about)) or _PATHS[about]


def to_wire(refused: Refused, action: Action) -> Refusal:
    """A party's refusal of a call, with Beckn's code, status and path."""
    if refused.reason is Reason.TOO_MANY:
        return too_many(refused.text, refused.wait_s)
    path = None if refused.about is None else path_of(action, refused.about)
    if refused.reason is Reason.UNSOUND:
        return invalid(refused.text, path)
    return declined(CODES[refused.reason], refused.text, path)


def from_outcome(outcome: Outcome) -> Unanswered | None:
    """Why a message was not acknowledged; None when it was."""
    if isinstance(outcome, Acked):
        return None
    if isinstance(outcome, Nacked):
        text = f"{outcome.code} {outcome.message}".strip()
        return Unanswered(reason_of(outcome.code), text)
    return Unanswered(None, outcome.reason)


def reason_of(code: str) -> Reason:
    """What an error code of another means to a party; one that Beckn does not have counts as BUSINESS."""
    return _REASONS.get(code, Reason.BUSINESS)
