"""The choice among offers by an adviser, such as a chat model: what it is asked, and the check of what it answers.

The adviser sees numbers only. Names and ids come from other subscribers, who could write in them what they like, so an
offer goes by its place in the list.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from typing import NamedTuple, Protocol

from wattmesh_market.trade.offers import MIN_TRADE_WH, Block, Offer, Pick, at_price, feasible
from wattmesh_market.units import money_text

MOST_SHOWN = 50
"""How many offers an adviser is shown, the cheapest; a choice among more needs no adviser."""


class Question(NamedTuple):
    """Which of `offers` to take in a slot, for what is wanted at no more than it is worth.

    `slot` is the slot for people. The offers are numbered from 1 in their order.
    """

    slot: str
    currency: str
    wants: tuple[Block, ...]
    offers: tuple[Offer, ...]

    @property
    def need_wh(self) -> int:
        """What is wanted in all."""
        return sum([block.energy_wh for block in self.wants])

    @property
    def max_price_micro_per_kwh(self) -> int | None:
        """The most that any of it is worth; None for any price."""
        prices = [block.price_micro_per_kwh for block in self.wants]
        return None if None in prices else max([price for price in prices if price is not None], default=0)


class Consultation(NamedTuple):
    """A question about one purchase of a party, to be answered until `due_ms` (wall time)."""

    transaction_id: str
    due_ms: int
    question: Question


class Part(NamedTuple):
    """How much to take of an offer, by its number."""

    offer: int
    energy_wh: int


class Choice(NamedTuple):
    """The offers to take, and how much of each."""

    picks: tuple[Part, ...]


class NoChoice(NamedTuple):
    """The adviser has not chosen; why, for people."""

    reason: str


Advice = Choice | NoChoice


class Adviser(Protocol):
    """Chooses among offers."""

    async def advise(self, question: Question) -> Advice:
        """What to take. Whatever comes back is checked before it has any effect."""
        ...


class AdviceRefused(ValueError):
    """A choice outside of the limits."""


def question_about(slot: str, currency: str, offers: Iterable[Offer], wants: tuple[Block, ...]) -> Question | None:
    """The question which of the feasible offers to take; None when there are not two of them to choose from."""
    among = feasible(offers, wants)
    if len(among) < 2:
        return None
    return Question(slot, currency, wants, tuple(among[:MOST_SHOWN]))


def picks_of(choice: Choice, question: Question, still_open: Collection[Offer]) -> tuple[Pick, ...]:
    """What a choice picks. AdviceRefused, with the reason, when any part of it is outside of the limits."""
    if not choice.picks:
        raise AdviceRefused("it picks nothing")
    limit_micro = question.max_price_micro_per_kwh
    picks: dict[int, Pick] = {}
    for number, energy_wh in choice.picks:
        if not 1 <= number <= len(question.offers):
            raise AdviceRefused(f"there is no offer {number}; there are 1 to {len(question.offers)}")
        offer = question.offers[number - 1]
        if number in picks:
            raise AdviceRefused(f"it picks offer {number} twice")
        if offer not in still_open:
            raise AdviceRefused(f"offer {number} is not open any more")
        if limit_micro is not None and offer.price_micro_per_kwh > limit_micro:
            raise AdviceRefused(f"offer {number} is above the price limit")
        if not MIN_TRADE_WH <= energy_wh <= offer.available_wh:
            raise AdviceRefused(
                f"{energy_wh} Wh of offer {number}; from {MIN_TRADE_WH} to {offer.available_wh} Wh can be taken"
            )
        picks[number] = Pick(offer, energy_wh)
    total_wh = sum(pick.energy_wh for pick in picks.values())
    if total_wh > question.need_wh:
        raise AdviceRefused(f"it picks {total_wh} Wh, more than the {question.need_wh} Wh that are needed")
    for micro in {pick.offer.price_micro_per_kwh for pick in picks.values()}:
        dear_wh = sum(pick.energy_wh for pick in picks.values() if pick.offer.price_micro_per_kwh >= micro)
        worth_wh = at_price(question.wants, micro)
        if dear_wh > worth_wh:
            raise AdviceRefused(f"it picks {dear_wh} Wh at {money_text(micro)} or more; {worth_wh} Wh are worth that")
    return tuple(picks.values())
