"""What each event does to a party: a new slot, a message, an answer to one, a reminder, an adviser's choice."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from wattmesh_market.energy.slots import SLOT_S
from wattmesh_market.parties import buying, publishing, selling, shopping
from wattmesh_market.parties.books import Alarm, AlarmKind
from wattmesh_market.parties.party import Party
from wattmesh_market.steps import Event, Situation, Step, Trigger, Walker, walk
from wattmesh_market.trade.advice import Advice, Consultation
from wattmesh_market.trade.contracts import Side
from wattmesh_market.trade.messages import (
    Action,
    Agreed,
    AskStatus,
    Bills,
    Call,
    Cancel,
    Cancelled,
    Confirm,
    Confirmed,
    Declined,
    HeldReading,
    Init,
    Offers,
    Pay,
    PricedReading,
    PublishResult,
    Quote,
    Readings,
    Receipt,
    ReportReading,
    Search,
    Select,
    Status,
)
from wattmesh_market.trade.refusal import Reason, Refused

REPEAT_EVERY_MS = 5_000
"""How often at most unfinished business is said again (wall time), however short a slot is."""
_REQUESTS: Mapping[type, Event] = {
    Select: Event.QUOTE_ASKED,
    Init: Event.TERMS_ASKED,
    Confirm: Event.CONFIRM_HEARD,
    AskStatus: Event.STATUS_ASKED,
    Cancel: Event.CANCEL_HEARD,
    Pay: Event.PAYMENT_HEARD,
}
"""Messages that lead to a step of their own."""
_CALLBACKS: Mapping[type, tuple[Callable[[Party, Call, Any], Refused | None], Event | None]] = {
    Search: (selling.offer, None),
    Offers: (shopping.on_offers, None),
    PublishResult: (publishing.on_result, None),
    Quote: (buying.on_quote, Event.QUOTED),
    Agreed: (buying.on_agreed, Event.AGREED),
    Confirmed: (buying.on_confirmed, Event.CHECK),
    Status: (buying.on_status, Event.DELIVERED),
    Cancelled: (buying.on_cancelled, Event.CHECK),
    Receipt: (buying.on_receipt, Event.CHECK),
    ReportReading: (lambda party, call, message: party.on_reading(call, message), None),
    Readings: (lambda party, call, message: party.on_readings(call, message), None),
    PricedReading: (lambda party, call, message: party.on_priced_reading(call, message), None),
    Bills: (lambda party, call, message: party.on_bills(call, message), None),
    HeldReading: (lambda party, call, message: party.on_held_reading(call, message), None),
}
"""What other messages change, and what is looked at then."""


class Unanswered(NamedTuple):
    """What came of a message that was not acknowledged: the receiver's reason, or None when nobody answered in time."""

    reason: Reason | None
    text: str


class Events:
    """Handles the events of one party, one at a time. `walk` follows the table of steps."""

    def __init__(self, party: Party, walk: Callable[[Walker, Trigger], None] = walk) -> None:
        self.party = party
        self.walk = walk

    def resume(self) -> None:
        """After a start: ask for the reminders that what is open needs."""
        for contract in self.party.books.open[Side.BUYER].values():
            if contract.in_doubt:
                buying.doubt_again(self.party, contract)
        for slot in [*self.party.books.unbooked, *self.party.books.estimated]:
            self.party.report_later(slot)

    def open_slot(self) -> None:
        """A slot has begun: close what ended, say again what is unfinished, prepare to trade the next."""
        self.catch_up()
        for transaction_id in buying.expire(self.party):
            self._go(Event.CHECK, transaction_id)
        self._repeat()
        publishing.again(self.party)
        following = self.party.following_slot()
        self.party.enter_slot(following)
        if following is not None and self.party.may_buy(following):
            for attempt, look_s in enumerate(self.party.looks_s(following)):
                if look_s >= self.party.now.grid_s:
                    self.party.alarm(Alarm(AlarmKind.LOOK, following, attempt), look_s)

    def publish(self) -> None:
        """After an event: tell the discovery service what is to be had now, where there is one.

        Not before what has ended is metered: what a party has to sell follows from that.
        """
        party = self.party
        caught_up = party.books.standing.next_slot == party.now.slot
        if party.around.publishes and party.may_ever_sell and caught_up:
            publishing.publish(party)

    def catch_up(self) -> None:
        """Close every slot that has ended, and free expired quotes."""
        party = self.party
        books, now = party.books, party.now
        if books.standing.next_slot < now.slot:
            party.meter()
        if now.ms >= books.first_expiry_ms:
            selling.expire(party)

    def ring(self, alarm: Alarm) -> None:
        """A reminder has come due."""
        kind, transaction_id = alarm.kind, alarm.transaction_id
        if kind is AlarmKind.LOOK:
            self.look(alarm.slot, alarm.attempt)
        elif kind is AlarmKind.OFFERS_IN:
            self._go(Event.OFFERS_IN, transaction_id)
        elif kind is AlarmKind.ADVICE_LATE:
            if shopping.advice_late(self.party, transaction_id):
                self._go(Event.ADVISED, transaction_id)
        elif kind is AlarmKind.STALLED:
            buying.stalled(self.party, transaction_id)
            self._go(Event.CHECK, transaction_id)
        elif kind is AlarmKind.DOUBT:
            buying.ask_status(self.party, transaction_id, alarm.seller)
        elif kind is AlarmKind.REPORT:
            self.party.report(alarm.slot)
        # What is to be published is, after any event.

    def look(self, slot: int, attempt: int) -> None:
        """Look whether to buy for a slot."""
        if not self.party.gate_open(slot):
            self.party.books.changes.missed_gates += 1
            self.party.tell("too late to trade for %s: the gate closed", self.party.slot_text(slot))
            return
        self.catch_up()
        if not self.party.may_buy(slot) or (attempt and shopping.in_vain(self.party, slot, attempt - 1)):
            return
        transaction_id = shopping.transaction_for(self.party, slot, attempt)
        if transaction_id not in self.party.books.purchases and not shopping.buying(self.party, slot):
            self.walk(self, Trigger(Event.LOOK, transaction_id, slot, attempt))

    def receive(self, call: Call) -> Refused | None:
        """Act on a message. Raises Refused when it has no effect; returns one where it is declined with an effect."""
        self.catch_up()
        message = call.message
        if isinstance(message, Declined):
            self._declined(call, message)
            return None
        request = _REQUESTS.get(type(message))
        if request is not None:
            self.walk(self, Trigger(request, call.transaction_id, call=call))
            return None
        rule, event = _CALLBACKS[type(message)]
        refused = rule(self.party, call, message)
        if event is not None:
            self._go_on(event, call.transaction_id)
        return refused

    def _declined(self, call: Call, message: Declined) -> None:
        """An answer says that there is none: what was asked for stands as if it had been refused at once."""
        books, transaction_id = self.party.books, call.transaction_id
        if books.contract(transaction_id, call.sender) is None and transaction_id not in books.purchases:
            raise shopping.no_search(transaction_id)
        if message.action is not Action.SEARCH:  # others may have offers
            self.unanswered(call.sender, transaction_id, message.action, Unanswered(message.reason, message.text))

    def advised_by(self, consultation: Consultation, advice: Advice) -> None:
        """An adviser has answered, or failed: its choice is taken, or the rules'. Nothing when it comes too late."""
        if shopping.take_advice(self.party, consultation, advice):
            try:
                self._go(Event.ADVISED, consultation.transaction_id)
            finally:
                self.party.advised_picks.clear()

    def unanswered(self, to: str, transaction_id: str, action: Action, why: Unanswered) -> None:
        """A message was declined, or nobody answered it in time."""
        party = self.party
        if action is Action.SEARCH:
            party.tell("search failed: %s", why.text, transaction_id=transaction_id)
            if shopping.search_failed(party, transaction_id):
                self._go(Event.OFFERS_IN, transaction_id)
        elif action is Action.PUBLISH:
            publishing.failed(party, why.text)
        elif action in (Action.ON_SELECT, Action.ON_INIT):
            if why.reason is not None:
                selling.declined_by_buyer(party, transaction_id, to, f"declined by the buyer: {why.text}")
        elif action is Action.UPDATE and party.books.contract(transaction_id, to) is None:
            party.report_unanswered(transaction_id)
        elif buying.unanswered(party, to, transaction_id, action, why):
            self._go(Event.CHECK, transaction_id)

    # --- the walk along the table of steps ---

    def situation(self, trigger: Trigger) -> Situation:
        """What the party finds when it looks at its state."""
        return shopping.situation(self.party, trigger)

    def perform(self, step: Step, trigger: Trigger) -> None:
        """Do a step."""
        _PERFORM[step](self.party, trigger)

    def _go(self, event: Event, transaction_id: str) -> None:
        self.walk(self, Trigger(event, transaction_id))

    def _go_on(self, event: Event, transaction_id: str) -> None:
        # While offers are collected nothing was chosen, so nothing can follow yet.
        if not shopping.collecting(self.party, transaction_id):
            self._go(event, transaction_id)

    def _repeat(self) -> None:
        # Not more often than every 5 s: a machine that has fallen behind must not be kept busy by what it says of it.
        party = self.party
        occasion = party.now.ms // max(REPEAT_EVERY_MS, party.slot_ms())
        if party.books.mark_repeated(occasion):
            party.repeat(party.now.slot - SLOT_S, occasion)


def _bought(step: Callable[[Party, str], None]) -> Callable[[Party, Trigger], None]:
    return lambda party, trigger: step(party, trigger.transaction_id)


def _sold(step: Callable[[Party, Call], None]) -> Callable[[Party, Trigger], None]:
    def answer(party: Party, trigger: Trigger) -> None:
        if trigger.call is None:
            raise TypeError(f"{trigger.event} needs a message to answer")
        step(party, trigger.call)

    return answer


_PERFORM: Mapping[Step, Callable[[Party, Trigger], None]] = {
    Step.SEARCH: shopping.search,
    Step.ASK_ADVISER: _bought(shopping.ask_adviser),
    Step.SELECT: _bought(shopping.select),
    Step.GIVE_UP: _bought(shopping.give_up),
    Step.CLOSE: _bought(shopping.close),
    Step.INIT: _bought(buying.init),
    Step.CONFIRM: _bought(buying.confirm),
    Step.SETTLE: _bought(buying.settle),
    Step.QUOTE: _sold(selling.quote),
    Step.AGREE: _sold(selling.agree),
    Step.COMMIT: _sold(selling.commit),
    Step.REPORT: _sold(selling.report),
    Step.WITHDRAW: _sold(selling.withdraw),
    Step.RECEIVE_PAYMENT: _sold(selling.receive_payment),
}
