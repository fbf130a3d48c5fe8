"""A linear program that is solved anew in each slot: what a planner reaches that knows the present slot, has a forecast
of all later ones, and runs every battery of the street.

The receding horizon of model predictive control: J. B. Rawlings, D. Q. Mayne, M. M. Diehl: *Model Predictive Control*
(2nd ed., 2017), chapter 1. The next two hours are planned by slots, what comes then by hours.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

import numpy as np

from wattmesh_cli.field.optimum import Demand, Home, optimum
from wattmesh_cli.field.program import Values

_NEXT, _HOURS = 8, 34
_STEPS = np.array([1] * _NEXT + [4] * _HOURS)
_STARTS = np.concatenate([[0], np.cumsum(_STEPS)[:-1]])
HORIZON = int(_STEPS.sum())
"""How many slots are planned."""


@dataclass(frozen=True)
class Expected:
    """PV and load (Wh) of a household as forecast, for each slot of a horizon."""

    pv_wh: Values
    load_wh: Values


@dataclass(frozen=True)
class Planned:
    """What the planner made of a street: the bills of all households together, and what is left in each battery."""

    bill_micro: float
    left_wh: Mapping[str, float]

    def cost_micro(self, stored_micro_per_kwh: Mapping[str, int]) -> float:
        """The bill less what is left, at a value per kWh stored."""
        return self.bill_micro - sum(
            left_wh * stored_micro_per_kwh[name] / 1000 for name, left_wh in self.left_wh.items()
        )


Expects = Callable[[int], Expected]
"""What a household expects, when the slot of that place begins, of it and of those after it: a horizon."""


def roll(homes: Mapping[str, Home], expects: Mapping[str, Expects], demand: Demand | None, slots: int) -> Planned:
    """Run `slots` slots. Prices of `homes` reach a horizon further."""
    levels = {name: float(home.store.level_wh) for name, home in homes.items() if home.store is not None}
    bill_micro = 0.0
    for slot in range(slots):
        coming = {name: _ahead(home, expects[name](slot), levels.get(name, 0.0), slot) for name, home in homes.items()}
        wanted = None
        if demand is not None:
            # What the utility will want in later slots is not known to anybody.
            now = np.arange(len(_STEPS)) == 0
            wanted = Demand(np.where(now, demand.energy_wh[slot], 0.0), np.where(now, demand.price_micro[slot], 0.0))
        found = optimum(coming, wanted)
        bill_micro += float(found.bills_micro[0])
        levels |= {name: float(flows.level_wh[0]) for name, flows in found.flows.items()}
    return Planned(bill_micro, levels)


def _ahead(home: Home, expected: Expected, level_wh: float, slot: int) -> Home:
    """A household from `slot` on, by steps of the horizon."""

    def total(values: Values) -> Values:
        return np.asarray(np.add.reduceat(values[slot : slot + HORIZON], _STARTS), dtype=np.float64)

    def mean(values: Values) -> Values:
        means: Values = total(values) / _STEPS
        return means

    def known(metered: Values, forecast: Values) -> Values:
        present = np.concatenate([metered[slot : slot + 1], forecast[1:]])
        return np.asarray(np.add.reduceat(present, _STARTS), dtype=np.float64)

    store = home.store
    if store is not None:
        store = replace(
            store,
            level_wh=level_wh,
            capacity_wh=mean(store.capacity_wh),
            charge_wh=total(store.charge_wh),
            discharge_wh=total(store.discharge_wh),
            leak=total(store.leak),
        )
    return Home(
        pv_wh=known(home.pv_wh, expected.pv_wh),
        load_wh=known(home.load_wh, expected.load_wh),
        tariff_micro=mean(home.tariff_micro),
        feed_in_micro=mean(home.feed_in_micro),
        local_fee_micro=mean(home.local_fee_micro),
        store=store,
        stored_micro_per_kwh=home.stored_micro_per_kwh,
    )
