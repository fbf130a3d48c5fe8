"""The choice of offers: the cheapest mix, the same for everyone who looks at the same offers."""

from __future__ import annotations

from collections import Counter
from itertools import product

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from wattmesh_market.trade.offers import MIN_TRADE_WH, Block, Offer, Pick, at_price, choose, feasible


def wants(need_wh: int, most_micro: int | None = None) -> tuple[Block, ...]:
    """One block."""
    return (Block(most_micro, need_wh),)


def offer(seller: str, price_micro: int, available_wh: int, item_id: str = "energy-900") -> Offer:
    return Offer(seller, item_id, price_micro, available_wh)


CHEAP, MIDDLE, DEAR = offer("ann", 100_000, 500), offer("bob", 200_000, 800), offer("grid", 300_000, 100_000)


# --- examples ---


def test_one_offer_covers_the_need() -> None:
    assert choose([DEAR], wants(1500)) == (Pick(DEAR, 1500),)


def test_cheaper_offers_are_used_up_first_and_the_last_in_part() -> None:
    assert choose([DEAR, CHEAP, MIDDLE], wants(1500)) == (Pick(CHEAP, 500), Pick(MIDDLE, 800), Pick(DEAR, 200))


def test_what_the_offers_cannot_cover_is_left() -> None:
    assert choose([CHEAP, MIDDLE], wants(5000)) == (Pick(CHEAP, 500), Pick(MIDDLE, 800))


def test_above_the_price_limit_nothing_is_bought() -> None:
    assert choose([CHEAP, MIDDLE, DEAR], wants(5000, 200_000)) == (Pick(CHEAP, 500), Pick(MIDDLE, 800))
    assert choose([CHEAP, MIDDLE, DEAR], wants(5000, 99_999)) == ()


def test_energy_given_away_is_taken_even_with_a_limit_of_nothing() -> None:
    gift = offer("sun", 0, 400)
    assert choose([CHEAP, gift], wants(500, 0)) == (Pick(gift, 400),)


def test_of_equal_prices_the_larger_offer_comes_first_then_whom_the_lot_favours() -> None:
    small, large, same = offer("ann", 200_000, 300), offer("bob", 200_000, 400), offer("cid", 200_000, 400)
    for lot in range(20):
        first, second, last = choose([small, same, large], wants(900), lot)
        assert {first, second} == {Pick(large, 400), Pick(same, 400)}
        assert last == Pick(small, 100)


@pytest.mark.parametrize("names", [("ann", "bob", "cid"), ("zoe", "yan", "a")])
def test_equal_offers_are_drawn_about_equally_often_whatever_the_names(names: tuple[str, ...]) -> None:
    equal = [offer(name, 200_000, 400) for name in names]
    firsts = Counter(choose(equal, wants(400), lot)[0].offer.seller for lot in range(3000))
    assert set(firsts) == set(names)
    # A third of 3000 with a standard deviation of 26.
    assert all(abs(count - 1000) < 4 * 26 for count in firsts.values())


def test_two_items_of_one_seller_are_told_apart() -> None:
    first, second = offer("ann", 200_000, 300, "a"), offer("ann", 200_000, 300, "b")
    assert choose([second, first], wants(300)) == choose([first, second], wants(300))
    drawn = {choose([first, second], wants(300), lot) for lot in range(20)}
    assert drawn == {(Pick(first, 300),), (Pick(second, 300),)}


def test_each_part_of_what_is_wanted_costs_no_more_than_it_is_worth() -> None:
    wanted = (Block(300_000, 600), Block(150_000, 700))
    # Of what is cheap both parts are bought; 200_000 is worth it for the first one alone, which is served already.
    assert choose([CHEAP, MIDDLE, DEAR], wanted) == (Pick(CHEAP, 500), Pick(MIDDLE, 100))
    assert choose([offer("ann", 100_000, 5000), MIDDLE], wanted) == (Pick(offer("ann", 100_000, 5000), 1300),)
    assert choose([MIDDLE, DEAR], (Block(150_000, 700),)) == ()
    assert [at_price(wanted, micro) for micro in (0, 150_000, 150_001, 300_000, 300_001)] == [1300, 1300, 600, 600, 0]
    assert at_price((Block(None, 50),), 10**12) == 50


def test_less_than_10_wh_is_no_contract() -> None:
    crumb, least = offer("ann", 1, MIN_TRADE_WH - 1), offer("bob", 2, MIN_TRADE_WH)
    assert choose([crumb, least], wants(9)) == ()
    assert choose([crumb, least], wants(10)) == (Pick(least, 10),)
    assert choose([crumb, least, DEAR], wants(19)) == (Pick(least, 10),), "the rest of 9 Wh is left to the backstop"
    assert choose([least, DEAR], wants(20)) == (Pick(least, 10), Pick(DEAR, 10))


def test_nothing_needed_or_nothing_offered_is_nothing_bought() -> None:
    assert choose([CHEAP], wants(0)) == choose([CHEAP], wants(-500)) == choose([], wants(500)) == ()


# --- properties ---

many_offers = st.lists(
    st.builds(Offer, st.sampled_from("abcdefgh"), st.sampled_from("xy"), st.integers(0, 5), st.integers(0, 60)),
    unique_by=lambda one: (one.seller, one.item_id),
    max_size=8,
)
needs = st.integers(-10, 250)
limits = st.none() | st.integers(0, 5)


@given(many_offers, needs, limits)
def test_never_over_the_need_over_an_offer_or_over_the_limit(
    offers: list[Offer], need_wh: int, most_micro: int | None
) -> None:
    picks = choose(offers, wants(need_wh, most_micro))
    assert sum(pick.energy_wh for pick in picks) <= max(0, need_wh)
    assert len({pick.offer for pick in picks}) == len(picks)
    for pick in picks:
        assert pick.offer in offers
        assert MIN_TRADE_WH <= pick.energy_wh <= pick.offer.available_wh
        assert most_micro is None or pick.offer.price_micro_per_kwh <= most_micro


@given(st.data(), many_offers, needs, limits)
def test_the_order_in_which_offers_come_changes_nothing(
    data: st.DataObject, offers: list[Offer], need_wh: int, most_micro: int | None
) -> None:
    assert choose(data.draw(st.permutations(offers)), wants(need_wh, most_micro)) == choose(
        offers, wants(need_wh, most_micro)
    )


@given(many_offers, needs, limits)
def test_all_but_a_crumb_is_covered_when_the_offers_can(
    offers: list[Offer], need_wh: int, most_micro: int | None
) -> None:
    usable_wh = sum(
        one.available_wh
        for one in offers
        if one.available_wh >= MIN_TRADE_WH and (most_micro is None or one.price_micro_per_kwh <= most_micro)
    )
    covered_wh = sum(pick.energy_wh for pick in choose(offers, wants(need_wh, most_micro)))
    assert covered_wh > min(need_wh, usable_wh) - MIN_TRADE_WH


wishes = st.lists(st.builds(Block, st.none() | st.integers(0, 5), st.integers(0, 120)), max_size=4)


@given(many_offers, wishes, st.integers(0, 2**40))
def test_what_is_bought_at_a_price_or_more_is_worth_that(offers: list[Offer], wanted: list[Block], lot: int) -> None:
    picks = choose(offers, wanted, lot)
    for price_micro in range(7):
        dear_wh = sum(pick.energy_wh for pick in picks if pick.offer.price_micro_per_kwh >= price_micro)
        assert dear_wh <= at_price(wanted, price_micro)
    order = feasible(offers, wanted, lot)
    assert [pick.offer for pick in picks] == order[: len(picks)], "the cheapest first, and none is passed over"


tens = st.integers(1, 4).map(lambda number: 10 * number)
few_offers = st.lists(
    st.builds(Offer, st.sampled_from("abcd"), st.just("x"), st.integers(0, 4), tens),
    unique_by=lambda one: one.seller,
    max_size=4,
)


@given(few_offers, tens, limits)
@settings(max_examples=300)
def test_no_mix_covers_more_or_costs_less(offers: list[Offer], need_wh: int, most_micro: int | None) -> None:
    """Against every mix in steps of 10 Wh, the least that is traded."""
    allowed = [one for one in offers if most_micro is None or one.price_micro_per_kwh <= most_micro]
    mixes = [
        mix
        for mix in product(*(range(0, one.available_wh + 1, 10) for one in allowed))
        if sum(mix) <= need_wh
    ]  # fmt: skip
    most_wh = max(sum(mix) for mix in mixes)
    least_cost = min(
        sum(energy_wh * one.price_micro_per_kwh for energy_wh, one in zip(mix, allowed, strict=True))
        for mix in mixes
        if sum(mix) == most_wh
    )
    picks = choose(offers, wants(need_wh, most_micro))
    assert sum(pick.energy_wh for pick in picks) == most_wh
    assert sum(pick.energy_wh * pick.offer.price_micro_per_kwh for pick in picks) == least_cost
