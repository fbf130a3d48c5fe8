"""`wattmesh evidence`, on the books of a street that was run over messages."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from tests.world.manifests import MARKET, households, utility
from wattmesh_cli.main import app

STORE = "battery: {capacityKwh: 10, initialKwh: 9, powerKw: 5}, trading: {sellAbovePercent: 50, sellPrice: 0.10}"
STREET = MARKET + utility() + households("store", STORE) + households("flat", "load: {annualKwh: 9000}")


def run(*arguments: str) -> Result:
    return CliRunner().invoke(app, arguments)


@pytest.fixture(scope="module")
def state(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("street")
    (folder / "street.yaml").write_text(STREET, encoding="utf-8")
    done = run(
        "simulate", str(folder / "street.yaml"), "--days", "1", "--over", "messages", "--state", str(folder / "state")
    )
    assert done.exit_code == 0, done.output
    return folder / "state"


@pytest.fixture(scope="module")
def contract(state: Path) -> Any:
    """A contract of flat-0 with store-0 that is settled."""
    listed = json.loads(run("contracts", "--state", str(state), "-o", "json").stdout)
    return next(
        one
        for one in listed
        if one["state"] == "SETTLED" and one["buyer"] == "flat-0.default" and one["seller"] == "store-0.default"
    )


@pytest.fixture
def written(state: Path, contract: Any, tmp_path: Path) -> Path:
    """Its evidence, as the flat holds it."""
    path = tmp_path / "evidence.json"
    done = run(
        "evidence", contract["transaction_id"], "--household", "flat-0", "--out", str(path), "--state", str(state)
    )
    assert done.exit_code == 0, done.output
    assert "messages that flat-0.default holds" in done.stdout
    return path


def test_what_a_household_writes_another_can_check_without_its_books(written: Path, contract: Any) -> None:
    done = run("evidence", "--verify", str(written))
    assert done.exit_code == 0, done.output
    first, head, row, *_, last = done.stdout.splitlines()
    assert first == f"flat-0.default bought of store-0.default, transaction {contract['transaction_id']}"
    assert head.split() == ["SLOT", "(UTC)", "kWh", "AMOUNT", "STATE", "AGREED", "DELIVERED", "PAID"]
    assert row.split()[-4:] == ["SETTLED", "signed", "signed", "signed"]
    assert last == "all that is claimed is signed"
    assert (
        "of flat-0.default's ledger is in the chain that it signed for the day until 2026-06-22T00:00:00+00:00"
        in done.stdout
    )
    [told] = json.loads(run("evidence", "--verify", str(written), "-o", "json").stdout)
    assert told["sound"]
    assert told["deliveries"][0]["energy_kwh"] == contract["energy_kwh"]
    assert len(told["keys"]) == 1
    [chained] = told["chained"]
    assert (chained["until"], chained["kept_by"]) == ("2026-06-22T00:00:00+00:00", [])


def test_both_sides_are_written_where_both_are_kept(state: Path, contract: Any) -> None:
    done = run("evidence", contract["transaction_id"][:13], "--state", str(state))
    assert {side["party"] for side in json.loads(done.stdout)["sides"]} >= {"flat-0.default", "store-0.default"}


def test_where_both_are_kept_each_says_that_it_keeps_the_others_checkpoint(
    state: Path, contract: Any, tmp_path: Path
) -> None:
    path = tmp_path / "both.json"
    run("evidence", contract["transaction_id"], "--out", str(path), "--state", str(state))
    told = json.loads(run("evidence", "--verify", str(path), "-o", "json").stdout)
    assert {side["party"]: side["chained"][0]["kept_by"] for side in told} == {
        "flat-0.default": ["store-0.default"],
        "store-0.default": ["flat-0.default"],
    }


def test_an_edited_file_is_found_out(written: Path) -> None:
    raw = json.loads(written.read_text(encoding="utf-8"))
    raw["sides"][0]["deliveries"][0]["energy_wh"] += 1000
    raw["sides"][0]["messages"][0]["body"] += " "
    written.write_text(json.dumps(raw), encoding="utf-8")
    done = run("evidence", "--verify", str(written))
    assert done.exit_code == 1
    assert "NOT SIGNED" in done.stdout
    assert "not evidence: on_confirm of " in done.stdout
    assert done.stdout.splitlines()[-1].startswith("NOT PROVED")


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        ((), "name a contract to write evidence of"),
        (("0123", "--verify", "x"), "name a contract to write evidence of"),
        (("ffffffff",), "no contract with a transaction id that begins with ffffffff"),
        (("no-id",), "no-id: a transaction id, or four or more of its first characters, is wanted"),
        (("--verify", "nowhere.json"), "nowhere.json: cannot be read: No such file"),
    ],
)
def test_what_cannot_be_done_is_said(arguments: tuple[str, ...], text: str, state: Path) -> None:
    done = run("evidence", *arguments, "--state", str(state))
    assert done.exit_code == 2
    assert text in done.stderr


def test_a_file_that_is_something_else_is_said(tmp_path: Path) -> None:
    (tmp_path / "x.json").write_text('{"sides": []}', encoding="utf-8")
    done = run("evidence", "--verify", str(tmp_path / "x.json"))
    assert done.exit_code == 2
    assert "no evidence of wattmesh: sides: " in done.stderr
