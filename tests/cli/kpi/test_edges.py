"""Where a KPI is undefined it is None, not 0; and what readings do not account for is seen."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction

import pytest

from tests.cli.kpi.small_street import (
    BATTERIES,
    END,
    FIRST,
    FLAT,
    GRID,
    PRICES,
    ROOF,
    SECOND,
    STORE,
    kpis_with,
    small_street,
)
from wattmesh_cli.books import Book, LedgerEntry, Party, Reading
from wattmesh_cli.kpi import EnergyKpis, Kpis, LocalTrade, MoneyKpis, gini, kpis
from wattmesh_cli.kpi.fairness import Fairness, fairness
from wattmesh_market.energy.battery import NO_BATTERY

NO_MONEY = MoneyKpis(0, 0, 0, 0, 0)


def of_reading(reading: Reading, *ledger: LedgerEntry) -> Kpis:
    """The KPIs of a household without battery that was metered once."""
    party = Party(reading.party, "household", 0, 0, 0, FIRST, FIRST + 900)
    return kpis_with([Book("flat", (party,), ledger=ledger, readings=(reading,))], {reading.party: NO_BATTERY})


def test_of_nobody_nothing_is_known() -> None:
    result = kpis([], PRICES, {})
    assert result.households == ()
    assert result.community.energy == EnergyKpis(0, 0, 0, 0, 0, 0, None, None, None, 0, 0, None, 0, 0)
    assert result.community.money == NO_MONEY
    assert result.local_trade == LocalTrade(0, 0, None)
    assert result.against_no_market == Fairness(None, None)
    assert set(result.against_utility_only.values()) == {Fairness(None, None)}
    assert result.protocol.offers_per_delivery is None
    assert result.protocol.settled_of_quotes is None


def test_a_household_that_was_never_metered() -> None:
    party = Party(FLAT, "household", 0, 0, 0, FIRST, FIRST)
    result = kpis_with([Book("flat", (party,))], BATTERIES)
    assert result.households[0].energy == EnergyKpis(0, 0, 0, 0, 0, 0, None, None, None, 0, 0, None, 0, 0)
    assert result.households[0].money == NO_MONEY


def test_a_slot_of_zeros() -> None:
    result = of_reading(Reading(FLAT, FIRST, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, "booked"))
    assert result.community.energy == EnergyKpis(0, 0, 0, 0, 0, 0, None, None, None, 0, 0, 0, 0, 0)
    assert result.community.money == NO_MONEY
    assert result.against_no_market == Fairness(gini=None, losers=Fraction(0))


def test_pv_without_load() -> None:
    exported = LedgerEntry(FLAT, "backstop", FIRST, GRID, "supply", -700, 56_000)
    result = of_reading(Reading(FLAT, FIRST, 0, 0, 0, 700, 0, 0, 0, 0, 700, 0, "booked"), exported)
    energy = result.community.energy
    assert (energy.self_consumption, energy.self_sufficiency, energy.local_share) == (Fraction(0), None, None)
    assert result.community.money.bill_micro == result.community.money.utility_only_bill_micro == -56_000


def test_load_without_pv_and_without_trades() -> None:
    imported = LedgerEntry(FLAT, "backstop", FIRST, GRID, "supply", 700, -210_000)
    result = of_reading(Reading(FLAT, FIRST, 0, 0, 0, 0, 700, 0, 0, 700, 0, 0, "booked"), imported)
    energy = result.community.energy
    assert (energy.self_consumption, energy.self_sufficiency, energy.local_share) == (None, Fraction(0), Fraction(0))
    assert result.community.money == MoneyKpis(210_000, 210_000, 0, 210_000, 0)
    assert result.local_trade.price_micro_per_kwh is None


def test_a_purchase_from_the_utility_is_not_local() -> None:
    bought = LedgerEntry(FLAT, "trade", FIRST, GRID, "a", 700, -210_000)
    result = of_reading(Reading(FLAT, FIRST, 0, 0, 0, 0, 700, 700, 0, 0, 0, 0, "booked"), bought)
    assert result.community.energy.local_share == 0
    assert result.community.energy.inflow_wh == 700
    assert result.local_trade == LocalTrade(0, 0, None)


def test_load_that_nothing_served_is_unserved_and_pv_that_went_nowhere_is_curtailed() -> None:
    unserved = of_reading(Reading(FLAT, FIRST, 0, 0, 0, 100, 700, 0, 0, 400, 0, 0, "booked")).community.energy
    assert (unserved.unserved_wh, unserved.curtailed_wh) == (200, 0)
    curtailed = of_reading(Reading(FLAT, FIRST, 0, 0, 0, 900, 100, 0, 0, 0, 500, 0, "booked")).community.energy
    assert (curtailed.unserved_wh, curtailed.curtailed_wh) == (0, 300)


def test_a_store_of_unknown_origin_is_no_own_pv() -> None:
    reading = Reading(ROOF, FIRST, 1000, 600, 2000, 0, 400, 0, 0, 0, 0, 0, "booked")
    book = Book("roof", (Party(ROOF, "household", 2000, 1000, 600, FIRST, END),), readings=(reading,))
    assert kpis_with([book], BATTERIES).community.energy.self_sufficiency == 0


def test_who_leaves_takes_its_part_of_the_common_store_along() -> None:
    # 1st: roof stores 1000 Wh of PV beside the 100 Wh that store has. 2nd: store alone draws its 100 Wh, of which
    # 1000 * 100 / 1100 = 90 count as PV of the community.
    roof = Reading(ROOF, FIRST, 0, 1000, 2000, 1000, 0, 0, 0, 0, 0, 0, "booked")
    store = (
        Reading(STORE, FIRST, 100, 100, 1000, 0, 0, 0, 0, 0, 0, 0, "booked"),
        Reading(STORE, SECOND, 100, 0, 1000, 0, 100, 0, 0, 0, 0, 0, "booked"),
    )
    books = [
        Book("roof", (Party(ROOF, "household", 2000, 0, 1000, FIRST, SECOND),), readings=(roof,)),
        Book("store", (Party(STORE, "household", 1000, 100, 0, FIRST, END),), readings=store),
    ]
    assert kpis_with(books, BATTERIES).community.energy.used_pv_wh == 90


def test_slots_that_are_not_booked_are_told() -> None:
    roof, flat, *others = small_street()
    unbooked = replace(flat, readings=(*flat.readings[:2], replace(flat.readings[2], state="final")))
    result = kpis_with([roof, unbooked, *others], BATTERIES)
    assert result.unbooked_readings == 1
    # flat's bill is not complete, so what it saved by the market is not known; nor is what all saved together.
    savings = [row.money.utility_only_savings_micro for row in (*result.households, result.community)]
    assert savings == [None, 68_000, 26_000, None]
    assert result.households[0].money.utility_only_benefit_micro is None
    assert set(result.against_utility_only.values()) == {Fairness(None, None)}
    assert result.against_no_market.losers == 0


def test_capacity_is_that_of_the_reading() -> None:
    # The battery was made smaller than the manifest says: 1000 Wh fit, the rest of the sun is exported either way.
    exported = LedgerEntry(ROOF, "backstop", FIRST, GRID, "supply", -500, 40_000)
    reading = Reading(ROOF, FIRST, 0, 1000, 1000, 1500, 0, 0, 0, 0, 500, 0, "booked")
    book = Book("roof", (Party(ROOF, "household", 1000, 0, 1000, FIRST, END),), ledger=(exported,), readings=(reading,))
    assert kpis_with([book], BATTERIES).community.money == MoneyKpis(-40_000, -40_000, 0, -40_000, 0)


def test_every_household_needs_its_counterfactual() -> None:
    with pytest.raises(KeyError, match=FLAT):
        kpis(small_street(), PRICES, {ROOF: ()})


def test_gini() -> None:
    assert gini([5, 5, 5]) == 0
    assert gini([7]) == 0
    assert gini([0, 0, 0, 8]) == Fraction(3, 4)  # one has all
    assert gini([1, 3]) == Fraction(1, 4)


@pytest.mark.parametrize("values", [[], [0, 0], [3, -1], [-3, -1]])
def test_gini_is_undefined_for_nothing_and_for_losses(values: list[int]) -> None:
    assert gini(values) is None


def test_losers_are_counted_where_gini_is_undefined() -> None:
    assert fairness([3, -1, 0]) == Fairness(None, Fraction(1, 3))
