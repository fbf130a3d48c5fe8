"""A contract's life: every step that is allowed, and none other."""

from __future__ import annotations

from collections.abc import Callable
from itertools import product

import pytest

from wattmesh_market.trade.contracts import (
    DELIVERED,
    OPEN,
    OVER,
    PROMISED,
    TENTATIVE,
    Contract,
    ContractState,
    Delivery,
    Side,
    WrongState,
)

QUOTED, AGREED, CONFIRMED = ContractState.QUOTED, ContractState.AGREED, ContractState.CONFIRMED
SETTLED, EXPIRED, CANCELLED = ContractState.SETTLED, ContractState.EXPIRED, ContractState.CANCELLED
IS_DELIVERED = ContractState.DELIVERED
SLOT, NOW, LATER = 900, 1000, 2000


def contract(*states: ContractState) -> Contract:
    """Of 500 Wh in each of some slots, for 0.10 each."""
    deliveries = tuple(
        Delivery(SLOT * number, f"energy-{SLOT * number}", 500, 100_000, 0, state)
        for number, state in enumerate(states, start=1)
    )
    return Contract("roof-0.default", Side.SELLER, "t-1", "flat-0.default", deliveries, NOW + 500, 0, 0)


STEPS: dict[ContractState, Callable[[Contract], Contract]] = {
    AGREED: lambda contract: contract.agreed("o-1", NOW),
    CONFIRMED: lambda contract: contract.confirmed(NOW),
    IS_DELIVERED: lambda contract: contract.delivered(SLOT, 400, 80_000, NOW),
    SETTLED: lambda contract: contract.settled(SLOT, NOW),
    EXPIRED: lambda contract: contract.ended(EXPIRED, "too late", NOW),
    CANCELLED: lambda contract: contract.ended(CANCELLED, "changed my mind", NOW),
}
ALLOWED = {
    (QUOTED, AGREED),
    (QUOTED, EXPIRED),
    (QUOTED, CANCELLED),
    (AGREED, CONFIRMED),
    (AGREED, EXPIRED),
    (AGREED, CANCELLED),
    (CONFIRMED, IS_DELIVERED),
    (CONFIRMED, CANCELLED),
    (IS_DELIVERED, SETTLED),
}


@pytest.mark.parametrize(("state", "step"), list(product(ContractState, STEPS)))
def test_a_contract_goes_only_where_it_may(state: ContractState, step: ContractState) -> None:
    before = contract(state)
    if (state, step) in ALLOWED:
        moved = STEPS[step](before)
        assert (moved.state, moved.updated_ms) == (step, NOW)
        assert (moved.energy_wh, moved.amount_micro, moved.first_slot) == (500, 100_000, SLOT)
    else:
        with pytest.raises(WrongState, match=f"cannot go from {state} to {step}"):
            STEPS[step](before)


def test_a_whole_life() -> None:
    agreed = contract(QUOTED).agreed("o-1", NOW)
    assert agreed.order_id == "o-1"
    delivered = agreed.confirmed(NOW).delivered(SLOT, 400, 80_000, LATER)
    assert (delivered.confirmed_ms, delivered.updated_ms) == (NOW, LATER)
    assert delivered.deliveries[0][5:8] == (IS_DELIVERED, 400, 80_000)
    assert delivered.settled(SLOT, LATER).deliveries[0][5:8] == (SETTLED, 400, 80_000)


@pytest.mark.parametrize("delivered_wh", [0, 1, 499, 500])
def test_up_to_what_was_contracted_can_be_delivered(delivered_wh: int) -> None:
    assert contract(CONFIRMED).delivered(SLOT, delivered_wh, 1, NOW).deliveries[0].delivered_wh == delivered_wh


@pytest.mark.parametrize("delivered_wh", [-1, 501])
def test_more_than_contracted_is_never_booked(delivered_wh: int) -> None:
    with pytest.raises(WrongState, match=f"cannot book {delivered_wh} Wh of a contract over 500 Wh"):
        contract(CONFIRMED).delivered(SLOT, delivered_wh, 1, NOW)


def test_a_slot_that_is_not_in_the_order_is_not_delivered() -> None:
    with pytest.raises(WrongState, match="no delivery in slot 1800"):
        contract(CONFIRMED).delivered(2 * SLOT, 500, 1, NOW)


@pytest.mark.parametrize("state", list(ContractState))
def test_only_a_quote_expires_and_not_before_its_time(state: ContractState) -> None:
    one = contract(state)
    assert one.expired(one.expires_ms) == one.expired(LATER) == (state in (QUOTED, AGREED))
    assert not one.expired(one.expires_ms - 1)


@pytest.mark.parametrize("state", list(ContractState))
def test_only_what_is_agreed_can_be_in_doubt(state: ContractState) -> None:
    if state is AGREED:
        doubted = contract(state).doubted(NOW)
        assert (doubted.state, doubted.in_doubt, doubted.updated_ms) == (AGREED, True, NOW)
    else:
        with pytest.raises(WrongState, match=f"cannot confirm what is {state}"):
            contract(state).doubted(NOW)


def test_in_doubt_nothing_expires_and_every_end_is_out_of_doubt() -> None:
    doubted = contract(AGREED).doubted(NOW)
    assert not doubted.expired(LATER * 1000)
    assert not doubted.confirmed(NOW).in_doubt
    for state, reason in ((EXPIRED, "the seller says so"), (CANCELLED, "unknown to the seller")):
        ended = doubted.ended(state, reason, NOW)
        assert (ended.state, ended.in_doubt, ended.reason) == (state, False, reason)


def test_groups_of_states() -> None:
    assert set(TENTATIVE) == {QUOTED, AGREED}
    assert set(PROMISED) == {QUOTED, AGREED, CONFIRMED}
    assert set(DELIVERED) == {IS_DELIVERED, SETTLED}
    assert set(OVER) == {EXPIRED, CANCELLED}
    assert set(OPEN) == set(ContractState) - {SETTLED, EXPIRED, CANCELLED}


# --- several deliveries ---


def test_while_one_delivery_is_in_doubt_the_order_is() -> None:
    doubted = contract(AGREED, AGREED, AGREED).doubted(NOW)
    first_gone = doubted.ended(CANCELLED, "why not", NOW, [SLOT])
    assert (first_gone.state, first_gone.in_doubt) == (AGREED, True)
    assert [one.state for one in first_gone.confirmed(NOW).deliveries] == [CANCELLED, CONFIRMED, CONFIRMED]


def test_what_is_left_of_an_order_ends_as_a_whole() -> None:
    left = contract(CANCELLED, AGREED, AGREED)
    assert [one.state for one in left.ended(EXPIRED, "too late", NOW).deliveries] == [CANCELLED, EXPIRED, EXPIRED]
