"""The rows of all books by household or utility, in order of slots, and which slots are asked for."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction

from wattmesh_cli.books import FORGOTTEN, Book, ContractRow, LedgerEntry, Pair, Reading, paired


@dataclass(frozen=True)
class Slots:
    """Delivery slots that start at `first` or later and before `end` (unix seconds of grid time); None: no bound."""

    first: int | None = None
    end: int | None = None

    def __contains__(self, slot: int) -> bool:
        return (self.first is None or self.first <= slot) and (self.end is None or slot < self.end)


ALL_SLOTS = Slots()


@dataclass(frozen=True)
class Rows:
    """Names are in order; a party without rows has empty ones."""

    households: tuple[str, ...]
    utilities: tuple[str, ...]
    readings: Mapping[str, Sequence[Reading]]
    ledger: Mapping[str, Sequence[LedgerEntry]]
    pairs: Sequence[Pair]
    purchases: Mapping[str, Sequence[ContractRow]]
    """By buyer, as it holds them."""
    covered_wh: Mapping[LedgerEntry, int]
    """What of purchases from households came out of the backstop: the seller had neither sun nor store for it."""
    messages: Mapping[str, int]
    """How many were sent in the whole run, by Beckn action; empty where nobody has counted."""

    @property
    def neighbours(self) -> frozenset[str]:
        """Who trades as a household: those that there are, and those that were forgotten."""
        return frozenset((*self.households, FORGOTTEN))


def collect(books: Sequence[Book]) -> Rows:
    """The rows of all books. Books and rows may come in any order."""
    kinds = {party.party: party.kind for book in books for party in book.parties}
    readings: defaultdict[str, list[Reading]] = defaultdict(list)
    ledger: defaultdict[str, list[LedgerEntry]] = defaultdict(list)
    purchases: defaultdict[str, list[ContractRow]] = defaultdict(list)
    messages: Counter[str] = Counter()
    for book in books:
        for row in book.contracts:
            if row.side == "buyer":
                purchases[row.party].append(row)
        for count in book.messages:
            messages[count.action] += count.sent
        for reading in book.readings:
            readings[reading.party].append(reading)
        for entry in book.ledger:
            ledger[entry.party].append(entry)
    households = tuple(sorted(name for name, kind in kinds.items() if kind == "household"))
    covered = {(one.party, one.slot): one.covered_wh for rows in readings.values() for one in rows if one.covered_wh}
    return Rows(
        households=households,
        utilities=tuple(sorted(name for name, kind in kinds.items() if kind == "utility")),
        readings={name: sorted(readings[name], key=lambda reading: reading.slot) for name in kinds},
        ledger={name: sorted(ledger[name], key=lambda entry: entry.slot) for name in kinds},
        pairs=paired(row for book in books for row in book.contracts),
        purchases={name: purchases[name] for name in kinds},
        covered_wh=_covered_wh(covered, [entry for name in households for entry in ledger[name]]) if covered else {},
        messages=messages,
    )


@dataclass(frozen=True)
class Supplied:
    """What a household exchanged with its utility in a slot, as booked: net import (export is negative), how much of it
    neighbours had or needed at that moment, and what it earned by it (a cost is negative).
    """

    slot: int
    net_wh: int
    shared_wh: int
    amount_micro: int

    @property
    def utility_wh(self) -> int:
        """What the utility itself supplied, or took (negative)."""
        return self.net_wh - self.shared_wh if self.net_wh > 0 else self.net_wh + self.shared_wh


def supplied(entries: Iterable[LedgerEntry]) -> list[Supplied]:
    """The supply of one household, slot by slot; what was shared and then corrected away is not shared."""
    by_slot: defaultdict[int, list[LedgerEntry]] = defaultdict(list)
    for entry in entries:
        if entry.kind in ("backstop", "shared"):
            by_slot[entry.slot].append(entry)
    return [
        Supplied(
            slot,
            net_wh := sum(entry.energy_wh for entry in found),
            max(0, min(sum(_along(entry, net_wh) for entry in found if entry.kind == "shared"), abs(net_wh))),
            sum(entry.amount_micro for entry in found),
        )
        for slot, found in by_slot.items()
    ]


def _along(entry: LedgerEntry, net_wh: int) -> int:
    return entry.energy_wh if net_wh > 0 else -entry.energy_wh


def _covered_wh(covered: Mapping[tuple[str, int], int], entries: Iterable[LedgerEntry]) -> dict[LedgerEntry, int]:
    """What sellers had from the backstop, spread over what households have booked of them in that slot, by energy."""
    bought: defaultdict[tuple[str, int], list[LedgerEntry]] = defaultdict(list)
    for entry in entries:
        if entry.kind == "trade" and entry.energy_wh > 0 and (entry.counterparty, entry.slot) in covered:
            bought[entry.counterparty, entry.slot].append(entry)
    found: dict[LedgerEntry, int] = {}
    for key, purchases in bought.items():
        of_wh = sum(entry.energy_wh for entry in purchases)
        left_wh = min(covered[key], of_wh)
        for entry in purchases:
            found[entry] = left_wh * entry.energy_wh // of_wh
            left_wh, of_wh = left_wh - found[entry], of_wh - entry.energy_wh
    return found


def share(part: int, whole: int) -> Fraction | None:
    """Part of a whole; None of a whole of 0."""
    return Fraction(part, whole) if whole else None
