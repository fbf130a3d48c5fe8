"""KPIs of energy that was shared: it is local, not the utility's, and what it was worth is a saving."""

from __future__ import annotations

from fractions import Fraction

from tests.cli.kpi.small_street import BATTERIES, FIRST, FLAT, GRID, PRICES, ROOF, STORE, shared_street, small_street
from wattmesh_cli.alone import alone
from wattmesh_cli.audit import audit
from wattmesh_cli.books import Book, LedgerEntry
from wattmesh_cli.kpi import ALL_SLOTS, Kpis, LocalTrade, Prices, collect, kpis
from wattmesh_cli.kpi.rows import Supplied, supplied
from wattmesh_cli.market import summarize
from wattmesh_cli.report.flows import flows
from wattmesh_cli.report.series import Traded, traded


def kpis_of(books: list[Book], prices: Prices = PRICES) -> Kpis:
    return kpis(books, prices, alone(collect(books), BATTERIES.__getitem__, ALL_SLOTS), ALL_SLOTS)


def test_the_books_of_the_example_are_right() -> None:
    assert audit(shared_street()).findings == ()


def test_what_is_shared_is_local() -> None:
    before, after = kpis_of(small_street()).community.energy, kpis_of(shared_street()).community.energy
    assert (before.local_wh, before.local_share) == (500, Fraction(500, 1000))
    assert (after.local_wh, after.local_share) == (800, Fraction(800, 1000))
    assert (after.inflow_wh, after.outflow_wh) == (before.inflow_wh, before.outflow_wh), "no meter reads otherwise"
    # 500 Wh at 0.20, 300 Wh at 0.19
    assert kpis_of(shared_street()).local_trade == LocalTrade(800, 157_000, 196_250)


def test_what_sharing_is_worth_is_a_saving_against_no_market() -> None:
    before, after = kpis_of(small_street()), kpis_of(shared_street())
    gains = {ROOF: 300 * 110, FLAT: 225 * 110, STORE: 75 * 110}
    for one, other in zip(before.households, after.households, strict=True):
        assert other.money.no_market_bill_micro == one.money.no_market_bill_micro
        assert other.money.no_market_savings_micro - one.money.no_market_savings_micro == gains[one.party]
        assert other.money.bill_micro == one.money.bill_micro - gains[one.party]
    assert after.utilities_bill_micro - before.utilities_bill_micro == sum(gains.values()), "that the utility has lost"


def test_grid_fees_of_shared_energy_are_the_local_one() -> None:
    prices = Prices(
        PRICES.tariff_micro, PRICES.feed_in_micro, lambda *_: 70_000, lambda *_: 30_000, PRICES.discharge_ppm
    )
    fees = {row.party: row.money.grid_fees_micro for row in kpis_of(shared_street(), prices).households}
    # flat imported 75 Wh of the utility in the first slot and 100 Wh in the second.
    assert fees == {ROOF: 0, FLAT: 225 * 30 + 175 * 70, STORE: 75 * 30 + 25 * 70}


def test_the_summary_of_a_day_tells_what_was_shared() -> None:
    rows = {row.household: row for row in summarize(shared_street()).households}
    assert {name: (row.shared_wh, row.imported_wh, row.exported_wh) for name, row in rows.items()} == {
        ROOF: (300, 0, 0),
        FLAT: (225, 175, 0),
        STORE: (75, 25, 0),
    }


def test_the_report_counts_it_between_households_and_not_from_the_backstop() -> None:
    rows = collect(shared_street())
    assert traded(rows, [FIRST]) == (Traded(FIRST, local_wh=300, local_micro=57_000, shared_wh=300),)
    assert {(flow.kind, flow.seller, flow.buyer, flow.energy_wh) for flow in flows(rows, ALL_SLOTS)} == {
        ("trade", ROOF, FLAT, 300),
        ("trade", ROOF, STORE, 200),
        ("backstop", GRID, FLAT, 175),
        ("backstop", GRID, STORE, 25),
    }


def test_what_was_shared_and_then_corrected_away_is_not_local() -> None:
    entries = [
        LedgerEntry(FLAT, "shared", FIRST, GRID, "shared", 225, -42_750),
        LedgerEntry(FLAT, "backstop", FIRST, GRID, "supply", 75, -22_500),
        LedgerEntry(FLAT, "backstop", FIRST, GRID, "correction", -200, 43_500),
    ]
    assert supplied(entries) == [Supplied(FIRST, 100, 100, -21_750)]
    assert supplied(entries)[0].utility_wh == 0
