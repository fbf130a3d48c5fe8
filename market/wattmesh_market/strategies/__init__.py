"""What to do next: buy, sell or hold. Strategies are picked by name.

A strategy is a pure function of a view. Those of `STRATEGIES` are built in: two functions each, one of them a
utility's. A plug-in is a function from `StrategyView` to `Decision`, in the group `wattmesh.strategies`: see
`plugins`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

from wattmesh_market.plugins import Catalog, Kind, Plugin
from wattmesh_market.strategies.decisions import Buy, Decision, Hold, Sell
from wattmesh_market.strategies.view import OwnTrade, SlotAhead, StrategyView
from wattmesh_market.trade.offers import MIN_TRADE_WH, Block

__all__ = [
    "STRATEGIES",
    "UTILITY_STRATEGIES",
    "Buy",
    "Decision",
    "Hold",
    "HouseholdView",
    "OwnTrade",
    "Sell",
    "SlotAhead",
    "Strategy",
    "StrategyFunction",
    "StrategyView",
    "UtilityView",
    "advised",
    "household_rules",
    "strategies",
    "strategy_named",
    "utility_rules",
]

StrategyFunction = Callable[[StrategyView], Decision]
"""What a plug-in is."""


class HouseholdView(NamedTuple):
    """A household before a delivery slot, in Wh.

    `projected_wh` is the stored energy expected at that slot's end without another trade; `deficit_wh` is load less PV
    expected in the slot; `buyable_wh` and `sellable_wh` are what capacity, power and promises leave free. `buying` says
    that the battery fell below the threshold and has not reached the target since.
    """

    capacity_wh: int
    level_wh: int
    projected_wh: int
    deficit_wh: int
    buyable_wh: int
    sellable_wh: int
    buying: bool
    buy_below_wh: int
    buy_target_wh: int
    charge_efficiency_ppm: int
    max_buy_price_micro_per_kwh: int | None


class UtilityView(NamedTuple):
    """A utility before a delivery slot, in Wh. `start_wh` is where demand response starts; None without it."""

    sold_wh: int
    bought_wh: int
    backstop_wh: int
    start_wh: int | None
    max_price_micro_per_kwh: int


def household_rules(view: HouseholdView) -> Decision:
    """Below the threshold buy up to the target; with energy above the selling threshold sell; else hold.

    Without a battery, buy what the house is expected to use. Nothing is bought where the utility pays for import.
    """
    if view.max_buy_price_micro_per_kwh is not None and view.max_buy_price_micro_per_kwh < 0:
        return Sell() if view.sellable_wh >= MIN_TRADE_WH and not view.buying else Hold()
    if not view.capacity_wh:
        if view.deficit_wh >= MIN_TRADE_WH:
            reason = f"expects to use {view.deficit_wh / 1000:.3f} kWh"
            return Buy((Block(view.max_buy_price_micro_per_kwh, view.deficit_wh),), reason)
        return Hold()
    if view.buying:
        missing_wh = -(-(view.buy_target_wh - view.projected_wh) * 1_000_000 // view.charge_efficiency_ppm)
        energy_wh = min(missing_wh, view.buyable_wh)
        if energy_wh >= MIN_TRADE_WH:
            percent = 100 / view.capacity_wh
            what = "battery low" if view.level_wh < view.buy_below_wh else "battery below its target"
            reason = (
                f"{what}: {view.level_wh / 1000:.2f} of {view.capacity_wh / 1000:.2f} kWh "
                f"({view.level_wh * percent:.0f} %); buys below {view.buy_below_wh * percent:.0f} % "
                f"up to {view.buy_target_wh * percent:.0f} %"
            )
            return Buy((Block(view.max_buy_price_micro_per_kwh, energy_wh),), reason)
        return Hold()
    return Sell() if view.sellable_wh >= MIN_TRADE_WH else Hold()


def utility_rules(view: UtilityView) -> Decision:
    """Sell; and when demand passes the start of demand response, buy what lies above it."""
    if view.start_wh is None:
        return Sell()
    demand_wh = view.sold_wh + view.backstop_wh
    energy_wh = demand_wh - view.start_wh - view.bought_wh
    if energy_wh < MIN_TRADE_WH:
        return Sell()
    reason = (
        f"high demand: {demand_wh / 1000:.3f} kWh (sold {view.sold_wh / 1000:.3f}, backstop "
        f"{view.backstop_wh / 1000:.3f}) is above {view.start_wh / 1000:.3f} kWh"
    )
    return Buy((Block(view.max_price_micro_per_kwh, energy_wh),), reason)


@dataclass(frozen=True)
class Strategy:
    """How households and utilities of one persuasion decide. `advised`: an adviser chooses among the offers.
    `plans`: a household goes by what stored energy is worth (`plan.Planner`) instead; `plugin`: by what that says.
    """

    household: Callable[[HouseholdView], Decision]
    utility: Callable[[UtilityView], Decision]
    advised: bool = False
    plans: bool = False
    plugin: Plugin | None = None


def _of_plugin(plugin: Plugin) -> Strategy:
    if not callable(plugin.target):
        raise ValueError(f"must be a function from StrategyView to Decision, not {type(plugin.target).__name__}")
    return Strategy(household_rules, utility_rules, plugin=plugin)


STRATEGIES = {
    "rules": Strategy(household_rules, utility_rules),
    "plan": Strategy(household_rules, utility_rules, plans=True),
    "chat": Strategy(household_rules, utility_rules, advised=True, plans=True),
}
UTILITY_STRATEGIES = ("rules", "chat")
"""Those that a utility may have: it stores nothing, so it has nothing to plan."""
strategies = Catalog(Kind.STRATEGY, STRATEGIES, _of_plugin)


def strategy_named(name: str) -> Strategy:
    """The strategy of that name; ValueError lists the names there are."""
    return strategies[name]


def advised(name: str) -> bool:
    """Whether an adviser chooses among offers under the strategy of that name; ValueError as in `strategy_named`."""
    return strategies[name].advised
