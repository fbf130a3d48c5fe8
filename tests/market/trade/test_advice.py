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
from wattmesh_market.trade.offers import MIN_TRADE_WH, Block, Offer, Pick, at_price

CHEAP, DEAR = Offer("ann", "energy-900", 100_000, 500), Offer("bob", "energy-900", 200_000, 800)
WANTS = (Block(250_000, 1000),)
QUESTION = Question("10:00-10:15", "EUR", WANTS, (CHEAP, DEAR))


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
    strict = QUESTION._replace(wants=(Block(199_999, 1000),))
    assert refusal(choice((2, 10)), strict) == "offer 2 is above the price limit"


def test_energy_is_only_taken_as_far_as_it_is_worth_its_price() -> None:
    question = QUESTION._replace(wants=(Block(250_000, 300), Block(150_000, 400)))
    assert (question.need_wh, question.max_price_micro_per_kwh) == (700, 250_000)
    assert picks_of(choice((1, 400), (2, 300)), question, [CHEAP, DEAR]) == (Pick(CHEAP, 400), Pick(DEAR, 300))
    assert refusal(choice((1, 400), (2, 301)), question) == "it picks 701 Wh, more than the 700 Wh that are needed"
    assert refusal(choice((2, 301)), question) == "it picks 301 Wh at 0.200000 or more; 300 Wh are worth that"
    anything = QUESTION._replace(wants=(Block(150_000, 400), Block(None, 10)))
    assert anything.max_price_micro_per_kwh is None


def test_only_feasible_offers_are_asked_about_the_cheapest_first() -> None:
    crumb, pricey = Offer("cid", "energy-900", 1, MIN_TRADE_WH - 1), Offer("dan", "energy-900", 250_001, 900)
    assert question_about("10:00-10:15", "EUR", [pricey, DEAR, crumb, CHEAP], WANTS) == QUESTION
    many = [Offer(f"s{number}", "energy-900", number, 100) for number in range(MOST_SHOWN + 9)]
    asked = question_about("10:00-10:15", "EUR", reversed(many), (Block(None, 1000),))
    assert asked is not None
    assert asked.offers == tuple(many[:MOST_SHOWN])


def test_where_nothing_is_to_be_chosen_nothing_is_asked() -> None:
    assert question_about("10:00-10:15", "EUR", [CHEAP], (Block(None, 1000),)) is None
    assert question_about("10:00-10:15", "EUR", [CHEAP, DEAR], (Block(150_000, 1000),)) is None
    assert question_about("10:00-10:15", "EUR", [CHEAP, DEAR], (Block(None, MIN_TRADE_WH - 1),)) is None


offers = st.lists(
    st.tuples(st.integers(0, 300), st.integers(0, 300)), min_size=2, max_size=5
).map(lambda rows: [Offer(f"s{at}", "energy-900", price, wh) for at, (price, wh) in enumerate(rows)])  # fmt: skip
parts = st.lists(st.tuples(st.integers(-1, 6), st.integers(-5, 310)), max_size=4)


wishes = st.lists(
    st.builds(Block, st.none() | st.integers(0, 300), st.integers(0, 300)), min_size=1, max_size=3
).map(tuple)  # fmt: skip


@given(offers, parts, wishes)
def test_whatever_is_answered_what_is_taken_is_within_the_limits(
    there: list[Offer], answered: list[tuple[int, int]], wants: tuple[Block, ...]
) -> None:
    question = question_about("10:00-10:15", "EUR", there, wants)
    if question is None:
        return
    try:
        picks = picks_of(choice(*answered), question, there[:-1])
    except AdviceRefused:
        return
    assert len({pick.offer for pick in picks}) == len(picks) == len(answered) > 0
    assert sum(pick.energy_wh for pick in picks) <= question.need_wh
    for pick in picks:
        assert pick.offer in there[:-1]
        assert MIN_TRADE_WH <= pick.energy_wh <= pick.offer.available_wh
        price_micro = pick.offer.price_micro_per_kwh
        dear_wh = sum(one.energy_wh for one in picks if one.offer.price_micro_per_kwh >= price_micro)
        assert dear_wh <= at_price(wants, price_micro), "no part is dearer than what it is for is worth"
