"""`make attack`: a quiet street, then the same with each attack beside it, and what the honest sold.

First in virtual time, where that is what the market lets them, whatever the machine does; then over HTTP, where the
process and its connections are under attack, too. An attack on connections there has a quiet street right before it, as
its sales follow from what else the machine does.
"""

from __future__ import annotations

import argparse
import asyncio
import io
import json
import logging
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass

from rich.console import Console
from rich.table import Table

from tests.attack.attacks import ATTACKS, BY_NAME, Attack
from tests.attack.run import Result, attacked, attacked_in_memory
from wattmesh_common.fields import V1_ONLY, ProtocolVersion
from wattmesh_common.logs import configure

GOAL = 0.8
"""Of what the honest sell on the quiet street."""
MEMORY, HTTP = "memory", "http"


@dataclass(frozen=True)
class Row:
    """What became of a street, and of which quiet one its sales are a share; None where that says nothing."""

    over: str
    result: Result
    quiet: Result | None

    @property
    def of_quiet(self) -> float | None:
        """Honest sales in the same grid time, as a share of the quiet street's."""
        return None if self.quiet is None else ratio(self.result, self.quiet)

    @property
    def failed(self) -> bool:
        """Whether the honest sold less than the goal, the books have findings or the attack did not go on."""
        low = self.of_quiet is not None and self.of_quiet < GOAL
        return low or bool(self.result.findings or self.result.broke)


def main() -> int:
    """0 when every attack left the honest the goal and the books without a finding; 1 otherwise."""
    parser = argparse.ArgumentParser(prog="make attack", description=__doc__)
    parser.add_argument("--slots", type=int, default=16, help="delivery slots of each run (default: 16)")
    parser.add_argument("--speed", type=float, default=600, help="grid seconds per second (default: 600)")
    parser.add_argument("--only", nargs="+", choices=sorted(BY_NAME), default=None, metavar="ATTACK")
    parser.add_argument("--over", choices=[MEMORY, HTTP], default=None, help="only in virtual time, or over HTTP")
    parser.add_argument("--both", action="store_true", help="a network that speaks v1, as attacks do, and v2")
    parser.add_argument("--output", choices=["table", "json"], default="table")
    options = parser.parse_args()
    configure(io.StringIO(), logging.ERROR)  # what is refused
    wanted = [BY_NAME[name] for name in options.only] if options.only else ATTACKS
    protocols: tuple[ProtocolVersion, ...] = ("v1", "v2") if options.both else V1_ONLY

    def in_memory(attack: Attack | None) -> Result:
        _tell(MEMORY, attack)
        return attacked_in_memory(attack, slots=options.slots, speed=options.speed, protocols=protocols)

    def over_http(attack: Attack | None) -> Result:
        _tell(HTTP, attack)
        return asyncio.run(attacked(attack, slots=options.slots, speed=options.speed, protocols=protocols))

    rows: list[Row] = []
    if options.over != HTTP:
        rows += _in_memory(in_memory, [attack for attack in wanted if not attack.on_connections])
    if options.over != MEMORY:
        rows += _over_http(over_http, wanted)
    if options.output == "json":
        said = [asdict(row.result) | {"over": row.over, "of_quiet": row.of_quiet} for row in rows]
        sys.stdout.write(json.dumps(said, indent=2) + "\n")
    else:
        Console(width=None if sys.stdout.isatty() else 190).print(_table(rows))
    return int(any(row.failed for row in rows))


def ratio(one: Result, quiet: Result) -> float:
    """Honest sales per minute of grid time, of the quiet street's."""
    return one.per_grid_minute / quiet.per_grid_minute if quiet.sales else 0.0


def _in_memory(run: Callable[[Attack | None], Result], attacks: Sequence[Attack]) -> Iterator[Row]:
    if attacks:
        quiet = run(None)
        yield Row(MEMORY, quiet, quiet)
        for attack in attacks:
            yield Row(MEMORY, run(attack), quiet)


def _over_http(run: Callable[[Attack | None], Result], attacks: Sequence[Attack]) -> Iterator[Row]:
    """Of an attack that is judged in virtual time, only what it does to process and books."""
    for attack in attacks:
        quiet = run(None) if attack.on_connections else None
        if quiet is not None:
            yield Row(HTTP, quiet, quiet)
        yield Row(HTTP, run(attack), quiet)


def _tell(over: str, attack: Attack | None) -> None:
    sys.stderr.write(f"{over}: {'quiet street' if attack is None else attack.name} …\n")


def _table(rows: Sequence[Row]) -> Table:
    table = Table(title="Honest sales beside attacks")
    for name in ("ATTACK", "OVER", "SALES", "/GRID MIN", "OF QUIET", "CALLS", "RSS MB", "AUDIT", "TEST"):
        table.add_column(name, justify="left" if name in ("ATTACK", "OVER", "AUDIT", "TEST") else "right")
    for row in rows:
        one = row.result
        found = ", ".join(f"{kind} {number}" for kind, number in sorted(one.findings.items())) or "none"
        table.add_row(
            one.attack,
            row.over,
            str(one.sales),
            f"{one.per_grid_minute:.3f}",
            "" if row.of_quiet is None else f"{row.of_quiet:.0%}",
            str(one.calls),
            "" if one.rss_mb is None else f"{one.rss_mb[0]:.0f} → {one.rss_mb[1]:.0f}",
            f"{found}{f'; {one.broke}' if one.broke else ''}",
            one.test,
        )
    return table


if __name__ == "__main__":
    sys.exit(main())
