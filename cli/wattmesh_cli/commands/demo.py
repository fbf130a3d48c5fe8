"""`wattmesh demo`: a June day on a street in about a minute, and what came of it."""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from wattmesh_beckn.units import kwh_text, money_text
from wattmesh_cli.audit import audit
from wattmesh_cli.commands.audit import summary_line
from wattmesh_cli.commands.up import SpeedOption, say_missed
from wattmesh_cli.market import MarketSummary, summarize
from wattmesh_cli.names import Names
from wattmesh_cli.output import FOUND, StateOption, print_table, refuse
from wattmesh_cli.sqlite_books import read_books
from wattmesh_cli.state import DEFAULT_STATE, StateError
from wattmesh_operator.manifests import load
from wattmesh_operator.plan import plan

if TYPE_CHECKING:
    from wattmesh_agents.config import TariffConfig
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

    try:
        _start_afresh(state)
        manifest = _PACKAGED if _PACKAGED.exists() else _IN_REPOSITORY
        result = run_session(plan(load([str(manifest)]))[0], state, speed, DAY_S)
        books = read_books(state)
    except StateError as error:
        refuse(error)
    names = Names(party.party for book in books for party in book.parties)
    prices = _Prices(result.tariffs, result.utc_offset_s)
    _print(summarize(books, prices.tariff_micro, prices.feed_in_micro), names, result)
    audited = audit(books)
    for finding in audited.findings:
        typer.echo(names.shorten(f"{finding.kind}: {finding.text}"))
    typer.echo(f"audit: {summary_line(audited)}")
    if audited.findings or result.faults:
        raise typer.Exit(FOUND)


class _Prices:
    """The utilities' prices in a slot, by the tariffs of the run."""

    def __init__(self, tariffs: Mapping[str, TariffConfig], utc_offset_s: int) -> None:
        self._tariffs = tariffs
        self._utc_offset_s = utc_offset_s

    def tariff_micro(self, utility: str | None, slot: int) -> int:
        """What a kWh costs."""
        from wattmesh_agents.energy.tariff import price_micro_per_kwh

        return price_micro_per_kwh(self._of(utility), slot, self._utc_offset_s)

    def feed_in_micro(self, utility: str | None, slot: int) -> int:  # noqa: ARG002 - one price for all slots
        """What is paid for a kWh fed in."""
        return self._of(utility).feed_in_micro_per_kwh

    def _of(self, utility: str | None) -> TariffConfig:
        # A household that never needed its backstop has no entry with it; the demo has one utility for all.
        return self._tariffs[utility] if utility is not None else next(iter(self._tariffs.values()))


def _start_afresh(state: Path) -> None:
    """Make room for a new day; only an earlier demo is removed."""
    if state.exists() and any(state.iterdir()):
        if not (state / _MARK).exists():
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
        f"{money_text(total)[:-4]} better off than with the utility alone"
    )
    say_missed(result)
