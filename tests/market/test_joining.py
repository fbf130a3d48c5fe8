"""Whether it pays to join: whole streets for some days, against each household alone."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import yaml

from bench.optimum import CASES
from bench.streets import run, street, street_of
from wattmesh_cli.kpi import Rows
from wattmesh_market.energy.battery import Battery, SlotPlan, meter_slot
from wattmesh_market.units import amount_micro

BUY, FEED_IN = 250_000, 80_000
"""The tariff of these streets."""


def resources(name: str) -> list[dict[str, Any]]:
    return [one for one in yaml.safe_load_all(CASES[name].read_text(encoding="utf-8")) if one]


def balance_micro(rows: Rows, household: str) -> int:
    """What a household has earned in all."""
    return sum(entry.amount_micro for entry in rows.ledger[household])


def alone_micro(rows: Rows, household: str, battery: Battery | None = None) -> int:
    """What it would have earned by itself: what its battery does not balance is exchanged with its utility."""
    earned, level_wh, carried_uwh = 0, battery.initial_level_wh if battery else 0, 0
    for one in rows.readings[household]:
        if battery is None:
            net_wh = one.load_wh - one.pv_wh
        else:
            metered = meter_slot(battery, level_wh, SlotPlan(one.slot, one.pv_wh, one.load_wh), carried_uwh)
            level_wh, carried_uwh = metered.level_after_wh, metered.carried_uwh
            net_wh = metered.imported_wh - metered.exported_wh
        earned += amount_micro(FEED_IN, -net_wh) if net_wh < 0 else -amount_micro(BUY, net_wh)
    return earned


@pytest.mark.parametrize("forecast", ["profile", "perfect"])
def test_a_flat_alone_pays_exactly_its_backstop_bill(forecast: str, tmp_path: Path) -> None:
    rows = run(street(CASES["flat1"], forecast, tmp_path), 2)
    (flat,) = rows.households
    assert balance_micro(rows, flat) == alone_micro(rows, flat) < -1_000_000
    assert all((one.bought_wh, one.exported_wh) == (0, 0) for one in rows.readings[flat])


@pytest.mark.parametrize("forecast", ["profile", "perfect"])
def test_a_roof_without_a_battery_and_its_neighbours_are_all_better_off(forecast: str, tmp_path: Path) -> None:
    rows = run(street(CASES["street3"], forecast, tmp_path), 3)
    gained = {name: balance_micro(rows, name) - alone_micro(rows, name) for name in rows.households}
    # Sun that neighbours use is worth 0.25 instead of 0.08: each flat uses some kWh of it in a day.
    assert min(gained.values()) > 50_000, gained
    flats = [gained[name] for name in gained if name.startswith("flat")]
    assert max(flats) < 1.2 * min(flats), "both flats are alike"
    bought_wh = sum(one.bought_wh for name in gained for one in rows.readings[name])
    assert bought_wh > 10_000
    if forecast == "perfect":
        assert all(one.covered_wh == 0 for name in gained for one in rows.readings[name])


@pytest.mark.parametrize("name", ["roof", "zoe"])
def test_three_equal_roofs_gain_about_the_same_whatever_their_name(name: str, tmp_path: Path) -> None:
    found = resources("ties")
    for one in found:
        if one["metadata"]["name"] == "roof":
            one["metadata"]["name"] = name
    rows = run(street_of(found, "perfect", tmp_path / "ties.yaml", CASES["ties"].parent), 21)
    roofs = [one for one in rows.households if one.startswith(f"{name}-")]
    sold_wh = [sum(reading.sold_wh for reading in rows.readings[roof]) for roof in roofs]
    assert len(roofs) == 3
    assert min(sold_wh) > 0
    # Drawn by lot. By name, one of them had five times as much as another.
    assert max(sold_wh) < 1.5 * min(sold_wh), sold_wh


@pytest.mark.parametrize("load_wh", [1, 5])
def test_a_small_load_takes_of_the_store_what_the_efficiency_says(load_wh: int, tmp_path: Path) -> None:
    start, days = datetime(2026, 6, 21, tzinfo=UTC), 4
    slots = [start + timedelta(minutes=15 * number) for number in range(96)]
    profile = tmp_path / "tiny.csv"
    lines = [f"{slot.isoformat()},0,{load_wh}" for slot in slots]
    profile.write_text("\n".join(["slot,pv_wh,load_wh", *lines, ""]), encoding="utf-8")
    gateway, grid = resources("flat1")[:2]
    gateway["spec"]["clock"]["start"] = start
    house = {
        "apiVersion": grid["apiVersion"],
        "kind": "SolarAgent",
        "metadata": {"name": "house"},
        "spec": {"profile": {"csv": str(profile)}, "battery": {"capacityKwh": 10, "initialKwh": 10}},
    }
    rows = run(street_of([gateway, grid, house], "perfect", tmp_path / "tiny.yaml"), days)
    last = rows.readings["house-0.default"][-1]
    left_wh = last.level_after_wh + last.carried_uwh / 1e6
    assert 10_000 - left_wh == pytest.approx(days * 96 * load_wh / 0.95, abs=0.01)
