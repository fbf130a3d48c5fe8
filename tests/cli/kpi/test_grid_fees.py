"""The KPIs of the small street with grid fees: 0.07 per kWh of the utility's, 0.03 of what roof sells. By hand.

What flat and store pay is dearer by that: 0.23 instead of 0.20 to roof, 0.37 instead of 0.30 to the utility, and 0.47
instead of 0.40 in the third slot. Of the 0.03 nothing stays with roof: it owes the utility 0.015 for 500 Wh.
"""

from __future__ import annotations

from dataclasses import replace

from tests.cli.kpi.small_street import (
    BATTERIES,
    FIRST,
    FLAT,
    GRID,
    ROOF,
    SECOND,
    STORE,
    at_both,
    feed_in,
    nothing_is_lost,
    small_street,
    supply,
    tariff,
    trade,
)
from wattmesh_cli.alone import alone
from wattmesh_cli.audit import audit
from wattmesh_cli.books import Book, ContractRow, LedgerEntry, Reported
from wattmesh_cli.kpi import ALL_SLOTS, Kpis, LocalTrade, MoneyKpis, Prices, Slots, collect, kpis

PRICES = Prices(
    lambda party, slot: tariff(party, slot) + 70_000,
    feed_in,
    grid_fee_micro=lambda *_: 70_000,
    local_fee_micro=lambda *_: 30_000,
    discharge_ppm=nothing_is_lost,
)
FEES = {"a": 9_000, "b": 6_000, "c": 1_500}
"""0.03 per kWh of 300, 200 and 50 Wh, by contract."""
LEDGER = {
    "roof": (
        supply(ROOF, GRID, FIRST, -300, 24_000),
        trade(ROOF, FLAT, "a", -300, 69_000),
        trade(ROOF, STORE, "b", -200, 46_000),
        LedgerEntry(ROOF, "grid_fee", SECOND, GRID, "0.500 kWh sold", 0, -15_000),
    ),
    "flat": (
        supply(FLAT, GRID, FIRST, 300, -111_000),
        supply(FLAT, GRID, SECOND, 100, -37_000),
        trade(FLAT, ROOF, "a", 300, -69_000),
    ),
    "store": (supply(STORE, GRID, FIRST, 100, -37_000), trade(STORE, ROOF, "b", 200, -46_000)),
    "grid": (
        supply(GRID, ROOF, FIRST, 300, -24_000),
        supply(GRID, FLAT, FIRST, -300, 111_000),
        supply(GRID, STORE, FIRST, -100, 37_000),
        supply(GRID, FLAT, SECOND, -100, 37_000),
        LedgerEntry(GRID, "grid_fee", SECOND, ROOF, "0.500 kWh sold", 0, 15_000),
    ),
}

SOLD = Reported(GRID, SECOND, ROOF, 0, 0, 500, False, "alone")


def with_fee(row: ContractRow) -> ContractRow:
    fee = FEES[row.transaction_id]
    settled = None if row.settled_micro is None else row.settled_micro + fee
    offered = None if row.offered_micro_per_kwh is None else row.offered_micro_per_kwh + 30_000
    return replace(
        row, amount_micro=row.amount_micro + fee, settled_micro=settled, fee_micro=fee, offered_micro_per_kwh=offered
    )


def street() -> list[Book]:
    return [
        replace(
            book,
            contracts=tuple(map(with_fee, book.contracts)),
            ledger=LEDGER[book.name],
            reported=(*book.reported, SOLD) if book.name == "grid" else (),
        )
        for book in small_street()
    ]


def kpis_in(slots: Slots = ALL_SLOTS) -> Kpis:
    return kpis(street(), PRICES, alone(collect(street()), BATTERIES.__getitem__, slots), slots)


KPIS = kpis_in()
MONEY = {row.party: row.money for row in (*KPIS.households, KPIS.community)}


def test_the_books_of_the_example_are_right() -> None:
    assert audit(street()).findings == ()


def test_a_seller_earns_what_it_earns_without_the_fee() -> None:
    # As it was: 0.024 fed in, 0.115 of the buyers, of which 0.015 are the utility's. No market: 0.024 + 0.04.
    # Utility only: 0.056 fed in; 100 Wh more would be in its battery: 0.037 at the lowest tariff, 0.008 fed in.
    assert MONEY[ROOF] == MoneyKpis(
        bill_micro=-24_000 - 115_000 + 15_000,
        no_market_bill_micro=-24_000 - 40_000,
        no_market_savings_micro=60_000,
        utility_only_bill_micro=-56_000,
        utility_only_savings_micro=-56_000 + 124_000,
        stored_more_wh=-100,
        stored_more_micro=at_both(-37_000, -8_000),
        grid_fees_micro=0,
    )


def test_a_buyer_pays_fees_to_both_and_would_pay_more_of_them_alone() -> None:
    # As it was: 400 Wh at 0.37, 300 Wh at 0.23. Otherwise 700 Wh at 0.37. Fees: 0.009 of roof's price, 400 Wh at 0.07.
    assert MONEY[FLAT] == MoneyKpis(
        bill_micro=148_000 + 69_000,
        no_market_bill_micro=259_000,
        no_market_savings_micro=42_000,
        utility_only_bill_micro=259_000,
        utility_only_savings_micro=42_000,
        grid_fees_micro=9_000 + 28_000,
    )
    # As it was: 100 Wh at 0.37, 200 Wh at 0.23. No market: 300 Wh at 0.37. Utility only: 200 Wh at 0.37, 90 at 0.47.
    assert MONEY[STORE] == MoneyKpis(
        bill_micro=37_000 + 46_000,
        no_market_bill_micro=111_000,
        no_market_savings_micro=28_000,
        utility_only_bill_micro=74_000 + 42_300,
        utility_only_savings_micro=33_300,
        grid_fees_micro=6_000 + 7_000,
    )


def test_the_utility_earns_what_the_community_pays() -> None:
    assert MONEY["community"] == MoneyKpis(
        176_000, 306_000, 130_000, 319_300, 143_300, -100, at_both(-37_000, -8_000), 50_000
    )
    assert KPIS.utilities_bill_micro == -176_000
    assert KPIS.local_trade == LocalTrade(energy_wh=500, amount_micro=115_000, price_micro_per_kwh=230_000)


def test_of_a_part_delivery_the_same_part_of_the_fee_counts() -> None:
    books = [
        replace(book, contracts=tuple(replace(row, delivered_wh=100) for row in book.contracts)) for book in street()
    ]
    # 100 of 300 Wh, so 0.003 of 0.009; what flat asked for the third slot came to nothing. 0.028 are of imports.
    others = alone(collect(books), BATTERIES.__getitem__, ALL_SLOTS)
    fees = {row.party: row.money.grid_fees_micro for row in kpis(books, PRICES, others).households}
    assert fees == {FLAT: 3_000 + 28_000, ROOF: 0, STORE: 3_000 + 7_000}


def test_fees_are_of_their_slots() -> None:
    assert [row.money.grid_fees_micro for row in kpis_in(Slots(first=SECOND)).households] == [9_000 + 7_000, 0, 6_000]
