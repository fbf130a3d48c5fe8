"""A household decides with the forecast and the prices that it was told to use."""

from __future__ import annotations

import pytest

from tests.world.market import World
from tests.world.parties import FIRST_SLOT, NEXT, Weather, battery, household
from wattmesh_market.energy.profiles import SlotProfile
from wattmesh_market.energy.slots import SLOT_S, SLOTS_PER_DAY
from wattmesh_market.parties.books import Role
from wattmesh_market.parties.config import HouseholdConfig
from wattmesh_market.strategies import Buy
from wattmesh_market.strategies.plan import PLANNED_EVERY_S

DAY = SLOTS_PER_DAY


def sky() -> Weather:
    """Expects 300 Wh in every slot, but takes 450 in the second of the first day, and 70 a day later."""
    return Weather(0, 300, {NEXT: SlotProfile(0, 450), NEXT + DAY * SLOT_S: SlotProfile(0, 70)})


def decision(config: HouseholdConfig, slots: int) -> Buy:
    """What is decided for the second slot from the first one on, or so many slots later."""
    world = World(config, weather={config.subscriber_id: sky()})
    world.catch_up(config.subscriber_id, slots)
    decided = world[config.subscriber_id].home.decide(FIRST_SLOT + SLOT_S * (slots + 1))
    assert isinstance(decided, Buy)
    return decided


@pytest.mark.parametrize(
    ("forecast", "slots", "energy_wh"),
    [
        ("profile", 0, 300),
        ("profile", DAY, 300),
        ("persistence", 0, 300),  # as the profile, until a day has passed
        ("persistence", DAY, 450),
        ("perfect", 0, 450),
        ("perfect", DAY, 70),
    ],
)
def test_a_flat_buys_what_its_forecast_expects(forecast: str, slots: int, energy_wh: int) -> None:
    assert decision(household("flat-0", forecast=forecast), slots).energy_wh == energy_wh


def test_after_a_restart_a_plan_goes_by_what_was_metered_when_it_was_made() -> None:
    """It is made in the slot before its four hours; how that ended, the day after it may be another."""
    made = FIRST_SLOT + PLANNED_EVERY_S - FIRST_SLOT % PLANNED_EVERY_S
    name, store = "home-0.default", battery(3100)
    weather = Weather(100, 100, {made - SLOT_S: SlotProfile(0, 8000)})
    world = World(household("home-0", store, forecast="persistence", strategy="plan"), weather={name: weather})
    world.begin_slot((made - FIRST_SLOT) // SLOT_S - 1)
    for _ in range(4):
        following = world.now.slot + SLOT_S
        before = world[name].home.supply(following)
        world.restart(name)
        assert world[name].home.supply(following) == before != []
        world.begin_slot()


@pytest.mark.parametrize(("pricing", "price"), [("fixed", 300_000), ("mid-market", 190_000), ("level", 256_000)])
def test_a_low_battery_pays_what_its_pricing_says(pricing: str, price: int) -> None:
    # Level: 1 kWh of the 5 kWh that it aims at is a fifth of the way from 0.30 down to 0.08.
    low = household("home-0", battery(1000), pricing=pricing)
    assert [block.price_micro_per_kwh for block in decision(low, 0).wants] == [price]


def test_what_leaks_until_then_is_missing_too() -> None:
    tight = {"charge_power_w": 40_000, "charge_efficiency_ppm": 1_000_000}
    leak_ppm = 960_000  # about 19 Wh in each of two slots
    leaky = battery(1900, **tight, self_discharge_ppm_per_day=leak_ppm)
    dense = battery(1900, **tight)
    more_wh = decision(household("home-0", leaky), 0).energy_wh - decision(household("home-0", dense), 0).energy_wh
    assert 36 <= more_wh <= 40


@pytest.mark.parametrize(("level_wh", "role"), [(1500, Role.BUYER), (9000, Role.SELLER), (5000, Role.NEITHER)])
def test_a_role_is_taken_when_the_slot_before_begins_and_kept(level_wh: int, role: Role) -> None:
    world = World(household("home-0", battery(level_wh)))
    member = world["home-0.default"]
    world.begin_slot()
    slot = NEXT + SLOT_S
    assert member.journal.roles == {slot: role}
    other_level_wh = 9000 if role is Role.BUYER else 1500
    standing = member.books.standing._replace(level_wh=other_level_wh, buying=other_level_wh == 1500)
    world.act(member, lambda: member.books.stand(standing))
    assert isinstance(member.home.decide(slot), Buy) is False
    assert member.home.may_buy(slot) == (role is Role.BUYER)
    assert member.home.sells(slot) == (role is Role.SELLER)
