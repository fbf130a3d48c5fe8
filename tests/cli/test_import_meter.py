"""`wattmesh import-meter`: from an export to a profile that a manifest names, and what `validate` says of both."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest
from typer.testing import CliRunner, Result

from wattmesh_cli.main import app

BERLIN = ZoneInfo("Europe/Berlin")
STREET = """apiVersion: wattmesh.io/v1alpha1
kind: BecknGateway
metadata: {name: market}
spec: {clock: {start: "2025-03-30T00:00:00+01:00"}}
---
apiVersion: wattmesh.io/v1alpha1
kind: UtilityAgent
metadata: {name: utility}
spec: {tariff: {price: 0.25, feedIn: 0.08}, capacityKw: 20}
---
apiVersion: wattmesh.io/v1alpha1
kind: SolarAgent
metadata: {name: house}
spec: {replicas: 2, profile: {csv: house.csv}}
"""


@pytest.fixture(autouse=True)
def _in_empty_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def run(*arguments: str) -> Result:
    return CliRunner().invoke(app, arguments)


def shown(result: Result) -> dict[str, str]:
    """What the table says, by name."""
    assert result.exit_code == 0, result.stderr
    return {name.strip(): value.strip() for name, value in (line.split("  ", 1) for line in result.stdout.splitlines())}


def export(path: str, days: int = 2, left_out: range = range(0)) -> None:
    """Register levels of import and export in kWh, hour by hour in local time, as a utility's portal writes them."""
    lines = ["Ablesung;Bezug 1.8.0 (kWh);Einspeisung 2.8.0 (kWh)"]
    midnight = datetime(2025, 3, 30, tzinfo=BERLIN).astimezone(UTC)
    for hour in range(24 * days):
        if hour not in left_out:
            local = (midnight + timedelta(hours=hour)).astimezone(BERLIN)
            values = f"{1234 + 0.4 * hour:.1f};{800 + 0.1 * hour:.1f}".replace(".", ",")
            lines.append(f"{local:%d.%m.%Y %H:%M};{values}")
    Path(path).write_bytes(("\ufeff" + "\r\n".join(lines) + "\r\n").encode())


def test_an_export_becomes_a_profile() -> None:
    export("export.csv")
    found = shown(run("import-meter", "export.csv", "-o", "house.csv", "--timezone", "Europe/Berlin"))
    assert found == {
        "FOUND": "IN export.csv",
        "rows": "48",
        "period": "2025-03-30 00:00+01:00 to 2025-04-01 00:00+02:00",
        "step": "60 min",
        "format": "; between fields, decimal comma",
        "times": "day-first in Europe/Berlin",
        "column Bezug 1.8.0 (kWh)": "import, kWh, register, 18.800 kWh",
        "column Einspeisung 2.8.0 (kWh)": "export, kWh, register, 4.700 kWh",
        "load": "18.800 kWh",
        "PV": "4.700 kWh",
        "gaps": "none",
        "left out": "nothing",
        "balance": "of a meter at the grid: what flows out is PV, what flows in is load",
        "written": "house.csv, 188 slots of 15 min",
    }
    written = Path("house.csv").read_text().splitlines()
    assert written[:2] == ["slot,pv_wh,load_wh", "2025-03-30T00:00:00+01:00,25,100"]
    assert [line[:25] for line in written[8:10]] == ["2025-03-30T01:45:00+01:00", "2025-03-30T03:00:00+02:00"]
    assert len(written) == 189

    # What it wrote is read as it stands.
    Path("street.yaml").write_text(STREET)
    result = run("validate", "street.yaml")
    assert result.exit_code == 0
    assert result.stdout.splitlines() == [
        f"{Path('house.csv').absolute()}: 15 min, decimal point, times ISO with their own zone; pv_wh is pv, Wh, energy"
        " of each step; load_wh is load, Wh, energy of each step",
        "3 resources, no mistakes",
    ]
    [profile] = json.loads(run("validate", "street.yaml", "--output", "json").stdout)["profiles"]
    assert (profile["load_wh"], profile["pv_wh"], profile["slots"]) == (18_800, 4_700, 188)


def test_a_simulation_uses_the_energy_that_was_metered() -> None:
    export("export.csv", days=3)
    assert run("import-meter", "export.csv", "-o", "house.csv", "--timezone", "Europe/Berlin").exit_code == 0
    Path("street.yaml").write_text(STREET)
    assert run("simulate", "street.yaml", "--days", "1", "--state", "state").exit_code == 0
    kpis = json.loads(run("kpis", "--state", "state", "--output", "json").stdout)
    assert [row["load_kwh"] for row in kpis["households"]] == ["9.600", "9.600"]


def test_gaps_are_refused_or_filled_and_counted_for_programs() -> None:
    export("export.csv", days=3, left_out=range(30, 32))
    zone = ("--timezone", "Europe/Berlin")
    result = run("import-meter", "export.csv", *zone)
    assert result.exit_code == 2
    assert result.stderr.splitlines()[0] == (
        "wattmesh: export.csv: line 32: 180 minutes are missing from 2025-03-31T06:00+02:00 on; fill gaps with"
        " import-meter --fill (linear, zero, day-before)"
    )
    result = run("import-meter", "export.csv", *zone, "--fill", "day-before", "--output", "json")
    found = json.loads(result.stdout)
    assert (found["gaps"], found["filled"], found["fill"], found["written"]) == (1, 3, "day-before", None)
    assert (found["load_wh"], found["left_out"]) == (400 * 71, 0)
    assert [(column["role"], column["unit"], column["reading"]) for column in found["columns"]] == [
        ("import", "kWh", "register"),
        ("export", "kWh", "register"),
    ]


@pytest.mark.parametrize(
    ("options", "text"),
    [
        (["--timezone", "Europe/Atlantis"], "--timezone Europe/Atlantis: no such zone here; give one as Europe/Berlin"),
        (["--column", "sun=PV"], "--column sun=PV: must be ROLE=NAME; roles are time, load, pv, import, export"),
        (["--column", "load"], "--column load: must be ROLE=NAME; roles are time, load, pv, import, export"),
        (["--timezone", "Europe/Berlin", "--connection-kw", "0.2"], "export.csv: line 2: 0.3 kW from"),
        ([], "export.csv: line 2, column 1 (Ablesung): 2025-03-30 00:00:00 has no time zone; tell it: import-meter"),
    ],
)
def test_wrong_usage_is_said(options: list[str], text: str) -> None:
    export("export.csv", days=3)
    result = run("import-meter", "export.csv", *options)
    assert result.exit_code == 2
    assert result.stderr.startswith(f"wattmesh: {text}")


def test_files_that_are_not_there() -> None:
    assert run("import-meter", "none.csv").stderr == "wattmesh: none.csv: No such file or directory\n"
    export("export.csv")
    result = run("import-meter", "export.csv", "--timezone", "Europe/Berlin", "-o", "none/house.csv")
    assert result.stderr == "wattmesh: none/house.csv: No such file or directory\n"


def test_days_are_moved_to_the_study_s_when_that_is_said() -> None:
    export("export.csv", days=3)
    zone = ("--timezone", "Europe/Berlin")
    assert run("import-meter", "export.csv", *zone, "-o", "house.csv").exit_code == 0
    winter = STREET.replace("2025-03-30T00:00:00+01:00", "2026-12-21T00:00:00+01:00")
    Path("street.yaml").write_text(winter)
    result = run("validate", "street.yaml")
    assert result.exit_code == 1
    assert "was measured from 30 March to 01 April, and clock.start is 21 December, another season" in result.stdout
    assert run("import-meter", "house.csv", "--timezone", "+01:00", "-o", "house.csv", "--move-to", "2026-12-21")
    assert run("validate", "street.yaml").exit_code == 0
