"""The least that a feeder's households could pay together, had they known everything beforehand. Pure.

A linear program: every household's PV and load as metered, its battery within its limits, and every kWh where it is
worth most. It is a lower bound of every market's bill, not a plan that somebody could follow.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from wattmesh_cli.field.program import Columns, Program, Term, Values

_PER_KWH = 1000.0
_PER_MICRO = 1_000_000.0


@dataclass(frozen=True)
class Store:
    """A battery over the slots; energies in Wh, all but the numbers for each slot, powers at the terminals.

    `leak` is the share of what is stored that is lost in a slot. Nothing is charged or discharged where a limit is 0.
    """

    level_wh: float
    min_level_wh: float
    capacity_wh: Values
    charge_wh: Values
    discharge_wh: Values
    charge_efficiency: float
    discharge_efficiency: float
    leak: Values


@dataclass(frozen=True)
class Home:
    """A household over the slots: load less PV (Wh), and what its utility asks for a kWh, pays for one fed in, and
    takes as the local grid fee of one sold to a neighbour (millionths).

    `stored_micro_per_kwh` is what a kWh left in its battery is worth at the end.
    """

    net_wh: Values
    tariff_micro: Values
    feed_in_micro: Values
    local_fee_micro: Values
    store: Store | None = None
    stored_micro_per_kwh: float = 0.0


@dataclass(frozen=True)
class Demand:
    """What a utility would buy from the households in each slot: at most `energy_wh`, at `price_micro` per kWh."""

    energy_wh: Values
    price_micro: Values


@dataclass(frozen=True)
class Flows:
    """What a battery does in each slot (Wh): at its terminals, and what it holds at the slot's end."""

    charged_wh: Values
    discharged_wh: Values
    level_wh: Values


@dataclass(frozen=True)
class Optimum:
    """`bills_micro` is what all households together pay less what they earn in each slot, without what is left in
    batteries. `net_wh` is what passes each household's meter inwards less outwards, `flows` are those of each battery.
    """

    bills_micro: Values
    net_wh: Mapping[str, Values]
    flows: Mapping[str, Flows]

    def left_wh(self, household: str) -> float:
        """What is in a household's battery at the end."""
        return float(self.flows[household].level_wh[-1]) if household in self.flows else 0.0


def optimum(homes: Mapping[str, Home], demand: Demand | None = None) -> Optimum:
    """The optimum of a feeder. All arrays have one value for each slot. Unsolved, if HiGHS finds none.

    Local energy costs the fee of its seller's utility and nothing else: what one household pays another, it also earns.
    Where energy that runs in circles would earn money (a price below 0, or a feed-in price above a tariff), a whole
    number says which way a meter or a battery runs, as no real one runs both ways in a slot.
    """
    if not homes:
        return Optimum(np.zeros(0), {}, {})
    program = Program(len(next(iter(homes.values())).net_wh))
    lowest_tariff = np.min([home.tariff_micro for home in homes.values()], axis=0)
    best_sale = np.max([home.feed_in_micro for home in homes.values()], axis=0)
    if demand is not None:
        best_sale = np.where(demand.energy_wh > 0, np.maximum(best_sale, demand.price_micro), best_sale)
    circles = best_sale > lowest_tariff
    burns = np.minimum(lowest_tariff, np.min([home.feed_in_micro for home in homes.values()], axis=0)) < 0
    batteries = {
        name: _battery(program, home.store, home.stored_micro_per_kwh, burns)
        for name, home in homes.items()
        if home.store is not None
    }
    groups: dict[bytes, list[str]] = {}
    for name, home in homes.items():
        prices = np.concatenate([home.tariff_micro, home.feed_in_micro, home.local_fee_micro])
        groups.setdefault(prices.tobytes(), []).append(name)
    pool: list[Term] = []
    given: list[Term] = []
    priced: list[Columns] = []
    for names in groups.values():
        of = homes[names[0]]
        imported = program.variable(cost=of.tariff_micro / _PER_MICRO)
        exported = program.variable(cost=-of.feed_in_micro / _PER_MICRO)
        bought, sold = program.variable(), program.variable(cost=of.local_fee_micro / _PER_MICRO)
        pool += [(bought, 1.0), (sold, -1.0)]
        inward: list[Term] = [(imported, 1.0), (bought, 1.0)]
        outward: list[Term] = [(exported, 1.0), (sold, 1.0)]
        priced += [imported, exported, sold]
        if demand is not None:
            to_utility = program.variable()
            outward.append((to_utility, 1.0))
            given.append((to_utility, 1.0))
        members = {name: homes[name] for name in names}
        if not of.local_fee_micro.any() and not circles.any():
            _as_one_meter(program, members, batteries, inward, outward)
        else:
            _by_meter(program, members, batteries, inward, outward, circles)
    program.constrain(pool)
    if demand is not None:
        taken = program.variable(upper=demand.energy_wh / _PER_KWH, cost=-demand.price_micro / _PER_MICRO)
        program.constrain([*given, (taken, -1.0)])
        priced.append(taken)
    values = program.solve()
    bills = np.sum([program.cost(columns) * values[columns] for columns in priced], axis=0)
    flows = {name: battery.flows(values) for name, battery in batteries.items()}
    net_wh = {
        name: home.net_wh + (flows[name].charged_wh - flows[name].discharged_wh if name in flows else 0.0)
        for name, home in homes.items()
    }
    return Optimum(bills * _PER_MICRO, net_wh, flows)


@dataclass(frozen=True)
class _Battery:
    charged: Columns
    discharged: Columns
    level: Columns

    def flows(self, values: Values) -> Flows:
        return Flows(*(values[columns] * _PER_KWH for columns in (self.charged, self.discharged, self.level)))


def _battery(program: Program, store: Store, stored_micro: float, burns: NDArray[np.bool_]) -> _Battery:
    """The level at a slot's end is what was there, less what leaked, and what was charged less what was drawn.

    A level that starts below the lowest one, or leaks below it, may stay there and is not drawn on.
    """
    kept = 1.0 - store.leak
    charged = program.variable(upper=store.charge_wh / _PER_KWH)
    discharged = program.variable(upper=store.discharge_wh / _PER_KWH)
    lowest_wh = min(store.min_level_wh, store.level_wh) * np.cumprod(kept)
    worth = np.zeros(program.slots)
    worth[-1] = -stored_micro / _PER_MICRO
    level = program.variable(lower=lowest_wh / _PER_KWH, upper=store.capacity_wh / _PER_KWH, cost=worth)
    before = np.concatenate([[-1], level[:-1]])
    start = np.zeros(program.slots)
    start[0] = kept[0] * store.level_wh / _PER_KWH
    shrinks = np.diff(store.capacity_wh, prepend=max(store.level_wh, store.capacity_wh[0])) < 0
    spilled = program.variable(upper=np.where(shrinks, np.inf, 0.0))
    program.constrain(
        [
            (level, 1.0),
            (before, -kept),
            (charged, -store.charge_efficiency),
            (discharged, 1.0 / store.discharge_efficiency),
            (spilled, 1.0),
        ],
        start,
        start,
    )
    if burns.any():
        charges = program.variable(upper=1.0, binary=True)
        either = np.where(burns, 0.0, np.inf)
        program.constrain([(charged, 1.0), (charges, -store.charge_wh / _PER_KWH)], -np.inf, either)
        program.constrain(
            [(discharged, 1.0), (charges, store.discharge_wh / _PER_KWH)],
            -np.inf,
            store.discharge_wh / _PER_KWH + either,
        )
    return _Battery(charged, discharged, level)


def _as_one_meter(
    program: Program,
    homes: Mapping[str, Home],
    batteries: Mapping[str, _Battery],
    inward: list[Term],
    outward: list[Term],
) -> None:
    """Households that pay nothing for energy among themselves: what they need less what they have, in one."""
    net_kwh = np.sum([home.net_wh for home in homes.values()], axis=0) / _PER_KWH
    terms = [*inward, *((columns, -1.0) for columns, _ in outward)]
    for name in homes:
        if name in batteries:
            terms += [(batteries[name].charged, -1.0), (batteries[name].discharged, 1.0)]
    program.constrain(terms, net_kwh, net_kwh)


def _by_meter(
    program: Program,
    homes: Mapping[str, Home],
    batteries: Mapping[str, _Battery],
    inward: list[Term],
    outward: list[Term],
    circles: NDArray[np.bool_],
) -> None:
    """Each household's meter runs one way in a slot; without a battery nothing is to be decided."""
    fixed = [home.net_wh / _PER_KWH for name, home in homes.items() if name not in batteries]
    needs = np.sum([np.maximum(net, 0.0) for net in fixed], axis=0) + np.zeros(program.slots)
    gives = np.sum([np.maximum(-net, 0.0) for net in fixed], axis=0) + np.zeros(program.slots)
    needed, given = list(inward), list(outward)
    for name, home in homes.items():
        if name not in batteries or home.store is None:
            continue
        into, out = program.variable(), program.variable()
        needed.append((into, -1.0))
        given.append((out, -1.0))
        net_kwh = home.net_wh / _PER_KWH
        battery = batteries[name]
        program.constrain(
            [(into, 1.0), (out, -1.0), (battery.charged, -1.0), (battery.discharged, 1.0)], net_kwh, net_kwh
        )
        if circles.any():
            takes = program.variable(upper=1.0, binary=True)
            most_in = np.maximum(0.0, home.net_wh + home.store.charge_wh) / _PER_KWH
            most_out = np.maximum(0.0, home.store.discharge_wh - home.net_wh) / _PER_KWH
            either = np.where(circles, 0.0, np.inf)
            program.constrain([(into, 1.0), (takes, -most_in)], -np.inf, either)
            program.constrain([(out, 1.0), (takes, most_out)], -np.inf, most_out + either)
    program.constrain(needed, needs, needs)
    program.constrain(given, gives, gives)
