"""The KPIs of streets that ran, in memory: what they say is what households would see without the market."""

from __future__ import annotations

import pytest

from tests.world.manifests import MARKET, households, planned, utility
from tests.world.street import Street, play, short
from wattmesh_cli.alone import alone
from wattmesh_cli.books import BooksError
from wattmesh_cli.kpi import ALL_SLOTS, Kpis, collect, kpis
from wattmesh_cli.terms import Terms, terms_of
from wattmesh_market.energy.battery import NO_BATTERY

HOURS = 3
BATTERY = "battery: {capacityKwh: 10, initialKwh: 9}, pv: {peakKw: 4}"


def street(max_buy_price: str, sharing: str = "none") -> str:
    """Two roofs that sell what they have above half, two flats that buy up to a price."""
    return (
        MARKET
        + utility(more=f", sharing: {sharing}")
        + households("roof", f"{BATTERY}, trading: {{sellAbovePercent: 50, sellPrice: 0.15}}", replicas=2)
        + households(
            "flat", f"load: {{annualKwh: 6000}}, strategy: rules, trading: {{maxBuyPrice: {max_buy_price}}}", replicas=2
        )
    )


def terms(max_buy_price: str, sharing: str = "none") -> Terms:
    return terms_of(planned(street(max_buy_price, sharing)))


def kpis_of(left: Street, of: Terms) -> Kpis:
    return kpis(left.books, of.prices, alone(collect(left.books), of.battery, ALL_SLOTS))


@pytest.fixture(scope="module")
def trading() -> Street:
    return play(planned(street("0.25")), HOURS)


@pytest.fixture(scope="module")
def quiet() -> Street:
    """The same street, but nobody pays anything for what is offered."""
    return play(planned(street("0.01")), HOURS)


def test_a_street_that_trades(trading: Street) -> None:
    result = kpis_of(trading, terms("0.25"))
    trading.check_settled()
    assert trading.findings == ()
    assert result.unbooked_readings == 0
    assert result.local_trade.energy_wh > 0
    assert result.local_trade.price_micro_per_kwh == 150_000
    assert result.community.money.bill_micro + result.utilities_bill_micro == 0
    for row in (*result.households, result.community):
        money = row.money
        assert money.no_market_savings_micro == money.no_market_bill_micro - money.bill_micro
        assert money.utility_only_savings_micro == money.utility_only_bill_micro - money.bill_micro
        assert (row.energy.unserved_wh, row.energy.curtailed_wh) == (0, 0)
    # 0.15 lies between feed-in and tariff, so nobody is worse off than at the utility's prices.
    assert result.against_no_market.losers == 0
    assert result.protocol.settled == len({row.transaction_id for row in trading.contracts("buyer")})


def test_without_contracts_everything_is_as_with_the_utility_only(quiet: Street) -> None:
    result = kpis_of(quiet, terms("0.01"))
    assert quiet.contracts("buyer") == []
    for row in (*result.households, result.community):
        money = row.money
        assert money.bill_micro == money.no_market_bill_micro == money.utility_only_bill_micro
        assert money.stored_more_wh == 0
    assert result.community.money.bill_micro != 0


def test_utility_only_is_what_the_same_street_pays_when_it_does_not_trade(trading: Street, quiet: Street) -> None:
    counterfactual = kpis_of(trading, terms("0.25"))
    actual = kpis_of(quiet, terms("0.01"))
    assert [row.money.utility_only_bill_micro for row in counterfactual.households] == [
        row.money.bill_micro for row in actual.households
    ]
    levels = {row.party: row.level_wh for book in quiet.books for row in book.parties}
    then = alone(collect(trading.books), terms("0.25").battery, ALL_SLOTS)
    assert {name: of[-1].level_after_wh for name, of in then.items()} == {name: levels[name] for name in then}


def test_where_neighbours_share_all_of_them_are_better_off_than_with_the_utility_only(quiet: Street) -> None:
    left = play(planned(street("0.01", "{price: mid}")), HOURS)
    left.check_sound()
    left.check_settled()
    result, unshared = kpis_of(left, terms("0.01", "{price: mid}")), kpis_of(quiet, terms("0.01"))
    homes = [short(row.party) for row in result.households]
    shared_wh = sum(max(0, entry.energy_wh) for name in homes for entry in left.ledger("shared", name))
    assert result.local_trade.energy_wh == result.community.energy.local_wh == shared_wh > 0
    assert result.local_trade.price_micro_per_kwh == (250_000 + 80_000) // 2
    for row, before in zip(result.households, unshared.households, strict=True):
        assert row.money.no_market_bill_micro == row.money.utility_only_bill_micro == before.money.bill_micro
        assert row.money.bill_micro <= before.money.bill_micro
    assert {of.losers for of in result.against_utility_only.values()} == {0}
    assert result.community.money.bill_micro + result.utilities_bill_micro == 0


def test_terms_are_those_of_the_manifests() -> None:
    of = terms("0.25")
    assert sorted(map(short, of.households)) == ["flat-0", "flat-1", "roof-0", "roof-1"]
    assert of.battery("roof-0.default").capacity_wh == 10_000
    assert of.battery("flat-0.default") == NO_BATTERY
    with pytest.raises(BooksError, match=r"do not have attic\.default, barn\.default"):
        of.check(["roof-0.default", "barn.default", "attic.default"])


def test_a_street_with_grid_fees() -> None:
    text = (
        MARKET
        + utility(fees=", gridFee: 0.07, localGridFee: 0.03", more=", sharing: none")
        + households("roof", f"{BATTERY}, trading: {{sellAbovePercent: 50, sellPrice: 0.15}}")
        + households("flat", "load: {annualKwh: 60000}, strategy: rules")
    )
    left, of = play(planned(text), HOURS), terms_of(planned(text))
    left.check_sound()
    left.check_settled()
    result = kpis_of(left, of)
    assert result.local_trade.price_micro_per_kwh == 180_000
    assert {row.amount_micro * 1000 // row.energy_wh for row in left.contracts("buyer", "flat-0")} == {180_000, 320_000}
    for row in left.contracts("seller", "utility"):
        assert row.fee_micro == row.energy_wh * 70
    sold_wh = sum(row.delivered_wh or 0 for row in left.contracts("seller", "roof-0"))
    assert sum(entry.amount_micro for entry in left.ledger("grid_fee", "roof-0")) == -30 * sold_wh < 0
    assert sum(entry.amount_micro for entry in left.ledger("grid_fee", "utility")) == 30 * sold_wh
    flat = next(row for row in result.households if short(row.party) == "flat-0")
    imported = [row for row in left.ledger("backstop", "flat-0") if row.energy_wh > 0]
    bought_wh = sum(row.energy_wh for row in left.contracts("seller", "utility"))
    assert flat.money.grid_fees_micro == 30 * sold_wh + 70 * (bought_wh + sum(row.energy_wh for row in imported))
    assert result.community.money.bill_micro + result.utilities_bill_micro == 0
    assert result.against_no_market.losers == 0


def test_messages_and_milliseconds_of_a_street_that_ran(trading: Street) -> None:
    protocol = kpis_of(trading, terms("0.25")).protocol
    sent = {(short(row.party), row.action): row.sent for book in trading.books for row in book.messages}
    bought = {row.transaction_id for row in trading.contracts("buyer")}
    assert sent["flat-0", "search"] + sent["flat-1", "search"] >= len(bought) > 0
    assert sum(count for (_, action), count in sent.items() if action == "on_confirm") == protocol.settled
    assert sum(count for (_, action), count in sent.items() if action == "confirm") == protocol.settled
    assert protocol.messages == sum(sent.values())
    assert protocol.messages_per_delivery is not None
    assert protocol.messages_per_delivery > 10, "select, init, confirm, delivery and payment, each with its callback"
    waits = [
        row.confirmed_ms - row.searched_ms for row in trading.contracts("buyer") if row.confirmed_ms and row.searched_ms
    ]
    assert len(waits) == protocol.settled
    assert protocol.confirm_ms_median is not None
    assert min(waits) <= protocol.confirm_ms_median <= max(waits) <= 15_000, "within a slot of 15 s"
