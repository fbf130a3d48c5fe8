"""All that a report says, as one value. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import tzinfo

from wattmesh_cli.audit import AuditResult
from wattmesh_cli.books import SLOT_S, Book
from wattmesh_cli.kpi import Kpis, Prices, Rows, Slots, collect
from wattmesh_cli.names import Names
from wattmesh_cli.report.flows import Flow, Grouping, flows, grouping, ways
from wattmesh_cli.report.series import (
    Metered,
    Traded,
    UtilityPrices,
    local_at_tariff_micro_per_kwh,
    metered,
    traded,
    utility_prices,
)


@dataclass(frozen=True)
class Market:
    """What the manifests say of a market. By household: its utility, its SolarAgent, its feeder."""

    name: str
    currency: str
    zone: tzinfo
    utility: Mapping[str, str]
    agent: Mapping[str, str]
    feeder: Mapping[str, str]


@dataclass(frozen=True)
class Origin:
    """What a run came from: the manifests of all its resources (YAML), and the seed of a study, None where keys and ids
    were random.
    """

    manifests: str
    seed: int | None


@dataclass(frozen=True)
class Content:
    """A report. `slots` are those with a reading; `community` and `traded` have one row for each, prices one value.
    Each lasts `step_s`: a slot, but in what is drawn of a long report.

    `audited` is of the whole books, everything else of the slots asked for. `grouping` says what a node of the flow
    diagram is. `local_at_tariff_micro_per_kwh` is what the energy that households sold each other costs at their
    utility's tariff.
    """

    market: Market
    origin: Origin
    names: Names
    asked: Slots
    slots: tuple[int, ...]
    households: Mapping[str, tuple[Metered, ...]]
    utilities: tuple[str, ...]
    community: tuple[Metered, ...]
    traded: tuple[Traded, ...]
    prices: tuple[UtilityPrices, ...]
    flows: tuple[Flow, ...]
    grouping: Grouping
    local_at_tariff_micro_per_kwh: int | None
    kpis: Kpis
    audited: AuditResult
    step_s: int = SLOT_S

    @property
    def end(self) -> int | None:
        """When the last slot ends; None without any."""
        return self.slots[-1] + self.step_s if self.slots else None

    @property
    def worths(self) -> tuple[int, ...]:
        """What a stored kWh was worth to those who plan, in each slot in which somebody did."""
        worths = [row.worth_micro_per_kwh for row in self.community]
        return tuple(worth for worth in worths if worth is not None)


def content(
    books: Sequence[Book],
    market: Market,
    origin: Origin,
    prices: Prices,
    kpis: Kpis,
    audited: AuditResult,
    asked: Slots,
) -> Content:
    """The report of books; `kpis` are of the slots asked for."""
    rows = collect(books)
    community = metered(rows, rows.households, asked)
    slots = tuple(row.slot for row in community)
    found = flows(rows, asked)
    names = Names((*rows.households, *rows.utilities))
    return Content(
        market=market,
        origin=origin,
        names=names,
        asked=asked,
        slots=slots,
        households={name: metered(rows, [name], asked) for name in rows.households},
        utilities=rows.utilities,
        community=community,
        traded=traded(rows, slots),
        prices=utility_prices(prices, _customers(rows, market), slots),
        flows=found,
        grouping=grouping(found, ways(rows.households, rows.utilities, market.agent, market.feeder)),
        local_at_tariff_micro_per_kwh=local_at_tariff_micro_per_kwh(rows, prices, asked),
        kpis=kpis,
        audited=audited,
    )


def backstop_wh(shown: Content) -> list[tuple[int, int]]:
    """What the backstop itself supplied and took in each slot: what households shared passed it by."""
    return [
        (metered.imported_wh - traded.shared_wh, metered.exported_wh - traded.shared_wh)
        for metered, traded in zip(shown.community, shown.traded, strict=True)
    ]


def _customers(rows: Rows, market: Market) -> dict[str, str]:
    """One household of each utility."""
    return {market.utility[name]: name for name in reversed(rows.households)}
