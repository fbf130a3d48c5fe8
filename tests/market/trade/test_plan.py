"""Planning by the worth of what is stored: what a household asks, bids, keeps and learns."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, time
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from wattmesh_market.energy.battery import NO_BATTERY, Battery, Metered, SlotPlan, meter_slot
from wattmesh_market.energy.profiles import SlotProfile
from wattmesh_market.energy.slots import DAY_S, SLOT_S, SLOTS_PER_DAY
from wattmesh_market.energy.tariff import PriceFile, PriceSeries, Rates, Tariff, TariffPeriod
from wattmesh_market.strategies.plan import NOTHING, PLANNED_EVERY_S, Outlook, Planner, Traded
from wattmesh_market.trade.offers import Block

MIDNIGHT = int(datetime(2026, 6, 21, tzinfo=UTC).timestamp())
EVENING = MIDNIGHT + 20 * 3600
FLAT = Tariff(250_000, 80_000)
STORE = Battery(10_000, 1000, 40_000, 40_000, 900_000, 900_000)
"""10 kWh a slot each way; a tenth is lost each way."""


class Days:
    """The same day again and again: PV from 6 to 20 h, and a load, in each slot."""

    def __init__(self, pv_wh: int = 0, load_wh: int = 0) -> None:
        self.pv_wh, self.load_wh = pv_wh, load_wh

    def expected(self, slot: int) -> SlotProfile:
        return SlotProfile(self.pv_wh if 6 <= slot % DAY_S // 3600 < 20 else 0, self.load_wh)


def always(price_micro: int) -> Callable[[int], int]:
    """Every slot has taught the same price."""
    return lambda _: price_micro


NOT_YET = always(0)


def planner(
    days: Days, battery: Battery = STORE, tariff: Tariff = FLAT, learned: Callable[[int], int] = NOT_YET
) -> Planner:
    return Planner(battery, Rates(tariff, 0), days, learned)


def lived(of: Planner, days: Days, battery: Battery, level_wh: int, slots: range) -> list[Metered]:
    """Slots without trade."""
    found, carried_uwh = [], 0
    for slot in slots:
        plan = SlotPlan(slot, *days.expected(slot), **of.wishes(slot)._asdict())
        found.append(meter_slot(battery, level_wh, plan, carried_uwh))
        level_wh, carried_uwh = found[-1].level_after_wh, found[-1].carried_uwh
    return found


def some_slots(first: int, hours: int) -> range:
    return range(first, first + hours * 3600, SLOT_S)


# --- who has no battery ---


def test_a_flat_bids_less_than_its_utility_takes() -> None:
    flat = planner(Days(load_wh=300), NO_BATTERY)
    assert flat.demand(flat.outlook(0, EVENING, NOTHING), EVENING) == [Block(249_999, 300)]
    assert flat.supply(flat.outlook(0, EVENING, NOTHING), EVENING) == []
    bought = flat.outlook(0, EVENING, Traded(bought_wh=300))
    assert flat.demand(bought, EVENING) == []


def test_a_roof_offers_the_sun_that_it_would_feed_in() -> None:
    roof, noon = planner(Days(500, 200), NO_BATTERY), MIDNIGHT + DAY_S // 2
    assert roof.supply(roof.outlook(0, noon, NOTHING), noon) == [Block(80_000, 300)]
    assert roof.demand(roof.outlook(0, noon, NOTHING), noon) == []
    assert roof.supply(roof.outlook(0, noon, Traded(sold_wh=250)), noon) == [Block(80_000, 50)]


# --- what the battery does ---


@pytest.mark.parametrize(
    ("night_micro", "charges"),
    # 0.30 x 0.9 x 0.9 = 0.243
    [(100_000, True), (242_000, True), (244_000, False), (299_000, False)],
)
def test_it_charges_from_the_grid_exactly_where_the_spread_pays_for_the_losses(night_micro: int, charges: bool) -> None:
    tariff = Tariff(300_000, 80_000, periods=(TariffPeriod(time(0), time(6), night_micro),))
    days = Days(load_wh=100)
    # The fee is as high as the tariff: neighbours sell nothing below it, and buy nothing above feed-in.
    of = planner(days, tariff=Tariff(**{**vars(tariff), "local_grid_fee_micro_per_kwh": 300_000}))
    night = lived(of, days, STORE, 1000, some_slots(MIDNIGHT, 6))
    stored_wh = night[-1].level_after_wh - 1000
    # The 18 dear hours take 7200 Wh: 8000 of the store.
    assert stored_wh == pytest.approx(8000 if charges else 0, abs=10)
    assert sum(one.imported_wh for one in night) == pytest.approx(2400 + stored_wh / 0.9, abs=24)
    day = lived(of, days, STORE, night[-1].level_after_wh, some_slots(MIDNIGHT + 6 * 3600, 18))
    assert sum(one.imported_wh for one in day) == pytest.approx(0 if charges else 7200, abs=24)


@pytest.mark.parametrize("price_micro", [250_000, 250_001, 249_999])
def test_at_one_price_it_never_charges_from_the_grid_and_never_saves_for_later(price_micro: int) -> None:
    days = Days(load_wh=100)
    of = planner(days, tariff=Tariff(price_micro, 80_000, 0, price_micro))
    hours = lived(of, days, STORE, 4000, some_slots(EVENING, 24))
    assert hours[-1].level_after_wh in (1000, 1001)
    assert sum(one.imported_wh for one in hours) in (9600 - 2700, 9600 - 2699)


def test_it_saves_what_is_stored_for_the_dear_hours() -> None:
    tariff = Tariff(200_000, 80_000, 0, 200_000, (TariffPeriod(time(17), time(20), 400_000),))
    days = Days(load_wh=100)
    of = planner(days, tariff=tariff)
    # 1200 Wh of the peak take 1333 of the store: that much is there, and is kept until 17 h.
    noon = lived(of, days, STORE, 2334, some_slots(MIDNIGHT + 12 * 3600, 5))
    assert noon[-1].level_after_wh >= 2334
    peak = lived(of, days, STORE, noon[-1].level_after_wh, some_slots(MIDNIGHT + 17 * 3600, 3))
    assert sum(one.imported_wh for one in peak) == 0


def test_it_charges_for_tomorrow_when_only_tomorrow_is_dear() -> None:
    # A series of two days: all of today at 0.20, tomorrow from midnight on at 0.50. A day that repeats would not tell.
    day = (200_000,) * 96
    series = PriceSeries(MIDNIGHT, price=day + (500_000,) * 96)
    rates = Rates(Tariff(0, 0, file=PriceFile(Path("spot.csv"))), 0, series)
    days = Days(load_wh=100)
    dear_tomorrow = Planner(STORE, rates, days, NOT_YET)
    level_wh = lived(dear_tomorrow, days, STORE, 1000, some_slots(EVENING, 4))[-1].level_after_wh
    assert level_wh > 4000
    same = planner(days, tariff=Tariff(200_000, 0))
    assert lived(same, days, STORE, 1000, some_slots(EVENING, 4))[-1].level_after_wh == 1000


def test_it_makes_room_for_hours_in_which_import_is_paid() -> None:
    night, noon = (300_000,) * 48, (-100_000,) * 48
    rates = Rates(Tariff(0, 0, file=PriceFile(Path("spot.csv"))), 0, PriceSeries(MIDNIGHT, price=night + noon))
    days = Days(load_wh=200)
    of = Planner(STORE, rates, days, NOT_YET)
    morning = lived(of, days, STORE, 6000, some_slots(MIDNIGHT, 12))
    assert morning[-1].level_after_wh in (1000, 1001)
    paid = lived(of, days, STORE, morning[-1].level_after_wh, some_slots(MIDNIGHT + 12 * 3600, 12))
    assert paid[-1].level_after_wh == STORE.capacity_wh
    assert sum(one.imported_wh for one in paid) > 48 * 200 + 9000 * 10 // 9


# --- asks ---


def sellable(of: Planner, outlook: Outlook, slot: int, next_slot: int) -> list[Block]:
    """What is worth no more to it than it asks."""
    ask_micro = of.ask_micro(slot, next_slot)
    return [block for block in of.supply(outlook, slot) if (block.price_micro_per_kwh or 0) <= ask_micro]


def test_it_sells_the_evening_to_its_neighbours_and_keeps_what_its_own_night_needs() -> None:
    days, price_micro = Days(pv_wh=900, load_wh=100), 200_000
    of = planner(days, learned=always(price_micro))
    outlook = of.outlook(10_000, EVENING, NOTHING)
    assert of.ask_micro(EVENING, EVENING) == price_micro
    spare_wh = sum(block.energy_wh for block in sellable(of, outlook, EVENING, EVENING))
    # The ten hours until the sun is back take 4000 Wh: 4444 of the 9000 that lie above the minimum.
    assert spare_wh == pytest.approx((9000 - 4444) * 0.9, abs=100)
    sold = of.outlook(10_000, EVENING, Traded(sold_wh=spare_wh)).metered
    assert sold.covered_wh == 0
    night = lived(of, days, STORE, sold.level_after_wh, some_slots(EVENING + SLOT_S, 9))
    assert sum(one.imported_wh for one in night) == 0


def test_what_is_held_for_a_later_promise_is_not_offered() -> None:
    of = planner(Days(load_wh=100), learned=always(200_000))
    free = of.supply(of.outlook(10_000, EVENING, NOTHING), EVENING)
    held = of.supply(of.outlook(10_000, EVENING, Traded(held_wh=8000)), EVENING)
    assert sum(block.energy_wh for block in free) > 7500
    assert sum(block.energy_wh for block in held) <= 900


def test_where_prices_of_neighbours_are_unknown_it_asks_what_the_utility_takes_less_the_fee() -> None:
    fees = Tariff(250_000, 80_000, 70_000, 30_000)
    assert planner(Days(), tariff=fees).ask_micro(EVENING, EVENING) == 250_000 + 70_000 - 30_000


def test_a_price_is_what_it_was_at_that_time_a_day_ago_moved_as_the_newest_one() -> None:
    yesterday = {EVENING - DAY_S - SLOT_S: 200_000, EVENING - DAY_S: 210_000}
    of = planner(Days(), learned=lambda slot: (yesterday | {EVENING - SLOT_S: 150_000}).get(slot, 0))
    assert of.local_micro(EVENING, EVENING) == 210_000
    # The slot before cost 0.05 less than the day before: four fifths of that are expected of this one.
    assert of.ask_micro(EVENING, EVENING) == 170_000


# --- bids ---


def test_an_empty_battery_bids_what_its_night_saves() -> None:
    tariff = Tariff(250_000, 80_000, 0, 250_000)
    of = planner(Days(load_wh=100), tariff=tariff)
    wants = of.demand(of.outlook(1000, EVENING, NOTHING), EVENING)
    # First what it would import; what it stores is worth 0.25 x 0.9 x 0.9 until the night's load is served.
    assert wants[0] == Block(249_999, 100)
    assert wants[1].price_micro_per_kwh == pytest.approx(202_500, abs=2)


def test_a_full_battery_wants_nothing_and_one_that_keeps_room_has_no_more() -> None:
    of = planner(Days(pv_wh=500, load_wh=100))
    noon = MIDNIGHT + DAY_S // 2
    assert of.demand(of.outlook(10_000, noon, NOTHING), noon) == []
    assert of.demand(of.outlook(5000, noon, Traded(room_wh=5000)), noon) == []


# --- what a slot teaches ---


def taught(metered: Metered, paid_micro: int | None = None, battery: Battery = NO_BATTERY) -> int:
    """The price that is learned in a slot which was expected to cost 0.20."""
    of = planner(Days(900, 100), battery, learned=always(200_000))
    return of.learned_micro(EVENING, metered, paid_micro)


IDLE = Metered(0, 0, 0, 0, 0, 0, 0, 0, 0)


def test_who_has_bought_knows_the_price() -> None:
    assert taught(IDLE._replace(bought_wh=100), 160_000) == 200_000 - 3 * 40_000 // 10
    assert taught(IDLE._replace(bought_wh=100), 240_000) == 200_000 + 3 * 40_000 // 10
    assert taught(IDLE._replace(bought_wh=100), 10_000) == 200_000 - 3 * 120_000 // 10, "never below feed-in"


def test_who_has_fed_in_has_asked_too_much() -> None:
    assert taught(IDLE._replace(exported_wh=100, pv_wh=100)) == 200_000 - 3 * 120_000 // 10


def test_who_has_sold_all_or_had_to_import_thinks_that_more_can_be_asked() -> None:
    assert taught(IDLE._replace(sold_wh=100, pv_wh=100)) == 200_000 + 3 * 50_000 // 10
    assert taught(IDLE._replace(imported_wh=100, load_wh=100)) == 200_000 + 3 * 50_000 // 10


def test_a_slot_in_which_nothing_happened_teaches_half_as_much() -> None:
    assert taught(IDLE) == 200_000 + 15 * 50_000 // 100


def test_who_keeps_what_is_worth_less_than_the_price_has_asked_too_much() -> None:
    full = Metered(10_000, 10_000, 0, 0, 0, 0, 0, 0, 0)
    assert taught(full, battery=STORE) < 200_000


# --- any household ---

periods = st.lists(
    st.builds(
        TariffPeriod,
        st.integers(0, 23).map(time),
        st.integers(0, 23).map(time),
        st.integers(0, 500_000),
    ),
    max_size=2,
).map(tuple)
tariffs = st.builds(
    Tariff, st.integers(0, 400_000), st.integers(0, 200_000), st.just(0) | st.integers(0, 90_000),
    st.just(0) | st.integers(0, 60_000), periods,
)  # fmt: skip
batteries = st.just(NO_BATTERY) | st.builds(
    lambda of, least, up, down, into, out, leak: Battery(of, of * least // 100, up, down, into, out, leak),
    st.sampled_from([1, 3000, 10_000]),
    st.sampled_from([0, 10]),
    st.sampled_from([0, 800, 4000, 40_000]),
    st.sampled_from([0, 800, 4000, 40_000]),
    st.integers(700_000, 1_000_000),
    st.integers(700_000, 1_000_000),
    st.sampled_from([0, 50_000]),
)


@settings(max_examples=120)
@given(
    battery=batteries,
    tariff=tariffs,
    days=st.builds(Days, st.integers(0, 2000), st.integers(0, 1500)),
    prices=st.lists(st.just(0) | st.integers(1, 400_000), min_size=1, max_size=5),
    full=st.integers(0, 100),
    hour=st.integers(0, 23),
    traded=st.builds(
        Traded, *[st.just(0) | st.integers(0, 500)] * 2, st.just(0) | st.integers(0, 3000),
        st.just(0) | st.integers(0, 3000),
    ),
    ahead=st.sampled_from([0, 1, 3, 7, 30, 90]),
)  # fmt: skip
def test_asks_and_bids_are_feasible_sorted_and_whole_numbers(
    battery: Battery,
    tariff: Tariff,
    days: Days,
    prices: list[int],
    full: int,
    hour: int,
    traded: Traded,
    ahead: int,
) -> None:
    rates = Rates(tariff, 0)
    of = Planner(battery, rates, days, lambda slot: prices[slot // SLOT_S % len(prices)])
    now = MIDNIGHT + hour * 3600
    slot = now + ahead * SLOT_S
    level_wh = battery.min_level_wh + (battery.capacity_wh - battery.min_level_wh) * full // 100
    for before in range(now, slot, SLOT_S):
        level_wh = of.outlook(level_wh, before, NOTHING, now).metered.level_after_wh
    outlook = of.outlook(level_wh, slot, traded, now)
    one, utility_micro = outlook.metered, rates.all_in(slot)
    supply, demand = of.supply(outlook, slot), of.demand(outlook, slot)
    for blocks in (supply, demand):
        assert all(type(number) is int for block in blocks for number in block)
        assert all(energy_wh > 0 for _, energy_wh in blocks)
    ask_micro = of.ask_micro(slot, now)
    assert type(ask_micro) is int
    assert ask_micro <= of.most_ask_micro(slot)
    wishes, worth = of.wishes(slot, now), outlook.worth
    assert all(type(number) is int for number in (*wishes, *worth.slopes, *worth.levels))

    # Bids: the most valuable first, never what the utility takes, and what is bought is used.
    bids = [micro or 0 for micro, _ in demand]
    assert bids == sorted(bids, reverse=True)
    assert max(bids, default=-1) < utility_micro
    wanted_wh = sum(block.energy_wh for block in demand)
    if one.covered_wh == 0:
        bought_wh = traded.bought_wh + wanted_wh
        plan = SlotPlan(
            slot, *days.expected(slot), bought_wh, traded.sold_wh, traded.held_wh, traded.room_wh, fill_wh=0
        )
        taken = meter_slot(battery, one.level_before_wh, plan)
        assert taken.exported_wh <= one.exported_wh + 2 * (len(demand) + 1)

    # Asks: what is given up is there, above what is held; but for what was to be charged from the grid.
    given_wh = sum(block.energy_wh for block in supply)
    if one.covered_wh == 0 and not (one.imported_wh and outlook.charged_wh > 0):
        gone = SlotPlan(
            slot, *days.expected(slot), traded.bought_wh, traded.sold_wh + given_wh, traded.held_wh, traded.room_wh
        )
        assert meter_slot(battery, one.level_before_wh, gone).covered_wh <= 2 * (len(supply) + 1)


@settings(max_examples=40)
@given(
    battery=batteries,
    tariff=tariffs,
    days=st.builds(Days, st.integers(0, 2000), st.integers(0, 1500)),
    prices=st.lists(st.integers(0, 400_000), min_size=7, max_size=7),
    paid_micro=st.none() | st.integers(0, 500_000),
    number=st.integers(0, SLOTS_PER_DAY - 1),
)
def test_what_is_learned_lies_between_feed_in_and_what_the_utility_takes(
    battery: Battery, tariff: Tariff, days: Days, prices: list[int], paid_micro: int | None, number: int
) -> None:
    of = Planner(battery, Rates(tariff, 0), days, lambda slot: prices[slot // SLOT_S % 7])
    slot = MIDNIGHT + number * SLOT_S
    (metered,) = lived(of, days, battery, battery.capacity_wh // 2, range(slot, slot + SLOT_S, SLOT_S))
    learned = of.learned_micro(slot, metered, paid_micro)
    assert type(learned) is int
    least, most = sorted((tariff.feed_in_micro_per_kwh, of.most_ask_micro(slot)))
    before = of.ask_micro(slot, slot)
    assert min(least, before) - 1 <= learned <= max(most, before)


@settings(max_examples=40)
@given(
    battery=batteries,
    tariff=tariffs,
    prices=st.lists(st.integers(0, 400_000), min_size=7, max_size=7),
    number=st.integers(0, PLANNED_EVERY_S // SLOT_S - 1),
)
def test_after_a_restart_it_plans_what_it_had_planned(
    battery: Battery, tariff: Tariff, prices: list[int], number: int
) -> None:
    """A plan goes by what was learned before its four hours, whenever in them it is made."""
    days, slot = Days(500, 200), EVENING + number * SLOT_S
    seen = MIDNIGHT

    def learned(of: int) -> int:
        return prices[of // SLOT_S % 7] if of < seen else 0

    living = Planner(battery, Rates(tariff, 0), days, learned)
    for now in range(EVENING - PLANNED_EVERY_S, slot + SLOT_S, SLOT_S):
        seen = now
        living.worth(now)
    assert living.worth(slot) == Planner(battery, Rates(tariff, 0), days, learned).worth(slot)
