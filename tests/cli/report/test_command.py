"""`wattmesh report`, on the street of `tests/cli/street_books.py`."""

from __future__ import annotations

import csv
import json
import re
import sqlite3
import subprocess
import sys
from collections.abc import Callable
from contextlib import closing
from html import unescape
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from tests.cli.street_books import BOUGHT, FLAT, GRID, MANIFEST, NEXT, ROOF, street, write_state
from wattmesh_cli.main import app

Run = Callable[..., Result]

FETCHING = re.compile(r"""(?:src|href|action|data|poster)\s*=\s*["']?([^"'\s>]+)|url\(([^)]*)\)|@import""")


@pytest.fixture
def state(tmp_path: Path) -> Path:
    return write_state(tmp_path / "state", street())


@pytest.fixture
def run(tmp_path: Path, state: Path, monkeypatch: pytest.MonkeyPatch) -> Run:
    manifest = tmp_path / "street.yaml"
    manifest.write_text(MANIFEST)
    monkeypatch.chdir(tmp_path)

    def run_command(*arguments: str) -> Result:
        return CliRunner().invoke(app, ["report", "--state", str(state), "-f", str(manifest), *arguments])

    return run_command


def test_a_page_that_fetches_nothing(run: Run, tmp_path: Path) -> None:
    result = run()
    assert result.exit_code == 0, result.output
    assert result.stdout.splitlines()[1:] == ["written: report.html"]
    html = (tmp_path / "report.html").read_text()
    assert "Audit: nothing wrong" in html
    own = re.sub(r"<script>.*?</script>", "", html, flags=re.DOTALL)  # the policy binds those to their hashes
    assert "http://" not in own
    assert "https://" not in own
    assert [found for found in FETCHING.findall(own) if not found[0].startswith("#")] == []
    assert "default-src 'none'" in unescape(own)


def test_the_page_says_what_the_audit_found(run: Run, state: Path, tmp_path: Path) -> None:
    with closing(sqlite3.connect(state / "agents" / "flat-0.db")) as database:
        database.execute("UPDATE ledger SET amount_micro = -70000 WHERE reference = ?", (BOUGHT,))
        database.commit()
    assert run("--save", "found.html").exit_code == 0
    html = (tmp_path / "found.html").read_text()
    assert re.search(r"Audit: \d+ findings?</a>", html)
    assert "<caption>Findings</caption>" in html


def test_the_page_says_first_what_is_overdue(run: Run, state: Path, tmp_path: Path) -> None:
    with closing(sqlite3.connect(state / "agents" / "flat-0.db")) as database:
        database.execute("UPDATE readings SET state = 'final' WHERE slot = ?", (NEXT,))
        database.execute("UPDATE parties SET next_slot = next_slot + 18000")
        database.commit()
    result = run()
    told = "1 of 4 readings (25 %) are overdue: the oldest is not booked 5h after its slot"
    assert told in result.stdout
    html = (tmp_path / "report.html").read_text()
    assert "Audit: 1 finding</a>" in html, "the meter has not gone on with the books"
    assert f"<strong>{told}.</strong>" in html


def test_json_has_series_flows_kpis_and_audit(run: Run) -> None:
    found = json.loads(run("-o", "json").stdout)
    assert found["slots"] == ["2026-06-21T12:00:00+02:00", "2026-06-21T12:15:00+02:00"]
    assert (found["until"], found["currency"]) == ("2026-06-21T12:30:00+02:00", "EUR")
    community = found["community"]
    assert community["pv_kwh"] == ["1.000", "0.250"]
    assert community["load_kwh"] == ["0.900", "0.150"]
    assert community["import_kwh"] == ["0.200", "0.000"]
    assert community["export_kwh"] == ["0.000", "0.100"]
    assert community["level_kwh"] == ["5.280", "5.280"]
    assert community["local_kwh"] == ["0.400", "0.000"]
    assert community["local_price_per_kwh"] == ["0.200000", None]
    assert found["utilities"][GRID]["price_per_kwh"] == ["0.300000", "0.300000"]
    assert found["households"][ROOF]["sold_kwh"] == ["0.400", "0.000"]
    assert found["flows"][-1] == {
        "seller": ROOF, "buyer": FLAT, "kind": "trade", "bookings": 1, "kwh": "0.400", "amount": "0.080000",
        "price_per_kwh": "0.200000",
    }  # fmt: skip
    assert found["kpis"]["community"]["bill"] == "0.052000"
    assert found["audit"]["findings"] == []
    assert found["origin"]["seed"] is None
    assert "kind: SolarAgent" in found["origin"]["manifests"]


def test_a_study_is_known_by_its_seed(run: Run, state: Path) -> None:
    street = json.loads((state / "street.json").read_text())
    study = {"seed": 42, "over": "calls", "mechanism": "bilateral", "fingerprint": ""}
    (state / "street.json").write_text(json.dumps({**street, "study": study}))
    assert json.loads(run("-o", "json").stdout)["origin"]["seed"] == 42


def test_csv_has_the_same_with_one_value_a_row(run: Run) -> None:
    rows = list(csv.reader(run("-o", "csv").stdout.splitlines()))
    assert rows[0] == ["part", "slot", "party", "counterparty", "name", "value"]
    values = {tuple(row[:5]): row[5] for row in rows[1:]}
    assert len(values) == len(rows) - 1
    assert values["series", "2026-06-21T12:15:00+02:00", "community", "", "pv_kwh"] == "0.250"
    assert values["series", "2026-06-21T12:15:00+02:00", "community", "", "local_price_per_kwh"] == ""
    assert values["flow", "", ROOF, FLAT, "trade_kwh"] == "0.400"
    assert values["kpi", "", FLAT, "", "bill"] == "0.140000"
    assert values["audit", "", "", "", "deliveries_checked"] == "2"


def test_a_range_of_slots(run: Run) -> None:
    found = json.loads(run("-o", "json", "--from", "2026-06-21T12:15").stdout)
    assert found["slots"] == ["2026-06-21T12:15:00+02:00"]
    assert [flow["kind"] for flow in found["flows"]] == ["backstop"]


def test_what_is_not_booked_is_said_on_the_page(run: Run, state: Path, tmp_path: Path) -> None:
    with closing(sqlite3.connect(state / "agents" / "flat-0.db")) as database:
        database.execute("UPDATE readings SET state = 'final' WHERE slot = ?", (NEXT,))
        database.commit()
    run()
    assert "1 metered slot is not booked yet: bills are not final." in (tmp_path / "report.html").read_text()


def test_a_file_that_cannot_be_written_is_named(run: Run) -> None:
    result = run("--save", "nowhere/report.html")
    assert result.exit_code == 2
    assert result.stderr == "wattmesh: nowhere/report.html: cannot be written: No such file or directory\n"


def test_no_other_command_waits_for_plotly() -> None:
    loaded = "import sys, wattmesh_cli.main; sys.exit('plotly' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", loaded], check=False).returncode == 0
