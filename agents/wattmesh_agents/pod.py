"""A runtime process: any number of households and utilities on one database, one clock, one address."""

from __future__ import annotations

import asyncio
import logging
import random
from collections.abc import Coroutine, Mapping
from functools import partial
from typing import Any

from wattmesh_agents.brain.brain import Brain
from wattmesh_agents.brain.graph import Party
from wattmesh_agents.config import RuntimeConfig
from wattmesh_agents.dispatch import ACTIONS, Dispatcher
from wattmesh_agents.drain import DRAIN, asked_to_drain, drain_reply
from wattmesh_agents.energy.profiles import profile_of
from wattmesh_agents.energy.slots import SLOT_S, slot_of
from wattmesh_agents.metrics import PodMetrics
from wattmesh_agents.parties.household import Household
from wattmesh_agents.parties.trader import Surroundings
from wattmesh_agents.parties.utility import Utility
from wattmesh_agents.status import open_contracts
from wattmesh_agents.store.database import Database
from wattmesh_agents.store.messages import Outbox, Outgoing, Timer, Timers, prune_inbox
from wattmesh_agents.store.peers import Peers
from wattmesh_beckn.answers import nack
from wattmesh_beckn.client import BecknClient, Outcome, Undelivered
from wattmesh_beckn.clock import Clock, GridClock
from wattmesh_beckn.errors import ErrorCode, Refusal
from wattmesh_beckn.receiver import Received, Receiver
from wattmesh_beckn.registry import Directory, RegistryDirectory, RegistryUnavailable
from wattmesh_beckn.signature import Signer
from wattmesh_beckn.transport import Reply, Transport

log = logging.getLogger(__name__)

SENDS_AT_ONCE = 256


class Pod:
    """Runs a RuntimeConfig. `signers` has each subscriber's key at any moment; `url` is where the pod is reached."""

    def __init__(
        self,
        config: RuntimeConfig,
        url: str,
        signers: Mapping[str, Signer],
        database: Database,
        transport: Transport,
        clock: Clock,
        rng: random.Random,
    ) -> None:
        self.config = config
        self.metrics = PodMetrics()
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
        self._directory: Directory = RegistryDirectory(config.gateway.url, transport, clock)
        self._client = BecknClient(transport, clock, rng)
        self._dispatcher = Dispatcher(database, Brain(database.connection))
        self._outbox = Outbox(database.connection)
        self._peers = Peers(database.connection)
        self._timers = Timers(database.connection)
        self._tasks: set[asyncio.Task[None]] = set()
        self._slots: asyncio.Task[None] | None = None
        self._sending = asyncio.Semaphore(SENDS_AT_ONCE)
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
        )
        self.parties: dict[str, Party] = {}
        for household in config.households:
            profile = profile_of(household, self.grid.utc_offset_s)
            self.parties[household.name] = Household(around, household, f"{url}/{household.name}", profile)
        for utility in config.utilities:
            self.parties[utility.name] = Utility(around, utility, f"{url}/{utility.name}")
        self._by_id = {party.trader.id: party for party in self.parties.values()}
        self._receivers = {name: self._receiver(party) for name, party in self.parties.items()}

    def _receiver(self, party: Party) -> Receiver:
        def handle(received: Received) -> Reply:
            reply = self._dispatcher.receive(party, received)
            self.metrics.received.labels(received.action, "ack" if reply.body.find(b'"NACK"') < 0 else "nack").inc()
            return reply

        return Receiver(
            subscriber_id=party.trader.id,
            domain=self.config.domain,
            actions=ACTIONS,
            directory=self._directory,
            inbox=party.trader.inbox,
            clock=self._clock,
            handler=handle,
        )

    # --- life ---

    def start(self) -> None:
        """Take up what was left open and begin with the current slot."""
        with self.database.transaction("start"):
            for party in self.parties.values():
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

    @property
    def settled(self) -> bool:
        """Whether nothing is left to send and everything up to now is delivered, paid and reported."""
        return not self._dispatcher.sending and all(party.settled() for party in self.parties.values())

    @property
    def alive(self) -> bool:
        """Whether the slot loop runs; a pod in which it has died should be restarted."""
        return self._slots is not None and not self._slots.done()

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
        if action == DRAIN:
            return self._drain(self.parties[name], body, headers)
        return await receiver.receive(action, body, headers)

    def _drain(self, party: Party, body: bytes, headers: Mapping[str, str]) -> Reply:
        try:
            keys = self.config.registrar_keys
            party.trader.draining = asked_to_drain(body, headers, keys, party.trader.id, self._clock.wall())
        except Refusal as refusal:
            return nack(refusal)
        return drain_reply(party.trader.draining, open_contracts(party))

    # --- slots, alarms, messages ---

    async def _run_slots(self) -> None:
        while True:
            slot = slot_of(self.grid.now())
            await self._meet_backstops()
            for party in self.parties.values():
                self._guard(party, partial(self._dispatcher.open_slot, party))
            with self._dispatcher.transaction("prune"):
                prune_inbox(self.database.connection, int(self._clock.wall() * 1000))
            late_s = self._clock.wall() - self.grid.wall_at(slot + SLOT_S)
            if late_s > 0:
                self.metrics.late_slots.inc()
                log.warning("this machine is too slow for speed %g: a slot ended before it was opened", self.grid.speed)
            await self.grid.sleep_until(slot + SLOT_S)

    async def _meet_backstops(self) -> None:
        """Learn the utilities' addresses before the first reading is reported to them."""
        wanted = {household.backstop.utility_id for household in self.config.households}
        for subscriber_id in sorted(wanted):
            if self._peers.url_of(subscriber_id) is None:
                try:
                    entries = await self._directory.find(subscriber_id)
                except RegistryUnavailable as error:
                    log.warning("the registry does not answer: %s", error)
                    return
                if entries:
                    with self._dispatcher.transaction("meet"):
                        self._peers.meet(entries[0])

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
            self._guard(party, ring)

    def _post(self, message: Outgoing) -> None:
        self._spawn(self._send(message))

    async def _send(self, message: Outgoing) -> None:
        party = self._by_id.get(message.party)
        if party is None:
            return
        async with self._sending:
            outcome = await self._deliver(message)
        self.metrics.sent.labels(message.action, type(outcome).__name__.lower()).inc()
        self._guard(party, lambda: self._dispatcher.sent(party, message, outcome))

    async def _deliver(self, message: Outgoing) -> Outcome:
        expires_at = message.expires_ms / 1000
        if message.action == "search":
            url = self.config.gateway.url
        else:
            role = "BAP" if message.action.startswith("on_") else "BPP"
            try:
                entries = await self._directory.find(message.recipient)
                live = [entry for entry in entries if entry.type == role and entry.is_live(self._clock.wall())]
                if not live:
                    entries = await self._directory.find(message.recipient, fresh=True)
                    live = [entry for entry in entries if entry.type == role and entry.is_live(self._clock.wall())]
            except RegistryUnavailable as error:
                return Undelivered(str(error))
            if not live:
                return Undelivered(f"{message.recipient} is not in the registry as {role}")
            url = live[0].url
        return await self._client.send(
            self._signers[message.party], f"{url}/{message.action}", message.body, expires_at
        )

    def _guard(self, party: Party, step: Any) -> None:
        """Run a step in a transaction of its own; a fault in it is told and counted, and the rest goes on."""
        try:
            step()
        except Exception:
            self.metrics.faults.inc()
            log.exception("fault at %s", party.name)

    def _spawn(self, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task
