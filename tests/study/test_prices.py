"""A study on spot prices: the same by calls and by messages, its prices in the results, and what is refused."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest
from typer.testing import CliRunner

import wattmesh
from tests.world.manifests import households
from wattmesh_cli.main import app
from wattmesh_cli.sqlite_books import read_books

STREET = """
apiVersion: wattmesh.io/v1alpha1
kind: BecknGateway
metadata: {name: market}
spec: {clock: {start: "2026-06-21T00:00:00+02:00"}}
---
apiVersion: wattmesh.io/v1alpha1
kind: UtilityAgent
metadata: {name: utility}
spec:
  capacityKw: 50
  tariff:
    price: 0.02
    feedIn: -0.001
    gridFee: 0.01
    localGridFee: 0.01
    series: {csv: spot.csv, columns: {price: Spot (EUR/MWh), feedIn: Spot (EUR/MWh)}}
"""
HOMES = (
    households("roof", "pv: {peakKw: 8}, battery: {capacityKwh: 8, initialKwh: 3}, load: {annualKwh: 3500}")
    + households("panels", "pv: {peakKw: 6}, load: {annualKwh: 3000}")
    + households("rules", "strategy: rules, battery: {capacityKwh: 6, initialKwh: 1}, load: {annualKwh: 3000}")
    + households("flat", "load: {annualKwh: 3000}")
)
NOON = range(11, 16)


def spot(hours: int) -> pd.DataFrame:
    """Spot prices as pandas has them: 80 EUR/MWh, and -60 around noon."""
    index = pd.date_range("2026-06-21", periods=hours, freq="h", tz="Europe/Berlin", name="slot")
    return pd.DataFrame({"Spot (EUR/MWh)": [-60 if time.hour in NOON else 80 for time in index]}, index)


@pytest.fixture
def street(tmp_path: Path) -> Path:
    spot(24).to_csv(tmp_path / "spot.csv")
    path = tmp_path / "street.yaml"
    path.write_text(STREET + HOMES)
    return path


def test_calls_and_messages_give_the_same_books_and_the_audit_finds_nothing(street: Path, tmp_path: Path) -> None:
    states = {over: tmp_path / over for over in ("calls", "messages")}
    for over, state in states.items():
        arguments = ["simulate", str(street), "--state", str(state), "--over", over, "--jobs", "1"]
        ran = CliRunner().invoke(app, arguments)
        assert ran.exit_code == 0, ran.output
        assert "nothing wrong" in ran.output
    by_calls, by_messages = (
        sorted((entry for book in read_books(state) for entry in book.ledger), key=repr) for state in states.values()
    )
    assert by_calls == by_messages
    results = wattmesh.Results(states["calls"])
    assert not results.audit().findings
    supplied = results.ledger[results.ledger["kind"] == "backstop"]
    paid = supplied[(supplied["energy_wh"] > 0) & (supplied["amount_micro"] > 0)]
    assert {time.hour for time in paid.index} == {*NOON}, "import was paid for around noon"
    costly = supplied[(supplied["energy_wh"] < 0) & (supplied["amount_micro"] < 0)]
    assert len(costly), "feed-in has cost"
    assert {time.hour for time in costly.index} <= {*NOON}
    assert (results.contracts["amount_micro"] >= 0).all()


def test_results_and_report_show_the_prices_of_the_series(street: Path, tmp_path: Path) -> None:
    results = wattmesh.Study.from_manifests([street]).run(state=tmp_path / "state", progress=False)
    prices = results.prices
    at_noon, at_night = (prices[prices.index.hour == hour] for hour in (12, 0))
    assert set(at_noon["tariff_micro_per_kwh"]) == {-30_000}
    assert set(at_noon["feed_in_micro_per_kwh"]) == {-61_000}
    assert set(at_night["tariff_micro_per_kwh"]) == {110_000}
    results.report(tmp_path / "report.html")
    assert "-0.03" in (tmp_path / "report.html").read_text().replace("−", "-")


def test_a_series_that_ends_before_the_study_is_refused_with_what_to_do(street: Path, tmp_path: Path) -> None:
    ran = CliRunner().invoke(app, ["simulate", str(street), "--days", "2", "--state", str(tmp_path / "state")])
    assert ran.exit_code == 2
    text = " ".join(ran.output.split())
    assert f"UtilityAgent utility: spec.tariff.series: {street.parent / 'spot.csv'} has prices until" in text
    assert "2026-06-22 00:00, and the run ends 2026-06-23 00:00: give prices until then, or run fewer days" in text
    assert not (tmp_path / "state" / "street.json").exists()


def test_other_prices_are_another_study(street: Path, tmp_path: Path) -> None:
    arguments = ["simulate", str(street), "--state", str(tmp_path / "state"), "--jobs", "1"]
    assert CliRunner().invoke(app, arguments).exit_code == 0
    (spot(24) + 1).to_csv(street.parent / "spot.csv")
    ran = CliRunner().invoke(app, arguments)
    assert ran.exit_code == 2
    assert "a study of other manifests, profiles or prices" in " ".join(ran.output.split())


def test_prices_that_stand_in_the_manifest_are_those_of_the_file(street: Path, tmp_path: Path) -> None:
    text = (street.parent / "spot.csv").read_text().replace("\n", "\n        ")
    inline = tmp_path / "inline.yaml"
    inline.write_text(
        (STREET + HOMES).replace(
            "series: {csv: spot.csv, columns: {price: Spot (EUR/MWh), feedIn: Spot (EUR/MWh)}}",
            "series:\n      columns: {price: Spot (EUR/MWh), feedIn: Spot (EUR/MWh)}\n      inline: |\n        " + text,
        )
    )
    states = {path: tmp_path / path.stem for path in (street, inline)}
    for path, state in states.items():
        ran = CliRunner().invoke(app, ["simulate", str(path), "--state", str(state), "--jobs", "1"])
        assert ran.exit_code == 0, ran.output
    of_file, of_text = (
        sorted((entry for book in read_books(state) for entry in book.ledger), key=repr) for state in states.values()
    )
    assert of_file == of_text
    assert "inline" in CliRunner().invoke(app, ["validate", str(inline)]).output


def test_validate_says_how_prices_are_read(street: Path) -> None:
    ran = CliRunner().invoke(app, ["validate", str(street)])
    assert ran.exit_code == 0, ran.output
    assert "prices from 2026-06-21 00:00+02:00 to 2026-06-22 00:00+02:00, 60 min" in ran.output
    assert "Spot (EUR/MWh) is price, perMwh" in ran.output
