"""Key performance indicators (KPIs) of a street, from its books alone. Definitions and sources: docs/kpis.md. Pure.

Energy is in Wh, power in W, money in millionths of the currency (`micro`), all whole numbers; ratios are exact
fractions. None stands where a KPI is undefined, as a share of nothing is; never 0.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from wattmesh_cli.books import Book
from wattmesh_cli.kpi.energy import EnergyKpis, community_energy, household_energy
from wattmesh_cli.kpi.fairness import Fairness, fairness, gini
from wattmesh_cli.kpi.money import Alone, LocalTrade, MoneyKpis, PriceMicro, Prices, local_trade, money, money_sum
from wattmesh_cli.kpi.protocol import ProtocolKpis, protocol
from wattmesh_cli.kpi.reached import Cost, Reached, Stored, gains_micro
from wattmesh_cli.kpi.results import COMMUNITY, Kpis, PartyKpis
from wattmesh_cli.kpi.rows import ALL_SLOTS, Rows, Slots, collect

__all__ = [
    "ALL_SLOTS",
    "COMMUNITY",
    "Alone",
    "Cost",
    "EnergyKpis",
    "Fairness",
    "Kpis",
    "LocalTrade",
    "MoneyKpis",
    "PartyKpis",
    "PriceMicro",
    "Prices",
    "ProtocolKpis",
    "Reached",
    "Rows",
    "Slots",
    "Stored",
    "collect",
    "gains_micro",
    "gini",
    "kpis",
]


def kpis(
    books: Sequence[Book],
    prices: Prices,
    alone: Mapping[str, Alone],
    slots: Slots = ALL_SLOTS,
) -> Kpis:
    """All KPIs of a run, or of some of its slots.

    `alone` has for every household what it would have exchanged with its utility without a market, in these slots
    (`wattmesh_cli.alone`).
    """
    rows = collect(books)
    monies = {name: money(rows, name, prices, alone[name], slots) for name in rows.households}
    return Kpis(
        households=tuple(
            PartyKpis(name, household_energy(rows, name, slots), monies[name]) for name in rows.households
        ),
        community=PartyKpis(COMMUNITY, community_energy(rows, slots), money_sum(monies.values())),
        utilities_bill_micro=-sum(
            entry.amount_micro for name in rows.utilities for entry in rows.ledger[name] if entry.slot in slots
        ),
        local_trade=local_trade(rows, slots),
        against_no_market=fairness([of.no_market_savings_micro for of in monies.values()]),
        against_utility_only=fairness([of.utility_only_benefit_micro for of in monies.values()]),
        protocol=protocol(rows, slots),
        unbooked_readings=sum(
            reading.slot in slots and reading.state != "booked"
            for name in rows.households
            for reading in rows.readings[name]
        ),
    )
