"""`import wattmesh`: a study in Python, its results, and the same ledger as by the command."""

from __future__ import annotations

import signal
import sys
from collections.abc import Callable
from datetime import datetime, time
from decimal import Decimal
from pathlib import Path
from zoneinfo import ZoneInfo

import pandas as pd
import pytest
import yaml
from pydantic import ValidationError
from typer.testing import CliRunner

import wattmesh
from tests.world.manifests import MARKET, households, utility
from wattmesh_cli.main import app
from wattmesh_cli.sqlite_books import read_books
from wattmesh_cli.street import workers
from wattmesh_cli.street.study import Part, PartDone, StudyFeeder

ROOFS = households(
    "roof", "battery: {capacityKwh: 6, initialKwh: 1}, pv: {peakKw: 8}, load: {annualKwh: 3500}", replicas=2
)
FLATS = households("flat", "load: {annualKwh: 2500}", replicas=2)
TEXT = MARKET + utility() + ROOFS + FLATS


@pytest.fixture(scope="module")
def results() -> wattmesh.Results:
    return wattmesh.Study.from_manifests(documents()).run(progress=False)


def documents() -> list[dict[str, object]]:
    """The manifests as plain values, as a program has them: times as datetime, numbers as float."""
    return list(yaml.safe_load_all(TEXT))


def test_the_ledger_is_that_of_the_command(results: wattmesh.Results, tmp_path: Path) -> None:
    (tmp_path / "street.yaml").write_text(TEXT)
    ran = CliRunner().invoke(
        app, ["simulate", str(tmp_path / "street.yaml"), "--state", str(tmp_path / "state"), "--jobs", "1"]
    )
    assert ran.exit_code == 0, ran.output
    assert read_books(results.state) == read_books(tmp_path / "state")
    assert wattmesh.Results(tmp_path / "state").ledger.equals(results.ledger)


@pytest.mark.parametrize("name", ["readings", "contracts", "ledger", "kpis", "prices"])
def test_every_frame_is_in_local_time(results: wattmesh.Results, name: str) -> None:
    index = getattr(results, name).index
    assert len(index)
    assert str(index.tz) == "UTC"
    assert index[0] >= pd.Timestamp("2026-06-21T06:00Z")


def test_the_frames_hold_the_books(results: wattmesh.Results) -> None:
    readings, ledger, contracts = results.readings, results.ledger, results.contracts
    assert len(readings) == 4 * 96
    flows = readings.eval("pv_wh - load_wh + bought_wh - sold_wh + imported_wh - exported_wh - losses_wh")
    assert (readings["level_after_wh"] - readings["level_before_wh"] == flows).all()
    assert ledger[["energy_wh", "amount_micro"]].sum().tolist() == [0, 0]
    settled = contracts[contracts["state"] == "SETTLED"]
    bought = ledger[(ledger["kind"] == "trade") & (ledger["energy_wh"] > 0)]
    assert settled["delivered_wh"].sum() == bought["energy_wh"].sum() > 0
    assert contracts["offers"].notna().all()


def test_kpis_are_those_of_the_command(results: wattmesh.Results) -> None:
    kpis = results.kpis.set_index("party")
    readings = results.readings
    assert list(kpis.index) == ["flat-0.default", "flat-1.default", "roof-0.default", "roof-1.default", "community"]
    assert kpis.loc["community", "load_kwh"] == readings["load_wh"].sum() / 1000
    assert pd.isna(kpis.loc["flat-0.default", "self_consumption"])


def test_prices_are_the_tariff_and_what_neighbours_paid(results: wattmesh.Results) -> None:
    prices = results.prices
    assert len(prices) == 96
    assert set(prices["tariff_micro_per_kwh"]) == {250_000}
    assert set(prices["feed_in_micro_per_kwh"]) == {80_000}
    local = prices["local_micro_per_kwh"].dropna()
    assert 0 < len(local) < 96
    assert local.between(80_000, 250_000).all()


def test_files_hold_what_the_frames_hold(results: wattmesh.Results, tmp_path: Path) -> None:
    results.to_parquet(tmp_path / "new" / "folder")
    for name in ("readings", "contracts", "ledger", "kpis", "prices"):
        pd.testing.assert_frame_equal(
            pd.read_parquet(tmp_path / "new" / "folder" / f"{name}.parquet"),
            getattr(results, name),
            check_index_type=False,
        )
    results.report(tmp_path / "report.html")
    assert "Audit: nothing wrong" in (tmp_path / "report.html").read_text()


def test_the_audit_is_clean(results: wattmesh.Results) -> None:
    audited = results.audit()
    assert audited.findings == ()
    assert audited.readings_checked == 4 * 96


def test_all_that_yaml_says_can_be_said_with_types() -> None:
    """The same plan, from the models and from a file."""
    said = wattmesh.Study.from_manifests(
        [
            wattmesh.BecknGateway(
                metadata=wattmesh.ObjectMeta(name="market"),
                spec=wattmesh.BecknGatewaySpec(
                    clock=wattmesh.Clock(start=datetime(2026, 6, 21, tzinfo=ZoneInfo("Europe/Berlin")))
                ),
            ),
            wattmesh.UtilityAgent(
                metadata=wattmesh.ObjectMeta(name="utility"),
                spec=wattmesh.UtilityAgentSpec(
                    tariff=wattmesh.Tariff(
                        price=Decimal("0.3"),
                        feed_in=Decimal("0.08"),
                        periods=(wattmesh.TariffPeriod(start=time(17), end=time(21), price=Decimal("0.4")),),
                    ),
                    capacity_kw=Decimal(50),
                ),
            ),
            wattmesh.SolarAgent(
                metadata=wattmesh.ObjectMeta(name="roof"),
                spec=wattmesh.SolarAgentSpec(
                    replicas=2,
                    battery=wattmesh.Battery(capacity_kwh=Decimal("6.5"), initial_kwh=Decimal(1)),
                    pv=wattmesh.Pv(peak_kw=Decimal(8), tilt_degrees=Decimal(30)),
                    load=wattmesh.Load(annual_kwh=Decimal(3500)),
                ),
            ),
            wattmesh.SolarAgent(
                metadata=wattmesh.ObjectMeta(name="east-west"),
                spec=wattmesh.SolarAgentSpec(
                    pv=wattmesh.Pv(
                        tilt_degrees=Decimal(30),
                        roofs=tuple(
                            wattmesh.Roof(peak_kw=Decimal(5), azimuth_degrees=Decimal(azimuth)) for azimuth in (90, 270)
                        ),
                    ),
                ),
            ),
        ]
    )
    written = wattmesh.Study.from_manifests(list(yaml.safe_load_all(said.to_yaml())))
    assert written == said
    assert written.fingerprint == said.fingerprint
    assert "2026-06-21T00:00:00+02:00" in said.to_yaml()


def test_mistakes_are_all_said_at_once() -> None:
    wrong = documents()
    wrong[2]["spec"] = {"batery": {}, "load": {"annualKwh": -1}}
    with pytest.raises(wattmesh.ManifestErrors) as caught:
        wattmesh.Study.from_manifests(wrong)
    assert [mistake.path for mistake in caught.value.mistakes] == ["spec.load.annualKwh", "spec.batery"]
    with pytest.raises(ValueError, match="0 gateways"):
        wattmesh.Study.from_manifests([])


@pytest.mark.parametrize(
    ("part", "wrong"),
    [
        (lambda: wattmesh.Clock(start=datetime(2026, 6, 21)), "RFC 3339 with zone"),  # noqa: DTZ001 - that is what is wrong
        (lambda: wattmesh.TariffPeriod(start=time(17, 0, 30), end=time(21), price=Decimal(1)), "HH:MM"),
        (lambda: wattmesh.Battery(capacity_kwh=Decimal(5), initial_kwh=Decimal(6)), "at most capacityKwh"),
    ],
)
def test_a_part_that_cannot_be_says_so_where_it_is_made(part: Callable[[], object], wrong: str) -> None:
    with pytest.raises(ValidationError, match=wrong):
        part()


def test_another_draw_is_another_weather_for_all_neighbours_alike() -> None:
    study = wattmesh.Study.from_manifests(documents())
    assert study.redrawn(0) == study
    again, other = study.redrawn(1), study.redrawn(2)
    assert len({study.fingerprint, again.fingerprint, other.fingerprint}) == 3
    assert again == study.redrawn(1)
    seeds = {household.weather_seed for pod in again.plan.pods for household in pod.households if household.pv}
    assert len(seeds) == 1


def test_a_run_that_is_kept_is_extended_and_belongs_to_one_study(tmp_path: Path) -> None:
    study = wattmesh.Study.from_manifests(documents())
    assert len(study.run(state=tmp_path, progress=False).readings) == 4 * 96
    assert len(study.run(state=tmp_path, progress=False, days=2).readings) == 4 * 192
    with pytest.raises(wattmesh.BooksError, match="seed"):
        study.run(state=tmp_path, progress=False, days=2, seed=7)


def test_a_run_that_is_stopped_goes_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    study = wattmesh.Study.from_manifests(documents())
    with monkeypatch.context() as patch:
        run_part = StudyFeeder.run

        def run(self: StudyFeeder, part: Part) -> PartDone:
            signal.raise_signal(signal.SIGINT)
            return run_part(self, part)

        patch.setattr(StudyFeeder, "run", run)
        patch.setattr(workers, "SLOTS_AT_ONCE", 24)
        with pytest.raises(KeyboardInterrupt, match="stopped after 24 slots"):
            study.run(state=tmp_path, progress=False)
    assert study.run(state=tmp_path, progress=False).ledger.equals(study.run(progress=False).ledger)


@pytest.mark.parametrize(
    ("how", "wrong"),
    [
        ({"days": 0}, "days must be at least 1"),
        ({"mechanism": "auction"}, "auction"),
        ({"over": "pigeons"}, "pigeons"),
    ],
)
def test_a_run_that_cannot_be(how: dict[str, object], wrong: str) -> None:
    with pytest.raises(ValueError, match=wrong):
        wattmesh.Study.from_manifests(documents()).run(**how, progress=False)  # type: ignore[arg-type]


@pytest.mark.parametrize("missing", ["pandas", "pyarrow"])
def test_without_the_extra_it_says_what_to_install(
    results: wattmesh.Results, missing: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setitem(sys.modules, missing, None)
    with pytest.raises(ImportError, match=rf"{missing}.*pip install 'wattmesh\[study\]'"):
        wattmesh.Results(results.state).to_parquet(tmp_path)
    assert wattmesh.Results(results.state).audit().findings == ()
