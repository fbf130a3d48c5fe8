"""`wattmesh kpis`, on the street of `tests/cli/street_books.py`."""

from __future__ import annotations

import csv
import json
import sqlite3
import sys
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from tests.cli.street_books import FLAT, MANIFEST, NEXT, ROOF, street, write_state
from wattmesh_cli.main import app

Run = Callable[..., Result]


@pytest.fixture
def state(tmp_path: Path) -> Path:
    return write_state(tmp_path / "state", street())


@pytest.fixture
def run(tmp_path: Path, state: Path) -> Run:
    manifest = tmp_path / "street.yaml"
    manifest.write_text(MANIFEST)

    def run_command(*arguments: str, manifest: str = str(manifest)) -> Result:
        return CliRunner().invoke(app, ["kpis", "--state", str(state), "-f", manifest, *arguments])

    return run_command


HEADLINE = [
    "With the market the households paid 0.05 instead of 0.18 EUR (each alone with its battery and its utility); with "
    "what is left in the batteries they are −0.01 to 0.09 better off.",
    "Nobody is worse off than alone.",
    "As if behind one meter, 81.0% of the load needed nothing from outside with the market "
    "and 42.9% without; the peak import was 0.80 kW and "
    "2.40 kW.",
]


def test_kpis_for_people(run: Run) -> None:
    result = run()
    assert result.exit_code == 0, result.output
    assert [line.rstrip() for line in result.stdout.splitlines()] == [
        *HEADLINE,
        "",
        "HOUSEHOLD     PV   LOAD     IN    OUT  SELF-CONS  SELF-SUFF  LOCAL  PEAK kW     BILL  GRID FEES  NO MARKET"
        "  UTILITY ONLY  STORED  BENEFIT: RETAIL  FEED-IN",
        "flat-0     0.000  0.600  0.600  0.000          -       0.0%  66.7%    2.400   0.1400     0.0000     0.0400"
        "        0.0400   0.000           0.0400   0.0400",
        # Alone the roof would have stored 700 and 100 Wh with 95 %, 760; it has stored 280. Of 480 Wh 95 % come out:
        # worth 0.1368 at the tariff, 0.0365 fed in.
        "roof-0     1.250  0.450  0.000  0.500      36.0%     100.0%      -    0.000  -0.0880     0.0000     0.0480"
        "        0.0880  -0.480          -0.0488   0.0515",
        "community  1.250  1.050  0.200  0.100      84.0%     100.0%  66.7%    0.800   0.0520     0.0000     0.0880"
        "        0.1280  -0.480          -0.0088   0.0915",
        "",
        "Energy in kWh. GRID FEES: those of purchases and imports, in the bill. NO MARKET, UTILITY ONLY: how much "
        "lower the bill is than in these. STORED: how much more is in the battery than with the utility only; BENEFIT: "
        "UTILITY ONLY and what that is worth, at the retail price that it saves, or at the feed-in price that it earns",
        "local trade: 0.400 kWh at 0.2000 on average",
        "benefit against no market: Gini 0.05, losers 0.0%",
        "benefit against utility only (retail): Gini -, losers 50.0%",
        "benefit against utility only (feed-in): Gini 0.06, losers 0.0%",
        "",
        "All households as if behind one meter",
        "              SELF-SUFF  AUTARKY  PEAK kW     IN    OUT",
        "utility only     100.0%    42.9%    2.400  0.600  0.000",
        "market           100.0%    81.0%    0.800  0.200  0.100",
        "",
        "Customers of each utility, as if behind one meter; capacity limits what it sells on the market",
        "UTILITY  CAPACITY kW  PEAK kW  SLOTS ABOVE",
        "grid          50.000    0.800       0 of 2",
        "",
        "unserved 0.000 kWh, curtailed 0.000 kWh",
        "1 of 2 quotes settled (50.0%), 0 expired, 0 cancelled; 2.0 offers per delivery",
        "- messages per delivery, - deliveries per search; search to confirmation: - ms (median), "
        "- ms (95th percentile)",
    ]


def test_the_optimum(run: Run) -> None:
    lines = [line.rstrip() for line in run("--optimum").stdout.splitlines()]
    assert lines[1] == (
        "Of what perfect foresight could have saved them together, they saved −0.01 (-50.1%) of 0.02 EUR with what is "
        "left worth its retail price, and 0.09 (66.2%) of 0.14 EUR with what is left worth its feed-in price."
    )
    table = lines.index("What all households pay, less what is left in their batteries")
    assert lines[table + 1 : table + 4] == [
        "LEFT IS WORTH  EACH ALONE   MARKET  OPTIMUM    SAVED  POSSIBLE  REALISED",
        "retail            -1.4616  -1.4528  -1.4791  -0.0088    0.0175    -50.1%",
        "feed-in           -0.2577  -0.3492  -0.3960   0.0915    0.1382     66.2%",
    ]
    found = json.loads(run("--optimum", "-o", "json").stdout)["optimum"]
    # All 600 Wh of flat come from roof's 700. Of the other 100, and of 100 in the second slot, 95 % are stored beside
    # 5 kWh, each worth 0.95 of the tariff; at feed-in prices they are fed in.
    assert found["retail"]["optimum"] == f"{-5.19 * 0.285:.6f}"
    assert found["feed_in"]["optimum"] == f"{-5 * 0.076 - 0.2 * 0.08:.6f}"
    assert found["worse_off"] == []
    values = {
        (party, kpi): value for party, kpi, value in csv.reader(run("--optimum", "-o", "csv").stdout.splitlines())
    }
    assert values["community", "optimum_feed_in_ratio"] == "0.6620"
    assert "optimum" not in json.loads(run("-o", "json").stdout)


def test_who_is_worse_off_than_alone_is_named(run: Run, state: Path) -> None:
    with closing(sqlite3.connect(state / "agents" / "flat-0.db")) as database:
        database.execute("UPDATE ledger SET amount_micro = -200000 WHERE kind = 'trade'")
        database.commit()
    assert "Worse off than alone (EUR): flat-0 by 0.08." in run().stdout
    assert "Worse off than alone (EUR): flat-0 by 0.08 (44.4% of what its load costs)." in run("--optimum").stdout
    [loss] = json.loads(run("--optimum", "-o", "json").stdout)["optimum"]["worse_off"]
    assert loss == {"party": FLAT, "amount": "0.080000", "of_load": "0.4444"}


def test_the_optimum_needs_complete_bills_and_its_library(
    run: Run, state: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as without:
        without.setitem(sys.modules, "wattmesh_cli.field.metered", None)
        result = run("--optimum")
        assert result.exit_code == 2
        assert "which is not installed: pip install 'wattmesh[field]'" in result.stderr
    with closing(sqlite3.connect(state / "agents" / "flat-0.db")) as database:
        database.execute("UPDATE readings SET state = 'final' WHERE slot = ?", (NEXT,))
        database.commit()
    result = run("--optimum")
    assert result.exit_code == 2
    assert "--optimum needs complete bills, and slots are not booked yet: give an earlier --until" in result.stderr
    assert run("--optimum", "--until", "2026-06-21T12:15").exit_code == 0


def test_fees_messages_and_milliseconds(run: Run, state: Path, tmp_path: Path) -> None:
    # 0.03 of each kWh of roof's 0.20 are for the grid, and 0.07 of the utility's 0.30: 400 and 200 Wh.
    with closing(sqlite3.connect(state / "agents" / "flat-0.db")) as database:
        database.execute("UPDATE contracts SET fee_micro = energy_wh * 30, searched_ms = 1000, confirmed_ms = 2750")
        database.execute("INSERT INTO messages VALUES (?, 'search', 2), (?, 'confirm', 7)", (FLAT, FLAT))
        database.commit()
    with_fee = tmp_path / "fee.yaml"
    with_fee.write_text(MANIFEST.replace("price: 0.30", "price: 0.23, gridFee: 0.07"))
    found = json.loads(run("-o", "json", manifest=str(with_fee)).stdout)
    assert [row["grid_fees"] for row in (*found["households"], found["community"])] == [
        "0.026000",
        "0.000000",
        "0.026000",
    ]
    assert found["community"]["no_market_savings"] == "0.088000"  # as with 0.30 and no fee
    names = ("messages", "messages_per_delivery", "deliveries_per_search", "confirm_ms_median", "confirm_ms_p95")
    assert [found["community"][name] for name in names] == [9, "9.0000", "0.5000", 1750, 1750]
    told = run(manifest=str(with_fee)).stdout
    assert "9.0 messages per delivery, 0.5 deliveries per search; search to confirmation: 1750 ms (median), " in told
    values = {(party, kpi): value for party, kpi, value in csv.reader(run("-o", "csv").stdout.splitlines())}
    assert [values["community", name] for name in names] == ["9", "9.0000", "0.5000", "1750", "1750"]
    ranged = json.loads(run("-o", "json", "--from", "2026-06-21T12:00").stdout)["community"]
    assert [ranged[name] for name in names] == [None, None, None, 1750, 1750]


def test_kpis_for_programs(run: Run) -> None:
    found = json.loads(run("-o", "json").stdout)
    assert [row["party"] for row in found["households"]] == [FLAT, ROOF]
    flat, roof = found["households"]
    assert flat["bill"] == "0.140000"  # 200 Wh at 0.30, 400 Wh at 0.20
    assert flat["no_market_savings"] == "0.040000"  # 400 Wh, 0.10 per kWh less
    assert flat["self_consumption"] is None
    assert flat["local_share"] == "0.6667"
    assert flat["peak_import_kw"] == "2.400"  # 600 Wh in a quarter of an hour
    assert roof["no_market_savings"] == "0.048000"  # 400 Wh, 0.12 per kWh more
    assert found["community"]["bill"] == "0.052000"
    assert found["community"]["utilities_bill"] == "-0.052000"
    assert (found["community"]["quotes"], found["community"]["deliveries_settled"]) == (2, 1)
    assert (found["from"], found["until"]) == (None, None)


def test_a_range_of_slots(run: Run) -> None:
    found = json.loads(run("-o", "json", "--from", "2026-06-21T12:15", "--until", "2026-06-21 12:30").stdout)
    assert (found["from"], found["until"]) == ("2026-06-21T12:15:00+02:00", "2026-06-21T12:30:00+02:00")
    assert found["community"]["pv_kwh"] == "0.250"
    assert found["community"]["quotes"] == 0
    assert found["community"]["settled_of_quotes"] is None


def test_kpis_as_csv(run: Run) -> None:
    rows = list(csv.reader(run("-o", "csv").stdout.splitlines()))
    assert rows[0] == ["party", "kpi", "value"]
    assert {len(row) for row in rows} == {3}
    values = {(party, kpi): value for party, kpi, value in rows[1:]}
    assert len(values) == len(rows) - 1
    assert values[FLAT, "bill"] == "0.140000"
    assert values[FLAT, "self_consumption"] == ""  # undefined
    assert values["community", "local_price_per_kwh"] == "0.200000"
    assert values["community", "unbooked_readings"] == "0"


def test_manifests_of_another_street_are_refused(run: Run, tmp_path: Path) -> None:
    other = tmp_path / "other.yaml"
    other.write_text(MANIFEST.replace("{name: flat}", "{name: attic}"))
    result = run(manifest=str(other))
    assert result.exit_code == 2
    assert result.stderr == (
        "wattmesh: the manifests do not have flat-0.default; give those that this street ran with\n"
    )


def test_without_manifests_those_that_the_street_ran_with_count(run: Run, state: Path) -> None:
    result = CliRunner().invoke(app, ["kpis", "--state", str(state)])
    assert (result.exit_code, result.stdout) == (0, run().stdout)


def test_what_is_not_booked_is_said(run: Run, state: Path) -> None:
    assert "not booked yet" not in run().stdout
    with closing(sqlite3.connect(state / "agents" / "flat-0.db")) as database:
        database.execute("UPDATE readings SET state = 'final' WHERE slot = ?", (NEXT,))
        database.commit()
    assert json.loads(run("-o", "json").stdout)["community"]["utility_only_savings"] is None
    assert "1 metered slot is not booked yet: bills are not final" in run().stdout


def test_a_range_that_is_empty_or_the_wrong_way_round_is_refused(run: Run) -> None:
    result = run("--from", "2026-06-21T12:30", "--until", "2026-06-21T12:30")
    assert result.exit_code == 2
    assert result.stderr == "wattmesh: --until must be later than --from\n"
