"""What an audit says."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, fields, replace
from enum import Enum, auto


@dataclass(frozen=True)
class Finding:
    """One thing that is wrong. `kind` is stable, `text` is for people; `party` is None for the market as a whole."""

    kind: str
    party: str | None
    slot: int | None
    transaction_id: str | None
    text: str


class OtherSide(Enum):
    """What is known of the other side of an entry that is as it should be."""

    BOOKED = auto()
    """It is there, or need not be."""
    PENDING = auto()
    """It is about to be booked."""


@dataclass(frozen=True)
class Unbooked:
    """How many readings are not booked, how many of those are overdue, and how long the oldest has waited since the end
    of its slot (seconds of grid time; 0 when none is overdue). `held` counts those that a utility holds for a person:
    they are not overdue.
    """

    readings: int = 0
    overdue: int = 0
    oldest_s: int = 0
    held: int = 0


@dataclass(frozen=True)
class AuditResult:
    """Findings and what was checked.

    `deliveries_checked` counts deliveries of contracts that bind a side, `deliveries_in_flight` those of them whose
    sides differ as far as a message under way explains, `deliveries_with_departed` those that the other side has taken
    with it, or has deleted as it is told to, `entries_chained` ledger entries that are in a chain, and
    `checkpoints_checked` all that are kept. `deliveries_with_forgotten` are those of the departed that were forgotten;
    shares of `closings_with_forgotten` slots cannot be recomputed because of these. The sums are over all ledgers (Wh
    and millionths of the currency) without entries whose other side is still to come or is gone; those are summed apart
    as in flight, or with departed.
    """

    findings: tuple[Finding, ...]
    deliveries_checked: int
    deliveries_in_flight: int
    readings_checked: int
    ledger_entries_checked: int
    energy_sum_wh: int
    amount_sum_micro: int
    energy_in_flight_wh: int
    amount_in_flight_micro: int
    deliveries_with_departed: int = 0
    deliveries_with_forgotten: int = 0
    closings_with_forgotten: int = 0
    energy_with_departed_wh: int = 0
    amount_with_departed_micro: int = 0
    unbooked: Unbooked = Unbooked()
    entries_chained: int = 0
    checkpoints_checked: int = 0

    @property
    def right(self) -> bool:
        """Whether nothing is wrong and no reading is overdue."""
        return not self.findings and not self.unbooked.overdue

    def confirmed_by(self, later: AuditResult) -> AuditResult:
        """The later result with only those findings that this one has, too.

        Books of running pods are read one after the other, so a contract can change between its two sides' books. A
        second audit reads both sides after that change and cannot repeat such a finding; a real one stays.
        """
        return replace(later, findings=tuple(finding for finding in later.findings if finding in self.findings))


def together(results: Iterable[AuditResult]) -> AuditResult:
    """The results of books that have nothing to do with each other, as one."""
    every = [AuditResult((), 0, 0, 0, 0, 0, 0, 0, 0), *results]
    unbooked = [one.unbooked for one in every]
    counts = {
        of.name: sum(getattr(one, of.name) for one in every)
        for of in fields(AuditResult)
        if of.name not in ("findings", "unbooked")
    }
    return AuditResult(
        findings=tuple(finding for one in every for finding in one.findings),
        unbooked=Unbooked(
            readings=sum(one.readings for one in unbooked),
            overdue=sum(one.overdue for one in unbooked),
            oldest_s=max(one.oldest_s for one in unbooked),
            held=sum(one.held for one in unbooked),
        ),
        **counts,
    )
