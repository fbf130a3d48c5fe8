"""Checks of grid fees: what households sold under one is owed to a utility, once, and both have booked the same."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from wattmesh_cli.audit.findings import Finding, OtherSide
from wattmesh_cli.audit.rows import Rows
from wattmesh_cli.books import DELIVERED, LedgerEntry

_Fees = Mapping[tuple[str, int], list[LedgerEntry]]
"""Fee entries of households, by household and slot."""


@dataclass(frozen=True)
class FeeChecks:
    """Findings, and the utilities' entries that the household is about to book."""

    findings: list[Finding]
    one_sided: list[LedgerEntry]


def check_grid_fees(rows: Rows) -> FeeChecks:
    """Check all entries of grid fees. How much a kWh costs is in no book; who owes for how many kWh is."""
    sold_wh: defaultdict[tuple[str, int], int] = defaultdict(int)
    for row in rows.contracts:
        if row.side == "seller" and row.fee_micro and row.state in DELIVERED and rows.is_kind(row.party, "household"):
            sold_wh[row.party, row.slot] += row.delivered_wh or 0
    fees: defaultdict[tuple[str, int], list[LedgerEntry]] = defaultdict(list)
    mirrors: defaultdict[tuple[str, str, int], list[LedgerEntry]] = defaultdict(list)
    findings: list[Finding] = []
    for entry in rows.ledger:
        if entry.kind == "grid_fee":
            if rows.is_kind(entry.party, "household"):
                fees[entry.party, entry.slot].append(entry)
            else:
                mirrors[entry.counterparty, entry.party, entry.slot].append(entry)
    findings += _owed(rows, sold_wh, fees)
    for (party, slot), found in fees.items():
        if len(found) > 1:
            findings.append(Finding("ledger-fee", party, slot, None, f"has {len(found)} fee entries for one slot"))
        for entry in found:
            findings += _of_household(entry, rows, sold_wh[party, slot])
            findings += _mirror(entry, rows, mirrors.get((party, entry.counterparty, slot), []))
    one_sided = []
    for (household, utility, slot), found in mirrors.items():
        if len(found) > 1:
            text = f"has {len(found)} fee entries of {household} for one slot"
            findings.append(Finding("ledger-fee", utility, slot, None, text))
        for entry in found:
            answer = _answer(entry, rows, fees, sold_wh[household, slot])
            if answer is OtherSide.PENDING:
                one_sided.append(entry)
            elif isinstance(answer, str):
                findings.append(_of(entry, answer))
    return FeeChecks(findings, one_sided)


def _owed(rows: Rows, sold_wh: Mapping[tuple[str, int], int], fees: _Fees) -> Iterator[Finding]:
    """Every booked slot in which something was sold under a fee has its entry."""
    for (party, slot), energy_wh in sold_wh.items():
        reading = rows.readings[party].get(slot)
        if energy_wh and reading is not None and reading.state == "booked" and (party, slot) not in fees:
            text = f"reading is booked and {energy_wh} Wh were sold under a grid fee, but there is no entry of it"
            yield Finding("ledger-fee", party, slot, None, text)


def _of_household(entry: LedgerEntry, rows: Rows, sold_wh: int) -> Iterator[Finding]:
    reading = rows.readings[entry.party].get(entry.slot)
    if reading is None or reading.state != "booked":
        state = "missing" if reading is None else reading.state
        yield _of(entry, f"fee entry of {_values(entry)}, but the reading is {state}")
    if entry.reference != _reference(sold_wh):
        yield _of(entry, f"fee entry is for {entry.reference}; {sold_wh} Wh were sold under a grid fee")
    if entry.energy_wh or entry.amount_micro > 0:
        yield _of(entry, f"fee entry is {_values(entry)}; a fee is money that is owed and no energy")


def _mirror(entry: LedgerEntry, rows: Rows, mirrors: list[LedgerEntry]) -> Iterator[Finding]:
    utility = entry.counterparty
    if utility not in rows.parties:
        return
    if not rows.is_kind(utility, "utility"):
        yield _of(entry, f"fee entry is with {utility}, which is no utility")
    elif not mirrors:
        yield _of(entry, f"fee entry of {_values(entry)}, but {utility} has none for this slot")
    for mirror in mirrors:
        if (mirror.energy_wh, mirror.amount_micro) != (-entry.energy_wh, -entry.amount_micro):
            yield _of(entry, f"fee entry is {_values(entry)}; that of {utility} is {_values(mirror)}")
        if mirror.reference != entry.reference:
            yield _of(entry, f"fee entry is for {entry.reference}; that of {utility} for {mirror.reference}")


def _answer(entry: LedgerEntry, rows: Rows, fees: _Fees, sold_wh: int) -> OtherSide | str:
    """The household's side of a utility's entry, or what is wrong with it."""
    household = entry.counterparty
    if household in rows.departed:
        if entry.energy_wh or entry.amount_micro < 0:
            return f"fee entry is {_values(entry)}; a fee is money that is earned and no energy"
        return OtherSide.BOOKED
    if household not in rows.parties:
        return OtherSide.BOOKED
    if any(fee.counterparty == entry.party for fee in fees.get((household, entry.slot), ())):
        return OtherSide.BOOKED
    reading = rows.readings[household].get(entry.slot)
    if reading is not None and reading.state in ("final", "held") and entry.reference == _reference(sold_wh):
        return OtherSide.PENDING
    known = "no reading" if reading is None else f"a reading {reading.state}"
    return f"fee entry of {_values(entry)} for {entry.reference}, but {household} has no entry and {known}"


def _reference(sold_wh: int) -> str:
    return f"{sold_wh // 1000}.{sold_wh % 1000:03d} kWh sold"


def _values(entry: LedgerEntry) -> str:
    return f"{entry.energy_wh:+d} Wh, {entry.amount_micro:+d} millionths"


def _of(entry: LedgerEntry, text: str) -> Finding:
    return Finding("ledger-fee", entry.party, entry.slot, None, text)
