"""Refusals: the errors of BECKN-005 with the HTTP status that carries them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from math import ceil

from wattmesh_common.limits import RateLimit


class ErrorCode(StrEnum):
    """Error codes of BECKN-005 that wattmesh answers with."""

    INVALID_REQUEST = "30000"
    ITEM_NOT_FOUND = "30004"
    ORDER_NOT_FOUND = "30010"
    BUSINESS_ERROR = "40000"
    QUANTITY_UNAVAILABLE = "40002"
    QUOTE_UNAVAILABLE = "40003"
    POLICY_ERROR = "50000"
    CANCELLATION_NOT_POSSIBLE = "50001"


@dataclass
class Refusal(Exception):
    """Why a message is answered NACK.

    `status` is the HTTP status: 200 for a business refusal of a sound message, 429 for one too many of its sender,
    other 4xx for an unsound one, 503 for too much work. `paths` is the JSON path of what is wrong, dotted.
    """

    status: int
    code: ErrorCode
    message: str
    paths: str | None = None
    headers: Mapping[str, str] = field(default_factory=dict)

    def __str__(self) -> str:
        return f"{self.code} {self.message}"

    @property
    def passing(self) -> bool:
        """Whether the very same message may be taken later."""
        return self.status in (429, 503)


def invalid(message: str, paths: str | None = None) -> Refusal:
    """A message that breaks the protocol's form: 400, code 30000."""
    return Refusal(400, ErrorCode.INVALID_REQUEST, message, paths)


def declined(code: ErrorCode, message: str, paths: str | None = None) -> Refusal:
    """A sound message that is declined for business reasons: 200 with NACK."""
    return Refusal(200, code, message, paths)


def busy(message: str, retry_after_s: int) -> Refusal:
    """Too much work: 503 with `Retry-After` in seconds."""
    return Refusal(503, ErrorCode.BUSINESS_ERROR, message, headers={"Retry-After": str(retry_after_s)})


def too_many(message: str, wait_s: float) -> Refusal:
    """More than the sender may have: 429 with `Retry-After` in whole seconds, at least 1."""
    seconds = max(1, ceil(wait_s))
    text = f"{message}; come again in {seconds} s"
    return Refusal(429, ErrorCode.POLICY_ERROR, text, headers={"Retry-After": str(seconds)})


def require(limit: RateLimit, name: str, now: float) -> None:
    """Take one of `name`'s share at unix seconds `now`, or refuse (429) and say what the limit is and when to retry."""
    if wait_s := limit.wait_s(name, now):
        raise too_many(limit.refusal(name), wait_s)
