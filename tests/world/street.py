"""Whole streets for tests: run in virtual time with whatever goes wrong in them, and what their books say then."""

from __future__ import annotations

import json
import logging
import random
import shutil
import sqlite3
import tempfile
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Any

from tests.world.faults import Plug, Wrap
from tests.world.subscribers import gateway_config
from wattmesh_agents.pod import Pod
from wattmesh_agents.store.database import Database
from wattmesh_agents.store.journal import table_rows
from wattmesh_agents.store.schema import LEDGER_TABLES
from wattmesh_beckn.signature import Signer
from wattmesh_beckn.transport import (
    MemoryTransport,
    Transport,
)
from wattmesh_cli.audit import Finding, audit
from wattmesh_cli.books import Book, ContractRow, LedgerEntry, Reading
from wattmesh_cli.sqlite_books import read_books
from wattmesh_cli.street.keys import derived_signers
from wattmesh_cli.street.memory import run_in_memory, simulate
from wattmesh_cli.street.run import StreetRun, subscriber_ids
from wattmesh_common.clock import Clock, LoopClock
from wattmesh_common.runtime import REGISTRAR
from wattmesh_gateway.gateway import Gateway
from wattmesh_gateway.registry import Registry
from wattmesh_market.trade.advice import Adviser
from wattmesh_operator.plan import GatewayPlan
from wattmesh_operator.registry.registration import register_all

MOST_OUTBOX_ROWS = 4
"""Acknowledged messages are taken out of the outbox with the next transaction."""
SLOT_S = 900


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


def saved(planned_street: GatewayPlan, hours: float, state: Path) -> Path:
    """Run a street in virtual time and leave its pods' databases in `state`, as a state directory has them."""
    (state / "agents").mkdir()
    end = planned_street.resource.spec.clock.start + timedelta(hours=hours)
    run = simulate(lambda: run_in_memory(planned_street, end, seed=1))
    for name, pod in run.pods.items():
        pod.database.save(state / "agents" / f"{name}.db")
    run.close()
    return state


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


def new_process(
    run: StreetRun,
    name: str,
    signers: Mapping[str, Signer],
    database: Database,
    transport: Transport,
    clock: Clock,
    seed: int,
    adviser: Adviser | None = None,
    behind_s: float = 0.0,
) -> Pod:
    """A new process of a pod: the same configuration, keys and address, and a database of which it knows nothing.

    Its grid time is `behind_s` (wall seconds) behind the former's.
    """
    old = run.pods[name]
    own = {party.id: signers[party.id] for party in old.parties.values()}
    clock_config = old.config.clock.model_copy(update={"epoch": old.config.clock.epoch + behind_s})
    config = old.config.model_copy(update={"clock": clock_config})
    pod = Pod(config, f"http://{name}", own, database, transport, clock, random.Random(seed), adviser)
    run.pods[name] = pod
    return pod


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
    """Collect what the agents log; pytest, which would make text of each line, does not get it."""
    collector, logger = _Collector(), logging.getLogger("wattmesh_agents")
    level = logger.level
    logger.addHandler(collector)
    logger.setLevel(logging.INFO)
    logger.propagate = False
    try:
        yield collector.records
    finally:
        logger.removeHandler(collector)
        logger.setLevel(level)
        logger.propagate = True


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
        database = Database.open(self._files[name])
        pod = new_process(
            self._run, name, self.signers, database, self.transport, self.clock, self.seed, self.adviser, behind_s
        )
        self._plugs[name].plug(pod)
        pod.start()

    def copy(self, name: str) -> Path:
        """A backup of a running pod's database."""
        path = self.folder / f"{name}-copy.db"
        with closing(sqlite3.connect(path)) as file:
            self._run.pods[name].database.connection.backup(file)
        return path

    def put_back(self, name: str, copy: Path | None) -> None:
        """Put a backup in the place of a killed pod's database, or nothing."""
        for former in self.folder.glob(f"{name}.db*"):
            former.unlink()
        if copy is not None:
            shutil.copyfile(copy, self._files[name])

    async def lose_gateway(self) -> None:
        """Stop the gateway; its registry is lost."""
        self._plugs["gateway"].plug(None)
        await self._run.gateway.stop()

    async def new_gateway(self) -> None:
        """Start a gateway with an empty registry."""
        plan, registrar = self.plan, self.signers[REGISTRAR]
        config = gateway_config(plan.subscriber_id, registrar)
        registry = Registry(None)
        gateway = Gateway(config, self.signers[plan.subscriber_id], registry, self.transport, self.clock)
        self._run.gateway = gateway
        await gateway.start()
        self._plugs["gateway"].plug(gateway.site)

    async def register_again(self) -> int:
        """What the operator does on every pass; returns how many entries were written."""
        registrants, domain = self._run._registrants, self.plan.resource.spec.domain
        return await register_all(
            registrants, domain, "http://gateway", self.signers[REGISTRAR], self.sites, self.clock
        )
