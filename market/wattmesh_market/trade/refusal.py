"""Why a message is declined: decisions as data; the protocol's codes and paths are the codec's business."""

from __future__ import annotations

from enum import Enum, auto


class Reason(Enum):
    """The kind of a refusal."""

    UNSOUND = auto()
    ITEM_NOT_FOUND = auto()
    ORDER_NOT_FOUND = auto()
    BUSINESS = auto()
    QUANTITY_UNAVAILABLE = auto()
    QUOTE_UNAVAILABLE = auto()
    POLICY = auto()
    CANCELLATION_NOT_POSSIBLE = auto()
    TOO_MANY = auto()


class About(Enum):
    """The part of a message that a refusal is about."""

    TRANSACTION = auto()
    ORDER = auto()
    ORDER_ID = auto()
    PROVIDER = auto()
    ITEM = auto()
    ENERGY = auto()
    SLOT = auto()
    QUOTE = auto()
    PRICE = auto()
    CURRENCY = auto()
    BREAKUP = auto()
    PAYMENT_AMOUNT = auto()
    PAYMENT_STATUS = auto()
    READING = auto()
    GRID_FEE = auto()
    TARGET = auto()


class Refused(Exception):
    """A message is declined, and nothing of it has happened.

    `wait_s` is when to come again, of TOO_MANY; `text` is for people.
    """

    def __init__(self, reason: Reason, text: str, about: About | None = None, *, wait_s: float = 0.0) -> None:
        super().__init__(text)
        self.reason = reason
        self.text = text
        self.about = about
        self.wait_s = wait_s
