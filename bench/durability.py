"""What durability costs: deliveries per second with `PRAGMA synchronous` FULL, NORMAL and OFF, side by side.

The same street trades the same contracts on database files of this machine's disk, in virtual time, so that nothing but
computing and writing takes time. FULL is what wattmesh runs with: each transaction is on the disk before anything is
sent. The three take turns. Of that, what is kept to prove contracts to others is measured by itself: evidence and chain
of both sides and of their utility, pages of the files and CPU time.
"""

from __future__ import annotations

import statistics
import tempfile
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple
from unittest.mock import patch

from bench.days import STREET
from bench.tables import Measured
from wattmesh_agents.store import evidence
from wattmesh_agents.store.chain import Chains
from wattmesh_agents.store.database import Database
from wattmesh_cli.street.memory import run_in_memory, simulate
from wattmesh_operator.manifests import load
from wattmesh_operator.plan import GatewayPlan, plan

HOURS = 6
TURNS = 5
MODES = ("FULL", "NORMAL", "OFF")


PROOF = ("evidence", "chain")
"""Tables."""


class _Run(NamedTuple):
    """Wall seconds, settled deliveries, transactions, and of what is kept as proof bytes and CPU seconds by table."""

    took_s: float
    deliveries: int
    transactions: int
    size: Mapping[str, int]
    cpu_s: Mapping[str, float]


def measure() -> list[Measured]:
    """A row for each mode: the median of its turns."""
    (street,) = plan(load([STREET]))
    runs: dict[str, list[_Run]] = {mode: [] for mode in MODES}
    for _ in range(TURNS):
        for mode in MODES:
            runs[mode].append(_trade(street, mode))
    columns = ["synchronous", "deliveries", "transactions", "s", "deliveries/s", "of FULL"]
    for table in PROOF:
        columns += [f"{table} kB per delivery", f"{table} CPU ms per delivery"]
    full_s = statistics.median(run.took_s for run in runs["FULL"])
    rows = []
    for mode, turns in runs.items():
        one, median_s = turns[-1], statistics.median(run.took_s for run in turns)
        rate = f"{one.deliveries / median_s:.1f}"
        row = [mode, str(one.deliveries), str(one.transactions), f"{median_s:.2f}", rate, f"{full_s / median_s:.2f} x"]
        for table in PROOF:
            cpu_s = statistics.median(run.cpu_s[table] for run in turns)
            row += [f"{one.size[table] / one.deliveries / 1000:.1f}", f"{1000 * cpu_s / one.deliveries:.2f}"]
        rows.append(tuple(row))
    return [Measured("durability", columns, rows)]


def _trade(street: GatewayPlan, mode: str) -> _Run:
    end = street.resource.spec.clock.start + timedelta(hours=HOURS)
    transactions = 0
    size: Counter[str] = Counter()

    def count(statement: str) -> None:
        nonlocal transactions
        transactions += statement.startswith("BEGIN")

    def database(folder: Path, name: str, salt: str) -> Database:
        opened = Database.open(folder / f"{name}.db", salt=salt)
        opened.connection.execute(f"PRAGMA synchronous = {mode}")
        opened.connection.set_trace_callback(count)
        return opened

    with tempfile.TemporaryDirectory() as folder, _timed() as cpu_s:
        begun = time.perf_counter()
        run = simulate(lambda: run_in_memory(street, end, database=partial(database, Path(folder))))
        took_s = time.perf_counter() - begun
        query = "SELECT count(*) FROM contracts WHERE side = 'buyer' AND state = 'SETTLED'"
        deliveries = sum(pod.database.connection.execute(query).fetchone()[0] for pod in run.pods.values())
        for pod in run.pods.values():
            for table in PROOF:
                names = f"SELECT name FROM sqlite_schema WHERE tbl_name = '{table}'"  # noqa: S608
                used = f"SELECT total(pgsize - unused) FROM dbstat WHERE name IN ({names})"  # noqa: S608
                size[table] += int(pod.database.connection.execute(used).fetchone()[0])
        run.close()
    return _Run(took_s, deliveries, transactions, size, cpu_s)


@contextmanager
def _timed() -> Iterator[Mapping[str, float]]:
    """CPU seconds that writing evidence and chain takes, by table."""
    spent: defaultdict[str, float] = defaultdict(float)

    def timed(table: str, work: Callable[..., Any]) -> Callable[..., Any]:
        def measured(*values: Any) -> Any:
            begun = time.thread_time()
            try:
                return work(*values)
            finally:
                spent[table] += time.thread_time() - begun

        return measured

    with (
        patch.object(evidence, "keep", timed("evidence", evidence.keep)),
        patch.object(Chains, "write", timed("chain", Chains.write)),
    ):
        yield spent
