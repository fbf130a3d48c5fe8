"""From a proven message to its effect: one transaction holds effect, first answer and what is to be sent."""

from __future__ import annotations

import sqlite3
from collections.abc import Collection, Iterator
from contextlib import contextmanager

from wattmesh_agents.brain.brain import Brain
from wattmesh_agents.brain.graph import Party
from wattmesh_agents.parties.household import Household
from wattmesh_agents.parties.shopper import ADVICE
from wattmesh_agents.parties.utility import Utility
from wattmesh_agents.store.database import Database
from wattmesh_agents.store.messages import Counts, Outbox, Outgoing, Timer
from wattmesh_agents.store.retention import Horizon, forget
from wattmesh_agents.trade.advice import Choice, Consultation, NoChoice
from wattmesh_beckn.answers import ack, nack
from wattmesh_beckn.client import Acked, Outcome
from wattmesh_beckn.context import CALLBACKS, REQUESTS
from wattmesh_beckn.errors import ErrorCode, Refusal, declined
from wattmesh_beckn.messages import OnUpdateMessage, UpdateMessage
from wattmesh_beckn.receiver import Received
from wattmesh_beckn.transport import Reply

ACTIONS = frozenset((*REQUESTS, *CALLBACKS))
KEEP_AFTER_EXPIRY_MS = 10_000
"""How much longer than it could be taken the answer to a message is kept."""


class Dispatcher:
    """Acts on messages, answers, alarms and slots for the parties of one pod."""

    def __init__(self, database: Database, brain: Brain) -> None:
        self._database = database
        self._brain = brain
        self._outbox = Outbox(database.connection)
        self.counts = Counts(database)
        self._acknowledged: list[Outgoing] = []
        self.refusal: str | None = None
        """Why the disk did not take the newest change; None when it did."""

    @contextmanager
    def transaction(self, occasion: str) -> Iterator[None]:
        """A transaction that also takes acknowledged messages out of the outbox.

        They wait for the next transaction that is due anyway: after a crash they are sent again, and dropped there.
        sqlite3.OperationalError when the disk refuses; then nothing has happened, and `refusal` says why until it takes
        a change again.
        """
        taken, self._acknowledged = self._acknowledged, []
        changes = self._database.connection.total_changes
        try:
            with self._database.transaction(occasion):
                for message in taken:
                    self._outbox.done(message)
                yield
                changes -= self._database.connection.total_changes
        except BaseException as error:
            self._acknowledged = [*taken, *self._acknowledged]
            if isinstance(error, sqlite3.OperationalError):
                self.refusal = str(error)
            raise
        if changes:
            self.refusal = None

    @property
    def sending(self) -> bool:
        """Whether a message waits for its acknowledgement."""
        return self._outbox.count_waiting() > len(self._acknowledged)

    def receive(self, party: Party, received: Received) -> Reply:
        """Act on a message once; the same answer is remembered for when it comes again, unless it shall come again."""
        try:
            with self.transaction(f"receive {received.action}"):
                party.trader.peers.meet(received.sender, party.trader.now_ms)
                party.catch_up()
                reply = self._act(party, received) or ack()
                self._remember(party, received, reply)
        except Refusal as refusal:
            reply = nack(refusal)
            if refusal.passing:
                return reply
            with self.transaction(f"refuse {received.action}"):
                self._remember(party, received, reply)
        return reply

    def sent(self, party: Party, message: Outgoing, outcome: Outcome) -> None:
        """Take a message out of the outbox and act on how it was answered."""
        if isinstance(outcome, Acked) and message.action != "search":
            self._acknowledged.append(message)
            return
        with self.transaction(f"sent {message.action}"):
            self._outbox.done(message)
            if not message.action.startswith("on_"):
                event = party.buyer.sent(message, outcome)
                if event == "answered":
                    if party.shopper.collecting(message.transaction_id):
                        self._offers_are_in(party, message.transaction_id, event)
                elif event is not None:
                    self._brain.buyer_event(party, message.transaction_id, event)
            elif message.action in ("on_select", "on_init"):
                self._declined_by_buyer(party, message, outcome)

    def ring(self, party: Party, timer: Timer) -> None:
        """An alarm that was set has come due. Runs in the caller's transaction."""
        if timer.kind == "wake":
            slot, attempt = timer.subject.split()
            self._wake(party, int(slot), int(attempt))
        elif timer.kind == "collect":
            if party.shopper.collecting(timer.subject):
                self._offers_are_in(party, timer.subject, "window closed")
        elif timer.kind == ADVICE:
            if party.shopper.advice_late(timer.subject):
                self._brain.buyer_event(party, timer.subject, "advice late")
        elif timer.kind == "stall":
            party.buyer.stalled(timer.subject)
            self._brain.buyer_event(party, timer.subject, "stalled")
        elif timer.kind == "report" and isinstance(party, Household):
            party.report(int(timer.subject))
        elif timer.kind == "doubt":
            transaction_id, seller = timer.subject.split()
            party.buyer.ask_status(transaction_id, seller)

    def advised(self, party: Party, asked: Consultation, advice: Choice | NoChoice) -> None:
        """An adviser has answered, or failed: its choice is taken, or the rules'. Nothing when it comes too late."""
        with self.transaction("advised"), party.shopper.heeding(asked, advice) as heard:
            if heard:
                self._brain.buyer_event(party, asked.transaction_id, "advised")

    def open_slot(self, party: Party) -> None:
        """A slot has begun: meter what ended, say again what is unfinished, set the alarms to look at the next one."""
        with self.transaction("slot"):
            self.counts.write(party.trader.id)
            party.catch_up()
            for transaction_id in party.buyer.expire():
                self._brain.buyer_event(party, transaction_id, "expired")
            party.drive()
            trader = party.trader
            following = trader.following_slot()
            if following is not None:
                party.take_role(following)
                for attempt, look_s in enumerate(party.looks(following)):
                    due_ms = max(trader.now_ms, trader.gate_ms(look_s))
                    trader.set_timer("wake", f"{following} {attempt}", due_ms)

    def count(self, parties: Collection[str]) -> None:
        """Write down what these have sent since their last slot began."""
        with self.transaction("count"):
            for party in parties:
                self.counts.write(party)

    def forget(self, horizon: Horizon, here: Collection[str], needed: Collection[str]) -> None:
        """Delete what has passed; see `retention.forget`."""
        with self.transaction("prune"):
            forget(self._database.connection, horizon, here, needed)

    def _wake(self, party: Party, slot: int, attempt: int) -> None:
        if not party.trader.gate_open(slot):
            party.trader.around.missed_gate()
            party.trader.story("too late to trade for %s: the gate closed", party.trader.slot_text(slot))
            return
        party.catch_up()
        # After a restart the slot is opened again, and the alarm of an attempt that was made rings once more.
        if not party.shopper.searched(slot, attempt) and not party.shopper.buying(slot):
            self._brain.wake(party, slot, attempt)

    def _offers_are_in(self, party: Party, transaction_id: str, event: str) -> None:
        """The collecting is over: choose, unless an adviser is asked first; then its answer is waited for."""
        if not party.shopper.ask_advice(transaction_id):
            self._brain.buyer_event(party, transaction_id, event)

    def _act(self, party: Party, received: Received) -> Reply | None:
        if received.action in REQUESTS:
            self._act_as_seller(party, received)
            return None
        return self._act_as_buyer(party, received)

    def _act_as_seller(self, party: Party, received: Received) -> None:
        message = received.message
        if isinstance(message, UpdateMessage) and message.update_target == "order.fulfillments":
            if not isinstance(party, Utility):
                raise declined(ErrorCode.POLICY_ERROR, "only a utility takes meter readings", "message.update_target")
            party.supply(received)
            return
        if received.action == "search":
            party.seller.offer(received)  # nothing to decide: whoever sells has an offer
        else:
            self._brain.hear_buyer(party, received)

    def _act_as_buyer(self, party: Party, received: Received) -> Reply | None:
        buyer, transaction_id = party.buyer, received.context.transaction_id
        match received.action:
            case "on_search":
                return party.shopper.hear_offers(received)
            case "on_select":
                reply = buyer.hear_quote(received)
            case "on_init":
                reply = buyer.hear_terms(received)
            case "on_confirm":
                reply = buyer.hear_confirmation(received)
            case "on_status" | "on_cancel":
                reply = buyer.hear_status(received)
            case "on_update":
                message = received.message
                if isinstance(message, OnUpdateMessage) and message.order.fulfillments:
                    if not isinstance(party, Household):
                        raise declined(ErrorCode.POLICY_ERROR, "a utility reports no meter readings")
                    return party.hear_supply(received)
                reply = buyer.hear_receipt(received)
            case _:
                raise TypeError(f"no callback {received.action!r}")
        if not party.shopper.collecting(transaction_id):
            self._brain.buyer_event(party, transaction_id, received.action)
        return reply

    def _declined_by_buyer(self, party: Party, message: Outgoing, outcome: Outcome) -> None:
        reason = getattr(outcome, "message", None)
        if reason is None:
            return
        party.seller.declined_by_buyer(message.transaction_id, message.recipient, f"declined by the buyer: {reason}")

    def _remember(self, party: Party, received: Received, reply: Reply) -> None:
        context = received.context
        # A sender may sign for years, but a message out of its ttl is refused whatever its signature.
        expires_at = min(received.signature_expires, context.expires_at)
        keep_until_ms = int(expires_at * 1000) + KEEP_AFTER_EXPIRY_MS
        party.trader.inbox.remember(context.sender, context.message_id, received.action, reply, keep_until_ms)
