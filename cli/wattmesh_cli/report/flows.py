"""Who sold how much to whom, and the same for groups where the parties are too many for a diagram. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from wattmesh_cli.books import LedgerEntry
from wattmesh_cli.kpi import Rows, Slots
from wattmesh_cli.kpi.money import price_micro_per_kwh
from wattmesh_cli.report.text import many

MOST_NODES = 24
"""More sellers or buyers than this are unreadable in a diagram."""
TRADE, BACKSTOP = "trade", "backstop"


@dataclass(frozen=True)
class Flow:
    """All that one party sold to another, on the market (`trade`) or as backstop; `bookings` counts the purchases."""

    kind: str
    seller: str
    buyer: str
    bookings: int
    energy_wh: int
    amount_micro: int

    @property
    def price_micro_per_kwh(self) -> int:
        """The price, weighted by volume, rounded half up."""
        return price_micro_per_kwh(self.amount_micro, self.energy_wh)


@dataclass(frozen=True)
class Grouping:
    """How households are shown (`how`, empty for each by itself), and the group of each party that is in one."""

    how: str
    groups: Mapping[str, str]


def flows(rows: Rows, slots: Slots) -> tuple[Flow, ...]:
    """All flows by kind, seller and buyer, as the household concerned booked them: its purchases from anybody, and its
    sales to utilities. What was shared came from all who fed in at that moment, and is no flow between two.
    """
    neighbours = rows.neighbours
    return _summed(
        _flow(entry)
        for household in rows.households
        for entry in rows.ledger[household]
        if entry.slot in slots
        and entry.kind != "shared"
        and (entry.energy_wh > 0 or _sold_to_utility(entry, neighbours))
    )


def _sold_to_utility(entry: LedgerEntry, neighbours: frozenset[str]) -> bool:
    return entry.energy_wh < 0 and entry.counterparty not in neighbours


def _flow(entry: LedgerEntry) -> Flow:
    if entry.energy_wh > 0:
        return Flow(entry.kind, entry.counterparty, entry.party, 1, entry.energy_wh, -entry.amount_micro)
    return Flow(entry.kind, entry.party, entry.counterparty, 1, -entry.energy_wh, entry.amount_micro)


def grouped(all_flows: Iterable[Flow], groups: Mapping[str, str]) -> tuple[Flow, ...]:
    """Flows between groups; a party without a group stands for itself."""
    return _summed(
        Flow(
            flow.kind,
            groups.get(flow.seller, flow.seller),
            groups.get(flow.buyer, flow.buyer),
            flow.bookings,
            flow.energy_wh,
            flow.amount_micro,
        )
        for flow in all_flows
    )


def ways(
    households: Sequence[str], utilities: Sequence[str], agent: Mapping[str, str], feeder: Mapping[str, str]
) -> list[Grouping]:
    """How parties may be grouped, from fine to coarse: households by SolarAgent, feeder, all; utilities in the end."""
    feeders = {name: f"feeder {feeder[name]}" for name in households}
    all_households = dict.fromkeys(households, many(len(households), "household"))
    all_utilities = dict.fromkeys(utilities, f"{len(utilities):,} utilities") if len(utilities) > 1 else {}
    return [
        Grouping("", {}),
        Grouping("by SolarAgent", {name: f"{agent[name]} (all)" for name in households}),
        Grouping("by feeder", feeders),
        Grouping("by feeder", feeders | all_utilities),
        Grouping("as one", all_households | all_utilities),
    ]


def grouping(all_flows: Sequence[Flow], among: Sequence[Grouping]) -> Grouping:
    """The first way to group in which no side of the diagram has more than MOST_NODES; else the last."""
    for way in among:
        shown = grouped(all_flows, way.groups)
        if max(len({flow.seller for flow in shown}), len({flow.buyer for flow in shown})) <= MOST_NODES:
            return way
    return among[-1]


def _summed(parts: Iterable[Flow]) -> tuple[Flow, ...]:
    found: dict[tuple[str, str, str], Flow] = {}
    for part in parts:
        key = (part.kind, part.seller, part.buyer)
        known = found.get(key)
        found[key] = part if known is None else _both(known, part)
    return tuple(found[key] for key in sorted(found))


def _both(one: Flow, other: Flow) -> Flow:
    return Flow(
        one.kind,
        one.seller,
        one.buyer,
        one.bookings + other.bookings,
        one.energy_wh + other.energy_wh,
        one.amount_micro + other.amount_micro,
    )
