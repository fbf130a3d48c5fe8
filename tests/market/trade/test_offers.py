"""The choice of offers: the cheapest mix, the same for everyone who looks at the same offers."""

from __future__ import annotations

from itertools import product

from hypothesis import given, settings
from hypothesis import strategies as st

from wattmesh_market.trade.offers import MIN_TRADE_WH, Offer, Pick, choose


def offer(seller: str, price_micro: int, available_wh: int, item_id: str = "energy-900") -> Offer:
    return Offer(seller, item_id, price_micro, available_wh)


CHEAP, MIDDLE, DEAR = offer("ann", 100_000, 500), offer("bob", 200_000, 800), offer("grid", 300_000, 100_000)


# --- examples ---


def test_one_offer_covers_the_need() -> None:
    assert choose([DEAR], 1500) == (Pick(DEAR, 1500),)


def test_cheaper_offers_are_used_up_first_and_the_last_in_part() -> None:
    assert choose([DEAR, CHEAP, MIDDLE], 1500) == (Pick(CHEAP, 500), Pick(MIDDLE, 800), Pick(DEAR, 200))


def test_what_the_offers_cannot_cover_is_left() -> None:
    assert choose([CHEAP, MIDDLE], 5000) == (Pick(CHEAP, 500), Pick(MIDDLE, 800))


def test_above_the_price_limit_nothing_is_bought() -> None:
    assert choose([CHEAP, MIDDLE, DEAR], 5000, 200_000) == (Pick(CHEAP, 500), Pick(MIDDLE, 800))
    assert choose([CHEAP, MIDDLE, DEAR], 5000, 99_999) == ()


def test_energy_given_away_is_taken_even_with_a_limit_of_nothing() -> None:
    gift = offer("sun", 0, 400)
    assert choose([CHEAP, gift], 500, 0) == (Pick(gift, 400),)


def test_of_equal_prices_the_larger_offer_comes_first_then_the_sellers_id() -> None:
    small, large, same = offer("ann", 200_000, 300), offer("bob", 200_000, 400), offer("cid", 200_000, 400)
    assert choose([small, same, large], 900) == (Pick(large, 400), Pick(same, 400), Pick(small, 100))


def test_two_items_of_one_seller_are_told_apart() -> None:
    first, second = offer("ann", 200_000, 300, "a"), offer("ann", 200_000, 300, "b")
    assert choose([second, first], 300) == choose([first, second], 300) == (Pick(first, 300),)


def test_less_than_10_wh_is_no_contract() -> None:
    crumb, least = offer("ann", 1, MIN_TRADE_WH - 1), offer("bob", 2, MIN_TRADE_WH)
    assert choose([crumb, least], 9) == ()
    assert choose([crumb, least], 10) == (Pick(least, 10),)
    assert choose([crumb, least, DEAR], 19) == (Pick(least, 10),), "the rest of 9 Wh is left to the backstop"
    assert choose([least, DEAR], 20) == (Pick(least, 10), Pick(DEAR, 10))


def test_nothing_needed_or_nothing_offered_is_nothing_bought() -> None:
    assert choose([CHEAP], 0) == choose([CHEAP], -500) == choose([], 500) == ()


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
    picks = choose(offers, need_wh, most_micro)
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
    assert choose(data.draw(st.permutations(offers)), need_wh, most_micro) == choose(offers, need_wh, most_micro)


@given(many_offers, needs, limits)
def test_all_but_a_crumb_is_covered_when_the_offers_can(
    offers: list[Offer], need_wh: int, most_micro: int | None
) -> None:
    usable_wh = sum(
        one.available_wh
        for one in offers
        if one.available_wh >= MIN_TRADE_WH and (most_micro is None or one.price_micro_per_kwh <= most_micro)
    )
    covered_wh = sum(pick.energy_wh for pick in choose(offers, need_wh, most_micro))
    assert covered_wh > min(need_wh, usable_wh) - MIN_TRADE_WH


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
    picks = choose(offers, need_wh, most_micro)
    assert sum(pick.energy_wh for pick in picks) == most_wh
    assert sum(pick.energy_wh * pick.offer.price_micro_per_kwh for pick in picks) == least_cost
