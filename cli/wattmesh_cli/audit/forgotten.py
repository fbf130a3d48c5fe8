"""Checks that who was forgotten is named nowhere: books that are restored from an older copy may do so again."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence

from wattmesh_cli.audit.findings import Finding
from wattmesh_cli.audit.hashes import sha256, unhex
from wattmesh_cli.books import Book


def check_forgotten(books: Sequence[Book]) -> Iterator[Finding]:
    """Of a household that some pod was told to forget, no book has anything of before that.

    Who came again under its name is another household: what belongs to later slots is its.
    """
    told: defaultdict[tuple[str, str], int] = defaultdict(int)
    for book in books:
        for one in book.forgettings:
            told[one.salt, one.digest] = max(told[one.salt, one.digest], one.before)
    if not told:
        return
    before: dict[str, int] = {}
    for book in books:
        first: dict[tuple[str, str], int] = {}
        for party, name, slot in _named(book):
            first[party, name] = min(slot, first.get((party, name), slot))
        for (party, name), slot in sorted(first.items()):
            if name not in before:
                of_name = [until for (salt, digest), until in told.items() if _digest(name, salt) == digest]
                before[name] = max(of_name, default=0)
            if slot < before[name]:
                text = (
                    f"names {name}, which was forgotten: its books were restored from an older copy, or not told; run "
                    f"`wattmesh forget {name}` again, with --lost where its closing record is lost"
                )
                yield Finding("forgotten", party, slot, None, text)


def _named(book: Book) -> Iterator[tuple[str, str, int]]:
    """Who names whom in what belongs to which slot."""
    yield from ((one.party, one.party, one.first_slot) for one in book.parties)
    yield from ((one.party, one.counterparty, one.slot) for one in book.contracts)
    yield from ((one.party, one.counterparty, one.slot) for one in book.ledger)
    yield from ((one.party, one.household, one.slot) for one in book.reported)
    yield from ((one.party, one.household, one.slot) for one in book.held)
    # What sums up, or closes, a time says where that ends.
    yield from ((one.party, one.counterparty, one.until - 1) for one in book.carried)
    yield from ((one.party, one.counterparty, one.until - 1) for one in book.closing_records)
    yield from ((one.party, one.signer, one.until - 1) for one in book.checkpoints)


def _digest(name: str, salt: str) -> str:
    return sha256(unhex(salt) + name.encode())
