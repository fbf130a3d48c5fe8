"""Households that plan sell the sun that they have not stored, and keep their owners' limits."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from tests.market.invariants import check_end, check_now, check_promises
from tests.world.market import World
from tests.world.parties import FIRST_SLOT, GRID, NEXT, TARIFF, Weather, battery, household, utility
from wattmesh_market.energy.availability import held_wh
from wattmesh_market.energy.battery import Metered
from wattmesh_market.energy.profiles import SlotProfile
from wattmesh_market.energy.slots import SLOT_S
from wattmesh_market.parties.config import DemandResponse
from wattmesh_market.parties.selling import item_id
from wattmesh_market.strategies import Buy
from wattmesh_market.trade.contracts import ContractState, Delivery, Side
from wattmesh_market.trade.messages import Agreed, Confirm, Confirmed, Init, Quote, Select, Wanted
from wattmesh_market.trade.refusal import Reason
from wattmesh_market.units import amount_micro

ROOF, FLAT, STORE = "roof-0.default", "flat-0.default", "store-0.default"
SLOTS = range(FIRST_SLOT, FIRST_SLOT + 10 * SLOT_S, SLOT_S)


def next_door(*, strategy: str = "plan", response: DemandResponse | None = None, load_wh: int = 350) -> World:
    """A roof without a battery that expects 500 Wh more than it needs, a flat, and the grid."""
    return World(
        household("roof-0", price_micro=None, strategy=strategy),
        household("flat-0", strategy=strategy),
        utility(response=response),
        weather={ROOF: Weather(800, 300), FLAT: Weather(0, load_wh)},
    )


def delivered(world: World, seller: str, buyer: str) -> list[Delivery]:
    return [
        delivery
        for contract in world[seller].journal.contracts.values()
        for delivery in contract.deliveries
        if (contract.side, contract.counterparty) == (Side.SELLER, buyer) and delivery.state is ContractState.SETTLED
    ]


def metered(world: World, name: str, slot: int = NEXT) -> Metered:
    return world[name].journal.readings[slot].metered


def order(world: World, energy_wh: int, buyer: str = "ann.default", seller: str = ROOF, slot: int = NEXT) -> int:
    """Buy so much of a seller; what it sells, 0 when it has nothing."""
    transaction = f"{buyer} {slot} {world.now.ms}"
    select = Select(seller, (Wanted(slot, item_id(slot), energy_wh),))
    if not world[seller].party.sellable_wh(slot):
        assert world.refusal(seller, buyer, select, transaction).reason is Reason.QUANTITY_UNAVAILABLE
        return 0
    quote = world.say(seller, buyer, select, transaction)
    assert isinstance(quote, Quote)
    agreed = world.say(seller, buyer, Init(quote.terms), transaction)
    assert isinstance(agreed, Agreed)
    confirm = Confirm(agreed.order_id, agreed.terms, agreed.due_micro)
    assert isinstance(world.say(seller, buyer, confirm, transaction), Confirmed)
    return quote.terms.lines[0].energy_wh


# --- neighbours ---


def test_a_roof_without_a_battery_sells_its_sun_next_door() -> None:
    world = next_door(load_wh=150)
    world.live(4)
    world.settle_down()
    check_end(world)
    sold = delivered(world, ROOF, FLAT)
    assert [one.energy_wh for one in sold[:3]] == [150] * 3
    assert all(one.sun_wh == one.energy_wh for one in sold)
    for one in sold:
        assert amount_micro(TARIFF.feed_in_micro_per_kwh, 150) < one.amount_micro
        assert one.amount_micro < amount_micro(TARIFF.price_micro_per_kwh, 150)
        assert metered(world, ROOF, one.slot)[5:8] == (150, 0, 350), "the rest is fed in"
        assert metered(world, FLAT, one.slot).imported_wh == 0


def test_by_rules_it_sells_nothing() -> None:
    world = next_door(strategy="rules")
    world.live(4)
    world.settle_down()
    assert delivered(world, ROOF, FLAT) == []


def test_under_a_cloud_the_buyer_gets_all_and_the_seller_pays_for_what_was_missing() -> None:
    world = next_door(load_wh=150)
    world[ROOF].weather.given = dict.fromkeys(SLOTS, SlotProfile(400, 300))
    world.live(4)
    world.settle_down()
    check_end(world)
    sold = delivered(world, ROOF, FLAT)
    assert [(one.energy_wh, one.delivered_wh) for one in sold] == [(150, 150)] * len(sold) != []
    for one in sold:
        reading = metered(world, ROOF, one.slot)
        assert (reading.sold_wh, reading.covered_wh, reading.imported_wh) == (150, 50, 50)
        (bill,) = [
            entry for entry in world[ROOF].journal.ledger if (entry.slot, entry.counterparty) == (one.slot, GRID)
        ]
        assert (bill.energy_wh, bill.amount_micro) == (50, -amount_micro(TARIFF.price_micro_per_kwh, 50))


def test_the_sun_of_a_slot_is_promised_once() -> None:
    world = next_door()
    assert [order(world, 300), order(world, 300, "bob.default"), order(world, 300, "cid.default")] == [300, 200, 0]


def test_what_is_counted_on_the_sun_stays_so_when_the_forecast_changes() -> None:
    world = next_door()
    order(world, 300)
    world[ROOF].weather.usual = SlotProfile(1500, 300)
    order(world, 1000, "bob.default")
    assert [promise.sun_wh for promise in world[ROOF].books.promises(Side.SELLER)] == [300, 900]


def test_a_battery_next_to_the_sun_is_promised_beside_it_and_what_is_held_for_later_is_not_drawn() -> None:
    later = NEXT + SLOT_S
    world = World(
        household("store-0", battery(10_000), price_micro=None, strategy="plan"),
        utility(),
        weather={STORE: Weather(500, 300)},
    )
    home = world[STORE].home
    # All the store of 9 kWh can give in two slots is 1000 Wh in each; the sun gives 200 Wh beside.
    sold_wh = order(world, 5000, slot=later, seller=STORE)
    assert 1000 < sold_wh <= 1200
    check_promises(world[STORE])
    world[STORE].weather.given = {
        FIRST_SLOT: SlotProfile(0, 3000),
        NEXT: SlotProfile(0, 3000),
        later: SlotProfile(0, 0),
    }
    level_wh = world[STORE].books.standing.level_wh
    while world.now.slot < later + SLOT_S:
        world.begin_slot()
        if (start := world.now.slot) <= later:
            promises = world[STORE].books.promises(Side.SELLER)
            assert held_wh(home.battery, promises, start) <= world[STORE].books.standing.level_wh - 1000
    assert world[STORE].books.standing.level_wh < level_wh
    reading = metered(world, STORE, later)
    assert (reading.sold_wh, reading.covered_wh) == (sold_wh, sold_wh - 1000), (
        "the sun did not come, the store gave all"
    )


# --- its utility ---


def test_to_a_utility_only_what_the_sun_gives_is_delivered_and_paid() -> None:
    world = next_door()
    assert order(world, 400, GRID) == 400
    world[ROOF].weather.given = {NEXT: SlotProfile(450, 300)}
    world.begin_slot(2)
    (contract,) = world[ROOF].journal.contracts.values()
    (one,) = contract.deliveries
    assert (one.energy_wh, one.delivered_wh) == (400, 150)
    assert one.settled_micro == (one.amount_micro * 150 + 200) // 400
    assert metered(world, ROOF)[5:] == (150, 0, 0, 0, 0, 0), "nobody imports to sell to a utility"


def test_neighbours_are_served_before_a_utility() -> None:
    world = next_door()
    assert [order(world, 200, GRID), order(world, 300)] == [200, 300]
    world[ROOF].weather.given = {NEXT: SlotProfile(650, 300)}
    world.begin_slot(2)
    by_buyer = {one.counterparty: one.deliveries[0].delivered_wh for one in world[ROOF].journal.contracts.values()}
    assert by_buyer == {GRID: 50, "ann.default": 300}
    assert metered(world, ROOF).covered_wh == 0


def test_in_high_demand_a_utility_buys_the_sun() -> None:
    world = next_door(response=DemandResponse(5_000, 310_000), load_wh=900)
    world[FLAT].weather.given = dict.fromkeys(SLOTS, SlotProfile(0, 2500))
    world.live(6)
    world.settle_down()
    check_end(world)
    sold_wh = sum(one.delivered_wh or 0 for buyer in (FLAT, GRID) for one in delivered(world, ROOF, buyer))
    assert sold_wh > 0
    assert sum(reading.metered.covered_wh for reading in world[ROOF].journal.readings.values()) == 0


# --- limits of the owner and the connection ---


def test_no_more_is_sold_in_a_slot_than_the_connection_carries() -> None:
    world = World(
        household("roof-0", battery(10_000), price_micro=None, strategy="plan", connection_w=2000),
        utility(),
        weather={ROOF: Weather(900, 0)},
    )
    assert [order(world, 300), order(world, 300, "bob.default"), order(world, 300, "cid.default")] == [300, 200, 0]
    rules = World(household("roof-0", battery(10_000), connection_w=2000), utility(), weather={ROOF: Weather()})
    assert [order(rules, 300), order(rules, 300, "bob.default"), order(rules, 300, "cid.default")] == [300, 200, 0]


@settings(max_examples=60)
@given(
    level_wh=st.integers(0, 10_000),
    stores=st.booleans(),
    sky=st.tuples(st.integers(0, 2000), st.integers(0, 2000)),
    sell_micro=st.integers(0, 400_000),
    most_micro=st.integers(0, 400_000),
    ahead=st.integers(1, 4),
)
def test_the_price_limits_of_its_owner_always_hold(
    level_wh: int, stores: bool, sky: tuple[int, int], sell_micro: int, most_micro: int, ahead: int
) -> None:
    config = household(
        "roof-0",
        battery(level_wh) if stores else None,
        price_micro=sell_micro,
        most_micro=most_micro,
        strategy="plan",
    )
    home = World(config, utility(), weather={ROOF: Weather(*sky)})[ROOF].home
    slot = FIRST_SLOT + ahead * SLOT_S
    assert home.price_micro_per_kwh(slot) >= sell_micro
    assert all((block.price_micro_per_kwh or 0) >= sell_micro for block in home.supply(slot))
    decision = home.decide(slot)
    if isinstance(decision, Buy):
        prices = [block.price_micro_per_kwh for block in decision.wants]
        assert all(price is not None and price <= most_micro for price in prices)
        assert prices == sorted(prices, key=lambda price: -(price or 0))


def test_a_flat_never_pays_its_utility_ahead_what_the_backstop_costs_anyway() -> None:
    world = World(household("flat-0", strategy="plan"), utility(), weather={FLAT: Weather(0, 500)})
    world.live(5)
    check_now(world)
    world.settle_down()
    check_end(world)
    assert world[FLAT].journal.contracts == {}
    assert {reading.metered.imported_wh for reading in world[FLAT].journal.readings.values()} == {500}
