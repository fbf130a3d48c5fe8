"""`wattmesh audit`: do all books agree?"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import tzinfo

import typer

from wattmesh_cli.audit import AuditResult, Finding, overdue_text, together
from wattmesh_cli.audit import audit as audit_books
from wattmesh_cli.books import Book, BooksError
from wattmesh_cli.names import Names
from wattmesh_cli.output import (
    DEFAULT_TABLE,
    FOUND,
    TableOutput,
    TableOutputOption,
    print_json,
    refuse,
    slot_json,
    slot_text,
)
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
from wattmesh_market.units import kwh_text, money_text


def audit(
    state: FromStateOption = None,
    kubernetes: KubernetesOption = False,
    namespace: NamespaceOption = None,
    all_namespaces: AllNamespacesOption = False,
    context: ContextOption = None,
    output: TableOutputOption = DEFAULT_TABLE,
) -> None:
    """Recompute every contract, ledger and meter reading from the books. Exit code 1 when something is wrong.

    So it is when readings are overdue, not booked 105 minutes of grid time after their slot, which is said first: the
    machine is too slow for the street, or a utility or seller does not answer.

    Works while the street runs, too: what a message under way explains is counted as in flight, not as wrong.
    Contracts with parties that no resource of the cluster declares any more are checked on the one side there is.
    """
    try:
        chosen = source(
            state, kubernetes=kubernetes, namespace=namespace, all_namespaces=all_namespaces, context=context
        )
        result, names = _audit_twice(chosen)
        zone = chosen.zone()
    except BooksError as error:
        refuse(error)
    if output is TableOutput.JSON:
        print_json(audit_json(result, zone))
    else:
        _print(result, names, zone, wide=output is TableOutput.WIDE)
    if not result.right:
        raise typer.Exit(FOUND)


def _audit_twice(chosen: Source) -> tuple[AuditResult, Names]:
    """The result of one audit, or where it found something, of a second that confirms it."""
    result, names = _audit_once(chosen)
    if result.findings:
        second, names = _audit_once(chosen)
        result = result.confirmed_by(second)
    return result, Names(names)


def _audit_once(chosen: Source) -> tuple[AuditResult, set[str]]:
    """One market after the other; the result, and the names of all parties."""
    names: set[str] = set()

    def audited(books: Sequence[Book]) -> AuditResult:
        names.update(party.party for book in books for party in book.parties)
        # Asked after the books: who joined while they were read must not pass for departed.
        declared = chosen.declared()
        return audit_books(books, declared.parties, declared.below_zero)

    return together(map(audited, chosen.markets())), names  # map holds no market while the next one is read


def _print(result: AuditResult, names: Names, zone: tzinfo, *, wide: bool) -> None:
    columns: list[Column[Finding]] = [
        Column("KIND", lambda finding: finding.kind),
        Column("PARTY", lambda finding: names.short(finding.party or "")),
        Column("SLOT", lambda finding: slot_text(finding.slot, zone), 1),
        Column("TRANSACTION", lambda finding: (finding.transaction_id or "")[: None if wide else 8], 2),
        Column("FINDING", lambda finding: names.shorten(finding.text), wraps=True),
    ]
    if result.unbooked.overdue:
        say(overdue_text(result))
    if result.unbooked.held:
        what = "1 reading is" if result.unbooked.held == 1 else f"{result.unbooked.held} readings are"
        say(f"{what} held for a person: `wattmesh readings --held` lists them")
    if result.deliveries_with_forgotten or result.closings_with_forgotten:
        say(_forgotten_text(result))
    if result.findings:
        print_table(columns, result.findings, wide=wide)
    say(summary_line(result))


def summary_line(result: AuditResult) -> str:
    """What was checked, and how much was wrong."""
    departed = (
        f", {result.deliveries_with_departed} with parties without a book here"
        if result.deliveries_with_departed
        else ""
    )
    return (
        f"{result.deliveries_checked} deliveries ({result.deliveries_in_flight} in flight{departed}), "
        f"{result.readings_checked} readings and {result.ledger_entries_checked} ledger entries checked; "
        f"sums {kwh_text(result.energy_sum_wh)} kWh and {money_text(result.amount_sum_micro)}: "
        f"{_count(len(result.findings), result.unbooked.overdue)}"
    )


def _forgotten_text(result: AuditResult) -> str:
    return (
        f"households were forgotten: {result.deliveries_with_forgotten} deliveries have one side only, and shares of "
        f"{result.closings_with_forgotten} slots cannot be recomputed"
    )


def _count(findings: int, overdue: int) -> str:
    if not findings:
        return "nothing wrong in what is booked" if overdue else "nothing wrong"
    return "1 finding" if findings == 1 else f"{findings} findings"


def audit_json(result: AuditResult, zone: tzinfo) -> dict[str, object]:
    """An audit's result, JSON-able."""
    return {
        "readings_unbooked": result.unbooked.readings,
        "readings_overdue": result.unbooked.overdue,
        "oldest_overdue_s": result.unbooked.oldest_s,
        "readings_held": result.unbooked.held,
        "findings": [
            {
                "kind": finding.kind,
                "party": finding.party,
                "slot_start": slot_json(finding.slot, zone),
                "transaction_id": finding.transaction_id,
                "text": finding.text,
            }
            for finding in result.findings
        ],
        "deliveries_checked": result.deliveries_checked,
        "deliveries_in_flight": result.deliveries_in_flight,
        "readings_checked": result.readings_checked,
        "ledger_entries_checked": result.ledger_entries_checked,
        "entries_chained": result.entries_chained,
        "checkpoints_checked": result.checkpoints_checked,
        "energy_sum_kwh": kwh_text(result.energy_sum_wh),
        "amount_sum": money_text(result.amount_sum_micro),
        "energy_in_flight_kwh": kwh_text(result.energy_in_flight_wh),
        "amount_in_flight": money_text(result.amount_in_flight_micro),
        "deliveries_with_departed": result.deliveries_with_departed,
        "deliveries_with_forgotten": result.deliveries_with_forgotten,
        "closings_with_forgotten": result.closings_with_forgotten,
        "energy_with_departed_kwh": kwh_text(result.energy_with_departed_wh),
        "amount_with_departed": money_text(result.amount_with_departed_micro),
    }
