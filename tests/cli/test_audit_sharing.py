"""What the audit checks of sharing: each example spoils one thing of a street that is right."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from tests.cli.kpi.small_street import CLOSING, FIRST, FLAT, GRID, ROOF, SECOND, STORE, shared_street
from wattmesh_cli.audit import Finding, audit
from wattmesh_cli.audit.sharing import _correction, _shares
from wattmesh_cli.books import Book, LedgerEntry, Reported
from wattmesh_market.mechanisms.sharing import lot, shares_wh


def of_grid(change: Callable[[Book], Book]) -> list[Book]:
    *others, grid = shared_street()
    return [*others, change(grid)]


def reported(household: str, **changes: Any) -> list[Book]:
    """The street with what a household has reported of the first slot changed."""
    return of_grid(
        lambda grid: replace(
            grid,
            reported=tuple(
                replace(row, **changes) if (row.household, row.slot) == (household, FIRST) else row
                for row in grid.reported
            ),
        )
    )


def closed(**changes: Any) -> list[Book]:
    return of_grid(lambda grid: replace(grid, closings=(replace(CLOSING, **changes),)))


def rebooked(party: str, kind: str, wh: int, micro: int) -> list[Book]:
    """The street with an entry between the utility and a household that is larger by so much, on both sides."""

    def change(entry: LedgerEntry) -> LedgerEntry:
        sign = {party: 1, GRID: -1}.get(entry.party, 0) if party in (entry.party, entry.counterparty) else 0
        if (entry.kind, entry.slot) != (kind, FIRST):
            return entry
        return replace(entry, energy_wh=entry.energy_wh + sign * wh, amount_micro=entry.amount_micro + sign * micro)

    return [replace(book, ledger=tuple(map(change, book.ledger))) for book in shared_street()]


@pytest.mark.parametrize(
    ("books", "kind", "party", "text"),
    [
        (rebooked(FLAT, "shared", 0, 1), "sharing-bill", FLAT,
         "was billed +65249 millionths; by the closing +65250, +42750 shared"),
        (closed(price_micro=79_999), "sharing-price", GRID,
         "price is 79999, feed-in 80000, tariff less local grid fee 300000 millionths"),
        (closed(local_fee_micro=120_000), "sharing-price", GRID,
         "price is 190000, feed-in 80000, tariff less local grid fee 180000 millionths"),
        (closed(price_micro=None), "sharing-price", GRID,
         "price is None, feed-in 80000, tariff less local grid fee 300000 millionths"),
        (closed(sharing_key="equal"), "sharing-share", STORE, "shares 75 Wh; by all readings 100 Wh"),
        (reported(STORE, imported_wh=101), "sharing-bill", STORE, "was billed for +100 Wh and had reported +101 Wh"),
        (reported(STORE, imported_wh=101), "sharing-reading", STORE,
         "reported +101 Wh; its reading is booked with +100 Wh"),
        (reported(STORE, exported_wh=1), "sharing-reading", STORE, "has 100 Wh imported and 1 Wh exported"),
        (reported(STORE, state="alone"), "sharing-share", STORE, "shares what was priced alone"),
        (reported(STORE, state="waiting"), "sharing-closing", STORE, "waits for the closing, but has entries"),
        (of_grid(lambda grid: replace(grid, closings=())), "sharing-closing", GRID,
         "3 readings are closed, the slot is not"),
        (of_grid(lambda grid: replace(grid, closings=(CLOSING, replace(CLOSING, slot=SECOND)))),
         "sharing-closing", GRID, "the slot is closed without a reading"),
        (of_grid(lambda grid: replace(grid, parties=(replace(grid.parties[0], next_slot=SECOND + 900),))),
         "sharing-closing", ROOF, "was closed before its time"),
    ],
)  # fmt: skip
def test_what_was_shared_follows_from_what_was_reported(books: list[Book], kind: str, party: str, text: str) -> None:
    found = [(one.kind, one.party, one.text) for one in audit(books).findings]
    assert (kind, party, text) in found


def test_a_reading_that_nobody_has_closed_in_time_is_found() -> None:
    waiting = Reported(GRID, FIRST - 900, FLAT, 0, 0, 0, False, "waiting")
    books = of_grid(lambda grid: replace(grid, reported=(*grid.reported, waiting)))
    assert audit(books).findings == (
        Finding("sharing-closing", FLAT, FIRST - 900, None, "waits for the closing, but that is over"),
    )


# --- a provisional reading and its correction ---


def corrected(last_wh: int, back_micro: int, *, booked: bool = True) -> list[Book]:
    """The street in which flat had reported 300 Wh in doubt, of which `last_wh` were imported in the end."""
    flat_wh, correction = 300 - last_wh, (FIRST, "correction")
    books = []
    for book in reported(FLAT, provisional=False):
        entries = list(book.ledger)
        if book.name == "flat" and booked:
            entries.append(LedgerEntry(FLAT, "backstop", FIRST, GRID, correction[1], -flat_wh, back_micro))
            readings = (replace(book.readings[0], imported_wh=last_wh, load_wh=last_wh), *book.readings[1:])
            books.append(replace(book, ledger=tuple(entries), readings=readings))
            continue
        if book.name == "grid":
            entries.append(LedgerEntry(GRID, "backstop", FIRST, FLAT, correction[1], flat_wh, -back_micro))
        books.append(replace(book, ledger=tuple(entries)))
    return books


def test_a_correction_repays_what_was_billed() -> None:
    # 300 Wh cost 0.065250; 120 Wh less are 0.026100 less.
    assert audit(corrected(180, 26_100)).findings == ()
    (finding,) = audit(corrected(180, 26_101)).findings
    assert (finding.kind, finding.text) == ("sharing-bill", "+26101 millionths were paid back; +26100 were due")


def test_while_the_last_word_is_to_come_the_household_has_nothing_booked() -> None:
    books = []
    for book in reported(FLAT, provisional=True):
        if book.name != "flat":
            books.append(book)
            continue
        ledger = tuple(one for one in book.ledger if (one.slot, one.counterparty) != (FIRST, GRID))
        books.append(
            replace(book, ledger=ledger, readings=(replace(book.readings[0], state="open"), *book.readings[1:]))
        )
    result = audit(books)
    assert result.findings == ()
    assert (result.energy_in_flight_wh, result.amount_in_flight_micro) == (-300, 65_250)


@pytest.mark.parametrize(
    ("billed_wh", "billed_micro", "net_wh", "back_micro"),
    [
        (500, 90_000, 300, 36_000),
        (500, 90_000, 600, -30_000),
        (500, 90_000, -100, 98_000),
        (-500, 50_000, -300, -20_000),
        (-500, 50_000, 100, -80_000),
        (7, 1_000, 4, 429),
    ],
)
def test_what_a_correction_is_worth(billed_wh: int, billed_micro: int, net_wh: int, back_micro: int) -> None:
    assert _correction(CLOSING, billed_wh, billed_micro, net_wh) == back_micro


@pytest.mark.parametrize("key", ["proRata", "equal"])
def test_ties_are_drawn_by_the_same_lots(key: str) -> None:
    names = [f"home-{at}" for at in range(9)]
    rows = {name: Reported(GRID, FIRST, name, 500, 0, 0, False, "closed") for name in names}
    rows["sun"] = Reported(GRID, FIRST, "sun", 0, 1004, 0, False, "closed")
    found = _shares(replace(CLOSING, sharing_key=key), rows)
    assert sum(found[name] for name in names) == found["sun"] == 1004
    assert sorted(found[name] for name in names) == [111] * 4 + [112] * 5
    assert found == shares_wh({name: row.net_wh for name, row in rows.items()}, key, lot(CLOSING.seed, FIRST))
