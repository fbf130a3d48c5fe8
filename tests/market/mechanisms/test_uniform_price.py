"""A call auction: who trades, at which price."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wattmesh_market.mechanisms import MECHANISMS, mechanism_named
from wattmesh_market.mechanisms.orders import Match, Order, Orders
from wattmesh_market.mechanisms.uniform_price import match

ANN, BOB = Order("ann", 100_000, 500), Order("bob", 150_000, 500)
CID, DAN = Order("cid", 300_000, 400), Order("dan", 200_000, 400)


def cleared(asks: list[Order], bids: list[Order], lot: int = 0) -> list[Match]:
    return match(Orders(tuple(asks), tuple(bids), lot))


def test_the_cheapest_ask_meets_the_highest_bid_and_all_pay_one_price() -> None:
    # 800 Wh are wanted at 0.20 or more, 1,000 are offered at 0.15 or less: bob has some left, so 0.15 clears it.
    assert cleared([BOB, ANN], [DAN, CID]) == [
        Match("cid", "ann", 400, 150_000),
        Match("dan", "ann", 100, 150_000),
        Match("dan", "bob", 300, 150_000),
    ]


def test_where_supply_is_short_the_buyers_hold_the_price() -> None:
    assert cleared([ANN], [CID, DAN]) == [Match("cid", "ann", 400, 200_000), Match("dan", "ann", 100, 200_000)]


def test_of_the_prices_that_clear_the_market_the_middle_is_taken() -> None:
    sells, buys = Order("ann", 100_000, 400), Order("cid", 300_000, 400)
    assert cleared([sells], [buys]) == [Match("cid", "ann", 400, 200_000)]
    # Who waits in the line on either side narrows them.
    assert cleared([sells, Order("bob", 240_000, 1)], [buys])[0].price_micro == 170_000
    assert cleared([sells], [buys, Order("dan", 90_000, 500)])[0].price_micro == 200_000


def test_where_nobody_pays_what_is_asked_nothing_is_traded() -> None:
    assert cleared([Order("ann", 300_001, 500)], [CID]) == cleared([], [CID]) == cleared([ANN], []) == []


def test_less_than_10_wh_is_no_contract() -> None:
    assert cleared([Order("ann", 1, 9)], [CID]) == []
    assert [one.energy_wh for one in cleared([Order("ann", 1, 9), BOB], [CID])] == [391]


def test_among_equals_the_lot_decides() -> None:
    asks = [Order(name, 100_000, 400) for name in ("ann", "bob", "eve")]
    first = [cleared(asks, [CID], lot)[0].seller for lot in range(300)]
    assert all(80 < first.count(name) < 120 for name in ("ann", "bob", "eve"))
    assert cleared(list(reversed(asks)), [CID], 5) == cleared(asks, [CID], 5)


orders = st.lists(st.tuples(st.integers(0, 8), st.integers(1, 60)), max_size=8)


@given(orders, orders, st.integers(0, 9))
def test_the_price_clears_the_market(sells: list[tuple[int, int]], buys: list[tuple[int, int]], lot: int) -> None:
    asks = [Order(f"s{at}", micro, wh) for at, (micro, wh) in enumerate(sells)]
    bids = [Order(f"b{at}", micro, wh) for at, (micro, wh) in enumerate(buys)]
    found = cleared(asks, bids, lot)
    if not found:
        return
    [price_micro] = {one.price_micro for one in found}
    for one in found:
        assert asks[int(one.seller[1:])].price_micro <= price_micro <= bids[int(one.buyer[1:])].price_micro
    for at, ask in enumerate(asks):
        sold_wh = sum(one.energy_wh for one in found if one.seller == f"s{at}")
        assert sold_wh <= ask.energy_wh
    for at, bid in enumerate(bids):
        bought_wh = sum(one.energy_wh for one in found if one.buyer == f"b{at}")
        assert bought_wh <= bid.energy_wh
    # Who asks less, or bids more, is served in full, but for crumbs that are no contract: the lesser of the two sides.
    crumbs_wh = 9 * (len(asks) + len(bids))
    traded_wh = sum(one.energy_wh for one in found)
    sure_asks = sum(ask.energy_wh for ask in asks if ask.price_micro < price_micro)
    sure_bids = sum(bid.energy_wh for bid in bids if bid.price_micro > price_micro)
    assert traded_wh >= max(sure_asks, sure_bids) - crumbs_wh


def test_mechanisms_are_found_by_name() -> None:
    assert set(MECHANISMS) == {"bilateral", "uniform-price", "pool"}
    with pytest.raises(ValueError, match=r"no mechanism 'poll'; there are: bilateral, pool, uniform-price"):
        mechanism_named("poll")
