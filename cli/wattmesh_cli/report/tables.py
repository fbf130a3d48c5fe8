"""The report's tables and headline numbers as values: what stands in each cell, and why it may be undefined. Pure."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from wattmesh_cli.kpi import PartyKpis
from wattmesh_cli.report.content import Content, backstop_wh
from wattmesh_cli.report.indicators import (
    NO_LOAD,
    NO_PV,
    NOT_BOOKED,
    NOT_METERED,
    NOT_TRADED,
    NOTHING_TAKEN,
    Cell,
    at_both,
    bill_cells,
    cell,
    comparison,
    indicators,
)
from wattmesh_cli.report.text import kwh, moment, money, percent, price

MOST_FINDINGS = 100
MOST_SLOT_ROWS = 7 * 96


@dataclass(frozen=True)
class Row:
    """What a row is about, and its cells."""

    name: str
    cells: Sequence[Cell]


@dataclass(frozen=True)
class Table:
    """A table. `kind` is its class in the style sheet; those that are `sortable` have buttons as headings, and `total`
    stays below.
    """

    caption: str
    columns: Sequence[str]
    rows: Sequence[Row]
    kind: str
    total: Row | None = None

    @property
    def sortable(self) -> bool:
        """Whether its headings sort it."""
        return self.kind == "sortable"


@dataclass(frozen=True)
class Card:
    """A headline number; `more` says what it is."""

    name: str
    cell: Cell
    unit: str
    more: str


def cards(shown: Content) -> list[Card]:
    """The headline numbers. What bears the same name in a table is the same number."""
    energy, money_of, currency = shown.kpis.community.energy, shown.kpis.community.money, shown.market.currency
    at_tariff = shown.local_at_tariff_micro_per_kwh
    return [
        Card(
            "Benefit",
            at_both(money_of.utility_only_benefit_micro, NOT_BOOKED),
            currency,
            "against “utility only”: lower bills, and what is stored more at retail / feed-in price",
        ),
        Card(
            "Saved against no market",
            cell(money_of.no_market_savings_micro, money, ""),
            currency,
            "the same energy at the utility’s prices cost so much more",
        ),
        Card(
            "Self-sufficiency",
            cell(energy.self_sufficiency, percent, NO_LOAD),
            "",
            f"of {kwh(energy.load_wh)} kWh used came from own PV",
        ),
        Card(
            "Local share",
            cell(energy.local_share, percent, NOTHING_TAKEN),
            "",
            "of what households took came from households",
        ),
        Card("Peak import", cell(energy.peak_import_w, kwh, NOT_METERED), "kW", "most that came in, as a slot’s mean"),
        Card(
            "Local price",
            cell(shown.kpis.local_trade.price_micro_per_kwh, price, NOT_TRADED),
            f"{currency}/kWh",
            "" if at_tariff is None else f"the utility’s tariff for the same: {price(at_tariff)}",
        ),
    ]


def bills(shown: Content) -> Table:
    """Of each household."""
    columns = [
        "Household", "Bill", "Grid fees", "No market", "Utility only", "Saved against no market",
        "Saved against utility only", "Stored more (kWh)", "Benefit",
    ]  # fmt: skip
    caption = f"Bills of each household and of all, in {shown.market.currency}"
    return _by_household(shown, caption, columns, lambda row: bill_cells(row.money))


def energy(shown: Content) -> Table:
    """Of each household."""
    columns = [
        "Household", "PV (kWh)", "Load (kWh)", "Inflow (kWh)", "Outflow (kWh)", "Self-consumption", "Self-sufficiency",
        "Local share", "Peak import (kW)",
    ]  # fmt: skip
    return _by_household(shown, "Energy of each household and of all", columns, _energy_cells)


def _energy_cells(row: PartyKpis) -> list[Cell]:
    of = row.energy
    return [
        *(cell(wh, kwh, "") for wh in (of.pv_wh, of.load_wh, of.inflow_wh, of.outflow_wh)),
        cell(of.self_consumption, percent, NO_PV),
        cell(of.self_sufficiency, percent, NO_LOAD),
        cell(of.local_share, percent, NOTHING_TAKEN),
        cell(of.peak_import_w, kwh, NOT_METERED),
    ]


def _by_household(
    shown: Content, caption: str, columns: Sequence[str], cells: Callable[[PartyKpis], Sequence[Cell]]
) -> Table:
    rows = [Row(shown.names.short(row.party), cells(row)) for row in shown.kpis.households]
    return Table(caption, columns, rows, "sortable", total=Row("All", cells(shown.kpis.community)))


def compared(shown: Content) -> Table:
    """Bills of all with the market, and as they would have been."""
    return Table(
        "The market against what would have been without it",
        ["", "As it was", "No market", "Utility only", "Meaning"],
        [
            Row(name, [*values, Cell(meaning)])
            for name, *values, meaning in comparison(shown.kpis, shown.market.currency)
        ],
        "compared",
    )


def single(shown: Content) -> Table:
    """The other KPIs of all households together."""
    return Table(
        "Energy, trade and protocol",
        ["KPI", "Value", "Meaning"],
        [
            Row(f"{row.name} ({row.unit})" if row.unit else row.name, [row.cell, Cell(row.meaning)])
            for row in indicators(shown.kpis, shown.market.currency)
        ],
        "single",
    )


def findings(shown: Content) -> Table | None:
    """The first findings of the audit; None without any."""
    rows = [
        Row(
            finding.kind,
            [
                Cell(shown.names.short(finding.party or "")),
                Cell("" if finding.slot is None else moment(finding.slot, shown.market.zone)),
                Cell(shown.names.shorten(finding.text)),
            ],
        )
        for finding in shown.audited.findings[:MOST_FINDINGS]
    ]
    return Table("Findings", ["Kind", "Party", "Slot", "Finding"], rows, "words") if rows else None


def slots(shown: Content) -> Table | None:
    """The numbers behind the plots, for who reads rather than looks; None where they are too many, or none."""
    if not 0 < len(shown.slots) <= MOST_SLOT_ROWS:
        return None
    columns = [
        "Slot", "PV (kWh)", "Load (kWh)", "Net import (kWh)", "Battery level at its end (kWh)",
        "Between households (kWh)", "Their price", "From utilities (kWh)", "From the backstop (kWh)",
        "To utilities (kWh)", "To the backstop (kWh)",
    ]  # fmt: skip
    rows = [
        Row(
            moment(metered.slot, shown.market.zone),
            [
                *(cell(wh, kwh, "") for wh in (metered.pv_wh, metered.load_wh, metered.net_import_wh)),
                cell(metered.level_after_wh, kwh, ""),
                cell(traded.local_wh, kwh, ""),
                cell(traded.local_price_micro_per_kwh, price, NOT_TRADED),
                cell(traded.from_utilities_wh, kwh, ""),
                cell(supplied_wh, kwh, ""),
                cell(traded.to_utilities_wh, kwh, ""),
                cell(taken_wh, kwh, ""),
            ],
        )
        for metered, traded, (supplied_wh, taken_wh) in zip(
            shown.community, shown.traded, backstop_wh(shown), strict=True
        )
    ]
    return Table("All households together, slot by slot", columns, rows, "numbers")
