"""`wattmesh report`: a run as one HTML file to look at, or as JSON or CSV."""

from __future__ import annotations

import json
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from wattmesh_cli.audit import audit, overdue_text
from wattmesh_cli.books import BooksError
from wattmesh_cli.commands.audit import audit_json, summary_line
from wattmesh_cli.evaluation import Evaluation, FilesOption, FromOption, OptimumOption, UntilOption, evaluate
from wattmesh_cli.manifest_files import MoreFiles
from wattmesh_cli.output import StateOption, csv_text, refuse
from wattmesh_cli.report.content import Content, Market, Origin, content
from wattmesh_cli.report.forms import COLUMNS, as_json, csv_rows
from wattmesh_cli.sqlite_books import read_books
from wattmesh_cli.state import DEFAULT_STATE
from wattmesh_cli.street_record import resources_of
from wattmesh_operator.manifests import as_yaml


class ReportOutput(StrEnum):
    """What to make."""

    HTML = "html"
    JSON = "json"
    CSV = "csv"


_DEFAULT_OUTPUT = ReportOutput.HTML
_DEFAULT_PAGE = Path("report.html")
_STANDARD_OUTPUT = Path("-")


def report(
    files: FilesOption = None,
    more_files: MoreFiles = None,
    state: StateOption = DEFAULT_STATE,
    first: FromOption = None,
    end: UntilOption = None,
    output: Annotated[
        ReportOutput, typer.Option("--output", "-o", help="A page to look at, or its numbers as JSON or CSV.")
    ] = _DEFAULT_OUTPUT,
    save: Annotated[
        Path | None,
        typer.Option(
            "--save",
            metavar="PATH",
            help="The file to write; - is standard output.",
            show_default=f"{_DEFAULT_PAGE} for html, - for json and csv",
        ),
    ] = None,
    optimum: OptimumOption = False,
) -> None:
    """Write a report: load, PV, batteries, prices and trades over time, who sold to whom, bills, KPIs and the audit.

    The page is one file that needs no network: mail it, print it, keep it. docs/report.md says what is in it. The audit
    is of the whole run, everything else of the slots asked for.
    """
    try:
        asked = evaluate([*(files or []), *(more_files or [])], state, first, end, optimum=optimum)
        path = save or (_DEFAULT_PAGE if output is ReportOutput.HTML else _STANDARD_OUTPUT)
        shown = write_report(asked, state, path, output)
    except (BooksError, ValueError) as error:
        refuse(error)
    if path != _STANDARD_OUTPUT:
        if shown.audited.unbooked.overdue:
            typer.echo(overdue_text(shown.audited))
        typer.echo(f"audit: {summary_line(shown.audited)}")
        typer.echo(f"written: {path}")


def write_report(asked: Evaluation, state: Path, path: Path, output: ReportOutput = _DEFAULT_OUTPUT) -> Content:
    """Write the report of a run to a file, - is standard output; returns what it says. BooksError."""
    shown = _content(asked, state)
    _write(_text(shown, output), path)
    return shown


def _content(asked: Evaluation, state: Path) -> Content:
    below_zero = asked.record.declared.below_zero
    audited = audit(asked.books, below_zero=below_zero)
    if audited.findings:  # while a street runs, a contract may change between the reading of its two sides
        audited = audited.confirmed_by(audit(read_books(state), below_zero=below_zero))
    households = asked.terms.households
    gateway = asked.plan.resource
    market = Market(
        name=gateway.metadata.name,
        currency=gateway.spec.currency,
        zone=asked.zone,
        utility={name: household.backstop.utility_id for name, household in households.items()},
        agent={
            participant.subscriber_id: pod.owner.metadata.name
            for version in asked.versions
            for pod in version.plan.pods
            for participant in pod.participants
        },
        feeder={name: household.feeder for name, household in households.items()},
    )
    study = asked.record.study
    found = Origin(as_yaml(resources_of(asked.record.plan)), study.seed if study else None)
    return content(asked.books, market, found, asked.terms.prices, asked.kpis, audited, asked.slots)


def _text(shown: Content, output: ReportOutput) -> str:
    audited = audit_json(shown.audited, shown.market.zone)
    match output:
        case ReportOutput.JSON:
            return json.dumps(as_json(shown, audited), indent=2) + "\n"
        case ReportOutput.CSV:
            return csv_text(COLUMNS, csv_rows(shown, audited))
        case ReportOutput.HTML:
            from wattmesh_cli.report.page import page  # only who draws waits for plotly

            return page(shown)


def _write(text: str, path: Path) -> None:
    if path == _STANDARD_OUTPUT:
        typer.echo(text, nl=False)
        return
    try:
        path.write_text(text, encoding="utf-8")
    except OSError as error:
        raise BooksError(f"{path}: cannot be written: {error.strerror}") from None
