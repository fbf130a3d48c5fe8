"""`wattmesh kpis`: how well a street did."""

from __future__ import annotations

from collections.abc import Callable
from enum import StrEnum
from fractions import Fraction
from typing import Annotated, TypeVar

import typer

from wattmesh_cli.books import BooksError
from wattmesh_cli.evaluation import (
    Evaluation,
    FilesOption,
    FromOption,
    OptimumOption,
    UntilOption,
    evaluate,
    range_json,
)
from wattmesh_cli.kpi import EnergyKpis, Kpis, PartyKpis, Reached, Stored, UtilityKpis
from wattmesh_cli.kpi_forms import kpi_rows, kpis_json, utility_rows
from wattmesh_cli.manifest_files import MoreFiles
from wattmesh_cli.names import Names
from wattmesh_cli.output import StateOption, csv_text, print_json, refuse
from wattmesh_cli.report.benefit import benefit
from wattmesh_cli.state import DEFAULT_STATE
from wattmesh_cli.tables import NEVER, Column, SortOption, WatchOption, ordered, print_table, say, watched
from wattmesh_market.units import kwh_text, money_text

N = TypeVar("N", int, Fraction)


class KpiOutput(StrEnum):
    """How to print."""

    TABLE = "table"
    WIDE = "wide"
    JSON = "json"
    CSV = "csv"


_DEFAULT_OUTPUT = KpiOutput.TABLE


def kpis(
    files: FilesOption = None,
    more_files: MoreFiles = None,
    state: StateOption = DEFAULT_STATE,
    first: FromOption = None,
    end: UntilOption = None,
    sort_by: SortOption = None,
    watch: WatchOption = False,
    optimum: OptimumOption = False,
    output: Annotated[
        KpiOutput,
        typer.Option("--output", "-o", help="A table as wide as the terminal, one with all columns, JSON, or CSV."),
    ] = _DEFAULT_OUTPUT,
) -> None:
    """Show self-consumption, bills, savings, local share, fairness and more, of each household and of all together.

    docs/kpis.md defines each. Savings are against the same energy at the utility's prices (no market), and against each
    household alone with its battery and the utility (utility only).
    """

    def show(asked: Evaluation) -> None:
        match output:
            case KpiOutput.JSON:
                print_json(range_json(asked) | kpis_json(asked.kpis))
            case KpiOutput.CSV:
                typer.echo(
                    csv_text(["party", "kpi", "value"], [*kpi_rows(asked.kpis), *utility_rows(asked.kpis)]), nl=False
                )
            case _:
                for sentence in benefit(asked.kpis, asked.names, asked.plan.resource.spec.currency):
                    say(sentence)
                say("")
                _print(asked.kpis, asked.names, sort_by, wide=output is KpiOutput.WIDE)

    try:
        named = [*(files or []), *(more_files or [])]
        watched(lambda: evaluate(named, state, first, end, optimum=optimum), show, watch=watch)
    except (BooksError, ValueError) as error:
        refuse(error)


def _print(result: Kpis, names: Names, sort_by: str | None, *, wide: bool) -> None:
    columns = _columns(names)
    rows = [*ordered(columns, result.households, sort_by), result.community]
    print_table(columns, rows, wide=wide)
    say(
        "\nEnergy in kWh. GRID FEES: those of purchases and imports, in the bill. NO MARKET, UTILITY ONLY: how much "
        "lower the bill is than in these. STORED: how much more is in the battery than with the utility only; BENEFIT: "
        "UTILITY ONLY and what that is worth, at the retail price that it saves, or at the feed-in price that it earns"
    )
    trade, protocol = result.local_trade, result.protocol
    say(f"local trade: {kwh_text(trade.energy_wh)} kWh at {_amount(trade.price_micro_per_kwh)} on average")
    against = [("no market", result.against_no_market)]
    against += [(f"utility only ({stored})", of) for stored, of in result.against_utility_only.items()]
    for name, of in against:
        gini = "-" if of.gini is None else f"{float(of.gini):.2f}"
        say(f"benefit against {name}: Gini {gini}, losers {_percent(of.losers)}")
    say("\nAll households as if behind one meter")
    print_table(_ONE_METER, [("utility only", result.community.alone), ("market", result.community.energy)], wide=wide)
    if result.utilities:
        say("\nCustomers of each utility, as if behind one meter; capacity limits what it sells on the market")
        print_table(_supply(names), result.utilities, wide=wide)
    if result.possible is not None:
        say("\nWhat all households pay, less what is left in their batteries")
        print_table(_POSSIBLE, list(result.possible.reached.items()), wide=wide)
    say("")
    energy = result.community.energy
    say(f"unserved {kwh_text(energy.unserved_wh)} kWh, curtailed {kwh_text(energy.curtailed_wh)} kWh")
    say(
        f"{protocol.settled} of {protocol.quotes} quotes settled ({_percent(protocol.settled_of_quotes)}), "
        f"{protocol.expired} expired, {protocol.cancelled} cancelled; "
        f"{_number(protocol.offers_per_delivery)} offers per delivery"
    )
    waits = ["-" if ms is None else str(ms) for ms in (protocol.confirm_ms_median, protocol.confirm_ms_p95)]
    say(
        f"{_number(protocol.messages_per_delivery)} messages per delivery, {_number(protocol.deliveries_per_search)} "
        f"deliveries per search; search to confirmation: {waits[0]} ms (median), {waits[1]} ms (95th percentile)"
    )
    if result.unbooked_readings:
        slots = "slot is" if result.unbooked_readings == 1 else "slots are"
        say(f"{result.unbooked_readings} metered {slots} not booked yet: bills are not final")


def _columns(names: Names) -> list[Column[PartyKpis]]:
    def energy(name: str, value: Callable[[PartyKpis], int | None], rank: int) -> Column[PartyKpis]:
        return _number_column(name, value, kwh_text, rank)

    def money(name: str, value: Callable[[PartyKpis], int | None], rank: int) -> Column[PartyKpis]:
        return _number_column(name, value, _amount, rank)

    def ratio(name: str, value: Callable[[PartyKpis], Fraction | None], rank: int) -> Column[PartyKpis]:
        return _number_column(name, value, _percent, rank)

    return [
        Column("HOUSEHOLD", lambda row: names.short(row.party)),
        energy("PV", lambda row: row.energy.pv_wh, 3),
        energy("LOAD", lambda row: row.energy.load_wh, 3),
        energy("IN", lambda row: row.energy.inflow_wh, 4),
        energy("OUT", lambda row: row.energy.outflow_wh, 4),
        ratio("SELF-CONS", lambda row: row.energy.self_consumption, 2),
        ratio("SELF-SUFF", lambda row: row.energy.self_sufficiency, 1),
        ratio("LOCAL", lambda row: row.energy.local_share, 1),
        energy("PEAK kW", lambda row: row.energy.peak_import_w, 6),
        money("BILL", lambda row: row.money.bill_micro, NEVER),
        money("GRID FEES", lambda row: row.money.grid_fees_micro, 7),
        money("NO MARKET", lambda row: row.money.no_market_savings_micro, 5),
        money("UTILITY ONLY", lambda row: row.money.utility_only_savings_micro, 4),
        energy("STORED", lambda row: row.money.stored_more_wh, 6),
        money("BENEFIT: RETAIL", lambda row: _benefit(row, Stored.RETAIL), 1),
        money("FEED-IN", lambda row: _benefit(row, Stored.FEED_IN), 1),
    ]


def _supply(names: Names) -> list[Column[UtilityKpis]]:
    return [
        Column("UTILITY", lambda row: names.short(row.party)),
        Column("CAPACITY kW", lambda row: kwh_text(row.capacity_w), right=True),
        Column("PEAK kW", lambda row: "-" if row.peak_w is None else kwh_text(row.peak_w), right=True),
        Column("SLOTS ABOVE", lambda row: f"{row.above} of {row.slots}", right=True),
    ]


def _benefit(row: PartyKpis, stored: Stored) -> int | None:
    benefit_micro = row.money.utility_only_benefit_micro
    return None if benefit_micro is None else benefit_micro[stored]


def _number_column(
    name: str, value: Callable[[PartyKpis], N | None], text: Callable[[N], str], rank: int
) -> Column[PartyKpis]:
    def shown(row: PartyKpis) -> str:
        known = value(row)
        return "-" if known is None else text(known)

    return Column(name, shown, rank, key=value, right=True)


def _amount(amount_micro: int | None) -> str:
    return "-" if amount_micro is None else money_text(amount_micro)[:-2]


def _number(value: Fraction | None) -> str:
    return "-" if value is None else f"{float(value):.1f}"


def _percent(value: Fraction | None) -> str:
    return "-" if value is None else f"{float(value):.1%}"


_ONE_METER: list[Column[tuple[str, EnergyKpis]]] = [
    Column("", lambda row: row[0]),
    Column("SELF-SUFF", lambda row: _percent(row[1].self_sufficiency), right=True),
    Column("AUTARKY", lambda row: _percent(row[1].autarky), right=True),
    Column("PEAK kW", lambda row: "-" if row[1].peak_import_w is None else kwh_text(row[1].peak_import_w), right=True),
    Column("IN", lambda row: kwh_text(row[1].inflow_wh), right=True),
    Column("OUT", lambda row: kwh_text(row[1].outflow_wh), right=True),
]
_POSSIBLE: list[Column[tuple[Stored, Reached]]] = [
    Column("LEFT IS WORTH", lambda row: str(row[0])),
    Column("EACH ALONE", lambda row: _amount(row[1].alone_micro), right=True),
    Column("MARKET", lambda row: _amount(row[1].market_micro), right=True),
    Column("OPTIMUM", lambda row: _amount(row[1].optimum_micro), right=True),
    Column("SAVED", lambda row: _amount(row[1].saved_micro), right=True),
    Column("POSSIBLE", lambda row: _amount(row[1].possible_micro), right=True),
    Column("REALISED", lambda row: _percent(row[1].ratio), right=True),
]
