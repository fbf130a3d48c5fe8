"""The choice among offers by an adviser, such as a chat model: what it is asked, and the check of what it answers.

The adviser sees numbers only. Names and ids come from other subscribers, who could write in them what they like, so an
offer goes by its place in the list.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Protocol

from pydantic import BaseModel, ConfigDict, Field, StrictInt

from wattmesh_market.trade.offers import MIN_TRADE_WH, Offer, Pick, feasible

MOST_SHOWN = 50
"""How many offers an adviser is shown, the cheapest; a choice among more needs no adviser."""


@dataclass(frozen=True)
class Question:
    """Which of `offers` to take for `need_wh` in a slot, at no more than the price limit, if there is one.

    `slot` is the slot for people. The offers are numbered from 1 in their order.
    """

    slot: str
    currency: str
    need_wh: int
    max_price_micro_per_kwh: int | None
    offers: tuple[Offer, ...]


@dataclass(frozen=True)
class Consultation:
    """A question of a party about one of its purchases, to be answered until `due_ms` (wall time)."""

    party: str
    transaction_id: str
    due_ms: int
    question: Question


class _Answer(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Part(_Answer):
    """How much to take of one offer."""

    offer: StrictInt = Field(description="Number of the offer.")
    energy_wh: StrictInt = Field(description="Energy to take of it, a whole number of Wh.")


class Choice(_Answer):
    """The offers to take, and how much of each."""

    picks: list[Part] = Field(description="One entry for each offer that is taken.")


@dataclass(frozen=True)
class NoChoice:
    """The adviser failed; `reason` is for people, without a word of the adviser's own."""

    reason: str


class Advisor(Protocol):
    """Answers questions. It may take its time and raise anything: the rules decide then."""

    async def advise(self, question: Question) -> Choice | NoChoice:
        """Choose. What comes back is checked before it has any effect."""
        ...


class AdviceRefused(ValueError):
    """A choice outside of the limits."""


def question_about(
    slot: str, currency: str, offers: Iterable[Offer], need_wh: int, max_price_micro_per_kwh: int | None
) -> Question | None:
    """The question which of the feasible offers to take; None when there are not two of them to choose from."""
    among = feasible(offers, max_price_micro_per_kwh)
    if need_wh < MIN_TRADE_WH or len(among) < 2:
        return None
    return Question(slot, currency, need_wh, max_price_micro_per_kwh, tuple(among[:MOST_SHOWN]))


def picks_of(choice: Choice, question: Question, still_open: Iterable[Offer]) -> tuple[Pick, ...]:
    """What a choice picks. AdviceRefused, with the reason, when any part of it is outside of the limits."""
    if not choice.picks:
        raise AdviceRefused("it picks nothing")
    there, limit_micro = frozenset(still_open), question.max_price_micro_per_kwh
    picks: dict[int, Pick] = {}
    for part in choice.picks:
        number = part.offer
        if not 1 <= number <= len(question.offers):
            raise AdviceRefused(f"there is no offer {number}; there are 1 to {len(question.offers)}")
        offer = question.offers[number - 1]
        if number in picks:
            raise AdviceRefused(f"it picks offer {number} twice")
        if offer not in there:
            raise AdviceRefused(f"offer {number} is not open any more")
        if limit_micro is not None and offer.price_micro_per_kwh > limit_micro:
            raise AdviceRefused(f"offer {number} is above the price limit")
        if not MIN_TRADE_WH <= part.energy_wh <= offer.available_wh:
            raise AdviceRefused(
                f"{part.energy_wh} Wh of offer {number}; from {MIN_TRADE_WH} to {offer.available_wh} Wh can be taken"
            )
        picks[number] = Pick(offer, part.energy_wh)
    total_wh = sum(pick.energy_wh for pick in picks.values())
    if total_wh > question.need_wh:
        raise AdviceRefused(f"it picks {total_wh} Wh, more than the {question.need_wh} Wh that are needed")
    return tuple(picks.values())
