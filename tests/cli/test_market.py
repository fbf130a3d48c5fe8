"""Who bought what from whom, and what it was worth."""

from __future__ import annotations

from dataclasses import replace

from tests.cli.street_books import BOUGHT, FLAT, GRID, NEXT, ROOF, SLOT, other_side, street
from wattmesh_cli.books import Book, LedgerEntry
from wattmesh_cli.kpi.money import Prices, price_micro_per_kwh
from wattmesh_cli.market import Flow, HouseholdSummary, MarketSummary, summarize


def tariff(_: str, slot: int) -> int:
    """0.30, from the second slot on 0.40."""
    return 300_000 if slot < NEXT else 400_000


def feed_in(_: str, __: int) -> int:
    return 80_000


PRICES = Prices(tariff, feed_in, grid_fee_micro=lambda *_: 0, local_fee_micro=lambda *_: 0)


def test_a_street_in_sum() -> None:
    assert summarize(street(), PRICES) == MarketSummary(
        flows=(Flow(FLAT, ROOF, contracts=1, energy_wh=400, price_micro_per_kwh=200_000, amount_micro=80_000),),
        households=(
            HouseholdSummary(
                FLAT,
                bought_wh=400,
                sold_wh=0,
                shared_wh=0,
                imported_wh=200,
                exported_wh=0,
                balance_micro=-140_000,
                level_wh=0,
                saved_micro=40_000,  # 400 Wh at 0.30 instead of 0.20
                gained_micro=0,
            ),
            HouseholdSummary(
                ROOF,
                bought_wh=0,
                sold_wh=400,
                shared_wh=0,
                imported_wh=0,
                exported_wh=100,
                balance_micro=88_000,
                level_wh=5280,
                saved_micro=0,
                gained_micro=48_000,  # 400 Wh at 0.20 instead of 0.08
            ),
        ),
        settled_between_households=1,
    )


def test_a_flow_is_priced_by_volume_and_each_purchase_compared_in_its_slot() -> None:
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
    summary = summarize(books, PRICES)
    assert summary.flows == (
        Flow(FLAT, GRID, contracts=1, energy_wh=500, price_micro_per_kwh=400_000, amount_micro=200_000),
        Flow(FLAT, ROOF, contracts=2, energy_wh=4000, price_micro_per_kwh=250_000, amount_micro=1_000_000),
    )
    # 1 kWh at 0.30 and 3.5 kWh at 0.40 would have cost 1.70; 1.20 was paid.
    assert summary.households[0].saved_micro == 500_000


def test_a_purchase_from_the_utility_is_not_between_households() -> None:
    flat, grid, _ = street()
    bought = replace(flat.contracts[0], counterparty=GRID)
    books = [replace(flat, contracts=(bought,)), replace(grid, contracts=(other_side(bought),))]
    assert bought.transaction_id == BOUGHT
    assert summarize(books, PRICES).settled_between_households == 0


def test_a_price_is_rounded_half_up() -> None:
    assert price_micro_per_kwh(1, 2000) == 1  # 0.5
    assert price_micro_per_kwh(1, 2001) == 0
    assert price_micro_per_kwh(80_000, 400) == 200_000
