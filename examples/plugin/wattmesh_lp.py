"""The strategy `lp`: what a household should do in its coming day, as a small linear program.

It knows the utility's prices, and takes for granted that its neighbours trade some energy in each slot at a local
price, which it learns from its own trades. Of the solution it takes the first slot: what to sell there, or what to buy
and what that is worth.
"""

from __future__ import annotations

from functools import lru_cache
from statistics import fmean
from typing import Any

import numpy as np
from scipy.optimize import linprog
from scipy.sparse import csr_matrix, diags, hstack, identity, vstack

from wattmesh_market.energy.battery import Battery
from wattmesh_market.strategies import Buy, Decision, Hold, Sell, StrategyView
from wattmesh_market.trade.offers import MIN_TRADE_WH, Block

SLOTS = 96
"""How far it looks: a day."""
LOCAL_WH = 400
"""How much neighbours are expected to trade with it in a slot."""
LEARNED_S = 6 * 3600
"""How long a trade says something about the local price."""

Vector = np.ndarray[tuple[int], np.dtype[np.float64]]


def decide(view: StrategyView) -> Decision:
    """Sell or buy what the program trades with neighbours in the slot."""
    ahead, battery = view.ahead[:SLOTS], view.battery
    tariff = _vector(one.price_micro_per_kwh for one in ahead)
    feed_in = _vector(one.feed_in_micro_per_kwh for one in ahead)
    fee = _vector(one.local_grid_fee_micro_per_kwh for one in ahead)
    lacking = _vector(one.load_wh - one.pv_wh for one in ahead)
    lacking[0] += view.sold_wh - view.bought_wh
    local = _local_price(view, feed_in, tariff - fee)

    size = max(0, battery.capacity_wh - battery.min_level_wh)
    level = min(max(0, view.expected_level_wh - battery.min_level_wh), size)
    nothing = np.zeros(SLOTS)
    stored_worth = nothing.copy()
    stored_worth[-1] = min(tariff.mean(), local.mean()) * battery.discharge_efficiency_ppm / 1e6
    start = nothing.copy()
    start[0] = level
    found = linprog(
        # Import, export, bought, sold, charged, discharged and stored in each slot.
        np.concatenate([tariff, -feed_in, local + fee, -local, nothing, nothing, -stored_worth]),
        A_eq=_rules(battery),
        b_eq=np.concatenate([lacking, start]),
        bounds=[
            *[(0, None)] * (2 * SLOTS),
            (0, view.buyable_wh),
            *[(0, LOCAL_WH)] * (SLOTS - 1),
            (0, view.sellable_wh),
            *[(0, LOCAL_WH)] * (SLOTS - 1),
            *[(0, battery.charge_limit_wh)] * SLOTS,
            *[(0, battery.discharge_limit_wh)] * SLOTS,
            *[(0, size)] * SLOTS,
        ],
        method="highs",
    )
    if not found.success:
        return Hold()
    bought_wh, sold_wh = int(found.x[2 * SLOTS]), int(found.x[3 * SLOTS])
    if sold_wh - bought_wh >= MIN_TRADE_WH:
        return Sell(sold_wh, max(view.least_ask_micro_per_kwh, int(local[0])))
    if bought_wh >= MIN_TRADE_WH and view.most_bid_micro_per_kwh >= 0:
        worth_micro = int(found.eqlin.marginals[0])  # what a kWh more in the slot spares
        price_micro = max(0, min(view.most_bid_micro_per_kwh, worth_micro))
        return Buy((Block(price_micro, bought_wh),), f"its program buys at up to {price_micro / 1e6:.3f}")
    return Hold()


def _vector(values: Any) -> Vector:
    return np.fromiter(values, dtype=np.float64, count=SLOTS)


def _local_price(view: StrategyView, lowest: Vector, highest: Vector) -> Vector:
    """What a neighbour's kWh should cost in each slot, without grid fee: halfway between the utility's prices, and half
    of the way from there to what it did cost.
    """
    middle = (lowest + highest) / 2
    paid = [one.price_micro_per_kwh for one in view.trades if one.slot > view.now_slot - LEARNED_S]
    price = (middle + fmean(paid)) / 2 if paid else middle
    return np.clip(price, np.maximum(lowest, 0), np.maximum(highest, 0))


@lru_cache(maxsize=1000)
def _rules(battery: Battery) -> csr_matrix:
    """What the house lacks comes from somewhere; what is stored is what was, and what is charged less what is taken."""
    one, former = identity(SLOTS), diags([1.0], [-1], shape=(SLOTS, SLOTS))
    charged = battery.charge_efficiency_ppm / 1e6 * one
    discharged = 1e6 / battery.discharge_efficiency_ppm * one
    none = csr_matrix((SLOTS, SLOTS))
    house = hstack([one, -one, one, -one, -one, one, none])
    store = hstack([none, none, none, none, -charged, discharged, one - former])
    return vstack([house, store], format="csr")
