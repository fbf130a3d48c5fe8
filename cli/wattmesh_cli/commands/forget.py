"""`wattmesh forget`: what the books keep of a household that has left goes, and they stay right."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Annotated, NamedTuple

import typer

from wattmesh_cli.books import FORGOTTEN, Book, BooksError
from wattmesh_cli.forgetting import Forgets, Leaver
from wattmesh_cli.names import Names, UnknownName
from wattmesh_cli.output import DEFAULT_OUTPUT, Output, OutputOption, print_json, refuse
from wattmesh_cli.sources import (
    AllNamespacesOption,
    ContextOption,
    FromStateOption,
    KubernetesOption,
    NamespaceOption,
    Source,
    source,
)
from wattmesh_cli.tables import Column, print_table, say
from wattmesh_common.forget import ForgottenRows


class _Row(NamedTuple):
    pod: str
    rows: ForgottenRows


def forget(
    household: Annotated[str, typer.Argument(metavar="HOUSEHOLD", help="Who has left; its id where no book names it.")],
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")] = False,
    lost: Annotated[
        bool, typer.Option("--lost", help="Its books are lost, so that it could not close its account.")
    ] = False,
    state: FromStateOption = None,
    kubernetes: KubernetesOption = False,
    namespace: NamespaceOption = None,
    all_namespaces: AllNamespacesOption = False,
    context: ContextOption = None,
    output: OutputOption = DEFAULT_OUTPUT,
) -> None:
    """Have all books forget a household that has left, for good.

    Shows what goes, and asks. Nothing names the household afterwards, or tells what it used: neighbours keep how much
    they bought and sold in each slot, utilities sums. It must have settled and closed its account, and be declared no
    more. Done again it changes nothing. On one machine the street must not be running; in a cluster pods stand still
    while their databases are written anew, and who may read the gateway's registrar Secret may have it done.
    """
    try:
        chosen = source(
            state, kubernetes=kubernetes, namespace=namespace, all_namespaces=all_namespaces, context=context
        )
        leaver, names = _leaver(chosen, household, lost=lost)
        found = chosen.forget(leaver)
        rows = [_Row(of.pod, one) for of in found for one in of.rows]
        if output is Output.TABLE and rows:
            print_table(_columns(names), rows)
        if rows and not yes:
            typer.confirm(f"Forget {leaver.household} for good?", abort=True, err=True)
        done = chosen.forget(replace(leaver, only_count=False))
    except (BooksError, UnknownName) as error:
        refuse(error)
    if output is Output.JSON:
        print_json(_as_json(leaver.household, done))
        return
    say(f"{leaver.household} is forgotten" if rows else f"nothing is kept of {leaver.household}")
    if not all(of.wiped for of in done):
        pods = ", ".join(of.pod for of in done if not of.wiped)
        say(f"{pods}: read by somebody now; run it again, so that nothing is left in unused parts of the files")


def _leaver(chosen: Source, name: str, *, lost: bool) -> tuple[Leaver, Names]:
    """The household that a name means, with a party of each pod to ask; BooksError when it has not left."""
    books, declared = chosen.books(), chosen.declared().parties
    names = Names(party for book in books for party in _named(book))
    try:
        household = names.resolve(name)
    except UnknownName:
        if "." not in name:
            text = f"{name}: no book names it; if it was forgotten before, give its id, such as {name}.default"
            raise BooksError(text) from None
        household = name
    if household in declared:
        raise BooksError(
            f"{household} has not left: delete its SolarAgent or scale it down, or on one machine run the street "
            "without it"
        )
    asked: dict[str, str] = {}
    for book in books:
        parties = sorted((one.party for one in book.parties), key=lambda party: party not in declared)
        if parties:  # those that are declared first: others may have left the pod
            asked[book.name] = parties[0]
    return Leaver(household, lost, only_count=True, asked=asked), names


def _named(book: Book) -> set[str]:
    """All that a book names."""
    found = {one.party for one in book.parties} | {one.signer for one in book.checkpoints}
    found |= {one.counterparty for one in book.contracts} | {one.counterparty for one in book.ledger}
    found |= {one.household for one in book.reported} | {one.household for one in book.held}
    found |= {one.counterparty for one in book.closing_records} | {one.counterparty for one in book.carried}
    return found - {FORGOTTEN}


def _columns(names: Names) -> list[Column[_Row]]:
    return [
        Column("POD", lambda row: row.pod),
        Column("PARTY", lambda row: names.short(row.rows.party)),
        Column("GOES", lambda row: row.rows.kind),
        Column("ROWS", lambda row: str(row.rows.rows), right=True),
    ]


def _as_json(household: str, done: Sequence[Forgets]) -> dict[str, object]:
    return {
        "household": household,
        "rows": [
            {"pod": of.pod, "party": one.party or None, "kind": one.kind, "rows": one.rows}
            for of in done
            for one in of.rows
        ],
        "wiped": all(of.wiped for of in done),
    }
