"""Every check of the audit, violated one at a time in real databases; beside it, what is not wrong."""

# ruff: noqa: S608

from __future__ import annotations

import sqlite3
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from tests.cli.street_books import (
    BOUGHT,
    FLAT,
    GRID,
    NEXT,
    PROMISED,
    ROOF,
    SLOT,
    THIRD,
    other_side,
    street,
    write_state,
)
from wattmesh_cli.audit import AuditResult, Finding, audit
from wattmesh_cli.books import Book, ContractRow, LedgerEntry, Reading
from wattmesh_cli.sqlite_books import read_books


def change(state: Path, pod: str, sql: str) -> None:
    connection = sqlite3.connect(state / "agents" / f"{pod}.db", isolation_level=None)
    # The schema itself refuses some of what the audit looks for.
    connection.execute("PRAGMA ignore_check_constraints = ON")
    assert connection.execute(sql).rowcount > 0, "the example changes nothing"
    connection.close()


def test_a_right_street_has_no_findings(tmp_path: Path) -> None:
    assert audit(read_books(write_state(tmp_path / "state", street()))) == AuditResult(
        findings=(),
        deliveries_checked=2,
        deliveries_in_flight=0,
        readings_checked=4,
        ledger_entries_checked=6,
        energy_sum_wh=0,
        amount_sum_micro=0,
        energy_in_flight_wh=0,
        amount_in_flight_micro=0,
    )


PROMISE = f"transaction_id = '{PROMISED}'"
PURCHASE = f"transaction_id = '{BOUGHT}'"


@pytest.mark.parametrize(
    ("pod", "sql", "text"),
    [
        ("roof-0", f"SET energy_wh = 499 WHERE {PROMISE}", f"energy is 500 Wh to the buyer, 499 Wh to {ROOF}"),
        (
            "roof-0",
            f"SET amount_micro = 100001 WHERE {PROMISE}",
            f"amount is 100000 millionths to the buyer, 100001 millionths to {ROOF}",
        ),
        ("roof-0", f"SET item_id = 'heat' WHERE {PROMISE}", f"item is energy-{THIRD} to the buyer, heat to {ROOF}"),
        ("roof-0", f"SET order_id = NULL WHERE {PROMISE}", f"order is order-{PROMISED} to the buyer, None to {ROOF}"),
    ],
)
def test_the_two_sides_of_a_contract_have_the_same_terms(tmp_path: Path, pod: str, sql: str, text: str) -> None:
    state = write_state(tmp_path / "state", street())
    change(state, pod, f"UPDATE contracts {sql}")
    assert audit(read_books(state)).findings == (Finding("contract-terms", FLAT, THIRD, PROMISED, text),)


def test_both_sides_have_the_same_delivery(tmp_path: Path) -> None:
    state = write_state(tmp_path / "state", street())
    delivered = "delivered_wh = 300, settled_micro = 60000"
    change(state, "roof-0", f"UPDATE contracts SET {delivered} WHERE {PURCHASE}")
    change(state, "roof-0", f"UPDATE ledger SET energy_wh = -300, amount_micro = 60000 WHERE reference = '{BOUGHT}'")
    change(state, "roof-0", f"UPDATE readings SET sold_wh = 300, exported_wh = 100, state = 'open' WHERE slot = {SLOT}")
    assert audit(read_books(state)).findings == (
        Finding("contract-terms", FLAT, SLOT, BOUGHT, f"delivered energy is 400 Wh to the buyer, 300 Wh to {ROOF}"),
        Finding(
            "contract-terms", FLAT, SLOT, BOUGHT,
            f"settled amount is 80000 millionths to the buyer, 60000 millionths to {ROOF}",
        ),
        Finding("ledger-sum", None, None, None, "energy over all ledgers sums to +100 Wh"),
        Finding("ledger-sum", None, None, None, "money over all ledgers sums to -20000 millionths"),
        Finding("reading-trades", ROOF, SLOT, BOUGHT, "a household's purchase is not delivered in full"),
    )  # fmt: skip


def positions(buyer: str, seller: str) -> list[Book]:
    """The street with its promised contract in these states; where they say so, all of it is delivered and booked."""
    flat, grid, roof = street()
    promised = flat.contracts[1]
    state, _, doubt = buyer.partition(" ")
    bought = replace(promised, state=state, in_doubt=bool(doubt))
    used = replace(flat.readings[1], slot=THIRD, load_wh=500, bought_wh=500)
    sold = other_side(promised, state=seller)
    drawn = Reading(ROOF, THIRD, 5280, 4780, 10_000, 0, 0, 0, 500, 0, 0, 0, "booked")
    return [_with(flat, bought, used), grid, _with(roof, sold, drawn)]


def _with(book: Book, row: ContractRow, reading: Reading) -> Book:
    """The book with its second contract as in `row`; if that is delivered, with the reading of its slot, too."""
    if row.state not in ("DELIVERED", "SETTLED"):
        return replace(book, contracts=(book.contracts[0], row))
    sign = 1 if row.side == "buyer" else -1
    entry = LedgerEntry(
        row.party, "trade", THIRD, row.counterparty, row.transaction_id, sign * row.energy_wh, -sign * row.amount_micro
    )
    return replace(
        book,
        parties=(replace(book.parties[0], level_wh=reading.level_after_wh, next_slot=THIRD + 900),),
        contracts=(book.contracts[0], replace(row, delivered_wh=row.energy_wh, settled_micro=row.amount_micro)),
        ledger=(*book.ledger, entry),
        readings=(*book.readings, reading),
    )


DOUBT = "AGREED in doubt"


@pytest.mark.parametrize(
    ("buyer", "seller", "in_flight"),
    [
        ("QUOTED", "QUOTED", 0),
        ("QUOTED", "AGREED", 0),
        ("AGREED", "EXPIRED", 0),
        ("EXPIRED", "CANCELLED", 0),
        (DOUBT, "AGREED", 1),
        (DOUBT, "CONFIRMED", 1),
        (DOUBT, "DELIVERED", 1),
        (DOUBT, "EXPIRED", 1),
        (DOUBT, "CANCELLED", 1),
        ("CONFIRMED", "CONFIRMED", 0),
        ("CONFIRMED", "DELIVERED", 1),
        ("CONFIRMED", "CANCELLED", 1),
        ("DELIVERED", "DELIVERED", 0),
        ("DELIVERED", "SETTLED", 1),
        ("SETTLED", "SETTLED", 0),
    ],
)
def test_states_that_a_message_under_way_explains_are_in_flight(buyer: str, seller: str, in_flight: int) -> None:
    result = audit(positions(buyer, seller))
    assert (result.findings, result.deliveries_in_flight) == ((), in_flight)
    assert (result.energy_sum_wh, result.amount_sum_micro) == (0, 0)


def test_what_only_the_seller_has_booked_is_summed_apart() -> None:
    result = audit(positions("CONFIRMED", "DELIVERED"))
    assert (result.energy_in_flight_wh, result.amount_in_flight_micro) == (-500, 100_000)


@pytest.mark.parametrize(
    ("buyer", "seller"),
    [
        ("CONFIRMED", "QUOTED"),
        ("CONFIRMED", "AGREED"),
        ("CONFIRMED", "EXPIRED"),
        ("CONFIRMED", "SETTLED"),
        ("DELIVERED", "CONFIRMED"),
        ("DELIVERED", "CANCELLED"),
        ("SETTLED", "DELIVERED"),
        ("QUOTED", "CONFIRMED"),
        ("AGREED", "CONFIRMED"),
        ("AGREED", "DELIVERED"),
        ("EXPIRED", "CONFIRMED"),
        ("CANCELLED", "CONFIRMED"),
        (DOUBT, "QUOTED"),
        (DOUBT, "SETTLED"),
        ("CONFIRMED in doubt", "CONFIRMED"),
    ],
)
def test_states_that_nothing_explains_are_found(buyer: str, seller: str) -> None:
    expected = Finding(
        "contract-states", FLAT, THIRD, PROMISED, f"buyer is {buyer}, seller {ROOF} is {seller}"
    )  # fmt: skip
    assert expected in audit(positions(buyer, seller)).findings


AT_STAKE = ": 500 Wh for 100000 millionths are at stake"


def without(books: list[Book], pod: str) -> list[Book]:
    """The books, where that pod's has no record of the promised contract."""
    return [
        replace(book, contracts=tuple(row for row in book.contracts if row.transaction_id != PROMISED))
        if book.name == pod
        else book
        for book in books
    ]


def test_an_order_that_came_to_nothing_may_be_forgotten_by_its_seller_after_a_month() -> None:
    def of_contracts(days: int) -> list[str]:
        books = without(positions(DOUBT, "AGREED"), "roof-0")
        later = [
            replace(book, parties=tuple(replace(p, next_slot=THIRD + days * 86_400 + 900) for p in book.parties))
            for book in books
        ]
        return [finding.text for finding in audit(later).findings if finding.kind == "contract-states"]

    assert of_contracts(29) == [f"buyer is AGREED in doubt, seller {ROOF} has no such contract{AT_STAKE}"]
    assert of_contracts(30) == []


def test_a_contract_that_only_one_side_has_is_found() -> None:
    assert audit(without(street(), "roof-0")).findings == (
        Finding(
            "contract-states",
            FLAT,
            THIRD,
            PROMISED,
            f"buyer is CONFIRMED, seller {ROOF} has no such contract{AT_STAKE}",
        ),
    )
    assert audit(without(street(), "flat-0")).findings == (
        Finding(
            "contract-states",
            ROOF,
            THIRD,
            PROMISED,
            f"seller is CONFIRMED, buyer {FLAT} has no such contract{AT_STAKE}",
        ),
    )
    assert audit(without(positions(DOUBT, "AGREED"), "roof-0")).findings == (
        Finding(
            "contract-states", FLAT, THIRD, PROMISED,
            f"buyer is AGREED in doubt, seller {ROOF} has no such contract{AT_STAKE}",
        ),
    )  # fmt: skip
    assert audit(without(positions("AGREED", "AGREED"), "roof-0")).findings == ()


def test_a_party_without_a_book_is_found() -> None:
    flat, grid, _ = street()
    result = audit([flat, grid])
    assert (
        Finding("no-book", ROOF, None, None, "has no book, but others have 2 deliveries and 2 entries with it")
        in result.findings
    )
    assert {finding.kind for finding in result.findings} == {"no-book", "ledger-sum"}


LEFT = frozenset({FLAT, GRID})
"""Who is declared when roof-0 has departed."""


def test_what_others_have_with_a_departed_party_is_checked_on_their_side() -> None:
    flat, grid, roof = street()
    result = audit([flat, grid], LEFT)
    assert result == AuditResult(
        findings=(),
        deliveries_checked=2,
        deliveries_in_flight=0,
        readings_checked=2,
        ledger_entries_checked=4,
        energy_sum_wh=0,
        amount_sum_micro=0,
        energy_in_flight_wh=0,
        amount_in_flight_micro=0,
        deliveries_with_departed=2,
        energy_with_departed_wh=500,
        amount_with_departed_micro=-88_000,
    )
    assert sum(entry.energy_wh for entry in roof.ledger) == -result.energy_with_departed_wh
    assert sum(entry.amount_micro for entry in roof.ledger) == -result.amount_with_departed_micro


def test_a_household_keeps_its_supplies_by_a_departed_utility() -> None:
    flat, _, roof = street()
    result = audit([flat, roof], frozenset({FLAT, ROOF}))
    assert (result.findings, result.deliveries_with_departed) == ((), 0)
    assert (result.energy_sum_wh, result.amount_sum_micro) == (0, 0)
    assert (result.energy_with_departed_wh, result.amount_with_departed_micro) == (100, -52_000)


def test_a_declared_party_without_a_book_is_found() -> None:
    flat, grid, _ = street()
    everybody = frozenset({FLAT, GRID, ROOF})
    assert audit([flat, grid], everybody) == audit([flat, grid])
    assert audit(street(), everybody) == audit(street())


def test_a_departed_party_that_still_has_a_book_is_audited_as_usual() -> None:
    assert audit(street(), LEFT) == audit(street())
    assert audit(without(street(), "roof-0"), LEFT) == audit(without(street(), "roof-0"))
    assert audit(without(street(), "roof-0"), LEFT).findings


def test_what_is_had_with_a_partner_from_outside_is_checked_and_summed_on_this_side() -> None:
    flat, grid, roof = street()
    outside = "platform.example.org"
    sale = next(row for row in roof.contracts if row.counterparty == FLAT)
    sold = replace(sale, transaction_id="t-out", order_id="o-out", counterparty=outside)
    assert sold.delivered_wh is not None
    assert sold.settled_micro is not None
    booked = LedgerEntry(ROOF, "trade", SLOT, outside, "t-out", -sold.delivered_wh, sold.settled_micro)
    result = audit([flat, grid, replace(roof, contracts=(*roof.contracts, sold), ledger=(*roof.ledger, booked))], LEFT)
    # The meter of the slot does not know of this sale.
    assert {finding.kind for finding in result.findings} == {"reading-trades"}
    assert result.deliveries_with_departed == 1
    assert (result.energy_sum_wh, result.amount_sum_micro) == (0, 0)
    assert (result.energy_with_departed_wh, result.amount_with_departed_micro) == (
        -sold.delivered_wh,
        sold.settled_micro,
    )


def test_nobody_from_outside_is_supplied() -> None:
    flat, grid, roof = street()
    stray = LedgerEntry(GRID, "backstop", SLOT, "roof-0.elsewhere", "supply", -1, 1)
    assert audit([flat, replace(grid, ledger=(*grid.ledger, stray)), roof], LEFT).findings == (
        Finding(
            "sharing-reading", GRID, SLOT, None,
            "has 1 supply entries of roof-0.elsewhere, which has reported nothing",
        ),
    )  # fmt: skip


@pytest.mark.parametrize(
    ("pod", "sql", "finding"),
    [
        pytest.param(
            "flat-0",
            f"UPDATE contracts SET settled_micro = NULL WHERE {PURCHASE}",
            (
                "contract-delivery", FLAT, SLOT, BOUGHT,
                "buyer is SETTLED without delivered energy or settled amount",
            ),
            id="nothing settled",
        ),
        pytest.param(
            "flat-0",
            f"UPDATE contracts SET energy_wh = 500, amount_micro = 99998 WHERE {PURCHASE}",
            (
                "contract-delivery", FLAT, SLOT, BOUGHT,
                "buyer has 80000 millionths settled; 79998 are due for what was delivered",
            ),
            id="rounding",
        ),
        pytest.param(
            "flat-0",
            f"UPDATE contracts SET offered_micro_per_kwh = 199998 WHERE {PROMISE}",
            ("contract-price", FLAT, THIRD, PROMISED, "500 Wh cost 100000 millionths; by the offer at most 99999"),
            id="above the offer",
        ),
        pytest.param(
            "flat-0",
            f"UPDATE contracts SET offered_micro_per_kwh = NULL WHERE {PROMISE}",
            ("contract-price", FLAT, THIRD, PROMISED, f"buyer has no offer of {ROOF}"),
            id="no offer",
        ),
        pytest.param(
            "flat-0",
            f"UPDATE ledger SET energy_wh = 401 WHERE reference = '{BOUGHT}'",
            (
                "ledger-trade", FLAT, SLOT, BOUGHT,
                "entry is +401 Wh, -80000 millionths; by the contract +400 Wh, -80000 millionths",
            ),
            id="trade's energy",
        ),
        pytest.param(
            "flat-0",
            f"DELETE FROM ledger WHERE reference = '{BOUGHT}'",
            ("ledger-trade", FLAT, SLOT, BOUGHT, "buyer is SETTLED, but has no ledger entry of it"),
            id="no trade entry",
        ),
        pytest.param(
            "flat-0",
            f"INSERT INTO ledger VALUES ('{FLAT}', 'trade', {NEXT}, '{ROOF}', 'gift', 1, 1)",
            ("ledger-trade", FLAT, NEXT, "gift", "entry of +1 Wh, +1 millionths has no delivered contract"),
            id="trade entry without contract",
        ),
        pytest.param(
            "flat-0",
            f"UPDATE readings SET bought_wh = 401, load_wh = 601 WHERE slot = {SLOT}",
            ("reading-trades", FLAT, SLOT, None, "reading has 401 Wh bought; delivered contracts have 400 Wh"),
            id="bought",
        ),
        pytest.param(
            "grid",
            f"UPDATE ledger SET reference = 'gift' WHERE slot = {NEXT}",
            ("ledger-backstop", GRID, NEXT, None, "supply entry has the reference gift, not supply"),
            id="utility's reference",
        ),
        pytest.param(
            "grid",
            f"UPDATE ledger SET amount_micro = 8000 WHERE slot = {NEXT}",
            (
                "ledger-backstop", GRID, NEXT, None,
                "supply entry is +100 Wh, +8000 millionths: energy and money have the same sign",
            ),
            id="utility's signs",
        ),
    ],
)  # fmt: skip
def test_the_one_side_of_what_a_departed_party_had_must_be_right(
    tmp_path: Path, pod: str, sql: str, finding: tuple[str, str, int, str | None, str]
) -> None:
    flat, grid, _ = street()
    state = write_state(tmp_path / "state", [flat, grid])
    change(state, pod, sql)
    assert audit(read_books(state), LEFT).findings == (Finding(*finding),)


def test_supplies_between_those_who_are_left_still_sum_to_zero(tmp_path: Path) -> None:
    flat, grid, _ = street()
    state = write_state(tmp_path / "state", [flat, grid])
    change(state, "grid", f"DELETE FROM ledger WHERE slot = {SLOT}")
    result = audit(read_books(state), LEFT)
    kinds = ["ledger-backstop", "ledger-sum", "ledger-sum", "sharing-bill"]
    assert [finding.kind for finding in result.findings] == kinds
    assert (result.energy_sum_wh, result.amount_sum_micro) == (200, -60_000)


def test_a_party_in_two_books_is_found() -> None:
    flat, grid, roof = street()
    assert audit([flat, grid, roof, replace(flat, name="flat-9")]).findings == (
        Finding("two-books", FLAT, None, None, "is in two books: flat-0, flat-9"),
    )


def test_rows_of_a_party_that_its_book_does_not_list_are_found() -> None:
    flat, grid, roof = street()
    stray = replace(grid, readings=(replace(flat.readings[0], party="loft-0.default"),))
    assert audit([flat, stray, roof]).findings == (
        Finding("unlisted", "loft-0.default", None, None, "has rows in book grid, which does not list it"),
    )


@pytest.mark.parametrize(
    ("pod", "sql", "findings"),
    [
        pytest.param(
            "flat-0",
            f"UPDATE contracts SET state = 'LOST' WHERE {PROMISE}",
            [
                ("contract-states", FLAT, THIRD, PROMISED, f"buyer is LOST, seller {ROOF} is CONFIRMED"),
                ("contract-states", FLAT, THIRD, PROMISED, "buyer is LOST, which is no state of a contract"),
            ],
            id="unknown state",
        ),
        pytest.param(
            "flat-0",
            f"UPDATE contracts SET settled_micro = 80001 WHERE {PURCHASE}",
            [
                (
                    "contract-terms", FLAT, SLOT, BOUGHT,
                    f"settled amount is 80001 millionths to the buyer, 80000 millionths to {ROOF}",
                ),
                (
                    "contract-delivery", FLAT, SLOT, BOUGHT,
                    "buyer has 80001 millionths settled; 80000 are due for what was delivered",
                ),
                (
                    "ledger-trade", FLAT, SLOT, BOUGHT,
                    "entry is +400 Wh, -80000 millionths; by the contract +400 Wh, -80001 millionths",
                ),
            ],
            id="settled amount",
        ),
        pytest.param(
            "roof-0",
            f"UPDATE contracts SET settled_micro = NULL WHERE {PURCHASE}",
            [
                (
                    "contract-delivery", ROOF, SLOT, BOUGHT,
                    "seller is SETTLED without delivered energy or settled amount",
                ),
            ],
            id="nothing settled",
        ),
        pytest.param(
            "flat-0",
            f"UPDATE contracts SET offered_micro_per_kwh = 199999 WHERE {PROMISE}",
            [],
            id="rounded half up is not above the offer",
        ),
        pytest.param(
            "flat-0",
            f"UPDATE contracts SET offered_micro_per_kwh = 199998 WHERE {PROMISE}",
            [("contract-price", FLAT, THIRD, PROMISED, "500 Wh cost 100000 millionths; by the offer at most 99999")],
            id="above the offer",
        ),
        pytest.param(
            "flat-0",
            f"UPDATE contracts SET offered_micro_per_kwh = NULL WHERE {PROMISE}",
            [("contract-price", FLAT, THIRD, PROMISED, f"buyer has no offer of {ROOF}")],
            id="no offer",
        ),
    ],
)  # fmt: skip
def test_each_side_of_a_contract_is_right_by_itself(
    tmp_path: Path, pod: str, sql: str, findings: list[tuple[str, str, int, str, str]]
) -> None:
    state = write_state(tmp_path / "state", street())
    change(state, pod, sql)
    assert audit(read_books(state)).findings == tuple(Finding(*finding) for finding in findings)


def test_more_delivered_than_contracted_is_found(tmp_path: Path) -> None:
    state = write_state(tmp_path / "state", street())
    change(state, "flat-0", f"UPDATE contracts SET energy_wh = 399 WHERE {PURCHASE}")
    assert Finding(
        "contract-delivery", FLAT, SLOT, BOUGHT, "buyer has 400 Wh delivered of 399 Wh"
    ) in audit(read_books(state)).findings  # fmt: skip


@pytest.mark.parametrize(("energy_wh", "amount_micro"), [(0, 100_000), (-500, 100_000), (500, -1)])
def test_a_contract_is_over_some_energy_and_not_less_than_no_money(energy_wh: int, amount_micro: int) -> None:
    flat, grid, roof = street()
    books = [
        replace(
            book,
            contracts=(book.contracts[0], replace(book.contracts[1], energy_wh=energy_wh, amount_micro=amount_micro)),
        )
        for book in (flat, roof)
    ]
    assert audit([*books, grid]).findings == tuple(
        Finding("contract-terms", party, THIRD, PROMISED, f"{side} has {energy_wh} Wh for {amount_micro} millionths")
        for party, side in ((FLAT, "buyer"), (ROOF, "seller"))
    )


def test_nobody_is_buyer_and_seller_in_one_slot() -> None:
    flat, grid, roof = street()
    resold = other_side(flat.contracts[1], transaction_id="cccccccc-resold", party=FLAT, counterparty=GRID)
    grids = replace(other_side(resold), offered_micro_per_kwh=200_000)
    books = [
        replace(flat, contracts=(*flat.contracts, resold)),
        replace(
            grid,
            contracts=(grids,),
        ),
        roof,
    ]
    assert audit(books).findings == (
        Finding("contract-roles", FLAT, THIRD, None, "is buyer and seller in one slot"),
    )  # fmt: skip


SUPPLY = "kind = 'backstop'"


def energy_sum(wh: str) -> tuple[str, None, None, None, str]:
    return ("ledger-sum", None, None, None, f"energy over all ledgers sums to {wh} Wh")


def money_sum(millionths: str) -> tuple[str, None, None, None, str]:
    return ("ledger-sum", None, None, None, f"money over all ledgers sums to {millionths} millionths")


@pytest.mark.parametrize(
    ("pod", "sql", "findings"),
    [
        pytest.param(
            "roof-0",
            "UPDATE ledger SET energy_wh = -401 WHERE kind = 'trade'",
            [
                (
                    "ledger-trade", ROOF, SLOT, BOUGHT,
                    "entry is -401 Wh, +80000 millionths; by the contract -400 Wh, +80000 millionths",
                ),
                energy_sum("-1"),
            ],
            id="trade's energy",
        ),
        pytest.param(
            "flat-0",
            "DELETE FROM ledger WHERE kind = 'trade'",
            [
                ("ledger-trade", FLAT, SLOT, BOUGHT, "buyer is SETTLED, but has no ledger entry of it"),
                energy_sum("-400"),
                money_sum("+80000"),
            ],
            id="no trade entry",
        ),
        pytest.param(
            "flat-0",
            f"INSERT INTO ledger VALUES ('{FLAT}', 'trade', {NEXT}, '{ROOF}', '{BOUGHT}', 0, 0)",
            [("ledger-trade", FLAT, NEXT, BOUGHT, "entry of +0 Wh, +0 millionths has no delivered contract")],
            id="trade entry without contract",
        ),
        pytest.param(
            "flat-0",
            f"UPDATE ledger SET energy_wh = 210 WHERE {SUPPLY}",
            [
                ("ledger-backstop", FLAT, SLOT, None, "supply entry is +210 Wh; by the reading +200 Wh"),
                (
                    "ledger-backstop", FLAT, SLOT, None,
                    f"supply entry is +210 Wh, -60000 millionths; that of {GRID} is -200 Wh, +60000 millionths",
                ),
                energy_sum("+10"),
            ],
            id="supply's energy",
        ),
        pytest.param(
            "grid",
            f"UPDATE ledger SET amount_micro = 60001 WHERE slot = {SLOT}",
            [
                (
                    "ledger-backstop", FLAT, SLOT, None,
                    f"supply entry is +200 Wh, -60000 millionths; that of {GRID} is -200 Wh, +60001 millionths",
                ),
                money_sum("+1"),
            ],
            id="utility's amount",
        ),
        pytest.param(
            "grid",
            f"UPDATE ledger SET slot = {THIRD} WHERE slot = {SLOT}",
            [
                (
                    "ledger-backstop", FLAT, SLOT, None,
                    f"supply entry of +200 Wh, -60000 millionths, but {GRID} has none for this slot",
                ),
                (
                    "ledger-backstop", GRID, THIRD, None,
                    f"supply entry of -200 Wh, +60000 millionths, but {FLAT} has no entry and no reading",
                ),
                (
                    "sharing-reading", GRID, THIRD, None,
                    f"has 1 supply entries of {FLAT}, which has reported nothing",
                ),
                ("sharing-bill", FLAT, SLOT, None, "was billed for +0 Wh and had reported +200 Wh"),
            ],
            id="utility's slot",
        ),
        pytest.param(
            "flat-0",
            f"DELETE FROM ledger WHERE {SUPPLY}",
            [
                (
                    "ledger-backstop", FLAT, SLOT, None,
                    "reading is booked with a supply of +200 Wh, but there is no entry of it",
                ),
                (
                    "ledger-backstop", GRID, SLOT, None,
                    f"supply entry of -200 Wh, +60000 millionths, but {FLAT} has no entry and a reading booked "
                    "with +200 Wh",
                ),
                energy_sum("-200"),
                money_sum("+60000"),
            ],
            id="no supply entry",
        ),
        pytest.param(
            "flat-0",
            f"UPDATE readings SET state = 'final' WHERE slot = {SLOT}",
            [
                (
                    "ledger-backstop", FLAT, SLOT, None,
                    "supply entry of +200 Wh, -60000 millionths, but the reading is final",
                ),
            ],
            id="supply entry without booked reading",
        ),
        pytest.param(
            "roof-0",
            f"UPDATE ledger SET reference = 'gift' WHERE {SUPPLY}",
            [("ledger-backstop", ROOF, NEXT, None, "supply entry has the reference gift, not supply")],
            id="reference",
        ),
        pytest.param(
            "grid",
            f"INSERT INTO ledger VALUES ('{GRID}', 'backstop', {SLOT}, '{FLAT}', 'gift', -200, 60000)",
            [
                ("ledger-backstop", GRID, SLOT, None, "supply entry has the reference gift, not supply"),
                energy_sum("-200"),
                money_sum("+60000"),
                ("sharing-bill", FLAT, SLOT, None, "was billed for +400 Wh and had reported +200 Wh"),
            ],
            id="utility's reference",
        ),
        pytest.param(
            "flat-0",
            f"INSERT INTO ledger VALUES ('{FLAT}', 'backstop', {SLOT}, '{ROOF}', 'supply', 200, -60000)",
            [
                ("ledger-backstop", FLAT, SLOT, None, "has 2 supply entries for one slot"),
                ("ledger-backstop", FLAT, SLOT, None, f"supply entry is with {ROOF}, which is no utility"),
                energy_sum("+200"),
                money_sum("-60000"),
            ],
            id="two supply entries",
        ),
    ],
)  # fmt: skip
def test_every_ledger_entry_has_its_cause_and_its_mirror(
    tmp_path: Path, pod: str, sql: str, findings: list[tuple[str, str | None, int | None, str | None, str]]
) -> None:
    state = write_state(tmp_path / "state", street())
    change(state, pod, sql)
    assert audit(read_books(state)).findings == tuple(Finding(*finding) for finding in findings)


def test_energy_and_money_of_a_supply_have_opposite_signs(tmp_path: Path) -> None:
    state = write_state(tmp_path / "state", street())
    change(state, "flat-0", f"UPDATE ledger SET amount_micro = 60000 WHERE {SUPPLY}")
    change(state, "grid", f"UPDATE ledger SET amount_micro = -60000 WHERE slot = {SLOT}")
    assert audit(read_books(state)).findings == (
        Finding(
            "ledger-backstop", FLAT, SLOT, None,
            "supply entry is +200 Wh, +60000 millionths: energy and money have the same sign",
        ),
    )  # fmt: skip


def test_where_a_price_may_be_negative_import_may_earn_but_for_all_alike(tmp_path: Path) -> None:
    state = write_state(tmp_path / "state", street())
    change(state, "flat-0", f"UPDATE ledger SET amount_micro = 60000 WHERE {SUPPLY}")
    change(state, "grid", f"UPDATE ledger SET amount_micro = -60000 WHERE slot = {SLOT}")
    assert audit(read_books(state), below_zero=frozenset({GRID})).findings == ()
    assert audit(read_books(state), below_zero=frozenset({"other.street"})).findings != ()
    # Another household of the slot pays for its import: there is no such price.
    change(state, "grid", f"INSERT INTO ledger VALUES ('{GRID}', 'backstop', {SLOT}, 'loft-0', 'supply', -100, 30000)")
    found = audit(read_books(state), below_zero=frozenset({GRID})).findings
    text = (
        "supply entry is +200 Wh, +60000 millionths: energy and money have the same sign, and not for all in this slot"
    )
    assert Finding("ledger-backstop", FLAT, SLOT, None, text) in found


def test_a_supply_that_the_household_is_about_to_book_is_in_flight(tmp_path: Path) -> None:
    state = write_state(tmp_path / "state", street())
    change(state, "flat-0", f"DELETE FROM ledger WHERE {SUPPLY}")
    change(state, "flat-0", f"UPDATE readings SET state = 'final' WHERE slot = {SLOT}")
    result = audit(read_books(state))
    assert result.findings == ()
    assert (result.energy_in_flight_wh, result.amount_in_flight_micro) == (-200, 60_000)
    assert (result.energy_sum_wh, result.amount_sum_micro) == (0, 0)


def test_a_supply_other_than_the_final_reading_is_found(tmp_path: Path) -> None:
    state = write_state(tmp_path / "state", street())
    change(state, "flat-0", f"DELETE FROM ledger WHERE {SUPPLY}")
    change(
        state, "flat-0",
        f"UPDATE readings SET state = 'final', imported_wh = 190, load_wh = 590 WHERE slot = {SLOT}",
    )  # fmt: skip
    assert audit(read_books(state)).findings[0] == Finding(
        "ledger-backstop", GRID, SLOT, None,
        f"supply entry of -200 Wh, +60000 millionths, but {FLAT} has no entry and a reading final with +190 Wh",
    )  # fmt: skip


FIRST_READING = f"WHERE slot = {SLOT}"


@pytest.mark.parametrize(
    ("pod", "sql", "findings"),
    [
        pytest.param(
            "roof-0",
            f"UPDATE readings SET pv_wh = pv_wh + 1 {FIRST_READING}",
            [("reading-balance", ROOF, SLOT, None, "level changes by +280 Wh, but what was metered explains +281 Wh")],
            id="balance",
        ),
        pytest.param(
            "roof-0",
            f"UPDATE readings SET capacity_wh = 5279 {FIRST_READING}",
            [("reading-level", ROOF, SLOT, None, "level is 5280 Wh after the slot; capacity is 5279 Wh")],
            id="capacity",
        ),
        pytest.param(
            "flat-0",
            f"UPDATE readings SET pv_wh = -1, load_wh = load_wh - 1 {FIRST_READING}",
            [("reading-quantity", FLAT, SLOT, None, "pv is -1 Wh")],
            id="negative",
        ),
        pytest.param(
            "flat-0",
            f"DELETE FROM readings WHERE slot = {NEXT}",
            [("reading-sequence", FLAT, THIRD, None, "next slot is +900 s from where the last reading ends")],
            id="last reading missing",
        ),
        pytest.param(
            "flat-0",
            "UPDATE parties SET first_slot = first_slot - 900",
            [("reading-sequence", FLAT, SLOT, None, "reading starts +900 s from where the one before ends")],
            id="first reading missing",
        ),
        pytest.param(
            "roof-0",
            "UPDATE parties SET initial_level_wh = 4000",
            [
                (
                    "reading-level", ROOF, SLOT, None,
                    "level is 5000 Wh before the slot, but was 4000 Wh after the one before",
                ),
            ],
            id="initial level",
        ),
        pytest.param(
            "roof-0",
            f"UPDATE readings SET level_before_wh = 5290, losses_wh = 10 WHERE slot = {NEXT}",
            [
                (
                    "reading-level", ROOF, NEXT, None,
                    "level is 5290 Wh before the slot, but was 5280 Wh after the one before",
                ),
            ],
            id="level jumps",
        ),
        pytest.param(
            "roof-0",
            "UPDATE parties SET level_wh = 5000",
            [("reading-level", ROOF, THIRD, None, "level is 5000 Wh, but was 5280 Wh after the last reading")],
            id="level now",
        ),
        pytest.param(
            "roof-0",
            "UPDATE parties SET carried_uwh = 5",
            [
                (
                    "reading-level", ROOF, THIRD, None,
                    "carries 5 millionths of a Wh, but 0 were left of the last reading",
                ),
            ],
            id="carried now",
        ),
        pytest.param(
            "roof-0",
            f"UPDATE readings SET carried_uwh = 1000000 WHERE slot = {NEXT}",
            [
                (
                    "reading-level", ROOF, THIRD, None,
                    "carries 0 millionths of a Wh, but 1000000 were left of the last reading",
                ),
                (
                    "reading-level", ROOF, NEXT, None,
                    "carries 1000000 millionths of a Wh; level is 5280 Wh after the slot",
                ),
            ],
            id="a whole Wh carried",
        ),
        pytest.param(
            "roof-0",
            f"UPDATE readings SET covered_wh = 1 {FIRST_READING}",
            [
                (
                    "reading-covered", ROOF, SLOT, None,
                    "1 Wh of sales came from the backstop, but 400 Wh were sold and 0 Wh imported",
                ),
                (
                    "reading-covered", ROOF, SLOT, None,
                    "1 Wh of sales came from the backstop; by what sun and store gave, 0 to 0 Wh",
                ),
            ],
            id="covered without import",
        ),
        pytest.param(
            "flat-0",
            f"UPDATE readings SET bought_wh = 401, load_wh = 601 {FIRST_READING}",
            [("reading-trades", FLAT, SLOT, None, "reading has 401 Wh bought; delivered contracts have 400 Wh")],
            id="bought",
        ),
        pytest.param(
            "roof-0",
            f"UPDATE readings SET sold_wh = 399, load_wh = 301 {FIRST_READING}",
            [("reading-trades", ROOF, SLOT, None, "reading has 399 Wh sold; delivered contracts have 400 Wh")],
            id="sold",
        ),
        pytest.param(
            "flat-0",
            f"UPDATE readings SET imported_wh = 210, exported_wh = 10 {FIRST_READING}",
            [("reading-open", FLAT, SLOT, None, "reading is booked with 210 Wh imported and 10 Wh exported")],
            id="import and export",
        ),
    ],
)  # fmt: skip
def test_every_reading_balances_and_follows_the_one_before(
    tmp_path: Path, pod: str, sql: str, findings: list[tuple[str, str | None, int | None, str | None, str]]
) -> None:
    state = write_state(tmp_path / "state", street())
    change(state, pod, sql)
    assert audit(read_books(state)).findings == tuple(Finding(*finding) for finding in findings)


def covered(covered_wh: int, **changes: int) -> list[Finding]:
    """What is found where roof-0 delivers 500 Wh of which neither sun nor store gives any."""
    flat, grid, roof = positions("DELIVERED", "DELIVERED")
    metered = replace(roof.readings[2], level_after_wh=5280, imported_wh=500, covered_wh=covered_wh, state="open")
    metered = replace(metered, **changes)  # type: ignore[arg-type]
    standing = replace(roof.parties[0], level_wh=metered.level_after_wh, carried_uwh=metered.carried_uwh)
    roof = replace(roof, parties=(standing,), readings=(*roof.readings[:2], metered))
    return list(audit([flat, grid, roof]).findings)


def test_what_sun_and_store_do_not_give_of_a_sale_is_covered_by_the_backstop() -> None:
    def text(covered_wh: int, least_wh: int, most_wh: int) -> list[Finding]:
        gave = f"by what sun and store gave, {least_wh} to {most_wh} Wh"
        of_sales = f"{covered_wh} Wh of sales came from the backstop; {gave}"
        return [Finding("reading-covered", ROOF, THIRD, None, of_sales)]

    assert covered(500) == []
    assert covered(499) == text(499, 500, 500)
    assert covered(100, level_after_wh=4880, imported_wh=100) == []
    assert covered(99, level_after_wh=4880, imported_wh=100) == text(99, 100, 500)
    assert covered(300, pv_wh=200, imported_wh=300) == []
    assert covered(301, pv_wh=200, load_wh=1, imported_wh=301) == []
    assert covered(300, pv_wh=201, imported_wh=300, exported_wh=1) == [
        Finding(
            "reading-covered", ROOF, THIRD, None, "300 Wh of sales came from the backstop, but 1 Wh were exported"
        ),
        *text(300, 299, 299),
    ]  # fmt: skip


def test_an_open_reading_may_have_import_and_export(tmp_path: Path) -> None:
    state = write_state(tmp_path / "state", street())
    change(
        state, "roof-0",
        f"INSERT INTO readings VALUES ('{ROOF}', {THIRD}, 5280, 5280, 10000, 0, 0, 0, 0, 10, 10, 0, 'open', "
        "0, 0, 0, 0, NULL, NULL)",
    )  # fmt: skip
    change(state, "roof-0", f"UPDATE parties SET next_slot = {THIRD + 900}")
    change(state, "roof-0", f"DELETE FROM contracts WHERE {PROMISE}")
    change(state, "flat-0", f"DELETE FROM contracts WHERE {PROMISE}")
    assert audit(read_books(state)).findings == ()


@pytest.mark.parametrize(
    ("pod", "party", "kind", "text"),
    [
        ("roof-0", ROOF, "reading-trades", "slot is metered, but this sale is still CONFIRMED"),
        ("flat-0", FLAT, "reading-open", "reading is final, but this purchase is still open"),
    ],
)
def test_a_slot_is_not_closed_with_open_contracts(tmp_path: Path, pod: str, party: str, kind: str, text: str) -> None:
    state = write_state(tmp_path / "state", street())
    change(
        state, pod,
        f"INSERT INTO readings SELECT party, {THIRD}, level_wh, level_wh, capacity_wh, {', '.join('0' * 7)}, 'final', "
        "0, 0, 0, 0, NULL, NULL FROM parties",
    )  # fmt: skip
    change(state, pod, f"UPDATE parties SET next_slot = {THIRD + 900}")
    assert audit(read_books(state)).findings == (Finding(kind, party, THIRD, PROMISED, text),)


def test_nothing_is_delivered_from_a_slot_that_is_not_metered() -> None:
    flat, grid, roof = positions("DELIVERED", "DELIVERED")
    unmetered = replace(roof, readings=roof.readings[:2], parties=street()[2].parties)
    assert audit([flat, grid, unmetered]).findings == (
        Finding("reading-trades", ROOF, THIRD, PROMISED, "sale is delivered, but its slot is not metered"),
    )


def test_a_finding_stands_when_a_second_audit_has_it_too() -> None:
    passing = audit(positions("AGREED", "CONFIRMED"))  # the buyer's book was read before it confirmed
    later = audit(positions("CONFIRMED", "CONFIRMED"))
    assert passing.findings
    assert passing.confirmed_by(later) == later
    assert passing.confirmed_by(passing) == passing


def test_the_audit_shares_no_code_with_what_it_audits() -> None:
    code = "import sys, wattmesh_cli.audit; print([m for m in sys.modules if m.startswith('wattmesh_')])"
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert "wattmesh_cli.audit" in loaded
    assert "wattmesh_agents" not in loaded
    assert "wattmesh_beckn" not in loaded
