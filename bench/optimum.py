"""How much of what a street could save its market saves: against the optimum, and against a planner with a forecast.

`make bench PARTS=optimum` measures all. One street, or a few of a family, in seconds:

    python -m bench.optimum --case street --days 3 --forecast perfect
    python -m bench.optimum --family fees --seeds 5 --each
"""

from __future__ import annotations

import argparse
import math
import pickle
import shutil
import statistics
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import NamedTuple

import numpy as np

from bench.families import FAMILIES
from bench.rolling import HORIZON, Expected, Expects, roll
from bench.streets import Street, run, street, street_of
from bench.tables import Measured
from wattmesh_cli.alone import alone
from wattmesh_cli.books import Reading
from wattmesh_cli.field.metered import demand_of, home, metered_possible
from wattmesh_cli.kpi import Loss, Possible, Rows, Slots, Stored
from wattmesh_common.profile_files import profile_of
from wattmesh_market.energy.forecast import Seen, forecast_named
from wattmesh_market.energy.profiles import Profile, SlotProfile
from wattmesh_market.energy.slots import SLOT_S
from wattmesh_market.trade.ledger import EntryKind

EXAMPLES = Path(__file__).parents[1] / "examples"
OWN = Path(__file__).parent / "cases"
INTERRUPTED = Path(__file__).parents[1] / "build" / "optimum"
"""What a run has measured before it was interrupted. Delete it when the market's code has changed since."""
CASES: Mapping[str, Path] = {
    "street": EXAMPLES / "street.yaml",
    "heatwave": EXAMPLES / "heatwave.yaml",
    **{name: OWN / f"{name}.yaml" for name in ("street3", "flat1", "ties", "winter")},
}
FORECASTS = ("perfect", "profile")
RUNS: Sequence[tuple[str, int]] = (
    ("street", 1), ("street", 3), ("street", 30), ("heatwave", 1), ("street3", 5), ("flat1", 5), ("ties", 5),
    ("winter", 5),
)  # fmt: skip
SEEDS, FAMILY_DAYS, SETTLED_IN = 20, 5, 2
"""Goals hold from the third day on, when households know the street's prices."""
GOALS: Mapping[str, float] = {"street": 0.95, "street3": 0.95}
MEDIAN_GOAL, WORST_GOAL, PLANNER_GOAL = 0.90, 0.75, 0.90
LOSS_GOAL: Mapping[str, float] = {"perfect": 0.001, "profile": 0.01}
"""The most that a household may lose, as a share of its load at the tariff."""


class Bought(NamedTuple):
    """What households bought of others in a run: energy (kWh), in how many deliveries, and by how many contracts.

    With a contract for each slot there would be as many as deliveries.
    """

    kwh: float
    deliveries: int
    contracts: int


@dataclass(frozen=True)
class Result:
    """A street that was run: the whole of it, where that was asked for, and what came when households knew its prices.
    Ratios are None where nothing could be saved.
    """

    name: str
    forecast: str
    days: int
    whole: Possible | None
    settled: Possible
    planned: Mapping[Stored, float] | None
    bought: Bought

    def ratio(self, stored: Stored, *, whole: bool = False) -> float | None:
        """The share of the possible saving that was realised."""
        of = self.whole if whole else self.settled
        ratio = None if of is None else of.reached[stored].ratio
        return None if ratio is None else float(ratio)

    @property
    def of_planner(self) -> float | None:
        """The saving as a share of the planner's, at the value at which it is less."""
        if self.planned is None:
            return None
        shares = [
            of.saved_micro / (of.alone_micro - self.planned[stored])
            for stored, of in self.settled.reached.items()
            if of.alone_micro - self.planned[stored] > 0
        ]
        return min(shares, default=None)

    def planner_ratio(self, stored: Stored) -> float | None:
        """The share of the possible saving that the planner realises."""
        of = self.settled.reached[stored]
        if self.planned is None or of.possible_micro <= 0:
            return None
        return (of.alone_micro - self.planned[stored]) / of.possible_micro


def planned(of: Street, rows: Rows, slots: range) -> dict[Stored, float]:
    """What a planner with the households' forecast `profile` would have made of these slots, feeder by feeder: the
    cost, less what is left.
    """
    terms = of.terms
    further = range(slots.start, slots.stop + HORIZON * SLOT_S, SLOT_S)
    cost_micro = dict.fromkeys(Stored, 0.0)
    for configs in of.feeders:
        homes, expects = {}, {}
        for name in (household.subscriber_id for config in configs for household in config.households):
            readings = [one for one in rows.readings[name] if one.slot in slots]
            # Beyond the end nothing was metered: only what is expected there counts.
            beyond = [replace(readings[-1], slot=slot) for slot in further if slot >= slots.stop]
            homes[name] = home(terms, [*readings, *beyond], further, Stored.FEED_IN)
            profile = profile_of(terms.households[name], terms.utc_offset_s)
            expects[name] = _expects(profile, rows.readings[name], slots)
        demand = demand_of((entry for name in homes for entry in rows.ledger[name]), frozenset(rows.utilities), further)
        found = roll(homes, expects, demand, len(slots))
        for stored in Stored:
            worth = {name: terms.prices.stored_micro(name, slots, stored) for name in homes}
            cost_micro[stored] += found.cost_micro(worth)
    return cost_micro


def _expects(profile: Profile, readings: Sequence[Reading], slots: range) -> Expects:
    """What a household expects by its forecast `profile`, of what was metered before the present slot."""
    metered = {one.slot: SlotProfile(one.pv_wh, one.load_wh) for one in readings}
    seen = Seen(metered.get, lambda: slots.stop)
    forecast = forecast_named("profile", profile, seen)

    def expected(place: int) -> Expected:
        present = slots[place]
        with seen.until(present):
            coming = [forecast.expected(slot) for slot in range(present, present + HORIZON * SLOT_S, SLOT_S)]
        return Expected(*np.array(coming, dtype=np.float64).T)

    return expected


def result(name: str, of: Street, days: int, forecast: str, *, planner: bool, whole: bool = True) -> Result:
    """Run a street for so many days; a shorter run than until it is settled is looked at as a whole."""
    rows = run(of, days)
    slots = range(of.slot(SETTLED_IN if days > SETTLED_IN else 0), of.slot(days), SLOT_S)
    settled = _possible(of, rows, slots)
    longer = _possible(of, rows, range(of.slot(0), of.slot(days), SLOT_S)) if whole and days > SETTLED_IN else settled
    wanted = planner and forecast == "profile"
    bound = planned(of, rows, slots) if wanted else None
    return Result(name, forecast, days, longer if whole else None, settled, bound, _bought(rows))


def _bought(rows: Rows) -> Bought:
    trades = [
        one
        for name in rows.households
        for one in rows.ledger[name]
        if one.kind == EntryKind.TRADE and one.energy_wh > 0
    ]
    contracts = {(one.party, one.counterparty, one.reference) for one in trades}
    return Bought(sum(one.energy_wh for one in trades) / 1000, len(trades), len(contracts))


def _possible(of: Street, rows: Rows, slots: range) -> Possible:
    within = Slots(slots.start, slots.stop)
    return metered_possible(rows, of.plan, of.terms, within, alone(rows, of.terms.battery, within))


def case(name: str, days: int, forecast: str, *, planner: bool) -> Result:
    """A street that has a file."""
    with tempfile.TemporaryDirectory() as folder:
        return result(name, street(CASES[name], forecast, Path(folder)), days, forecast, planner=planner)


def member(name: str, seed: int, days: int, forecast: str, *, planner: bool) -> Result:
    """A street of a family."""
    with tempfile.TemporaryDirectory() as folder:
        of = street_of(FAMILIES[name].street(seed), forecast, Path(folder) / "street.yaml")
        return result(f"{name} {seed}", of, days, forecast, planner=planner, whole=False)


def once(name: str, days: int, forecast: str, measured: Callable[[], Result]) -> Result:
    """A street's result: that of an interrupted run, if there is one."""
    path = INTERRUPTED / f"{name}-{days}-{forecast}.pickle"
    if path.exists():
        kept: Result = pickle.loads(path.read_bytes())  # noqa: S301 - written below
        return kept
    found = measured()
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_suffix(".part")
    part.write_bytes(pickle.dumps(found))
    part.replace(path)
    return found


# --- tables ---

COLUMNS = [
    "street", "days", "forecast", "whole run: retail", "feed-in", "from day 3: retail", "feed-in", "goal",
    "planner: retail", "feed-in", "market of planner", "goal", "worse off than alone", "most, % of load", "goal",
    "contracts per kWh", "one per slot",
]  # fmt: skip


def row(of: Result) -> tuple[str, ...]:
    """A street's row."""
    return (
        of.name,
        str(of.days),
        of.forecast,
        *(_number(of.ratio(stored, whole=True)) for stored in Stored),
        *(_number(of.ratio(stored)) for stored in Stored),
        f"{GOALS[of.name]:.2f}" if of.name in GOALS else "-",
        *_against_planner([of]),
        *_worst([of]),
        *_contracts([of]),
    )


def family_row(name: str, found: Sequence[Result]) -> tuple[str, ...]:
    """A family's row: median and worst."""

    def of(stored: Stored, *, whole: bool) -> str:
        return _spread([one.ratio(stored, whole=whole) for one in found])

    return (
        f"{name}, {len(found)} streets: median / worst",
        str(found[0].days),
        found[0].forecast,
        *(of(stored, whole=True) for stored in Stored),
        *(of(stored, whole=False) for stored in Stored),
        f"{MEDIAN_GOAL:.2f} / {WORST_GOAL:.2f}" if found[0].forecast == "perfect" else "-",
        *_against_planner(found),
        *_worst(found),
        *_contracts(found),
    )


def _against_planner(found: Sequence[Result]) -> tuple[str, ...]:
    reached = [[one.planner_ratio(stored) for one in found] for stored in Stored]
    shares = [one.of_planner for one in found]
    goal = f"{PLANNER_GOAL:.2f}" if any(share is not None for share in shares) else "-"
    return (*map(_spread, reached), _spread(shares), goal)


def _spread(values: Sequence[float | None]) -> str:
    """The value; of several the median and the least of those there are."""
    known = [value for value in values if value is not None]
    if len(known) < 2:
        return _number(known[0] if known else None)
    return f"{_number(statistics.median(known))} / {_number(min(known))}"


def _worst(found: Sequence[Result]) -> tuple[str, str, str]:
    goal = f"{100 * LOSS_GOAL[found[0].forecast]:g}"
    losses = [loss for one in found for loss in one.settled.losses]
    if not losses:
        return "0", "-", goal
    return str(len(losses)), f"{100 * max(map(_of_load, losses)):.2f}", goal


def _contracts(found: Sequence[Result]) -> tuple[str, str]:
    """Contracts per kWh that was bought, and how many it would take with one for each slot."""
    kwh = sum(one.bought.kwh for one in found)
    counts = sum(one.bought.contracts for one in found), sum(one.bought.deliveries for one in found)
    made, of_slots = (f"{count / kwh:.2f}" if kwh else "-" for count in counts)
    return made, of_slots


def _of_load(loss: Loss) -> float:
    """A loss as a share of what the load costs; without a load there is no bound."""
    return math.inf if loss.of_load is None else float(loss.of_load)


def worse_off(found: Sequence[Result]) -> Measured:
    """Who is worse off than alone, street by street."""
    rows = [
        (
            one.name,
            str(one.days),
            one.forecast,
            loss.household.partition(".")[0],
            f"{loss.micro / 1_000_000:.4f}",
            f"{100 * _of_load(loss):.2f}",
        )
        for one in found
        for loss in sorted(one.settled.losses, key=_of_load, reverse=True)
    ]
    return Measured("worse-off", ["street", "days", "forecast", "household", "amount", "% of load"], rows)


def _number(value: float | None) -> str:
    return "-" if value is None else f"{value:.2f}"


def measure() -> Iterator[Measured]:
    """All streets and families with both forecasts; an interrupted run goes on where it stopped."""
    found: list[Result] = []
    rows = []
    for forecast in FORECASTS:
        for name, days in RUNS:
            found.append(once(name, days, forecast, partial(case, name, days, forecast, planner=True)))
            rows.append(row(found[-1]))
        for name in FAMILIES:
            of = [
                once(
                    f"{name} {seed}",
                    FAMILY_DAYS,
                    forecast,
                    partial(member, name, seed, FAMILY_DAYS, forecast, planner=True),
                )
                for seed in range(SEEDS)
            ]
            found += of
            rows.append(family_row(name, of))
    yield Measured("optimum", COLUMNS, rows)
    yield worse_off(found)
    shutil.rmtree(INTERRUPTED)


def main() -> None:
    """Measure what is asked for."""
    parser = argparse.ArgumentParser(prog="bench.optimum", description=__doc__)
    parser.add_argument("--case", action="append", choices=CASES, default=[])
    parser.add_argument("--family", action="append", choices=FAMILIES, default=[])
    parser.add_argument("--days", type=int, default=FAMILY_DAYS)
    parser.add_argument("--seeds", type=int, default=SEEDS, help="how many streets of each family")
    parser.add_argument("--seed", type=int, help="only this street of each family")
    parser.add_argument("--forecast", action="append", choices=FORECASTS, default=[])
    parser.add_argument("--each", action="store_true", help="a row for each street of a family, too")
    parser.add_argument("--planner", action="store_true", help="compare with the rolling linear program (slower)")
    options = parser.parse_args()
    seeds = range(options.seeds) if options.seed is None else [options.seed]
    found: list[Result] = []
    rows = []
    for forecast in options.forecast or FORECASTS:
        for name in options.case:
            found.append(case(name, options.days, forecast, planner=options.planner))
            rows.append(row(found[-1]))
        for name in options.family:
            of = [member(name, seed, options.days, forecast, planner=options.planner) for seed in seeds]
            found += of
            rows += map(row, of) if options.each else ()
            rows.append(family_row(name, of))
    Measured("optimum", COLUMNS, rows).print()
    if any(one.settled.losses for one in found):
        worse_off(found).print()


if __name__ == "__main__":
    main()
