"""The least that a feeder's households could pay together, had they known everything beforehand. Pure.

A linear program: every household's PV and load as metered, its battery within its limits, and every kWh where it is
worth most. It is a lower bound of every market's bill, not a plan that somebody could follow.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import astuple, dataclass, replace

import numpy as np

from wattmesh_cli.field.program import Columns, Program, Term, Values

_AHEAD = 3 * 96
_PER_KWH = 1000.0
_PER_MICRO = 1_000_000.0


@dataclass(frozen=True)
class Store:
    """A battery over the slots; energies in Wh, all but the numbers for each slot, powers at the terminals.

    `leak` is the share of what is stored that is lost in a slot. Nothing is charged or discharged where a limit is 0.
    The level at a slot's end is at least `least_wh`, where that is given for each slot, in place of `min_level_wh`.
    """

    level_wh: float
    min_level_wh: float
    capacity_wh: Values
    charge_wh: Values
    discharge_wh: Values
    charge_efficiency: float
    discharge_efficiency: float
    leak: Values
    least_wh: Values | None = None


@dataclass(frozen=True)
class Shiftable:
    """A device over the slots: the most that it takes in each (Wh), and the least and most that it has taken by the end
    of each, counted from a moment at which it had taken `taken_wh`.
    """

    limit_wh: Values
    least_wh: Values
    most_wh: Values
    taken_wh: float = 0.0


@dataclass(frozen=True)
class Home:
    """A household over the slots: PV and load (Wh), and what its utility asks for a kWh, pays for one fed in, and takes
    as the local grid fee of one sold to a neighbour (millionths). What `devices` take is not in the load.

    `stored_micro_per_kwh` is what a kWh left in its battery is worth at the end.
    """

    pv_wh: Values
    load_wh: Values
    tariff_micro: Values
    feed_in_micro: Values
    local_fee_micro: Values
    store: Store | None = None
    stored_micro_per_kwh: float = 0.0
    devices: tuple[Shiftable, ...] = ()
    vehicle: Store | None = None

    @property
    def net_wh(self) -> Values:
        """Load less PV."""
        return self.load_wh - self.pv_wh


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
    batteries; `flows` are those of each battery, `vehicles` those of what houses may use of their cars, and `taken_wh`
    has what each device has taken by the end of each slot.
    """

    bills_micro: Values
    flows: Mapping[str, Flows]
    vehicles: Mapping[str, Flows]
    taken_wh: Mapping[str, tuple[Values, ...]]

    def cost_micro(self, homes: Mapping[str, Home]) -> float:
        """All bills less what is left in batteries."""
        left_micro = [
            homes[name].stored_micro_per_kwh * float(flows.level_wh[-1]) / _PER_KWH
            for each in (self.flows, self.vehicles)
            for name, flows in each.items()
        ]
        return float(self.bills_micro.sum()) - sum(left_micro)


def optimum(homes: Mapping[str, Home], demand: Demand | None = None, *, window: int = 40 * 96) -> Optimum:
    """The optimum of a feeder. All arrays have one value for each slot. Unsolved, if HiGHS finds none.

    More slots than `window` are solved window by window, with a look three days ahead: further no home battery keeps
    anything for, and one program for a year takes many times as long as twelve.

    Local energy costs the fee of its seller's utility and nothing else: what one household pays another, it also earns.
    To a utility only sun and store are sold, whatever is imported meanwhile. Where a price is below 0 or a feed-in
    price above a tariff, a battery may run both ways in a slot, and a meter may count in both directions what passes
    its battery: less than any market could reach, but still a bound.
    """
    if not homes:
        return Optimum(np.zeros(0), {}, {}, {})
    slots = len(next(iter(homes.values())).load_wh)
    if slots <= window + _AHEAD:
        return _solved(homes, demand)
    parts: list[Optimum] = []
    for first in range(0, slots, window):
        span = slice(first, min(slots, first + window + _AHEAD))
        coming = {name: _part(home, span, name, parts[-1] if parts else None) for name, home in homes.items()}
        wanted = None if demand is None else Demand(demand.energy_wh[span], demand.price_micro[span])
        parts.append(_begin(_solved(coming, wanted), window))
    flows, vehicles = _joined([part.flows for part in parts]), _joined([part.vehicles for part in parts])
    taken_wh = {
        name: tuple(np.concatenate(of) for of in zip(*(part.taken_wh[name] for part in parts), strict=True))
        for name in parts[0].taken_wh
    }
    return Optimum(np.concatenate([part.bills_micro for part in parts]), flows, vehicles, taken_wh)


def _joined(parts: Sequence[Mapping[str, Flows]]) -> dict[str, Flows]:
    return {
        name: Flows(*(np.concatenate(of) for of in zip(*(astuple(part[name]) for part in parts), strict=True)))
        for name in parts[0]
    }


def _part(home: Home, span: slice, name: str, before: Optimum | None) -> Home:
    """A household in some slots, as it stands after those before them, if there are any."""
    taken_wh = [float(of[-1]) for of in before.taken_wh[name]] if before else [of.taken_wh for of in home.devices]
    return replace(
        home,
        pv_wh=home.pv_wh[span],
        load_wh=home.load_wh[span],
        tariff_micro=home.tariff_micro[span],
        feed_in_micro=home.feed_in_micro[span],
        local_fee_micro=home.local_fee_micro[span],
        store=_part_of(home.store, span, before.flows.get(name) if before else None),
        vehicle=_part_of(home.vehicle, span, before.vehicles.get(name) if before else None),
        devices=tuple(
            Shiftable(of.limit_wh[span], of.least_wh[span], of.most_wh[span], taken)
            for of, taken in zip(home.devices, taken_wh, strict=True)
        ),
    )


def _part_of(store: Store | None, span: slice, before: Flows | None) -> Store | None:
    if store is None:
        return None
    return replace(
        store,
        level_wh=store.level_wh if before is None else float(before.level_wh[-1]),
        capacity_wh=store.capacity_wh[span],
        charge_wh=store.charge_wh[span],
        discharge_wh=store.discharge_wh[span],
        leak=store.leak[span],
        least_wh=None if store.least_wh is None else store.least_wh[span],
    )


def _begin(of: Optimum, slots: int) -> Optimum:
    """Its first slots."""
    return Optimum(
        of.bills_micro[:slots],
        {name: Flows(*(wh[:slots] for wh in astuple(one))) for name, one in of.flows.items()},
        {name: Flows(*(wh[:slots] for wh in astuple(one))) for name, one in of.vehicles.items()},
        {name: tuple(wh[:slots] for wh in each) for name, each in of.taken_wh.items()},
    )


def _solved(homes: Mapping[str, Home], demand: Demand | None) -> Optimum:
    program = Program(len(next(iter(homes.values())).load_wh))
    lowest_tariff = np.min([home.tariff_micro for home in homes.values()], axis=0)
    circles = any((home.feed_in_micro > lowest_tariff).any() for home in homes.values())
    both_ways = circles or demand is not None or bool((lowest_tariff < 0).any())
    batteries = {
        name: _battery(program, home.store, home.stored_micro_per_kwh, both_ways=both_ways)
        for name, home in homes.items()
        if home.store is not None
    }
    vehicles = {
        name: _battery(program, home.vehicle, home.stored_micro_per_kwh, both_ways=both_ways)
        for name, home in homes.items()
        if home.vehicle is not None
    }
    devices = {name: [_device(program, of) for of in home.devices] for name, home in homes.items()}
    behind = {
        name: _Behind(
            tuple(each[name] for each in (batteries, vehicles) if name in each),
            tuple(taken for taken, _ in devices[name]),
        )
        for name in homes
        if name in batteries or devices[name]
    }
    groups: dict[bytes, list[str]] = {}
    for name, home in homes.items():
        prices = np.concatenate([home.tariff_micro, home.feed_in_micro, home.local_fee_micro])
        groups.setdefault(prices.tobytes(), []).append(name)
    pool: list[Term] = []
    to_utility: list[Term] = []
    priced: list[Columns] = []
    for names in groups.values():
        members = {name: homes[name] for name in names}
        of = members[names[0]]
        imported = program.variable(cost=of.tariff_micro / _PER_MICRO)
        exported = program.variable(cost=-of.feed_in_micro / _PER_MICRO)
        bought, sold = program.variable(), program.variable(cost=of.local_fee_micro / _PER_MICRO)
        priced += [imported, exported, sold]
        pool += [(bought, 1.0), (sold, -1.0)]
        inward: list[Term] = [(imported, 1.0), (bought, 1.0)]
        outward: list[Term] = [(exported, 1.0), (sold, 1.0)]
        if demand is not None:
            given = program.variable()
            outward.append((given, 1.0))
            to_utility.append((given, 1.0))
            sun_kwh = np.sum([home.pv_wh for home in members.values()], axis=0) / _PER_KWH
            drawn: list[Term] = [(batteries[name].discharged, -1.0) for name in members if name in batteries]
            program.constrain([(given, 1.0), *drawn], -np.inf, sun_kwh)
        if circles or of.local_fee_micro.any():
            _by_meter(program, members, behind, inward, outward, bounded=circles)
        else:
            _as_one_meter(program, members, behind, inward, outward)
    program.constrain(pool)
    if demand is not None:
        taken = program.variable(upper=demand.energy_wh / _PER_KWH, cost=-demand.price_micro / _PER_MICRO)
        program.constrain([*to_utility, (taken, -1.0)])
        priced.append(taken)
    values = program.solve()
    bills = np.sum([program.cost(columns) * values[columns] for columns in priced], axis=0)
    flows = {name: battery.flows(values) for name, battery in batteries.items()}
    taken_wh = {name: tuple(values[by] * _PER_KWH for _, by in of) for name, of in devices.items()}
    of_vehicles = {name: vehicle.flows(values) for name, vehicle in vehicles.items()}
    return Optimum(bills * _PER_MICRO, flows, of_vehicles, taken_wh)


@dataclass(frozen=True)
class _Battery:
    charged: Columns
    discharged: Columns
    level: Columns

    def flows(self, values: Values) -> Flows:
        return Flows(*(values[columns] * _PER_KWH for columns in (self.charged, self.discharged, self.level)))


@dataclass(frozen=True)
class _Behind:
    """What is behind a meter beside PV and load: what is stored, and what devices take in each slot."""

    stores: tuple[_Battery, ...]
    taken: tuple[Columns, ...]

    @property
    def inward(self) -> list[Term]:
        """What is taken less what is given."""
        return [*self.takes, *_negative(self.gives)]

    @property
    def takes(self) -> list[Term]:
        """What is taken."""
        return [(columns, 1.0) for columns in (*(store.charged for store in self.stores), *self.taken)]

    @property
    def gives(self) -> list[Term]:
        """What is given."""
        return [(store.discharged, 1.0) for store in self.stores]


def _device(program: Program, of: Shiftable) -> tuple[Columns, Columns]:
    """What a device takes in each slot, and what it has taken by its end."""
    taken = program.variable(upper=of.limit_wh / _PER_KWH)
    by = program.variable(lower=of.least_wh / _PER_KWH, upper=of.most_wh / _PER_KWH)
    start = np.zeros(program.slots)
    start[0] = of.taken_wh / _PER_KWH
    program.constrain([(by, 1.0), (np.concatenate([[-1], by[:-1]]), -1.0), (taken, -1.0)], start, start)
    return taken, by


def _battery(program: Program, store: Store, stored_micro_per_kwh: float, *, both_ways: bool) -> _Battery:
    """The level at a slot's end is what was there, less what leaked, and what was charged less what was drawn.

    What starts below the lowest level, or leaks below it, may stay there: the bound falls as the store would. What
    does not fit into a battery that was made smaller is lost. Where it may pay to run `both_ways` in a slot, only what
    was there at its start is drawn.
    """
    kept = 1.0 - store.leak
    charged = program.variable(upper=store.charge_wh / _PER_KWH)
    discharged = program.variable(upper=store.discharge_wh / _PER_KWH)
    lowest_wh = np.minimum(min(store.min_level_wh, store.level_wh) * np.cumprod(kept), store.capacity_wh)
    if store.least_wh is not None:
        lowest_wh = store.least_wh
    worth = np.zeros(program.slots)
    worth[-1] = -stored_micro_per_kwh / _PER_MICRO
    level = program.variable(lower=lowest_wh / _PER_KWH, upper=store.capacity_wh / _PER_KWH, cost=worth)
    smaller = np.diff(store.capacity_wh, prepend=max(store.level_wh, store.capacity_wh[0])) < 0
    lost = program.variable(upper=np.where(smaller, np.inf, 0.0))
    before = np.concatenate([[-1], level[:-1]])
    start = np.zeros(program.slots)
    start[0] = kept[0] * store.level_wh / _PER_KWH
    program.constrain(
        [
            (level, 1.0),
            (before, -kept),
            (charged, -store.charge_efficiency),
            (discharged, 1.0 / store.discharge_efficiency),
            (lost, 1.0),
        ],
        start,
        start,
    )
    if both_ways:
        program.constrain(
            [(discharged, 1.0 / store.discharge_efficiency), (before, -kept)], -np.inf, start - lowest_wh / _PER_KWH
        )
    return _Battery(charged, discharged, level)


def _as_one_meter(
    program: Program,
    homes: Mapping[str, Home],
    behind: Mapping[str, _Behind],
    inward: list[Term],
    outward: list[Term],
) -> None:
    """Households that pay nothing for energy among themselves: what comes in less what goes out is what all need."""
    terms = [*inward, *_negative(outward)]
    for name in homes:
        if name in behind:
            terms += _negative(behind[name].inward)
    net_kwh = np.sum([home.net_wh for home in homes.values()], axis=0) / _PER_KWH
    program.constrain(terms, net_kwh, net_kwh)


def _by_meter(
    program: Program,
    homes: Mapping[str, Home],
    behind: Mapping[str, _Behind],
    inward: list[Term],
    outward: list[Term],
    *,
    bounded: bool,
) -> None:
    """Households whose energy is priced as it passes their meters, inwards or outwards.

    No meter gains by counting both, but where feed-in is above a tariff: then each direction is `bounded` by what the
    household can take or give.
    """
    needs, gives = np.zeros(program.slots), np.zeros(program.slots)
    inward, outward = list(inward), list(outward)
    for name, home in homes.items():
        net_kwh = home.net_wh / _PER_KWH
        need_kwh, surplus_kwh = np.maximum(0.0, net_kwh), np.maximum(0.0, -net_kwh)
        if name not in behind:
            needs, gives = needs + need_kwh, gives + surplus_kwh
            continue
        comes, goes = program.variable(), program.variable()
        inward.append((comes, -1.0))
        outward.append((goes, -1.0))
        program.constrain([(comes, 1.0), (goes, -1.0), *_negative(behind[name].inward)], net_kwh, net_kwh)
        if bounded:
            program.constrain([(comes, 1.0), *_negative(behind[name].takes)], -np.inf, need_kwh)
            program.constrain([(goes, 1.0), *_negative(behind[name].gives)], -np.inf, surplus_kwh)
    program.constrain(inward, needs, needs)
    program.constrain(outward, gives, gives)


def _negative(terms: list[Term]) -> list[Term]:
    return [(columns, -np.asarray(coefficients, dtype=np.float64)) for columns, coefficients in terms]
