"""Checks of ledgers: every entry has a cause and, in the other party's ledger, a mirror; all sum to zero."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator
from collections.abc import Set as AbstractSet
from dataclasses import dataclass

from wattmesh_cli.audit.findings import Finding, OtherSide
from wattmesh_cli.audit.grid_fees import check_grid_fees
from wattmesh_cli.audit.held import BY_A_PERSON
from wattmesh_cli.audit.rows import Rows
from wattmesh_cli.books import DELIVERED, LedgerEntry, Reading

_REFERENCES = {"backstop": "supply", "shared": "shared"}
"""References of entries of supply, by kind; of backstop, those of corrections, too."""
_Supplies = dict[tuple[str, str, int], list[LedgerEntry]]
"""Entries of supply by who keeps them, counterparty and slot."""


@dataclass(frozen=True)
class LedgerChecks:
    """Findings, and sums (Wh, millionths): of what should sum to zero, waits for its other side, or has lost it."""

    findings: list[Finding]
    energy_sum_wh: int
    amount_sum_micro: int
    energy_in_flight_wh: int
    amount_in_flight_micro: int
    energy_with_departed_wh: int
    amount_with_departed_micro: int


class _Signs:
    """Energy and money of a supply have opposite signs, but where a utility's price is below 0: for all in its slot."""

    def __init__(self, rows: Rows, below_zero: AbstractSet[str]) -> None:
        self._rows = rows
        self._positive: set[tuple[str, int, bool]] = set()
        self._negative: set[tuple[str, int, bool]] = set()
        for entry in rows.ledger:
            if entry.kind == "backstop" and entry.reference == "supply" and entry.energy_wh and entry.amount_micro:
                key = self._key(entry)
                if key[0] in below_zero:
                    (self._negative if entry.energy_wh * entry.amount_micro > 0 else self._positive).add(key)

    def problem(self, entry: LedgerEntry) -> str:
        """What is wrong with the signs of a supply entry; empty: nothing."""
        if entry.energy_wh * entry.amount_micro <= 0:
            return ""
        utility, slot, imports = self._key(entry)
        # What a correction takes back may have been priced either way.
        priced = {(utility, slot, imports), (utility, slot, imports != (entry.correction is not None))}
        text = f"supply entry is {_values(entry)}: energy and money have the same sign"
        if entry.kind != "backstop" or priced.isdisjoint(self._negative):
            return text
        return f"{text}, and not for all in this slot" if priced <= self._positive else ""

    def _key(self, entry: LedgerEntry) -> tuple[str, int, bool]:
        """Utility, slot, and whether the household imports."""
        if self._rows.is_kind(entry.party, "utility"):
            return entry.party, entry.slot, entry.energy_wh < 0
        return entry.counterparty, entry.slot, entry.energy_wh > 0


def check_ledger(
    rows: Rows, undelivered_to_buyer: AbstractSet[tuple[str, str, str, int]], below_zero: AbstractSet[str]
) -> LedgerChecks:
    """Check all entries.

    `undelivered_to_buyer` are the sales (seller, transaction, buyer, slot) that the buyer has yet to book, and
    `below_zero` the utilities with prices that may be negative.
    """
    supplies: _Supplies = defaultdict(list)
    for entry in rows.ledger:
        if entry.kind in _REFERENCES:
            supplies[entry.party, entry.counterparty, entry.slot].append(entry)
    fees, signs = check_grid_fees(rows), _Signs(rows, below_zero)
    findings = [*_trades(rows), *_household_supplies(rows, supplies, signs), *fees.findings]
    one_sided = [
        entry
        for entry in rows.ledger
        if entry.kind == "trade"
        and entry.energy_wh <= 0
        and (entry.party, entry.reference, entry.counterparty, entry.slot) in undelivered_to_buyer
    ] + fees.one_sided
    for entry in rows.ledger:
        if entry.kind in _REFERENCES and rows.is_kind(entry.party, "utility"):
            answer = _answer(entry, rows, supplies, signs)
            if answer is OtherSide.PENDING:
                one_sided.append(entry)
            elif isinstance(answer, str):
                findings.append(_of("ledger-backstop", entry, answer))
    energy_with_departed_wh, amount_with_departed_micro = _sum(
        entry for entry in rows.ledger if entry.counterparty in rows.departed
    )
    energy_wh, amount_micro = _sum(entry for entry in rows.ledger if entry.counterparty not in rows.departed)
    energy_in_flight_wh, amount_in_flight_micro = _sum(one_sided)
    energy_wh -= energy_in_flight_wh
    amount_micro -= amount_in_flight_micro
    if energy_wh:
        findings.append(Finding("ledger-sum", None, None, None, f"energy over all ledgers sums to {energy_wh:+d} Wh"))
    if amount_micro:
        text = f"money over all ledgers sums to {amount_micro:+d} millionths"
        findings.append(Finding("ledger-sum", None, None, None, text))
    return LedgerChecks(
        findings,
        energy_wh,
        amount_micro,
        energy_in_flight_wh,
        amount_in_flight_micro,
        energy_with_departed_wh,
        amount_with_departed_micro,
    )


def _sum(entries: Iterable[LedgerEntry]) -> tuple[int, int]:
    energy_wh = amount_micro = 0
    for entry in entries:
        energy_wh += entry.energy_wh
        amount_micro += entry.amount_micro
    return energy_wh, amount_micro


def _trades(rows: Rows) -> Iterator[Finding]:
    """Every delivered contract has its entry, and every trade entry its contract."""
    booked = {
        (entry.party, entry.slot, entry.counterparty, entry.reference): entry
        for entry in rows.ledger
        if entry.kind == "trade"
    }
    for row in rows.contracts:
        if row.state not in DELIVERED:
            continue
        entry = booked.pop((row.party, row.slot, row.counterparty, row.transaction_id), None)
        if entry is None:
            text = f"{row.side} is {row.state}, but has no ledger entry of it"
            yield Finding("ledger-trade", row.party, row.slot, row.transaction_id, text)
        elif row.delivered_wh is not None and row.settled_micro is not None:
            sign = 1 if row.side == "buyer" else -1
            due = (sign * row.delivered_wh, -sign * row.settled_micro)
            if (entry.energy_wh, entry.amount_micro) != due:
                yield _of("ledger-trade", entry, f"entry is {_values(entry)}; by the contract {_text(*due)}")
    for entry in booked.values():
        yield _of("ledger-trade", entry, f"entry of {_values(entry)} has no delivered contract")


def _household_supplies(rows: Rows, supplies: _Supplies, signs: _Signs) -> Iterator[Finding]:
    """Every booked exchange with the utility has its entries, and these their booked reading and their mirrors."""
    entries: defaultdict[tuple[str, int], list[LedgerEntry]] = defaultdict(list)
    for (party, _, slot), found in supplies.items():
        if rows.is_kind(party, "household"):
            entries[party, slot] += found
    for party, readings in rows.readings.items():
        for slot, reading in readings.items():
            if reading.state == "booked" and reading.net_wh and (party, slot) not in entries:
                text = f"reading is booked with a supply of {reading.net_wh:+d} Wh, but there is no entry of it"
                yield Finding("ledger-backstop", party, slot, None, text)
    for (party, slot), found in entries.items():
        kinds = [(entry.kind, entry.reference) for entry in found]
        if len(set(kinds)) < len(kinds):
            yield Finding("ledger-backstop", party, slot, None, f"has {len(found)} supply entries for one slot")
        for utility in dict.fromkeys(entry.counterparty for entry in found):
            of_utility = [entry for entry in found if entry.counterparty == utility]
            yield from _cause(of_utility, rows.readings[party].get(slot))
        for entry in found:
            if problem := signs.problem(entry):
                yield _of("ledger-backstop", entry, problem)
            if problem := _wrong_reference(entry):
                yield _of("ledger-backstop", entry, problem)
            else:
                yield from _mirror(entry, rows, supplies)


def _cause(entries: list[LedgerEntry], reading: Reading | None) -> Iterator[Finding]:
    """What the entries of a slot with one utility come from."""
    entry, energy_wh = entries[0], sum(entry.energy_wh for entry in entries)
    if reading is None or reading.state != "booked":
        state = "missing" if reading is None else reading.state
        yield _of("ledger-backstop", entry, f"supply entry of {_values(entry)}, but the reading is {state}")
    elif not (reading.imported_wh or reading.exported_wh) and len(entries) == 1:
        yield _of("ledger-backstop", entry, f"supply entry of {_values(entry)}, but nothing was imported or exported")
    elif energy_wh != reading.net_wh:
        text = f"supply entry is {energy_wh:+d} Wh; by the reading {reading.net_wh:+d} Wh"
        yield _of("ledger-backstop", entry, text)


def _mirror(entry: LedgerEntry, rows: Rows, supplies: _Supplies) -> Iterator[Finding]:
    utility = entry.counterparty
    if utility not in rows.parties:
        return
    if not rows.is_kind(utility, "utility"):
        yield _of("ledger-backstop", entry, f"supply entry is with {utility}, which is no utility")
        return
    mirrors = [one for one in supplies.get((utility, entry.party, entry.slot), []) if _alike(one, entry)]
    if not mirrors:
        yield _of("ledger-backstop", entry, f"supply entry of {_values(entry)}, but {utility} has none for this slot")
    for mirror in mirrors:
        if (mirror.energy_wh, mirror.amount_micro) != (-entry.energy_wh, -entry.amount_micro):
            text = f"supply entry is {_values(entry)}; that of {utility} is {_values(mirror)}"
            yield _of("ledger-backstop", entry, text)


def _answer(entry: LedgerEntry, rows: Rows, supplies: _Supplies, signs: _Signs) -> OtherSide | str:
    """The household's side of a utility's entry, or what is wrong with it."""
    household = entry.counterparty
    if problem := _wrong_reference(entry):
        return problem
    if household in rows.departed:
        return signs.problem(entry) or OtherSide.BOOKED  # otherwise the household's own entry would tell
    if household not in rows.parties:
        return OtherSide.BOOKED
    booked = supplies.get((household, entry.party, entry.slot), ())
    if any(_alike(one, entry) or _wrong_reference(one) for one in booked):
        return OtherSide.BOOKED  # otherwise the household's own entry tells
    reading = rows.readings[household].get(entry.slot)
    reported = rows.reported.get((entry.party, entry.slot), {}).get(household)
    provisional = reported is not None and reported.provisional
    if reading is not None and reading.state in (("open", "final") if provisional else ("final", "held")):
        billed_wh = -sum(one.energy_wh for one in supplies[entry.party, household, entry.slot])
        held = rows.held.get((entry.party, entry.slot, household))
        if provisional or billed_wh == reading.net_wh or (held is not None and held.state in BY_A_PERSON):
            return OtherSide.PENDING
    if reading is not None and reading.estimated_wh is not None and (entry.correction or 0) > 0:
        return OtherSide.PENDING  # it has yet to hear of this correction
    known = "no reading" if reading is None else f"a reading {reading.state} with {reading.net_wh:+d} Wh"
    return f"supply entry of {_values(entry)}, but {household} has no entry and {known}"


def _alike(one: LedgerEntry, other: LedgerEntry) -> bool:
    return (one.kind, one.reference) == (other.kind, other.reference)


def _wrong_reference(entry: LedgerEntry) -> str:
    """What is wrong with the reference of a supply entry; empty: nothing."""
    known = _REFERENCES[entry.kind]
    if entry.reference == known or entry.correction is not None:
        return ""
    return f"supply entry has the reference {entry.reference}, not {known}"


def _values(entry: LedgerEntry) -> str:
    return _text(entry.energy_wh, entry.amount_micro)


def _text(energy_wh: int, amount_micro: int) -> str:
    return f"{energy_wh:+d} Wh, {amount_micro:+d} millionths"


def _of(kind: str, entry: LedgerEntry, text: str) -> Finding:
    return Finding(kind, entry.party, entry.slot, entry.reference if entry.kind == "trade" else None, text)
