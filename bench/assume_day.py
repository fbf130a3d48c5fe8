"""A day of N households in ASSUME, an agent-based simulator of electricity markets: 96 clearings of 15 minutes each.

Run by the Python of a virtual environment that has assume-framework (see `assume_runs.py`), never imported by wattmesh:
`python bench/assume_day.py 10 --batteries` prints a JSON object with what the run took and what was cleared.

Of ten households all have a load, four have solar panels and, with --batteries, seven have a battery, as in
examples/street.yaml; a supplier serves the rest from the grid.
"""

from __future__ import annotations

import argparse
import json
import logging
import math
import sys
import time
from datetime import datetime, timedelta
from typing import Any

from assume import World
from assume.common.fast_pandas import FastIndex
from assume.common.forecaster import DemandForecaster, PowerplantForecaster, UnitForecaster
from assume.common.market_objects import MarketConfig, MarketProduct
from dateutil.relativedelta import relativedelta
from dateutil.rrule import MINUTELY, rrule

START = datetime(2026, 6, 21)  # noqa: DTZ001 - ASSUME's times have no zone
DAY = timedelta(days=1)
SLOT_MINUTES = 15
SLOT = timedelta(minutes=SLOT_MINUTES)
SLOTS = DAY // SLOT
KNOWN_SLOTS = 2 * SLOTS
"""How far series go: strategies look ahead of the last slot."""
MARKET = "street"
MECHANISM = "pay_as_clear"

# ASSUME computes in MW and EUR/MWh; a household's kW and EUR/MWh here.
SOLAR_KW, BATTERY_KW, GRID_KW = 8.0, 5.0, 100_000.0
BATTERY_KWH, BATTERY_LEVEL = 10.0, 0.5
LOAD_KW, LOAD_SWING_KW = 0.4, 0.2
LOAD_PRICE, GRID_PRICE, SOLAR_PRICE = 380.0, 250.0, 150.0
EVENING = range(17 * 4, 21 * 4)
"""Slots in which batteries expect the load's price, the grid's in all others."""


def main() -> None:
    """Build the street, run its day, and print what that took as JSON. CPU and wall time are of the run alone."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("households", type=int)
    parser.add_argument("--batteries", action="store_true")
    options = parser.parse_args()
    logging.disable(logging.WARNING)
    street = _Street(options.households, batteries=options.batteries)
    begun, begun_cpu_s = time.perf_counter(), time.process_time()
    street.world.run()
    result = {
        "cpu_s": time.process_time() - begun_cpu_s,
        "wall_s": time.perf_counter() - begun,
        "clearings": len(street.accepted_bids),
        "accepted_bids": sum(street.accepted_bids),
    }
    sys.stdout.write(f"{json.dumps(result)}\n")


class _Street:
    """A world with one market. `accepted_bids` gets the number of accepted bids of each clearing."""

    def __init__(self, households: int, *, batteries: bool) -> None:
        self.accepted_bids: list[int] = []
        self.world = World(log_level="ERROR")
        # A product is delivered in the slot after its clearing, so the last clearing needs two more slots.
        self.world.setup(start=START, end=START + DAY + 2 * SLOT, simulation_id=MARKET, save_frequency_hours=None)
        self._index = FastIndex(START, periods=KNOWN_SLOTS, freq=SLOT)
        self._add_market()
        angles = [2 * math.pi * number / SLOTS for number in range(KNOWN_SLOTS)]
        sun = PowerplantForecaster(self._index, availability=[max(0.0, -math.cos(angle)) for angle in angles])
        prices = [LOAD_PRICE if number % SLOTS in EVENING else GRID_PRICE for number in range(KNOWN_SLOTS)]
        for number in range(households):
            owner = f"household-{number}"
            self.world.add_unit_operator(owner)
            self._add_load(owner, [-(LOAD_KW + LOAD_SWING_KW * math.sin(angle + number)) for angle in angles])
            if number % 10 < 4:
                self._add_plant(owner, SOLAR_KW, SOLAR_PRICE, sun)
            if batteries and number % 10 < 7:
                self._add_battery(owner, prices)
        self.world.add_unit_operator("supplier")
        self._add_plant("supplier", GRID_KW, GRID_PRICE, PowerplantForecaster(self._index))

    def _add_market(self) -> None:
        make = self.world.clearing_mechanisms[MECHANISM]

        def make_counted(config: MarketConfig) -> Any:
            role = make(config)
            clear = role.clear

            def clear_and_count(*arguments: Any) -> Any:
                accepted, *more = clear(*arguments)
                self.accepted_bids.append(len(accepted))
                return accepted, *more

            role.clear = clear_and_count
            return role

        self.world.clearing_mechanisms[MECHANISM] = make_counted
        self.world.add_market_operator("operator")
        slot = relativedelta(minutes=SLOT_MINUTES)
        # The market's last opening is two slots before its `until`.
        opens = rrule(MINUTELY, interval=SLOT_MINUTES, dtstart=START, until=START + DAY + SLOT)
        config = MarketConfig(
            market_id=MARKET,
            opening_hours=opens,
            opening_duration=SLOT,
            market_mechanism=MECHANISM,
            market_products=[MarketProduct(duration=slot, count=1, first_delivery=slot)],
            additional_fields=["bid_id", "unit_id", "node"],
            maximum_bid_volume=GRID_KW,
        )
        self.world.add_market("operator", config)

    def _add_load(self, owner: str, demand_kw: list[float]) -> None:
        parameters = {
            "technology": "load",
            "min_power": 0.0,
            "max_power": -2 * (LOAD_KW + LOAD_SWING_KW),
            "price": LOAD_PRICE,
            "bidding_strategies": {MARKET: "demand_energy_naive"},
        }
        self.world.add_unit(
            f"{owner}-load", "demand", owner, parameters, DemandForecaster(self._index, demand=demand_kw)
        )

    def _add_plant(self, owner: str, most_kw: float, price: float, forecaster: PowerplantForecaster) -> None:
        parameters = {
            "technology": "plant",
            "min_power": 0.0,
            "max_power": most_kw,
            "additional_cost": price,
            "bidding_strategies": {MARKET: "powerplant_energy_naive"},
        }
        self.world.add_unit(f"{owner}-plant", "power_plant", owner, parameters, forecaster)

    def _add_battery(self, owner: str, prices: list[float]) -> None:
        parameters = {
            "technology": "battery",
            "max_power_charge": -BATTERY_KW,
            "max_power_discharge": BATTERY_KW,
            "capacity": BATTERY_KWH,
            "initial_soc": BATTERY_LEVEL,
            "bidding_strategies": {MARKET: "storage_energy_heuristic_flexable"},
        }
        forecaster = UnitForecaster(self._index, market_prices={MARKET: prices})
        self.world.add_unit(f"{owner}-battery", "storage", owner, parameters, forecaster)


if __name__ == "__main__":
    main()
