"""A state directory holds one street: another one cannot touch its books, the same one goes on."""

from __future__ import annotations

import json
import sqlite3
from contextlib import closing
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from tests.world.manifests import EXAMPLES, MARKET, households, planned, utility
from wattmesh_cli.main import app
from wattmesh_cli.state import StateError, clear
from wattmesh_cli.street.clock import keep, resumed
from wattmesh_cli.street_record import ADVICE, read_record, remember

FLAT = households("flat", "load: {annualKwh: 3000}", replicas=2)
ROOF = households("roof", "battery: {capacityKwh: 10, initialKwh: 9}, pv: {peakKw: 5}, trading: {sellAbovePercent: 50}")
STREET = MARKET + utility() + ROOF + FLAT


@pytest.fixture
def manifest(tmp_path: Path) -> Path:
    path = tmp_path / "street.yaml"
    path.write_text(STREET)
    return path


@pytest.fixture
def state(tmp_path: Path) -> Path:
    return tmp_path / "state"


def run(*arguments: str | Path, state: Path) -> Result:
    return CliRunner().invoke(app, [*map(str, arguments), "--state", str(state)])


def up(*arguments: str | Path, state: Path, lasting: str = "30m") -> Result:
    return run("up", *arguments, "--for", lasting, "--speed", "1800", state=state)


def told(command: str, state: Path) -> Any:
    said = run(command, "-o", "json", state=state)
    assert said.exit_code == 0, said.output
    return json.loads(said.stdout)


def grid(state: Path) -> datetime:
    return datetime.fromisoformat(json.loads((state / "clock.json").read_text())["grid"])


def metered(state: Path, pod: str) -> list[int]:
    with closing(sqlite3.connect(state / "agents" / f"{pod}.db")) as database:
        return [slot for (slot,) in database.execute("SELECT slot FROM readings ORDER BY slot")]


def test_another_street_is_refused_and_the_books_stay_right(manifest: Path, state: Path) -> None:
    assert up("-f", manifest, state=state).exit_code == 0
    before = told("status", state)
    refused = up("-f", EXAMPLES / "heatwave.yaml", state=state)
    assert refused.exit_code == 2
    assert refused.stderr.startswith(
        f"wattmesh: {state}: holds another street: its start is 2026-06-21T06:00:00+00:00, "
    )
    assert refused.stderr.endswith(f"; {ADVICE}\n")
    assert told("status", state) == before
    assert told("audit", state)["findings"] == []


def test_fresh_begins_anew_with_another_street(manifest: Path, state: Path) -> None:
    assert up("-f", manifest, state=state).exit_code == 0
    assert up("-f", EXAMPLES / "seed.yaml", "--fresh", state=state).exit_code == 0
    assert {row["party"] for row in told("status", state)} == {"household-0.default", "utility.default"}
    assert told("audit", state)["findings"] == []


def test_the_same_street_goes_on_with_edited_added_and_removed_households(manifest: Path, state: Path) -> None:
    assert up("-f", manifest, state=state).exit_code == 0
    roof = ROOF.replace("initialKwh: 9", "initialKwh: 9, powerKw: 3")
    loft = households("loft", "load: {annualKwh: 2000}")
    manifest.write_text(MARKET + utility(price="0.40") + roof + FLAT.replace("replicas: 2", "replicas: 1") + loft)
    assert up(manifest, state=state).exit_code == 0  # -f may be left out
    names = [row["party"] for row in told("status", state)]
    assert names == [f"{name}.default" for name in ("flat-0", "loft-0", "roof-0", "utility")]
    assert told("audit", state)["findings"] == []
    assert {row["party"] for row in told("kpis", state)["households"]} == {*names[:-1], "flat-1.default"}
    assert metered(state, "flat-0")[-1] > metered(state, "flat-1")[-1]

    manifest.write_text(MARKET + utility(price="0.40") + roof + FLAT + loft)
    assert up("-f", manifest, state=state).exit_code == 0
    assert metered(state, "flat-1") == metered(state, "flat-0")
    assert told("audit", state)["findings"] == []


def test_a_household_pays_in_each_slot_what_its_tariff_was_then(state: Path) -> None:
    from wattmesh_cli.terms import terms_of_versions

    state.mkdir()
    remember(state, planned(STREET), 0)
    record = remember(state, planned(MARKET + utility(price="0.40") + ROOF), 1800)
    prices = terms_of_versions(record.versions).prices
    assert [prices.tariff_micro("roof-0.default", slot) for slot in (900, 1800)] == [250_000, 400_000]
    assert prices.tariff_micro("flat-0.default", 2700) == 250_000  # it has left


def test_no_manifest_is_needed_to_go_on_or_to_read(manifest: Path, state: Path, tmp_path: Path) -> None:
    assert up("-f", manifest, state=state).exit_code == 0
    manifest.unlink()
    reached = grid(state)
    assert up(state=state).exit_code == 0
    assert grid(state) >= reached + timedelta(minutes=30)
    for command in (
        ["kpis"],
        ["status"],
        ["audit"],
        ["contracts"],
        ["report", "--save", str(tmp_path / "report.html")],
    ):
        assert run(*command, state=state).exit_code == 0, command


def test_a_street_that_is_not_there_needs_a_manifest(state: Path) -> None:
    refused = run("up", state=state)
    assert (refused.exit_code, refused.stderr) == (
        2,
        "wattmesh: name a file of manifests, for example -f street.yaml\n",
    )


@pytest.mark.parametrize(
    ("former", "changed", "difference"),
    [
        ("name: market", "name: other", "its gateway is market.default, not other.default"),
        ("06:00:00Z", "07:00:00Z", "its start is 2026-06-21T06:00:00+00:00, not 2026-06-21T07:00:00+00:00"),
        ("speed: 60}", "speed: 60}, currency: CHF", "its currency is EUR, not CHF"),
        ("load: {annualKwh", "seed: 7, load: {annualKwh", "its seed of SolarAgent flat is 0, not 7"),
        ("load: {", "householdsPerPod: 2, load: {", "its householdsPerPod of SolarAgent flat is 1, not 2"),
        ("metadata: {name: roof}", "metadata: {name: attic}", None),
        ("speed: 60}", "speed: 600}", None),
    ],
)
def test_what_makes_it_another_street(state: Path, former: str, changed: str, difference: str | None) -> None:
    state.mkdir()
    remember(state, planned(STREET), 0)
    kept = (state / "street.json").read_text()
    new = planned(STREET.replace(former, changed))
    if difference is None:
        assert remember(state, new, 900).plan == new
        return
    with pytest.raises(StateError) as refused:
        remember(state, new, 900)
    assert str(refused.value) == f"{state}: holds another street: {difference}; {ADVICE}"
    assert (state / "street.json").read_text() == kept


def test_a_street_without_a_household_of_the_former_is_another(state: Path) -> None:
    state.mkdir()
    remember(state, planned(STREET), 0)
    with pytest.raises(StateError, match=r"none of its households \(flat-0, flat-1, roof-0 …\) is in these manifests"):
        remember(state, planned(MARKET + utility() + households("loft", "load: {annualKwh: 2000}")), 900)


def test_what_is_remembered_is_what_was_said(state: Path) -> None:
    state.mkdir()
    for name in ("street.yaml", "strategies.yaml", "measured.yaml", "heatwave.yaml"):
        from wattmesh_operator.manifests import load
        from wattmesh_operator.plan import plan

        said = plan(load([EXAMPLES / name]))[0]
        remember(state, said, 0)
        assert read_record(state).plan == said
        clear(state)


def test_fresh_deletes_nothing_that_is_no_part_of_a_street(state: Path) -> None:
    (state / "agents").mkdir(parents=True)
    (state / "thesis.tex").write_text("…")
    with pytest.raises(StateError, match=r"holds thesis.tex, which is no part of a street; name another --state"):
        clear(state)
    assert {path.name for path in state.iterdir()} == {"agents", "thesis.tex"}


# --- grid time ---


@pytest.mark.parametrize("lost", ["deleted", "an hour back"])
def test_a_clock_behind_the_books_goes_on_from_where_they_end(manifest: Path, state: Path, lost: str) -> None:
    assert up("-f", manifest, state=state, lasting="2h").exit_code == 0
    before = metered(state, "roof-0")
    clock = state / "clock.json"
    if lost == "deleted":
        clock.unlink()
    else:
        kept = json.loads(clock.read_text())
        keep(clock, datetime.fromisoformat(kept["grid"]) - timedelta(hours=1), kept["wall"])
    went_on = up(state=state, lasting="1h")
    assert went_on.exit_code == 0
    assert "grid time goes on from there" in went_on.stdout
    assert "Traceback" not in went_on.stdout
    slots = metered(state, "roof-0")
    assert slots == [*range(slots[0], slots[-1] + 900, 900)]
    assert slots[: len(before)] == before
    assert told("audit", state)["findings"] == []


def test_a_machine_whose_clock_is_behind_the_last_run_is_told_to_wait(tmp_path: Path) -> None:
    start, now = datetime.fromisoformat("2026-06-21T06:00:00Z"), 1_800_000_000.0
    keep(tmp_path / "clock.json", start + timedelta(hours=1), now)
    assert resumed(tmp_path / "clock.json", start, now, None) == start + timedelta(hours=1)
    with pytest.raises(StateError, match=r"this machine's clock says .*; set it right, or wait 3600 s"):
        resumed(tmp_path / "clock.json", start, now - 3600, None)


def test_the_speed_is_the_manifests_unless_another_is_given(manifest: Path, state: Path) -> None:
    assert "speed 1800\n" in up("-f", manifest, state=state).stdout
    manifest.write_text(STREET.replace("speed: 60", "speed: 3600"))
    assert "speed 3600\n" in run("up", "-f", manifest, "--for", "15m", state=state).stdout


@pytest.mark.parametrize("content", ["{", "[]", '{"grid": 5, "wall": 1}', '{"grid": "2026-06-21T06:00:00Z"}'])
def test_a_clock_that_cannot_be_read_is_told(tmp_path: Path, content: str) -> None:
    (tmp_path / "clock.json").write_text(content)
    with pytest.raises(
        StateError, match=r"clock\.json: must hold a JSON object with 'grid' and 'wall' time; delete it"
    ):
        resumed(tmp_path / "clock.json", datetime.fromisoformat("2026-06-21T06:00:00Z"), 0.0, None)


def test_a_demo_that_went_on_with_up_is_deleted_on_demand_only(state: Path) -> None:
    state.mkdir()
    remember(state, planned(STREET), 0, demo=True)
    assert not remember(state, planned(STREET), 900).demo
    refused = run("demo", state=state)
    assert (refused.exit_code, refused.stderr) == (
        2,
        f"wattmesh: {state}: holds a street that is not the demo's; {ADVICE}\n",
    )
