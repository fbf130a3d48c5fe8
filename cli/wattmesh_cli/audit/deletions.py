"""Checks of what is left of deleted rows against the chain: sums, closings with who was forgotten, how much is gone.

Nobody else's books say what a party has carried forward of who was forgotten or has left: only its chain does.
"""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from wattmesh_cli.audit.findings import Finding
from wattmesh_cli.audit.hashes import commitment
from wattmesh_cli.books import Book, Carried, ChainLink, Closing, Deletions


@dataclass
class Left:
    """What a party has in place of what was deleted."""

    carried: list[Carried] = field(default_factory=list)
    closings: list[Closing] = field(default_factory=list)
    deletions: Deletions | None = None


def left_in(book: Book) -> Mapping[str, Left]:
    """What each party of a book has left."""
    found: defaultdict[str, Left] = defaultdict(Left)
    for one in book.carried:
        found[one.party].carried.append(one)
    for closing in book.closings:
        if closing.forgotten or closing.number is not None:
            found[closing.party].closings.append(closing)
    for said in book.deletions:
        found[said.party].deletions = said
    return found


def check_deletions(party: str, left: Left, links: Sequence[ChainLink]) -> Iterator[Finding]:
    """Each sum and each closing is what an entry of the chain commits to; the last one about deletions has the sums."""
    committed = {link.number: link.commitment for link in links if link.commitment is not None}
    for one in left.carried:
        what = f"the sum of {one.kind} with {one.counterparty} carried forward"
        yield from _sealed(party, None, what, one, committed, _sum(one))
    for closing in left.closings:
        what = f"that it closed this slot with {closing.forgotten} readings that were forgotten"
        yield from _sealed(party, closing.slot, what, closing, committed, _closing(closing))
    if left.deletions is not None:
        yield from _named(party, left.deletions, left.carried, committed)
    elif committed:
        yield _finding(party, None, f"{len(committed)} entries of its chain are deleted, and it does not say why")


def _sum(one: Carried) -> tuple[str | int | None, ...]:
    counts = (one.entries, one.received_wh, one.given_wh, one.amount_micro)
    return ("carried", one.counterparty, one.kind, one.until, *counts)


def _closing(one: Closing) -> tuple[str | int | None, ...]:
    prices = (one.price_micro, one.tariff_micro, one.feed_in_micro, one.local_fee_micro)
    return ("forgotten", one.slot, one.sharing_key, one.seed, *prices, one.forgotten)


def _sealed(
    party: str,
    slot: int | None,
    what: str,
    row: Carried | Closing,
    committed: dict[int, str],
    values: Sequence[str | int | None],
) -> Iterator[Finding]:
    if row.number is None or row.salt is None:
        yield _finding(party, slot, f"{what} is not in its chain")
    elif committed.get(row.number) != commitment(values, row.salt):
        yield _finding(party, slot, f"{what} was another one when entry {row.number} of its chain was written than now")


def _named(party: str, said: Deletions, carried: Sequence[Carried], committed: dict[int, str]) -> Iterator[Finding]:
    """The last entry about deletions says how many there are, and which sums hold."""
    try:
        sums = [int(number) for number in json.loads(said.sums)]
    except (ValueError, TypeError):
        sums = []
    if committed.get(said.number) != commitment(("deletions", said.without_entry, *sums), said.salt):
        text = f"what it says of deleted entries was something else when entry {said.number} of its chain was written"
        yield _finding(party, None, text)
        return
    if len(committed) != said.without_entry:
        gone = f"{len(committed)} entries of its chain are deleted"
        text = f"{gone}, but {said.without_entry} for their age or with a household"
        yield _finding(party, None, text)
    holding = {one.number for one in carried}
    for number in sums:
        if number not in holding:
            yield _finding(party, None, f"the sum that entry {number} of its chain commits to is not carried forward")
    for one in carried:
        if one.number is not None and one.number not in sums:
            text = (
                f"the sum of {one.kind} with {one.counterparty} carried forward is an older one, of entry {one.number}"
            )
            yield _finding(party, None, text)


def _finding(party: str, slot: int | None, text: str) -> Finding:
    return Finding("chain", party, slot, None, text)
