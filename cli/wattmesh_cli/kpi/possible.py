"""How much of what a market could save its households was saved."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction

from wattmesh_cli.kpi.money import AtBoth, Prices, Stored, stored_worth_micro
from wattmesh_cli.kpi.rows import Rows, Slots, share

_LEAST_MICRO = 1000
"""What roundings of bills come to, which nobody could save."""


@dataclass(frozen=True)
class Cost:
    """A household's bill (millionths), and what is left in its battery at the end (Wh)."""

    bill_micro: int
    left_wh: int

    def less_left_micro(self, stored_micro_per_kwh: int) -> int:
        """The bill less what is left, at a value per kWh stored."""
        return self.bill_micro - stored_worth_micro(stored_micro_per_kwh, self.left_wh)


@dataclass(frozen=True)
class Reached:
    """What all households pay together, less what is left in their batteries (millionths): each alone, with the market,
    and at the optimum.
    """

    alone_micro: int
    market_micro: int
    optimum_micro: int

    @property
    def possible_micro(self) -> int:
        """What could be saved."""
        return self.alone_micro - self.optimum_micro

    @property
    def saved_micro(self) -> int:
        """What was saved; negative where the market has cost."""
        return self.alone_micro - self.market_micro

    @property
    def ratio(self) -> Fraction | None:
        """The share of the possible saving that was realised; None where nothing to speak of could be saved."""
        return share(self.saved_micro, self.possible_micro if self.possible_micro >= _LEAST_MICRO else 0)


@dataclass(frozen=True)
class Loss:
    """A household that is worse off than alone: by how much, at the value of what is left in its battery at which that
    is less, and as a share of what its load costs at the tariff; None without a load.
    """

    household: str
    micro: int
    of_load: Fraction | None


@dataclass(frozen=True)
class Possible:
    """How near a street came to its optimum, and who is worse off than alone whichever value is put on what is left."""

    reached: Mapping[Stored, Reached]
    losses: tuple[Loss, ...]


def possible(
    rows: Rows,
    prices: Prices,
    slots: Slots,
    alone: Sequence[Mapping[str, Cost]],
    optimum_micro: AtBoth,
) -> Possible:
    """What was possible in some slots, and what was reached. `alone` has ways in which each household could have lived
    with its utility only: the best counts. `optimum_micro` is the optimum's cost, less what is left.
    """
    market = costs(rows, slots)
    metered = {name: [of for of in rows.readings[name] if of.slot in slots] for name in market}
    worth = {
        stored: {
            name: prices.stored_micro(name, [reading.slot for reading in readings], stored)
            for name, readings in metered.items()
        }
        for stored in Stored
    }
    with_market = {stored: _less_left(market, of) for stored, of in worth.items()}
    best_alone = {
        stored: {name: min(_less_left(way, of)[name] for way in alone) for name in market}
        for stored, of in worth.items()
    }
    losses = []
    for name, readings in metered.items():
        lost_micro = min(with_market[stored][name] - best_alone[stored][name] for stored in Stored)
        if lost_micro > 0:
            load_micro = sum(prices.supply_micro(name, reading.slot, reading.load_wh) for reading in readings)
            losses.append(Loss(name, lost_micro, share(lost_micro, load_micro)))
    return Possible(
        {
            stored: Reached(sum(best_alone[stored].values()), sum(with_market[stored].values()), optimum_micro[stored])
            for stored in Stored
        },
        tuple(sorted(losses, key=lambda loss: -loss.micro)),
    )


def costs(rows: Rows, slots: Slots) -> dict[str, Cost]:
    """What each household that was metered in some slots has paid in them, and what was left in its battery."""
    found = {}
    for name in rows.households:
        readings = [reading for reading in rows.readings[name] if reading.slot in slots]
        if readings:
            bill_micro = -sum(entry.amount_micro for entry in rows.ledger[name] if entry.slot in slots)
            found[name] = Cost(bill_micro, readings[-1].level_after_wh)
    return found


def _less_left(costs: Mapping[str, Cost], stored_micro_per_kwh: Mapping[str, int]) -> dict[str, int]:
    return {name: cost.less_left_micro(stored_micro_per_kwh[name]) for name, cost in costs.items()}
