"""A runtime process: any number of households and utilities on one database, one clock, one address."""

from __future__ import annotations

import asyncio
import logging
import random
import sqlite3
from collections.abc import Callable, Coroutine, Mapping
from functools import partial
from typing import Any

from wattmesh_agents.advising import ask_until
from wattmesh_agents.brain.brain import Brain
from wattmesh_agents.brain.graph import Party
from wattmesh_agents.dispatch import ACTIONS, KEEP_AFTER_EXPIRY_MS, Dispatcher
from wattmesh_agents.drain import asked_to_drain, drain_reply
from wattmesh_agents.happenings import Happenings, Message
from wattmesh_agents.metrics import PodMetrics
from wattmesh_agents.parties.household import Household
from wattmesh_agents.parties.trader import Surroundings
from wattmesh_agents.parties.utility import Utility
from wattmesh_agents.status import open_contracts
from wattmesh_agents.store.database import Database
from wattmesh_agents.store.messages import Outbox, Outgoing, Timer, Timers
from wattmesh_agents.store.peers import Peers
from wattmesh_agents.store.retention import Horizon
from wattmesh_agents.trade.advice import Advisor, Consultation
from wattmesh_beckn.answers import nack
from wattmesh_beckn.client import Acked, BecknClient, Outcome, Undelivered, read_answer
from wattmesh_beckn.errors import ErrorCode, Refusal, busy
from wattmesh_beckn.receiver import Received, Receiver
from wattmesh_beckn.registry import Directory, RegistryDirectory, RegistryUnavailable, SubscriberType, Subscription
from wattmesh_beckn.signature import Signer
from wattmesh_beckn.transport import Reply, Transport
from wattmesh_common.clock import Clock, GridClock
from wattmesh_common.drain import DRAIN
from wattmesh_common.limits import TOLD_AT_ONCE, TOLD_PER_S, RateLimit
from wattmesh_common.profile_files import profile_of
from wattmesh_common.runtime import REGISTRAR, RuntimeConfig
from wattmesh_market.energy.slots import SLOT_S, slot_of

log = logging.getLogger(__name__)

SENDS_AT_ONCE = 256
REFUSED_RETRY_S = 1.0
"""How long until a step that the disk refused is tried again (wall time)."""
_BUSY_S = 2
"""When a caller may try again that the disk kept from being answered."""
MESSAGES_PER_SLOT = 100
"""What one subscriber may say to one party here. A contract takes each side about ten messages; a household has one or
two contracts per slot with the same party, and a reading."""
LEAST_MESSAGES_PER_S = 20.0
"""At slow grid speeds, where trading and telling again go by wall time."""
MESSAGES_AT_ONCE = 500
"""After an outage, when what is unfinished is said again: 50 of each kind (see `MOST_DRIVEN`), with what follows."""


class Pod:
    """Runs a RuntimeConfig. `signers` has each subscriber's key at any moment; `url` is where the pod is reached.

    `advisor` is asked by parties whose strategy has one choose among offers. Without a `directory` the pod asks the
    gateway's registry for others itself.
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
        advisor: Advisor | None = None,
        directory: Directory | None = None,
    ) -> None:
        self.config = config
        self.metrics = PodMetrics()
        self.happenings = Happenings()
        self.database = database
        start = config.clock.start
        offset = start.utcoffset()
        self.grid = GridClock(
            clock,
            start.timestamp(),
            config.clock.epoch,
            config.clock.speed,
            int(offset.total_seconds()) if offset else 0,
        )
        self._clock = clock
        self._end = config.clock.end.timestamp() if config.clock.end else None
        self._signers = signers
        self._directory = directory or RegistryDirectory(config.gateway.url, transport, clock)
        self._client = BecknClient(transport, clock, rng)
        self._dispatcher = Dispatcher(database, Brain())
        self._outbox = Outbox(database.connection)
        self._peers = Peers(database.connection)
        self._timers = Timers(database.connection)
        self._tasks: set[asyncio.Task[None]] = set()
        self._slots: asyncio.Task[None] | None = None
        self._sending = asyncio.Semaphore(SENDS_AT_ONCE)
        self._told = RateLimit(per_s=TOLD_PER_S, burst=TOLD_AT_ONCE)
        around = Surroundings(
            database,
            self.grid,
            self._end,
            config.domain,
            config.currency,
            config.gateway.subscriber_id,
            self._post,
            self._arm,
            self.metrics.missed_gates.inc,
            self.happenings.add,
            None if advisor is None else lambda asked: self._ask(advisor, asked),
        )
        self.parties: dict[str, Party] = {}
        for household in config.households:
            profile = profile_of(household, self.grid.utc_offset_s)
            self.parties[household.name] = Household(around, household, f"{url}/{household.name}", profile)
        for utility in config.utilities:
            self.parties[utility.name] = Utility(around, utility, f"{url}/{utility.name}")
        self._by_id = {party.trader.id: party for party in self.parties.values()}
        self._backstops = sorted({household.backstop.utility_id for household in config.households})
        self._receivers = {name: self._receiver(party) for name, party in self.parties.items()}

    def _receiver(self, party: Party) -> Receiver:
        def handle(received: Received) -> Reply:
            reply = self._dispatcher.receive(party, received)
            answer = "ack" if isinstance(read_answer(reply), Acked) else "nack"
            self.metrics.received.labels(received.action, answer).inc()
            context = received.context
            sender = self.config.gateway.subscriber_id if received.action == "search" else context.sender
            self.happenings.add(
                Message(
                    self._clock.wall(),
                    context.transaction_id,
                    context.message_id,
                    received.action,
                    sender,
                    party.trader.id,
                    reply,
                )
            )
            return reply

        return Receiver(
            subscriber_id=party.trader.id,
            domain=self.config.domain,
            actions=ACTIONS,
            directory=self._directory,
            inbox=party.trader.inbox,
            clock=self._clock,
            handler=handle,
            gateway_id=self.config.gateway.subscriber_id,
            limit=RateLimit(per_s=messages_per_s(self.grid.speed), burst=MESSAGES_AT_ONCE),
        )

    # --- life ---

    def start(self) -> None:
        """Take up what was left open and begin with the current slot.

        After a stop it is as in a new process: nothing is known but what the database says.
        """
        self._sending = asyncio.Semaphore(SENDS_AT_ONCE)
        self._receivers = {name: self._receiver(party) for name, party in self.parties.items()}
        with self.database.transaction("start"):
            for party in self.parties.values():
                party.trader.begin()
                party.enrol()
        for message in self._outbox.waiting():
            self._post(message)
        for timer in self._timers.waiting():
            self._arm(timer)
        self._slots = self._spawn(self._run_slots())

    async def stop(self) -> None:
        """Stop at once; whatever is open stands in the database."""
        tasks = tuple(self._tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        self._guard("all", partial(self._dispatcher.count, self._by_id.keys()))

    def tidy(self) -> None:
        """Take out of the outbox what was acknowledged; what stays there is sent again after a start."""
        with self._dispatcher.transaction("tidy"):
            pass

    @property
    def settled(self) -> bool:
        """Whether nothing is left to send and everything up to now is delivered, paid and reported."""
        return not self._dispatcher.sending and all(party.settled() for party in self.parties.values())

    @property
    def alive(self) -> bool:
        """Whether the slot loop runs; a pod in which it has died should be restarted."""
        return self._slots is not None and not self._slots.done()

    @property
    def refusal(self) -> str | None:
        """Why the disk does not take changes now; None when it does."""
        return self._dispatcher.refusal

    def key_id(self, party: Party) -> str:
        """The key that a household or utility signs with."""
        return self._signers[party.trader.id].key_id

    async def post(self, path: str, body: bytes, headers: Mapping[str, str]) -> Reply:
        """Answer `POST /<household>/<action>`."""
        name, _, action = path.lstrip("/").partition("/")
        receiver = self._receivers.get(name)
        if receiver is None:
            message = f"no household {name[:63]!r} here; there are {', '.join(sorted(self.parties))}"
            return nack(Refusal(404, ErrorCode.INVALID_REQUEST, message))
        try:
            if action == DRAIN:
                return self._drain(self.parties[name], body, headers)
            reply = await receiver.receive(action, body, headers)
        except sqlite3.OperationalError as error:
            return nack(busy(f"the database cannot be used now: {error}", _BUSY_S))
        if reply.status == 429:
            self.metrics.limited.labels(action).inc()
            if not self._told.wait_s("", self._clock.wall()):
                log.warning("refused %s: %s", action, reply.body.decode())
        return reply

    def _drain(self, party: Party, body: bytes, headers: Mapping[str, str]) -> Reply:
        try:
            keys = self.config.registrar_keys
            call, header = asked_to_drain(body, headers, keys, party.trader.id, self._clock.wall())
        except Refusal as refusal:
            return nack(refusal)
        inbox = party.trader.inbox
        if (first := inbox.first_answer(REGISTRAR, call.message_id, DRAIN)) is not None:
            return first
        reply = drain_reply(call.draining, open_contracts(party))
        with self._dispatcher.transaction("drain"):
            inbox.remember(REGISTRAR, call.message_id, DRAIN, reply, header.expires * 1000 + KEEP_AFTER_EXPIRY_MS)
        party.trader.draining = call.draining
        return reply

    # --- slots, alarms, messages ---

    async def _run_slots(self) -> None:
        while True:
            slot = slot_of(self.grid.now())
            await self._meet_backstops()
            for party in self.parties.values():
                step = partial(self._dispatcher.open_slot, party)
                if not self._guard(party.name, step):
                    self._spawn(self._until_done(party.name, step, self.grid.wall_at(slot + SLOT_S)))
            horizon = Horizon(int(self._clock.wall() * 1000), self.grid.now(), self.grid.speed)
            self._guard("all", partial(self._dispatcher.forget, horizon, self._by_id.keys(), self._backstops))
            late_s = self._clock.wall() - self.grid.wall_at(slot + SLOT_S)
            if late_s > 0:
                self.metrics.late_slots.inc()
                log.warning("this machine is too slow for speed %g: a slot ended before it was opened", self.grid.speed)
            await self.grid.sleep_until(slot + SLOT_S)

    async def _meet_backstops(self) -> None:
        """Learn the utilities' addresses before the first reading is reported to them."""
        for subscriber_id in self._backstops:
            if self._peers.url_of(subscriber_id) is None:
                try:
                    entries = await self._directory.find(subscriber_id)
                except RegistryUnavailable as error:
                    log.warning("the registry does not answer: %s", error)
                    return
                if entries:
                    self._guard(subscriber_id, partial(self._meet, entries[0]))

    def _meet(self, entry: Subscription) -> None:
        with self._dispatcher.transaction("meet"):
            self._peers.meet(entry, int(self._clock.wall() * 1000))

    def _arm(self, timer: Timer) -> None:
        self._spawn(self._ring_at(timer))

    async def _ring_at(self, timer: Timer) -> None:
        await self._clock.sleep(timer.due_ms / 1000 - self._clock.wall())
        party = self._by_id.get(timer.party)

        def ring() -> None:
            with self._dispatcher.transaction(f"alarm {timer.kind}"):
                if self._timers.take(timer) and party is not None:
                    self._dispatcher.ring(party, timer)

        if party is not None:
            await self._until_done(party.name, ring)

    def _post(self, message: Outgoing) -> None:
        self._spawn(self._send(message))

    async def _send(self, message: Outgoing) -> None:
        party = self._by_id.get(message.party)
        if party is None:
            return
        async with self._sending:
            at = self._clock.wall()
            outcome = await self._deliver(message)
        self.metrics.sent.labels(message.action, type(outcome).__name__.lower()).inc()
        self._dispatcher.counts.add(message)
        self.happenings.add(
            Message(
                at,
                message.transaction_id,
                message.message_id,
                message.action,
                message.party,
                message.recipient,
                outcome,
            )
        )
        await self._until_done(party.name, partial(self._dispatcher.sent, party, message, outcome))

    async def _deliver(self, message: Outgoing) -> Outcome:
        expires_at = message.expires_ms / 1000
        if message.action == "search":
            url = self.config.gateway.url
        else:
            role: SubscriberType = "BAP" if message.action.startswith("on_") else "BPP"
            domain = self.config.domain
            try:
                entries = await self._directory.find(message.recipient)
                live = [entry for entry in entries if entry.speaks_as(role, domain, self._clock.wall())]
                if not live:
                    entries = await self._directory.find(message.recipient, fresh=True)
                    live = [entry for entry in entries if entry.speaks_as(role, domain, self._clock.wall())]
            except RegistryUnavailable as error:
                return Undelivered(str(error))
            if not live:
                return Undelivered(f"{message.recipient} is not in the registry as {role}")
            url = live[0].url
        return await self._client.send(
            self._signers[message.party], f"{url}/{message.action}", message.body, expires_at
        )

    def _ask(self, advisor: Advisor, asked: Consultation) -> None:
        self._spawn(self._advise(advisor, asked))

    async def _advise(self, advisor: Advisor, asked: Consultation) -> None:
        until, party = asked.due_ms / 1000, self._by_id[asked.party]
        advice = await ask_until(advisor, asked.question, until, self._clock)
        if advice is not None:  # else the alarm says that it is late
            await self._until_done(party.name, partial(self._dispatcher.advised, party, asked, advice))

    async def _until_done(self, who: str, step: Callable[[], None], end: float = float("inf")) -> None:
        """Run a step as soon as the disk takes it, or give it up at `end` (wall time)."""
        while not self._guard(who, step):
            await self._clock.sleep(REFUSED_RETRY_S)
            if self._clock.wall() >= end:
                return

    def _guard(self, who: str, step: Callable[[], None]) -> bool:
        """Run a step in a transaction of its own; a fault in it is told and counted, and the rest goes on.

        False when the disk refused it: then nothing of it has happened, and it may be tried again.
        """
        known = self.refusal
        try:
            step()
        except sqlite3.OperationalError as error:
            self.metrics.refused.inc()
            if known is None:
                log.error("the database cannot be written, tries go on: %s", error)
            return False
        except Exception:
            self.metrics.faults.inc()
            log.exception("fault at %s", who)
        if known is not None and self.refusal is None:
            log.warning("the database can be written again")
        return True

    def _spawn(self, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task


def messages_per_s(speed: float) -> float:
    """How many messages a second (wall time) one subscriber may send to one party on a grid of that speed."""
    return max(LEAST_MESSAGES_PER_S, MESSAGES_PER_SLOT * speed / SLOT_S)
