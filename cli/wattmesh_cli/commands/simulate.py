"""`wattmesh simulate`: run manifests as a study, as fast as the machine allows."""

from __future__ import annotations

import logging
import os
import sys
from collections.abc import Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from wattmesh_cli.audit import AuditResult, audit, overdue_text, together
from wattmesh_cli.books import DELIVERED, Book, paired
from wattmesh_cli.commands.audit import summary_line
from wattmesh_cli.commands.up import FreshOption
from wattmesh_cli.kpi import ALL_SLOTS, collect
from wattmesh_cli.kpi.energy import community_energy
from wattmesh_cli.kpi.rows import share
from wattmesh_cli.manifest_files import ManifestsOption, MoreFiles, chosen
from wattmesh_cli.names import Names
from wattmesh_cli.output import (
    DEFAULT_OUTPUT,
    FOUND,
    Output,
    OutputOption,
    StateOption,
    print_json,
    refuse,
)
from wattmesh_cli.sqlite_books import read_markets
from wattmesh_cli.state import DEFAULT_STATE, StateError
from wattmesh_cli.street.simulation import SimulationResult, run_simulation, trouble_texts
from wattmesh_cli.street.virtual_time import slot_start
from wattmesh_cli.street_record import Over, below_zero
from wattmesh_cli.tables import Column, print_table
from wattmesh_common.logs import configure
from wattmesh_common.starting import freeze_heap
from wattmesh_market.mechanisms import BILATERAL, MECHANISMS, mechanism_named
from wattmesh_market.units import kwh_text
from wattmesh_operator.manifests import parsed_value
from wattmesh_operator.plan import GatewayPlan


def _mechanism(name: str) -> str:
    """The name of a mechanism; a usage error lists the names there are."""
    try:
        mechanism_named(name)
    except ValueError as error:
        raise typer.BadParameter(str(error)) from None
    return name


def _values(settings: list[str]) -> dict[str, object]:
    """The values of `--set PATH=VALUE` by their paths."""
    values: dict[str, object] = {}
    for setting in settings:
        path, equals, text = setting.partition("=")
        if not equals:
            raise ValueError(f"--set {setting}: write PATH=VALUE, as spec.battery.capacityKwh=7.5")
        values[path] = parsed_value(text)
    return values


def simulate(
    files: ManifestsOption = None,
    more_files: MoreFiles = None,
    settings: Annotated[
        list[str] | None,
        typer.Option(
            "--set",
            metavar="PATH=VALUE",
            help="Another value of a field, as spec.battery.capacityKwh=7.5; of one resource, as "
            "solaragent/roof.spec.battery.capacityKwh=7.5. May be repeated.",
        ),
    ] = None,
    days: Annotated[int, typer.Option("--days", min=1, help="Days from the gateway's clock.start on.")] = 1,
    seed: Annotated[int, typer.Option("--seed", help="Of keys and ids; the same one gives the same ledger.")] = 0,
    state: StateOption = DEFAULT_STATE,
    jobs: Annotated[
        int | None,
        typer.Option("--jobs", "-j", min=1, help="Processes that share the feeders.", show_default="one for each core"),
    ] = None,
    scheduler: Annotated[
        str | None,
        typer.Option("--scheduler", help="Address of a Dask scheduler whose cluster shares the feeders, tcp://…"),
    ] = None,
    over: Annotated[
        Over,
        typer.Option("--over", help="calls: the rules alone. messages: every signed message, in virtual time; slow."),
    ] = Over.CALLS,
    mechanism: Annotated[
        str,
        typer.Option(
            "--mechanism",
            metavar="|".join(MECHANISMS),
            help="How neighbours trade. Live streets trade bilaterally: Beckn has no message for the others.",
            callback=_mechanism,
        ),
    ] = BILATERAL,
    fresh: FreshOption = False,
    verbose: Annotated[
        bool, typer.Option("--verbose", "-v", help="Log every trade to standard error, in place of the progress.")
    ] = False,
    output: OutputOption = DEFAULT_OUTPUT,
) -> None:
    """Run a street as a study, as fast as this machine allows: the ledger that 'up' would write.

    Stopped with Ctrl-C it saves, and the same command goes on, without a manifest, too; with more --days it is
    extended. Exit code 1 when the audit finds anything, or a plug-in has failed and its household held.
    """
    log_level = logging.INFO if verbose else logging.WARNING
    configure(sys.stderr, log_level)
    try:
        plan = chosen(files, more_files, state, _values(settings or []))
        freeze_heap()
        result = run_simulation(
            plan,
            state,
            days=days,
            seed=seed,
            jobs=jobs or os.cpu_count() or 1,
            scheduler=scheduler,
            over=over,
            mechanism=mechanism,
            console=Console(stderr=True),
            log_level=log_level,
            fresh=fresh,
        )
        if not result.slots:
            typer.echo("stopped before the first slot was over; the same command begins again", err=True)
            return
        audited, summary = _look_at(state, plan, result)
    except (StateError, ValueError) as error:
        refuse(error)
    troubles = trouble_texts(plan, result)
    if output is Output.JSON:
        print_json(_as_json(summary, result, audited, troubles))
    else:
        _print(summary, result, audited, troubles)
    if not audited.right or result.faults or any(trouble.held for trouble in result.troubles):
        raise typer.Exit(FOUND)


@dataclass
class _Summary:
    """What all households did, and who there is: contracts that were delivered, their deliveries, and those of these in
    slots that this call ran.
    """

    households: int = 0
    contracts: int = 0
    deliveries: int = 0
    deliveries_now: int = 0
    local_wh: int = 0
    taken_wh: int = 0
    parties: list[str] = field(default_factory=list)

    def add(self, books: Sequence[Book], since: int) -> None:
        """Add a market, whose slots from `since` on this call ran."""
        rows = collect(books)
        delivered = [
            pair.known
            for pair in paired(row for book in books for row in book.contracts)
            if any(row is not None and row.state in DELIVERED for row in (pair.buyer, pair.seller))
        ]
        energy = community_energy(rows, ALL_SLOTS)
        self.households += len(rows.households)
        self.contracts += len({(row.transaction_id, row.seller) for row in delivered})
        self.deliveries += len(delivered)
        self.deliveries_now += sum(row.slot >= since for row in delivered)
        self.local_wh += energy.local_wh
        self.taken_wh += energy.taken_wh
        self.parties += [party.party for book in books for party in book.parties]


def _look_at(state: Path, plan: GatewayPlan, result: SimulationResult) -> tuple[AuditResult, _Summary]:
    """Audit the books and sum them up, one market after the other, so that a town's need not fit into memory."""
    summary, since = _Summary(), int(slot_start(plan, result.slots_before).timestamp())

    def audited(books: Sequence[Book]) -> AuditResult:
        summary.add(books, since)
        return audit(books, below_zero=below_zero(plan))

    return together(map(audited, read_markets(state))), summary  # map holds no market while the next one is read


def _print(summary: _Summary, result: SimulationResult, audited: AuditResult, troubles: Sequence[str]) -> None:
    names = Names(summary.parties)
    columns: list[Column[_Summary]] = [
        Column("HOUSEHOLDS", lambda row: str(row.households), right=True),
        Column("SLOTS", lambda _: str(result.slots), right=True),
        Column("CONTRACTS", lambda row: str(row.contracts), right=True),
        Column("DELIVERIES", lambda row: str(row.deliveries), right=True),
        Column("TRADED kWh", lambda row: kwh_text(row.local_wh), right=True),
        Column("LOCAL SHARE", lambda row: _percent(share(row.local_wh, row.taken_wh)), right=True),
        Column("SECONDS", lambda _: f"{result.wall_s:.1f}", 1, right=True),
        Column("DELIVERIES/S", lambda row: f"{row.deliveries_now / result.wall_s:.1f}" if result.wall_s else "-", 1,
               right=True),
    ]  # fmt: skip
    print_table(columns, [summary])
    if audited.unbooked.overdue:
        typer.echo(overdue_text(audited))
    for finding in audited.findings:
        typer.echo(names.shorten(f"{finding.kind}: {finding.text}"))
    typer.echo(f"audit: {summary_line(audited)}")
    for trouble in troubles:
        typer.echo(names.shorten(trouble))
    if result.faults:
        typer.echo(f"{result.faults} steps ended in a fault; the log above says which")
    if not result.completed:
        typer.echo("stopped; all is kept, and goes on with the same command")


def _percent(share: Fraction | None) -> str:
    return "-" if share is None else f"{float(100 * share):.1f} %"


def _as_json(
    summary: _Summary, result: SimulationResult, audited: AuditResult, troubles: Sequence[str]
) -> dict[str, object]:
    local_share = share(summary.local_wh, summary.taken_wh)
    return {
        "completed": result.completed,
        "households": summary.households,
        "slots": result.slots,
        "slots_before": result.slots_before,
        "contracts": summary.contracts,
        "deliveries": summary.deliveries,
        "local_kwh": kwh_text(summary.local_wh),
        "local_share": None if local_share is None else f"{float(local_share):.4f}",
        "wall_s": round(result.wall_s, 3),
        "cpu_s": round(result.cpu_s, 3),
        "deliveries_per_s": round(summary.deliveries_now / result.wall_s, 2) if result.wall_s else None,
        "faults": result.faults,
        "plugins": list(troubles),
        "readings_overdue": audited.unbooked.overdue,
        "findings": [{"kind": finding.kind, "text": finding.text} for finding in audited.findings],
    }
