"""What the audit says of grid fees: who owes them, to whom, and that both have booked the same."""

from __future__ import annotations

from dataclasses import replace

import pytest

from tests.cli.street_books import BOUGHT, FLAT, GRID, ROOF, SLOT, street
from wattmesh_cli.audit import Finding, audit
from wattmesh_cli.books import Book, LedgerEntry

OWED = LedgerEntry(ROOF, "grid_fee", SLOT, GRID, "0.400 kWh sold", 0, -12_000)
EARNED = LedgerEntry(GRID, "grid_fee", SLOT, ROOF, "0.400 kWh sold", 0, 12_000)
"""400 Wh at a fee of 0.03 per kWh."""


def with_fee(
    owed: tuple[LedgerEntry, ...] = (OWED,), earned: tuple[LedgerEntry, ...] = (EARNED,), **of_seller: object
) -> list[Book]:
    """The street's books, where 0.012 of the first contract's price is for the grid."""
    flat, grid, roof = street()
    bought, promised = (replace(book.contracts[0], fee_micro=12_000) for book in (flat, roof))
    sold = replace(promised, **of_seller)  # type: ignore[arg-type]
    return [
        replace(flat, contracts=(bought, flat.contracts[1])),
        replace(grid, ledger=(*grid.ledger, *earned)),
        replace(roof, contracts=(sold, roof.contracts[1]), ledger=(*roof.ledger, *owed)),
    ]


def found(books: list[Book], **more: object) -> list[tuple[str | None, str]]:
    """Who and what, of what is wrong with grid fees."""
    findings = audit(books, **more).findings  # type: ignore[arg-type]
    assert {(finding.kind, finding.slot) for finding in findings} <= {("ledger-fee", SLOT), ("ledger-sum", None)}
    return [(finding.party, finding.text) for finding in findings if finding.kind == "ledger-fee"]


def test_a_fee_with_cause_and_mirror_is_right() -> None:
    result = audit(with_fee())
    assert result.findings == ()
    assert (result.energy_sum_wh, result.amount_sum_micro, result.amount_in_flight_micro) == (0, 0, 0)


def test_a_fee_that_is_not_booked_is_found() -> None:
    text = "reading is booked and 400 Wh were sold under a grid fee, but there is no entry of it"
    assert found(with_fee(owed=(), earned=())) == [(ROOF, text)]


def test_a_fee_that_only_one_side_has_is_found() -> None:
    values = "fee entry of +0 Wh, -12000 millionths"
    assert found(with_fee(earned=())) == [(ROOF, f"{values}, but {GRID} has none for this slot")]
    text = f"fee entry of +0 Wh, +12000 millionths for 0.400 kWh sold, but {ROOF} has no entry and a reading booked"
    assert (GRID, text) in found(with_fee(owed=()))


@pytest.mark.parametrize(
    ("entry", "text"),
    [
        (
            replace(OWED, amount_micro=-11_999),
            f"fee entry is +0 Wh, -11999 millionths; that of {GRID} is +0 Wh, +12000 millionths",
        ),
        (
            replace(OWED, reference="0.500 kWh sold"),
            "fee entry is for 0.500 kWh sold; 400 Wh were sold under a grid fee",
        ),
        (
            replace(OWED, energy_wh=-1),
            "fee entry is -1 Wh, -12000 millionths; a fee is money that is owed and no energy",
        ),
        (replace(OWED, slot=SLOT + 9000), "fee entry of +0 Wh, -12000 millionths, but the reading is missing"),
        (replace(OWED, counterparty=FLAT), f"fee entry is with {FLAT}, which is no utility"),
    ],
)
def test_a_wrong_fee_entry_is_found(entry: LedgerEntry, text: str) -> None:
    assert text in [finding.text for finding in audit(with_fee(owed=(entry,))).findings]


def test_two_fees_for_one_slot_are_found() -> None:
    twice = replace(OWED, reference="twice"), OWED
    assert (ROOF, "has 2 fee entries for one slot") in found(with_fee(owed=twice))
    back = replace(EARNED, reference="twice"), EARNED
    assert (GRID, f"has 2 fee entries of {ROOF} for one slot") in found(with_fee(earned=back))


def test_a_fee_without_a_sale_under_one_is_found() -> None:
    flat, grid, roof = street()
    books = [flat, replace(grid, ledger=(*grid.ledger, EARNED)), replace(roof, ledger=(*roof.ledger, OWED))]
    assert found(books) == [(ROOF, "fee entry is for 0.400 kWh sold; 0 Wh were sold under a grid fee")]


def test_what_the_household_is_about_to_book_is_in_flight() -> None:
    flat, grid, roof = with_fee(owed=())
    reported = tuple(replace(one, state="final") if one.slot == SLOT else one for one in roof.readings)
    result = audit([flat, grid, replace(roof, readings=reported)])
    assert result.findings == ()
    assert (result.amount_sum_micro, result.amount_in_flight_micro) == (0, 12_000)


def test_fees_of_who_has_left_are_checked_on_the_other_side() -> None:
    flat, grid, _ = with_fee()
    assert found([flat, grid], declared=frozenset({FLAT, GRID})) == []
    wrong = replace(grid, ledger=(*grid.ledger[:-1], replace(EARNED, amount_micro=-1)))
    text = "fee entry is +0 Wh, -1 millionths; a fee is money that is earned and no energy"
    assert found([flat, wrong], declared=frozenset({FLAT, GRID})) == [(GRID, text)]


def test_sides_that_differ_in_the_fee_are_found() -> None:
    text = f"grid fee is 12000 millionths to the buyer, 14000 millionths to {ROOF}"
    assert audit(with_fee(fee_micro=14_000)).findings == (Finding("contract-terms", FLAT, SLOT, BOUGHT, text),)


def test_a_fee_beyond_the_price_is_found() -> None:
    kinds = [(f.kind, f.text) for f in audit(with_fee(fee_micro=80_001)).findings if f.party == ROOF]
    assert kinds == [("contract-terms", "seller has a grid fee of 80001 millionths in an amount of 80000")]


def test_a_fee_on_a_sale_to_a_utility_is_found() -> None:
    flat, grid, roof = with_fee()
    utility = replace(flat, parties=(replace(flat.parties[0], kind="utility"),), readings=())
    assert ("contract-terms", ROOF, "seller has a grid fee on a household's sale to a utility") in [
        (finding.kind, finding.party, finding.text) for finding in audit([utility, grid, roof]).findings
    ]
