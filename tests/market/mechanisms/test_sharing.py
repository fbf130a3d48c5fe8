"""Sharing, as a function: who gets how much of what neighbours feed in, at which price, and what a correction costs."""

from __future__ import annotations

from itertools import permutations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wattmesh_market.mechanisms.sharing import (
    KEYS,
    Bill,
    Prices,
    Sharing,
    bill,
    correction_micro,
    lot,
    price_micro_per_kwh,
    shares_wh,
)
from wattmesh_market.units import amount_micro

PRICES = Prices(tariff=250_000, feed_in=80_000, local_fee=20_000)
LOT = lot(seed=3, slot=1_782_021_600)


def prices() -> st.SearchStrategy[Prices]:
    per_kwh = st.integers(0, 500_000)
    return st.builds(Prices, per_kwh, per_kwh, per_kwh)


def streets() -> st.SearchStrategy[dict[str, int]]:
    return st.dictionaries(st.sampled_from([f"home-{at}" for at in range(12)]), st.integers(-3000, 3000), max_size=12)


def sharings() -> st.SearchStrategy[Sharing]:
    return st.builds(Sharing, st.none() | st.integers(0, 500_000), st.sampled_from(sorted(KEYS)))


# --- shares ---


def test_in_proportion_to_what_each_imports() -> None:
    assert shares_wh({"sun": -300, "ann": 400, "bob": 200}, "proRata", LOT) == {"sun": 300, "ann": 200, "bob": 100}


def test_in_equal_parts_up_to_what_each_imports() -> None:
    street = {"sun": -300, "ann": 400, "bob": 200, "cid": 40}
    assert shares_wh(street, "equal", LOT) == {"sun": 300, "ann": 130, "bob": 130, "cid": 40}


def test_where_more_is_fed_in_than_used_those_who_feed_in_share_the_use() -> None:
    assert shares_wh({"sun": -900, "sky": -300, "ann": 400}, "proRata", LOT) == {"ann": 400, "sun": 300, "sky": 100}


def test_the_largest_remainders_get_the_last_wh() -> None:
    # Of 100 Wh 33.3, 33.3 and 33.4 would be right.
    street = {"sun": -100, "ann": 999, "bob": 999, "cid": 1002}
    assert shares_wh(street, "proRata", LOT) == {"sun": 100, "ann": 33, "bob": 33, "cid": 34}


@pytest.mark.parametrize("key", sorted(KEYS))
def test_equal_remainders_are_drawn_by_lot_anew_in_each_slot(key: str) -> None:
    street = {"sun": -100, "ann": 500, "bob": 500, "cid": 500}
    lucky = [max("ann", "bob", "cid", key=shares_wh(street, key, lot(0, 900 * at)).__getitem__) for at in range(300)]
    assert all(70 < lucky.count(name) < 130 for name in ("ann", "bob", "cid")), "nobody is first by name"


@pytest.mark.parametrize("street", [{}, {"ann": 5}, {"sun": -5}, {"ann": 0, "sun": 0}, {"ann": 5, "bob": 0}])
def test_nothing_is_shared_where_one_side_has_nothing(street: dict[str, int]) -> None:
    assert shares_wh(street, "proRata", LOT) == {}


@given(streets(), st.sampled_from(sorted(KEYS)), st.integers(0, 2**53))
def test_both_sides_share_the_same_and_nobody_more_than_its_own(street: dict[str, int], key: str, seed: int) -> None:
    shares = shares_wh(street, key, lot(seed, 900))
    imported_wh, exported_wh = (sum(max(0, sign * wh) for wh in street.values()) for sign in (1, -1))
    assert sum(wh for name, wh in shares.items() if street[name] > 0) == min(imported_wh, exported_wh)
    assert sum(wh for name, wh in shares.items() if street[name] < 0) == min(imported_wh, exported_wh)
    assert all(0 < wh <= abs(street[name]) for name, wh in shares.items())


@given(streets(), st.integers(0, 2**53))
def test_pro_rata_is_within_a_wh_of_the_exact_part(street: dict[str, int], seed: int) -> None:
    shares = shares_wh(street, "proRata", lot(seed, 900))
    for sign in (1, -1):
        own = {name: sign * wh for name, wh in street.items() if sign * wh > 0}
        shared_wh = sum(shares.get(name, 0) for name in own)
        assert all(
            abs(shares.get(name, 0) * sum(own.values()) - shared_wh * wh) < sum(own.values())
            for name, wh in own.items()
        )


@given(streets(), st.integers(0, 2**53))
def test_equal_leaves_nobody_more_than_a_wh_behind_who_could_take_more(street: dict[str, int], seed: int) -> None:
    shares = shares_wh(street, "equal", lot(seed, 900))
    for sign in (1, -1):
        side = [name for name, wh in street.items() if sign * wh > 0]
        most_wh = max((shares.get(name, 0) for name in side), default=0)
        assert all(shares.get(name, 0) >= most_wh - 1 for name in side if shares.get(name, 0) < abs(street[name]))


@given(streets(), st.sampled_from(sorted(KEYS)), st.randoms())
def test_the_order_of_customers_changes_nothing(street: dict[str, int], key: str, chance: object) -> None:
    names = list(street)
    chance.shuffle(names)  # type: ignore[attr-defined]
    assert shares_wh({name: street[name] for name in names}, key, LOT) == shares_wh(street, key, LOT)


def test_names_that_change_places_change_what_they_get_and_nothing_else() -> None:
    own = (-100, 31, 47, 90)
    shares = [
        shares_wh(dict(zip(names, own, strict=True)), "proRata", LOT) for names in permutations(("a", "b", "c", "d"))
    ]
    assert {tuple(sorted(found.values())) for found in shares} == {(18, 28, 54, 100)}


# --- prices and bills ---


def test_the_price_is_the_middle_of_what_both_sides_have_without() -> None:
    assert price_micro_per_kwh(Sharing(), PRICES) == (80_000 + 250_000 - 20_000) // 2


@pytest.mark.parametrize(("wanted", "price"), [(120_000, 120_000), (10_000, 80_000), (240_000, 230_000)])
def test_a_price_of_ones_own_is_held_between_feed_in_and_tariff(wanted: int, price: int) -> None:
    assert price_micro_per_kwh(Sharing(wanted), PRICES) == price


def test_nothing_is_shared_where_feed_in_pays_more_than_the_tariff_less_the_fee() -> None:
    assert price_micro_per_kwh(Sharing(), PRICES._replace(feed_in=230_001)) is None
    assert price_micro_per_kwh(Sharing(100_000), PRICES._replace(feed_in=230_001)) is None
    assert price_micro_per_kwh(Sharing(), PRICES._replace(feed_in=230_000)) == 230_000


def test_who_imports_pays_price_and_local_grid_fee_and_who_exports_gets_the_price() -> None:
    assert bill(500, 200, 155_000, PRICES) == Bill(300 * 250 + 200 * 175, 200 * 175, 200 * 20)
    assert bill(-500, 200, 155_000, PRICES) == Bill(300 * 80 + 200 * 155, 200 * 155, 0)


def test_a_bill_is_rounded_once() -> None:
    odd = Prices(tariff=250_500, feed_in=80_500, local_fee=0)
    # 250.5 + 165.5 = 416: two roundings would make 417 of it.
    assert bill(2, 1, 165_500, odd).total_micro == 416


@given(streets(), sharings(), prices(), st.integers(0, 2**53))
def test_nobody_is_worse_off_than_unshared_and_the_utility_keeps_the_fee(
    street: dict[str, int], sharing: Sharing, of: Prices, seed: int
) -> None:
    price = price_micro_per_kwh(sharing, of)
    shares = {} if price is None else shares_wh(street, sharing.key, lot(seed, 0))
    kept = 0
    for name, net_wh in street.items():
        shared_wh = shares.get(name, 0)
        found = bill(net_wh, shared_wh, price or 0, of)
        if net_wh > 0:
            assert found.total_micro <= amount_micro(of.tariff, net_wh)
            kept += found.shared_micro
        else:
            assert found.total_micro >= amount_micro(of.feed_in, -net_wh)
            kept -= found.shared_micro
        assert 0 <= found.fee_micro <= found.shared_micro <= found.total_micro
    shared_wh = sum(wh for name, wh in shares.items() if street[name] > 0)
    assert abs(2000 * kept - 2 * of.local_fee * shared_wh) <= 1000 * len(street), "but for a rounding each"


# --- corrections ---


def test_what_was_billed_too_much_is_paid_back_as_it_was_billed() -> None:
    # 500 Wh for 0.09, as 400 of them were shared: 200 Wh less are 0.036 less, not what the tariff would say.
    assert correction_micro(500, 90_000, 300, PRICES) == 36_000
    assert correction_micro(-500, 50_000, -300, PRICES) == -20_000


def test_what_is_missing_is_priced_unshared() -> None:
    assert correction_micro(500, 90_000, 600, PRICES) == -100 * 250
    assert correction_micro(-500, 50_000, -600, PRICES) == 100 * 80
    assert correction_micro(500, 90_000, -100, PRICES) == 90_000 + 100 * 80, "all is paid back, and 100 Wh were fed in"


@given(st.integers(-3000, 3000), st.integers(-3000, 3000), st.integers(0, 3000), sharings(), prices())
def test_after_a_correction_a_bill_is_never_worse_than_unshared(
    billed_wh: int, net_wh: int, shared_wh: int, sharing: Sharing, of: Prices
) -> None:
    price = price_micro_per_kwh(sharing, of)
    found = bill(billed_wh, 0 if price is None else min(shared_wh, abs(billed_wh)), price or 0, of)
    earned_micro = (-1 if billed_wh > 0 else 1) * found.total_micro
    earned_micro += correction_micro(billed_wh, found.total_micro, net_wh, of)
    unshared_micro = -amount_micro(of.tariff, net_wh) if net_wh > 0 else amount_micro(of.feed_in, -net_wh)
    assert earned_micro >= unshared_micro
    if net_wh == billed_wh:
        assert correction_micro(billed_wh, found.total_micro, net_wh, of) == 0


def test_a_key_that_is_not_known_is_refused() -> None:
    with pytest.raises(ValueError, match="no sharing key 'best'; there are: proRata, equal"):
        Sharing(key="best")
