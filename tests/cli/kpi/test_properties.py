"""What holds of the KPIs of any street whose books are right."""

from __future__ import annotations

from dataclasses import replace
from random import Random

from hypothesis import given, settings
from hypothesis import strategies as st

from tests.cli.kpi.small_street import kpis_with
from tests.cli.test_audit_properties import CAPACITY_WH, markets
from wattmesh_cli.books import Book
from wattmesh_cli.kpi import Kpis, gini
from wattmesh_market.energy.battery import Battery

BATTERY = Battery(CAPACITY_WH, 500, 5000, 5000, 950_000, 950_000)


def kpis_of(books: list[Book]) -> Kpis:
    return kpis_with(books, {party.party: BATTERY for book in books for party in book.parties})


@settings(max_examples=60)
@given(markets())
def test_shares_are_shares(books: list[Book]) -> None:
    result = kpis_of(books)
    for row in (*result.households, result.community):
        energy = row.energy
        for whole, value in (
            (energy.pv_wh, energy.self_consumption),
            (energy.load_wh, energy.self_sufficiency),
        ):
            assert value is None if whole == 0 else value is not None and 0 <= value <= 1
        assert energy.local_share is None or 0 <= energy.local_share <= 1
        assert energy.used_pv_wh <= min(energy.pv_wh, energy.load_wh)
    for of in (result.against_no_market, *result.against_utility_only.values()):
        assert of.losers is not None
        assert 0 <= of.losers <= 1
        assert of.gini is None or 0 <= of.gini < 1


@settings(max_examples=60)
@given(markets())
def test_bills_of_households_and_utilities_sum_to_zero(books: list[Book]) -> None:
    result = kpis_of(books)
    assert sum(row.money.bill_micro for row in result.households) + result.utilities_bill_micro == 0
    assert result.community.money.bill_micro + result.utilities_bill_micro == 0


@settings(max_examples=60)
@given(markets())
def test_savings_are_the_difference_of_bills(books: list[Book]) -> None:
    result = kpis_of(books)
    for row in (*result.households, result.community):
        money = row.money
        assert money.no_market_savings_micro == money.no_market_bill_micro - money.bill_micro
        assert money.utility_only_savings_micro == money.utility_only_bill_micro - money.bill_micro


@settings(max_examples=60)
@given(markets())
def test_what_passes_the_boundary_is_what_went_on_behind_it(books: list[Book]) -> None:
    result = kpis_of(books)
    for row in (*result.households, result.community):
        energy, of = row.energy, [p for book in books for p in book.parties if row.party in (p.party, "community")]
        stored_wh = sum(party.level_wh - party.initial_level_wh for party in of)
        assert energy.inflow_wh - energy.outflow_wh == energy.load_wh - energy.pv_wh + energy.losses_wh + stored_wh
        assert (energy.unserved_wh, energy.curtailed_wh) == (0, 0)
    # Trade among households does not pass the community's.
    assert result.community.energy.inflow_wh <= sum(row.energy.inflow_wh for row in result.households)


@settings(max_examples=60)
@given(markets(), st.randoms(use_true_random=False))
def test_the_order_of_rows_does_not_matter(books: list[Book], random: Random) -> None:
    def shuffled(book: Book) -> Book:
        return replace(
            book,
            contracts=tuple(random.sample(book.contracts, len(book.contracts))),
            ledger=tuple(random.sample(book.ledger, len(book.ledger))),
            readings=tuple(random.sample(book.readings, len(book.readings))),
        )

    assert kpis_of([shuffled(book) for book in random.sample(books, len(books))]) == kpis_of(books)


@given(st.lists(st.integers(0, 10**9), min_size=1), st.integers(1, 1000))
def test_gini_is_of_shares_and_below_1(values: list[int], factor: int) -> None:
    value = gini(values)
    if not any(values):
        assert value is None
        return
    assert value is not None
    assert 0 <= value < 1
    assert value == gini([factor * each for each in values]) == gini(values[::-1])


@settings(max_examples=60)
@given(markets())
def test_a_household_without_trades_saves_nothing_against_no_market(books: list[Book]) -> None:
    quiet = [replace(book, ledger=tuple(entry for entry in book.ledger if entry.kind == "backstop")) for book in books]
    result = kpis_of(quiet)
    assert {row.money.no_market_savings_micro for row in result.households} == {0}
    assert result.local_trade.energy_wh == 0
    assert result.community.energy.local_share in (None, 0)
