"""Households that have only some of panels, battery and load, and one with several roofs: all trade and balance."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest

import wattmesh
from tests.world.manifests import MARKET, households, utility
from wattmesh_market.energy.slots import SLOT_S

KINDS = {
    "park": "pv: {peakKw: 40, tiltDegrees: 25}, connectionKw: 40",
    "panels": "pv: {peakKw: 6}, load: {annualKwh: 2500}",
    "two-sides": "pv: {tiltDegrees: 40, roofs: [{peakKw: 4, azimuthDegrees: 90}, {peakKw: 4, azimuthDegrees: 270}]},"
    " load: {annualKwh: 3000}",
    "store": "battery: {capacityKwh: 10, initialKwh: 6}",
    "store-home": "battery: {capacityKwh: 6, initialKwh: 1}, load: {annualKwh: 4000}",
    "flat": "load: {annualKwh: 6000}",
}
STREET = MARKET + utility() + "".join(households(name, spec) for name, spec in KINDS.items())


def studied(folder: Path, text: str) -> wattmesh.Results:
    folder.mkdir(exist_ok=True)
    (folder / "street.yaml").write_text(text)
    return wattmesh.Study.from_manifests([folder / "street.yaml"]).run(state=folder / "state", progress=False)


@pytest.fixture(scope="module")
def results(tmp_path_factory: pytest.TempPathFactory) -> wattmesh.Results:
    return studied(tmp_path_factory.mktemp("kinds"), STREET)


def of(frame: pd.DataFrame, name: str, column: str = "party") -> pd.DataFrame:
    return frame[frame[column] == f"{name}-0.default"]


def test_every_reading_balances_and_the_audit_finds_nothing(results: wattmesh.Results) -> None:
    readings = results.readings
    flows = readings.eval("pv_wh - load_wh + bought_wh - sold_wh + imported_wh - exported_wh - losses_wh")
    assert (readings["level_after_wh"] - readings["level_before_wh"] == flows).all()
    assert readings.groupby("party").size().to_dict() == {f"{name}-0.default": 96 for name in KINDS}
    assert results.ledger[["energy_wh", "amount_micro"]].sum().tolist() == [0, 0]
    assert not results.audit().findings


@pytest.mark.parametrize("name", KINDS)
def test_a_household_has_what_its_manifest_names_and_nothing_else(results: wattmesh.Results, name: str) -> None:
    found = of(results.readings, name)
    for field, columns in {"pv": ["pv_wh"], "load": ["load_wh"], "battery": ["level_after_wh"]}.items():
        assert found[columns].to_numpy().any() == (f"{field}: " in KINDS[name])


@pytest.mark.parametrize("name", KINDS)
def test_each_trades_with_its_neighbours(results: wattmesh.Results, name: str) -> None:
    """Panels sell, a load buys, a battery alone does what pays."""
    found = of(results.readings, name)
    if "pv: " in KINDS[name] or "battery: " in KINDS[name]:
        assert found["sold_wh"].sum() > 0
    if "load: " in KINDS[name]:
        assert found["bought_wh"].sum() > 0


def test_a_park_sells_exports_what_nobody_buys_and_never_imports_but_to_deliver(results: wattmesh.Results) -> None:
    park = of(results.readings, "park")
    assert park["exported_wh"].sum() > 0
    assert (park["imported_wh"] <= park["sold_wh"]).all(), "what clouds took from a sale"
    assert (park["sold_wh"] <= 40_000 * SLOT_S // 3600).all()


def test_two_sides_have_their_sun_from_both(results: wattmesh.Results, tmp_path: Path) -> None:
    """A study of each side alone has, slot by slot, what the two sides have together."""
    both = of(results.readings, "two-sides")["pv_wh"]
    sides = [
        f"pv: {{peakKw: 4, tiltDegrees: 40, azimuthDegrees: {azimuth}}}, load: {{annualKwh: 3000}}"
        for azimuth in (90, 270)
    ]
    streets = [MARKET + utility() + households("two-sides", side) for side in sides]
    east, west = (studied(tmp_path / str(number), street).readings["pv_wh"] for number, street in enumerate(streets))
    # Clouds take their part of the sum, rounded once.
    assert (both - east - west).between(0, 2).all()
    assert east.sum() > 0 < west.sum()
