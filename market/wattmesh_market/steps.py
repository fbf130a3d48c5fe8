"""The one table of steps: which step follows from which event in which situation.

A study walks it directly; in a pod a LangGraph graph is built from it. Both ask the same two questions: `next_step` of
what has happened, and `THEN` of what was done.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from typing import NamedTuple, Protocol

from wattmesh_market.trade.messages import Call


class Event(StrEnum):
    """What has happened to a purchase or a sale."""

    LOOK = "look at a slot"
    OFFERS_IN = "offers are in"
    ADVISED = "adviser answered"
    QUOTED = "quoted"
    AGREED = "agreed"
    DELIVERED = "delivered"
    CHECK = "look for what is missing"
    QUOTE_ASKED = "quote asked"
    TERMS_ASKED = "terms asked"
    CONFIRM_HEARD = "confirm heard"
    STATUS_ASKED = "status asked"
    CANCEL_HEARD = "cancel heard"
    PAYMENT_HEARD = "payment heard"


class Situation(StrEnum):
    """What a party finds when it looks at its state."""

    ALWAYS = "always"
    NEEDS_ENERGY = "needs energy"
    NEEDS_NOTHING = "needs nothing"
    ADVISER_WANTED = "an adviser is to choose"
    CHOICE = "offers to choose from"
    NO_CHOICE = "no offer to choose"
    UNDER_WAY = "under way"
    DONE = "nothing under way"


class Step(StrEnum):
    """What to do."""

    HOLD = "hold"
    SEARCH = "search"
    ASK_ADVISER = "ask_adviser"
    SELECT = "select"
    GIVE_UP = "give_up"
    CLOSE = "close"
    INIT = "init"
    CONFIRM = "confirm"
    SETTLE = "settle"
    QUOTE = "quote"
    AGREE = "agree"
    COMMIT = "commit"
    REPORT = "report"
    WITHDRAW = "withdraw"
    RECEIVE_PAYMENT = "receive_payment"


STEPS: Mapping[tuple[Event, Situation], Step] = {
    (Event.LOOK, Situation.NEEDS_ENERGY): Step.SEARCH,
    (Event.LOOK, Situation.NEEDS_NOTHING): Step.HOLD,
    (Event.OFFERS_IN, Situation.ADVISER_WANTED): Step.ASK_ADVISER,
    (Event.OFFERS_IN, Situation.CHOICE): Step.SELECT,
    (Event.OFFERS_IN, Situation.NO_CHOICE): Step.GIVE_UP,
    (Event.OFFERS_IN, Situation.UNDER_WAY): Step.HOLD,
    (Event.ADVISED, Situation.CHOICE): Step.SELECT,
    (Event.ADVISED, Situation.NO_CHOICE): Step.GIVE_UP,
    (Event.ADVISED, Situation.UNDER_WAY): Step.HOLD,
    (Event.QUOTED, Situation.ALWAYS): Step.INIT,
    (Event.AGREED, Situation.ALWAYS): Step.CONFIRM,
    (Event.DELIVERED, Situation.ALWAYS): Step.SETTLE,
    (Event.CHECK, Situation.CHOICE): Step.SELECT,
    (Event.CHECK, Situation.NO_CHOICE): Step.GIVE_UP,
    (Event.CHECK, Situation.UNDER_WAY): Step.HOLD,
    (Event.CHECK, Situation.DONE): Step.CLOSE,
    (Event.QUOTE_ASKED, Situation.ALWAYS): Step.QUOTE,
    (Event.TERMS_ASKED, Situation.ALWAYS): Step.AGREE,
    (Event.CONFIRM_HEARD, Situation.ALWAYS): Step.COMMIT,
    (Event.STATUS_ASKED, Situation.ALWAYS): Step.REPORT,
    (Event.CANCEL_HEARD, Situation.ALWAYS): Step.WITHDRAW,
    (Event.PAYMENT_HEARD, Situation.ALWAYS): Step.RECEIVE_PAYMENT,
}
THEN: Mapping[Step, Event] = {Step.INIT: Event.CHECK, Step.CONFIRM: Event.CHECK, Step.SETTLE: Event.CHECK}
"""What is looked at after a step."""


class Trigger(NamedTuple):
    """An event, and what it is about: a purchase or sale by its transaction, a look by slot and attempt."""

    event: Event
    transaction_id: str
    slot: int = 0
    attempt: int = 0
    call: Call | None = None


class Walker(Protocol):
    """Who walks the table."""

    def situation(self, trigger: Trigger) -> Situation:
        """What it finds; nothing changes by looking."""
        ...

    def perform(self, step: Step, trigger: Trigger) -> None:
        """Do a step."""
        ...


_ALWAYS = {event: step for (event, situation), step in STEPS.items() if situation is Situation.ALWAYS}


def next_step(walker: Walker, trigger: Trigger) -> Step:
    """The step that follows from an event; the party looks at its state only where that matters."""
    return _ALWAYS.get(trigger.event) or STEPS[trigger.event, walker.situation(trigger)]


def walk(walker: Walker, trigger: Trigger) -> None:
    """Do what follows from an event, and what follows from that."""
    step = next_step(walker, trigger)
    while step is not Step.HOLD:
        walker.perform(step, trigger)
        if step not in THEN:
            return
        trigger = Trigger(THEN[step], trigger.transaction_id, trigger.slot, trigger.attempt, trigger.call)
        step = next_step(walker, trigger)
