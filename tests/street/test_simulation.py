"""Simulated feeders: what was stopped and taken up again, shared out, or said over HTTP has the same ledger."""

from __future__ import annotations

import asyncio
import json
import random
import signal
from collections.abc import Mapping
from contextlib import AsyncExitStack, closing
from dataclasses import replace
from datetime import timedelta
from multiprocessing import active_children
from pathlib import Path
from typing import Any

import pytest

from tests.correctness.model import in_journal
from tests.operator.world import NOW
from tests.world.clocks import HeldClock
from tests.world.dask_cluster import dask_cluster
from tests.world.loopback import Loopback
from tests.world.manifests import MARKET, example, households, planned, utility
from tests.world.tokens import TOKEN
from wattmesh_agents.app import create_app as agents_app
from wattmesh_agents.store.database import IN_MEMORY, Database
from wattmesh_agents.store.journal import table_rows
from wattmesh_agents.store.schema import LEDGER_TABLES
from wattmesh_cli.street.executors import SimulationError
from wattmesh_cli.street.feeder_run import FeederRun
from wattmesh_cli.street.feeders import by_feeder
from wattmesh_cli.street.keys import derived_signers
from wattmesh_cli.street.run import GridTime, Ports, StreetRun, subscriber_ids
from wattmesh_cli.street.study import StudyFeeder
from wattmesh_cli.street.workers import SLOTS_AT_ONCE, workers
from wattmesh_cli.street_record import Over, Study
from wattmesh_gateway.app import create_app as gateway_app
from wattmesh_gateway.registry import Registry
from wattmesh_market.energy.slots import SLOT_S
from wattmesh_market.mechanisms import BILATERAL
from wattmesh_market.schedule import AHEAD_S, CLOSED_AFTER_S
from wattmesh_operator.plan import GatewayPlan

Rows = Mapping[str, Mapping[str, list[dict[str, Any]]]]

STREET = planned(
    MARKET
    + utility()
    + households("roof", "battery: {capacityKwh: 30, initialKwh: 28}, trading: {sellAbovePercent: 50, sellPrice: 0.15}")
    + households("barn", "battery: {capacityKwh: 8, initialKwh: 6.6}, trading: {sellPrice: 0.12}, strategy: rules")
    + households("home", "battery: {capacityKwh: 10, initialKwh: 1}, load: {annualKwh: 4000}, strategy: rules")
    + households("flat", "householdsPerPod: 2, load: {annualKwh: 6000}", replicas=2)
)
EAST_WEST = "pv: {tiltDegrees: 30, roofs: [{peakKw: 5, azimuthDegrees: 90}, {peakKw: 4, azimuthDegrees: 270}]}"
PLANNING = planned(
    MARKET.replace("T06:00:00Z", "T09:00:00Z")
    + utility(fees=", gridFee: 0.07, localGridFee: 0.03", more=", demandResponse: {startAtPercent: 1, maxPrice: 0.30}")
    + households("panels", f"{EAST_WEST}, load: {{annualKwh: 3000}}, connectionKw: 6", replicas=2)
    + households("roof", "pv: {peakKw: 8}, battery: {capacityKwh: 10, initialKwh: 3}, load: {annualKwh: 4000}")
    + households("store", "battery: {capacityKwh: 8, initialKwh: 6}, forecast: persistence, load: {annualKwh: 2000}")
    + households("rules", "battery: {capacityKwh: 10, initialKwh: 1}, load: {annualKwh: 4000}, strategy: rules")
    + households("flat", "householdsPerPod: 2, load: {annualKwh: 6000}", replicas=2)
)
"""All but one plan, and two have panels and no battery; in the morning they learn what their neighbours pay."""
DEVICES = planned(
    MARKET.replace("T06:00:00Z", "T09:00:00Z")
    + utility(fees=', gridFee: 0.07, periods: [{from: "10:15", to: "11:00", price: 0.1}]')
    + households("panels", f"{EAST_WEST}, load: {{annualKwh: 3000}}", replicas=2)
    + households(
        "car",
        'load: {annualKwh: 4000}, ev: {plugged: {from: "09:30", to: "11:45"}, needsKwh: 6, chargerKw: 11},'
        ' heatPump: {window: {from: "09:00", to: "11:00"}, kwh: 2, kw: 2}',
    )
    + households(
        "roof",
        "pv: {peakKw: 8}, battery: {capacityKwh: 10, initialKwh: 3}, forecast: persistence,"
        ' ev: {plugged: {from: "09:15", to: "14:00"}, needsKwh: 9, chargerKw: 3.7},'
        ' shiftable: [{name: washer, window: {from: "09:45", to: "11:30"}, kwh: 1.1, kw: 2}]',
    )
    + households(
        "home",
        "pv: {peakKw: 4}, load: {annualKwh: 30000},"
        ' ev: {plugged: {from: "09:00", to: "11:30"}, needsKwh: 3, chargerKw: 11, vehicleToHome: {capacityKwh: 6}}',
    )
    + households(
        "rules",
        'load: {annualKwh: 4000}, ev: {plugged: {from: "10:00", to: "11:00"}, needsKwh: 2, chargerKw: 3.7},'
        " battery: {capacityKwh: 5, initialKwh: 4}, strategy: rules",
    )
)
"""Cars, one of which gives to its house, and other devices, one's by rules; one window is not over in the end."""
SLOTS = 12
FREE = SLOTS - AHEAD_S // SLOT_S
"""From this slot on the end must be known, as nothing is bought for slots beyond it."""
SEED = 7
STUDY = Study(SEED, Over.CALLS, BILATERAL, "")


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
        run.run_slot(number, SLOTS if number >= FREE else None)
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


@pytest.fixture(
    scope="module",
    params=[pytest.param(STREET, id="rules"), pytest.param(PLANNING, id="plan"), pytest.param(DEVICES, id="devices")],
)
def street(request: pytest.FixtureRequest) -> GatewayPlan:
    found: GatewayPlan = request.param
    return found


@pytest.fixture(scope="module")
def in_one_go(street: GatewayPlan, tmp_path_factory: pytest.TempPathFactory) -> Rows:
    return simulated(street, tmp_path_factory.mktemp("memory"))


def test_a_feeder_trades_and_settles(street: GatewayPlan, in_one_go: Rows) -> None:
    contracts = [row for tables in in_one_go.values() for row in tables["contracts"]]
    sellers = {row["counterparty"] for row in contracts if row["side"] == "buyer"}
    assert sellers >= (
        {"roof-0.default", "barn-0.default"} if street == STREET else {"panels-0.default", "panels-1.default"}
    )
    assert {row["state"] for row in contracts} == {"SETTLED"}
    assert {row["state"] for tables in in_one_go.values() for row in tables["readings"]} == {"booked"}


def test_panels_without_a_battery_sell_their_sun_and_learn_what_it_is_worth(tmp_path: Path) -> None:
    every = study(PLANNING, tmp_path / "rows", SLOTS).values()

    def of(party: str, table: str) -> list[dict[str, Any]]:
        return [row for tables in every for row in tables[table] if row["party"] == f"{party}.default"]

    sold = [row for row in of("panels-0", "contracts") if row["side"] == "seller"]
    assert sold
    assert [row for row in sold if row["sun_wh"] != row["energy_wh"]] == []
    assert all(row["local_micro_per_kwh"] for row in of("panels-0", "readings"))
    assert not any(row["local_micro_per_kwh"] for row in of("rules-0", "readings"))


def test_devices_have_what_they_need_when_their_windows_end(tmp_path: Path) -> None:
    readings = [row for tables in study(DEVICES, tmp_path / "rows", SLOTS).values() for row in tables["readings"]]
    left = {
        (row["party"], one["name"]): one["left_wh"]
        for row in sorted(readings, key=lambda row: row["slot"])
        for one in json.loads(row["devices"] or "[]")
    }
    not_over = ("roof-0.default", "ev")
    assert left.pop(not_over) > 0
    assert left == {
        ("home-0.default", "ev"): 0,
        ("car-0.default", "ev"): 0,
        ("car-0.default", "heat-pump"): 0,
        ("roof-0.default", "washer"): 0,
        ("rules-0.default", "ev"): 0,
    }


def test_a_car_that_gives_to_its_house_is_as_full_as_it_came_when_it_leaves(tmp_path: Path) -> None:
    readings = [row for tables in study(DEVICES, tmp_path / "rows", SLOTS).values() for row in tables["readings"]]
    of_home = [row for row in readings if row["party"] == "home-0.default"]
    cars = [one for row in of_home for one in json.loads(row["devices"] or "[]")]
    assert sum(car.get("discharged_wh", 0) for car in cars) > 500
    assert sum(row["losses_wh"] for row in of_home) > 0
    assert cars[0]["level_before_wh"] == 6000
    assert 5990 <= cars[-1]["level_after_wh"] <= 6000
    assert of_home[-1]["level_after_wh"] == cars[-1]["level_after_wh"], "away, it keeps that"


def test_stopped_and_taken_up_again_at_each_slot_it_is_the_same_to_the_byte(
    street: GatewayPlan, in_one_go: Rows, tmp_path: Path
) -> None:
    assert simulated(street, tmp_path, stop_at_each_slot=True) == in_one_go


def test_over_http_it_is_the_same_ledger(street: GatewayPlan, in_one_go: Rows, tmp_path: Path) -> None:
    asyncio.run(_over_http(street, tmp_path))
    assert undated(rows_in(tmp_path)) == undated(in_one_go)


async def _over_http(plan: GatewayPlan, folder: Path) -> None:
    """The same slots over loopback HTTP, in files. Time stands still while messages are under way."""
    start, speed = plan.resource.spec.clock.start, float(plan.resource.spec.clock.speed)
    net = Loopback()
    clock = HeldClock(NOW, lambda: net.under_way)
    street = StreetRun(
        plan,
        GridTime(start, NOW, speed, start + SLOTS * timedelta(minutes=15)),
        Ports(
            net,
            clock,
            random.Random(SEED),
            derived_signers(subscriber_ids(plan), SEED),
            lambda: Registry(None),
            lambda name: Database.open(folder / f"{name}.db", salt=f"{SEED}/{name}"),
        ),
        "http://gateway",
        {pod.name: f"http://{pod.name}" for pod in plan.pods},
    )
    async with AsyncExitStack() as stack:
        stack.callback(street.close)
        stack.push_async_callback(net.close)
        await net.serve("gateway", gateway_app(street.gateway, net, TOKEN))
        for name, pod in street.pods.items():
            await net.serve(name, agents_app(pod))
        stack.push_async_callback(street.stop)
        await street.start()
        await clock.go_on(SLOTS * 900 / speed)
        await clock.go_on(CLOSED_AFTER_S / speed)


# --- by calls and by messages ---


def natural(rows: Rows) -> dict[str, list[tuple[object, ...]]]:
    """Rows by their natural keys: without ids and wall times, and without quotes that came to nothing."""
    every = {table: [row for tables in rows.values() for row in tables[table]] for table in ("contracts", "readings")}
    contracts = [row for row in every["contracts"] if row["state"] not in ("EXPIRED", "CANCELLED")]
    names = ("party", "side", "counterparty", "slot", "energy_wh", "amount_micro", "fee_micro", "state")
    entries = [
        (row["party"], row["kind"], row["slot"], row["counterparty"], row["energy_wh"], row["amount_micro"])
        for tables in rows.values()
        for row in tables["ledger"]
    ]
    return {
        "contracts": sorted(tuple(row[name] for name in (*names, "delivered_wh")) for row in contracts),
        "readings": sorted(tuple(row.values()) for row in every["readings"]),
        "ledger": sorted(entries),
    }


def study(plan: GatewayPlan, folder: Path, slots: int, over: Over = Over.CALLS, **how: Any) -> Rows:
    """What a study leaves after so many slots, all of it settled."""
    folder.mkdir()
    with workers(by_feeder(plan), replace(STUDY, over=over), None, lambda _: None, **how) as at_work:
        at_work.run(0, slots, slots, lambda: True)
        at_work.settle(slots)
        at_work.save(folder)
    return rows_in(folder)


@pytest.mark.parametrize(
    ("name", "slots", "households_per_pod", "speed"),
    [("seed.yaml", 48, 1, 1), ("street.yaml", 20, 3, 960), ("strategies.yaml", 20, 2, 60), ("heatwave.yaml", 12, 8, 7)],
)
def test_by_calls_and_by_messages_the_books_are_the_same(
    tmp_path: Path, name: str, slots: int, households_per_pod: int, speed: int
) -> None:
    by_calls = study(example(name), tmp_path / "calls", slots)
    otherwise = example(name, households_per_pod=households_per_pod, speed=speed)
    by_messages = study(otherwise, tmp_path / "messages", slots, over=Over.MESSAGES)
    assert natural(by_messages) == natural(by_calls)
    assert natural(by_calls)["contracts"]


def test_a_study_that_is_stopped_after_each_slot_is_the_same(
    street: GatewayPlan, in_one_go: Rows, tmp_path: Path
) -> None:
    saved: Path | None = None
    for number in range(SLOTS + 1):
        folder = tmp_path / str(number)
        folder.mkdir()
        with workers(by_feeder(street), STUDY, saved, lambda _: None) as at_work:
            if number < SLOTS:
                at_work.run(number, number + 1, SLOTS if number >= FREE else None, lambda: True)
            else:
                at_work.settle(SLOTS)
            at_work.save(folder)
        saved = folder
    assert saved
    assert natural(rows_in(saved)) == natural(in_one_go)


def test_a_study_of_plans_that_is_stopped_on_its_second_day_goes_by_what_it_has_learned(tmp_path: Path) -> None:
    """Asks of the second day go by what the first one has taught, which is read back from the journal."""
    saved: Path | None = None
    for begin, end in ((0, 100), (100, 117), (117, 120)):
        folder = tmp_path / str(end)
        folder.mkdir()
        with workers(by_feeder(PLANNING), STUDY, saved, lambda _: None) as at_work:
            at_work.run(begin, end, 120, lambda: True)
            if end == 120:
                at_work.settle(120)
            at_work.save(folder)
        saved = folder
    assert saved
    assert natural(rows_in(saved)) == natural(study(PLANNING, tmp_path / "in one go", 120))


def test_what_a_study_has_in_memory_is_what_one_that_is_taken_up_again_loads(tmp_path: Path) -> None:
    [feeder] = by_feeder(PLANNING)
    folders = [tmp_path / name for name in ("first", "saved", "again")]
    for folder in folders:
        folder.mkdir()
    first = StudyFeeder(feeder, SEED, BILATERAL, None, folders[0])
    part = first.part(0, 117, 120)
    done = first.run(part)
    first.take(done)
    first.save(folders[1])
    again = StudyFeeder(feeder, SEED, BILATERAL, folders[1], folders[2])
    loaded = again.part(117, 120, 120).books
    for books in (*done.books.values(), *loaded.values()):
        books.forget(part.until)
        books.note_first_expiry()
    assert {name: in_journal(books) for name, books in loaded.items()} == {
        name: in_journal(books) for name, books in done.books.items()
    }


# --- feeders side by side ---

TWO_FEEDERS = planned(MARKET + on("north") + on("south"))


def test_the_ledger_is_the_same_for_any_number_of_jobs_and_progress_counts_each_party(tmp_path: Path) -> None:
    parties: list[int] = []
    (tmp_path / "two").mkdir()
    with workers(by_feeder(TWO_FEEDERS), STUDY, None, parties.append, jobs=2) as at_work:
        at_work.run(0, 30, 30, lambda: True)
        at_work.settle(30)
        at_work.save(tmp_path / "two")
    assert sum(parties) == 30 * 6
    two = rows_in(tmp_path / "two")
    assert two == study(TWO_FEEDERS, tmp_path / "one", 30)
    assert any(tables["contracts"] for tables in two.values())


def test_a_process_that_dies_is_told_of() -> None:
    def kill(_: int) -> None:
        for process in active_children():
            process.kill()

    with (
        pytest.raises(SimulationError, match=r"a worker process ended; was there memory enough\?"),
        workers(by_feeder(TWO_FEEDERS), STUDY, None, kill, jobs=2) as at_work,
    ):
        at_work.run(0, 2 * SLOTS_AT_ONCE, None, lambda: True)


def test_a_stop_comes_between_two_parts() -> None:
    looks = iter([True, False])
    with workers(by_feeder(TWO_FEEDERS), STUDY, None, lambda _: None) as at_work:
        assert at_work.run(0, 2 * SLOTS_AT_ONCE, None, lambda: next(looks)) == SLOTS_AT_ONCE


def test_a_dask_cluster_that_loses_a_worker_ends_with_the_same_ledger(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("wattmesh_cli.street.workers.SLOTS_AT_ONCE", 24)  # so that it is lost in the middle
    with dask_cluster() as cluster:
        first, _ = cluster.workers
        (tmp_path / "dask").mkdir()
        parts: list[int] = []

        def progress(parties: int) -> None:
            parts.append(parties)
            if len(parts) == 3:
                first.kill()

        with workers(by_feeder(TWO_FEEDERS), STUDY, None, progress, scheduler=cluster.address) as at_work:
            at_work.run(0, 96, 96, lambda: True)
            at_work.settle(96)
            at_work.save(tmp_path / "dask")
    assert first.returncode == -signal.SIGKILL
    assert len(parts) == 10, "four parts of a day and its settlement, on two feeders"
    assert rows_in(tmp_path / "dask") == study(TWO_FEEDERS, tmp_path / "here", 96)
