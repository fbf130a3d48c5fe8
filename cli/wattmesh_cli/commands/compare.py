"""`wattmesh compare`: finished runs beside each other."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from decimal import Decimal
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from wattmesh_cli.books import BooksError
from wattmesh_cli.comparison import Compared, Setting, compared, settings
from wattmesh_cli.evaluation import Evaluation, FromOption, UntilOption, evaluate
from wattmesh_cli.kpi import COMMUNITY
from wattmesh_cli.kpi_forms import kpi_rows
from wattmesh_cli.output import csv_text, print_json, refuse, slot_text
from wattmesh_cli.street_record import resources_of
from wattmesh_cli.tables import Column, print_table, say
from wattmesh_operator.manifests import as_document, values_of


class CompareOutput(StrEnum):
    """How to print."""

    TABLE = "table"
    JSON = "json"
    CSV = "csv"


_DEFAULT_OUTPUT = CompareOutput.TABLE


def compare(
    states: Annotated[list[Path], typer.Argument(metavar="DIR...", help="State directories of two or more runs.")],
    first: FromOption = None,
    end: UntilOption = None,
    output: Annotated[
        CompareOutput,
        typer.Option("--output", "-o", help="Tables, or all parties' KPIs as JSON or CSV."),
    ] = _DEFAULT_OUTPUT,
) -> None:
    """Compare runs: what their manifests say differently, and each KPI with its difference from the first run.

    The runs must have metered the same slots, at least between --from and --until, and have one currency. Tables show
    the community's KPIs.
    """
    try:
        if len(states) < 2:
            raise BooksError("name the state directories of two runs, or more")
        asked = [evaluate([], state, first, end) for state in states]
        _check(states, asked)
    except (BooksError, ValueError) as error:
        refuse(error)
    names = _names(states)
    told = settings([_told(one) for one in asked])
    kpis = compared([_values(one) for one in asked])
    match output:
        case CompareOutput.JSON:
            print_json(_as_json(names, told, kpis))
        case CompareOutput.CSV:
            typer.echo(csv_text(["party", "kpi", "run", "value", "difference"], _csv_rows(names, kpis)), nl=False)
        case CompareOutput.TABLE:
            _print(names, told, [one for one in kpis if one.party == COMMUNITY])


def _names(states: Sequence[Path]) -> list[str]:
    """Of runs: their directories' names, whole paths where those are not different."""
    short = [state.absolute().name for state in states]
    return short if len(set(short)) == len(short) else [str(state) for state in states]


def _check(states: Sequence[Path], asked: Sequence[Evaluation]) -> None:
    """BooksError where the runs cannot be compared."""
    one, *others = ((state, of, _metered(of)) for state, of in zip(states, asked, strict=True))
    for other in others:
        currencies = [of.plan.resource.spec.currency for _, of, _ in (one, other)]
        if currencies[0] != currencies[1]:
            raise BooksError(f"{one[0]} is in {currencies[0]}, {other[0]} in {currencies[1]}")
        if one[2] != other[2]:
            ran = "; ".join(f"{state}: {_range(of, slots)}" for state, of, slots in (one, other))
            raise BooksError(f"the runs have metered other slots ({ran}); choose those of both by --from and --until")


def _metered(of: Evaluation) -> list[int]:
    slots = {reading.slot for book in of.books for reading in book.readings if reading.slot in of.slots}
    return sorted(slots)


def _range(of: Evaluation, slots: Sequence[int]) -> str:
    if not slots:
        return "none"
    return f"{len(slots)} from {slot_text(slots[0], of.zone)} to {slot_text(slots[-1], of.zone)}"


def _told(of: Evaluation) -> dict[str, object]:
    """All that the run is told, by path."""
    study = of.record.study
    ran = {} if study is None else {"--seed": study.seed, "--mechanism": study.mechanism, "--over": str(study.over)}
    said = {path: value for one in resources_of(of.plan) for path, value in values_of(as_document(one))}
    return {**said, **ran}


def _values(of: Evaluation) -> dict[str, dict[str, object]]:
    values: dict[str, dict[str, object]] = {}
    for party, kpi, value in kpi_rows(of.kpis):
        values.setdefault(party, {})[kpi] = value
    return values


def _print(names: Sequence[str], told: Sequence[Setting], kpis: Sequence[Compared]) -> None:
    if told:
        print_table(
            [
                Column("SETTING", lambda row: row.path),
                *(Column(name, _setting(at), right=True) for at, name in enumerate(names)),
            ],
            told,
        )
    else:
        say("The runs have the same manifests and seed.")
    say("")
    differing = [one for one in kpis if one.differs]
    if differing:
        print_table(
            [
                Column("KPI", lambda row: row.kpi),
                *(Column(name, _value(at), right=True) for at, name in enumerate(names)),
                *(Column(f"{name} - {names[0]}", _difference(at), right=True) for at, name in enumerate(names[1:])),
            ],
            differing,
        )
    say(f"{len(kpis) - len(differing)} of {len(kpis)} KPIs are the same.")


def _setting(at: int) -> Callable[[Setting], str]:
    return lambda row: "-" if row.values[at] is None else str(row.values[at])


def _value(at: int) -> Callable[[Compared], str]:
    return lambda row: _text(row.values[at], "f")


def _difference(at: int) -> Callable[[Compared], str]:
    return lambda row: _text(row.differences[at], "+f")


def _text(value: Decimal | None, form: str) -> str:
    return "-" if value is None else format(value, form)


def _as_json(names: Sequence[str], told: Sequence[Setting], kpis: Sequence[Compared]) -> dict[str, object]:
    def texts(values: Sequence[Decimal | None]) -> list[str | None]:
        return [None if value is None else format(value, "f") for value in values]

    return {
        "runs": list(names),
        "settings": [{"path": one.path, "values": list(one.values)} for one in told],
        "kpis": [
            {
                "party": one.party,
                "kpi": one.kpi,
                "values": texts(one.values),
                "differences": texts(one.differences),
            }
            for one in kpis
        ],
    }


def _csv_rows(names: Sequence[str], kpis: Sequence[Compared]) -> list[list[str]]:
    def text(value: Decimal | None) -> str:
        return "" if value is None else format(value, "f")

    return [
        [one.party, one.kpi, name, text(value), text(difference)]
        for one in kpis
        for name, value, difference in zip(names, one.values, (None, *one.differences), strict=True)
    ]
