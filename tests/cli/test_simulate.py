"""`wattmesh simulate` and its state directory."""

from __future__ import annotations

import json
import signal
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from tests.world.manifests import MARKET, utility
from wattmesh_cli.audit import audit
from wattmesh_cli.main import app
from wattmesh_cli.sqlite_books import read_books
from wattmesh_cli.state import StateError, agent_databases
from wattmesh_cli.street import simulation, workers
from wattmesh_cli.street.snapshots import Snapshot, Snapshots
from wattmesh_cli.street.study import Part, PartDone, StudyFeeder
from wattmesh_market.energy.slots import SLOT_S
from wattmesh_market.schedule import AHEAD_S

HOME = """
---
apiVersion: wattmesh.io/v1alpha1
kind: SolarAgent
metadata: {name: home}
spec: {battery: {capacityKwh: 10, initialKwh: 3}, profile: {csv: day.csv}, strategy: rules}
"""
SHORT_DAY = 14
"""Slots: enough to use, to buy and to be idle again."""
FIRST_SLOT = 1_782_021_600
"""06:00 on 21 June 2026, UTC."""


@pytest.fixture
def street(tmp_path: Path) -> Path:
    """A household that uses 400 Wh in each slot of 06:00 to 07:00, buys what its battery then lacks, and is idle."""
    used = [400 if 24 <= number < 28 else 0 for number in range(96)]
    lines = [f"2026-06-21T{n // 4:02}:{n % 4 * 15:02}:00Z,0,{wh}\n" for n, wh in enumerate(used)]
    (tmp_path / "day.csv").write_text("slot,pv_wh,load_wh\n" + "".join(lines))
    path = tmp_path / "street.yaml"
    path.write_text(MARKET + utility() + HOME)
    return path


def simulate(street: Path, state: Path, *more: str) -> Result:
    return CliRunner().invoke(app, ["simulate", "-f", str(street), "--state", str(state), *more])


def summary(result: Result) -> dict[str, Any]:
    assert result.exit_code == 0, result.output
    value: dict[str, Any] = json.loads(result.stdout)
    return value


def interrupted_in_slot(number: int, patch: pytest.MonkeyPatch) -> None:
    """Let Ctrl-C come while this slot is run."""
    run_part = StudyFeeder.run

    def run(self: StudyFeeder, part: Part) -> PartDone:
        if part.first == FIRST_SLOT + 900 * number:
            signal.raise_signal(signal.SIGINT)
        return run_part(self, part)

    patch.setattr(workers, "SLOTS_AT_ONCE", 1)
    patch.setattr(StudyFeeder, "run", run)


def test_a_day_can_be_stopped_extended_and_read_by_the_other_commands(
    street: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(simulation, "SLOTS_A_DAY", SHORT_DAY)
    state = tmp_path / "state"
    with monkeypatch.context() as patch:
        interrupted_in_slot(3, patch)
        stopped = simulate(street, state)
    assert stopped.exit_code == 0
    assert "stopped; all is kept, and goes on with the same command" in stopped.stdout
    assert Snapshots(state).all() == [Snapshot(4)]

    day = summary(simulate(street, state, "--output", "json"))
    assert (day["completed"], day["slots_before"], day["slots"], day["findings"]) == (True, 4, SHORT_DAY, [])
    assert day["contracts"] > 0
    for command in (["audit"], ["status"], ["contracts"], ["kpis"]):
        read = CliRunner().invoke(app, [*command, "--state", str(state)])
        assert (read.exit_code, "home-0" in read.stdout or "nothing wrong" in read.stdout) == (0, True)
    assert summary(simulate(street, state, "--output", "json"))["slots_before"] == SHORT_DAY

    extended = summary(simulate(street, state, "--output", "json", "--days", "2"))
    assert (extended["slots_before"], extended["slots"]) == (SHORT_DAY - AHEAD_S // SLOT_S, 2 * SHORT_DAY)
    straight = tmp_path / "straight"
    assert simulate(street, straight, "--days", "2").exit_code == 0
    assert read_books(state) == read_books(straight)
    assert audit(read_books(state)).deliveries_in_flight == 0

    shorter = simulate(street, state, "--days", "1")
    assert (shorter.exit_code, "2 days were simulated already" in shorter.stderr) == (2, True)


def stopped_at_once(street: Path, state: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as patch:
        interrupted_in_slot(0, patch)
        simulate(street, state)


def test_another_seed_way_manifests_and_profiles_are_refused(
    street: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    state = tmp_path / "state"
    stopped_at_once(street, state, monkeypatch)
    seed = simulate(street, state, "--seed", "9")
    assert (seed.exit_code, "its --seed is 0, not 9" in seed.stderr) == (2, True)
    over = simulate(street, state, "--over", "messages")
    assert (over.exit_code, "is simulated with --over calls" in over.stderr) == (2, True)
    day = tmp_path / "day.csv"
    day.write_text(day.read_text().replace(",0,400", ",0,401"))
    other = simulate(street, state)
    assert (other.exit_code, "a study of other manifests, profiles or prices" in other.stderr) == (2, True)


def test_the_state_of_another_kind_of_run_is_refused(street: Path, tmp_path: Path) -> None:
    state = tmp_path / "state"
    (state / "agents").mkdir(parents=True)
    result = simulate(street, state)
    assert (result.exit_code, "holds a street without its street.json" in result.stderr) == (2, True)
    assert {path.name for path in state.iterdir()} == {"agents", "lock"}


@pytest.mark.parametrize("command", [["up", "-f"], ["demo"]])
def test_a_simulation_is_refused_by_what_runs_over_http(
    command: list[str], street: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    state = tmp_path / "state"
    stopped_at_once(street, state, monkeypatch)
    files = [str(street)] if command[0] == "up" else []
    result = CliRunner().invoke(app, [*command, *files, "--state", str(state)])
    assert (result.exit_code, "name another --state" in result.stderr) == (2, True)


def test_findings_of_the_audit_are_shown_and_are_exit_code_1(
    street: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    state = tmp_path / "state"
    save = StudyFeeder.save

    def save_wrongly(self: StudyFeeder, folder: Path) -> None:
        save(self, folder)
        for path in folder.glob("*.db"):
            with closing(sqlite3.connect(path)) as copy, copy:
                copy.execute("UPDATE parties SET level_wh = 99999 WHERE kind = 'household'")

    monkeypatch.setattr(StudyFeeder, "save", save_wrongly)
    interrupted_in_slot(1, monkeypatch)
    result = simulate(street, state)
    assert result.exit_code == 1
    assert "finding" in result.stdout


# --- snapshots ---


def write(folder: Path) -> None:
    (folder / "a.db").touch()


def test_a_snapshot_that_is_not_whole_is_none(tmp_path: Path) -> None:
    snapshots = Snapshots(tmp_path)
    snapshots.add(Snapshot(4), write)
    snapshots.keep(Snapshot(4))

    def dies(folder: Path) -> None:
        write(folder)
        raise OSError("no space left")

    with pytest.raises(StateError, match=r"cannot be written: no space left"):
        snapshots.add(Snapshot(8), dies)
    assert snapshots.all() == [Snapshot(4)]
    assert [path.name for path in agent_databases(tmp_path)] == ["a.db"]


def test_what_is_shown_and_what_is_gone_on_from_are_kept_and_no_more(tmp_path: Path) -> None:
    snapshots = Snapshots(tmp_path)
    for snapshot in (Snapshot(4), Snapshot(95), Snapshot(96, settled=True)):
        snapshots.add(snapshot, write)
    snapshots.keep(Snapshot(96, settled=True), Snapshot(95))
    assert snapshots.all() == [Snapshot(95), Snapshot(96, settled=True)]
    assert agent_databases(tmp_path) == [tmp_path / "snapshots" / "00096-settled" / "a.db"]
