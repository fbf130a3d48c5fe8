"""The street of `long_run` as `wattmesh up` runs it: over loopback HTTP, by the machine's clock, as fast as it can."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path

from bench.long_run import Watch, table
from bench.tables import Measured
from wattmesh_cli.state import locked
from wattmesh_cli.street.local import running_street
from wattmesh_operator.plan import GatewayPlan

SPEED = 8640.0
"""A day takes ten seconds, or longer where the machine has to be waited for."""


def measure() -> Iterator[Measured]:
    """A row for each stage, of its own days where it says per day."""
    yield Measured("long-run-http", *table(_over_http))


def _over_http(street: GatewayPlan, folder: Path, end: datetime, watch: Watch) -> None:
    async def trade() -> None:
        last_for = (end - street.resource.spec.clock.start).total_seconds()
        async with running_street(street, folder, speed=SPEED, last_for=last_for) as run:
            await watch(run)
            await run.until_end()
            await run.finish(60)

    with locked(folder):
        asyncio.run(trade())
