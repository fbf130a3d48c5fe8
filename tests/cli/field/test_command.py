"""`wattmesh profiles` as a user runs it: files that the runtime reads, and a manifest that names them."""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from wattmesh_cli.field.consumption import load_wh
from wattmesh_cli.field.sun import pv_wh
from wattmesh_cli.main import app
from wattmesh_common.profile_files import read_profile_csv
from wattmesh_market.energy.profiles import Pv
from wattmesh_market.energy.slots import SLOT_S
from wattmesh_operator.manifests import load
from wattmesh_operator.plan import plan
from wattmesh_operator.plan.naming import subscriber_id
from wattmesh_operator.plan.participants import party_seed
from wattmesh_operator.resources import SolarAgent

STREET = """
apiVersion: wattmesh.io/v1alpha1
kind: BecknGateway
metadata: {name: market}
spec: {clock: {start: 2026-06-21T06:30:00+02:00, speed: 600}}
---
apiVersion: wattmesh.io/v1alpha1
kind: UtilityAgent
metadata: {name: utility}
spec: {tariff: {price: 0.25, feedIn: 0.08, periods: [{from: "17:00", to: "21:00", price: 0.38}]}, capacityKw: 50}
---
apiVersion: wattmesh.io/v1alpha1
kind: SolarAgent
metadata: {name: rooftop}
spec:
  replicas: 2
  seed: 5
  pv: {peakKw: 8, tiltDegrees: 35, azimuthDegrees: 150}
  load: {annualKwh: 3500}
  battery: {capacityKwh: 10, initialKwh: 5}
---
apiVersion: wattmesh.io/v1alpha1
kind: SolarAgent
metadata: {name: bakery}
spec: {load: {annualKwh: 40000}}
---
apiVersion: wattmesh.io/v1alpha1
kind: SolarAgent
metadata: {name: store}
spec: {battery: {capacityKwh: 20, initialKwh: 5}}
"""
MIDNIGHT = datetime.fromisoformat("2026-06-21T00:00:00+02:00")
HOUSEHOLDS = ["rooftop/rooftop-0", "rooftop/rooftop-1", "bakery/bakery-0"]


@pytest.fixture
def manifest(tmp_path: Path) -> Path:
    path = tmp_path / "street.yaml"
    path.write_text(STREET)
    return path


def profiles(manifest: Path, folder: Path, *options: str) -> Result:
    return CliRunner().invoke(app, ["profiles", "-f", str(manifest), "-o", str(folder), *options])


def refused(result: Result) -> str:
    assert result.exit_code == 2, result.output
    return result.stderr.strip()


def test_the_runtime_reads_what_was_computed(manifest: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    result = profiles(manifest, out, "--days", "2", "--load-profile", "bakery=g5", "--altitude", "500")
    assert result.exit_code == 0, result.output
    assert result.stdout == f"wattmesh up -f {out / 'manifests.yaml'}\n"
    assert sorted(path.relative_to(out / "default").as_posix() for path in out.rglob("*.csv")) == sorted(
        f"{household}.csv" for household in HOUSEHOLDS
    )
    slots = [MIDNIGHT + timedelta(minutes=15 * n) for n in range(192)]
    roof = Pv(peak_w=8000, latitude=48.1, longitude=11.6, tilt_degrees=35, azimuth_degrees=150)
    for household, kind, annual_wh, seed, pv in (
        ("rooftop/rooftop-1", "h0", 3_500_000, 5, pv_wh(roof, slots, None, 500)),
        ("bakery/bakery-0", "g5", 40_000_000, 0, [0] * 192),
    ):
        profile = read_profile_csv(out / "default" / f"{household}.csv", 30_000)
        own_seed = party_seed(seed, subscriber_id(Path(household).name, "default"))
        load_of = load_wh(kind, annual_wh, own_seed, MIDNIGHT, 192)
        read = [profile.actual(int(slot.timestamp())) for slot in slots]
        assert ([slot.pv_wh for slot in read], [slot.load_wh for slot in read]) == (pv, load_of)
        assert (profile.first, profile.days) == (int(MIDNIGHT.timestamp()), 2)


def test_each_roof_has_its_own_sun_and_the_household_their_sum(manifest: Path, tmp_path: Path) -> None:
    east = Pv(peak_w=5000, latitude=48.1, longitude=11.6, tilt_degrees=35, azimuth_degrees=90)
    west = replace(east, peak_w=3000, azimuth_degrees=270)
    roofs = "tiltDegrees: 35, roofs: [{peakKw: 5, azimuthDegrees: 90}, {peakKw: 3, azimuthDegrees: 270}]"
    manifest.write_text(STREET.replace("peakKw: 8, tiltDegrees: 35, azimuthDegrees: 150", roofs))
    out = tmp_path / "out"
    assert profiles(manifest, out, "--days", "1").exit_code == 0
    slots = [MIDNIGHT + timedelta(minutes=15 * n) for n in range(96)]
    profile = read_profile_csv(out / "default" / "rooftop" / "rooftop-0.csv", 30_000)
    each = zip(*(pv_wh(roof, slots, None, None) for roof in (east, west)), strict=True)
    assert [profile.actual(int(slot.timestamp())).pv_wh for slot in slots] == [sum(of_slot) for of_slot in each]


def test_the_new_manifest_is_the_street_with_its_profiles(manifest: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    assert profiles(manifest, out, "--days", "1").exit_code == 0
    before, after = load([manifest]), load([out / "manifests.yaml"])
    assert after[:2] + after[4:] == before[:2] + before[4:]
    rooftop = after[2]
    assert isinstance(rooftop, SolarAgent)
    assert rooftop.spec.profile is not None
    assert rooftop.spec.profile.folder == str(out / "default" / "rooftop")
    assert rooftop.spec.model_copy(update={"profile": None}) == before[2].spec.model_copy(
        update={"pv": None, "load": None}
    )
    [gateway] = plan(after)
    assert [household.profile_csv for pod in gateway.pods for household in pod.households][:3] == [
        out / "default" / f"{household}.csv" for household in HOUSEHOLDS
    ]


def test_the_same_manifest_gives_the_same_files_and_each_household_its_own(manifest: Path, tmp_path: Path) -> None:
    one, other = tmp_path / "one", tmp_path / "other"
    for folder in (one, other):
        assert profiles(manifest, folder, "--days", "1").exit_code == 0
    texts = [[(folder / "default" / f"{name}.csv").read_text() for name in HOUSEHOLDS] for folder in (one, other)]
    assert texts[0] == texts[1]
    assert len(set(texts[0])) == 3
    suns = [[row.split(",")[1] for row in text.splitlines()] for text in texts[0]]
    assert suns[0] == suns[1], "the same roofs under the same sky"


def test_for_a_cluster_it_says_how_to_make_the_config_maps(manifest: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    result = profiles(manifest, out, "--days", "1", "--kubernetes")
    assert result.exit_code == 0, result.output
    assert result.stdout.splitlines() == [
        f"kubectl create configmap rooftop-profiles --namespace default --from-file {out / 'default' / 'rooftop'}",
        f"kubectl create configmap bakery-profiles --namespace default --from-file {out / 'default' / 'bakery'}",
        f"kubectl apply -f {out / 'manifests.yaml'}",
    ]
    bakery = load([out / "manifests.yaml"])[3]
    assert isinstance(bakery, SolarAgent)
    assert bakery.spec.profile is not None
    assert bakery.spec.profile.config_map is not None
    assert bakery.spec.profile.config_map.name == "bakery-profiles"


def test_what_no_config_map_holds_is_refused_with_the_days_that_fit(manifest: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    said = refused(profiles(manifest, out, "--days", "200", "--kubernetes"))
    size = sum(path.stat().st_size for path in (out / "default" / "rooftop").iterdir())
    fit = 200 * 1_000_000 // size
    assert said.splitlines()[-1] == (
        f"wattmesh: SolarAgent rooftop: its profiles have {size} bytes, a ConfigMap holds 1000000; --days {fit} fits"
    )
    assert profiles(manifest, out, "--days", str(fit), "--kubernetes").exit_code == 0


def test_such_a_manifest_does_not_run_on_this_machine(manifest: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    assert profiles(manifest, out, "--days", "1", "--kubernetes").exit_code == 0
    ran = CliRunner().invoke(app, ["up", "-f", str(out / "manifests.yaml"), "--state", str(tmp_path / "state")])
    assert refused(ran) == (
        "wattmesh: SolarAgent rooftop: a profile's configMap is for a cluster; here, set profile.folder"
    )


def test_weather_that_ends_too_early_is_refused(manifest: Path, tmp_path: Path) -> None:
    weather = tmp_path / "weather.csv"
    start = MIDNIGHT.astimezone(UTC)
    rows = [f"{(start + timedelta(hours=n)).isoformat()},300,200,150,20,2" for n in range(24)]
    weather.write_text("\n".join(["time,ghi,dni,dhi,temp_air,wind_speed", *rows]) + "\n")
    assert profiles(manifest, tmp_path / "out", "--days", "1", "--weather", str(weather)).exit_code == 0
    roof = read_profile_csv(tmp_path / "out" / "default" / "rooftop" / "rooftop-0.csv", 30_000)
    at_noon = roof.actual(int(MIDNIGHT.timestamp()) + 48 * SLOT_S).pv_wh
    assert 0 < at_noon < 1000, "300 W/m² of 1000"
    said = refused(profiles(manifest, tmp_path / "out", "--days", "2", "--weather", str(weather)))
    assert f"wattmesh: {weather}: has the weather from 2026-06-20T22:00:00+00:00 to 2026-06-21T22:00:00+00:00;" in said
    assert "fewer --days" in said


@pytest.mark.parametrize(
    ("written", "mistake"),
    [
        ("h9", "--load-profile h9: there is no h9; there are h0, g0, g1, g2, g3, g4, g5, g6, l0, l1, l2"),
        ("shop=g0", "--load-profile shop=g0: no SolarAgent shop; there are bakery, rooftop"),
    ],
)
def test_an_unknown_load_profile_is_refused(manifest: Path, tmp_path: Path, written: str, mistake: str) -> None:
    assert refused(profiles(manifest, tmp_path, "--load-profile", written)) == f"wattmesh: {mistake}"


def test_a_street_with_nothing_to_compute_is_refused(tmp_path: Path) -> None:
    manifest = tmp_path / "street.yaml"
    documents = STREET.split("---")
    manifest.write_text("---".join([*documents[:2], documents[4]]))
    assert refused(profiles(manifest, tmp_path)).startswith("wattmesh: no SolarAgent of these manifests has pv or load")


def test_mistakes_in_manifests_are_told(tmp_path: Path) -> None:
    manifest = tmp_path / "street.yaml"
    manifest.write_text(STREET.replace("annualKwh: 3500", "annualKwh: many"))
    assert "SolarAgent rooftop: spec.load.annualKwh: must be a number" in refused(profiles(manifest, tmp_path))


@pytest.mark.parametrize("library", ["pvlib", "demandlib"])
def test_without_the_extra_it_says_what_to_install(manifest: Path, tmp_path: Path, library: str) -> None:
    code = f"import sys; sys.modules['{library}'] = None; from wattmesh_cli.main import app; app()"
    command = [sys.executable, "-c", code, "profiles", "-f", str(manifest), "-o", str(tmp_path / "out")]
    ran = subprocess.run(command, env=os.environ, capture_output=True, text=True, timeout=120, check=False)
    assert ran.returncode == 2
    said = f"wattmesh: profiles need {library}, which is not installed: pip install 'wattmesh[field]'\n"
    assert ran.stderr == said
