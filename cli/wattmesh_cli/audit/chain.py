"""Checks of the hash chains of ledgers, and of the checkpoints that others were given of them.

The other checks compare books with each other, so that who edits both sides alike is not seen by them. A chain is
broken by an edit; who makes it anew cannot change what others keep with a signature.
"""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import groupby

from wattmesh_cli.audit.deletions import Left, check_deletions, left_in
from wattmesh_cli.audit.findings import Finding
from wattmesh_cli.audit.hashes import commitment, sha256, unhex
from wattmesh_cli.audit.rows import Rows
from wattmesh_cli.audit.signatures import signature_problem
from wattmesh_cli.books import Book, ChainLink, Checkpoint, LedgerEntry


@dataclass(frozen=True)
class ChainChecks:
    """Findings, and how many entries of ledgers and checkpoints were checked."""

    findings: list[Finding]
    entries: int
    checkpoints: int


@dataclass(frozen=True)
class _Signed:
    """What a checkpoint says, and who keeps it."""

    account: str
    until: int
    number: int
    head: str
    keeper: str


def check_chains(rows: Rows, books: Sequence[Book]) -> ChainChecks:
    """Check the ledger of each party with an account against its chain, and that against what it has signed.

    Ledgers without an account, those of studies, have none.
    """
    findings: list[Finding] = []
    checked: set[str] = set()
    entries = 0
    heads: dict[str, list[str]] = {}
    accounts: dict[str, str] = {}
    for book in books:
        accounts |= {one.party: one.account for one in book.accounts if one.party not in checked}
        links = {party: list(found) for party, found in groupby(book.chain, lambda link: link.party)}
        left = left_in(book)
        ledger: defaultdict[str, list[LedgerEntry]] = defaultdict(list)
        for entry in book.ledger:
            ledger[entry.party].append(entry)
        for party in [one.party for one in book.parties if one.party not in checked]:
            checked.add(party)
            if party in accounts or party in links:
                entries += len(ledger[party])
                found, heads[party] = _chain(party, accounts.get(party, ""), ledger[party], links.get(party, []))
                findings += [*found, *check_deletions(party, left.get(party, Left()), links.get(party, []))]
    signed, unproven = _checkpoints(books)
    findings += unproven
    for signer, of_signer in sorted(signed.items()):
        if signer in rows.parties:
            first_slot, account = rows.parties[signer].first_slot, accounts.get(signer)
            findings += _compared(signer, first_slot, account, heads.get(signer, []), of_signer)
    return ChainChecks(findings, entries, sum(map(len, signed.values())))


def _chain(
    party: str, account: str, ledger: list[LedgerEntry], links: list[ChainLink]
) -> tuple[list[Finding], list[str]]:
    """What is wrong between a ledger and its chain, and the chain's heads: the first before all entries."""
    findings = []
    entries = {(one.kind, one.slot, one.counterparty, one.reference): one for one in ledger}
    heads = [sha256(f"wattmesh-chain/1 {party} {account}".encode())]
    for number, link in enumerate(sorted(links, key=lambda link: link.number), 1):
        if link.number != number:
            text = f"its chain has entry {link.number} where entry {number} is to be: entries were taken out of it"
            findings.append(Finding("chain", party, link.slot, _transaction(link), text))
            break
        committed, key = link.commitment, (link.kind, link.slot, link.counterparty, link.reference)
        entry = None if link.salt is None else entries.pop(key, None)  # type: ignore[arg-type]
        if entry is not None and link.salt is not None:
            committed = _commitment(entry, link.salt)
        heads.append(link.head)
        if committed is None:
            text = f"entry {number} of its chain, {link.kind} with {link.counterparty}, is not in the ledger any more"
            findings.append(Finding("chain", party, link.slot, _transaction(link), text))
        elif sha256(unhex(heads[-2]) + unhex(committed)) != link.head:
            now = "a deleted one" if entry is None else f"{entry.energy_wh:+d} Wh, {entry.amount_micro:+d} millionths"
            text = f"entry {number} of its chain was another one when it was booked than now, {now}"
            findings.append(Finding("chain", party, link.slot, _transaction(link), text))
    if entries and not links:
        findings.append(Finding("chain", party, None, None, f"has no chain over its {len(entries)} ledger entries"))
    elif entries:
        findings += [
            Finding(
                "chain",
                party,
                one.slot,
                _transaction(one),
                f"entry of {one.kind} with {one.counterparty} is not in its chain",
            )
            for one in entries.values()
        ]
    return findings, heads


def _commitment(entry: LedgerEntry, salt: str) -> str:
    values = (entry.kind, entry.slot, entry.counterparty, entry.reference, entry.energy_wh, entry.amount_micro)
    return commitment(values, salt)


def _transaction(one: ChainLink | LedgerEntry) -> str | None:
    return one.reference if one.kind == "trade" else None


def _checkpoints(books: Sequence[Book]) -> tuple[dict[str, list[_Signed]], list[Finding]]:
    """What each party has signed, as it and others keep it, and what of that is not its word."""
    signed: defaultdict[str, list[_Signed]] = defaultdict(list)
    findings = []
    for row in (row for book in books for row in book.checkpoints):
        read = _read(row)
        if isinstance(read, str):
            text = f"the checkpoint of {row.signer} that it keeps {read}"
            findings.append(Finding("checkpoint", row.party, row.until, None, text))
        else:
            signed[row.signer].append(read)
    return signed, findings


def _read(row: Checkpoint) -> _Signed | str:
    """What a checkpoint says, or what is wrong with it."""
    if (problem := signature_problem(row.record, row.signature, row.public_key, row.signer)) is not None:
        return problem
    try:
        said = json.loads(row.record)
        signed = _Signed(said["account"], said["until"], said["number"], said["head"], row.party)
        if (said["party"], signed.until) != (row.signer, row.until):
            return f"is of {said['party']} for {_moment(signed.until)}, but is kept for {_moment(row.until)}"
    except (ValueError, KeyError, TypeError):
        return "is no checkpoint"
    return signed


def _compared(
    signer: str, first_slot: int, account: str | None, chain: list[str], signed: list[_Signed]
) -> Iterator[Finding]:
    """One finding for the first day whose checkpoint is not what the chain has there, if there is one."""
    good: list[_Signed] = []
    differing: defaultdict[tuple[int, int, str, str], list[str]] = defaultdict(list)
    for one in sorted(signed, key=lambda one: (one.until, one.number, one.keeper)):
        if one.account != account and one.until <= first_slot:
            continue  # of a ledger of before
        there = chain[one.number] if one.number < len(chain) else None
        if one.account == account and there == one.head:
            good.append(one)
        else:
            differing[one.until, one.number, one.head, one.account].append(one.keeper)
    if not differing:
        return
    (until, number, head, of), keepers = next(iter(differing.items()))
    if of != account:
        what = f"of another ledger, account {of}"
    elif number >= len(chain):
        what = f"of entry {number}, but its chain ends with entry {max(0, len(chain) - 1)}"
    else:
        what = f"{head[:12]}… of entry {number}, where its chain has {chain[number][:12]}…"
    since = max((one.number for one in good if one.until < until), default=0)
    days = len({of_day[0] for of_day in differing}) - 1
    later = (
        f", and so are those of {days} later days" if days > 1 else ", and so is that of a later day" if days else ""
    )
    text = (
        f"the checkpoint that it signed for the day until {_moment(until)} is {what}, kept by {', '.join(keepers)}"
        f"{later}: its ledger was changed after entry {since}"
    )
    yield Finding("checkpoint", signer, until, None, text)


def _moment(until: int) -> str:
    return f"{datetime.fromtimestamp(until, UTC):%Y-%m-%d %H:%M} UTC"
