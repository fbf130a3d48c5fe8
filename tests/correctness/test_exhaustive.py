"""The contract state machine, searched through: every interleaving with up to so many faults keeps the books right.

How it is searched and why nothing is passed over stands in explore.py and model.py; what it shows, in
docs/correctness.md. `EXTRA_FAULTS=1 make test ARGS=tests/correctness` searches further: minutes instead of seconds.
"""

from __future__ import annotations

import os

import pytest

from tests.correctness.corrections import Corrections
from tests.correctness.explore import DELIVERIES, TOGETHER, Counts, Exploration
from tests.correctness.readings import Readings
from tests.correctness.restorations import BUYER, LOST, SELLER, Restorations
from wattmesh_market.parties.household import Household
from wattmesh_market.trade.contracts import ContractState

EXTRA_FAULTS = int(os.environ.get("EXTRA_FAULTS", "0"))
ONE, TWO = (8600,), (8600, 8800)
"""Sellers by what is in their batteries (Wh): the first can spare 540 Wh of the 1000 needed, the second the rest."""

FORGOTTEN = ("none", "CANCELLED")
"""A buyer that crashed after its select has lost the purchase, and declines the quote."""
MANY_FAULTS = {("IN_DOUBT", "DELIVERED")}
"""The buyer must be kept in the dark from its confirm until the slot is over."""
TWO_FAULTS = {("QUOTED", "EXPIRED")}
"""A buyer that hears no answer to its init gives the seller up, so one fault does not keep it waiting for so long."""
SETTLED = ("SETTLED", "SETTLED")
LENT_WH = 400
"""Less than the seller can spare, in place of what a newcomer is lent."""


def searched(exploration: Exploration, *, calm_search: bool = True) -> Counts:
    """What a whole search has seen."""
    counts = exploration.run(exploration.start(calm_search=calm_search))
    exploration.close()
    print(f"{counts.states} states, {counts.transitions} transitions, {counts.steps_run} steps of a party")  # noqa: T201
    return counts


def seen(most_faults: int, *, cancels: bool = False) -> set[tuple[str, str]]:
    """What buyer and seller are seen to be of a delivery by few faults, when no buyer cancels or when one may."""
    pairs = TOGETHER - MANY_FAULTS - (TWO_FAULTS if most_faults < 2 else set())
    return set(pairs) if cancels else {pair for pair in pairs if ContractState.CANCELLED not in pair} | {FORGOTTEN}


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
    counts = searched(exploration, calm_search=calm_search)
    expected = seen(most_faults, cancels=cancels)
    assert set(counts.pairs) == expected or (EXTRA_FAULTS and set(counts.pairs) > expected)
    ends = {pair for end in counts.ends for pair in end}
    assert {("SETTLED", "SETTLED"), ("EXPIRED", "EXPIRED")} <= ends
    assert (("CANCELLED", "CANCELLED") in ends) == cancels


def test_two_buyers_never_get_more_than_the_seller_has() -> None:
    counts = searched(Exploration(ONE, buyers=2, most_faults=EXTRA_FAULTS))
    assert all(end.count(SETTLED) <= 1 for end in counts.ends)
    if not EXTRA_FAULTS:
        assert {frozenset(end) for end in counts.ends} == {frozenset({SETTLED, ("none", "none")})}, "one gets all"


def test_an_order_for_two_slots_is_agreed_as_a_whole_and_then_each_delivery_goes_its_own_way() -> None:
    counts = searched(Exploration(ONE, most_faults=1 + EXTRA_FAULTS, two_slots=True))
    in_the_end = {SETTLED, ("EXPIRED", "EXPIRED")}
    assert {(one, one) for one in in_the_end} <= set(counts.ends)
    paid_apart = {("SETTLED", "CONFIRMED"), ("SETTLED", "DELIVERED"), ("DELIVERED", "SETTLED")}
    whole = {pair for pair in DELIVERIES if pair[1] != "CANCELLED" or pair[0] == "CANCELLED"} - paid_apart
    assert set(counts.deliveries) == whole or (EXTRA_FAULTS and set(counts.deliveries) > whole)
    assert set(counts.pairs) == seen(1) or EXTRA_FAULTS


def test_of_an_order_for_two_slots_one_delivery_may_be_cancelled() -> None:
    counts = searched(Exploration(ONE, most_faults=EXTRA_FAULTS, cancels=True, two_slots=True))
    in_the_end = {(SETTLED, SETTLED), (SETTLED, ("CANCELLED", "CANCELLED"))}
    assert set(counts.ends) == in_the_end or (EXTRA_FAULTS and set(counts.ends) > in_the_end)
    first_states = {first for first, second in counts.deliveries if second == "CANCELLED"}
    assert first_states >= {"CONFIRMED", "DELIVERED", "SETTLED"}


@pytest.mark.parametrize(
    ("level_wh", "most_faults", "two_slots", "covered"),
    [
        # Of 690 Wh, 600 are promised of the sun; 90 Wh are stored above the minimum. Of an order for two slots all that
        # is sold in each, 345 Wh, is promised of the sun, and the first gets what is stored.
        pytest.param(1100, 2, False, {600}, id="some stored, two faults"),
        pytest.param(None, 2, False, {600}, id="no battery, two faults"),
        pytest.param(1100, 1, True, {255, 345}, id="an order for two slots, one fault"),
    ],
)
def test_what_is_sold_of_sun_that_does_not_come_is_delivered_to_the_watt_hour(
    level_wh: int | None, most_faults: int, two_slots: bool, covered: set[int]
) -> None:
    exploration = Exploration((level_wh,), most_faults=most_faults + EXTRA_FAULTS, two_slots=two_slots, clouded=True)
    counts = searched(exploration)
    assert set(counts.pairs) == seen(most_faults) or EXTRA_FAULTS
    assert {SETTLED, ("EXPIRED", "EXPIRED")} <= {pair for end in counts.ends for pair in end}
    assert set(counts.covered) == covered, "the backstop gave what the sun and the store did not"


@pytest.mark.parametrize(
    ("most_faults", "cancels", "two_slots"),
    [
        pytest.param(1, False, False, id="one slot, one fault"),
        pytest.param(0, True, True, id="two slots, a buyer that may cancel"),
    ],
)
def test_a_seller_never_lends_more_than_it_may(
    monkeypatch: pytest.MonkeyPatch, most_faults: int, cancels: bool, two_slots: bool
) -> None:
    monkeypatch.setattr(Household, "lends_wh", lambda *_: LENT_WH)
    exploration = Exploration(ONE, most_faults=most_faults + EXTRA_FAULTS, cancels=cancels, two_slots=two_slots)
    counts = searched(exploration)
    assert max(counts.exposed) == LENT_WH, "it sells as much as it may lend"
    assert {SETTLED} <= {pair for end in counts.ends for pair in end}


def test_whatever_happens_to_readings_and_prices_each_slot_is_shared_once_and_all_is_booked() -> None:
    exploration = Readings(roofs=1, flats=1, most_faults=1 + EXTRA_FAULTS)
    searched(exploration)
    late = {(0, 250), (250, 0)} if EXTRA_FAULTS else set()
    assert exploration.shares - {(0, 0)} == {(250, 250)} | late, "what one fault delays is still in time"


def test_whenever_a_person_corrects_a_reading_each_correction_is_booked_once_on_both_sides() -> None:
    exploration = Corrections(most_faults=1 + EXTRA_FAULTS)
    searched(exploration)
    assert exploration.booked == {(theirs, ours) for theirs in range(4) for ours in range(theirs + 1)}


@pytest.mark.parametrize("who", [BUYER, SELLER])
def test_whenever_one_side_is_put_back_both_end_the_same_by_what_the_other_holds_signed(who: str) -> None:
    counts = searched(Restorations(who, *ONE, most_faults=1 + EXTRA_FAULTS))
    expected = seen(1) | LOST[who] | ({("IN_DOUBT", "DELIVERED")} if who == BUYER else set())
    assert set(counts.pairs) == expected or (EXTRA_FAULTS and set(counts.pairs) > expected)
    assert {SETTLED, ("EXPIRED", "EXPIRED")} <= {pair for end in counts.ends for pair in end}
