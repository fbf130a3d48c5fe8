"""What a report says of the small street; its table in `tests/cli/kpi/small_street.py` has the numbers."""

from __future__ import annotations

from dataclasses import replace

import pytest

from tests.cli.kpi.small_street import FIRST, FLAT, GRID, ROOF, SECOND, STORE, THIRD, small_street
from tests.cli.report.support import reported
from wattmesh_cli.books import Book
from wattmesh_cli.kpi import ALL_SLOTS, Slots, collect
from wattmesh_cli.report import sentences
from wattmesh_cli.report.benefit import benefit
from wattmesh_cli.report.flows import MOST_NODES, Flow, Grouping, grouped, grouping, ways
from wattmesh_cli.report.series import Metered, Traded, UtilityPrices, metered

NOBODY: list[Book] = [Book("grid", parties=small_street()[3].parties)]


def test_the_readings_of_all_households_are_summed_in_each_slot() -> None:
    assert reported().community == (
        # pv, load 200 + 300 + 100, imported 300 + 100, exported, level before and after, capacity 2000 + 1000
        Metered(FIRST, 3, 1500, 600, 0, 0, 400, 300, 1000, 2000, 3000),
        # load 200 + 400 + 100, bought 300 + 200, sold 500, imported by flat, level after 1900 + 90
        Metered(SECOND, 3, 600, 700, 500, 500, 100, 0, 2000, 1990, 3000),
        # load 380 + 90, all out of the batteries: 1990 − 470 = 1520
        Metered(THIRD, 3, 0, 470, 0, 0, 0, 0, 1990, 1520, 3000),
    )


def test_what_neighbours_sell_each_other_is_no_net_import() -> None:
    # 400 in, 300 out; then 500 bought and 500 sold cancel, 100 imported.
    assert [row.net_import_wh for row in reported().community] == [100, 100, 0]


def test_trades_and_their_price_weighted_by_volume() -> None:
    shown = reported()
    # 300 Wh for 0.06 and 200 Wh for 0.04: 0.10 / 0.5 kWh
    assert shown.traded == (Traded(FIRST), Traded(SECOND, 500, 100_000), Traded(THIRD))
    assert [row.local_price_micro_per_kwh for row in shown.traded] == [None, 200_000, None]
    assert shown.local_at_tariff_micro_per_kwh == 300_000  # the tariff of the second slot


def test_trades_with_a_utility_are_apart_from_those_between_households() -> None:
    of_grid = [
        replace(entry, counterparty=GRID) if entry.kind == "trade" else entry
        for book in small_street()
        for entry in book.ledger
    ]
    parties = tuple(party for book in small_street() for party in book.parties)
    readings = tuple(reading for book in small_street() for reading in book.readings)
    shown = reported([Book("all", parties=parties, ledger=tuple(of_grid), readings=readings)])
    # flat bought 300, store 200, roof sold 300 and 200
    assert shown.traded[1] == Traded(SECOND, from_utilities_wh=500, to_utilities_wh=500)
    assert shown.local_at_tariff_micro_per_kwh is None


def test_prices_of_the_utility() -> None:
    assert reported().prices == (UtilityPrices(GRID, (300_000, 300_000, 400_000), (80_000, 80_000, 80_000)),)


def test_flows_have_trades_and_backstop() -> None:
    assert reported().flows == (
        Flow("backstop", GRID, FLAT, 2, 400, 120_000),  # 300 and 100 Wh at 0.30
        Flow("backstop", GRID, STORE, 1, 100, 30_000),
        Flow("backstop", ROOF, GRID, 1, 300, 24_000),  # at 0.08
        Flow("trade", ROOF, FLAT, 1, 300, 60_000),
        Flow("trade", ROOF, STORE, 1, 200, 40_000),
    )


def test_only_the_slots_asked_for() -> None:
    shown = reported(slots=Slots(SECOND, THIRD))
    assert (shown.slots, shown.end) == ((SECOND,), THIRD)
    assert [flow.energy_wh for flow in shown.flows] == [100, 300, 200]
    assert [row.slot for row in shown.households[ROOF]] == [SECOND]


def test_groups_are_summed() -> None:
    flats = grouped(reported().flows, {FLAT: "flats", STORE: "flats"})
    assert flats[-1] == Flow("trade", ROOF, "flats", 2, 500, 100_000)
    assert flats[-1].price_micro_per_kwh == 200_000


def test_households_are_grouped_where_a_diagram_had_too_many() -> None:
    many = [Flow("trade", "roof", f"flat-{number}", 1, 1, 1) for number in range(MOST_NODES + 1)]
    among = [Grouping("", {}), Grouping("by SolarAgent", {flow.buyer: "flat" for flow in many})]
    assert grouping(many, among).how == "by SolarAgent"
    assert grouping(many[1:], among).how == ""


@pytest.mark.parametrize(
    ("feeders", "of_feeder", "how", "sellers"),
    [
        (1, 12, "", 13),
        (3, 40, "by SolarAgent", 6),  # a SolarAgent and a utility on each feeder
        (12, 40, "by SolarAgent", 24),
        (20, 40, "by feeder", 21),  # with one utility each they were 40
        (24, 40, "as one", 2),
    ],
)
def test_a_town_is_grouped_as_finely_as_can_be_read(feeders: int, of_feeder: int, how: str, sellers: int) -> None:
    flats = {f"flat-{one}-{number}": str(one) for one in range(feeders) for number in range(of_feeder)}
    grids = [f"grid-{one}" for one in range(feeders)]
    sold = [Flow("trade", f"flat-{one}-0", flat, 1, 1, 1) for flat, one in flats.items()]
    sold += [Flow("trade", flat, f"flat-{one}-0", 1, 1, 1) for flat, one in flats.items()]
    sold += [Flow("backstop", f"grid-{one}", flat, 1, 1, 1) for flat, one in flats.items()]
    found = grouping(sold, ways(list(flats), grids, {flat: f"flat-{one}" for flat, one in flats.items()}, flats))
    drawn = grouped(sold, found.groups)
    assert (found.how, len({flow.seller for flow in drawn})) == (how, sellers)
    assert sum(flow.energy_wh for flow in drawn) == len(sold)


def test_utilities_with_the_same_prices_are_told_together() -> None:
    def asks(name: str, micro: int) -> UtilityPrices:
        return UtilityPrices(name, (micro,), (80_000,))

    alike = replace(reported(), prices=(asks("u-1", 300_000), asks("u-2", 310_000), asks("u-3", 300_000)))
    assert sentences.prices(alike).startswith(
        "Per kWh in EUR: 2 utilities asked 0.3000 and paid 0.0800; u-2 asked 0.3100 and paid 0.0800; households"
    )
    each = replace(reported(), prices=tuple(asks(f"u-{number}", 300_000 + number) for number in range(0, 500, 100)))
    assert "u-200 asked 0.3002 and paid 0.0800; 2 utilities had other prices; households" in sentences.prices(each)


def test_the_opening_says_what_the_market_was_worth() -> None:
    shown = reported()
    assert sentences.opening(shown) == " ".join(benefit(shown.kpis, shown.names, "EUR"))
    assert "Nothing is known" in sentences.opening(replace(shown, slots=()))


def test_plots_in_words() -> None:
    shown = reported()
    # 1500 Wh in a quarter of an hour are 6 kW, 700 Wh are 2.8 kW, 100 Wh 0.4 kW. 12:00 is 10:00 UTC.
    assert sentences.power(shown) == (
        "PV was highest at 12:00 with 6.00 kW, the load at 12:15 with 2.80 kW; most was drawn from outside at 12:00, "
        "0.40 kW."
    )
    assert sentences.level(shown) == (
        "Together the batteries held 1.00 kWh at the start and 1.52 of 3.00 kWh at the end; after the slot of 12:00 "
        "they were fullest (2.00 kWh), after that of 12:30 emptiest (1.52 kWh)."
    )
    assert sentences.prices(shown) == (
        "Per kWh in EUR: grid asked 0.3000 to 0.4000 and paid 0.0800; households paid each other 0.2000, in 1 slot."
    )
    assert sentences.trades(shown) == (
        "Households sold each other or shared 0.50 kWh; on the market they bought 0.00 kWh from utilities and sold "
        "them 0.00 kWh. The backstop supplied 0.50 kWh and took 0.30 kWh."
    )
    assert sentences.flows(shown) == (
        "2 pairs of seller and buyer traded. The largest: roof sold flat 0.30 kWh for 0.06 EUR; roof sold store 0.20 "
        "kWh for 0.04 EUR."
    )


def test_a_street_before_its_first_slot() -> None:
    shown = reported(NOBODY)
    assert (shown.slots, shown.end, shown.community, shown.flows) == ((), None, (), ())
    assert sentences.power(shown) == sentences.level(shown) == sentences.NOTHING
    assert sentences.flows(shown) == "Nothing was traded on the market."


def test_times_have_their_date_where_a_run_is_longer_than_a_day() -> None:
    later = [replace(reading, slot=reading.slot + 90_000) for reading in small_street()[0].readings]
    roof = replace(small_street()[0], readings=(*small_street()[0].readings, *later), ledger=(), contracts=())
    assert "at Sun 21 Jun 12:00 with 6.00 kW" in sentences.power(reported([roof, *NOBODY]))


def test_what_stored_energy_is_worth_is_the_mean_of_those_who_plan() -> None:
    assert reported().community[0].worth_micro_per_kwh is None
    worth = {ROOF: 200_000, STORE: 100_000, FLAT: 0}
    books = [
        replace(book, readings=tuple(replace(one, stored_micro_per_kwh=worth[one.party]) for one in book.readings))
        for book in small_street()
    ]
    rows = metered(collect(books), [ROOF, STORE, FLAT], ALL_SLOTS)
    assert [row.worth_micro_per_kwh for row in rows] == [150_000, 150_000, 150_000]
