"""The check of an adviser's choice: within the limits, or refused as a whole."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wattmesh_market.trade.advice import (
    MOST_SHOWN,
    AdviceRefused,
    Choice,
    Part,
    Question,
    picks_of,
    question_about,
)
from wattmesh_market.trade.offers import MIN_TRADE_WH, Offer, Pick

CHEAP, DEAR = Offer("ann", "energy-900", 100_000, 500), Offer("bob", "energy-900", 200_000, 800)
QUESTION = Question("10:00-10:15", "EUR", 1000, 250_000, (CHEAP, DEAR))


def choice(*parts: tuple[int, int]) -> Choice:
    return Choice(tuple(Part(number, energy_wh) for number, energy_wh in parts))


def refusal(given: Choice, question: Question = QUESTION, *, still_open: tuple[Offer, ...] = (CHEAP, DEAR)) -> str:
    with pytest.raises(AdviceRefused) as refused:
        picks_of(given, question, still_open)
    return str(refused.value)


def test_any_parts_of_the_offers_may_be_picked() -> None:
    assert picks_of(choice((2, 800)), QUESTION, [CHEAP, DEAR]) == (Pick(DEAR, 800),)
    assert picks_of(choice((2, 500), (1, 500)), QUESTION, [CHEAP, DEAR]) == (Pick(DEAR, 500), Pick(CHEAP, 500))


def test_one_part_outside_of_the_limits_and_all_is_refused() -> None:
    assert refusal(choice()) == "it picks nothing"
    assert refusal(choice((1, 10), (3, 10))) == "there is no offer 3; there are 1 to 2"
    assert refusal(choice((0, 10))) == "there is no offer 0; there are 1 to 2"
    assert refusal(choice((1, 10), (1, 10))) == "it picks offer 1 twice"
    assert refusal(choice((1, 9))) == "9 Wh of offer 1; from 10 to 500 Wh can be taken"
    assert refusal(choice((1, 501))) == "501 Wh of offer 1; from 10 to 500 Wh can be taken"
    assert refusal(choice((1, 500), (2, 501))) == "it picks 1001 Wh, more than the 1000 Wh that are needed"
    assert refusal(choice((2, 10)), still_open=(CHEAP,)) == "offer 2 is not open any more"
    strict = Question("10:00-10:15", "EUR", 1000, 199_999, (CHEAP, DEAR))
    assert refusal(choice((2, 10)), strict) == "offer 2 is above the price limit"


def test_only_feasible_offers_are_asked_about_the_cheapest_first() -> None:
    crumb, pricey = Offer("cid", "energy-900", 1, MIN_TRADE_WH - 1), Offer("dan", "energy-900", 250_001, 900)
    assert question_about("10:00-10:15", "EUR", [pricey, DEAR, crumb, CHEAP], 1000, 250_000) == QUESTION
    many = [Offer(f"s{number}", "energy-900", number, 100) for number in range(MOST_SHOWN + 9)]
    asked = question_about("10:00-10:15", "EUR", reversed(many), 1000, None)
    assert asked is not None
    assert asked.offers == tuple(many[:MOST_SHOWN])


def test_where_nothing_is_to_be_chosen_nothing_is_asked() -> None:
    assert question_about("10:00-10:15", "EUR", [CHEAP], 1000, None) is None
    assert question_about("10:00-10:15", "EUR", [CHEAP, DEAR], 1000, 150_000) is None
    assert question_about("10:00-10:15", "EUR", [CHEAP, DEAR], MIN_TRADE_WH - 1, None) is None


offers = st.lists(
    st.tuples(st.integers(0, 300), st.integers(0, 300)), min_size=2, max_size=5
).map(lambda rows: [Offer(f"s{at}", "energy-900", price, wh) for at, (price, wh) in enumerate(rows)])  # fmt: skip
parts = st.lists(st.tuples(st.integers(-1, 6), st.integers(-5, 310)), max_size=4)


@given(offers, parts, st.integers(0, 600), st.none() | st.integers(0, 300))
def test_whatever_is_answered_what_is_taken_is_within_the_limits(
    there: list[Offer], answered: list[tuple[int, int]], need_wh: int, limit_micro: int | None
) -> None:
    question = question_about("10:00-10:15", "EUR", there, need_wh, limit_micro)
    if question is None:
        return
    try:
        picks = picks_of(choice(*answered), question, there[:-1])
    except AdviceRefused:
        return
    assert len({pick.offer for pick in picks}) == len(picks) == len(answered) > 0
    assert sum(pick.energy_wh for pick in picks) <= need_wh
    for pick in picks:
        assert pick.offer in there[:-1]
        assert MIN_TRADE_WH <= pick.energy_wh <= pick.offer.available_wh
        assert limit_micro is None or pick.offer.price_micro_per_kwh <= limit_micro
