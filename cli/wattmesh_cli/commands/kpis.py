"""`wattmesh kpis`: how well a street did."""

from __future__ import annotations

from enum import StrEnum
from fractions import Fraction
from typing import Annotated

import typer

from wattmesh_cli.books import BooksError
from wattmesh_cli.evaluation import (
    FilesOption,
    FromOption,
    OptimumOption,
    UntilOption,
    evaluate,
    range_json,
)
from wattmesh_cli.kpi import EnergyKpis, Kpis, PartyKpis, Possible, Stored
from wattmesh_cli.kpi_forms import kpi_rows, kpis_json
from wattmesh_cli.manifest_files import MoreFiles
from wattmesh_cli.names import Names
from wattmesh_cli.output import StateOption, csv_text, print_json, print_table, refuse
from wattmesh_cli.report.benefit import benefit
from wattmesh_cli.state import DEFAULT_STATE
from wattmesh_market.units import kwh_text, money_text


class KpiOutput(StrEnum):
    """How to print."""

    TABLE = "table"
    JSON = "json"
    CSV = "csv"


_DEFAULT_OUTPUT = KpiOutput.TABLE


def kpis(
    files: FilesOption = None,
    more_files: MoreFiles = None,
    state: StateOption = DEFAULT_STATE,
    first: FromOption = None,
    end: UntilOption = None,
    output: Annotated[
        KpiOutput, typer.Option("--output", "-o", help="A table for people, JSON, or CSV.")
    ] = _DEFAULT_OUTPUT,
    optimum: OptimumOption = False,
) -> None:
    """Show self-consumption, bills, savings, local share, fairness and more, of each household and of all together.

    docs/kpis.md defines each. Savings are against the same energy at the utility's prices (no market), and against each
    household alone with its battery and the utility (utility only).
    """
    try:
        asked = evaluate([*(files or []), *(more_files or [])], state, first, end, optimum=optimum)
    except (BooksError, ValueError) as error:
        refuse(error)
    match output:
        case KpiOutput.JSON:
            print_json(range_json(asked) | kpis_json(asked.kpis))
        case KpiOutput.CSV:
            typer.echo(csv_text(["party", "kpi", "value"], kpi_rows(asked.kpis)), nl=False)
        case KpiOutput.TABLE:
            _print(asked.kpis, asked.names, asked.plan.resource.spec.currency)


def _print(result: Kpis, names: Names, currency: str) -> None:
    for sentence in benefit(result, names, currency):
        typer.echo(sentence)
    typer.echo()
    columns = [
        "HOUSEHOLD", "PV", "LOAD", "IN", "OUT", "SELF-CONS", "SELF-SUFF", "LOCAL", "PEAK kW", "BILL", "GRID FEES",
        "NO MARKET", "UTILITY ONLY", "STORED", "BENEFIT: RETAIL", "FEED-IN",
    ]  # fmt: skip
    print_table(columns, [_row(row, names) for row in (*result.households, result.community)], right=columns[1:])
    typer.echo(
        "\nEnergy in kWh. GRID FEES: those of purchases and imports, in the bill. NO MARKET, UTILITY ONLY: how much "
        "lower the bill is than in these. STORED: how much more is in the battery than with the utility only; BENEFIT: "
        "UTILITY ONLY and what that is worth, at the retail price that it saves, or at the feed-in price that it earns"
    )
    trade, protocol = result.local_trade, result.protocol
    typer.echo(f"local trade: {kwh_text(trade.energy_wh)} kWh at {_amount(trade.price_micro_per_kwh)} on average")
    against = [("no market", result.against_no_market)]
    against += [(f"utility only ({stored})", of) for stored, of in result.against_utility_only.items()]
    for name, of in against:
        gini = "-" if of.gini is None else f"{float(of.gini):.2f}"
        typer.echo(f"benefit against {name}: Gini {gini}, losers {_percent(of.losers)}")
    typer.echo("\nAll households as if behind one meter")
    print_table(
        ["", "SELF-SUFF", "AUTARKY", "PEAK kW", "IN", "OUT"],
        [
            _pooled(name, of)
            for name, of in (("utility only", result.community.alone), ("market", result.community.energy))
        ],
        right=["SELF-SUFF", "AUTARKY", "PEAK kW", "IN", "OUT"],
    )
    if result.possible is not None:
        _print_possible(result.possible)
    typer.echo()
    energy = result.community.energy
    typer.echo(f"unserved {kwh_text(energy.unserved_wh)} kWh, curtailed {kwh_text(energy.curtailed_wh)} kWh")
    typer.echo(
        f"{protocol.settled} of {protocol.quotes} quotes settled ({_percent(protocol.settled_of_quotes)}), "
        f"{protocol.expired} expired, {protocol.cancelled} cancelled; "
        f"{_number(protocol.offers_per_contract)} offers per contract"
    )
    waits = ["-" if ms is None else str(ms) for ms in (protocol.confirm_ms_median, protocol.confirm_ms_p95)]
    typer.echo(
        f"{_number(protocol.messages_per_contract)} messages per contract, {_number(protocol.contracts_per_search)} "
        f"contracts per search; search to confirmation: {waits[0]} ms (median), {waits[1]} ms (95th percentile)"
    )
    if result.unbooked_readings:
        slots = "slot is" if result.unbooked_readings == 1 else "slots are"
        typer.echo(f"{result.unbooked_readings} metered {slots} not booked yet: bills are not final")


def _pooled(name: str, energy: EnergyKpis) -> tuple[str, ...]:
    peak = "-" if energy.peak_import_w is None else kwh_text(energy.peak_import_w)
    shares = (_percent(energy.self_sufficiency), _percent(energy.autarky))
    return (name, *shares, peak, kwh_text(energy.inflow_wh), kwh_text(energy.outflow_wh))


def _print_possible(found: Possible) -> None:
    typer.echo("\nWhat all households pay, less what is left in their batteries")
    columns = ["LEFT IS WORTH", "EACH ALONE", "MARKET", "OPTIMUM", "SAVED", "POSSIBLE", "REALISED"]
    print_table(
        columns,
        [
            (
                str(stored),
                *(_amount(micro) for micro in (of.alone_micro, of.market_micro, of.optimum_micro)),
                *(_amount(micro) for micro in (of.saved_micro, of.possible_micro)),
                _percent(of.ratio),
            )
            for stored, of in found.reached.items()
        ],
        right=columns[1:],
    )


def _row(row: PartyKpis, names: Names) -> tuple[str, ...]:
    energy, money = row.energy, row.money
    benefit = money.utility_only_benefit_micro
    return (
        names.short(row.party),
        *(kwh_text(wh) for wh in (energy.pv_wh, energy.load_wh, energy.inflow_wh, energy.outflow_wh)),
        *(_percent(value) for value in (energy.self_consumption, energy.self_sufficiency, energy.local_share)),
        "-" if energy.peak_import_w is None else kwh_text(energy.peak_import_w),
        *(
            _amount(micro)
            for micro in (
                money.bill_micro,
                money.grid_fees_micro,
                money.no_market_savings_micro,
                money.utility_only_savings_micro,
            )
        ),
        kwh_text(money.stored_more_wh),
        *(_amount(None if benefit is None else benefit[stored]) for stored in Stored),
    )


def _amount(amount_micro: int | None) -> str:
    return "-" if amount_micro is None else money_text(amount_micro)[:-2]


def _number(value: Fraction | None) -> str:
    return "-" if value is None else f"{float(value):.1f}"


def _percent(value: Fraction | None) -> str:
    return "-" if value is None else f"{float(value):.1%}"
