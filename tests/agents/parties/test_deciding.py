"""A household decides with the forecast and the prices that it was told to use."""

from __future__ import annotations

from dataclasses import replace

import pytest

from tests.agents.support import FIRST_SLOT, HandClock, Node, Weather, battery, household
from wattmesh_agents.parties.household import Household
from wattmesh_market.energy.profiles import SlotProfile
from wattmesh_market.parties.config import HouseholdConfig
from wattmesh_market.strategies import Buy

DAY = 96
WEATHER = Weather(
    SlotProfile(0, 300), {FIRST_SLOT + 900: SlotProfile(0, 450), FIRST_SLOT + 97 * 900: SlotProfile(0, 70)}
)
"""Expects 300 Wh in every slot, but takes 450 in the second of the first day, and 70 a day later."""


def decision(config: HouseholdConfig, slots: int) -> Buy:
    """What is decided for the second slot from the first one on, or so many slots later."""
    clock = HandClock()
    node = Node(config, clock, WEATHER)
    assert isinstance(node.party, Household)
    clock.now = node.trader.around.grid.wall_at(FIRST_SLOT + 900 * slots)
    with node.database.transaction():
        node.party.catch_up()
        decided = node.party.decide(FIRST_SLOT + 900 * (slots + 1))
    node.database.close()
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
    assert decision(household("flat-0", None, forecast=forecast), slots).energy_wh == energy_wh


@pytest.mark.parametrize(("pricing", "price"), [("fixed", 300_000), ("mid-market", 190_000), ("level", 256_000)])
def test_a_low_battery_pays_what_its_pricing_says(pricing: str, price: int) -> None:
    # Level: 1 kWh of the 5 kWh that it aims at is a fifth of the way from 0.30 down to 0.08.
    low = household("home-0", battery(1000), pricing=pricing)
    assert decision(low, 0).max_price_micro_per_kwh == price


def test_what_leaks_until_then_is_missing_too() -> None:
    tight = battery(1900, charge_power_w=40_000, charge_efficiency_ppm=1_000_000)
    leaky = replace(tight, self_discharge_ppm_per_day=960_000)  # about 19 Wh in each of two slots
    more_wh = decision(household("home-0", leaky), 0).energy_wh - decision(household("home-0", tight), 0).energy_wh
    assert 36 <= more_wh <= 40
