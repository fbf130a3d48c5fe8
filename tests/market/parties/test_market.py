"""Whole parties trade with each other while their messages are lost, doubled and shuffled and the parties restart.

None of this may make or lose a watt-hour or a millionth.
"""

from __future__ import annotations

from random import Random

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from tests.market.invariants import check_end, check_now
from tests.world import plugged
from tests.world.market import World, street
from tests.world.parties import FEES, FIRST_SLOT, GRID, TARIFF, Config, Weather, battery, household, utility
from wattmesh_market.energy.profiles import SlotProfile
from wattmesh_market.energy.slots import SLOT_S
from wattmesh_market.energy.tariff import Tariff
from wattmesh_market.mechanisms.sharing import Sharing
from wattmesh_market.parties.config import DemandResponse
from wattmesh_market.pricing import PRICINGS
from wattmesh_market.strategies import strategies
from wattmesh_market.trade.contracts import ContractState, Side
from wattmesh_market.units import amount_micro

ROOF, OTHER_ROOF, HOME, FLAT = "roof-0.default", "roof-1.default", "home-0.default", "flat-0.default"
NAMES = (ROOF, OTHER_ROOF, HOME, FLAT, GRID)
RESPONSE = DemandResponse(start_at_ppm=5_000, max_price_micro_per_kwh=280_000)
"""Demand response above 50 Wh per slot."""


SHARINGS = st.sampled_from([None, Sharing(), Sharing(120_001, "equal")])


def settled_wh(world: World, seller: str, buyer: str) -> int:
    """Energy that one party bought of another and paid."""
    return sum(
        delivery.delivered_wh or 0
        for contract in world[seller].journal.contracts.values()
        for delivery in contract.deliveries
        if (contract.side, contract.counterparty) == (Side.SELLER, buyer) and delivery.state is ContractState.SETTLED
    )


def check_price_limits(world: World) -> None:
    """The limits that owners named: what they sold at least for, without fee, and what they bought at most for."""
    for member in world.members.values():
        if member.party.id == GRID:
            continue
        trading = member.home.config.trading
        for contract in member.journal.contracts.values():
            for one in contract.deliveries:
                if contract.side is Side.SELLER:
                    least_micro = trading.sell_price_micro_per_kwh or 0
                    if member.home.config.strategy == "plan" or trading.pricing == "fixed":
                        assert one.amount_micro - one.fee_micro >= amount_micro(least_micro, one.energy_wh) - 1
                elif (most_micro := trading.max_buy_price_micro_per_kwh) is not None:
                    assert one.amount_micro <= amount_micro(most_micro, one.energy_wh)


def test_on_a_calm_day_roofs_sell_and_everything_is_paid() -> None:
    world = street()
    for _ in range(6):
        world.live()
        check_now(world)
    world.settle_down()
    check_end(world)
    assert settled_wh(world, ROOF, HOME) + settled_wh(world, OTHER_ROOF, HOME) > 0
    assert settled_wh(world, ROOF, FLAT) + settled_wh(world, OTHER_ROOF, FLAT) > 0
    assert settled_wh(world, GRID, HOME) > 0, "what the roofs could not give"


def test_in_high_demand_the_utility_buys_from_roofs() -> None:
    world = street(response=RESPONSE)
    # The flat expects 350 Wh and buys no more.
    slots = range(FIRST_SLOT, FIRST_SLOT + 10 * SLOT_S, SLOT_S)
    world[FLAT].weather.given = dict.fromkeys(slots, SlotProfile(0, 1200))
    world.live(6)
    world.settle_down()
    check_end(world)
    assert settled_wh(world, ROOF, GRID) + settled_wh(world, OTHER_ROOF, GRID) > 0


def test_a_dead_seller_is_settled_with_when_it_returns() -> None:
    world = street()
    world.live(2)
    world.begin_slot()
    while not any(one.in_doubt for one in world[HOME].books.open_with(Side.BUYER, ROOF)):
        world.carry()
        world.at(world.now.grid_s + 3)
        world.ring_due()
    away = world.members.pop(ROOF)
    world.under_way = [one for one in world.under_way if one.sender != ROOF]
    world.live(3)
    doubts = [one for one in world[HOME].books.open_with(Side.BUYER, ROOF) if one.in_doubt]
    assert doubts, "nobody else knows what became of it"
    world.members[ROOF] = away
    world.restart(ROOF)
    world.settle_down()
    check_end(world)


# --- any world ---

OUTSIDE = strategies.give(plugged.chancy)
"""A strategy from outside, which does all that it may and more."""

SKIES = [(1500, 100), (900, 300), (0, 400), (0, 1200)]
"""PV and load that are expected."""

homes = st.builds(
    lambda level, capacity, minimum, power, charge, discharge, leak, price, most, buys, sells, pricing, strategy: {
        "of": battery(
            capacity * level // 100,
            capacity_wh=capacity,
            min_level_wh=capacity * minimum // 100,
            charge_power_w=power,
            discharge_power_w=power,
            charge_efficiency_ppm=charge,
            discharge_efficiency_ppm=discharge,
            self_discharge_ppm_per_day=leak,
        )
        if capacity
        else None,
        "price_micro": price,
        "buy_percent": buys,
        "sell_percent": sells,
        "most_micro": most,
        "pricing": pricing,
        "strategy": strategy,
    },
    level=st.sampled_from([100, 90]) | st.integers(0, 100),
    capacity=st.sampled_from([0, 0, 3_000, 10_000]),
    minimum=st.sampled_from([0, 10]),
    power=st.sampled_from([4_000, 20_000, 800]),
    charge=st.integers(700_000, 1_000_000),
    discharge=st.integers(700_000, 1_000_000),
    leak=st.sampled_from([0, 0, 50_000, 960_000]),
    price=st.sampled_from([200_000, None, 0, 100_001, 299_999, 400_000]),
    most=st.sampled_from([None, None, 150_000]),
    buys=st.integers(0, 60),
    sells=st.integers(30, 90),
    pricing=st.sampled_from(sorted(PRICINGS)),
    strategy=st.sampled_from(["rules", "plan", OUTSIDE]),
)


@settings(max_examples=80, suppress_health_check=[HealthCheck.too_slow])
@given(
    made=st.lists(homes, min_size=3, max_size=4),
    capacity_w=st.sampled_from([0, 4_000, 40_000]),
    response=st.sampled_from([None, RESPONSE]),
    tariff=st.sampled_from([TARIFF, FEES]),
    sharing=SHARINGS,
    weather=st.permutations(SKIES) | st.lists(st.tuples(*[st.integers(0, 1500)] * 2), min_size=4, max_size=4),
    slots=st.integers(4, 6),
    chance=st.randoms(use_true_random=False),
    faults=st.sampled_from([0, 0, 2, 5]),
)
def test_whatever_the_parties_and_their_messages_all_books_sum_to_zero(
    made: list[dict[str, object]],
    capacity_w: int,
    response: DemandResponse | None,
    tariff: Tariff,
    sharing: Sharing | None,
    weather: list[tuple[int, int]],
    slots: int,
    chance: Random,
    faults: int,
) -> None:
    configs: list[Config] = [
        household(f"home-{at}", tariff=tariff, shares=sharing is not None, **one)  # type: ignore[arg-type]
        for at, one in enumerate(made)
    ]
    skies = {f"home-{at}.default": Weather(*one) for at, one in enumerate(weather)}
    world = World(*configs, utility(capacity_w, response, tariff, sharing), weather=skies)
    for _ in range(slots):
        for name in skies.keys() & world.members.keys():
            world[name].weather.given[world.now.slot] = SlotProfile(chance.randrange(1500), chance.randrange(1500))
        world.live(1, chance, faults)
        check_now(world)
    world.settle_down()
    check_end(world)
    check_price_limits(world)


class Market(RuleBasedStateMachine):
    """Trade in any weather, with any carrier, and parties that die at any time."""

    world: World

    @initialize(
        levels_wh=st.tuples(st.integers(8200, 10_000), st.integers(0, 10_000), st.integers(0, 2500)),
        response=st.sampled_from([None, RESPONSE]),
        charge=st.sampled_from([1_000_000, 950_000, 777_777]),
        discharge=st.sampled_from([1_000_000, 900_000, 777_777]),
        minimum_wh=st.sampled_from([0, 1000]),
        leak=st.sampled_from([0, 0, 50_000]),
        tariff=st.sampled_from([TARIFF, FEES]),
        sharing=SHARINGS,
        strategy=st.sampled_from(["rules", "plan", OUTSIDE]),
        panels=st.booleans(),
    )
    def build(
        self,
        levels_wh: tuple[int, int, int],
        response: DemandResponse | None,
        charge: int,
        discharge: int,
        minimum_wh: int,
        leak: int,
        tariff: Tariff,
        sharing: Sharing | None,
        strategy: str,
        panels: bool,
    ) -> None:
        self.world = street(
            levels_wh,
            response,
            tariff=tariff,
            sharing=sharing,
            strategy=strategy,
            panels=panels,
            charge_efficiency_ppm=charge,
            discharge_efficiency_ppm=discharge,
            min_level_wh=minimum_wh,
            self_discharge_ppm_per_day=leak,
        )

    @rule(chance=st.randoms(use_true_random=False), rounds=st.integers(1, 6), faults=st.sampled_from([0, 0, 2, 5]))
    def trade(self, chance: Random, rounds: int, faults: int) -> None:
        for _ in range(rounds):
            self.world.carry(chance, faults)
            self.world.wait(0.4)
            self.world.ring_due()

    @rule(seconds=st.floats(0.001, 7))
    def sleep(self, seconds: float) -> None:
        self.world.wait(seconds)

    @rule(slots=st.sampled_from([1, 1, 1, 2, 3]), order=st.permutations(NAMES), awake=st.integers(3, 5))
    def begin_slot(self, slots: int, order: list[str], awake: int) -> None:
        self.world.begin_slot(slots, order[:awake])

    @rule(name=st.sampled_from(NAMES[:4]), pv_wh=st.integers(0, 1500), load_wh=st.integers(0, 1500))
    def change_weather(self, name: str, pv_wh: int, load_wh: int) -> None:
        self.world[name].weather.given[self.world.now.slot] = SlotProfile(pv_wh, load_wh)

    @rule(name=st.sampled_from(NAMES))
    def die_and_return(self, name: str) -> None:
        self.world.restart(name)
        self.world.open_slot(self.world[name])

    @invariant()
    def holds(self) -> None:
        if hasattr(self, "world"):
            check_now(self.world)

    def teardown(self) -> None:
        if hasattr(self, "world"):
            self.world.settle_down()
            check_end(self.world)


TestMarket = Market.TestCase
TestMarket.settings = settings(max_examples=25, stateful_step_count=25)
