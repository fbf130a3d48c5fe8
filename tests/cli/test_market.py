"""Who bought what from whom."""

from __future__ import annotations

from dataclasses import replace

from tests.cli.street_books import BOUGHT, FLAT, GRID, NEXT, ROOF, SLOT, other_side, street
from wattmesh_cli.books import Book, LedgerEntry
from wattmesh_cli.kpi.money import price_micro_per_kwh
from wattmesh_cli.market import Flow, HouseholdSummary, MarketSummary, Traded, summarize, traded_every


def test_a_street_in_sum() -> None:
    assert summarize(street()) == MarketSummary(
        flows=(Flow(FLAT, ROOF, deliveries=1, energy_wh=400, price_micro_per_kwh=200_000, amount_micro=80_000),),
        households=(
            HouseholdSummary(
                FLAT,
                bought_wh=400,
                sold_wh=0,
                shared_wh=0,
                imported_wh=200,
                exported_wh=0,
            ),
            HouseholdSummary(
                ROOF,
                bought_wh=0,
                sold_wh=400,
                shared_wh=0,
                imported_wh=0,
                exported_wh=100,
            ),
        ),
        contracts=1,
        settled=1,
    )


def test_a_flow_is_priced_by_volume() -> None:
    books = [
        Book(
            "flat-0",
            parties=street()[0].parties,
            ledger=(
                LedgerEntry(FLAT, "trade", SLOT, ROOF, "a", 1000, -100_000),
                LedgerEntry(FLAT, "trade", NEXT, ROOF, "b", 3000, -900_000),
                LedgerEntry(FLAT, "trade", NEXT, GRID, "c", 500, -200_000),
                LedgerEntry(FLAT, "trade", NEXT, ROOF, "d", 0, 0),
            ),
        )
    ]
    summary = summarize(books)
    assert summary.flows == (
        Flow(FLAT, GRID, deliveries=1, energy_wh=500, price_micro_per_kwh=400_000, amount_micro=200_000),
        Flow(FLAT, ROOF, deliveries=2, energy_wh=4000, price_micro_per_kwh=250_000, amount_micro=1_000_000),
    )


def test_what_neighbours_traded_in_hours_of_the_day_is_priced_by_volume() -> None:
    flat, grid, roof = street()
    more = (
        LedgerEntry(FLAT, "trade", SLOT + 7200, ROOF, "b", 1000, -100_000),
        LedgerEntry(FLAT, "trade", SLOT + 7200, ROOF, "c", 3000, -900_000),
        LedgerEntry(FLAT, "trade", SLOT + 7200, GRID, "d", 500, -200_000),
    )
    found = traded_every(2, [replace(flat, ledger=flat.ledger + more), grid, roof])
    hours = SLOT // 7200 * 7200
    assert found == (Traded(hours, 400, 200_000), Traded(hours + 7200, 4000, 250_000))


def test_a_purchase_from_the_utility_is_not_between_households() -> None:
    flat, grid, _ = street()
    bought = replace(flat.contracts[0], counterparty=GRID)
    books = [replace(flat, contracts=(bought,)), replace(grid, contracts=(other_side(bought),))]
    assert bought.transaction_id == BOUGHT
    assert summarize(books).settled == 0


def test_a_price_is_rounded_half_up() -> None:
    assert price_micro_per_kwh(1, 2000) == 1  # 0.5
    assert price_micro_per_kwh(1, 2001) == 0
    assert price_micro_per_kwh(80_000, 400) == 200_000
