"""The commands as a user runs them."""

from __future__ import annotations

import json
import re
import sqlite3
from collections.abc import Callable
from dataclasses import replace
from importlib.metadata import version
from pathlib import Path
from typing import Any

import pytest
from typer.main import get_group
from typer.testing import CliRunner, Result

from tests.cli.street_books import BOUGHT, FLAT, NEXT, PROMISED, ROOF, THIRD, contract, street, write_state
from tests.world.manifests import MARKET, households, utility
from wattmesh_cli.main import app
from wattmesh_operator.manifests import load
from wattmesh_operator.resources.mistakes import ManifestErrors

Run = Callable[..., Result]


@pytest.fixture
def state(tmp_path: Path) -> Path:
    return write_state(tmp_path / "state", street())


@pytest.fixture
def run(state: Path) -> Run:
    """Run a command on the example street."""

    def run_command(*arguments: str) -> Result:
        return CliRunner().invoke(app, [*arguments, "--state", str(state)])

    return run_command


def lines(result: Result) -> list[str]:
    return [line.rstrip() for line in result.stdout.splitlines()]


def parsed(result: Result) -> Any:
    return json.loads(result.stdout)


def test_status_shows_how_each_party_stands(run: Run) -> None:
    result = run("status")
    assert result.exit_code == 0
    assert lines(result) == [
        "NAME      SOC  SOC kWh  SOLD kWh  BOUGHT kWh    BALANCE  OPEN  SLOT",
        "flat-0                     0.000       0.400  -0.140000     1  2026-06-21 12:30",
        "roof-0  52.8%    5.280     0.400       0.000   0.088000     1  2026-06-21 12:30",
        "grid                       0.000       0.000   0.052000     0  2026-06-21 12:30",
    ]


def test_status_for_programs(run: Run) -> None:
    assert parsed(run("status", "--output", "json"))[1] == {
        "party": ROOF,
        "kind": "household",
        "level_kwh": "5.280",
        "capacity_kwh": "10.000",
        "soc_percent": "52.8",
        "sold_kwh": "0.400",
        "bought_kwh": "0.000",
        "balance": "0.088000",
        "open_contracts": 1,
        "held_readings": 0,
        "distrusts": [],
        "slot_start": "2026-06-21T12:30:00+02:00",
    }


def test_status_says_who_is_passed_over_and_why(tmp_path: Path) -> None:
    first, *others = street()
    lost = [contract(f"{number}-lost", NEXT, "CANCELLED", reason="unknown to the seller") for number in range(2)]
    books = [replace(first, contracts=(*first.contracts, *lost)), *others]
    state = write_state(tmp_path / "distrust", books)

    def said(*arguments: str) -> Result:
        return CliRunner().invoke(app, ["status", *arguments, "--state", str(state)])

    [name] = [line for line in lines(said()) if line.startswith("flat-0")]
    assert "DISTRUSTS" in lines(said())[0]
    assert name.endswith("  roof-0")
    why = "2 contracts in a row came to nothing; until 2026-06-21 12:45"
    assert parsed(said("--output", "json"))[0]["distrusts"] == [{"partner": ROOF, "side": "buyer", "why": why}]
    assert f"roof-0: {why}" in " ".join(said("-o", "wide").stdout.split())


def test_contracts_are_listed_once_each(run: Run) -> None:
    result = run("contracts")
    assert result.exit_code == 0
    assert lines(result) == [
        "TRANSACTION  SLOT              BUYER   SELLER    kWh  PRICE/kWh    AMOUNT  STATE",
        "aaaaaaaa     2026-06-21 12:00  flat-0  roof-0  0.400   0.200000  0.080000  SETTLED",
        "bbbbbbbb     2026-06-21 12:30  flat-0  roof-0  0.500   0.200000  0.100000  CONFIRMED",
    ]


def test_contracts_for_programs(run: Run) -> None:
    assert parsed(run("contracts", "--output", "json"))[0] == {
        "transaction_id": BOUGHT,
        "order_id": f"order-{BOUGHT}",
        "slot_start": "2026-06-21T12:00:00+02:00",
        "buyer": FLAT,
        "seller": ROOF,
        "provider": ROOF,
        "energy_kwh": "0.400",
        "price_per_kwh": "0.200000",
        "amount": "0.080000",
        "grid_fee": "0.000000",
        "delivered_kwh": "0.400",
        "settled_amount": "0.080000",
        "state": "SETTLED",
        "buyer_state": "SETTLED",
        "seller_state": "SETTLED",
        "reason": None,
    }


@pytest.mark.parametrize(
    ("arguments", "transactions"),
    [
        (["--open"], [PROMISED]),
        (["--household", "flat-0"], [BOUGHT, PROMISED]),
        (["--household", ROOF, "--open"], [PROMISED]),
        (["--household", "grid"], []),
    ],
)
def test_contracts_can_be_narrowed_down(run: Run, arguments: list[str], transactions: list[str]) -> None:
    listed = parsed(run("contracts", "--output", "json", *arguments))
    assert [contract["transaction_id"] for contract in listed] == transactions


def test_an_unknown_household_is_bad_input(run: Run) -> None:
    result = run("contracts", "--household", "loft-0")
    assert (result.exit_code, result.stdout) == (2, "")
    assert result.stderr == "wattmesh: loft-0: no such party; there is flat-0, grid, roof-0\n"


def test_an_audit_that_finds_nothing(run: Run) -> None:
    result = run("audit")
    assert result.exit_code == 0
    assert lines(result) == [
        "2 deliveries (0 in flight), 4 readings and 6 ledger entries checked; "
        "sums 0.000 kWh and 0.000000: nothing wrong"
    ]  # fmt: skip


def test_an_audit_says_first_what_is_overdue(run: Run, state: Path) -> None:
    hours_later = THIRD + 5 * 3600
    for pod, unbooked in (("flat-0", True), ("grid", False)):
        book = sqlite3.connect(state / "agents" / f"{pod}.db", isolation_level=None)
        if unbooked:
            book.execute(f"UPDATE readings SET state = 'final' WHERE slot = {NEXT}")  # noqa: S608
        book.execute(f"UPDATE parties SET next_slot = {hours_later}")  # noqa: S608
        book.close()
    result = run("audit")
    assert result.exit_code == 1
    assert lines(result)[0] == "1 of 4 readings (25 %) are overdue: the oldest is not booked 5h after its slot"
    assert parsed(run("audit", "-o", "json"))["readings_overdue"] == 1


def test_an_audit_that_finds_something(run: Run, state: Path) -> None:
    book = sqlite3.connect(state / "agents" / "roof-0.db", isolation_level=None)
    book.execute("UPDATE contracts SET amount_micro = 99999 WHERE state = 'CONFIRMED'")
    book.close()
    result = run("audit")
    assert result.exit_code == 1
    assert lines(result) == [
        "KIND            PARTY   SLOT              TRANSACTION  FINDING",
        "contract-terms  flat-0  2026-06-21 12:30  bbbbbbbb     "
        "amount is 100000 millionths to the buyer, 99999 millionths to roof-0",
        "2 deliveries (0 in flight), 4 readings and 6 ledger entries checked; sums 0.000 kWh and 0.000000: 1 finding",
    ]
    result = run("audit", "--output", "json")
    assert result.exit_code == 1
    assert parsed(result) == {
        "readings_unbooked": 0,
        "readings_overdue": 0,
        "oldest_overdue_s": 0,
        "readings_held": 0,
        "findings": [
            {
                "kind": "contract-terms",
                "party": FLAT,
                "slot_start": "2026-06-21T12:30:00+02:00",
                "transaction_id": PROMISED,
                "text": f"amount is 100000 millionths to the buyer, 99999 millionths to {ROOF}",
            }
        ],
        "deliveries_checked": 2,
        "deliveries_in_flight": 0,
        "readings_checked": 4,
        "ledger_entries_checked": 6,
        "entries_chained": 0,
        "checkpoints_checked": 0,
        "energy_sum_kwh": "0.000",
        "amount_sum": "0.000000",
        "energy_in_flight_kwh": "0.000",
        "amount_in_flight": "0.000000",
        "deliveries_with_departed": 0,
        "deliveries_with_forgotten": 0,
        "closings_with_forgotten": 0,
        "energy_with_departed_kwh": "0.000",
        "amount_with_departed": "0.000000",
    }


def test_a_contract_that_changed_while_the_books_were_read_is_no_finding(
    run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    flat, grid, roof = street()
    before = replace(flat, contracts=(flat.contracts[0], replace(flat.contracts[1], state="AGREED")))
    looks = iter([(before, grid, roof), (flat, grid, roof)])
    monkeypatch.setattr("wattmesh_cli.sources.read_markets", lambda _: [next(looks)])
    result = run("audit")
    assert (result.exit_code, next(looks, None)) == (0, None)


@pytest.mark.parametrize("command", ["status", "contracts", "audit"])
def test_a_missing_state_directory_is_one_line_on_stderr(command: str, tmp_path: Path) -> None:
    result = CliRunner().invoke(app, [command, "--state", str(tmp_path / "none")])
    assert (result.exit_code, result.stdout) == (2, "")
    assert result.stderr == (
        f"wattmesh: {tmp_path / 'none'}: there is no such directory; 'wattmesh up' makes it, --state names another\n"
    )


@pytest.mark.parametrize("content", ["{", "[]", '{"versions": []}', '{"study": null, "demo": false, "versions": [{}]}'])
def test_a_record_that_cannot_be_read_is_told(run: Run, state: Path, content: str) -> None:
    (state / "street.json").write_text(content)
    result = run("status")
    assert (result.exit_code, result.stdout) == (2, "")
    assert result.stderr.startswith(f"wattmesh: {state / 'street.json'}: damaged, or of another version; ")


GATEWAY = """
apiVersion: wattmesh.io/v1alpha1
kind: BecknGateway
metadata: {name: market}
spec: {}
"""


def test_validate_says_that_all_is_well(tmp_path: Path) -> None:
    good = tmp_path / "good.yaml"
    good.write_text(GATEWAY)
    result = CliRunner().invoke(app, ["validate", "-f", str(good)])
    assert (result.exit_code, result.stdout) == (0, "1 resource, no mistakes\n")
    result = CliRunner().invoke(app, ["validate", "-f", str(good), "--output", "json"])
    assert (result.exit_code, parsed(result)) == (0, {"mistakes": [], "profiles": [], "prices": [], "pv": []})


def test_validate_says_what_several_roofs_come_to(tmp_path: Path) -> None:
    street = tmp_path / "street.yaml"
    roofs = "[{peakKw: 5.5, azimuthDegrees: 90}, {peakKw: 4, azimuthDegrees: 270, tiltDegrees: 20}]"
    street.write_text(MARKET + utility() + households("roof", f"pv: {{tiltDegrees: 35, roofs: {roofs}}}"))
    result = CliRunner().invoke(app, ["validate", str(street)])
    assert (result.exit_code, lines(result)) == (
        0,
        ["SolarAgent roof: 2 roofs, 9.5 kW: 5.5 kW to 90° at 35°, 4 kW to 270° at 20°", "3 resources, no mistakes"],
    )
    result = CliRunner().invoke(app, ["validate", str(street), "--output", "json"])
    assert parsed(result)["pv"] == [
        {
            "namespace": "default",
            "name": "roof",
            "peak_kw": 9.5,
            "roofs": [
                {"peak_kw": 5.5, "tilt_degrees": 35, "azimuth_degrees": 90},
                {"peak_kw": 4, "tilt_degrees": 20, "azimuth_degrees": 270},
            ],
        }
    ]


def test_validate_prints_every_mistake_in_all_files(tmp_path: Path) -> None:
    twice, missing = tmp_path / "twice.yaml", tmp_path / "missing.yaml"
    twice.write_text(GATEWAY + "---" + GATEWAY)
    result = CliRunner().invoke(app, ["validate", "-f", str(twice), str(missing)])
    assert result.exit_code == 1
    with pytest.raises(ManifestErrors) as errors:
        load([twice, missing])
    assert lines(result) == [str(mistake) for mistake in errors.value.mistakes]
    assert len(lines(result)) == 2
    result = CliRunner().invoke(app, ["validate", "-f", str(missing), "--output", "json"])
    assert result.exit_code == 1
    assert parsed(result)["mistakes"] == [
        {
            "source": str(missing),
            "document": None,
            "line": None,
            "kind": None,
            "namespace": None,
            "name": None,
            "path": "",
            "text": "cannot be read: No such file or directory",
        }
    ]


def test_validate_needs_no_option_for_its_files(tmp_path: Path) -> None:
    good = tmp_path / "good.yaml"
    good.write_text(GATEWAY)
    result = CliRunner().invoke(app, ["validate", str(good)])
    assert (result.exit_code, result.stdout) == (0, "1 resource, no mistakes\n")
    result = CliRunner().invoke(app, ["validate"])
    assert (result.exit_code, result.stderr) == (2, "wattmesh: name a file of manifests, for example -f street.yaml\n")


@pytest.mark.parametrize("command", sorted(get_group(app).commands))
def test_help_says_each_default_once_and_eats_no_brackets(command: str) -> None:
    shown = CliRunner().invoke(app, [command, "--help"], env={"COLUMNS": "100"}).stdout
    options = re.split(r"^  (?=-)", shown.partition("\nOptions:\n")[2], flags=re.M)
    assert options
    for option in options:
        assert option.lower().count("default") <= 1, option
    if command == "profiles":
        assert "pip install 'wattmesh[field]'" in " ".join(shown.split())
        assert "[AGENT=]KIND" in shown


def test_help_and_version() -> None:
    assert CliRunner().invoke(app, ["--version"]).stdout == f"wattmesh {version('wattmesh')}\n"
    shown = " ".join(CliRunner().invoke(app, ["--help"]).stdout.split())
    assert "Exit codes: 0 fine; 1 audit or validate found something; 2 wrong usage or unusable input." in shown
