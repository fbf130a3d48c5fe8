"""`wattmesh compare` and `wattmesh simulate --set`."""

from __future__ import annotations

import csv
import io
import json
from decimal import Decimal
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from tests.world.manifests import MARKET, households, utility
from wattmesh_cli.main import app

STREET = (
    MARKET
    + utility()
    + households("roof", "battery: {capacityKwh: 6, initialKwh: 1}, pv: {peakKw: 8}, load: {annualKwh: 3500}")
    + households("flat", "load: {annualKwh: 2500}")
)


def wattmesh(*arguments: str | Path) -> Result:
    return CliRunner().invoke(app, [str(one) for one in arguments])


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a run as the manifest says, one with another battery and tariff, and one that is shorter."""
    folder = tmp_path_factory.mktemp("runs")
    street = folder / "street.yaml"
    street.write_text(STREET)
    sets = ["--set", "spec.battery.capacityKwh=9.5", "--set", "utilityagent.spec.tariff={price: 0.4, feedIn: 0.08}"]
    for state, more in {"as-is": [], "dear": sets, "long": ["--days", "2"]}.items():
        ran = wattmesh("simulate", street, "--state", folder / state, "--jobs", "1", *more)
        assert ran.exit_code == 0, ran.output
    return folder


def test_what_was_set_is_what_ran(runs: Path) -> None:
    [record] = json.loads((runs / "dear" / "street.json").read_text())["versions"]
    specs = {one["metadata"]["name"]: one["spec"] for one in record["manifests"]}
    assert specs["roof"]["battery"] == {"capacityKwh": 9.5, "initialKwh": 1.0}
    assert specs["utility"]["tariff"] == {"price": 0.4, "feedIn": 0.08}
    assert "battery" not in specs["flat"]


def test_a_run_goes_on_with_the_values_that_it_was_begun_with(runs: Path) -> None:
    assert wattmesh("simulate", "--state", runs / "dear").exit_code == 0
    assert wattmesh("simulate", "--state", runs / "dear", "--set", "spec.tariff.price=0.4").exit_code == 0
    other = wattmesh("simulate", "--state", runs / "dear", "--set", "spec.tariff.price=0.5")
    assert other.exit_code == 2
    assert "a study of other manifests, profiles or prices" in other.stderr


@pytest.mark.parametrize(
    ("setting", "wrong"),
    [
        ("spec.tariff.price", "write PATH=VALUE"),
        ("spec.tariff.price=[", "is not valid YAML"),
        ("spec.tarif.price=1", "did you mean spec.tariff.price?"),
        ("spec.battery.capacityKwh=0.5", "SolarAgent roof: spec.battery.initialKwh: must be at most capacityKwh (0.5)"),
    ],
)
def test_a_setting_that_cannot_be(runs: Path, tmp_path: Path, setting: str, wrong: str) -> None:
    result = wattmesh("simulate", runs / "street.yaml", "--state", tmp_path / "state", "--set", setting)
    assert result.exit_code == 2
    assert wrong in result.stderr
    assert not (tmp_path / "state").exists()


def test_tables_say_what_differs(runs: Path) -> None:
    result = wattmesh("compare", runs / "as-is", runs / "dear")
    assert result.exit_code == 0, result.output
    lines = [line.split() for line in result.stdout.splitlines()]
    assert ["SETTING", "as-is", "dear"] in lines
    assert ["solaragent/roof.spec.battery.capacityKwh", "6.0", "9.5"] in lines
    assert ["utilityagent/utility.spec.tariff.price", "0.25", "0.4"] in lines
    [bill] = [line for line in lines if line[:1] == ["bill"]]
    assert Decimal(bill[3]) == Decimal(bill[2]) - Decimal(bill[1]) != 0


def test_json_has_every_party_and_the_difference_of_each_run_from_the_first(runs: Path) -> None:
    result = wattmesh("compare", runs / "as-is", runs / "dear", runs / "as-is", "-o", "json")
    found = json.loads(result.stdout)
    assert found["runs"] == [str(runs / "as-is"), str(runs / "dear"), str(runs / "as-is")]
    [roof] = [one for one in found["kpis"] if (one["party"], one["kpi"]) == ("roof-0.default", "bill")]
    first, dear, again = map(Decimal, roof["values"])
    assert list(map(Decimal, roof["differences"])) == [dear - first, again - first]
    kpis = json.loads(wattmesh("kpis", "--state", runs / "dear", "-o", "json").stdout)
    [household] = [one for one in kpis["households"] if one["party"] == "roof-0.default"]
    assert household["bill"] == str(dear)
    [undefined] = [one for one in found["kpis"] if (one["party"], one["kpi"]) == ("flat-0.default", "self_consumption")]
    assert undefined["values"] == [None, None, None]


def test_csv_has_a_line_for_each_run(runs: Path) -> None:
    result = wattmesh("compare", runs / "as-is", runs / "dear", "-o", "csv")
    rows = list(csv.DictReader(io.StringIO(result.stdout)))
    load = [row for row in rows if (row["party"], row["kpi"]) == ("community", "load_kwh")]
    assert [row["run"] for row in load] == ["as-is", "dear"]
    assert [Decimal(row["difference"] or 0) for row in load] == [0, 0]


def test_runs_of_other_slots_are_compared_where_both_ran(runs: Path) -> None:
    refused = wattmesh("compare", runs / "as-is", runs / "long")
    assert refused.exit_code == 2
    assert "have metered other slots" in refused.stderr
    assert "192 from 2026-06-21 06:00 to 2026-06-23 05:45" in refused.stderr
    result = wattmesh("compare", runs / "as-is", runs / "long", "--until", "2026-06-22T05:00")
    assert result.exit_code == 0, result.output
    assert result.stdout.startswith("The runs have the same manifests and seed.")


@pytest.mark.parametrize(
    ("states", "wrong"),
    [(["as-is"], "name the state directories of two runs"), (["as-is", "none"], "no such directory")],
)
def test_what_cannot_be_compared(runs: Path, states: list[str], wrong: str) -> None:
    result = wattmesh("compare", *(runs / state for state in states))
    assert result.exit_code == 2
    assert wrong in result.stderr
