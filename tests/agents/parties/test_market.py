"""Whole parties trade with each other while the post loses, doubles and shuffles their messages and pods die.

Nothing of it may make or lose a watt-hour or a millionth: the audit says so at every moment and in the end.
"""

from __future__ import annotations

from random import Random

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from tests.agents.street import QuickBrain, Street
from tests.agents.support import FEES, FIRST_SLOT, GRID, TARIFF
from wattmesh_agents.brain.brain import Brain
from wattmesh_market.energy.profiles import SlotProfile
from wattmesh_market.energy.tariff import Tariff
from wattmesh_market.parties.config import DemandResponse

ROOF, OTHER_ROOF, HOME, FLAT = "roof-0.default", "roof-1.default", "home-0.default", "flat-0.default"
NAMES = (ROOF, OTHER_ROOF, HOME, FLAT, GRID)
RESPONSE = DemandResponse(start_at_ppm=5_000, max_price_micro_per_kwh=280_000)
"""Demand response above 50 Wh per slot."""


def live(street: Street, chance: Random, *, slots: int, faults: int) -> None:
    """Some slots of trade; everybody looks at every message and alarm in time."""
    for _ in range(slots):
        street.begin_slot()
        for _ in range(28):
            street.carry(chance, faults=faults)
            street.clock.now += 0.5
            street.ring_due()
        street.check_now()


@pytest.mark.parametrize("brain", [Brain, QuickBrain])
def test_on_a_calm_day_roofs_sell_and_everything_is_paid(brain: type[Brain]) -> None:
    street = Street(brain=brain)
    live(street, Random(1), slots=6, faults=0)
    street.settle_down()
    street.check_end()
    assert street.settled(ROOF, HOME) + street.settled(OTHER_ROOF, HOME) > 0
    assert street.settled(ROOF, FLAT) + street.settled(OTHER_ROOF, FLAT) > 0
    assert street.settled(GRID, HOME) > 0, "what the roofs could not give"
    assert street.audit().contracts_checked > 10
    street.close()


def test_in_high_demand_the_utility_buys_from_roofs() -> None:
    street = Street(response=RESPONSE)
    slots = range(FIRST_SLOT, FIRST_SLOT + 10 * 900, 900)
    street.nodes[FLAT].weather.given = dict.fromkeys(slots, SlotProfile(0, 1200))  # it expects 350 Wh and buys no more
    live(street, Random(2), slots=6, faults=0)
    street.settle_down()
    street.check_end()
    assert street.settled(ROOF, GRID) + street.settled(OTHER_ROOF, GRID) > 0
    street.close()


def test_a_dead_seller_is_lived_with_and_settled_with_when_it_returns() -> None:
    street = Street()
    live(street, Random(3), slots=2, faults=0)
    street.begin_slot()
    for step in range(200):
        street.carry(Random(step), faults=0)
        street.clock.now += 0.05
        street.ring_due()
        roof = street.nodes[ROOF]
        if street.audit().contracts_in_flight:  # somebody is in doubt, or not yet told
            break
    else:
        raise AssertionError("no contract was under way")
    away = street.nodes.pop(ROOF)
    for _ in range(3):
        street.begin_slot()
        for _ in range(20):
            for node, message in street.under_way:
                if message.recipient == ROOF:
                    street.lose(node, message)
            street.carry(Random(4), faults=0)
            street.clock.now += 0.5
            street.ring_due()
    street.nodes[ROOF] = away
    roof.restart()
    street.settle_down()
    street.check_end()
    street.close()


class Market(RuleBasedStateMachine):
    """Trade in any weather, with any post, and pods that die at any time."""

    street: Street

    @initialize(
        levels_wh=st.tuples(st.integers(8200, 10_000), st.integers(0, 10_000), st.integers(0, 2500)),
        response=st.sampled_from([None, RESPONSE]),
        charge=st.sampled_from([1_000_000, 950_000, 777_777]),
        discharge=st.sampled_from([1_000_000, 900_000, 777_777]),
        minimum_wh=st.sampled_from([0, 1000]),
        tariff=st.sampled_from([TARIFF, FEES]),
    )
    def build(
        self,
        levels_wh: tuple[int, int, int],
        response: DemandResponse | None,
        charge: int,
        discharge: int,
        minimum_wh: int,
        tariff: Tariff,
    ) -> None:
        self.street = Street(
            levels_wh,
            response,
            tariff=tariff,
            charge_efficiency_ppm=charge,
            discharge_efficiency_ppm=discharge,
            min_level_wh=minimum_wh,
        )

    @rule(chance=st.randoms(use_true_random=False), rounds=st.integers(1, 6), faults=st.sampled_from([0, 0, 2, 5]))
    def trade(self, chance: Random, rounds: int, faults: int) -> None:
        for _ in range(rounds):
            self.street.carry(chance, faults=faults)
            self.street.clock.now += 0.4
            self.street.ring_due()

    @rule(seconds=st.floats(0.001, 7))
    def sleep(self, seconds: float) -> None:
        self.street.clock.now += seconds

    @rule(slots=st.sampled_from([1, 1, 1, 2, 3]), order=st.permutations(NAMES), awake=st.integers(3, 5))
    def begin_slot(self, slots: int, order: list[str], awake: int) -> None:
        self.street.begin_slot(slots, order[:awake])

    @rule(name=st.sampled_from(NAMES[:4]), pv_wh=st.integers(0, 1500), load_wh=st.integers(0, 1500))
    def change_weather(self, name: str, pv_wh: int, load_wh: int) -> None:
        self.street.nodes[name].weather.given[self.street.slot] = SlotProfile(pv_wh, load_wh)

    @rule(name=st.sampled_from(NAMES))
    def die_and_return(self, name: str) -> None:
        node = self.street.nodes[name]
        node.restart()
        node.dispatcher.open_slot(node.party)

    @invariant()
    def holds(self) -> None:
        if hasattr(self, "street"):
            self.street.check_now()

    def teardown(self) -> None:
        if hasattr(self, "street"):
            self.street.settle_down()
            self.street.check_end()
            self.street.close()


TestMarket = Market.TestCase
TestMarket.settings = settings(max_examples=15, stateful_step_count=25)
