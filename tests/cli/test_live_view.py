"""The live view shows what the ledgers say."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

from rich.console import Console

from wattmesh_cli.street.live import picture
from wattmesh_cli.street.memory import run_in_memory, simulate
from wattmesh_cli.street.run import StreetRun
from wattmesh_operator.manifests import load
from wattmesh_operator.plan import plan

SEED = str(Path(__file__).parents[2] / "examples" / "seed.yaml")


def test_a_row_for_everybody_and_the_newest_lines() -> None:
    seed = plan(load([SEED]))[0]
    start = seed.resource.spec.clock.start
    rows: list[str] = []
    booked: list[tuple[int, int]] = []

    async def look(street: StreetRun) -> None:
        household = street.pods["household-0"]
        await household.grid.sleep_until((start + timedelta(minutes=50)).timestamp())
        console = Console(record=True, width=160, quiet=False)
        console.print(picture(street, ["first line", "✅ Contract confirmed!"]))
        rows.extend(console.export_text().splitlines())
        query = "SELECT (SELECT level_wh FROM parties), (SELECT sum(energy_wh) FROM ledger WHERE kind = 'trade')"
        booked.append(household.database.connection.execute(query).fetchone())

    async def run() -> StreetRun:
        return await run_in_memory(seed, start + timedelta(hours=1), watch=look)

    simulate(run).close()
    level_wh, bought_wh = booked[0]
    assert rows[0].startswith("Sun 21 Jun 06:50")
    household = next(row for row in rows if row.startswith("household-0"))
    assert f"{level_wh / 1000:.2f} kWh" in household
    assert f"{bought_wh / 1000:.3f}" in household
    assert "buyer" in household
    utility = next(row for row in rows if row.startswith("utility"))
    assert "seller" in utility
    assert "0.250" in utility
    assert any("✅ Contract confirmed!" in row for row in rows)
