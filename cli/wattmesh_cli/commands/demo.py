"""`wattmesh demo`: a June day on a street in about a minute, and what came of it."""

from __future__ import annotations

import shutil
from pathlib import Path

import typer

from wattmesh_cli.audit import audit
from wattmesh_cli.commands.audit import summary_line
from wattmesh_cli.commands.up import SpeedOption, say_missed
from wattmesh_cli.kpi import Kpis, MoneyKpis, Slots, Stored, collect, kpis
from wattmesh_cli.market import MarketSummary, summarize
from wattmesh_cli.names import Names
from wattmesh_cli.output import FOUND, StateOption, print_table, refuse
from wattmesh_cli.report.benefit import benefit
from wattmesh_cli.sqlite_books import read_books
from wattmesh_cli.state import DEFAULT_STATE, StateError
from wattmesh_market.units import kwh_text, money_text
from wattmesh_operator.manifests import load
from wattmesh_operator.plan import plan

SPEED = 960
DAY_S = 16 * 3600
_MARK = "demo"
_PACKAGED = Path(__file__).parents[1] / "street.yaml"
_IN_REPOSITORY = Path(__file__).parents[3] / "examples" / "street.yaml"


def demo(state: StateOption = DEFAULT_STATE, speed: SpeedOption = SPEED) -> None:
    """Run the street of examples/street.yaml from 06:00 to 22:00 of a June day; show trades, bills, audit.

    Starts afresh each time. Exit code 1 when the audit finds anything.
    """
    from wattmesh_cli.alone import alone
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
    terms = terms_of(planned)
    rows = collect(books)
    unbooked = (one.slot for readings in rows.readings.values() for one in readings if one.state != "booked")
    booked = Slots(end=min(unbooked, default=None))
    found = kpis(books, terms.prices, alone(rows, terms.battery, booked), booked)
    _print(summarize(books), found, names, planned.resource.spec.currency)
    say_missed(result)
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


def _print(summary: MarketSummary, found: Kpis, names: Names, currency: str) -> None:
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
    typer.echo(
        "\nWhat it was worth (benefit against alone, what is left in the battery at retail and at feed-in price)"
    )
    columns = ["HOUSEHOLD", "BOUGHT", "SOLD", "IMPORTED", "EXPORTED", "BILL", "ALONE", "BENEFIT: RETAIL", "FEED-IN"]
    money = {row.party: row.money for row in found.households}
    print_table(
        columns,
        [
            (
                names.short(row.household),
                *(kwh_text(wh) for wh in (row.bought_wh, row.sold_wh, row.imported_wh, row.exported_wh)),
                *(_amount(micro) for micro in _bills(money[row.household])),
            )
            for row in summary.households
        ],
        right=columns[1:],
    )
    typer.echo(f"\n{summary.settled_between_households} contracts between households settled.")
    for sentence in benefit(found, names, currency):
        typer.echo(sentence)


def _bills(of: MoneyKpis) -> list[int | None]:
    """The bill, that of the household alone, and the benefit at both values of what is left in the battery."""
    benefit_micro = of.utility_only_benefit_micro
    benefits = [None if benefit_micro is None else benefit_micro[stored] for stored in Stored]
    return [of.bill_micro, of.utility_only_bill_micro, *benefits]


def _amount(amount_micro: int | None) -> str:
    return "-" if amount_micro is None else money_text(amount_micro)[:-2]
