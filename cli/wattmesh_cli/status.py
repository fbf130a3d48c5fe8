"""How each party stands. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from wattmesh_cli.books import OPEN, Book, LedgerEntry, Party


@dataclass(frozen=True)
class PartyStatus:
    """A party's stored energy, its trades so far, the balance of its ledger, the slot that it is in, and how many of
    its readings its utility holds for a person.
    """

    party: str
    kind: str
    capacity_wh: int
    level_wh: int
    sold_wh: int
    bought_wh: int
    balance_micro: int
    open_contracts: int
    slot: int
    held_readings: int = 0

    @property
    def soc_tenths_percent(self) -> int | None:
        """State of charge in tenths of a percent, rounded half up; None without a battery."""
        if not self.capacity_wh:
            return None
        return (2000 * self.level_wh + self.capacity_wh) // (2 * self.capacity_wh)


def status_of(books: Sequence[Book]) -> list[PartyStatus]:
    """The status of all parties: households, then utilities, each by id."""
    rows = [_status(book, party) for book in books for party in book.parties]
    return sorted(rows, key=lambda row: (row.kind, row.party))


def _status(book: Book, party: Party) -> PartyStatus:
    ledger = [entry for entry in book.ledger if entry.party == party.party]
    traded = [entry for entry in ledger if entry.kind == "trade"]
    return PartyStatus(
        party=party.party,
        kind=party.kind,
        capacity_wh=party.capacity_wh,
        level_wh=party.level_wh,
        sold_wh=_energy_wh(traded, -1),
        bought_wh=_energy_wh(traded, 1),
        balance_micro=sum(entry.amount_micro for entry in ledger),
        open_contracts=sum(row.party == party.party and row.state in OPEN for row in book.contracts),
        slot=party.next_slot,
        held_readings=sum(one.party == party.party and one.state == "held" for one in book.readings),
    )


def _energy_wh(entries: Iterable[LedgerEntry], sign: int) -> int:
    return sum(max(0, sign * entry.energy_wh) for entry in entries)
