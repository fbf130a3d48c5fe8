"""Ledgers that others remember and that are no more: closed by a signed record, deleted after their time, or lost.

A party whose ledger begins anew is another one than that of its name before. What others have booked with the former
one is compared with the closing records that they hold; what no record explains is one finding with what is at stake.
"""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace

from wattmesh_cli.audit.findings import Finding
from wattmesh_cli.audit.rows import Rows, Sums
from wattmesh_cli.audit.signatures import signature_problem
from wattmesh_cli.books import DELIVERED, SLOT_S, Account, Book, ClosingRecord, ContractRow, LedgerEntry

_BINDING = ("CONFIRMED", "DELIVERED", "SETTLED")


@dataclass
class _Former:
    """What others have with a ledger that is no more, and that no closing record explains."""

    contracts: list[ContractRow] = field(default_factory=list)
    entries: list[LedgerEntry] = field(default_factory=list)


def set_former_apart(rows: Rows, books: Sequence[Book]) -> list[Finding]:
    """Put what others have with former ledgers under names of their own, which count as departed."""
    closing_records: defaultdict[tuple[str, str], list[ClosingRecord]] = defaultdict(list)
    for closing in sorted((one for book in books for one in book.closing_records), key=lambda one: one.until):
        if closing.party in rows.parties:
            closing_records[closing.party, closing.counterparty].append(closing)
    findings = [*_records(rows, closing_records), *_carried(rows, closing_records)]
    accounts = {one.party: one for book in books for one in book.accounts}
    sides = {(row.transaction_id, row.party, row.counterparty) for row in rows.contracts}
    mirrors = {(one.kind, one.slot, one.party, one.counterparty) for one in rows.ledger}
    lost: defaultdict[str, _Former] = defaultdict(_Former)
    renamed: set[tuple[str, str, str]] = set()

    def explained(party: str, counterparty: str, slot: int) -> bool:
        if party in rows.carried.get(counterparty, {}):
            return True
        present = accounts[counterparty].account if counterparty in accounts else None
        return any(slot < one.until and one.account != present for one in closing_records[party, counterparty])

    def contract(row: ContractRow) -> ContractRow:
        other = row.counterparty
        there = (row.transaction_id, other, row.party) in sides
        if there or not _is_older(row.slot, row.created_ms, other, rows, accounts):
            return row
        renamed.add((row.transaction_id, row.party, other))
        if not explained(row.party, other, row.slot) and (row.state in _BINDING or row.in_doubt):
            lost[other].contracts.append(row)
        return replace(row, counterparty=_former(other))

    def entry(one: LedgerEntry) -> LedgerEntry:
        other = one.counterparty
        if one.kind == "trade":
            is_former = (one.reference, one.party, other) in renamed
        else:
            is_former = (one.kind, one.slot, other, one.party) not in mirrors and _is_older(
                one.slot, None, other, rows, accounts
            )
        if not is_former:
            return one
        if not explained(one.party, other, one.slot):
            lost[other].entries.append(one)
        return replace(one, counterparty=_former(other))

    rows.contracts = [contract(row) for row in rows.contracts]
    rows.ledger = [entry(one) for one in rows.ledger]
    rows.departed |= {_former(name) for name in rows.parties}
    return findings + [_lost(name, rows.parties[name].first_slot, found) for name, found in sorted(lost.items())]


def _former(party: str) -> str:
    return f"{party} (former)"


def _is_older(slot: int, created_ms: int | None, party: str, rows: Rows, accounts: dict[str, Account]) -> bool:
    """Whether what belongs to a slot, or was made at a wall time, is older than a party's ledger."""
    if party not in rows.parties:
        return False
    opened_ms = accounts[party].opened_ms if party in accounts else 0
    return slot < rows.parties[party].first_slot or (created_ms is not None and created_ms < opened_ms)


def _lost(party: str, first_slot: int, found: _Former) -> Finding:
    energy_wh = -sum(one.energy_wh for one in found.entries)
    amount_micro = -sum(one.amount_micro for one in found.entries)
    open_micro = sum(row.amount_micro for row in found.contracts if row.state not in DELIVERED)
    text = (
        f"its ledger begins here, but others have {len(found.contracts)} deliveries and {len(found.entries)} entries "
        f"with an earlier one that was not closed: {energy_wh:+d} Wh and {amount_micro:+d} millionths booked there are "
        f"at stake, and {open_micro} millionths in contracts that are not delivered"
    )
    return Finding("ledger-lost", party, first_slot, None, text)


def _records(rows: Rows, closing_records: dict[tuple[str, str], list[ClosingRecord]]) -> Iterator[Finding]:
    """Every closing record is signed, and sums up what its holder has booked with the one that left."""
    entries: defaultdict[tuple[str, str], list[LedgerEntry]] = defaultdict(list)
    for one in rows.ledger:
        entries[one.party, one.counterparty].append(one)
    for (party, counterparty), records in closing_records.items():
        since = 0
        for record in records:
            if (wrong := _unproven(record)) is not None:
                yield Finding("closing-record", party, record.until, None, f"that of {counterparty} {wrong}")
            here = _sums(one for one in entries[party, counterparty] if since <= one.slot < record.until)
            there = Sums(record.entries, record.energy_wh, record.amount_micro)
            carried = rows.carried.get(party, {}).get(counterparty, Sums())
            if since and carried != Sums():
                continue  # how much of it was of which ledger is not known any more
            here = here.plus(*carried)
            if here.mirrored != there:
                text = f"{counterparty} closed its account with {there}; booked here: {here.mirrored}"
                yield Finding("closing-record", party, record.until, None, text)
            since = record.until


def _carried(rows: Rows, closing_records: Mapping[tuple[str, str], list[ClosingRecord]]) -> Iterator[Finding]:
    """What a party has deleted sums up to what the other side has booked or carried of the time before.

    Not where the other side has deleted more of it, or has closed an account with it, or it was another ledger's.
    """
    entries: defaultdict[tuple[str, str], list[LedgerEntry]] = defaultdict(list)
    for one in rows.ledger if rows.carried else ():
        entries[one.party, one.counterparty].append(one)
    for party, of_party in rows.carried.items():
        until = rows.parties[party].first_slot
        for counterparty, sums in of_party.items():
            other = rows.parties.get(counterparty)
            deleted = rows.carried.get(counterparty, {}).get(party)
            closed = (counterparty, party) in closing_records or (party, counterparty) in closing_records
            if other is None or closed or (deleted is not None and other.first_slot > until):
                continue
            if deleted is None and other.first_slot > until - SLOT_S:
                continue  # it was another ledger's
            booked = _sums(one for one in entries[counterparty, party] if one.slot < until)
            there = booked.plus(*(deleted or Sums()))
            if there.mirrored != sums:
                text = f"has deleted {sums} with {counterparty}; booked there: {there.mirrored}"
                yield Finding("carried", party, until, None, text)


def _sums(entries: Iterable[LedgerEntry]) -> Sums:
    listed = [*entries]
    return Sums(len(listed), sum(one.energy_wh for one in listed), sum(one.amount_micro for one in listed))


def _unproven(closing: ClosingRecord) -> str | None:
    """What is wrong with a record's signature or with what it says; None: nothing."""
    try:
        said = json.loads(closing.record)
    except ValueError:
        return "is not JSON"
    kept = {
        "party": closing.counterparty,
        "account": closing.account,
        "counterparty": closing.party,
        "until": closing.until,
        "entries": closing.entries,
        "energy_wh": closing.energy_wh,
        "amount_micro": closing.amount_micro,
    }
    if said != kept:
        return f"says {said}, but is kept as {kept}"
    return signature_problem(closing.record, closing.signature, closing.public_key, closing.counterparty)
