"""`make attack`: a quiet street over HTTP, then the same with each attack beside it, and what the honest sold."""

from __future__ import annotations

import argparse
import asyncio
import json
import sys
from collections.abc import Sequence
from dataclasses import asdict

from rich.console import Console
from rich.table import Table

from tests.attack.attacks import ATTACKS, BY_NAME
from tests.attack.run import Result, attacked
from wattmesh_common.fields import V1_ONLY, ProtocolVersion

GOAL = 0.8
"""Of what the honest sell on the quiet street."""


def main() -> int:
    """0 when every attack left the honest the goal and the books without a finding; 1 otherwise."""
    parser = argparse.ArgumentParser(prog="make attack", description=__doc__)
    parser.add_argument("--slots", type=int, default=24, help="delivery slots of each run (default: 24)")
    parser.add_argument("--speed", type=float, default=600, help="grid seconds per second (default: 600)")
    parser.add_argument("--only", nargs="+", choices=sorted(BY_NAME), default=None, metavar="ATTACK")
    parser.add_argument("--both", action="store_true", help="a network that speaks v1, as attacks do, and v2")
    parser.add_argument("--output", choices=["table", "json"], default="table")
    options = parser.parse_args()
    wanted = [BY_NAME[name] for name in options.only] if options.only else ATTACKS
    protocols: tuple[ProtocolVersion, ...] = ("v1", "v2") if options.both else V1_ONLY
    results = []
    for attack in (None, *wanted):
        sys.stderr.write(f"{'quiet street' if attack is None else attack.name} …\n")
        results.append(asyncio.run(attacked(attack, slots=options.slots, speed=options.speed, protocols=protocols)))
    quiet = results[0]
    if options.output == "json":
        rows = [
            asdict(one) | {"per_grid_minute": one.per_grid_minute, "per_wall_minute": one.per_wall_minute}
            | {"of_quiet": ratio(one, quiet)}
            for one in results
        ]  # fmt: skip
        sys.stdout.write(json.dumps(rows, indent=2) + "\n")
    else:
        Console(width=None if sys.stdout.isatty() else 190).print(_table(results))
    return int(any(ratio(one, quiet) < GOAL or one.findings or one.broke for one in results))


def ratio(one: Result, quiet: Result) -> float:
    """Honest sales per minute of grid time, of the quiet street's."""
    return one.per_grid_minute / quiet.per_grid_minute if quiet.sales else 0.0


def _table(results: Sequence[Result]) -> Table:
    table = Table(title="Honest sales beside attacks")
    for name in ("ATTACK", "SALES", "/GRID MIN", "/WALL MIN", "OF QUIET", "CALLS", "RSS MB", "AUDIT", "TEST"):
        table.add_column(name, justify="left" if name in ("ATTACK", "AUDIT", "TEST") else "right")
    for one in results:
        found = ", ".join(f"{kind} {number}" for kind, number in sorted(one.findings.items())) or "none"
        table.add_row(
            one.attack,
            str(one.sales),
            f"{one.per_grid_minute:.3f}",
            f"{one.per_wall_minute:.1f}",
            f"{ratio(one, results[0]):.0%}",
            str(one.calls),
            f"{one.rss_before_mb:.0f} → {one.rss_after_mb:.0f}",
            f"{found}{f'; {one.broke}' if one.broke else ''}",
            one.test,
        )
    return table


if __name__ == "__main__":
    sys.exit(main())
