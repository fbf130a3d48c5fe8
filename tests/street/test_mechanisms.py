"""A study's street by each mechanism: the same parties and books, another way to meet."""

from __future__ import annotations

from collections import defaultdict
from pathlib import Path

import pytest
from rich.console import Console

from tests.world.manifests import MARKET, households, planned, utility
from wattmesh_cli.audit import audit
from wattmesh_cli.books import DELIVERED, Book
from wattmesh_cli.sqlite_books import read_books
from wattmesh_cli.state import StateError
from wattmesh_cli.street.simulation import run_simulation
from wattmesh_cli.street_record import Over
from wattmesh_market.mechanisms import MECHANISMS

STREET = planned(
    MARKET
    + utility(fees=", localGridFee: 0.03")
    + households("roof", "pv: {peakKw: 5}, load: {annualKwh: 2000}", replicas=2)
    + households("store", "pv: {peakKw: 4}, battery: {capacityKwh: 8, initialKwh: 6}, load: {annualKwh: 3000}")
    + households("flat", "load: {annualKwh: 6000}", replicas=3)
)


def simulated(mechanism: str, state: Path, over: Over = Over.CALLS) -> list[Book]:
    """The books of a day by a mechanism."""
    with state.with_suffix(".progress").open("w") as progress:
        run_simulation(
            STREET, state, days=1, seed=1, console=Console(file=progress), log_level=30, over=over, mechanism=mechanism
        )
    return list(read_books(state))


@pytest.mark.parametrize("mechanism", sorted(MECHANISMS))
def test_the_books_are_right_by_any_mechanism_and_neighbours_get_something_of_it(
    mechanism: str, tmp_path: Path
) -> None:
    books = simulated(mechanism, tmp_path / "state")
    audited = audit(books)
    assert audited.findings == ()
    entries = [entry for book in books for entry in book.ledger]
    local_wh = sum(max(0, entry.energy_wh) for entry in entries if entry.kind in ("trade", "shared"))
    assert local_wh > 1_000


def test_a_call_auction_has_one_price_in_a_slot_and_a_pool_has_no_contracts(tmp_path: Path) -> None:
    prices = defaultdict(set)
    for book in simulated("uniform-price", tmp_path / "auction"):
        for row in book.contracts:
            if row.side == "buyer" and row.state in DELIVERED and not row.counterparty.startswith("utility"):
                prices[row.slot].add(round(row.amount_micro / row.energy_wh))
    assert len(prices) > 20
    # An amount is rounded once, to a millionth: that moves the price of 10 Wh by less than a unit here.
    assert all(max(found) - min(found) <= 1 for found in prices.values())
    assert [row for book in simulated("pool", tmp_path / "pool") for row in book.contracts] == []


def test_messages_carry_bilateral_trade_only(tmp_path: Path) -> None:
    with pytest.raises(StateError, match="messages carry bilateral trade only; leave out --over messages"):
        simulated("pool", tmp_path / "state", Over.MESSAGES)
    assert not (tmp_path / "state").exists()
