"""A contract's life: every step that is allowed, and none other."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from itertools import product

import pytest

from wattmesh_agents.trade.contracts import (
    DELIVERED,
    OPEN,
    PROMISED,
    TENTATIVE,
    Contract,
    ContractState,
    Side,
    WrongState,
)

QUOTED, AGREED, CONFIRMED = ContractState.QUOTED, ContractState.AGREED, ContractState.CONFIRMED
SETTLED, EXPIRED, CANCELLED = ContractState.SETTLED, ContractState.EXPIRED, ContractState.CANCELLED
IS_DELIVERED = ContractState.DELIVERED
NOW, LATER = 1000, 2000

CONTRACT = Contract(
    party="roof-0.default",
    side=Side.SELLER,
    transaction_id="t-1",
    counterparty="flat-0.default",
    item_id="energy-900",
    slot=900,
    energy_wh=500,
    amount_micro=100_000,
    state=QUOTED,
    expires_ms=NOW + 500,
    created_ms=0,
    updated_ms=0,
)

STEPS: dict[ContractState, Callable[[Contract], Contract]] = {
    AGREED: lambda contract: contract.agreed("o-1", NOW),
    CONFIRMED: lambda contract: contract.confirmed(NOW),
    IS_DELIVERED: lambda contract: contract.delivered(400, 80_000, NOW),
    SETTLED: lambda contract: contract.settled(NOW),
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
    contract = replace(CONTRACT, state=state)
    if (state, step) in ALLOWED:
        moved = STEPS[step](contract)
        assert (moved.state, moved.updated_ms) == (step, NOW)
        assert (moved.energy_wh, moved.amount_micro, moved.slot) == (500, 100_000, 900)
    else:
        with pytest.raises(WrongState) as refused:
            STEPS[step](contract)
        assert str(refused.value) == f"cannot go from {state} to {step}"
    assert contract.state is state, "a step makes a new record"


def test_a_whole_life() -> None:
    agreed = CONTRACT.agreed("o-1", NOW)
    assert (agreed.order_id, agreed.delivered_wh, agreed.settled_micro) == ("o-1", None, None)
    delivered = agreed.confirmed(NOW).delivered(400, 80_000, LATER)
    assert (delivered.delivered_wh, delivered.settled_micro, delivered.updated_ms) == (400, 80_000, LATER)
    assert delivered.settled(LATER) == replace(delivered, state=SETTLED)


@pytest.mark.parametrize("delivered_wh", [0, 1, 499, 500])
def test_up_to_what_was_contracted_can_be_delivered(delivered_wh: int) -> None:
    contract = replace(CONTRACT, state=CONFIRMED)
    assert contract.delivered(delivered_wh, 1, NOW).delivered_wh == delivered_wh


@pytest.mark.parametrize("delivered_wh", [-1, 501])
def test_more_than_contracted_is_never_booked(delivered_wh: int) -> None:
    with pytest.raises(WrongState) as refused:
        replace(CONTRACT, state=CONFIRMED).delivered(delivered_wh, 1, NOW)
    assert str(refused.value) == f"cannot book {delivered_wh} Wh of a contract over 500 Wh"


@pytest.mark.parametrize("state", list(ContractState))
def test_only_a_quote_expires_and_not_before_its_time(state: ContractState) -> None:
    contract = replace(CONTRACT, state=state)
    assert contract.expired(contract.expires_ms) == contract.expired(LATER) == (state in (QUOTED, AGREED))
    assert not contract.expired(contract.expires_ms - 1)


@pytest.mark.parametrize("state", list(ContractState))
def test_only_what_is_agreed_can_be_in_doubt(state: ContractState) -> None:
    contract = replace(CONTRACT, state=state)
    if state is AGREED:
        doubted = contract.doubted(NOW)
        assert (doubted.state, doubted.in_doubt, doubted.updated_ms) == (AGREED, True, NOW)
    else:
        with pytest.raises(WrongState) as refused:
            contract.doubted(NOW)
        assert str(refused.value) == f"cannot confirm what is {state}"


def test_in_doubt_nothing_expires_and_every_end_is_out_of_doubt() -> None:
    doubted = replace(CONTRACT, state=AGREED).doubted(NOW)
    assert not doubted.expired(LATER * 1000)
    assert not doubted.confirmed(NOW).in_doubt
    for state, reason in ((EXPIRED, "the seller says so"), (CANCELLED, "unknown to the seller")):
        ended = doubted.ended(state, reason, NOW)
        assert (ended.state, ended.in_doubt, ended.reason) == (state, False, reason)


def test_groups_of_states() -> None:
    assert set(TENTATIVE) == {QUOTED, AGREED}
    assert set(PROMISED) == {QUOTED, AGREED, CONFIRMED}
    assert set(DELIVERED) == {IS_DELIVERED, SETTLED}
    assert set(OPEN) == set(ContractState) - {SETTLED, EXPIRED, CANCELLED}
