"""One event at a time: the market's core changes a party's state, one transaction writes that down, then it is current.

An event's rows, the answer to its message (inbox) and what is to be sent because of it (outbox) are on disk together or
not at all; when the disk refuses them, the state in memory is put back, too. Only then do messages leave, reminders run
and lines reach the event log. Searches and offers change nothing on disk: losing them costs a look.
"""

from __future__ import annotations

import sqlite3
from collections import Counter
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import NamedTuple, Protocol

from wattmesh_agents.store import accounts, evidence, forgetting, journal
from wattmesh_agents.store.chain import (
    Chains,
    Due,
    SignedCheckpoint,
    chain_ledger,
    due_checkpoints,
    keep_checkpoint,
    kept_checkpoint,
    make_due,
    not_due,
)
from wattmesh_agents.store.database import Database
from wattmesh_agents.store.mail import Answered, Inbox, Outbox, Outgoing, Peers, Requests
from wattmesh_agents.store.retention import RETIRED_AT_ONCE, Horizon, begun_before, forget, retire
from wattmesh_beckn.answers import ack, nack
from wattmesh_beckn.client import Outcome
from wattmesh_beckn.codec.port import Codec, Envelope
from wattmesh_beckn.codec.refusals import from_outcome
from wattmesh_beckn.codec.v2.messages import CatalogsMessage, is_callback
from wattmesh_beckn.codec.versions import ACTIONS, name_of
from wattmesh_beckn.errors import ErrorCode, Refusal, busy, declined
from wattmesh_beckn.receiver import Asked, Received
from wattmesh_beckn.registry import Subscription
from wattmesh_beckn.signature import digest
from wattmesh_beckn.transport import Reply
from wattmesh_common.chain import Checkpoint
from wattmesh_common.fields import Protocols, ProtocolVersion
from wattmesh_common.forget import ForgottenRows
from wattmesh_market.energy.slots import DAY_S, SLOT_S
from wattmesh_market.parties import restoring
from wattmesh_market.parties.books import REMEMBERED_S, Alarm, Changes, LogLine
from wattmesh_market.parties.events import Events
from wattmesh_market.parties.party import Party
from wattmesh_market.parties.restoring import Signed
from wattmesh_market.parties.supplied import Supplied
from wattmesh_market.parties.terms import Known, known
from wattmesh_market.parties.utility import LIKE_DAYS, Utility
from wattmesh_market.trade.advice import Advice, Consultation
from wattmesh_market.trade.contracts import Side
from wattmesh_market.trade.ledger import Reported
from wattmesh_market.trade.messages import (
    ACTION_OF,
    Action,
    AskStatus,
    Bills,
    Call,
    Cancel,
    Cancelled,
    Confirm,
    Confirmed,
    HeldReading,
    Offers,
    Pay,
    PricedReading,
    Publish,
    Quote,
    Readings,
    Receipt,
    ReportReading,
    Search,
    Select,
    Send,
    Status,
)
from wattmesh_market.trade.refusal import About, Reason, Refused

KEEP_AFTER_EXPIRY_MS = 10_000
"""How much longer than it could be taken the answer to a message is kept."""
MESSAGE_TTL_MS = 30_000
"""How long a message is worth sending (wall time); what still matters then is said anew."""
_LEAST_TTL_MS = 1_000
_REGISTERED_WITHIN_S = 600.0
"""How long after its start a household may be registered (wall time): it meters before that already."""
GIVEN_WITHIN_S = 7 * DAY_S
"""How long it is tried to give somebody a checkpoint (grid time). Later ones say more."""
MOST_ACKNOWLEDGED = 16
"""With so many acknowledged messages in the outbox any transaction takes them out; that of a slot always does."""


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


class Place(NamedTuple):
    """Where a pod's parties are: the network's domain, and the parties' own addresses by subscriber id."""

    domain: str
    urls: Mapping[str, str]


class Driver:
    """Runs the parties of a pod on its journal."""

    def __init__(
        self,
        database: Database,
        members: Sequence[Events],
        codecs: Mapping[ProtocolVersion, Codec],
        place: Place,
        publisher: Publisher,
        sign: Callable[[Outgoing], str],
    ) -> None:
        """`codecs` are those of the versions of Beckn the parties speak, `sign` makes a message's Authorization."""
        connection = database.connection
        self._database = database
        self._codecs = codecs
        self._place = place
        self._publisher = publisher
        self._sign = sign
        self.members = {member.party.id: member for member in members}
        self.inbox = Inbox(connection)
        self.outbox = Outbox(connection)
        self.requests = Requests(connection)
        self.peers = Peers(connection)
        self.accounts = accounts.accounts(connection)
        """The id of each party's ledger."""
        self._chains = Chains(connection)
        for party, account in self.accounts.items():
            self._chains.load(party, account)
        self.checkpoints_due = due_checkpoints(connection)
        """The bodies of checkpoints that parties have signed and not given yet."""
        self._acknowledged: dict[tuple[str, str, str, str], Outgoing] = {}
        self._sent: Counter[tuple[str, str]] = Counter()
        self.refusal: str | None = None
        """Why the disk did not take the newest change; None when it did."""

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
        try:
            message = codec.decode(received, lambda: self._known(party, context.transaction_id, sender))
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
        self.peers.meet(received.sender, party.now.ms)
        if isinstance(received.message, CatalogsMessage) and received.sender.type == "BG":
            for catalog in received.message.catalogs:
                if catalog.bpp_id is not None and catalog.bpp_uri is not None:
                    self.peers.hint(catalog.bpp_id, catalog.bpp_uri)
        self._recall(party, call)
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
            # It leaves the outbox later: after a crash it is sent again, and dropped there.
            if message.key in self.outbox.waiting:
                self._acknowledged[message.key] = message
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
            for one in signed:
                if isinstance(one.message, PricedReading | HeldReading):
                    self._recall_supply(party, one.to, one.message.reading.slot)
            told = PricedReading | HeldReading
            of_contracts = [one.transaction_id for one in signed if not isinstance(one.message, told)]
            for transaction_id in dict.fromkeys(of_contracts):
                self._recall_contracts(party, transaction_id)
            party.books.changes = Changes()
        self._act(party, "restore", lambda: restoring.take_over(party, signed))

    def advised(self, member: Events, asked: Consultation, advice: Advice) -> None:
        """An adviser has answered, or failed."""
        self._act(member.party, "advised", lambda: member.advised_by(asked, advice))

    def decide_held(self, member: Events, household: str, slots: Sequence[int], *, accept: bool) -> list[Reported]:
        """A person has decided about readings that are held. Refused when that cannot be, and nothing has changed."""
        utility, found = _utility(member), list[Reported]()
        for slot in slots:
            before = [slot - days * DAY_S for days in range(1, LIKE_DAYS + 1)]
            for at in (slot, slot - SLOT_S, slot + SLOT_S, *before):
                self._recall_supply(utility, household, at)
        self._decide(utility, lambda: found.extend(utility.decide_held(household, slots, accept=accept)))
        return found

    def correct(self, member: Events, household: str, slot: int, net_wh: int) -> None:
        """A person has found out what a reading should have been. Refused when that cannot be: nothing has changed."""
        utility = _utility(member)
        if slot < accounts.closed_until(self._database.connection, utility.id, household):
            raise Refused(Reason.BUSINESS, f"{household} has closed its account of that slot", About.SLOT)
        self._recall_supply(utility, household, slot)
        self._decide(utility, lambda: utility.correct(household, slot, net_wh))

    def _decide(self, utility: Utility, decide: Callable[[], None]) -> None:
        """Act on what a person has decided, after what it is about was recalled."""
        utility.books.changes = Changes()
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

    # --- around them ---

    def join(self, member: Events) -> None:
        """A party is here from now on."""
        self.members[member.party.id] = member

    def leave(self, party: str) -> None:
        """A party, by its id, is not here any more. Its rows stay."""
        del self.members[party]

    def enrol(self, member: Events) -> None:
        """Write down a party that is new, and ask for the reminders that it needs."""
        self._act(member.party, "start", member.resume)

    def meet(self, entry: Subscription, now_ms: int) -> None:
        """Remember where a subscriber lives; it is on disk with the next transaction."""
        self.peers.meet(entry, now_ms)

    def remember(self, occasion: str, answered: Answered) -> None:
        """Remember the answer to a call that changes no party."""
        with self._transaction(occasion):
            self.inbox.write(answered)
        self.inbox.know(answered)

    def open_accounts(self, now_ms: int) -> None:
        """Note when the ledgers of parties that are new here are begun."""
        if new := self.members.keys() - self.accounts.keys():
            with self._transaction("open accounts") as connection:
                accounts.open_accounts(connection, sorted(new), self._database.salt, now_ms)
                opened = accounts.accounts(connection)
                for party in new:
                    chain_ledger(connection, party, opened[party])
            self.accounts = opened
            for party in new:
                self._chains.load(party, opened[party])

    def totals(self, party: str) -> list[accounts.Total]:
        """What a party has booked, by counterparty."""
        return accounts.totals(self._database.connection, party)

    def keep_closing(self, signed: accounts.Signed) -> bool:
        """Keep a closing record; False when nothing is booked with that party, or it has closed too many accounts."""
        connection, record = self._database.connection, signed.record
        known = accounts.has_booked_with(connection, record.counterparty, record.party)
        if not known or not accounts.room_for(connection, record):
            return False
        with self._transaction("closing") as connection:
            accounts.keep_closing(connection, signed)
        return True

    def take_checkpoint(
        self, party: Party, until: int, besides: Collection[str], sign: Callable[[bytes], tuple[str, str]]
    ) -> None:
        """Sign where a party's chain stands after a day, once, if something was booked since the last time.

        It is due to all with whom that was, and to `besides`. `sign` gives `Authorization` header and public key.
        """
        head = self._chains.head(party.id)
        if head is None or not head.partners or until <= head.until:
            return
        checkpoint = Checkpoint(
            party=party.id, account=self.accounts[party.id], until=until, number=head.number, head=head.hash.hex()
        )
        body = checkpoint.model_dump_json()
        due = [Due(party.id, until, recipient) for recipient in sorted(head.partners.union(besides))]
        stale = [one for one in self.checkpoints_due if one.party == party.id and one.until < until - GIVEN_WITHIN_S]
        with self._transaction("checkpoint") as connection:
            keep_checkpoint(connection, party.id, SignedCheckpoint(checkpoint, body, *sign(body.encode())))
            make_due(connection, due)
            not_due(connection, stale)
        self._chains.know(party.id, head._replace(partners=frozenset(), until=until))
        self.checkpoints_due |= dict.fromkeys(due, body.encode())
        for one in stale:
            del self.checkpoints_due[one]

    def given(self, due: Due) -> None:
        """A checkpoint was given, or is not wanted."""
        with self._transaction("checkpoint given") as connection:
            not_due(connection, [due])
        self.checkpoints_due.pop(due, None)

    def keep_checkpoint(self, party: Party, signed: SignedCheckpoint, *, near: bool) -> None:
        """Keep a checkpoint that a party is given; a utility, of all that are registered on its feeder (`near`).

        Refused when it has nothing to do with the signer, or keeps another one of it for the same day.
        """
        connection, checkpoint = self._database.connection, signed.checkpoint
        kept = kept_checkpoint(connection, party.id, checkpoint.party, checkpoint.until)
        if kept == checkpoint:
            return
        if kept is not None:
            text = f"you have signed another head of that day: entry {kept.number}, {kept.head}"
            raise Refused(Reason.BUSINESS, text)
        if not (
            (near and isinstance(party, Utility))
            or any(party.books.open_with(side, checkpoint.party) for side in Side)
            or accounts.has_booked_with(connection, party.id, checkpoint.party)
        ):
            raise Refused(Reason.POLICY, "nothing is booked with you here")
        with self._transaction("checkpoint kept") as connection:
            keep_checkpoint(connection, party.id, signed)

    def count(self, message: Outgoing) -> None:
        """One more was sent."""
        self._sent[message.party, ACTIONS[message.action]] += 1

    def forget(self, horizon: Horizon, needed: Collection[str]) -> None:
        """Delete what has passed; see `retention`."""
        partners = {one.counterparty for member in self.members.values() for one in member.party.open_contracts()}
        with self._transaction("prune") as connection:
            forget(connection, horizon, self.members, partners.union(needed))
        self.inbox.forget(horizon.now_ms)

    def retire(self, horizon: Horizon) -> None:
        """Delete of each party's books some of what is older than it is to keep; see `retention`."""
        parties = [member.party for member in self.members.values()]
        kept = {party.id: horizon.kept_from(party.retention_days, party.grid.utc_offset_s) for party in parties}
        begun = begun_before(self._database.connection, kept)
        if not begun:
            return
        most = max(1, RETIRED_AT_ONCE // len(begun))
        with self._transaction("retire") as connection:
            chained = [name for name in begun if retire(connection, name, kept[name], most)]
        for name in chained:
            self._chains.load(name, self.accounts[name])

    def left_behind(self, household: str, *, lost: bool) -> list[ForgottenRows]:
        """What is kept here of a household that has left. Refused when it cannot be forgotten yet, see `forgetting`."""
        if household in self.members:
            text = f"{household} lives here; delete its SolarAgent, or scale it down, and let it leave"
            raise Refused(Reason.BUSINESS, text)
        supplied = [member.party for member in self.members.values() if isinstance(member.party, Supplied)]
        utilities = {name for party in supplied for name in party.config.utilities}
        if reasons := forgetting.obstacles(self._database.connection, household, utilities, lost=lost):
            raise Refused(Reason.BUSINESS, f"{household} cannot be forgotten yet: {'; '.join(reasons)}")
        return forgetting.count(self._database.connection, household)

    def forget_household(self, household: str, salt: bytes, *, lost: bool) -> list[ForgottenRows]:
        """Let go of a household that has left, on the disk and in memory; what went. Refused as `left_behind` is.

        What is kept of its id is hashed with `salt`.
        """
        gone = self.left_behind(household, lost=lost)
        self.peers.forget_party(household)
        with self._transaction("forget") as connection:
            forgetting.forget(connection, household, salt)
        self.inbox.forget_party(household)
        self.outbox.forget_party(household)
        for key in self._acknowledged.keys() - self.outbox.waiting.keys():
            del self._acknowledged[key]
        for count in [count for count in self._sent if count[0] == household]:
            del self._sent[count]
        self.accounts.pop(household, None)
        self.checkpoints_due = due_checkpoints(self._database.connection)
        for name in {one.party for one in gone} & self.members.keys():
            party = self.members[name].party
            loaded = journal.load(self._database.connection, name, party.now.slot, party.books.standing)
            party.books.take_over(loaded, household)
            if name in self.accounts:
                self._chains.load(name, self.accounts[name])
        return gone

    def wipe(self) -> bool:
        """Have nothing left in the database's files of what was deleted; whether no reader has kept that."""
        return self._database.wipe()

    def tidy(self) -> None:
        """Take out of the outbox what was acknowledged, and write down how many messages were sent."""
        with self._transaction("tidy", tidying=True) as connection:
            journal.count_messages(connection, [(*key, number) for key, number in sorted(self._sent.items())])
        self._sent.clear()

    @property
    def connection(self) -> sqlite3.Connection:
        """For reading what is on the disk."""
        return self._database.connection

    @property
    def unsent(self) -> list[Outgoing]:
        """What waits for its acknowledgement."""
        return [one for key, one in self.outbox.waiting.items() if key not in self._acknowledged]

    def is_sending(self, party: str) -> bool:
        """Whether a message of a party waits for its acknowledgement."""
        return any(message.party == party for message in self.unsent)

    @property
    def sending(self) -> bool:
        """Whether a message waits for its acknowledgement."""
        return len(self.outbox.waiting) > len(self._acknowledged)

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
        books, refused = party.books, None
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
            said = [one for send in changes.sends for one in self._outgoing(party, send, received)]
            outgoing = {one.key: one for one in said}
            light = [one for one in outgoing.values() if ACTIONS[one.action] in _LIGHT]
            durably = {key: one for key, one in outgoing.items() if ACTIONS[one.action] not in _LIGHT}
            again = [key for key in durably if key in self._acknowledged]
            kept = [one for key, one in durably.items() if key in again or key not in self.outbox.waiting]
            asked, asked_lightly = self._asked(kept), self._asked(light)
            if changes.stored or kept or (answered and durable) or done:
                with self._transaction(occasion, done, tidying=tidying, again=again) as connection:
                    journal.write(connection, party.id, party.kind, changes)
                    head = self._chains.write(party.id, changes.ledger)
                    if received and _commits(received, changes):
                        evidence.keep(connection, party.id, received, party.now.ms)
                    self.outbox.write(kept)
                    if asked:
                        self.requests.write(asked, party.now.ms)
                    if answered and durable:
                        self.inbox.write(answered)
        except BaseException:
            books.take_back()
            raise
        books.changes = Changes()
        if head is not None:
            self._chains.know(party.id, head)
        for message in kept:
            self.outbox.know(message)
        if asked or asked_lightly:
            self.requests.know({**asked, **asked_lightly}, party.now.ms)
        if answered:
            self.inbox.know(answered)
        self._publish(party, changes, [*kept, *light])
        return reply

    def _asked(self, messages: Sequence[Outgoing]) -> dict[tuple[str, str, str], Asked]:
        """The requests among messages that are answered in v2, signed."""
        if "v2" not in self._codecs:
            return {}
        return {
            (one.party, one.message_id, one.action): Asked(digest(one.body), self._sign(one))
            for one in messages
            if not is_callback(one.action)
        }

    @contextmanager
    def _transaction(
        self,
        occasion: str,
        done: Outgoing | None = None,
        *,
        tidying: bool = False,
        again: Sequence[tuple[str, str, str, str]] = (),
    ) -> Iterator[sqlite3.Connection]:
        """A transaction that also takes `done` out of the outbox, and what was acknowledged: all of it when `tidying`
        or many, else what is sent `again`.

        sqlite3.OperationalError when the disk refuses; then nothing has happened, and `refusal` says why until it takes
        a change again.
        """
        all_gone = tidying or len(self._acknowledged) >= MOST_ACKNOWLEDGED
        gone = dict(self._acknowledged) if all_gone else {key: self._acknowledged[key] for key in again}
        if done is not None:
            gone[done.key] = done
        before = self._database.connection.total_changes
        try:
            with self._database.transaction(occasion) as connection:
                if gone:
                    self.outbox.take_out(gone)
                self.peers.write()
                yield connection
                wrote = connection.total_changes > before
        except sqlite3.OperationalError as error:
            self.refusal = str(error)
            raise
        self.peers.written()
        for key in gone:
            self._acknowledged.pop(key, None)
            self.outbox.waiting.pop(key, None)
        if wrote:
            self.refusal = None

    def _refuse(self, party: Party, received: Received, refusal: Refusal) -> Reply:
        reply = nack(refusal)
        if not refusal.passing:
            self.remember(f"refuse {received.action}", _answered(party, received, reply))
        return reply

    def _known(self, party: Party, transaction_id: str, sender: str) -> Known | None:
        found = known(party, transaction_id, sender)
        if found is None:
            self._recall_contracts(party, transaction_id)
            found = known(party, transaction_id, sender)
        return found

    def _recall(self, party: Party, call: Call) -> None:
        """Bring back from the disk what memory has let go of and an old message is about."""
        books, message = party.books, call.message
        if isinstance(message, ReportReading | Readings):
            for reading in (message,) if isinstance(message, ReportReading) else message.told:
                self._recall_supply(party, call.sender, reading.slot)
        elif (
            not isinstance(message, Search | Offers | Select | Quote | PricedReading | Bills | HeldReading)
            and books.contract(call.transaction_id, call.sender) is None
        ):
            self._recall_contracts(party, call.transaction_id)
        books.changes = Changes()

    def _recall_contracts(self, party: Party, transaction_id: str) -> None:
        books = party.books
        for contract in journal.recall_contracts(self._database.connection, party.id, transaction_id):
            if books.contract(*contract.key) is None:
                books.put(contract)
        books.changes = Changes()

    def _recall_supply(self, party: Party, household: str, slot: int) -> None:
        old = slot < party.now.slot - REMEMBERED_S
        if old and household not in party.books.reported.get(slot, ()):
            journal.recall_supply(self._database.connection, party.books, party.id, household, slot)

    def _outgoing(self, party: Party, send: Send, received: Received | None) -> list[Outgoing]:
        """A message in the version, or a search in those, that it is to be said in."""
        answers = received if received is not None and send.reply_to == received.context.message_id else None
        if answers is not None:
            return [self._written(party, send, answers.protocol, answers)]
        if isinstance(send.message, Search):
            return [self._written(party, send, protocol) for protocol in self._codecs]
        published = isinstance(send.message, Publish)
        spoken: Protocols = ("v2",) if published else self.peers.protocols_of(send.to)
        both = [protocol for protocol in self._codecs if protocol in spoken] or [*self._codecs]
        return [self._written(party, send, max(both))]

    def _written(
        self, party: Party, send: Send, protocol: ProtocolVersion, answers: Received | None = None
    ) -> Outgoing:
        action, now_ms, here = ACTION_OF[type(send.message)], party.now.ms, self._place.urls[party.id]
        ttl_ms = MESSAGE_TTL_MS
        if send.until_ms is not None:
            ttl_ms = max(_LEAST_TTL_MS, min(MESSAGE_TTL_MS, send.until_ms - now_ms))
        message_id = send.reply_to or party.derive_id(action, send.transaction_id, send.to, send.occasion)
        me, other = (party.id, here), (send.to, self.peers.url_of(send.to) or "")
        callback = action.startswith("on_")
        contract = party.books.contract(send.transaction_id, send.to)
        envelope = Envelope(
            domain=self._place.domain,
            feeder=party.feeder,
            bap=other if callback else me,
            bpp=None if action is Action.SEARCH else me if callback or action is Action.PUBLISH else other,
            transaction_id=send.transaction_id,
            message_id=message_id,
            now_ms=now_ms,
            ttl_s=ttl_ms / 1000,
            terms_until_ms=None if contract is None else contract.expires_ms,
            request_digest=digest(answers.body) if answers is not None and protocol == "v2" else None,
        )
        body, name = self._codecs[protocol].encode(send.message, envelope), name_of(action, protocol)
        return Outgoing(party.id, message_id, name, send.to, send.transaction_id, body, now_ms + ttl_ms)

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
