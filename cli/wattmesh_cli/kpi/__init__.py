"""Key performance indicators (KPIs) of a street, from its books alone. Definitions and sources: docs/kpis.md. Pure.

Energy is in Wh, power in W, money in millionths of the currency (`micro`), all whole numbers; ratios are exact
fractions. None stands where a KPI is undefined, as a share of nothing is; never 0.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

from wattmesh_cli.books import Book, Reading
from wattmesh_cli.kpi.energy import EnergyKpis, community_energy, household_energy
from wattmesh_cli.kpi.fairness import Fairness, fairness, gini
from wattmesh_cli.kpi.money import (
    AtBoth,
    LocalTrade,
    MoneyKpis,
    PriceMicro,
    Prices,
    Stored,
    local_trade,
    money,
    money_sum,
    supplied_micro,
)
from wattmesh_cli.kpi.possible import Cost, Loss, Possible, Reached, possible
from wattmesh_cli.kpi.protocol import ProtocolKpis, protocol
from wattmesh_cli.kpi.results import COMMUNITY, Kpis, PartyKpis
from wattmesh_cli.kpi.rows import ALL_SLOTS, Rows, Slots, collect
from wattmesh_cli.kpi.utilities import UtilityKpis, utility_kpis

__all__ = [
    "ALL_SLOTS",
    "COMMUNITY",
    "AtBoth",
    "Cost",
    "EnergyKpis",
    "Fairness",
    "Kpis",
    "LocalTrade",
    "Loss",
    "MoneyKpis",
    "PartyKpis",
    "Possible",
    "PriceMicro",
    "Prices",
    "ProtocolKpis",
    "Reached",
    "Rows",
    "Slots",
    "Stored",
    "UtilityKpis",
    "collect",
    "gini",
    "kpis",
    "possible",
    "supplied_micro",
    "utility_kpis",
]


def kpis(
    books: Sequence[Book],
    prices: Prices,
    alone: Mapping[str, Sequence[Reading]],
    slots: Slots = ALL_SLOTS,
) -> Kpis:
    """All KPIs of a run, or of some of its slots.

    `alone` has for every household what it would have metered with its utility only, in these slots
    (`wattmesh_cli.alone`).
    """
    rows = collect(books)
    untraded = replace(rows, readings=alone, ledger=dict.fromkeys(rows.ledger, ()))
    monies = {name: money(rows, name, prices, alone[name], slots) for name in rows.households}
    benefits = [of.utility_only_benefit_micro for of in monies.values()]
    return Kpis(
        households=tuple(
            PartyKpis(name, household_energy(rows, name, slots), household_energy(untraded, name, slots), monies[name])
            for name in rows.households
        ),
        community=PartyKpis(
            COMMUNITY, community_energy(rows, slots), community_energy(untraded, slots), money_sum(monies.values())
        ),
        utilities_bill_micro=-sum(
            entry.amount_micro for name in rows.utilities for entry in rows.ledger[name] if entry.slot in slots
        ),
        local_trade=local_trade(rows, slots),
        against_no_market=fairness([of.no_market_savings_micro for of in monies.values()]),
        against_utility_only={
            stored: fairness([None if benefit is None else benefit[stored] for benefit in benefits])
            for stored in Stored
        },
        protocol=protocol(rows, slots),
        unbooked_readings=sum(
            reading.slot in slots and reading.state != "booked"
            for name in rows.households
            for reading in rows.readings[name]
        ),
    )
