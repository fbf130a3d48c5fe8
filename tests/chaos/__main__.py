"""`make chaos`: run the chaos tests at full size and show what they did, by seed."""

from __future__ import annotations

import argparse
import asyncio
import shutil
import statistics
import sys
import tempfile
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import get_args

from rich.console import Console
from rich.table import Table

from tests.chaos.run import Result, Run
from wattmesh_common.fields import V1_ONLY, ProtocolVersion

_SECONDS_A_CONTRACT = 1.0
"""How long to wait for contracts before giving up."""
_ALL_POINTS_FROM = 1000
"""So many contracts take long enough for a process to die at every fault point."""


def main() -> int:
    """0 when every seed's books are right; 1 otherwise, and the files of that run are kept."""
    parser = argparse.ArgumentParser(prog="make chaos", description=__doc__)
    parser.add_argument("--seed", type=int, nargs="+", default=[1])
    parser.add_argument("--contracts", type=int, default=1000)
    parser.add_argument("--protocols", nargs="+", choices=get_args(ProtocolVersion), default=V1_ONLY)
    options = parser.parse_args()
    console = Console(width=None if sys.stdout.isatty() else 160, log_path=False)
    results = []
    for seed in options.seed:
        state = Path(tempfile.mkdtemp(prefix=f"wattmesh-chaos-{seed}-"))
        run = Run(seed, state, console.log, options.protocols)
        result = asyncio.run(run.go(options.contracts, 120 + options.contracts * _SECONDS_A_CONTRACT))
        if result.contracts < options.contracts:
            result.wrong.append(f"only {result.contracts} of {options.contracts} contracts were delivered in time")
        if result.points_not_killed_at and options.contracts >= _ALL_POINTS_FROM:
            result.wrong.append(f"no process died at {', '.join(result.points_not_killed_at)}")
        results.append(result)
        _tell(console, result, state)
        if not result.wrong:
            shutil.rmtree(state)
    console.print(_points(results))
    console.print(_runs(results))
    return int(any(result.wrong for result in results))


def _tell(console: Console, result: Result, state: Path) -> None:
    console.log(f"seed {result.seed}: {result.summary}; {'all right' if not result.wrong else 'WRONG'}")
    for what in result.wrong[:20]:
        console.log(what, style="red", markup=False)
    if result.wrong:
        console.log(f"its files are in {state}; again: make chaos SEED={result.seed}")


def _runs(results: list[Result]) -> Table:
    table = Table(title="Runs")
    table.add_column("SEED")
    for result in results:
        table.add_column(str(result.seed), justify="right")
    rows: dict[str, Callable[[Result], object]] = {
        "deliveries": lambda result: result.contracts,
        "killed at fault points": lambda result: result.killed_at_points,
        "killed at random": lambda result: result.killed_at_random,
        "messages carried": lambda result: result.post["carried"],
        **{what: partial(_of_post, what) for what in ("dropped", "answers dropped", "doubled", "delayed", "reordered")},
        "clocks set off": lambda result: result.troubles["clock"],
        "disks refusing": lambda result: result.troubles["disk"],
        "sellers made slow": lambda result: result.troubles["slow"],
        "searches thrown at the gateway": lambda result: result.flood_statuses.total(),
        "… refused, 429 or 503": lambda result: result.flood_statuses["429"] + result.flood_statuses["503"],
        "restart to ready, median (s)": lambda result: f"{statistics.median(result.ready_after_s):.1f}",
        "restart to ready, longest (s)": lambda result: f"{max(result.ready_after_s):.1f}",
        "last restart to consistent (s)": lambda result: f"{result.consistent_after_s:.1f}",
        "largest process (MB)": lambda result: f"{result.most_rss_mb:.0f}",
        "seconds in all": lambda result: f"{result.wall_s:.0f}",
        "wrong": lambda result: len(result.wrong),
    }
    for name, value in rows.items():
        table.add_row(name, *(str(value(result)) for result in results))
    return table


def _of_post(what: str, result: Result) -> int:
    return result.post[what]


def _points(results: list[Result]) -> Table:
    table = Table(title="Fault points")
    for name, side in (("POINT", "left"), ("OCCASION", "left"), ("REACHED", "right"), ("KILLED", "right")):
        table.add_column(name, justify=side)  # type: ignore[arg-type]
    for point, occasion in sorted({key for result in results for key in result.occasions}):
        counts = [result.occasions.get((point, occasion), (0, 0)) for result in results]
        table.add_row(point, occasion, str(sum(c[0] for c in counts)), str(sum(c[1] for c in counts)))
    return table


if __name__ == "__main__":
    sys.exit(main())
