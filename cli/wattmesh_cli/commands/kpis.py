"""`wattmesh kpis`: how well a street did."""

from __future__ import annotations

import csv
import io
from datetime import datetime, tzinfo
from enum import StrEnum
from fractions import Fraction
from typing import Annotated

import typer

from wattmesh_beckn.units import kwh_text, money_text
from wattmesh_cli.books import BooksError
from wattmesh_cli.commands.demo import demo_manifest, is_demo
from wattmesh_cli.commands.up import planned
from wattmesh_cli.kpi import Kpis, PartyKpis, Slots, collect
from wattmesh_cli.kpi import kpis as kpis_of
from wattmesh_cli.names import Names
from wattmesh_cli.output import StateOption, print_json, print_table, refuse, slot_json
from wattmesh_cli.sqlite_books import read_books
from wattmesh_cli.state import DEFAULT_STATE, street_zone


class KpiOutput(StrEnum):
    """How to print."""

    TABLE = "table"
    JSON = "json"
    CSV = "csv"


_FORMS = ["%Y-%m-%dT%H:%M", "%Y-%m-%d %H:%M", "%Y-%m-%d"]
_DEFAULT_OUTPUT = KpiOutput.TABLE


def kpis(
    files: Annotated[
        list[str] | None,
        typer.Option(
            "--file",
            "-f",
            metavar="FILE",
            help="The manifests that the street ran with, for batteries and tariffs. After a demo: its own.",
        ),
    ] = None,
    more_files: Annotated[
        list[str] | None, typer.Argument(metavar="FILE", help="More of them, as in -f street/*.yaml.")
    ] = None,
    state: StateOption = DEFAULT_STATE,
    first: Annotated[
        datetime | None,
        typer.Option("--from", formats=_FORMS, help="Only slots from here on, in the street's local time."),
    ] = None,
    end: Annotated[
        datetime | None, typer.Option("--until", formats=_FORMS, help="Only slots that start before this.")
    ] = None,
    output: Annotated[
        KpiOutput, typer.Option("--output", "-o", help="A table for people, JSON, or CSV.")
    ] = _DEFAULT_OUTPUT,
) -> None:
    """Show self-consumption, bills, savings, local share, fairness and more, of each household and of all together.

    docs/kpis.md defines each. Savings are against the same energy at the utility's prices (no market), and against each
    household alone with its battery and the utility (utility only).
    """
    from wattmesh_cli.alone import alone  # the agents take a second to import
    from wattmesh_cli.terms import terms_of

    try:
        if first is not None and end is not None and end <= first:
            raise BooksError("--until must be later than --from")
        books = read_books(state)
        zone = street_zone(state)
        given = [*(files or []), *(more_files or [])]
        if not given and not is_demo(state):
            raise BooksError("-f is needed: the manifests that this street ran with")
        terms = terms_of(planned(given or [str(demo_manifest())]))
        slots = Slots(_slot(first, zone), _slot(end, zone))
        rows = collect(books)
        terms.check(rows.households)
    except (BooksError, ValueError) as error:
        refuse(error)
    result = kpis_of(books, terms.prices, alone(rows, terms.battery, slots), slots)
    match output:
        case KpiOutput.JSON:
            print_json({"from": slot_json(slots.first, zone), "until": slot_json(slots.end, zone)} | _as_json(result))
        case KpiOutput.CSV:
            typer.echo(_as_csv(result), nl=False)
        case KpiOutput.TABLE:
            _print(result, Names(party.party for book in books for party in book.parties))


def _slot(when: datetime | None, zone: tzinfo) -> int | None:
    return None if when is None else int(when.replace(tzinfo=zone).timestamp())


# --- for programs ---


def _as_json(result: Kpis) -> dict[str, object]:
    return {
        "unbooked_readings": result.unbooked_readings,
        "households": [{"party": row.party, **_party(row)} for row in result.households],
        "community": _party(result.community) | _only_community(result),
    }


def _as_csv(result: Kpis) -> str:
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(["party", "kpi", "value"])
    parts = [(row, _party(row)) for row in result.households]
    parts.append((result.community, _party(result.community) | _only_community(result)))
    for row, values in parts:
        writer.writerows((row.party, name, "" if value is None else value) for name, value in values.items())
    writer.writerow([result.community.party, "unbooked_readings", result.unbooked_readings])
    return text.getvalue()


def _party(row: PartyKpis) -> dict[str, object]:
    energy, money = row.energy, row.money
    return {
        "pv_kwh": kwh_text(energy.pv_wh),
        "load_kwh": kwh_text(energy.load_wh),
        "inflow_kwh": kwh_text(energy.inflow_wh),
        "outflow_kwh": kwh_text(energy.outflow_wh),
        "losses_kwh": kwh_text(energy.losses_wh),
        "used_pv_kwh": kwh_text(energy.used_pv_wh),
        "self_consumption": _ratio(energy.self_consumption),
        "self_sufficiency": _ratio(energy.self_sufficiency),
        "local_kwh": kwh_text(energy.local_wh),
        "local_share": _ratio(energy.local_share),
        "peak_import_kw": None if energy.peak_import_w is None else kwh_text(energy.peak_import_w),
        "unserved_kwh": kwh_text(energy.unserved_wh),
        "curtailed_kwh": kwh_text(energy.curtailed_wh),
        "bill": money_text(money.bill_micro),
        "no_market_bill": money_text(money.no_market_bill_micro),
        "no_market_savings": money_text(money.no_market_savings_micro),
        "utility_only_bill": money_text(money.utility_only_bill_micro),
        "utility_only_savings": _money(money.utility_only_savings_micro),
        "stored_more_kwh": kwh_text(money.stored_more_wh),
        "stored_more_worth": money_text(money.stored_more_micro),
        "utility_only_benefit": _money(money.utility_only_benefit_micro),
        "grid_fees": money_text(money.grid_fees_micro),
    }


def _only_community(result: Kpis) -> dict[str, object]:
    trade, protocol = result.local_trade, result.protocol
    return {
        "utilities_bill": money_text(result.utilities_bill_micro),
        "local_trade_kwh": kwh_text(trade.energy_wh),
        "local_trade_amount": money_text(trade.amount_micro),
        "local_price_per_kwh": _money(trade.price_micro_per_kwh),
        "no_market_gini": _ratio(result.against_no_market.gini),
        "no_market_losers": _ratio(result.against_no_market.losers),
        "utility_only_gini": _ratio(result.against_utility_only.gini),
        "utility_only_losers": _ratio(result.against_utility_only.losers),
        "offers": protocol.offers,
        "quotes": protocol.quotes,
        "contracts_settled": protocol.settled,
        "contracts_expired": protocol.expired,
        "contracts_cancelled": protocol.cancelled,
        "offers_per_contract": _ratio(protocol.offers_per_contract),
        "settled_of_quotes": _ratio(protocol.settled_of_quotes),
        "messages": protocol.messages,
        "messages_per_contract": _ratio(protocol.messages_per_contract),
        "contracts_per_search": _ratio(protocol.contracts_per_search),
        "confirm_ms_median": protocol.confirm_ms_median,
        "confirm_ms_p95": protocol.confirm_ms_p95,
    }


def _money(amount_micro: int | None) -> str | None:
    return None if amount_micro is None else money_text(amount_micro)


def _ratio(value: Fraction | None) -> str | None:
    return None if value is None else f"{float(value):.4f}"


# --- for people ---


def _print(result: Kpis, names: Names) -> None:
    columns = [
        "HOUSEHOLD", "PV", "LOAD", "IN", "OUT", "SELF-CONS", "SELF-SUFF", "LOCAL", "PEAK kW", "BILL", "GRID FEES",
        "NO MARKET", "UTILITY ONLY", "STORED", "BENEFIT",
    ]  # fmt: skip
    print_table(columns, [_row(row, names) for row in (*result.households, result.community)], right=columns[1:])
    typer.echo(
        "\nEnergy in kWh. GRID FEES: those of purchases and imports, in the bill. NO MARKET, UTILITY ONLY: how much "
        "lower the bill is than in these. STORED: how much more is in the battery than with the utility only; BENEFIT: "
        "UTILITY ONLY and what that is worth"
    )
    trade, protocol = result.local_trade, result.protocol
    typer.echo(f"local trade: {kwh_text(trade.energy_wh)} kWh at {_amount(trade.price_micro_per_kwh)} on average")
    for name, of in (("no market", result.against_no_market), ("utility only", result.against_utility_only)):
        gini = "-" if of.gini is None else f"{float(of.gini):.2f}"
        typer.echo(f"benefit against {name}: Gini {gini}, losers {_percent(of.losers)}")
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


def _row(row: PartyKpis, names: Names) -> tuple[str, ...]:
    energy, money = row.energy, row.money
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
        _amount(money.utility_only_benefit_micro),
    )


def _amount(amount_micro: int | None) -> str:
    return "-" if amount_micro is None else money_text(amount_micro)[:-2]


def _number(value: Fraction | None) -> str:
    return "-" if value is None else f"{float(value):.1f}"


def _percent(value: Fraction | None) -> str:
    return "-" if value is None else f"{float(value):.1%}"
