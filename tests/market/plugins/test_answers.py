"""What plug-ins may answer: all that keeps the limits of the view. Anything else is nonsense, and named."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from math import nan
from typing import Any, cast

import pytest

from wattmesh_market.energy.battery import NO_BATTERY
from wattmesh_market.energy.forecast import Guarded
from wattmesh_market.energy.profiles import SlotProfile
from wattmesh_market.mechanisms import uniform_price
from wattmesh_market.mechanisms.checked import checked as matched
from wattmesh_market.mechanisms.orders import Match, Order, Orders
from wattmesh_market.plugins import IN_PYTHON, Kind, Plugin
from wattmesh_market.plugins.watch import Nonsense, Watch
from wattmesh_market.pricing import Pricing, PricingView, pricings
from wattmesh_market.strategies import Buy, Hold, Sell, StrategyView
from wattmesh_market.strategies.checked import checked
from wattmesh_market.trade.offers import Block

VIEW = StrategyView(
    household="roof.test",
    seed=0,
    slot=1_782_000_000,
    now_slot=1_781_999_100,
    utc_offset_s=7200,
    battery=NO_BATTERY,
    level_wh=0,
    expected_level_wh=0,
    bought_wh=0,
    sold_wh=0,
    buyable_wh=800,
    sellable_wh=500,
    least_ask_micro_per_kwh=120_000,
    most_bid_micro_per_kwh=300_000,
    buy_below_wh=0,
    buy_target_wh=0,
    sell_above_wh=0,
    ahead=(),
    trades=(),
)


class Whole:
    """A whole number that is none of Python's, as numpy's are."""

    def __index__(self) -> int:
        return 400


@pytest.mark.parametrize(
    ("answer", "decision"),
    [
        (Hold(), Hold()),
        (Sell(), Sell(500, None)),
        (Sell(cast("int", Whole()), 120_000), Sell(400, 120_000)),
        (Sell(9), Hold()),
        (Buy((Block(None, 800),)), Buy((Block(300_000, 800),), "its strategy buys")),
        (
            Buy((Block(100_000, 300), Block(200_000, 500)), "a\nb"),
            Buy((Block(200_000, 500), Block(100_000, 300)), "a b"),
        ),
        (Buy(()), Hold()),
    ],
)
def test_what_keeps_the_limits_is_taken(answer: object, decision: object) -> None:
    assert checked(answer, VIEW) == decision


@pytest.mark.parametrize(
    ("answer", "why"),
    [
        (None, "not NoneType"),
        (Hold, "not the class Hold"),
        (Sell(cast("int", nan)), "whole number, not nan"),
        (Sell(cast("int", 400.0)), "whole number, not 400.0"),
        (Sell(True), "whole number, not True"),
        (Sell(-10), "from 0 to 500, not -10"),
        (Sell(501), "from 0 to 500, not 501"),
        (Sell(500, 119_999), "from 120000 to"),
        (Sell(500, 10**30), "not 1000000"),
        (Buy((Block(300_001, 500),)), "from 0 to 300000, not 300001"),
        (Buy((Block(100, 500), Block(90, 500))), "of all blocks must be from 0 to 800, not 1000"),
        (Buy(cast("Any", 5)), "not int"),
        (Buy(cast("Any", (5,))), "must have Blocks, not int"),
        (Buy((Block(100, 500),), cast("Any", 5)), "reason must be text"),
    ],
)
def test_nonsense_is_named(answer: object, why: str) -> None:
    with pytest.raises(Nonsense, match=why):
        checked(answer, VIEW)


def test_nobody_buys_where_the_utility_pays_for_import() -> None:
    assert checked(Buy((Block(None, 800),)), VIEW._replace(most_bid_micro_per_kwh=-10_000)) == Hold()


# --- pricings ---

PRICING_VIEW = PricingView(VIEW.slot, 0, 300_000, 30_000, 80_000, 120_000, None, 10_000, 5_000, 8_000, 5_000)


@pytest.mark.parametrize(
    ("ask", "why"), [(119_999, "from 120000 to 270000"), (270_001, "not 270001"), (2e5, "not 200000.0")]
)
def test_a_pricing_keeps_the_bounds(ask: int, why: str) -> None:
    of = pricings[pricings.give(Pricing(lambda _: ask, lambda view: view.most_bid_micro_per_kwh))]
    assert of.bid(PRICING_VIEW) == 300_000
    with pytest.raises(Nonsense, match=why):
        of.ask(PRICING_VIEW)


# --- forecasts ---


def _asked(watch: Watch, plugin: Plugin, slot: int, answer: Callable[[], SlotProfile]) -> SlotProfile | None:
    return watch.ask(plugin, "roof.test", slot, answer)


class Fixed:
    """A profile whose own forecast is always the same."""

    def actual(self, slot: int) -> SlotProfile:
        return self.forecast(slot)

    def forecast(self, slot: int) -> SlotProfile:  # noqa: ARG002 - the same in every slot
        return SlotProfile(300, 200)


@pytest.mark.parametrize(("pv_wh", "known"), [(250, SlotProfile(250, 100)), (-1, None), (1.5, None), (10**12, None)])
def test_a_forecast_that_cannot_be_is_replaced_by_the_profiles_own(pv_wh: int, known: SlotProfile | None) -> None:
    class Oracle:
        def __init__(self, profile: object, metered: object) -> None:
            self.made = profile, metered

        def expected(self, slot: int) -> SlotProfile:  # noqa: ARG002 - the same in every slot
            return SlotProfile(pv_wh, 100)

    plugin = Plugin(Kind.FORECAST, "oracle", IN_PYTHON, Oracle)
    of = Guarded(plugin, Fixed(), lambda _: None, partial(_asked, Watch()))
    assert of.known(VIEW.slot) == known
    assert of.expected(VIEW.slot) == (known or SlotProfile(300, 200))


# --- mechanisms ---

ORDERS = Orders(
    asks=(Order("roof", 100_000, 400), Order("roof", 200_000, 400), Order("barn", 150_000, 500)),
    bids=(Order("flat", 300_000, 300), Order("flat", 180_000, 500), Order("shop", 250_000, 600)),
    lot=0,
)


def test_what_keeps_to_the_orders_is_matched() -> None:
    matches = uniform_price.match(ORDERS)
    assert matched(matches, ORDERS) == matches


@pytest.mark.parametrize(
    ("matches", "why"),
    [
        (None, "must be a list of Match, not NoneType"),
        ([Match("flat", "mill", 100, 150_000)], "no bid of 'flat' and ask of 'mill'"),
        ([Match("roof", "flat", 100, 150_000)], "no bid of 'roof'"),
        ([Match("flat", "roof", 401, 150_000)], "roof is matched for 401 Wh and orders 400 at that price, 800 in all"),
        ([Match("flat", "barn", 100, 149_999)], "barn is matched for 100 Wh and orders 0"),
        ([Match("flat", "barn", 301, 200_000)], "flat is matched for 301 Wh and orders 300"),
        ([Match("flat", "roof", 50, 150_000), Match("shop", "roof", 50, 160_000)], "two prices"),
        ([Match("flat", "roof", 50, 150_000)] * 2, "matched twice"),
        ([Match("flat", "roof", cast("int", 50.0), 150_000)], "energy must be a whole number"),
        ([Match("flat", "roof", -50, 150_000)], "from 0"),
        (["flat"], "not of str"),
    ],
)
def test_matches_that_nobody_ordered_are_nonsense(matches: object, why: str) -> None:
    with pytest.raises(Nonsense, match=why):
        matched(matches, ORDERS)
