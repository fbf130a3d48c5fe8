"""A run that is read and evaluated: what `wattmesh kpis` and `wattmesh report` start from."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, tzinfo
from pathlib import Path
from typing import Annotated

import typer

from wattmesh_cli.alone import alone
from wattmesh_cli.books import Book, BooksError, Reading
from wattmesh_cli.kpi import Kpis, Possible, Rows, Slots, collect, kpis
from wattmesh_cli.manifest_files import planned
from wattmesh_cli.names import Names
from wattmesh_cli.output import slot_json
from wattmesh_cli.sqlite_books import read_books
from wattmesh_cli.street_record import StreetRecord, Version, read_record
from wattmesh_cli.terms import Terms, terms_of_versions
from wattmesh_operator.plan import GatewayPlan

_FORMS = ["%Y-%m-%dT%H:%M", "%Y-%m-%d %H:%M", "%Y-%m-%d"]

FilesOption = Annotated[
    list[str] | None,
    typer.Option(
        "--file",
        "-f",
        metavar="FILE",
        help="Manifests with other batteries and tariffs.",
        show_default="those that the street ran with",
    ),
]
FromOption = Annotated[
    datetime | None,
    typer.Option(
        "--from",
        formats=_FORMS,
        metavar="TIME",
        help="Only slots from here on, in the street's local time: 2026-06-21 or 2026-06-21T18:00.",
    ),
]
UntilOption = Annotated[
    datetime | None, typer.Option("--until", formats=_FORMS, metavar="TIME", help="Only slots that start before this.")
]
OptimumOption = Annotated[
    bool,
    typer.Option("--optimum", help="Also say how much of what was possible was saved. Needs wattmesh[field]."),
]


@dataclass(frozen=True)
class Evaluation:
    """The books of a run and the record of its street, the manifests it is read with (oldest first) and what they say,
    and its KPIs in the slots asked for.
    """

    books: tuple[Book, ...]
    record: StreetRecord
    versions: tuple[Version, ...]
    terms: Terms
    slots: Slots
    kpis: Kpis

    @property
    def zone(self) -> tzinfo:
        """The street's local time."""
        return self.record.zone

    @property
    def plan(self) -> GatewayPlan:
        """What ran last."""
        return self.versions[-1].plan

    @property
    def names(self) -> Names:
        """The names of all parties."""
        return Names(party.party for book in self.books for party in book.parties)


def evaluate(
    files: Sequence[str], state: Path, first: datetime | None, end: datetime | None, *, optimum: bool = False
) -> Evaluation:
    """Read the books of a state directory and compute their KPIs, from `first` until `end` in the street's local time,
    with `optimum` also what was possible.

    Raises BooksError or ValueError where that cannot be done; ends the command at mistakes in manifests.
    """
    if first is not None and end is not None and end <= first:
        raise BooksError("--until must be later than --from")
    books = read_books(state)
    record = read_record(state)
    zone = record.zone
    versions = (Version(0, planned(files)),) if files else record.versions
    terms = terms_of_versions(versions)
    slots = Slots(_slot(first, zone), _slot(end, zone))
    rows = collect(books)
    terms.check(rows.households)
    untraded = alone(rows, terms.battery, slots, terms.devices)
    result = replace(kpis(books, terms.prices, untraded, slots), utilities=terms.supply(rows, slots))
    if optimum:
        if result.unbooked_readings:
            raise BooksError("--optimum needs complete bills, and slots are not booked yet: give an earlier --until")
        result = replace(result, possible=_possible(rows, versions[-1].plan, terms, slots, untraded))
    return Evaluation(books, record, versions, terms, slots, result)


def _possible(
    rows: Rows, plan: GatewayPlan, terms: Terms, slots: Slots, alone: Mapping[str, Sequence[Reading]]
) -> Possible:
    try:
        from wattmesh_cli.field.metered import metered_possible  # only who asks for it has and waits for its libraries
        from wattmesh_cli.field.program import Unsolved
    except ModuleNotFoundError as error:
        raise BooksError(
            f"--optimum needs {error.name}, which is not installed: pip install 'wattmesh[field]'"
        ) from None
    try:
        return metered_possible(rows, plan, terms, slots, alone)
    except Unsolved as error:
        raise BooksError(str(error)) from None


def range_json(of: Evaluation) -> dict[str, object]:
    """The slots asked for."""
    return {"from": slot_json(of.slots.first, of.zone), "until": slot_json(of.slots.end, of.zone)}


def _slot(when: datetime | None, zone: tzinfo) -> int | None:
    return None if when is None else int(when.replace(tzinfo=zone).timestamp())
