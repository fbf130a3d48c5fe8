"""What a utility's customers draw is told beside its capacity, which limits its sales only."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from tests.cli.kpi.small_street import FIRST, FLAT, GRID, ROOF, SECOND, STORE, THIRD, small_street
from tests.world.manifests import MARKET, households, utility
from wattmesh_cli.kpi import ALL_SLOTS, Slots, UtilityKpis, collect, utility_kpis
from wattmesh_cli.main import app

CAR = [100] * 80 + [5500] * 16
"""A car charges with 22 kW in the last four hours of the day."""


def test_what_one_customer_gives_another_draws_is_netted() -> None:
    rows = collect(small_street())
    by_slot = {
        slot: sum(one.drawn_wh for name in (ROOF, FLAT, STORE) for one in rows.readings[name] if one.slot == slot)
        for slot in (FIRST, SECOND, THIRD)
    }
    peak_w = 4 * max(by_slot.values())
    assert utility_kpis(rows, GRID, peak_w, (ROOF, FLAT, STORE), ALL_SLOTS) == UtilityKpis(GRID, peak_w, peak_w, 3, 0)
    above = sum(4 * wh > peak_w - 1 for wh in by_slot.values())
    assert utility_kpis(rows, GRID, peak_w - 1, (ROOF, FLAT, STORE), ALL_SLOTS).above == above > 0
    assert utility_kpis(rows, GRID, 1000, (ROOF, FLAT, STORE), Slots(THIRD + 900)) == UtilityKpis(
        GRID, 1000, None, 0, 0
    )


@pytest.mark.parametrize(("capacity_kw", "above"), [("20", 16), ("22", 0)])
def test_a_car_that_draws_more_than_its_utility_can_is_settled_and_told(
    tmp_path: Path, capacity_kw: str, above: int
) -> None:
    def wattmesh(*arguments: str) -> str:
        result = CliRunner().invoke(app, [*arguments, "--state", str(tmp_path / "state")])
        assert result.exit_code == 0, result.output
        return result.stdout

    (tmp_path / "car.csv").write_text(
        "slot,pv_wh,load_wh\n"
        + "".join(f"2026-06-21T{at // 4:02}:{at % 4 * 15:02}:00Z,0,{wh}\n" for at, wh in enumerate(CAR))
    )
    street = tmp_path / "street.yaml"
    market = MARKET.replace("T06:00:00Z", "T00:00:00Z")
    street.write_text(market + utility(capacity_kw=capacity_kw) + households("house", "profile: {csv: car.csv}"))
    wattmesh("simulate", str(street), "--jobs", "1")
    [told] = json.loads(wattmesh("kpis", "--output", "json"))["utilities"]
    assert told == {
        "party": "utility.default",
        "capacity_kw": f"{capacity_kw}.000",
        "customers_peak_kw": "22.000",
        "slots_above_capacity": above,
        "slots_metered": 96,
    }
    shown = " ".join(wattmesh("kpis").split())
    assert f"22.000 {above} of 96" in shown
    warned = "customers of utility drew up to 22.00 kW together, more than its capacity of 20.00 kW in 16 of 96 slots"
    assert (warned in shown) == (above > 0)
