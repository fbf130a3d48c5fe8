"""The puppet's street over real HTTP: every gateway, pod and adversary listens on loopback, and time stands still
until a test lets it pass, so nothing changes in the books but by what the test sends.
"""

from __future__ import annotations

import random
import sqlite3
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any

from sqlalchemy import text

from tests.street.puppet import SEED, SPEED, STREET, Puppet
from tests.world.clocks import HeldClock, at_once
from tests.world.loopback import Loopback
from tests.world.street import new_process
from tests.world.subscribers import entry_at
from tests.world.tokens import TOKEN
from wattmesh_agents.app import create_app as create_agents_app
from wattmesh_agents.store.database import Database
from wattmesh_beckn.registry import SubscriberType, Subscription
from wattmesh_beckn.signature import Signer
from wattmesh_beckn.subscribing import subscribe
from wattmesh_cli.street.keys import derived_signers
from wattmesh_cli.street.run import GridTime, Ports, StreetRun, subscriber_ids
from wattmesh_cli.street.virtual_time import EPOCH
from wattmesh_common.runtime import REGISTRAR
from wattmesh_gateway.app import create_app as create_gateway_app
from wattmesh_gateway.registry import Registry
from wattmesh_operator.plan import GatewayPlan

LONGEST_S = 3600.0
HOURS = 4
NO_FSYNC = "PRAGMA synchronous = OFF"
"""No machine fails in these tests, so none need wait for its disk."""

Books = dict[str, Any]
Rows = dict[str, list[tuple[Any, ...]]]


class _Player:
    """The clock of whoever plays with the street: waiting lets time pass."""

    def __init__(self, arena: Arena) -> None:
        self._arena = arena

    def wall(self) -> float:
        return self._arena.clock.now

    def machine(self) -> float:
        return self._arena.clock.now

    async def sleep(self, seconds: float) -> None:
        await self._arena.pass_time(seconds)


class Arena:
    """The street that runs, and the puppet in it. Everybody is reached by name: `http://roof-0`, `http://gateway`."""

    def __init__(self, folder: Path, plan: GatewayPlan = STREET) -> None:
        """`plan` is the puppet's street, or the same one whose network speaks other versions of Beckn."""
        self._folder = folder
        self._read: dict[sqlite3.Connection, tuple[tuple[int, int], Rows]] = {}
        self.wires = Loopback()
        self.clock = HeldClock(EPOCH, lambda: self.wires.under_way)
        self.puppet = Puppet(plan.resource.spec.protocols[0])
        self.puppet.sites, self.puppet.clock = self.wires, _Player(self)
        self.signers = self.puppet.signers
        start = plan.resource.spec.clock.start
        time = GridTime(start, EPOCH, SPEED, start + timedelta(hours=HOURS))
        ports = Ports(
            self.wires,
            self.clock,
            random.Random(SEED),
            derived_signers(subscriber_ids(STREET), SEED),
            self._registry,
            self._database,
            token=TOKEN,
        )
        urls = {pod.name: f"http://{pod.name}" for pod in plan.pods}
        self.run = StreetRun(plan, time, ports, "http://gateway", urls)
        registrar = self.signers[REGISTRAR]
        for name, pod in list(self.run.pods.items()):  # as the operator does in a cluster, where there are drains
            pod.config = pod.config.model_copy(update={"registrar_keys": {registrar.key_id: registrar.public_key}})
            new_process(self.run, name, self.signers, pod.database, self.wires, self.clock, SEED)

    async def start(self) -> None:
        await self.wires.serve("gateway", create_gateway_app(self.run.gateway, self.wires, TOKEN))
        for name, pod in self.run.pods.items():
            await self.wires.serve(name, create_agents_app(pod))
        await self.wires.listen("puppet", self.puppet)
        await self.run.start()
        self._reader = sqlite3.connect(self._folder / "registry.db")
        await self.puppet.enter(self.run)
        await self.clock.settle()

    async def stop(self) -> None:
        await self.run.stop()
        await self.wires.close()
        self._reader.close()
        self.run.close()

    async def restart(self, name: str) -> None:
        """Stop a pod and start a new one with its database, keys and address."""
        old = self.run.pods[name]
        await old.stop()
        old.database.close()
        database = self._database(name)
        pod = new_process(self.run, name, self.signers, database, self.wires, self.clock, SEED)
        await self.wires.serve(name, create_agents_app(pod))
        pod.start()
        await self.clock.settle()

    def _registry(self) -> Registry:
        registry = Registry(self._folder / "registry.db")
        at_once(registry.database.run(text(NO_FSYNC)))
        return registry

    def _database(self, name: str) -> Database:
        database = Database.open(self._folder / f"{name}.db", salt=f"{SEED}/{name}")
        database.connection.execute(NO_FSYNC)
        return database

    async def pass_time(self, seconds: float) -> None:
        """Let time pass, and everybody do what falls due in it."""
        assert self.clock.now + seconds < EPOCH + LONGEST_S, "what this test waits for does not come"
        await self.clock.go_on(seconds)

    async def enrol(self, signer: Signer, role: SubscriberType, *, by: Signer | None = None, **changes: Any) -> None:
        """Write a registry entry, by the registrar unless somebody else is named.

        It is on a feeder of its own, so that nobody waits for what it may offer.
        """
        entry = self.entry(signer, role, **changes)
        await subscribe("http://gateway", self.wires, self.clock, by or self.signers[REGISTRAR], entry)

    def entry(self, signer: Signer, role: SubscriberType, *, feeder: str = "apart", **changes: Any) -> Subscription:
        """A subscription for a day from a minute ago."""
        return entry_at(self.clock.now, signer, role, feeder=feeder, **({"url": "http://nowhere"} | changes))

    def books(self) -> Books:
        """Every row of every table but the inboxes, offers in memory, what was published, and who drains: all that a
        message may change.
        """
        books: Books = {name: self._rows(pod.database.connection) for name, pod in self.run.pods.items()}
        books["registry"] = self._rows(self._reader)
        books["offers"] = {
            name: repr(party.books.selections) for pod in self.run.pods.values() for name, party in pod.parties.items()
        }
        books["draining"] = {
            name: party.draining for pod in self.run.pods.values() for name, party in pod.parties.items()
        }
        books["published"] = {
            name: party.books.published for pod in self.run.pods.values() for name, party in pod.parties.items()
        }
        return books

    def _rows(self, connection: sqlite3.Connection) -> Rows:
        """Read anew only where something was written, through this connection or another."""
        (others,) = connection.execute("PRAGMA data_version").fetchone()
        written = connection.total_changes, others
        if connection not in self._read or self._read[connection][0] != written:
            self._read[connection] = written, _rows(connection)
        return self._read[connection][1]


@asynccontextmanager
async def arena(folder: Path, plan: GatewayPlan = STREET) -> AsyncIterator[Arena]:
    """A street that runs while the block does, its files in `folder`."""
    street = Arena(folder, plan)
    try:
        await street.start()
        yield street
    finally:
        await street.stop()


def _rows(connection: sqlite3.Connection) -> Rows:
    tables = [name for (name,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
    return {
        table: connection.execute(f"SELECT * FROM {table}").fetchall()  # noqa: S608 - names from the schema
        for table in tables
        if table != "inbox"
    }
