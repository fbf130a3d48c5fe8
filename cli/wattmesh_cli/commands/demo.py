"""`wattmesh demo`: a June day on a street in about a minute, and what came of it."""

from __future__ import annotations

import shutil
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from wattmesh_cli.audit import audit
from wattmesh_cli.commands.audit import summary_line
from wattmesh_cli.commands.up import FreshOption, say_missed
from wattmesh_cli.market import MarketSummary, summarize
from wattmesh_cli.names import Names
from wattmesh_cli.output import FOUND, StateOption, print_table, refuse
from wattmesh_cli.sqlite_books import read_books
from wattmesh_cli.state import DEFAULT_STATE, StateError, is_empty
from wattmesh_cli.street_record import ADVICE, read_record
from wattmesh_market.units import kwh_text, money_text
from wattmesh_operator.manifests import load
from wattmesh_operator.plan import plan

if TYPE_CHECKING:
    from wattmesh_cli.street.session import SessionResult

SPEED = 1440
DAY_S = 24 * 3600
"""A whole day: what runs on from it begins in the morning."""
_PACKAGED = Path(__file__).parents[1] / "street.yaml"
_IN_REPOSITORY = Path(__file__).parents[3] / "examples" / "street.yaml"

DemoSpeedOption = Annotated[float, typer.Option("--speed", min=0.001, max=100_000, help="Grid seconds per second.")]


def demo(state: StateOption = DEFAULT_STATE, speed: DemoSpeedOption = SPEED, fresh: FreshOption = False) -> None:
    """Run the street of examples/street.yaml for a June day, from 06:00 on, then show trades, savings and audit.

    Starts afresh each time. Exit code 1 when the audit finds anything.
    """
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
    _print(summarize(books, terms_of(planned).prices), names, result)
    audited = audit(books)
    for finding in audited.findings:
        typer.echo(names.shorten(f"{finding.kind}: {finding.text}"))
    typer.echo(f"audit: {summary_line(audited)}")
    typer.echo(_what_next(state))
    if audited.findings or result.faults:
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


def _print(summary: MarketSummary, names: Names, result: SessionResult) -> None:
    typer.echo("\nWho bought what from whom")
    print_table(
        ["BUYER", "SELLER", "CONTRACTS", "kWh", "PRICE/kWh", "AMOUNT"],
        [
            (
                names.short(flow.buyer),
                names.short(flow.seller),
                str(flow.contracts),
                kwh_text(flow.energy_wh),
                money_text(flow.price_micro_per_kwh)[:-2],
                money_text(flow.amount_micro)[:-2],
            )
            for flow in summary.flows
        ],
        right=["CONTRACTS", "kWh", "PRICE/kWh", "AMOUNT"],
    )
    typer.echo("\nWhat it was worth (saved: against buying the same from the utility; gained: against feeding it in)")
    columns = ["HOUSEHOLD", "BOUGHT", "SOLD", "IMPORTED", "EXPORTED", "BALANCE", "SAVED", "GAINED"]
    print_table(
        columns,
        [
            (
                names.short(row.household),
                *(kwh_text(wh) for wh in (row.bought_wh, row.sold_wh, row.imported_wh, row.exported_wh)),
                *(money_text(micro)[:-2] for micro in (row.balance_micro, row.saved_micro, row.gained_micro)),
            )
            for row in summary.households
        ],
        right=columns[1:],
    )
    total = sum(row.saved_micro + row.gained_micro for row in summary.households)
    typer.echo(
        f"\n{summary.settled_between_households} contracts between households settled; together they are "
        f"{money_text(total)[:-4]} better off than at the utility's prices"
    )
    say_missed(result)
