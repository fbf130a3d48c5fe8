"""Whatever a street trades, books that are kept right pass the audit; one number changed anywhere fails it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace

from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from wattmesh_cli.audit import audit
from wattmesh_cli.books import Book, ContractRow, LedgerEntry, Party, Reading, Reported

FIRST_SLOT = 1_782_036_000
GRID = "grid.default"
CAPACITY_WH = 8000


@dataclass
class Pages:
    """A book being written."""

    contracts: list[ContractRow] = field(default_factory=list)
    ledger: list[LedgerEntry] = field(default_factory=list)
    readings: list[Reading] = field(default_factory=list)
    reported: list[Reported] = field(default_factory=list)

    def book(self, party: Party) -> Book:
        return Book(
            party.party.partition(".")[0],
            (party,),
            tuple(self.contracts),
            tuple(self.ledger),
            tuple(self.readings),
            reported=tuple(self.reported),
        )


@st.composite
def markets(draw: st.DrawFn) -> list[Book]:
    """Books of a utility and some households over some slots, all settled."""
    number: Callable[[int, int], int] = lambda low, high: draw(st.integers(low, high))  # noqa: E731
    households = [f"home-{i}.default" for i in range(number(1, 4))]
    pages = {name: Pages() for name in (*households, GRID)}
    levels = {name: number(0, CAPACITY_WH) for name in households}
    initial, carried = dict(levels), dict.fromkeys(households, 0)
    slots = [FIRST_SLOT + 900 * i for i in range(number(1, 4))]
    for slot in slots:
        sellers = {name for name in households if draw(st.booleans())}
        bought, sold = dict.fromkeys(households, 0), dict.fromkeys((*households, GRID), 0)
        traded: set[str] = set()
        for buyer in households:
            for seller in sorted({*sellers, GRID}):
                if buyer not in sellers and draw(st.booleans()):
                    delivered_wh = trade(pages, slot, buyer, seller, number)
                    traded.add(buyer)
                    bought[buyer] += delivered_wh
                    sold[seller] += delivered_wh
        for name in households:
            after_wh, carried_uwh = number(0, CAPACITY_WH - 1), number(0, 999_999)
            pv_wh, load_wh, losses_wh = number(0, 2000), number(0, 2000), number(0, 50)
            # Of what is sold, sun and store give what they can; who sells does not buy.
            drawn_uwh = (levels[name] - after_wh) * 1_000_000 + carried[name] - carried_uwh
            lacking_wh = sold[name] - max(0, pv_wh - load_wh) - max(0, drawn_uwh) // 1_000_000
            covered_wh = 0 if name in traded else max(0, lacking_wh)
            needed_wh = after_wh - levels[name] - pv_wh + load_wh - bought[name] + sold[name] + losses_wh
            # What is covered is imported; the store may have lost the more.
            losses_wh += max(0, covered_wh - needed_wh)
            needed_wh += max(0, covered_wh - needed_wh)
            imported_wh, exported_wh = max(0, needed_wh), max(0, -needed_wh)
            pages[name].readings.append(
                Reading(
                    name, slot, levels[name], after_wh, CAPACITY_WH, pv_wh, load_wh, bought[name], sold[name],
                    imported_wh, exported_wh, losses_wh, "booked", covered_wh, carried_uwh,
                )
            )  # fmt: skip
            levels[name], carried[name] = after_wh, carried_uwh
            if needed_wh:
                amount_micro = number(0, 10**7) * (-1 if needed_wh > 0 else 1)
                book_both(pages, "backstop", slot, name, GRID, "supply", needed_wh, amount_micro)
                pages[GRID].reported.append(Reported(GRID, slot, name, imported_wh, exported_wh, 0, False, "alone"))
    end = slots[-1] + 900
    return [
        *(
            pages[name].book(
                Party(name, "household", CAPACITY_WH, initial[name], levels[name], FIRST_SLOT, end, carried[name])
            )
            for name in households
        ),
        pages[GRID].book(Party(GRID, "utility", 0, 0, 0, FIRST_SLOT, end)),
    ]


def trade(pages: dict[str, Pages], slot: int, buyer: str, seller: str, number: Callable[[int, int], int]) -> int:
    """Write a settled contract into both books; returns the energy delivered."""
    transaction_id = f"{slot}-{buyer}"
    energy_wh, price_micro = number(10, 3000), number(0, 10**6)
    delivered_wh = number(0, energy_wh) if seller == GRID else energy_wh
    amount_micro = (price_micro * energy_wh + 500) // 1000
    settled_micro = (2 * amount_micro * delivered_wh + energy_wh) // (2 * energy_wh)
    row = ContractRow(
        buyer, "buyer", transaction_id, seller, f"energy-{slot}", slot, energy_wh, amount_micro, "SETTLED",
        f"order-{transaction_id}-{seller}", delivered_wh, settled_micro, False, None,
    )  # fmt: skip
    pages[buyer].contracts.append(replace(row, offered_micro_per_kwh=price_micro, offers=1))
    pages[seller].contracts.append(replace(row, party=seller, side="seller", counterparty=buyer))
    book_both(pages, "trade", slot, buyer, seller, transaction_id, delivered_wh, -settled_micro)
    return delivered_wh


def book_both(
    pages: dict[str, Pages], kind: str, slot: int, party: str, other: str, reference: str, wh: int, micro: int
) -> None:
    pages[party].ledger.append(LedgerEntry(party, kind, slot, other, reference, wh, micro))
    pages[other].ledger.append(LedgerEntry(other, kind, slot, party, reference, -wh, -micro))


@given(markets())
def test_books_that_are_kept_right_pass(books: list[Book]) -> None:
    result = audit(books)
    assert result.findings == ()
    assert (result.energy_sum_wh, result.amount_sum_micro) == (0, 0)


@given(markets(), st.data())
def test_books_that_are_kept_right_pass_without_those_who_departed(books: list[Book], data: st.DataObject) -> None:
    left = data.draw(st.lists(st.sampled_from(books), min_size=1, unique_by=lambda book: book.name))
    result = audit(left, frozenset(party.party for book in left for party in book.parties))
    assert result.findings == ()
    assert (result.energy_sum_wh, result.amount_sum_micro) == (0, 0)
    entries = [entry for book in left for entry in book.ledger]
    assert result.energy_with_departed_wh == sum(entry.energy_wh for entry in entries)
    assert result.amount_with_departed_micro == sum(entry.amount_micro for entry in entries)


# A reading's capacity is a bound, not a booking: a larger one is as good. So is what it carries below a whole Wh.
BOOKED = {
    "contracts": ("slot", "energy_wh", "amount_micro", "delivered_wh", "settled_micro"),
    "ledger": ("slot", "energy_wh", "amount_micro"),
    "readings": (
        "slot", "level_before_wh", "level_after_wh", "pv_wh", "load_wh", "bought_wh", "sold_wh", "imported_wh",
        "exported_wh", "losses_wh",
    ),
}  # fmt: skip


@settings(max_examples=300)
@given(markets(), st.data())
def test_any_booked_number_that_is_changed_is_found(books: list[Book], data: st.DataObject) -> None:
    places = [
        (number, table, position, name)
        for number, book in enumerate(books)
        for table, names in BOOKED.items()
        for position in range(len(getattr(book, table)))
        for name in names
    ]
    number, table, position, name = data.draw(st.sampled_from(places))
    change = data.draw(st.one_of(st.integers(-2000, -1), st.integers(1, 2000), st.sampled_from((-900, 900))))
    rows = list(getattr(books[number], table))
    rows[position] = replace(rows[position], **{name: getattr(rows[position], name) + change})
    changed = [*books]
    changed[number] = replace(books[number], **{table: tuple(rows)})  # type: ignore[arg-type]
    assert audit(changed).findings


@settings(suppress_health_check=[HealthCheck.filter_too_much])
@given(markets(), st.data())
def test_what_the_backstop_covered_is_found_changed_where_the_store_gave_nothing(
    books: list[Book], data: st.DataObject
) -> None:
    bought = {(row.party, row.slot) for book in books for row in book.contracts if row.side == "buyer"}
    places = [
        (number, position)
        for number, book in enumerate(books)
        for position, one in enumerate(book.readings)
        if one.sold_wh and one.level_after_wh > one.level_before_wh and (one.party, one.slot) not in bought
    ]
    assume(places)
    number, position = data.draw(st.sampled_from(places))
    readings = list(books[number].readings)
    one = readings[position]
    other_wh = data.draw(st.integers(0, one.sold_wh).filter(lambda wh: wh != one.covered_wh))
    readings[position] = replace(one, covered_wh=other_wh)
    findings = audit([*books[:number], replace(books[number], readings=tuple(readings)), *books[number + 1 :]]).findings
    assert {(finding.kind, finding.party, finding.slot) for finding in findings} == {
        ("reading-covered", one.party, one.slot)
    }
