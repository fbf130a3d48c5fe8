"""`wattmesh demo`: a June day on a street in about a minute, and what came of it."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from wattmesh_cli.audit import audit
from wattmesh_cli.commands.audit import summary_line
from wattmesh_cli.commands.up import SpeedOption, say_missed
from wattmesh_cli.market import MarketSummary, summarize
from wattmesh_cli.names import Names
from wattmesh_cli.output import FOUND, StateOption, print_table, refuse
from wattmesh_cli.sqlite_books import read_books
from wattmesh_cli.state import DEFAULT_STATE, StateError
from wattmesh_market.units import kwh_text, money_text
from wattmesh_operator.manifests import load
from wattmesh_operator.plan import plan

if TYPE_CHECKING:
    from wattmesh_cli.street.session import SessionResult

SPEED = 960
DAY_S = 16 * 3600
_MARK = "demo"
_PACKAGED = Path(__file__).parents[1] / "street.yaml"
_IN_REPOSITORY = Path(__file__).parents[3] / "examples" / "street.yaml"


def demo(state: StateOption = DEFAULT_STATE, speed: SpeedOption = SPEED) -> None:
    """Run the street of examples/street.yaml from 06:00 to 22:00 of a June day, then show trades, savings and audit.

    Starts afresh each time. Exit code 1 when the audit finds anything.
    """
    from wattmesh_cli.street.session import run_session  # the agents take a second to import
    from wattmesh_cli.terms import terms_of

    try:
        _start_afresh(state)
        planned = plan(load([str(demo_manifest())]))[0]
        result = run_session(planned, state, speed, DAY_S)
        books = read_books(state)
    except StateError as error:
        refuse(error)
    names = Names(party.party for book in books for party in book.parties)
    _print(summarize(books, terms_of(planned).prices), names, result)
    audited = audit(books)
    for finding in audited.findings:
        typer.echo(names.shorten(f"{finding.kind}: {finding.text}"))
    typer.echo(f"audit: {summary_line(audited)}")
    if audited.findings or result.faults:
        raise typer.Exit(FOUND)


def demo_manifest() -> Path:
    """The street that the demo runs."""
    return _PACKAGED if _PACKAGED.exists() else _IN_REPOSITORY


def is_demo(state: Path) -> bool:
    """Whether a state directory is the demo's."""
    return (state / _MARK).exists()


def _start_afresh(state: Path) -> None:
    """Make room for a new day; only an earlier demo is removed."""
    if state.exists() and any(state.iterdir()):
        if not is_demo(state):
            raise StateError(f"{state}: holds a street that is not the demo's; name another --state")
        shutil.rmtree(state)
    state.mkdir(parents=True, exist_ok=True)
    (state / _MARK).touch()


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
    columns = ["HOUSEHOLD", "BOUGHT", "SOLD", "SHARED", "IMPORTED", "EXPORTED", "BALANCE", "SAVED", "GAINED"]
    print_table(
        columns,
        [
            (
                names.short(row.household),
                *(kwh_text(wh) for wh in (row.bought_wh, row.sold_wh, row.shared_wh, row.imported_wh, row.exported_wh)),
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
