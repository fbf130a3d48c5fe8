"""One event at a time: the market's core changes a party's state, one transaction writes that down, then it is current.

An event's rows, the answer to its message (inbox) and what is to be sent because of it (outbox) are on disk together or
not at all; when the disk refuses them, the state in memory is put back, too. Only then do messages leave, reminders run
and lines reach the event log. Searches and offers change nothing on disk: losing them costs a look.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Mapping, Sequence
from typing import Protocol

from wattmesh_agents import recalling
from wattmesh_agents.deleting import Deletions
from wattmesh_agents.ledgers import Ledgers
from wattmesh_agents.store import evidence, journal
from wattmesh_agents.store.mail import Answered, Outgoing
from wattmesh_agents.store.transactions import Store
from wattmesh_agents.writing import Writer
from wattmesh_beckn.answers import ack, nack
from wattmesh_beckn.client import Outcome
from wattmesh_beckn.codec.port import Codec
from wattmesh_beckn.codec.refusals import from_outcome
from wattmesh_beckn.codec.v2.messages import CatalogsMessage
from wattmesh_beckn.codec.versions import ACTIONS
from wattmesh_beckn.errors import ErrorCode, Refusal, busy, declined
from wattmesh_beckn.receiver import Received
from wattmesh_beckn.transport import Reply
from wattmesh_common.fields import ProtocolVersion
from wattmesh_market.parties import restoring
from wattmesh_market.parties.books import Alarm, Changes, LogLine
from wattmesh_market.parties.events import Events
from wattmesh_market.parties.party import Party
from wattmesh_market.parties.restoring import Signed
from wattmesh_market.parties.utility import Utility
from wattmesh_market.trade.advice import Advice, Consultation
from wattmesh_market.trade.ledger import Reported
from wattmesh_market.trade.messages import (
    Action,
    AskStatus,
    Call,
    Cancel,
    Cancelled,
    Confirm,
    Confirmed,
    Pay,
    Receipt,
    Status,
)
from wattmesh_market.trade.refusal import About, Reason, Refused

KEEP_AFTER_EXPIRY_MS = 10_000
"""How much longer than it could be taken the answer to a message is kept."""
_REGISTERED_WITHIN_S = 600.0
"""How long after its start a household may be registered (wall time): it meters before that already."""


class Publisher(Protocol):
    """Takes what follows from an event once it is on disk."""

    def send(self, message: Outgoing) -> None:
        """Have a message sent."""
        ...

    def remind(self, party: Party, alarm: Alarm, due_s: float) -> None:
        """Ring an alarm at a grid time."""
        ...

    def tell(self, party: Party, line: LogLine) -> None:
        """Write a line into the event log."""
        ...

    def consult(self, party: Party, asked: Consultation) -> None:
        """Have the adviser asked."""
        ...

    def missed_gates(self, number: int) -> None:
        """Count trades that were missed because the gate had closed."""
        ...

    def asks(self, party: Party, partner: str, *, again: bool) -> bool:
        """Ask a partner for what the party has signed that its books may have lost; whether that is waited for.

        Once in the life of a process, or `again`.
        """
        ...


class Driver:
    """Runs the parties of a pod on its journal."""

    def __init__(
        self,
        store: Store,
        members: Sequence[Events],
        codecs: Mapping[ProtocolVersion, Codec],
        writer: Writer,
        publisher: Publisher,
    ) -> None:
        """`codecs` are those of the versions of Beckn that the parties speak."""
        self.store = store
        self._codecs = codecs
        self._writer = writer
        self._publisher = publisher
        self.members = {member.party.id: member for member in members}
        self.ledgers = Ledgers(store)
        self.deletions = Deletions(store, self.ledgers, self.members)

    # --- events ---

    def open_slot(self, member: Events) -> None:
        """A slot has begun."""
        party = member.party
        self._act(party, "slot", member.open_slot, tidying=True)
        party.books.forget(party.now.slot)

    def ring(self, member: Events, alarm: Alarm) -> None:
        """A reminder has come due."""
        self._act(member.party, f"alarm {alarm.kind}", lambda: member.ring(alarm))

    def receive(self, member: Events, received: Received) -> Reply:
        """Act on a message once; the same answer is remembered for when it comes again, unless it shall come again."""
        party, context, sender = member.party, received.context, received.sender.subscriber_id
        codec, action = self._codecs[received.protocol], ACTIONS[received.action]
        peers, disk = self.store.peers, self.store.connection
        try:
            message = codec.decode(received, lambda: recalling.known_of(disk, party, context.transaction_id, sender))
        except Refusal as refusal:
            return self._refuse(party, received, refusal)
        call = Call(
            sender,
            context.transaction_id,
            context.message_id,
            message,
            near=sender == party.around.gateway_id or received.sender.location.city.code == party.feeder,
            since_s=party.grid.at(received.since - _REGISTERED_WITHIN_S),
        )
        peers.meet(received.sender, party.now.ms)
        if isinstance(received.message, CatalogsMessage) and received.sender.type == "BG":
            for catalog in received.message.catalogs:
                if catalog.bpp_id is not None and catalog.bpp_uri is not None:
                    peers.hint(catalog.bpp_id, catalog.bpp_uri)
        recalling.for_call(disk, party, call)
        if _is_unknown(party, call) and self._publisher.asks(party, call.sender, again=False):
            raise busy(f"{call.sender} is asked for what this party's books may have lost", _BUSY_S)
        durable = action not in _LIGHT

        def respond(refused: Refused | None) -> Reply:
            return ack() if refused is None else nack(codec.refusal(refused, action))

        try:
            return self._act(
                party,
                f"receive {received.action}",
                lambda: member.receive(call),
                respond=respond,
                received=received,
                durable=durable,
            )
        except sqlite3.IntegrityError:
            # A contract of long ago stands under this transaction.
            text = "this transaction has an order here already; search anew"
            return self._refuse(party, received, declined(ErrorCode.BUSINESS_ERROR, text))

    def answered(self, member: Events, message: Outgoing, outcome: Outcome) -> None:
        """A message was acknowledged, declined, or not answered in time."""
        why, action = from_outcome(outcome), ACTIONS[message.action]
        if why is None:
            self.store.acknowledge(message)
            return

        def act() -> None:
            member.unanswered(message.recipient, message.transaction_id, action, why)

        self._act(member.party, f"sent {message.action}", act, done=message)
        party, key = member.party, (message.transaction_id, message.recipient)
        if action is Action.UPDATE and why.reason is Reason.BUSINESS and party.books.contract(*key) is None:
            self._publisher.asks(party, message.recipient, again=True)  # another reading was told before

    def take_over(self, member: Events, signed: Sequence[Signed]) -> None:
        """Bring books up to date that were put back, by what their party has signed since."""
        party = member.party
        if party.books.changes.standing is None:  # else they are new, and nothing is on the disk
            recalling.for_restoring(self.store.connection, party, signed)
        self._act(party, "restore", lambda: restoring.take_over(party, signed))

    def advised(self, member: Events, asked: Consultation, advice: Advice) -> None:
        """An adviser has answered, or failed."""
        self._act(member.party, "advised", lambda: member.advised_by(asked, advice))

    def decide_held(self, member: Events, household: str, slots: Sequence[int], *, accept: bool) -> list[Reported]:
        """A person has decided about readings that are held. Refused when that cannot be, and nothing has changed."""
        utility, found = _utility(member), list[Reported]()
        recalling.for_decision(self.store.connection, utility, household, slots)
        self._decide(utility, lambda: found.extend(utility.decide_held(household, slots, accept=accept)))
        return found

    def correct(self, member: Events, household: str, slot: int, net_wh: int) -> None:
        """A person has found out what a reading should have been. Refused when that cannot be: nothing has changed."""
        utility = _utility(member)
        if slot < self.ledgers.closed_until(utility.id, household):
            raise Refused(Reason.BUSINESS, f"{household} has closed its account of that slot", About.SLOT)
        recalling.for_correction(self.store.connection, utility, household, slot)
        self._decide(utility, lambda: utility.correct(household, slot, net_wh))

    def _decide(self, utility: Utility, decide: Callable[[], None]) -> None:
        """Act on what a person has decided, after what it is about was recalled."""
        refused: list[Refused] = []

        def act() -> None:
            try:
                decide()
            except Refused as error:
                refused.append(error)
                raise

        self._act(utility, "decide", act)
        if refused:
            raise refused[0]

    # --- who is here ---

    def join(self, member: Events) -> None:
        """A party is here from now on."""
        self.members[member.party.id] = member

    def leave(self, party: str) -> None:
        """A party, by its id, is not here any more. Its rows stay."""
        del self.members[party]

    def enrol(self, member: Events) -> None:
        """Write down a party that is new, and ask for the reminders that it needs."""
        self._act(member.party, "start", member.resume)

    def open_accounts(self, now_ms: int) -> None:
        """Note when the ledgers of parties that are new here are begun."""
        self.ledgers.open_accounts(self.members.keys(), now_ms)

    # --- one event ---

    def _act(
        self,
        party: Party,
        occasion: str,
        step: Callable[[], Refused | None],
        *,
        respond: Callable[[Refused | None], Reply] = lambda _: ack(),
        received: Received | None = None,
        durable: bool = True,
        done: Outgoing | None = None,
        tidying: bool = False,
    ) -> Reply:
        """Let the core handle an event, write down what it changes, make that current and publish it.

        The answer to a message that is not `durable` is remembered in memory only.
        """
        books, store, refused = party.books, self.store, None
        try:
            refused = step()
            self.members[party.id].publish()
        except Refused as error:
            books.take_back()
            refused = error
            if received is not None:
                self.members[party.id].catch_up()  # time has passed all the same
        except BaseException:
            books.take_back()
            raise
        reply, changes = respond(refused), books.changes
        answered = head = None
        if received is not None and (refused is None or refused.reason is not Reason.TOO_MANY):
            answered = _answered(party, received, reply)
        try:
            # A message may be asked for twice, as when two contracts of a purchase are paid, or be on its way already.
            # One that was acknowledged is sent again when somebody asks for it again.
            said = [one for send in changes.sends for one in self._writer.written(party, send, received)]
            outgoing = {one.key: one for one in said}
            light = [one for one in outgoing.values() if ACTIONS[one.action] in _LIGHT]
            durably = {key: one for key, one in outgoing.items() if ACTIONS[one.action] not in _LIGHT}
            again = [key for key in durably if store.is_acknowledged(key)]
            kept = [one for key, one in durably.items() if key in again or key not in store.outbox.waiting]
            asked, asked_lightly = self._writer.asked(kept), self._writer.asked(light)
            if changes.stored or kept or (answered and durable) or done:
                with store.transaction(occasion, done, tidying=tidying, again=again) as connection:
                    journal.write(connection, party.id, party.kind, changes)
                    head = self.ledgers.chain(party.id, changes.ledger)
                    if received and _commits(received, changes):
                        evidence.keep(connection, party.id, received, party.now.ms)
                    store.outbox.write(kept)
                    if asked:
                        store.requests.write(asked, party.now.ms)
                    if answered and durable:
                        store.inbox.write(answered)
        except BaseException:
            books.take_back()
            raise
        books.changes = Changes()
        if head is not None:
            self.ledgers.know(party.id, head)
        for message in kept:
            store.outbox.know(message)
        if asked or asked_lightly:
            store.requests.know({**asked, **asked_lightly}, party.now.ms)
        if answered:
            store.inbox.know(answered)
        self._publish(party, changes, [*kept, *light])
        return reply

    def _refuse(self, party: Party, received: Received, refusal: Refusal) -> Reply:
        reply = nack(refusal)
        if not refusal.passing:
            self.store.remember(f"refuse {received.action}", _answered(party, received, reply))
        return reply

    def _publish(self, party: Party, changes: Changes, outgoing: Sequence[Outgoing]) -> None:
        publisher = self._publisher
        for message in outgoing:
            publisher.send(message)
        for alarm, due_s in changes.alarms:
            publisher.remind(party, alarm, due_s)
        for line in changes.lines:
            publisher.tell(party, line)
        for asked in changes.consultations:
            publisher.consult(party, asked)
        if changes.missed_gates:
            publisher.missed_gates(changes.missed_gates)


def _utility(member: Events) -> Utility:
    if not isinstance(member.party, Utility):
        raise Refused(Reason.POLICY, "only a utility holds meter readings", About.TARGET)
    return member.party


_BUSY_S = 1
"""When a partner may say again what is looked into."""
_OF_CONTRACTS = (Confirm, AskStatus, Cancel, Pay, Confirmed, Status, Cancelled, Receipt)
_LIGHT = frozenset((Action.SEARCH, Action.ON_SEARCH, Action.PUBLISH, Action.ON_PUBLISH))
"""What is sent without the outbox."""


def _is_unknown(party: Party, call: Call) -> bool:
    """Whether a partner speaks of a contract that the party's books do not have."""
    return isinstance(call.message, _OF_CONTRACTS) and party.books.contract(call.transaction_id, call.sender) is None


def _commits(received: Received, changes: Changes) -> bool:
    """Whether a message has changed something that its sender may have to be reminded of."""
    key = (received.context.transaction_id, received.sender.subscriber_id)
    return key in changes.contracts or bool(changes.readings or changes.reported)


def _answered(party: Party, received: Received, reply: Reply) -> Answered:
    context, sender = received.context, received.sender.subscriber_id
    # A sender may sign for years, but a message out of its ttl is refused whatever its signature.
    expires_at = min(received.signature_expires, context.expires_at)
    keep_until_ms = int(expires_at * 1000) + KEEP_AFTER_EXPIRY_MS
    return Answered(party.id, sender, context.message_id, received.action, reply, keep_until_ms, received.said)
