"""The KPIs of a street of three households and three slots, each computed by hand."""

from __future__ import annotations

from fractions import Fraction

from tests.cli.kpi.small_street import (
    BATTERIES,
    FIRST,
    FLAT,
    ROOF,
    SECOND,
    STORE,
    THIRD,
    at_both,
    kpis_with,
    small_street,
)
from wattmesh_cli.audit import audit
from wattmesh_cli.kpi import EnergyKpis, LocalTrade, MoneyKpis, PartyKpis, Slots, Stored
from wattmesh_cli.kpi.fairness import Fairness

KPIS = kpis_with(small_street(), BATTERIES)


def party(name: str) -> PartyKpis:
    [found] = [row for row in (*KPIS.households, KPIS.community) if row.party == name]
    return found


def test_the_books_of_the_example_are_right() -> None:
    assert audit(small_street()).findings == ()
    assert [row.party for row in KPIS.households] == [FLAT, ROOF, STORE]


def test_energy_of_the_roof() -> None:
    # 1st: 200 Wh of 1500 are used at once, 1000 charge the battery, where now 1000 of 2000 Wh are own PV.
    # 2nd: 200 Wh of 600 are used at once; 400 and 100 of the store are sold, so 950 of 1900 Wh are own PV.
    # 3rd: 380 Wh are drawn, half of them own PV: 190.
    used_wh = 200 + 200 + 190
    assert party(ROOF).energy == EnergyKpis(
        pv_wh=1500 + 600,
        load_wh=200 + 200 + 380,
        inflow_wh=0,
        outflow_wh=300 + 500,
        losses_wh=0,
        used_pv_wh=used_wh,
        self_consumption=Fraction(used_wh, 2100),
        self_sufficiency=Fraction(used_wh, 780),
        autarky=Fraction(1),  # nothing had to come in
        local_wh=0,
        taken_wh=0,
        peak_import_w=0,
        unserved_wh=0,
        curtailed_wh=0,
    )


def test_energy_of_the_flat() -> None:
    assert party(FLAT).energy == EnergyKpis(
        pv_wh=0,
        load_wh=300 + 400,
        inflow_wh=300 + 400,
        outflow_wh=0,
        losses_wh=0,
        used_pv_wh=0,
        self_consumption=None,  # no PV
        self_sufficiency=Fraction(0),
        autarky=Fraction(0),
        local_wh=300,
        taken_wh=300 + 300 + 100,
        peak_import_w=4 * 400,  # 400 Wh in a quarter of an hour
        unserved_wh=0,
        curtailed_wh=0,
    )


def test_the_local_share_is_that_of_what_was_taken_from_others() -> None:
    assert party(ROOF).energy.local_share is None, "it took nothing"
    assert party(FLAT).energy.local_share == Fraction(300, 700)
    assert party("community").energy.local_share == Fraction(500, 1000)


def test_a_battery_filled_with_bought_energy_makes_nobody_self_sufficient() -> None:
    energy = party(STORE).energy
    assert (energy.load_wh, energy.losses_wh, energy.used_pv_wh) == (290, 10, 0)
    assert energy.self_sufficiency == 0
    assert energy.local_share == Fraction(200, 300)
    assert energy.peak_import_w == 4 * 200


def test_energy_of_the_community() -> None:
    # As if behind one meter:
    # 1st: pv 1500, load 600 at once; the other 900 are 900 of the 1000 Wh charged. In: 400 - 300 = 100.
    # 2nd: pv 600 of load 700 at once; flat takes 100 from the utility. 10 Wh are lost: 900 * 1990 / 2000 = 895 are PV.
    # 3rd: load 470 out of the store of 1990: 470 * 895 / 1990 = 211.
    used_wh = 600 + 600 + 211
    assert party("community").energy == EnergyKpis(
        pv_wh=2100,
        load_wh=600 + 700 + 470,
        inflow_wh=100 + 100,
        outflow_wh=0,
        losses_wh=10,
        used_pv_wh=used_wh,
        self_consumption=Fraction(used_wh, 2100),
        self_sufficiency=Fraction(used_wh, 1770),
        autarky=Fraction(500 + 600 + 470, 1770),
        local_wh=500,
        taken_wh=700 + 300,
        peak_import_w=4 * 100,
        unserved_wh=0,
        curtailed_wh=0,
    )


def test_energy_of_the_community_without_a_market() -> None:
    # Each alone: roof exports 300, then 400 Wh and draws 380 of its 2000 Wh; flat takes 300 and 400, store 100, 100
    # and 90.
    # As if behind one meter 100 Wh come in in the 1st and the 2nd slot, 90 in the 3rd.
    alone = party("community").alone
    assert (alone.inflow_wh, alone.outflow_wh, alone.peak_import_w) == (100 + 100 + 90, 0, 4 * 100)
    assert alone.autarky == Fraction(500 + 600 + 380, 1770)
    # 1st: 600 of PV at once, 1000 stored of which 900 are PV. 2nd: 600 at once. 3rd: 380 of 2000 Wh with 900 of PV.
    assert alone.used_pv_wh == 600 + 600 + 380 * 900 // 2000
    assert alone.local_share is None


def test_money_of_the_roof() -> None:
    # As it was: 300 Wh fed in for 0.024, 500 Wh sold for 0.10.
    # No market: 500 Wh for 0.08 each kWh, 0.04.
    # Utility only: fed in are 300 Wh and, the battery being full, 600 - 200 = 400 Wh: 0.056. At the end 2000 - 380 =
    # 1620 Wh are left, 100 more than there are: 0.03 at the lowest tariff, 0.008 fed in.
    assert party(ROOF).money == MoneyKpis(
        bill_micro=-24_000 - 100_000,
        no_market_bill_micro=-24_000 - 40_000,
        no_market_savings_micro=60_000,
        utility_only_bill_micro=-56_000,
        utility_only_savings_micro=-56_000 + 124_000,
        stored_more_wh=-100,
        stored_more_micro=at_both(-30_000, -8_000),
    )
    assert party(ROOF).money.utility_only_benefit_micro == at_both(38_000, 60_000)


def test_money_of_the_flat() -> None:
    # As it was: 0.09 + 0.03 to the utility, 0.06 to roof. Otherwise 700 Wh at 0.30 in both cases.
    assert party(FLAT).money == MoneyKpis(180_000, 210_000, 30_000, 210_000, 30_000)


def test_money_of_the_store() -> None:
    # As it was: 0.03 to the utility, 0.04 to roof. No market: the 200 Wh at 0.30, 0.06.
    # Utility only: 200 Wh at 0.30 and, nothing being stored, 90 Wh at 0.40.
    assert party(STORE).money == MoneyKpis(70_000, 90_000, 20_000, 96_000, 26_000)


def test_money_of_the_community_is_what_the_utility_earns() -> None:
    money = party("community").money
    assert money == MoneyKpis(126_000, 236_000, 110_000, 250_000, 124_000, -100, at_both(-30_000, -8_000))
    assert KPIS.utilities_bill_micro == -126_000


def test_fairness() -> None:
    # Of 20, 30, 60: differences 10 + 40 + 30 = 80 in both directions, by 2 * 3 * 3 times the mean of 110 / 3.
    assert KPIS.against_no_market == Fairness(Fraction(2 * 80, 2 * 3 * 110), losers=Fraction(0))
    # Of 26, 30, 38: 4 + 12 + 8 = 24; of 26, 30, 60: 4 + 34 + 30 = 68.
    assert KPIS.against_utility_only == {
        Stored.RETAIL: Fairness(Fraction(2 * 24, 2 * 3 * 94), losers=Fraction(0)),
        Stored.FEED_IN: Fairness(Fraction(2 * 68, 2 * 3 * 116), losers=Fraction(0)),
    }


def test_trade_and_protocol() -> None:
    assert KPIS.local_trade == LocalTrade(energy_wh=500, amount_micro=100_000, price_micro_per_kwh=200_000)
    protocol = KPIS.protocol
    assert (protocol.offers, protocol.quotes, protocol.settled, protocol.expired, protocol.cancelled) == (4, 3, 2, 1, 0)
    assert protocol.offers_per_delivery == 2
    assert protocol.settled_of_quotes == Fraction(2, 3)


def test_a_range_of_slots_has_its_own_kpis() -> None:
    # The third slot alone: what roof draws is half own PV, known from the slots before.
    third = kpis_with(small_street(), BATTERIES, Slots(first=THIRD))
    assert [row.energy.self_sufficiency for row in third.households] == [None, Fraction(190, 380), 0]
    assert third.protocol.quotes == third.protocol.expired == 1
    # store begins the range with 90 Wh, so alone it does not import either.
    assert third.community.money == MoneyKpis(0, 0, 0, 0, 0)


def test_ranges_that_meet_add_up() -> None:
    whole = KPIS
    parts = [kpis_with(small_street(), BATTERIES, slots) for slots in (Slots(end=SECOND), Slots(first=SECOND))]
    for name in ("pv_wh", "load_wh", "inflow_wh", "outflow_wh", "used_pv_wh", "local_wh"):
        assert getattr(whole.community.energy, name) == sum(getattr(part.community.energy, name) for part in parts)
    for name in ("bill_micro", "no_market_bill_micro"):
        assert getattr(whole.community.money, name) == sum(getattr(part.community.money, name) for part in parts)
    assert FIRST not in Slots(first=SECOND)
    assert SECOND not in Slots(end=SECOND)
