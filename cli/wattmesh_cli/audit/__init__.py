"""The audit: everything that the books say, recomputed from their rows.

It shares no code with the trading it checks, so that a mistake there cannot hide itself here. Pure.
"""

from __future__ import annotations

from collections.abc import Sequence

from wattmesh_cli.audit.accounts import set_former_apart
from wattmesh_cli.audit.chain import check_chains
from wattmesh_cli.audit.contracts import check_contracts
from wattmesh_cli.audit.findings import AuditResult, Finding, together
from wattmesh_cli.audit.forgotten import check_forgotten
from wattmesh_cli.audit.held import check_held
from wattmesh_cli.audit.ledger import check_ledger
from wattmesh_cli.audit.readings import check_readings
from wattmesh_cli.audit.rows import collect
from wattmesh_cli.audit.sharing import check_sharing
from wattmesh_cli.audit.unbooked import count_unbooked, overdue_text
from wattmesh_cli.books import Book

__all__ = ["AuditResult", "Finding", "audit", "overdue_text", "together"]


def audit(
    books: Sequence[Book], declared: frozenset[str] | None = None, below_zero: frozenset[str] = frozenset()
) -> AuditResult:
    """Check that both sides of every contract agree, every ledger entry has its cause and its mirror, energy and money
    sum to zero, what was shared is what follows from the readings, every household's readings balance, and ledgers are
    what their chains and the checkpoints of these say.

    The books must be of one moment. Where they are not quite, a finding may come from the difference: see
    `AuditResult.confirmed_by`.

    `declared` are the parties that there shall be. A counterparty that is none of them and has no book has departed, or
    is from outside: what others have with it is checked, and summed, on their side. None: every counterparty must have
    a book. Households that were forgotten have departed.

    `below_zero` are the utilities with prices that may be negative: with these, import may earn and export may cost,
    though in a slot for all customers alike.
    """
    rows, findings = collect(books, declared)
    # What was shared is by names, whichever ledgers these have had: utilities draw lots by them.
    shared = [*check_sharing(rows), *check_held(rows)]
    findings += set_former_apart(rows, books)
    contracts = check_contracts(rows)
    ledger = check_ledger(rows, contracts.undelivered_to_buyer, below_zero)
    chains = check_chains(rows, books)
    return AuditResult(
        findings=(
            *check_forgotten(books),
            *findings,
            *contracts.findings,
            *ledger.findings,
            *shared,
            *check_readings(rows),
            *chains.findings,
        ),
        deliveries_checked=contracts.checked,
        deliveries_in_flight=contracts.in_flight,
        readings_checked=sum(len(readings) for readings in rows.readings.values()),
        ledger_entries_checked=len(rows.ledger),
        entries_chained=chains.entries,
        checkpoints_checked=chains.checkpoints,
        energy_sum_wh=ledger.energy_sum_wh,
        amount_sum_micro=ledger.amount_sum_micro,
        energy_in_flight_wh=ledger.energy_in_flight_wh,
        amount_in_flight_micro=ledger.amount_in_flight_micro,
        deliveries_with_departed=contracts.with_departed,
        deliveries_with_forgotten=contracts.with_forgotten,
        closings_with_forgotten=sum(one.forgotten > 0 for one in rows.closings.values()),
        energy_with_departed_wh=ledger.energy_with_departed_wh,
        amount_with_departed_micro=ledger.amount_with_departed_micro,
        unbooked=count_unbooked(rows, books),
    )
