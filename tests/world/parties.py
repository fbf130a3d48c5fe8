"""Who lives in tests' small worlds: households and a utility of one feeder, from the first slot of a morning on."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from wattmesh_market.energy.battery import Battery
from wattmesh_market.energy.profiles import SlotProfile
from wattmesh_market.energy.slots import SLOT_S
from wattmesh_market.energy.tariff import Tariff
from wattmesh_market.mechanisms.sharing import Sharing
from wattmesh_market.parties.books import Books, Standing
from wattmesh_market.parties.config import Backstop, DemandResponse, HouseholdConfig, Trading, UtilityConfig
from wattmesh_market.parties.household import Household
from wattmesh_market.parties.party import Surroundings, standing_at
from wattmesh_market.parties.utility import Utility

CURRENCY, FEEDER = "EUR", "feeder-1"
GATEWAY, GRID = "gateway.default", "grid.default"
EPOCH_S = 1_800_000_000.0
FIRST_SLOT = int(datetime(2026, 6, 21, 6, 0, tzinfo=UTC).timestamp())
NEXT = FIRST_SLOT + SLOT_S
SPEED = 60.0
"""A slot takes 15 s of wall time, so a quote (30 s) ends both by time and by gate."""
SLOT_WALL_S = SLOT_S / SPEED
"""Wall seconds in a slot."""
TARIFF = Tariff(price_micro_per_kwh=300_000, feed_in_micro_per_kwh=80_000)
FEES = Tariff(300_000, 80_000, grid_fee_micro_per_kwh=70_001, local_grid_fee_micro_per_kwh=29_999)
"""The same with grid fees, odd, so that amounts need rounding."""

Config = HouseholdConfig | UtilityConfig


class Weather:
    """PV and load by slot; what is not given is `usual`, which is also the forecast."""

    def __init__(self, pv_wh: int = 0, load_wh: int = 0, given: Mapping[int, SlotProfile] | None = None) -> None:
        self.usual = SlotProfile(pv_wh, load_wh)
        self.given = dict(given or {})

    def actual(self, slot: int) -> SlotProfile:
        return self.given.get(slot, self.usual)

    def forecast(self, slot: int) -> SlotProfile:  # noqa: ARG002 - nobody foresees
        return self.usual


def battery(level_wh: int = 9000, **changes: int) -> Battery:
    """10 kWh with a minimum of 1 kWh, 1000 Wh per slot each way, 95 % in and 90 % out."""
    usual = {
        "capacity_wh": 10_000,
        "initial_level_wh": level_wh,
        "min_level_wh": 1000,
        "charge_power_w": 4000,
        "discharge_power_w": 4000,
        "charge_efficiency_ppm": 950_000,
        "discharge_efficiency_ppm": 900_000,
    }
    return Battery(**(usual | changes))


def household(
    name: str,
    of: Battery | None = None,
    *,
    price_micro: int | None = 200_000,
    most_micro: int | None = None,
    buy_percent: int = 20,
    sell_percent: int = 80,
    tariff: Tariff = TARIFF,
    pricing: str = "fixed",
    shares: bool = False,
    **changes: Any,
) -> HouseholdConfig:
    """Buys below 20 % up to 50 %, sells above 80 %. With strategy `plan` the thresholds have no effect."""
    capacity_wh = of.capacity_wh if of else 0
    sell_above_wh = capacity_wh * sell_percent // 100
    trading = Trading(
        buy_below_wh=capacity_wh * min(buy_percent, sell_percent) // 100,
        buy_target_wh=min(capacity_wh // 2, sell_above_wh),
        sell_above_wh=sell_above_wh,
        pricing=pricing,
        sell_price_micro_per_kwh=price_micro,
        max_buy_price_micro_per_kwh=most_micro,
    )
    return HouseholdConfig(
        name, f"{name}.default", FEEDER, 1, trading, Backstop(GRID, tariff, shares), battery=of, **changes
    )


def utility(
    capacity_w: int = 40_000,
    response: DemandResponse | None = None,
    tariff: Tariff = TARIFF,
    sharing: Sharing | None = None,
    **more: Any,
) -> UtilityConfig:
    """The backstop; 10 kWh per slot."""
    return UtilityConfig("grid", GRID, FEEDER, tariff, capacity_w, demand_response=response, sharing=sharing, **more)


def party_of(config: Config, weather: Weather, around: Surroundings, books: Books, salt: str) -> Household | Utility:
    """A party on its books."""
    if isinstance(config, UtilityConfig):
        return Utility(config, around, books, salt)
    return Household(config, weather, around, books, salt)


def first_standing(config: Config, slot: int = FIRST_SLOT) -> Standing:
    """Where a party stands that enters the books at a slot."""
    return standing_at(slot, None if isinstance(config, UtilityConfig) else config)
