"""Whole streets for tests: run in virtual time with whatever goes wrong in them, and what their books say then."""

from __future__ import annotations

import asyncio
import json
import logging
import random
import sqlite3
import tempfile
import weakref
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Any

from wattmesh_agents.pod import Pod
from wattmesh_agents.store.database import Database
from wattmesh_agents.store.journal import table_rows
from wattmesh_agents.store.schema import LEDGER_TABLES
from wattmesh_beckn.transport import (
    MemoryTransport,
    Reply,
    Site,
    Transport,
    TransportError,
    TransportTimeoutError,
)
from wattmesh_cli.audit import Finding, audit
from wattmesh_cli.books import Book, ContractRow, LedgerEntry, Reading
from wattmesh_cli.sqlite_books import read_books
from wattmesh_cli.street.keys import derived_signers
from wattmesh_cli.street.memory import EPOCH, run_in_memory, simulate
from wattmesh_cli.street.run import StreetRun, subscriber_ids
from wattmesh_common.clock import LoopClock
from wattmesh_common.runtime import REGISTRAR, GatewayConfig
from wattmesh_gateway.gateway import Gateway
from wattmesh_gateway.registry import Registry
from wattmesh_market.trade.advice import Adviser
from wattmesh_operator.manifests import load
from wattmesh_operator.manifests.documents import read_documents
from wattmesh_operator.plan import GatewayPlan, plan
from wattmesh_operator.registry.entries import Registrant
from wattmesh_operator.registry.registration import register_all
from wattmesh_operator.resources import BecknGateway, SolarAgent
from wattmesh_operator.resources.parsing import parse_resource

EXAMPLES = Path(__file__).parents[2] / "examples"
MOST_OUTBOX_ROWS = 4
"""Acknowledged messages are taken out of the outbox with the next transaction."""
SLOT_S = 900

Wrap = Callable[[Transport, LoopClock], Transport]


# --- manifests ---

MARKET = """
apiVersion: wattmesh.io/v1alpha1
kind: BecknGateway
metadata: {name: market}
spec: {clock: {start: 2026-06-21T06:00:00Z, speed: 60}}
"""


def utility(*, price: str = "0.25", fees: str = "", capacity_kw: str = "50", more: str = "") -> str:
    """A utility named `utility`. `fees` and `more` are YAML in flow style, each part after a comma."""
    return f"""
---
apiVersion: wattmesh.io/v1alpha1
kind: UtilityAgent
metadata: {{name: utility}}
spec: {{tariff: {{price: {price}, feedIn: 0.08{fees}}}, capacityKw: {capacity_kw}{more}}}
"""


def households(name: str, spec: str, *, replicas: int = 1) -> str:
    """Households `name`-0, `name`-1, …; `spec` is YAML in flow style, without its braces."""
    return f"""
---
apiVersion: wattmesh.io/v1alpha1
kind: SolarAgent
metadata: {{name: {name}}}
spec: {{replicas: {replicas}, {spec}}}
"""


def planned(text: str) -> GatewayPlan:
    """What shall run for manifests of one gateway."""
    resources = [
        parse_resource(document.value, origin=document.origin, namespace="default")
        for document in read_documents("street.yaml", text)
    ]
    [result] = plan(resources)
    return result


def example(name: str, *, households_per_pod: int | None = None, speed: int | None = None) -> GatewayPlan:
    """What shall run for a file of examples/, with that many households in a pod, or at another speed."""
    resources = list(load([EXAMPLES / name]))
    for at, resource in enumerate(resources):
        changes: dict[str, object] = {}
        if isinstance(resource, SolarAgent) and households_per_pod is not None:
            changes = {"households_per_pod": households_per_pod}
        if isinstance(resource, BecknGateway) and speed is not None:
            changes = {"clock": resource.spec.clock.model_copy(update={"speed": speed})}
        if changes:
            resources[at] = resource.model_copy(update={"spec": resource.spec.model_copy(update=changes)})
    [result] = plan(resources)
    return result


# --- a run, and what it left ---


@dataclass(frozen=True)
class Street:
    """What a run left: its books, all rows by pod and table, faults by pod, and the log."""

    books: tuple[Book, ...]
    rows: Mapping[str, Mapping[str, Sequence[Mapping[str, Any]]]]
    faults: Mapping[str, int]
    log: Sequence[logging.LogRecord]

    @property
    def findings(self) -> tuple[Finding, ...]:
        """What the audit says."""
        return audit(self.books).findings

    def contracts(self, side: str, party: str | None = None) -> list[ContractRow]:
        """All contracts on a side, of all parties or of one, by slot."""
        rows = (row for book in self.books for row in book.contracts)
        wanted = [row for row in rows if row.side == side and party in (None, short(row.party))]
        return sorted(wanted, key=lambda row: (row.slot, row.transaction_id, row.counterparty))

    def readings(self, party: str) -> list[Reading]:
        """A household's readings by slot."""
        rows = (row for book in self.books for row in book.readings)
        return sorted((row for row in rows if short(row.party) == party), key=lambda row: row.slot)

    def ledger(self, kind: str, party: str) -> list[LedgerEntry]:
        """A party's entries of a kind, by slot."""
        rows = (row for book in self.books for row in book.ledger)
        return sorted((r for r in rows if r.kind == kind and short(r.party) == party), key=lambda row: row.slot)

    def level_wh(self, party: str) -> int:
        """What is stored at the end."""
        return next(row.level_wh for book in self.books for row in book.parties if short(row.party) == party)

    def told(self, party: str, transaction_id: str | None = None) -> list[str]:
        """What the log says of a party, or of one of its transactions."""
        return [
            record.getMessage()
            for record in self.log
            if getattr(record, "household", None) == party
            and transaction_id in (None, getattr(record, "transaction", None))
        ]

    def as_bytes(self) -> bytes:
        """All that was traded, metered and booked, as canonical JSON."""
        return _canonical(
            {pod: {table: list(tables[table]) for table in LEDGER_TABLES} for pod, tables in self.rows.items()}
        )

    def check_sound(self) -> None:
        """Nothing was booked wrongly, and nothing broke."""
        assert self.findings == ()
        assert not any(self.faults.values()), self.faults
        assert [record.getMessage() for record in self.log if record.exc_info] == []

    def check_settled(self) -> None:
        """Nothing is open, in doubt or waiting any more, and nothing is left over of what was under way."""
        rows = [row for side in ("buyer", "seller") for row in self.contracts(side)]
        assert {row.state for row in rows} <= {"SETTLED", "EXPIRED", "CANCELLED"}
        assert not any(row.in_doubt for row in rows)
        assert {row.state for book in self.books for row in book.readings} <= {"booked"}
        assert {
            pod: tables["outbox"] for pod, tables in self.rows.items() if len(tables["outbox"]) > MOST_OUTBOX_ROWS
        } == {}


def short(subscriber_id: str) -> str:
    """A subscriber's name without its namespace."""
    return subscriber_id.partition(".")[0]


def play(
    planned_street: GatewayPlan,
    hours: float,
    *,
    seed: int = 1,
    wrap: Wrap | None = None,
    watch: Callable[[StreetRun], Awaitable[None]] | None = None,
    adviser: Adviser | None = None,
) -> Street:
    """Run a street in virtual time. An error in `watch` is raised here."""
    end = planned_street.resource.spec.clock.start + timedelta(hours=hours)
    errors: list[BaseException] = []

    async def watched(street: StreetRun) -> None:
        assert watch is not None
        try:
            await watch(street)
        except Exception as error:  # noqa: BLE001 - told below, once the street has stopped
            errors.append(error)

    with logged() as log:
        run = simulate(
            lambda: run_in_memory(
                planned_street, end, seed=seed, wrap=wrap, watch=watched if watch else None, adviser=adviser
            )
        )
    try:
        if errors:
            raise errors[0]
        return left_by(run, log)
    finally:
        run.close()


def left_by(run: StreetRun, log: Sequence[logging.LogRecord] = ()) -> Street:
    """What stands in a street's databases now."""
    return Street(
        books_of(run),
        {name: _all_rows(pod.database.connection) for name, pod in run.pods.items()},
        {name: pod.metrics.fault_count for name, pod in run.pods.items()},
        log,
    )


def books_of(run: StreetRun) -> tuple[Book, ...]:
    """The books of databases that are in memory."""
    with tempfile.TemporaryDirectory() as state:
        (Path(state) / "agents").mkdir()
        for name, pod in run.pods.items():
            with closing(sqlite3.connect(Path(state) / "agents" / f"{name}.db")) as copy:
                copy.execute("PRAGMA synchronous = OFF")
                pod.database.connection.backup(copy)
        return read_books(Path(state))


def ledger_bytes(run: StreetRun) -> bytes:
    """All that is traded, metered and booked now, as canonical JSON."""
    return _canonical(
        {
            name: {table: table_rows(pod.database.connection, table) for table in LEDGER_TABLES}
            for name, pod in run.pods.items()
        }
    )


def _canonical(value: object) -> bytes:
    return json.dumps(value, sort_keys=True, separators=(",", ":")).encode()


def _all_rows(connection: sqlite3.Connection) -> dict[str, list[dict[str, Any]]]:
    passing = {
        table: [{"row": repr(row)} for row in connection.execute(f"SELECT * FROM {table}")]  # noqa: S608
        for table in ("outbox", "inbox")
    }
    return {**passing, **{table: table_rows(connection, table) for table in LEDGER_TABLES}}


class _Collector(logging.Handler):
    def __init__(self) -> None:
        super().__init__()
        self.records: list[logging.LogRecord] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.records.append(record)


@contextmanager
def logged() -> Iterator[list[logging.LogRecord]]:
    """Collect what the agents log."""
    collector, logger = _Collector(), logging.getLogger("wattmesh_agents")
    level = logger.level
    logger.addHandler(collector)
    logger.setLevel(logging.INFO)
    try:
        yield collector.records
    finally:
        logger.removeHandler(collector)
        logger.setLevel(level)


# --- what goes wrong between them ---

FAULTS = ("lost", "answer lost", "late", "answer late", "doubled", "reordered", "refused")


class Faulty:
    """A transport on which, until `until` (wall time), `share` of the posts go wrong in one of the ways of FAULTS."""

    def __init__(
        self, inner: Transport, clock: LoopClock, rng: random.Random, kinds: Sequence[str], until: float, share: float
    ) -> None:
        self._inner = inner
        self._clock = clock
        self._rng = rng
        self._kinds = kinds
        self._until = until
        self._share = share
        self._tasks: set[asyncio.Task[None]] = set()
        self.done = 0

    async def post(self, url: str, body: bytes, headers: Mapping[str, str], *, timeout_s: float) -> Reply:
        wrong = EPOCH < self._clock.wall() < self._until and self._rng.random() < self._share
        kind = self._rng.choice(self._kinds) if wrong else "none"
        delay_s = self._rng.uniform(0.0, 0.4 if kind == "reordered" else 8.0)
        self.done += wrong

        def pass_on() -> Awaitable[Reply]:
            return self._inner.post(url, body, headers, timeout_s=timeout_s)

        async def later() -> None:
            await self._clock.sleep(delay_s)
            with suppress(TransportError):
                await pass_on()

        match kind:
            case "refused":
                raise TransportError("connection refused")
            case "lost":
                await self._clock.sleep(timeout_s)
                raise TransportTimeoutError(timeout_s)
            case "answer lost":
                await pass_on()
                await self._clock.sleep(timeout_s)
                raise TransportTimeoutError(timeout_s)
            case "late":
                if delay_s >= timeout_s:
                    self._beside(later())
                    await self._clock.sleep(timeout_s)
                    raise TransportTimeoutError(timeout_s)
                await self._clock.sleep(delay_s)
                return await pass_on()
            case "answer late":
                reply = await pass_on()
                await self._clock.sleep(min(delay_s, timeout_s))
                if delay_s >= timeout_s:
                    raise TransportTimeoutError(timeout_s)
                return reply
            case "doubled":
                self._beside(later())
                return await pass_on()
            case "reordered":
                await self._clock.sleep(delay_s)
                return await pass_on()
        return await pass_on()

    def _beside(self, work: Any) -> None:
        task = asyncio.ensure_future(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)


class Plug:
    """The socket of a pod or gateway: unplugged it refuses calls and breaks off those that are being answered."""

    def __init__(self, site: Site | None) -> None:
        self._site = site
        self._calls: set[asyncio.Task[Reply]] = set()

    async def post(self, path: str, body: bytes, headers: Mapping[str, str]) -> Reply:
        if self._site is None:
            raise TransportError("connection refused")
        call = asyncio.ensure_future(self._site.post(path, body, headers))
        self._calls.add(call)
        call.add_done_callback(self._calls.discard)
        try:
            return await asyncio.shield(call)
        except asyncio.CancelledError:
            if call.cancelled():
                raise TransportError("connection reset") from None
            raise

    def plug(self, site: Site | None) -> None:
        self._site = site
        if site is None:
            for call in self._calls:
                call.cancel()


@dataclass
class Hands:
    """Stops and starts the parts of a street that runs; use it as `wrap`. Databases move to files in `folder`."""

    plan: GatewayPlan
    seed: int
    folder: Path
    wrap: Wrap | None = None
    adviser: Adviser | None = None
    _plugs: dict[str, Plug] = field(default_factory=dict)
    _files: dict[str, Path] = field(default_factory=dict)

    def __call__(self, sites: Transport, clock: LoopClock) -> Transport:
        assert isinstance(sites, MemoryTransport)
        self.sites, self.clock = sites, clock
        self.signers = derived_signers(subscriber_ids(self.plan), self.seed)
        self.transport: Transport = self.wrap(sites, clock) if self.wrap else sites
        return self.transport

    def hold(self, run: StreetRun) -> None:
        """Put plugs between the street and its gateway and pods."""
        self._run = run
        self._plugs = {"gateway": Plug(run.gateway.site), **{name: Plug(pod) for name, pod in run.pods.items()}}
        for name, plug in self._plugs.items():
            self.sites.attach(f"http://{name}", plug)

    async def kill(self, name: str) -> None:
        """Stop a pod where it is. What is not on disk is gone."""
        self._plugs[name].plug(None)
        pod = self._run.pods[name]
        await pod.stop()
        if name not in self._files:
            self._files[name] = self.folder / f"{name}.db"
            with closing(sqlite3.connect(self._files[name])) as file:
                pod.database.connection.backup(file)
        pod.database.close()

    def revive(self, name: str, behind_s: float = 0.0) -> None:
        """Start a killed pod again: a new process with the same database, keys and address.

        With grid time that is `behind_s` (wall seconds) behind what it was.
        """
        old = self._run.pods[name]
        clock = old.config.clock.model_copy(update={"epoch": old.config.clock.epoch + behind_s})
        config = old.config.model_copy(update={"clock": clock})
        signers = {party.id: self.signers[party.id] for party in old.parties.values()}
        database = Database.open(self._files[name])
        rng = random.Random(self.seed)
        pod = Pod(config, f"http://{name}", signers, database, self.transport, self.clock, rng, self.adviser)
        self._run.pods[name] = pod
        self._plugs[name].plug(pod)
        pod.start()

    async def lose_gateway(self) -> None:
        """Stop the gateway; its registry is lost."""
        self._plugs["gateway"].plug(None)
        await self._run.gateway.stop()

    async def new_gateway(self) -> None:
        """Start a gateway with an empty registry."""
        plan, registrar = self.plan, self.signers[REGISTRAR]
        config = GatewayConfig(
            subscriber_id=plan.subscriber_id,
            url="http://gateway",
            domain=plan.resource.spec.domain,
            database=Path("unused"),
            registrar_keys={registrar.key_id: registrar.public_key},
        )
        registry = Registry(None)
        weakref.finalize(self, registry.close)
        gateway = Gateway(config, self.signers[plan.subscriber_id], registry, self.transport, self.clock)
        self._run.gateway = gateway
        await gateway.start()
        self._plugs["gateway"].plug(gateway.site)

    async def register_again(self) -> int:
        """What the operator does on every pass; returns how many entries were written."""
        registrants = [
            Registrant(participant, f"http://{pod.name}/{participant.name}", signer.key_id, signer.public_key)
            for pod in self.plan.pods
            for participant in pod.participants
            for signer in [self.signers[participant.subscriber_id]]
        ]
        domain = self.plan.resource.spec.domain
        return await register_all(
            registrants, domain, "http://gateway", self.signers[REGISTRAR], self.sites, self.clock
        )
