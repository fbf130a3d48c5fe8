"""How much a seller lends a buyer: what it may have quoted, ordered and not paid."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wattmesh_market.energy.slots import SLOT_S
from wattmesh_market.trade.contracts import OPEN, Contract, ContractState, Delivery, Ended, Side
from wattmesh_market.trade.offers import MIN_TRADE_WH
from wattmesh_market.trade.partners import TRIAL_WH
from wattmesh_market.trade.quotas import NEWCOMER_WH, owing_wh
from wattmesh_market.trade.refusal import Reason, Refused

ANN = "ann.default"
QUOTED, CONFIRMED, DELIVERED = ContractState.QUOTED, ContractState.CONFIRMED, ContractState.DELIVERED
SETTLED, EXPIRED, CANCELLED = ContractState.SETTLED, ContractState.EXPIRED, ContractState.CANCELLED
MUCH_WH = 1_000_000
"""More than anybody is lent."""


def sold(state: ContractState, energy_wh: int, number: int = 0, reason: str | None = None) -> Contract:
    """A sale to Ann as far as `state`, delivered in full where it is delivered."""
    delivered_wh = energy_wh if state in (DELIVERED, SETTLED) else None
    one = Delivery(SLOT_S * (number + 1), "energy", energy_wh, 100, 0, state, delivered_wh, None)
    return Contract("roof-0", Side.SELLER, f"t-{number}", ANN, (one,), 0, number, number, f"o-{number}", reason=reason)


def lent_wh(*had: Contract, asked_wh: int = MUCH_WH) -> int | None:
    """How much more Ann may have after what it has had."""
    return owing_wh(ANN, [one for one in had if one.state in OPEN], asked_wh, had, NEWCOMER_WH)


def test_a_newcomer_is_lent_a_flats_need_of_an_hour() -> None:
    assert lent_wh() == NEWCOMER_WH == 1_200


def test_who_asks_for_no_more_than_it_may_have_is_not_limited() -> None:
    assert lent_wh(asked_wh=NEWCOMER_WH) is None
    assert lent_wh(asked_wh=NEWCOMER_WH + 1) == NEWCOMER_WH, "quoted in part"


@pytest.mark.parametrize("state", [QUOTED, ContractState.AGREED, CONFIRMED, DELIVERED])
def test_what_is_quoted_ordered_or_delivered_and_not_paid_counts(state: ContractState) -> None:
    assert lent_wh(sold(state, 500)) == NEWCOMER_WH - 500


def test_what_is_paid_comes_on_top() -> None:
    assert lent_wh(sold(SETTLED, 500)) == NEWCOMER_WH + 500


def test_of_an_order_of_several_slots_each_counts_as_far_as_it_is() -> None:
    [paid], [ordered] = sold(SETTLED, 300).deliveries, sold(CONFIRMED, 400, 1).deliveries
    assert lent_wh(sold(SETTLED, 300)._replace(deliveries=(paid, ordered))) == NEWCOMER_WH + 300 - 400


def test_only_what_was_delivered_counts_as_paid() -> None:
    """A utility is delivered what there is; it pays for that."""
    paid = sold(SETTLED, 500)
    [one] = paid.deliveries
    assert lent_wh(paid._replace(deliveries=(one._replace(delivered_wh=200),))) == NEWCOMER_WH + 200


@pytest.mark.parametrize(
    "lapse", [sold(EXPIRED, 500), sold(CANCELLED, 500, reason=f"{Ended.BY_BUYER}: cheaper elsewhere")]
)
def test_what_it_lets_run_out_or_cancels_comes_off(lapse: Contract) -> None:
    assert lent_wh(lapse) == NEWCOMER_WH - 500


def test_what_others_cancel_does_not_come_off() -> None:
    assert lent_wh(sold(CANCELLED, 500, reason="the household is gone")) == NEWCOMER_WH


def test_a_little_is_always_left() -> None:
    assert lent_wh(sold(EXPIRED, MUCH_WH)) == TRIAL_WH
    assert lent_wh(sold(EXPIRED, MUCH_WH), sold(SETTLED, TRIAL_WH, 1)) == TRIAL_WH, "less than the lapse"


def test_who_may_have_nothing_more_is_told_what_to_do() -> None:
    with pytest.raises(Refused) as refused:
        lent_wh(sold(DELIVERED, NEWCOMER_WH))
    assert (refused.value.reason, refused.value.text) == (
        Reason.BUSINESS,
        "'ann.default' has 1.200 kWh here that are not paid, and may have 1.200 kWh; pay what was delivered first",
    )


sales = st.lists(
    st.builds(
        sold,
        st.sampled_from([QUOTED, CONFIRMED, DELIVERED, SETTLED, EXPIRED, CANCELLED]),
        st.integers(MIN_TRADE_WH, 3_000),
        reason=st.sampled_from([None, f"{Ended.BY_BUYER}: cheaper elsewhere"]),
    ),
    max_size=10,
).map(lambda found: [one._replace(transaction_id=f"t-{number}") for number, one in enumerate(found)])


def bound_wh(had: list[Contract]) -> int:
    """How much more Ann may have, nothing where it is refused."""
    try:
        return lent_wh(*had) or 0
    except Refused:
        return 0


def left_after(now_wh: int, energy_wh: int) -> int:
    """What is left of `now_wh` after an order; less than the least trade is nothing."""
    left_wh = now_wh - energy_wh
    return left_wh if left_wh >= MIN_TRADE_WH else 0


@given(sales, st.integers(MIN_TRADE_WH, 3_000))
def test_paying_never_takes_off_and_a_lapse_never_adds(had: list[Contract], energy_wh: int) -> None:
    now_wh = bound_wh(had)
    assert bound_wh([*had, sold(SETTLED, energy_wh, 99)]) >= now_wh
    assert bound_wh([*had, sold(EXPIRED, energy_wh, 99)]) <= now_wh
    assert bound_wh([*had, sold(CONFIRMED, energy_wh, 99)]) == left_after(now_wh, energy_wh)
    if not any(one.state in OPEN for one in had):
        assert now_wh >= TRIAL_WH


@given(sales, st.integers(MIN_TRADE_WH, MUCH_WH))
def test_what_is_quoted_and_owed_stays_within_what_was_lent_and_paid(had: list[Contract], asked_wh: int) -> None:
    try:
        limit_wh = lent_wh(*had, asked_wh=asked_wh)
    except Refused:
        return
    quoted_wh = asked_wh if limit_wh is None else limit_wh
    assert MIN_TRADE_WH <= quoted_wh <= asked_wh
    owed_wh = sum(one.energy_wh for one in had if one.state in OPEN)
    paid_wh = sum(one.energy_wh for one in had if one.state is SETTLED)
    assert owed_wh + quoted_wh <= NEWCOMER_WH + paid_wh
