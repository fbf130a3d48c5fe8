"""The contract state machine, searched through: every interleaving with up to so many faults keeps the books right.

How it is searched and why nothing is passed over stands in explore.py and model.py; what it shows, in
docs/correctness.md. `EXTRA_FAULTS=1 make test ARGS=tests/correctness` searches further: minutes instead of seconds.
"""

from __future__ import annotations

import os

import pytest

from tests.correctness.explore import TOGETHER, Exploration
from wattmesh_market.trade.contracts import ContractState

EXTRA_FAULTS = int(os.environ.get("EXTRA_FAULTS", "0"))
ONE, TWO = (8600,), (8600, 8800)
"""Sellers by what is in their batteries (Wh): the first can spare 540 Wh of the 1000 needed, the second the rest."""

FORGOTTEN = ("none", "CANCELLED")
"""A buyer that crashed after its select has lost the purchase, and declines the quote."""
MANY_FAULTS = {("IN_DOUBT", "DELIVERED")}
"""The buyer must be kept in the dark from its confirm until the slot is over."""


@pytest.mark.parametrize(
    ("buyers", "sellers", "most_faults", "cancels", "calm_search"),
    [
        pytest.param(1, ONE, 2, False, True, id="one seller, two faults"),
        pytest.param(1, ONE, 1, True, True, id="one seller, a buyer that may cancel, one fault"),
        pytest.param(1, ONE, 1, False, False, id="one seller, from the search on, one fault"),
        pytest.param(1, TWO, 1, False, True, id="two sellers in one transaction, one fault"),
    ],
)
def test_whatever_is_lost_doubled_late_or_dies_both_sides_end_the_same(
    buyers: int, sellers: tuple[int, ...], most_faults: int, cancels: bool, calm_search: bool
) -> None:
    exploration = Exploration(sellers, buyers=buyers, most_faults=most_faults + EXTRA_FAULTS, cancels=cancels)
    counts = exploration.run(exploration.start(calm_search=calm_search))
    exploration.close()
    print(f"{counts.states} states, {counts.transitions} transitions, {counts.steps_run} steps of a party")  # noqa: T201
    seen = {pair for pair in TOGETHER - MANY_FAULTS if cancels or ContractState.CANCELLED not in pair} | {FORGOTTEN}
    assert set(counts.pairs) == seen or (EXTRA_FAULTS and set(counts.pairs) > seen)
    ends = {pair for end in counts.ends for pair in end}
    assert {("SETTLED", "SETTLED"), ("EXPIRED", "EXPIRED")} <= ends
    assert (("CANCELLED", "CANCELLED") in ends) == cancels


def test_two_buyers_never_get_more_than_the_seller_has() -> None:
    exploration = Exploration(ONE, buyers=2, most_faults=EXTRA_FAULTS)
    counts = exploration.run(exploration.start())
    exploration.close()
    print(f"{counts.states} states, {counts.transitions} transitions, {counts.steps_run} steps of a party")  # noqa: T201
    settled, nothing = ("SETTLED", "SETTLED"), ("none", "none")
    assert all(end.count(settled) <= 1 for end in counts.ends)
    if not EXTRA_FAULTS:
        assert {frozenset(end) for end in counts.ends} == {frozenset({settled, nothing})}, "one gets all"
