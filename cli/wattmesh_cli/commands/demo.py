"""`wattmesh demo`: a June day on a street in about a minute, and what came of it."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Sequence
from datetime import datetime, tzinfo
from pathlib import Path
from typing import Annotated

import typer

from wattmesh_cli.audit import audit, overdue_text
from wattmesh_cli.commands.audit import summary_line
from wattmesh_cli.commands.up import FreshOption, say_missed
from wattmesh_cli.kpi import Kpis, Slots, Stored, collect, kpis
from wattmesh_cli.market import Flow, HouseholdSummary, MarketSummary, Traded, summarize, traded_every
from wattmesh_cli.names import Names
from wattmesh_cli.output import FOUND, StateOption, refuse
from wattmesh_cli.report.benefit import benefit
from wattmesh_cli.sqlite_books import read_books
from wattmesh_cli.state import DEFAULT_STATE, StateError, is_empty
from wattmesh_cli.street_record import ADVICE, below_zero, read_record
from wattmesh_cli.tables import Column, print_table, say
from wattmesh_market.units import kwh_text, money_text
from wattmesh_operator.manifests import load
from wattmesh_operator.plan import plan

SPEED = 1920
PRICED_HOURS = 2
BAR = 30
"""Columns of the longest bar."""
DAY_S = 24 * 3600
"""A whole day: what runs on from it begins in the morning."""
_PACKAGED = Path(__file__).parents[1] / "street.yaml"
_IN_REPOSITORY = Path(__file__).parents[3] / "examples" / "street.yaml"

DemoSpeedOption = Annotated[float, typer.Option("--speed", min=0.001, max=100_000, help="Grid seconds per second.")]


def demo(state: StateOption = DEFAULT_STATE, speed: DemoSpeedOption = SPEED, fresh: FreshOption = False) -> None:
    """Run the street of examples/street.yaml for a June day, from 06:00 on, then show trades, bills and audit.

    Starts afresh each time. Exit code 1 when the audit finds anything.
    """
    from wattmesh_cli.alone import alone
    from wattmesh_cli.street.session import Session, run_session  # the agents take a second to import
    from wattmesh_cli.terms import terms_of

    try:
        if not (fresh or is_empty(state) or read_record(state).demo):
            raise StateError(f"{state}: holds a street that is not the demo's; {ADVICE}")
        planned = plan(load([demo_manifest()]))[0]
        result = run_session(planned, state, Session(speed, DAY_S, fresh=True, demo=True))
        books = read_books(state)
    except StateError as error:
        refuse(error)
    names = Names(party.party for book in books for party in book.parties)
    terms, rows = terms_of(planned), collect(books)
    unbooked = (one.slot for readings in rows.readings.values() for one in readings if one.state != "booked")
    booked = Slots(end=min(unbooked, default=None))
    found = kpis(books, terms.prices, alone(rows, terms.battery, booked, terms.devices), booked)
    summary = summarize(books)
    _print_flows(summary, names)
    _print_prices(traded_every(PRICED_HOURS, books), planned.resource.spec.clock.start.tzinfo)
    _print_worth(summary, found, names, planned.resource.spec.currency)
    say_missed(result)
    audited = audit(books, below_zero=below_zero(planned))
    if audited.unbooked.overdue:
        say(overdue_text(audited))
    for finding in audited.findings:
        say(names.shorten(f"{finding.kind}: {finding.text}"))
    say(f"audit: {summary_line(audited)}")
    typer.echo(_what_next(state))
    if not audited.right or result.faults:
        raise typer.Exit(FOUND)


def demo_manifest() -> Path:
    """The street that the demo runs."""
    return _PACKAGED if _PACKAGED.exists() else _IN_REPOSITORY


def _what_next(state: Path) -> str:
    """The next two commands, as they can be typed here."""
    called = Path(sys.argv[0])
    found = shutil.which(called.name)
    program = called.name if found and Path(found).absolute() == called.absolute() else str(called)
    of = "" if state == DEFAULT_STATE else f" --state {state}"
    report, up = f"{program} report{of}", f"{program} up --port 8080 --open{of}"
    return (
        f"\nWhat next:\n"
        f"  {report:{len(up)}}   this day as a page with plots: report.html\n"
        f"  {up}   the next day, live in your browser; Ctrl-C stops it"
    )


def _print_flows(summary: MarketSummary, names: Names) -> None:
    say("\nWho bought what from whom")
    flows: list[Column[Flow]] = [
        Column("BUYER", lambda flow: names.short(flow.buyer)),
        Column("SELLER", lambda flow: names.short(flow.seller)),
        Column("DELIVERIES", lambda flow: str(flow.deliveries), 2, right=True),
        Column("kWh", lambda flow: kwh_text(flow.energy_wh), right=True),
        Column("PRICE/kWh", lambda flow: money_text(flow.price_micro_per_kwh)[:-2], 1, right=True),
        Column("AMOUNT", lambda flow: money_text(flow.amount_micro)[:-2], right=True),
    ]
    print_table(flows, summary.flows)


def _print_prices(traded: Sequence[Traded], zone: tzinfo | None) -> None:
    """What a kWh of a neighbour cost through the day, with a bar for each."""
    say("\nWhat energy of neighbours cost, by the time of day")
    dearest = max((row.price_micro_per_kwh for row in traded), default=1)
    columns: list[Column[Traded]] = [
        Column("FROM", lambda row: f"{datetime.fromtimestamp(row.start, zone):%H:%M}"),
        Column("kWh", lambda row: kwh_text(row.energy_wh), right=True),
        Column("PRICE/kWh", lambda row: money_text(row.price_micro_per_kwh)[:-2], right=True),
        Column("", lambda row: "█" * round(BAR * row.price_micro_per_kwh / dearest), 1),
    ]
    print_table(columns, traded)


def _print_worth(summary: MarketSummary, found: Kpis, names: Names, currency: str) -> None:
    say("\nWhat it was worth (benefit against alone, what is left in the battery at retail and at feed-in price)")
    money = {row.party: row.money for row in found.households}

    def benefit_of(row: HouseholdSummary, stored: Stored) -> str:
        of = money[row.household].utility_only_benefit_micro
        return "-" if of is None else money_text(of[stored])[:-2]

    households: list[Column[HouseholdSummary]] = [
        Column("HOUSEHOLD", lambda row: names.short(row.household)),
        Column("BOUGHT", lambda row: kwh_text(row.bought_wh), 2, right=True),
        Column("SOLD", lambda row: kwh_text(row.sold_wh), 2, right=True),
        Column("SHARED", lambda row: kwh_text(row.shared_wh), 3, right=True),
        Column("IMPORTED", lambda row: kwh_text(row.imported_wh), 3, right=True),
        Column("EXPORTED", lambda row: kwh_text(row.exported_wh), 3, right=True),
        Column("BILL", lambda row: money_text(money[row.household].bill_micro)[:-2], 1, right=True),
        Column("ALONE", lambda row: money_text(money[row.household].utility_only_bill_micro)[:-2], 1, right=True),
        Column("BENEFIT: RETAIL", lambda row: benefit_of(row, Stored.RETAIL), right=True),
        Column("FEED-IN", lambda row: benefit_of(row, Stored.FEED_IN), right=True),
    ]
    print_table(households, summary.households)
    say(f"\n{summary.contracts} contracts between households settled, {summary.settled} deliveries.")
    for sentence in benefit(found, names, currency):
        say(sentence)
