"""`wattmesh up` and `wattmesh demo` as a user runs them: real processes, real HTTP, real files.

What they leave is read by commands in this process: a new one takes seconds to begin.
"""

from __future__ import annotations

import json
import os
import re
import signal
import socket
import sqlite3
import subprocess
import sys
from datetime import datetime
from pathlib import Path
from typing import IO, Any
from urllib.request import urlopen

import pytest
from typer.testing import CliRunner

from tests.world.manifests import planned
from wattmesh_cli.main import app
from wattmesh_cli.street_record import ADVICE, remember

ROOT = Path(__file__).parents[2]
SEED = str(ROOT / "examples" / "seed.yaml")
ENVIRONMENT = {name: value for name, value in os.environ.items() if name != "PYTHONUNBUFFERED"} | {"COLUMNS": "200"}


def wattmesh(*arguments: str, cwd: Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-c", "from wattmesh_cli.main import app; app()", *arguments]
    return subprocess.run(command, cwd=cwd, env=ENVIRONMENT, capture_output=True, text=True, timeout=600, check=False)


def start(*arguments: str, cwd: Path) -> subprocess.Popen[str]:
    command = [sys.executable, "-c", "from wattmesh_cli.main import app; app()", *arguments]
    return subprocess.Popen(
        command, cwd=cwd, env=ENVIRONMENT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )


def read_until(stream: IO[str] | None, wanted: str) -> list[str]:
    """The lines up to the first that holds `wanted`; fails when the stream ends without it."""
    assert stream is not None
    lines = []
    for line in stream:
        lines.append(line)
        if wanted in line:
            return lines
    pytest.fail(f"{wanted!r} never came; the output was:\n{''.join(lines)}")


def metered_slots(state: Path, pod: str) -> list[int]:
    with sqlite3.connect(state / "agents" / f"{pod}.db") as database:
        slots = [row[0] for row in database.execute("SELECT slot FROM readings ORDER BY slot")]
    database.close()
    return slots


def told(command: str, cwd: Path) -> Any:
    """What a command says of the state that was left."""
    said = CliRunner().invoke(app, [command, "--output", "json", "--state", str(cwd / ".wattmesh")])
    assert said.exit_code == 0, said.output
    return json.loads(said.stdout)


def test_a_household_buys_for_an_hour_and_the_books_are_right(tmp_path: Path) -> None:
    ran = wattmesh("up", "-f", SEED, "--for", "1h", "--speed", "600", cwd=tmp_path)
    assert ran.returncode == 0, ran.stdout + ran.stderr
    assert "✅ Contract confirmed! Energy purchased. New battery level: " in ran.stdout
    assert ran.stdout.splitlines()[-1] == "time is over"
    assert re.search(r"live page: http://127\.0\.0\.1:\d+/$", ran.stdout, re.M)

    contracts = told("contracts", tmp_path)
    assert contracts
    assert {contract["state"] for contract in contracts} == {"SETTLED"}
    assert any(row["bought_kwh"] != "0.000" for row in told("status", tmp_path))
    assert told("audit", tmp_path)["findings"] == []


def test_it_stops_cleanly_on_a_signal_and_goes_on_where_it_stopped(tmp_path: Path) -> None:
    for number in (signal.SIGTERM, signal.SIGINT):
        running = start("up", "-f", SEED, "--speed", "600", cwd=tmp_path)
        read_until(running.stdout, "✅")
        running.send_signal(number)
        rest = running.communicate(timeout=30)[0]
        assert running.returncode == 0, rest
        # A machine too slow for this speed says after it how many trades were missed.
        assert "stopped; all is kept, and goes on with the same command" in rest.splitlines()[-2:]
        assert "Traceback" not in rest
    slots = metered_slots(tmp_path / ".wattmesh", "household-0")
    assert slots == list(range(slots[0], slots[-1] + 900, 900))
    wattmesh("up", "-f", SEED, "--speed", "600", "--for", "30m", cwd=tmp_path)
    assert told("audit", tmp_path)["findings"] == []


def test_it_is_killed_in_the_middle_of_trading_and_goes_on(tmp_path: Path) -> None:
    for moment in ("select:", "confirm:", "✅"):
        running = start("up", "-f", SEED, "--speed", "600", cwd=tmp_path)
        read_until(running.stdout, moment)
        running.kill()
        running.communicate(timeout=30)
    after = wattmesh("up", "-f", SEED, "--speed", "600", "--for", "1h", cwd=tmp_path)
    assert after.returncode == 0, after.stdout + after.stderr
    contracts = told("contracts", tmp_path)
    metered = metered_slots(tmp_path / ".wattmesh", "household-0")
    ended = [c for c in contracts if datetime.fromisoformat(c["slot_start"]).timestamp() in metered]
    assert ended
    assert {contract["state"] for contract in ended} <= {"SETTLED", "EXPIRED", "CANCELLED"}
    assert told("audit", tmp_path)["findings"] == []


def test_two_streets_cannot_run_on_one_state_directory(tmp_path: Path) -> None:
    first = start("up", "-f", SEED, "--speed", "60", cwd=tmp_path)
    read_until(first.stdout, "gateway at")
    second = wattmesh("up", "-f", SEED, cwd=tmp_path)
    first.terminate()
    first.communicate(timeout=30)
    assert second.returncode == 2
    assert second.stderr == "wattmesh: .wattmesh: a street is running on it already; stop it, or name another --state\n"


def test_bad_manifests_are_told_and_nothing_is_started(tmp_path: Path) -> None:
    manifest = tmp_path / "bad.yaml"
    manifest.write_text(Path(SEED).read_text().replace("initialKwh: 2", "initialKwh: 20"))
    ran = wattmesh("up", "-f", str(manifest), cwd=tmp_path)
    assert ran.returncode == 2
    assert "spec.battery.initialKwh: must be at most capacityKwh (15), not 20" in ran.stderr
    assert not (tmp_path / ".wattmesh").exists()


def test_a_duration_that_is_none_is_refused(tmp_path: Path) -> None:
    ran = wattmesh("up", "-f", SEED, "--for=-3h", cwd=tmp_path)
    assert ran.returncode == 2
    assert ran.stderr == "wattmesh: invalid duration '-3h': use 90m, 16h or 1d\n"


def test_a_foreign_database_is_refused_and_left_alone(tmp_path: Path) -> None:
    state = tmp_path / ".wattmesh"
    state.mkdir()
    remember(state, planned(Path(SEED).read_text()), 0)
    path = state / "agents" / "household-0.db"
    path.parent.mkdir()
    path.write_bytes(b"my shopping list\n" * 100)
    ran = wattmesh("up", "-f", SEED, cwd=tmp_path)
    assert ran.returncode == 2
    assert "household-0.db: not a usable database" in ran.stderr
    assert path.read_bytes() == b"my shopping list\n" * 100


def test_the_demo_ends_with_the_audit_and_leaves_its_contracts(tmp_path: Path) -> None:
    ran = wattmesh("demo", cwd=tmp_path)
    assert ran.returncode == 0, ran.stdout + ran.stderr
    assert "Who bought what from whom" in ran.stdout
    headline = r"^With the market the households .* \(each alone with its battery and its utility\)"
    assert re.search(headline, ran.stdout, re.M)
    assert re.search(r"^audit: .*: nothing wrong$", ran.stdout, re.M)
    assert isinstance(told("contracts", tmp_path), list)
    report, up = [line.split("   ")[0].split() for line in ran.stdout.partition("\nWhat next:\n")[2].splitlines()]
    assert (report[1:], up[1:]) == (["report"], ["up", "--port", "8080", "--open"])
    went_on = wattmesh("up", "--for", "45m", "--speed", "1800", cwd=tmp_path)
    assert went_on.returncode == 0, went_on.stdout + went_on.stderr
    # The next morning: what is left to settle takes at most ten seconds, which are five hours of grid time.
    assert re.search(r"^06-22 (0[6-9]|1[01]):", went_on.stdout, re.M), went_on.stdout


def test_the_live_page_has_the_same_address_after_a_restart(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        refused = wattmesh("up", "-f", SEED, "--port", str(port), cwd=tmp_path)
        assert (refused.returncode, f"port {port} of 127.0.0.1 cannot be used" in refused.stderr) == (2, True)
    for _ in range(2):
        running = start("up", "-f", SEED, "--port", str(port), cwd=tmp_path)
        read_until(running.stdout, f"live page: http://127.0.0.1:{port}/\n")
        with urlopen(f"http://127.0.0.1:{port}/", timeout=30) as page:
            assert page.status == 200
        running.terminate()
        running.communicate(timeout=30)


def test_the_live_page_is_opened_on_demand(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    opened = tmp_path / "opened"
    monkeypatch.setitem(ENVIRONMENT, "BROWSER", f"sh -c 'echo %s > {opened}'")
    ran = wattmesh("up", "-f", SEED, "--for", "15m", "--speed", "1800", "--open", cwd=tmp_path)
    assert ran.returncode == 0, ran.stdout + ran.stderr
    page, _, token = opened.read_text().strip().partition("#token=")
    assert f"live page: {page}\n" in ran.stdout
    assert token == (tmp_path / ".wattmesh" / "token").read_text()
    assert token not in ran.stdout + ran.stderr


def test_the_demo_does_not_overwrite_a_street_of_yours(tmp_path: Path) -> None:
    mine = tmp_path / ".wattmesh" / "keys.json"
    mine.parent.mkdir()
    mine.write_text("{}")
    ran = wattmesh("demo", cwd=tmp_path)
    assert ran.returncode == 2
    assert ran.stderr == f"wattmesh: .wattmesh: holds a street without its street.json; {ADVICE}\n"
    assert mine.read_text() == "{}"


def test_keys_are_for_their_owner_only_and_never_in_the_log(tmp_path: Path) -> None:
    ran = wattmesh("up", "-f", SEED, "--for", "15m", "--speed", "900", cwd=tmp_path)
    path = tmp_path / ".wattmesh" / "keys.json"
    assert path.stat().st_mode & 0o077 == 0
    keys = json.loads(path.read_text())
    assert set(keys) == {"registrar", "market.default", "utility.default", "household-0.default"}
    assert not [key for key in keys.values() if key["private_key"] in ran.stdout + ran.stderr]


def test_it_stops_when_nobody_reads_its_lines_any_more(tmp_path: Path) -> None:
    running = start("up", "-f", SEED, "--speed", "600", cwd=tmp_path)
    read_until(running.stdout, "search:")
    assert running.stdout is not None
    running.stdout.close()
    running.wait(timeout=60)
    assert told("audit", tmp_path)["findings"] == []
