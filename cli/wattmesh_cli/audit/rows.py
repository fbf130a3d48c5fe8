"""All books' rows together, and what is wrong with who keeps them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from wattmesh_cli.audit.findings import Finding
from wattmesh_cli.books import FORGOTTEN, Book, Closing, ContractRow, Held, LedgerEntry, Party, Reading, Reported


class Sums(NamedTuple):
    """How many entries, energy received (Wh) and money earned (millionths)."""

    entries: int = 0
    energy_wh: int = 0
    amount_micro: int = 0

    def plus(self, entries: int, energy_wh: int, amount_micro: int) -> Sums:
        """With more of it."""
        return Sums(self.entries + entries, self.energy_wh + energy_wh, self.amount_micro + amount_micro)

    @property
    def mirrored(self) -> Sums:
        """As the other side has it."""
        return Sums(self.entries, -self.energy_wh, -self.amount_micro)

    def __str__(self) -> str:
        return f"{self.entries} entries, {self.energy_wh:+d} Wh, {self.amount_micro:+d} millionths"


@dataclass
class Rows:
    """Rows by what they are looked up with; readings by party, then slot."""

    parties: dict[str, Party] = field(default_factory=dict)
    contracts: list[ContractRow] = field(default_factory=list)
    ledger: list[LedgerEntry] = field(default_factory=list)
    readings: dict[str, dict[int, Reading]] = field(default_factory=dict)
    reported: dict[tuple[str, int], dict[str, Reported]] = field(default_factory=dict)
    """By utility and slot, then household."""
    held: dict[tuple[str, int, str], Held] = field(default_factory=dict)
    """By utility, slot and household."""
    corrections: dict[tuple[str, int, str], dict[int, LedgerEntry]] = field(default_factory=dict)
    """Entries that correct a bill, by who keeps them, slot and counterparty, then number."""
    supply: dict[tuple[str, int, str], LedgerEntry] = field(default_factory=dict)
    """Entries for what a utility has supplied first to those of whom it holds or held a reading, likewise."""
    closings: dict[tuple[str, int], Closing] = field(default_factory=dict)
    """By utility and slot."""
    carried: dict[str, dict[str, Sums]] = field(default_factory=dict)
    """What was booked by those who have deleted what is older than their first slot, by party and counterparty."""
    departed: frozenset[str] = frozenset()
    """Parties that are gone with their books; what others have with them is checked on that one side."""

    def is_kind(self, party: str, kind: str) -> bool:
        """Whether a party is known and of a kind."""
        return party in self.parties and self.parties[party].kind == kind

    def billed_wh(self, reported: Reported) -> list[int]:
        """Net imports that a reading was billed for, one after the other: the first, and after each correction."""
        found = [reported.net_wh]
        entries = self.corrections.get((reported.party, reported.slot, reported.household), {})
        for _, entry in sorted(entries.items()):
            found.append(found[-1] - entry.energy_wh)
        return found

    def known_wh(self, reported: Reported) -> int:
        """What of that the household knows, who may have a correction still to hear of."""
        billed_wh = self.billed_wh(reported)
        heard = len(self.corrections.get((reported.household, reported.slot, reported.party), {}))
        return billed_wh[min(heard, len(billed_wh) - 1)]


def collect(books: Sequence[Book], declared: frozenset[str] | None) -> tuple[Rows, list[Finding]]:
    """The rows of all books; of a party that two books have, those of the first. `declared`: see `audit`."""
    rows = Rows()
    findings: list[Finding] = []
    home: dict[str, str] = {}
    for book in books:
        for party in book.parties:
            if party.party in home:
                findings.append(
                    _of_party("two-books", party.party, f"is in two books: {home[party.party]}, {book.name}")
                )
                continue
            home[party.party] = book.name
            rows.parties[party.party] = party
            rows.readings[party.party] = {}
        listed = {party.party for party in book.parties}
        mine = {name for name in listed if home[name] == book.name}
        rows.contracts += [row for row in book.contracts if row.party in mine]
        rows.ledger += [row for row in book.ledger if row.party in mine]
        for reading in book.readings:
            if reading.party in mine:
                rows.readings[reading.party][reading.slot] = reading
        for reported in book.reported:
            if reported.party in mine:
                rows.reported.setdefault((reported.party, reported.slot), {})[reported.household] = reported
        rows.held |= {(one.party, one.slot, one.household): one for one in book.held if one.party in mine}
        for one in book.carried:
            if one.party in mine:
                of_party = rows.carried.setdefault(one.party, {})
                sums = of_party.get(one.counterparty, Sums())
                energy_wh = one.received_wh - one.given_wh
                of_party[one.counterparty] = sums.plus(one.entries, energy_wh, one.amount_micro)
        rows.closings |= {(one.party, one.slot): one for one in book.closings if one.party in mine}
        keepers = {row.party for row in book.contracts} | {row.party for row in book.ledger}
        keepers |= {row.party for row in book.readings} | {row.party for row in book.reported}
        keepers |= {row.party for row in book.held}
        findings += [
            _of_party("unlisted", name, f"has rows in book {book.name}, which does not list it")
            for name in sorted(keepers - listed)
        ]
    for entry in rows.ledger:
        if (number := entry.correction) is not None:
            rows.corrections.setdefault((entry.party, entry.slot, entry.counterparty), {})[number] = entry
        elif entry.reference == "supply" and (entry.party, entry.slot, entry.counterparty) in rows.held:
            rows.supply[entry.party, entry.slot, entry.counterparty] = entry
    rows.departed = frozenset({FORGOTTEN}) if declared is None else _departed(rows, declared) | {FORGOTTEN}
    return rows, findings + _absent(rows)


def _departed(rows: Rows, declared: frozenset[str]) -> frozenset[str]:
    """Counterparties that have no book here and need none, for nobody declares them: they have left, or never were of
    this market, as another platform on its network.
    """
    named = {row.counterparty for row in rows.contracts} | {row.counterparty for row in rows.ledger}
    return frozenset(named - declared - set(rows.parties))


def _absent(rows: Rows) -> list[Finding]:
    contracts = Counter(row.counterparty for row in rows.contracts)
    entries = Counter(row.counterparty for row in rows.ledger)
    return [
        _of_party(
            "no-book",
            name,
            f"has no book, but others have {contracts[name]} deliveries and {entries[name]} entries with it",
        )
        for name in sorted({*contracts, *entries} - set(rows.parties) - rows.departed)
    ]


def _of_party(kind: str, party: str, text: str) -> Finding:
    return Finding(kind, party, None, None, text)
