"""What durability costs: contracts per second with `PRAGMA synchronous` FULL, NORMAL and OFF, side by side.

The same street trades the same contracts on database files of this machine's disk, in virtual time, so that nothing but
computing and writing takes time. FULL is what wattmesh runs with: each transaction is on the disk before anything is
sent. The three take turns.
"""

from __future__ import annotations

import statistics
import tempfile
import time
from datetime import timedelta
from functools import partial
from pathlib import Path

from bench.days import STREET
from bench.tables import Measured
from wattmesh_agents.store.database import Database
from wattmesh_cli.street.memory import run_in_memory, simulate
from wattmesh_operator.manifests import load
from wattmesh_operator.plan import GatewayPlan, plan

HOURS = 6
TURNS = 5
MODES = ("FULL", "NORMAL", "OFF")


def measure() -> list[Measured]:
    """A row for each mode: the median of its turns."""
    (street,) = plan(load([STREET]))
    seconds: dict[str, list[float]] = {mode: [] for mode in MODES}
    counts: dict[str, tuple[int, int]] = {}
    for _ in range(TURNS):
        for mode in MODES:
            took_s, contracts, transactions = _trade(street, mode)
            seconds[mode].append(took_s)
            counts[mode] = contracts, transactions
    columns = ["synchronous", "contracts", "transactions", "s", "contracts/s", "of FULL"]
    full_s = statistics.median(seconds["FULL"])
    rows = []
    for mode in MODES:
        contracts, transactions = counts[mode]
        median_s = statistics.median(seconds[mode])
        rate = f"{contracts / median_s:.1f}"
        rows.append((mode, str(contracts), str(transactions), f"{median_s:.2f}", rate, f"{full_s / median_s:.2f} x"))
    return [Measured("durability", columns, rows)]


def _trade(street: GatewayPlan, mode: str) -> tuple[float, int, int]:
    """Wall seconds, settled contracts and transactions of one run."""
    end = street.resource.spec.clock.start + timedelta(hours=HOURS)
    transactions = 0

    def count(statement: str) -> None:
        nonlocal transactions
        transactions += statement.startswith("BEGIN")

    def database(folder: Path, name: str, salt: str) -> Database:
        opened = Database.open(folder / f"{name}.db", salt=salt)
        opened.connection.execute(f"PRAGMA synchronous = {mode}")
        opened.connection.set_trace_callback(count)
        return opened

    with tempfile.TemporaryDirectory() as folder:
        begun = time.perf_counter()
        run = simulate(lambda: run_in_memory(street, end, database=partial(database, Path(folder))))
        took_s = time.perf_counter() - begun
        query = "SELECT count(*) FROM contracts WHERE side = 'buyer' AND state = 'SETTLED'"
        contracts = sum(pod.database.connection.execute(query).fetchone()[0] for pod in run.pods.values())
        run.close()
    return took_s, contracts, transactions
