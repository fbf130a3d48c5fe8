"""A party's reasons and Beckn's error codes, both ways: they are the same in every version."""

from __future__ import annotations

from collections.abc import Mapping

from wattmesh_beckn.client import Acked, Nacked, Outcome
from wattmesh_beckn.errors import ErrorCode, Refusal, declined, invalid, too_many
from wattmesh_market.parties.events import Unanswered
from wattmesh_market.trade.refusal import Reason, Refused

_CODES: Mapping[Reason, ErrorCode] = {
    Reason.UNSOUND: ErrorCode.INVALID_REQUEST,
    Reason.ITEM_NOT_FOUND: ErrorCode.ITEM_NOT_FOUND,
    Reason.ORDER_NOT_FOUND: ErrorCode.ORDER_NOT_FOUND,
    Reason.BUSINESS: ErrorCode.BUSINESS_ERROR,
    Reason.QUANTITY_UNAVAILABLE: ErrorCode.QUANTITY_UNAVAILABLE,
    Reason.QUOTE_UNAVAILABLE: ErrorCode.QUOTE_UNAVAILABLE,
    Reason.POLICY: ErrorCode.POLICY_ERROR,
    Reason.CANCELLATION_NOT_POSSIBLE: ErrorCode.CANCELLATION_NOT_POSSIBLE,
}
_REASONS: Mapping[str, Reason] = {str(code): reason for reason, code in _CODES.items()}


def refusal_at(refused: Refused, path: str | None) -> Refusal:
    """A party's refusal with Beckn's code and status, about what stands at a path of the message."""
    if refused.reason is Reason.TOO_MANY:
        return too_many(refused.text, refused.wait_s)
    if refused.reason is Reason.UNSOUND:
        return invalid(refused.text, path)
    return declined(_CODES[refused.reason], refused.text, path)


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
