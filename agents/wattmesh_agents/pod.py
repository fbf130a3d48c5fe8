"""A runtime process: any number of households and utilities on one journal, one clock, one address."""

from __future__ import annotations

import asyncio
import logging
import random
import sqlite3
from collections.abc import Mapping, Sequence
from datetime import datetime
from functools import partial

from wattmesh_agents.advising import ask_until
from wattmesh_agents.alarms import Alarms
from wattmesh_agents.attendance import Attendance
from wattmesh_agents.brain import think
from wattmesh_agents.checkpoints import Checkpoints
from wattmesh_agents.closing import Closings
from wattmesh_agents.driver import Driver
from wattmesh_agents.happenings import Happenings, Message, StoryLine
from wattmesh_agents.metrics import PodMetrics
from wattmesh_agents.receiving import Reception
from wattmesh_agents.restoring import Restoration
from wattmesh_agents.sending import Sender
from wattmesh_agents.slots import Slots
from wattmesh_agents.stepping import REFUSED_RETRY_S, Steps
from wattmesh_agents.store import journal
from wattmesh_agents.store.database import Database
from wattmesh_agents.store.mail import Outgoing
from wattmesh_agents.store.transactions import Store
from wattmesh_agents.writing import Place, Writer
from wattmesh_beckn.answers import nack
from wattmesh_beckn.client import Outcome
from wattmesh_beckn.codec.versions import ACTIONS, BOTH, codecs_of
from wattmesh_beckn.errors import busy
from wattmesh_beckn.receiver import Received
from wattmesh_beckn.registry import Directory, RegistryDirectory
from wattmesh_beckn.signature import Signer
from wattmesh_beckn.transport import Reply, Transport
from wattmesh_common.chain import CHECKPOINT
from wattmesh_common.clock import Clock, GridClock, stopwatch, utc
from wattmesh_common.closing import CLOSE
from wattmesh_common.price_files import series_of
from wattmesh_common.profile_files import profile_of
from wattmesh_common.runtime import RuntimeConfig
from wattmesh_market.energy.slots import local
from wattmesh_market.parties.books import Alarm, LogLine, Published
from wattmesh_market.parties.config import HouseholdConfig, UtilityConfig
from wattmesh_market.parties.events import Events
from wattmesh_market.parties.household import Household
from wattmesh_market.parties.party import Now, Party, Surroundings, standing_at
from wattmesh_market.parties.shopping import short
from wattmesh_market.parties.utility import Utility
from wattmesh_market.plugins.watch import MOST_SLOW, Trouble, Watch
from wattmesh_market.trade.advice import Adviser, Consultation
from wattmesh_market.trade.messages import Action

log = logging.getLogger(__name__)
event_log = logging.getLogger("wattmesh_agents.parties")
"""What households and utilities do, for people."""

RESTORED, RESTORED_S = "these books are being restored from a copy", 5
"""What is answered meanwhile, and when to ask again."""


class Pod:
    """Runs a RuntimeConfig. `signers` has each subscriber's key at any moment; `url` is where the pod is reached.

    `adviser` is asked by parties whose strategy has one choose among offers. Without a `directory` the pod asks the
    gateway's registry for others itself; without a `watch` it logs what plug-ins do wrong, and sets slow ones aside.
    """

    def __init__(
        self,
        config: RuntimeConfig,
        url: str,
        signers: Mapping[str, Signer],
        database: Database,
        transport: Transport,
        clock: Clock,
        rng: random.Random,
        adviser: Adviser | None = None,
        directory: Directory | None = None,
        watch: Watch | None = None,
    ) -> None:
        self.config = config
        self.metrics = PodMetrics()
        self.happenings = Happenings()
        self.database = database
        self.grid = GridClock(clock, config.clock.grid_time)
        self.url = url
        self._clock = clock
        self._signers = signers
        self._adviser = adviser
        self._directory = directory or RegistryDirectory(config.gateway.url, transport, clock)
        self._slot_loop: asyncio.Task[None] | None = None
        self.has_let_go = False
        """Whether the database is not this process's any more."""
        self.now = Now()
        store = Store(database)
        self._steps = Steps(clock, self.grid, self.now, store, self.metrics)
        spawn = self._steps.spawn
        self.watch = watch or Watch(stopwatch, MOST_SLOW, self._on_trouble)
        """Asks plug-ins, and knows what they did wrong."""
        self._around = Surroundings(
            self.config.currency,
            self.config.gateway.subscriber_id,
            self.grid.time,
            self.now,
            event_log.isEnabledFor,
            adviser=self._adviser is not None,
            watch=self.watch,
            publishes="v2" in self.config.protocols,
            versions=len(self.config.protocols),
        )
        configs: list[HouseholdConfig | UtilityConfig] = [*self.config.households, *self.config.utilities]
        parties = [self._party(one) for one in configs]
        self.parties = {party.name: party for party in parties}
        members = [Events(party, think) for party in parties]
        self._urls = {party.id: f"{self.url}/{party.name}" for party in parties}
        currency, gateway_id, offset_s = config.currency, config.gateway.subscriber_id, self.grid.time.utc_offset_s
        codecs = codecs_of(config.protocols, currency, gateway_id, offset_s, config.vocabulary, config.schema_host)
        writer = Writer(codecs, Place(config.domain, self._urls), store.peers, self._sign)
        self._driver = Driver(store, members, codecs, writer, self)
        asked = store.requests.asked
        self._sender = Sender(
            config, signers, self._directory, transport, clock, rng, self._on_sent, asked, self.metrics.answered
        )
        self._closings = Closings(
            self._driver,
            partial(self._sender.post, CLOSE),
            self._directory,
            config.domain,
            self._clock,
            spawn,
        )
        self._checkpoints = Checkpoints(
            self._driver.ledgers,
            partial(self._sender.post, CHECKPOINT),
            self._directory,
            config.domain,
            self._clock,
            signers,
            spawn,
        )
        self._restoration = Restoration(
            config, self._driver, signers, self._directory, transport, codecs_of(BOTH, currency), clock, spawn
        )
        self._attendance = Attendance(clock, self.grid, self.now, self._closings)
        self._slots = Slots(
            self.parties,
            self._driver,
            self._attendance,
            self._checkpoints,
            self._directory,
            self._steps,
            clock,
            self.grid,
            self.metrics,
            self._take_up,
            self._backstops,
        )
        self._reception = Reception(
            self.config,
            self._driver,
            self._directory,
            self._clock,
            self.metrics,
            self._closings,
            self._checkpoints,
            self._restoration,
            self._on_received,
            signers,
            asked,
            self._on_forgotten,
        )

    def _party(self, config: HouseholdConfig | UtilityConfig) -> Household | Utility:
        """A household or utility with its books. OSError or ValueError when its profile or prices cannot be read."""
        connection, salt, slot = self.database.connection, self.database.salt, self.now.slot
        if isinstance(config, UtilityConfig):
            books = journal.load(connection, config.subscriber_id, slot, standing_at(slot))
            return Utility(config, self._around, books, salt, series_of(config.tariff))
        profile = profile_of(config, self.grid.time.utc_offset_s)
        books = journal.load(connection, config.subscriber_id, slot, standing_at(slot, config))
        return Household(config, profile, self._around, books, salt, series_of(config.backstop.tariff))

    # --- life ---

    def start(self) -> None:
        """Take up what was left open and begin with the current slot; after a pause it is as in a new process."""
        self._steps.move()
        self._alarms = Alarms(self.grid, self._ring)
        self._attendance.begin()
        self._closings.begin()
        self._checkpoints.begin()
        self._restoration.begin()
        new = [name for name, party in self.parties.items() if party.books.changes.standing is not None]
        for party in self.parties.values():
            party.books.purchases.clear()
            party.books.selections.clear()
            party.books.published = Published()
            if party.books.changes.standing is not None:  # a new one, which enters the books now
                party.begin(self.now.slot)
        self._steps.run_or_later("all", partial(self._driver.open_accounts, self.now.ms))
        members = [one for one in self._driver.members.values() if not one.party.is_ahead]
        for member in members:
            self._restore(member, is_new=member.party.name in new)
        self._take_up([member for member in members if member.party.name not in self._attendance.restoring])
        self._slot_loop = self._steps.spawn(self._slots.run())
        self._steps.spawn(self._alarms.run())

    def follow(self, config: RuntimeConfig) -> None:
        """Take in the households that are new in a configuration, and let go of those that are not in it any more.
        Utilities learn what is installed at their customers, and the pages who may read.

        The others trade on as they are, whatever it says of them. OSError or ValueError when a profile cannot be read;
        then nothing has changed.
        """
        self._steps.move()
        installed = {utility.name: utility.installed for utility in config.utilities}
        for party in self.parties.values():
            if isinstance(party, Utility) and party.name in installed:
                party.know_installed(installed[party.name])
        wanted = {household.name: household for household in config.households}
        came = [self._party(household) for name, household in wanted.items() if name not in self.parties]
        gone = [one for one in self.parties.values() if isinstance(one, Household) and one.name not in wanted]
        for left in gone:
            del self.parties[left.name]
            self._driver.leave(left.id)
            self._reception.leave(left.name)
            self._attendance.leave(left.name)
            self.metrics.forget(left.name)
            log.info("%s has left this pod", left.name)
        for party in came:
            member = Events(party, think)
            self.parties[party.name] = party
            self._urls[party.id] = f"{self.url}/{party.name}"
            self._driver.join(member)
            self._reception.join(member)
            self._steps.run_or_later("all", partial(self._driver.open_accounts, self.now.ms))
            if party.is_ahead:
                continue
            self._take_up([member])
            self._steps.run_or_later(party.name, partial(self._driver.open_slot, member))
            log.info("%s has come to this pod", party.name)
        self.config = self.config.model_copy(update={"households": config.households, "readers": config.readers})

    async def pause(self) -> None:
        """Stop at once; whatever is open stands in the journal, from which a new process would take it up."""
        await self._steps.stop()
        self._sender.begin()

    async def let_go(self) -> None:
        """Stop for good and close the database, whose place a copy takes; calls and pages get 503 from now on."""
        self.has_let_go = True
        await self.pause()
        self.database.close()

    async def stop(self) -> None:
        """Stop, and bring onto the disk what could wait."""
        await self.pause()
        if not self.has_let_go:
            self._steps.run("all", self._driver.store.tidy)

    def tidy(self) -> None:
        """Bring onto the disk what can wait; see `Store.tidy`."""
        self._driver.store.tidy()

    @property
    def settled(self) -> bool:
        """Whether nothing is left to send and everything up to now is delivered, paid and reported."""
        self._steps.move()
        return not self._driver.store.sending and all(party.settled() for party in self.parties.values())

    @property
    def under_way(self) -> bool:
        """Whether a message is being sent now."""
        return self._sender.under_way > 0

    @property
    def alive(self) -> bool:
        """Whether the slot loop runs; a pod in which it has died should be restarted."""
        return self._slot_loop is not None and not self._slot_loop.done()

    @property
    def refusal(self) -> str | None:
        """Why the disk does not take changes now; None when it does."""
        return self._driver.store.refusal

    def waits_until(self, party: Party) -> datetime | None:
        """The wall time until which a party waits for grid time to catch up with its books; None if it need not."""
        self._steps.move()
        return utc(self._attendance.caught_up_s(party)) if party.is_ahead else None

    def rests(self, party: Party) -> bool:
        """Whether a party has closed its account: it is to be taken down, and no event may reach it."""
        return self._closings.rests(party)

    def account(self, party: Party) -> str:
        """The id of a party's ledger, which no other ledger has; empty while the disk has not taken it."""
        return self._driver.ledgers.accounts.get(party.id, "")

    def key_id(self, party: Party) -> str:
        """The key that a household or utility signs with."""
        return self._signers[party.id].key_id

    async def post(self, path: str, body: bytes, headers: Mapping[str, str]) -> Reply:
        """Answer `POST /<party>/<action>`."""
        if self.has_let_go:
            return nack(busy(RESTORED, RESTORED_S))
        self._steps.move()
        try:
            return await self._reception.post(path, body, headers)
        except sqlite3.ProgrammingError:  # it was let go of while the call was looked into
            if not self.has_let_go:
                raise
            return nack(busy(RESTORED, RESTORED_S))

    # --- what is open ---

    def _take_up(self, members: Sequence[Events]) -> None:
        """Go on with what parties left open: their reminders, and their messages that nobody has acknowledged."""
        for member in members:
            self._driver.enrol(member)
        ids = {member.party.id for member in members}
        for message in self._driver.store.unsent:
            if message.party in ids:
                self.send(message)

    def _backstops(self) -> list[str]:
        """The utilities that supply the households here."""
        return sorted({household.backstop.utility_id for household in self.config.households})

    # --- books that may have been put back ---

    def _restore(self, member: Events, *, is_new: bool) -> None:
        """Where its books end before this slot, or begin, no event reaches a party before its partners were asked.

        Books in memory are their process's own, and those of a study are all of one moment.
        """
        if self.database.path is None:
            return
        party = member.party
        self._restoration.suspect(party, is_new=is_new)
        if is_new or party.books.standing.next_slot < self.now.slot:
            self._attendance.restoring.add(party.name)
            self._steps.spawn(self._until_restored(member, is_new=is_new))

    async def _until_restored(self, member: Events, *, is_new: bool) -> None:
        name = member.party.name
        try:
            while True:
                try:
                    await self._restoration.restore(member, is_new=is_new)
                    break
                except sqlite3.OperationalError as error:
                    log.error("the database cannot be written, tries go on: %s", error)
                    await self._clock.sleep(REFUSED_RETRY_S)
        except Exception:
            self.metrics.faults.inc()
            log.exception("fault at %s", name)
        self._attendance.restoring.discard(name)
        if self._driver.members.get(member.party.id) is member:
            self._take_up([member])
            self._steps.run_or_later(name, partial(self._driver.open_slot, member))

    def asks(self, party: Party, partner: str, *, again: bool) -> bool:
        """Ask a partner for what a party has signed that its books may have lost; whether that is waited for."""
        return self._restoration.asks(self._driver.members[party.id], partner, again=again)

    # --- what follows from an event, once it is on disk ---

    def send(self, message: Outgoing) -> None:
        """Have a message sent."""
        self._steps.spawn(self._sender.send(message))

    def _sign(self, message: Outgoing) -> str:
        """The Authorization of a message."""
        return self._signers[message.party].sign_until(message.body, message.expires_ms / 1000, self._clock)

    def remind(self, party: Party, alarm: Alarm, due_s: float) -> None:
        """Ring an alarm at a grid time."""
        self._alarms.set(party.id, alarm, due_s)

    def tell(self, party: Party, line: LogLine) -> None:
        """Write a line into the event log."""
        extra = {
            "grid": f"{local(int(self.now.grid_s), self.grid.time.utc_offset_s):%m-%d %H:%M}",
            "household": short(party.id),
            "transaction": line.transaction_id,
        }
        event_log.log(line.level, line.text, *line.values, extra=extra)
        self.happenings.add(StoryLine(self._clock.wall(), line.transaction_id, party.id, line.text, line.values))

    def consult(self, party: Party, asked: Consultation) -> None:
        """Have the adviser asked."""
        if self._adviser is not None:
            self._steps.spawn(self._advise(self._adviser, party, asked))

    def missed_gates(self, number: int) -> None:
        """Count trades that were missed because the gate had closed."""
        self.metrics.missed_gates.inc(number)

    def _on_forgotten(self, household: str) -> None:
        self._closings.forget(household)
        self.happenings.clear()
        log.info("a household that has left was forgotten")

    def _on_trouble(self, trouble: Trouble) -> None:
        log.error("%s", trouble.text(self.grid.time.utc_offset_s))

    # --- events from outside ---

    def _ring(self, party_id: str, alarm: Alarm) -> None:
        member = self._driver.members.get(party_id)
        if member is None:
            return
        self._steps.move()
        if member.party.is_ahead:
            self._alarms.set(party_id, alarm, member.party.books.standing.next_slot)
            return
        if self._attendance.is_here(member.party):
            self._steps.run_or_later(member.party.name, partial(self._driver.ring, member, alarm))

    def _on_sent(self, message: Outgoing, at: float, outcome: Outcome) -> None:
        member = self._driver.members.get(message.party)
        if member is None:
            return
        self.metrics.sent.labels(message.action, type(outcome).__name__.lower()).inc()
        self._driver.store.count(message.party, ACTIONS[message.action])
        if (action := ACTIONS[message.action]) is not Action.PUBLISH:  # which is part of no trade
            shown = (message.transaction_id, message.message_id, action, message.party, message.recipient)
            self.happenings.add(Message(at, *shown, outcome))
        self._steps.move()
        if member.party.is_ahead:
            self._attendance.wait(member.party)  # then it is sent again
            return
        self._steps.run_or_later(member.party.name, partial(self._driver.answered, member, message, outcome))

    def _on_received(self, member: Events, received: Received) -> Reply:
        self._steps.move()
        self._attendance.require(member.party)
        reply = self._driver.receive(member, received)
        self.metrics.received.labels(received.action, "nack" if reply.refused else "ack").inc()
        context = received.context
        sender = self.config.gateway.subscriber_id if received.action == "search" else received.sender.subscriber_id
        shown = (context.transaction_id, context.message_id, ACTIONS[received.action], sender, member.party.id)
        self.happenings.add(Message(self._clock.wall(), *shown, reply))
        return reply

    async def _advise(self, adviser: Adviser, party: Party, asked: Consultation) -> None:
        advice = await ask_until(adviser, asked.question, asked.due_ms / 1000, self._clock)
        self._steps.move()
        member = self._driver.members.get(party.id)
        if advice is not None and member is not None and not party.is_ahead:  # else the alarm says that it is late
            self._steps.run_or_later(party.name, partial(self._driver.advised, member, asked, advice))
