"""Simulated feeders: what was stopped and taken up again, shared out, or said over HTTP has the same ledger."""

from __future__ import annotations

import asyncio
import os
import random
import signal
from collections.abc import Iterator, Mapping
from contextlib import AsyncExitStack, closing
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from tests.operator.world import NOW
from tests.street.live import HeldClock, Wire
from tests.street.support import MARKET, households, planned, utility
from wattmesh_agents.app import create_app as agents_app
from wattmesh_agents.store.database import IN_MEMORY, Database
from wattmesh_agents.store.journal import table_rows
from wattmesh_agents.store.schema import LEDGER_TABLES
from wattmesh_beckn.transport import HttpTransport
from wattmesh_cli.street import crew as crews
from wattmesh_cli.street.crew import SimulationError, crew
from wattmesh_cli.street.feeder_run import FeederRun
from wattmesh_cli.street.feeders import by_feeder, shared_out
from wattmesh_cli.street.keys import derived_signers
from wattmesh_cli.street.local import listen, serving
from wattmesh_cli.street.run import GridTime, Ports, StreetRun, subscriber_ids
from wattmesh_gateway.app import create_app as gateway_app
from wattmesh_gateway.registry import Registry
from wattmesh_operator.plan import GatewayPlan

Rows = Mapping[str, Mapping[str, list[dict[str, Any]]]]

STREET = planned(
    MARKET
    + utility()
    + households("roof", "battery: {capacityKwh: 30, initialKwh: 28}, trading: {sellAbovePercent: 50, sellPrice: 0.15}")
    + households("barn", "battery: {capacityKwh: 8, initialKwh: 6.6}, trading: {sellPrice: 0.12}")
    + households("home", "battery: {capacityKwh: 10, initialKwh: 1}, load: {annualKwh: 4000}")
    + households("flat", "householdsPerPod: 2, load: {annualKwh: 6000}", replicas=2)
)
SLOTS = 5
SEED = 7


def on(feeder: str) -> str:
    """A utility and two households on a feeder of their own."""
    there = f"feeder: {feeder}"
    return (
        utility().replace("name: utility", f"name: utility-{feeder}").replace("{tariff", f"{{{there}, tariff")
        + households(f"roof-{feeder}", f"{there}, battery: {{capacityKwh: 10, initialKwh: 10}}")
        + households(f"flat-{feeder}", f"{there}, load: {{annualKwh: 6000}}")
    )


def simulated(plan: GatewayPlan, folder: Path, *, stop_at_each_slot: bool = False) -> Rows:
    """What stands in the databases of one feeder after `SLOTS` slots, all of it settled."""
    [feeder] = by_feeder(plan)
    run = FeederRun(feeder, SEED)
    for number in range(SLOTS):
        run.run_slot(number, SLOTS if number == SLOTS - 1 else None)
        if stop_at_each_slot:
            saved = folder / str(number)
            saved.mkdir()
            run.save(saved)
            run.close()
            run = FeederRun(feeder, SEED, saved)
    run.settle(SLOTS)
    run.save(folder)
    run.close()
    return rows_in(folder)


def rows_in(folder: Path) -> Rows:
    rows = {}
    for path in sorted(folder.glob("*.db")):
        with closing(Database.open(IN_MEMORY, copied=path)) as database:
            rows[path.stem] = {table: table_rows(database.connection, table) for table in LEDGER_TABLES}
    return rows


def undated(rows: Rows) -> Rows:
    """Without the wall time at which something was done."""
    return {
        pod: {
            table: [{name: value for name, value in row.items() if not name.endswith("_ms")} for row in tables[table]]
            for table in ("contracts", "readings", "ledger")
        }
        for pod, tables in rows.items()
    }


@pytest.fixture(scope="module")
def in_one_go(tmp_path_factory: pytest.TempPathFactory) -> Rows:
    return simulated(STREET, tmp_path_factory.mktemp("memory"))


def test_a_feeder_trades_and_settles(in_one_go: Rows) -> None:
    contracts = [row for tables in in_one_go.values() for row in tables["contracts"]]
    assert {row["counterparty"] for row in contracts if row["side"] == "buyer"} >= {"roof-0.default", "barn-0.default"}
    assert {row["state"] for row in contracts} == {"SETTLED"}
    assert {row["state"] for tables in in_one_go.values() for row in tables["readings"]} == {"booked"}


def test_stopped_and_taken_up_again_at_each_slot_it_is_the_same_to_the_byte(in_one_go: Rows, tmp_path: Path) -> None:
    assert simulated(STREET, tmp_path, stop_at_each_slot=True) == in_one_go


def test_over_http_it_is_the_same_ledger(in_one_go: Rows, tmp_path: Path) -> None:
    asyncio.run(_over_http(STREET, tmp_path))
    assert undated(rows_in(tmp_path)) == undated(in_one_go)


async def _over_http(plan: GatewayPlan, folder: Path) -> None:
    """The same slots over loopback HTTP, in files. Time stands still while messages are under way."""
    start, speed = plan.resource.spec.clock.start, float(plan.resource.spec.clock.speed)
    transport = HttpTransport()
    wire = Wire(transport)
    clock = HeldClock(lambda: wire)
    sockets = {name: listen() for name in ("gateway", *(pod.name for pod in plan.pods))}
    urls = {name: f"http://127.0.0.1:{socket.getsockname()[1]}" for name, socket in sockets.items()}
    street = StreetRun(
        plan,
        GridTime(start, NOW, speed, start + SLOTS * timedelta(minutes=15)),
        Ports(
            wire,
            clock,
            random.Random(SEED),
            derived_signers(subscriber_ids(plan), SEED),
            lambda: Registry(None),
            lambda name: Database.open(folder / f"{name}.db", salt=f"{SEED}/{name}"),
        ),
        urls["gateway"],
        urls,
    )
    async with AsyncExitStack() as stack:
        stack.callback(street.close)
        stack.push_async_callback(transport.close)
        await stack.enter_async_context(serving(gateway_app(street.gateway, transport), sockets["gateway"]))
        for name, pod in street.pods.items():
            await stack.enter_async_context(serving(agents_app(pod), sockets[name]))
        stack.push_async_callback(street.stop)
        await street.start()
        await clock.go_on(SLOTS * 900 / speed)
        await clock.go_on(0.9 * 900 / speed)


# --- feeders side by side ---

TWO_FEEDERS = planned(MARKET + on("north") + on("south"))


@dataclass(frozen=True)
class Pair:
    """What two worker processes wrote, and what was said when one of them was killed."""

    rows: Rows
    parties: int
    error: str


@pytest.fixture(scope="module")
def pair(tmp_path_factory: pytest.TempPathFactory) -> Pair:
    folder = tmp_path_factory.mktemp("pair")
    parties: list[int] = []
    with crew(by_feeder(TWO_FEEDERS), SEED, None, 2, parties.append) as workers:
        workers.run(0, 2, None, lambda: True)
        counted = sum(parties)
        workers.save(folder)
        os.kill(workers.pids[0], signal.SIGKILL)
        with pytest.raises(SimulationError) as error:
            workers.run(2, 3, None, lambda: True)
    return Pair(rows_in(folder), counted, str(error.value))


def test_the_ledger_is_the_same_for_any_number_of_jobs(pair: Pair, tmp_path: Path) -> None:
    with crew(by_feeder(TWO_FEEDERS), SEED, None, 1, lambda _: None) as alone:
        assert alone.pids == []
        alone.run(0, 2, None, lambda: True)
        alone.save(tmp_path)
    assert pair.rows == rows_in(tmp_path)
    assert any(tables["contracts"] for tables in pair.rows.values())


def test_progress_counts_each_party_in_each_slot(pair: Pair) -> None:
    assert pair.parties == 2 * 6


def test_a_worker_that_dies_is_told_of(pair: Pair) -> None:
    assert pair.error == "the simulation cannot go on: a worker process ended by signal 9; was there memory enough?"


class _Slow:
    """A worker that does one task when asked what it has to say."""

    def __init__(self, idle: int) -> None:
        self.tasks: list[int] = []
        self._idle = idle

    def tell(self, task: crews.Task) -> None:
        self.tasks.append(task.number)

    def reports(self) -> Iterator[crews.Report]:
        if self._idle:
            self._idle -= 1
        else:
            yield crews.Report(done=True)

    def close(self) -> None:
        raise AssertionError


def test_a_stop_brings_all_workers_to_the_same_slot() -> None:
    fast, slow = _Slow(0), _Slow(3)
    looks = iter([True, True, False])
    workers = crews.Crew([fast, slow], lambda _: None)
    reached = workers.run(10, 50, None, lambda: next(looks, False))
    assert fast.tasks == slow.tasks == list(range(10, reached))
    assert reached == 10 + crews.AHEAD


def test_feeders_are_shared_out_by_their_size() -> None:
    street = MARKET + on("north") + on("south") + on("west") + households("more", "feeder: west, load: {annualKwh: 1}")
    shares = shared_out(by_feeder(planned(street)), 2)
    names = [sorted(part.participants[0].feeder for plan in share for part in plan.pods[:1]) for share in shares]
    assert names == [["west"], ["north", "south"]]
    assert len(shared_out(by_feeder(planned(street)), 8)) == 3
