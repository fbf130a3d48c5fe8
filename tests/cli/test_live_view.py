"""The live view shows what the ledgers say, in the room that there is."""

from __future__ import annotations

import io
from datetime import timedelta

import pytest
from rich.console import Console, ConsoleDimensions

from tests.world.manifests import MARKET, example, households, planned, utility
from wattmesh_cli.street.live import picture
from wattmesh_cli.street.memory import run_in_memory, simulate
from wattmesh_cli.street.run import StreetRun
from wattmesh_operator.plan import GatewayPlan

LINES = [f"06-21 06:{minute} home-0 [65c184aa] line {minute} {'of a length that fits no terminal ' * 9}" for minute in
         range(10, 60)]  # fmt: skip


LEVEL_AND_BOUGHT = "SELECT (SELECT level_wh FROM parties), (SELECT sum(energy_wh) FROM ledger WHERE kind = 'trade')"


def shown(
    plan: GatewayPlan, sizes: list[tuple[int, int]], lines: list[str], books: list[tuple[int, int]] | None = None
) -> tuple[list[list[str]], StreetRun]:
    """What terminals of these sizes show after 50 minutes of grid time; `books` gets what household-0 has then."""
    start = plan.resource.spec.clock.start
    pictures: list[list[str]] = []

    async def look(street: StreetRun) -> None:
        await next(iter(street.pods.values())).grid.sleep_until((start + timedelta(minutes=50)).timestamp())
        for width, height in sizes:
            console = Console(record=True, width=width, height=height, file=io.StringIO())
            console.print(picture(street, lines, ConsoleDimensions(width, height)))
            pictures.append(console.export_text().splitlines())
        if books is not None:
            books.append(street.pods["household-0"].database.connection.execute(LEVEL_AND_BOUGHT).fetchone())

    async def run() -> StreetRun:
        return await run_in_memory(plan, start + timedelta(minutes=51), watch=look)

    return pictures, simulate(run)


def test_a_row_for_everybody_and_the_newest_lines() -> None:
    books: list[tuple[int, int]] = []
    [rows], street = shown(example("seed.yaml"), [(160, 50)], ["first line", "✅ Contract confirmed!"], books)
    street.close()
    [(level_wh, bought_wh)] = books
    assert rows[0].startswith("Sun 21 Jun 06:50")
    household = next(row for row in rows if row.startswith("household-0"))
    assert f"{level_wh / 1000:.2f} kWh" in household
    assert f"{bought_wh / 1000:.3f}" in household
    assert "buyer" in household
    seller = next(row for row in rows if row.startswith("utility"))
    assert "seller" in seller
    assert "0.250" in seller
    assert any("✅ Contract confirmed!" in row for row in rows)


@pytest.mark.parametrize("size", [(80, 24), (160, 50), (40, 12)])
def test_it_fills_the_terminal_and_no_more(size: tuple[int, int]) -> None:
    width, height = size
    [rows], street = shown(example("street.yaml"), [size], LINES)
    street.close()
    assert len(rows) <= height
    assert max(map(len, rows)) <= width
    assert LINES[-1][: width // 2] in rows[-2]  # the newest line, above the border
    assert rows[1].split()[:2] == (["HOUSEHOLD", "SOC"] if width == 40 else ["HOUSEHOLD", "BATTERY"])
    first = next(row for row in rows if row.startswith("rooftop-0"))
    assert first.rstrip()[-1].isdigit()


def test_it_uses_the_room_of_a_large_one() -> None:
    (small, large), street = shown(example("street.yaml"), [(80, 24), (160, 50)], LINES)
    street.close()
    assert (len(small), len(large)) == (24, 50)
    assert {"PRICE", "OPEN"} <= set(large[1].split())
    battery = next(row for row in large if row.startswith("battery-0"))
    assert battery.count("█") + battery.count("░") == 40


def test_of_a_town_those_are_shown_that_there_is_room_for() -> None:
    town = planned(MARKET + utility() + households("flat", "load: {annualKwh: 3000}", replicas=30))
    [rows], street = shown(town, [(80, 24)], LINES)
    street.close()
    assert len(rows) == 24
    assert "and 16 more" in "\n".join(rows)
