"""How much of what was possible was saved, on the street of `small_street`."""

from __future__ import annotations

from fractions import Fraction

import pytest

from tests.cli.kpi.small_street import BATTERIES, FLAT, PRICES, ROOF, STORE, at_both, small_street
from wattmesh_cli.alone import alone
from wattmesh_cli.kpi import ALL_SLOTS, Cost, Loss, Possible, Reached, Stored, collect, possible, supplied_micro

ROWS = collect(small_street())
PLAIN = {
    name: Cost(supplied_micro(of, PRICES), of[-1].level_after_wh)
    for name, of in alone(ROWS, BATTERIES.__getitem__, ALL_SLOTS).items()
}
NOBODY = at_both(-500_000, -100_000)


def found(*ways: dict[str, Cost]) -> Possible:
    return possible(ROWS, PRICES, ALL_SLOTS, ways, NOBODY)


def test_costs_are_bills_less_what_is_left() -> None:
    # Alone roof earns 0.056 and has 1620 Wh left, flat pays 0.21, store 0.096. With the market: -0.124 and 1520 Wh,
    # 0.18, 0.07. A kWh left is worth 0.30, the lowest tariff, or 0.08.
    assert {ROOF: Cost(-56_000, 1620), FLAT: Cost(210_000, 0), STORE: Cost(96_000, 0)} == PLAIN
    assert found(PLAIN).reached == {
        Stored.RETAIL: Reached(250_000 - 486_000, 126_000 - 456_000, -500_000),
        Stored.FEED_IN: Reached(250_000 - 129_600, 126_000 - 121_600, -100_000),
    }


def test_the_ratio_is_of_what_could_be_saved() -> None:
    retail, feed_in = found(PLAIN).reached.values()
    assert (retail.saved_micro, retail.possible_micro, retail.ratio) == (94_000, 264_000, Fraction(94, 264))
    assert feed_in.ratio == Fraction(116_000, 220_400)
    assert Reached(alone_micro=10_000, market_micro=12_000, optimum_micro=0).ratio == Fraction(-2, 10)
    assert Reached(alone_micro=10_000, market_micro=9_999, optimum_micro=9_001).ratio is None


def test_alone_is_the_better_way_of_each_household() -> None:
    other = PLAIN | {FLAT: Cost(150_000, 0), STORE: Cost(100_000, 0)}
    of = found(PLAIN, other)
    assert of.reached[Stored.RETAIL].alone_micro == 250_000 - 60_000 - 486_000
    # flat pays 0.18 and its load of 700 Wh costs 0.21 at the tariff.
    assert of.losses == (Loss(FLAT, 30_000, Fraction(30, 210)),)


def test_worse_off_is_who_is_so_at_both_values_of_what_is_left() -> None:
    # 0.02 cheaper with the market, and 100 Wh less left: worth 0.03 or 0.008.
    assert found(PLAIN | {ROOF: Cost(-104_000, 1620)}).losses == ()
    # 0.005 dearer, by 0.035 or 0.013 with what is left.
    [loss] = found(PLAIN | {ROOF: Cost(-129_000, 1620)}).losses
    assert loss == Loss(ROOF, 13_000, Fraction(13_000, 60_000 + 60_000 + 152_000))


@pytest.mark.parametrize(("stored", "worth"), [(Stored.RETAIL, 300_000), (Stored.FEED_IN, 80_000)])
def test_what_is_left_is_worth_the_lowest_price_of_the_slots(stored: Stored, worth: int) -> None:
    slots = [reading.slot for reading in ROWS.readings[ROOF]]
    assert PRICES.stored_micro(ROOF, slots, stored) == worth
    assert PRICES.stored_micro(ROOF, slots[2:], stored) == (400_000 if stored is Stored.RETAIL else 80_000)
    assert PRICES.stored_micro(ROOF, [], stored) == 0
