"""Households with an EV, a heat pump and other loads that can be shifted, in studies."""

from __future__ import annotations

from datetime import time
from decimal import Decimal
from pathlib import Path

import pandas as pd
import pytest

import wattmesh
from tests.world.manifests import MARKET, households, utility
from wattmesh_cli.evaluation import evaluate

EV = 'ev: {plugged: {from: "18:00", to: "07:00"}, needsKwh: 10, chargerKw: 11}'
HEAT_PUMP = 'heatPump: {window: {from: "06:00", to: "20:00"}, kwh: 6, kw: 2}'
NIGHT = ', periods: [{from: "00:00", to: "06:00", price: 0.10}]'


def studied(folder: Path, *homes: str, fees: str = "", days: int = 2) -> wattmesh.Results:
    folder.mkdir(exist_ok=True)
    (folder / "street.yaml").write_text(MARKET + utility(price="0.30", fees=fees) + "".join(homes))
    return wattmesh.Study.from_manifests([folder / "street.yaml"]).run(
        days=days, state=folder / "state", progress=False
    )


@pytest.fixture(scope="module")
def results(tmp_path_factory: pytest.TempPathFactory) -> wattmesh.Results:
    """Some that plan and one by rules, with and without battery and panels."""
    return studied(
        tmp_path_factory.mktemp("devices"),
        households("car", f"load: {{annualKwh: 3000}}, {EV}", replicas=2),
        households("all", f"pv: {{peakKw: 8}}, battery: {{capacityKwh: 8, initialKwh: 4}}, {EV}, {HEAT_PUMP}"),
        households("only", EV),
        households("rules", f"load: {{annualKwh: 3000}}, {EV}, {HEAT_PUMP}, strategy: rules"),
        households("roof", "pv: {peakKw: 8}, load: {annualKwh: 3000}"),
        fees=NIGHT,
    )


def test_readings_balance_with_devices_and_the_audit_finds_nothing(results: wattmesh.Results) -> None:
    readings = results.readings
    flows = readings.eval("pv_wh - load_wh + bought_wh - sold_wh + imported_wh - exported_wh - losses_wh")
    assert (readings["level_after_wh"] - readings["level_before_wh"] == flows).all()
    assert (readings["ev_wh"] + readings["heat_pump_wh"] <= readings["load_wh"]).all()
    assert not results.audit().findings


def test_every_device_has_what_it_needs_by_the_end_of_its_window(results: wattmesh.Results) -> None:
    devices = results.devices
    last = devices[devices["end"] == devices.index + pd.Timedelta("15min")]
    assert len(last) == 5 * 1 + 2 * 2, "five cars one night, two heat pumps two days"
    assert (last["left_wh"] == 0).all()
    taken = devices[devices["end"] <= devices.index.max()].groupby(["party", "device", "begin"])["taken_wh"].sum()
    assert set(taken.xs("ev", level="device")) == {10_000}
    assert set(taken.xs("heat-pump", level="device")) == {6000}
    assert devices["taken_wh"].max() <= 11_000 // 4


def test_by_rules_devices_run_from_their_windows_start(
    results: wattmesh.Results,
) -> None:
    devices = results.devices
    running = devices[(devices["party"] == "rules-0.default") & (devices["taken_wh"] > 0)]
    first = running[running.index < running.index.min() + pd.Timedelta("1D")]
    car, heat = (first[first["device"] == name]["taken_wh"] for name in ("ev", "heat-pump"))
    assert car.tolist() == [2750, 2750, 2750, 1750]
    assert car.index[0].hour == 18
    assert heat.tolist() == [500] * 12
    assert heat.index[0].hour == 6


def bill(results: wattmesh.Results, name: str) -> float:
    kpis = results.kpis.set_index("party")
    return float(kpis.loc[f"{name}-0.default", "bill"])


def test_a_plan_charges_a_car_in_the_cheap_hours_and_pays_a_third(tmp_path: Path) -> None:
    """10 kWh at 0.10 after midnight, where rules take them at 0.30 in the evening; from 6:00 to 12:00 a day later."""
    by_plan, by_rules = (
        studied(tmp_path / strategy, households("car", f"{EV}, strategy: {strategy}"), fees=NIGHT, days=1)
        for strategy in ("plan", "rules")
    )
    assert (bill(by_plan, "car"), bill(by_rules, "car")) == (1.0, 3.0)


def test_a_plan_runs_a_heat_pump_on_its_own_sun_and_earns_more(tmp_path: Path) -> None:
    """The same 6 kWh at 2 kW cost what is not fed in at 0.08, or what is lacking early in the morning at 0.30."""
    home = f"pv: {{peakKw: 1.5}}, {HEAT_PUMP}, forecast: perfect"
    by_plan, by_rules = (
        studied(tmp_path / strategy, households("home", f"{home}, strategy: {strategy}"), days=1)
        for strategy in ("plan", "rules")
    )
    received = [of.readings[["bought_wh", "imported_wh"]].to_numpy().sum() for of in (by_plan, by_rules)]
    assert received[0] < 100 < 2000 < received[1]
    assert by_plan.readings["load_wh"].sum() == by_rules.readings["load_wh"].sum() == 6000
    assert bill(by_plan, "home") < bill(by_rules, "home")


def test_what_a_home_would_pay_alone_has_its_devices_where_it_would_run_them(tmp_path: Path) -> None:
    """Who plans would charge at night alone, too; who goes by rules would not. Nobody here has anything to trade."""
    for strategy, alone in (("plan", 1.0), ("rules", 3.0)):
        car = households("car", f"{EV}, strategy: {strategy}")
        kpis = studied(tmp_path / strategy, car, fees=NIGHT, days=1).kpis.set_index("party").loc["car-0.default"]
        assert (kpis["bill"], kpis["utility_only_bill"]) == (alone, alone)


def test_a_street_with_devices_has_an_optimum_that_nobody_beats(results: wattmesh.Results) -> None:
    """Two nights, of which the second one is not over when the run ends: all is compared on equal demand."""
    found = evaluate([], results.state, None, None, optimum=True).kpis.possible
    assert found is not None
    for reached in found.reached.values():
        assert reached.optimum_micro <= reached.market_micro < reached.alone_micro
    assert all(loss.micro < 200_000 for loss in found.losses)


def test_all_that_devices_need_can_be_said_with_types() -> None:
    window = wattmesh.Window(start=time(18), end=time(7), days=("Mon",))
    spec = wattmesh.SolarAgentSpec(
        ev=wattmesh.Ev(plugged=window, charger_kw=Decimal(11), needs_kwh=Decimal(10)),
        heat_pump=wattmesh.HeatPump(window=window, kw=Decimal(2), kwh=Decimal(6)),
        shiftable=(wattmesh.ShiftableLoad(name="washer", window=window, kw=Decimal(2), kwh=Decimal(1)),),
    )
    assert [device.name for device in spec.devices] == ["ev", "heat-pump", "washer"]
