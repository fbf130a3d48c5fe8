"""Specs → the configuration of one household or utility, in the runtime's integers, as JSON-able values.

The keys are those of `wattmesh_agents.config`, which this package does not import; a test holds the two together.
"""

from __future__ import annotations

from collections.abc import Iterable
from hashlib import blake2b
from typing import Any

from wattmesh_operator.naming import profile_file, subscriber_id
from wattmesh_operator.resources import Battery, Profile, SolarAgent, Tariff, Trading, UtilityAgent
from wattmesh_operator.resources.quantities import micro, ppm, watt, wh
from wattmesh_operator.resources.solar_agent import DEFAULT_SELL_PRICE

PROFILES = "/etc/wattmesh/profiles"
"""Folder of a pod that holds its households' profiles, from a ConfigMap."""


def household_config(
    agent: SolarAgent, household: str, utility: UtilityAgent, utilities: Iterable[UtilityAgent]
) -> dict[str, Any]:
    """The configuration of the household of that name, supplied by `utility` with what the market does not.

    `utilities` are all on its feeder.
    """
    spec = agent.spec
    household_id = subscriber_id(household, agent.metadata.namespace)
    return {
        "name": household,
        "subscriber_id": household_id,
        "feeder": spec.feeder,
        "seed": household_seed(spec.seed, household_id),
        "battery": _battery(spec.battery) if spec.battery else None,
        "pv": {
            "peak_w": watt(spec.pv.peak_kw),
            "latitude": float(spec.pv.latitude),
            "longitude": float(spec.pv.longitude),
            "tilt_degrees": float(spec.pv.tilt_degrees),
            "azimuth_degrees": float(spec.pv.azimuth_degrees),
        }
        if spec.pv
        else None,
        "load": {"annual_wh": wh(spec.load.annual_kwh)} if spec.load else None,
        "profile_csv": _profile_csv(spec.profile, household) if spec.profile else None,
        "trading": _trading(spec.trading, spec.battery),
        "backstop": {
            "utility_id": subscriber_id(utility.metadata.name, utility.metadata.namespace),
            "tariff": _tariff(utility.spec.tariff),
        },
        "utility_ids": [
            subscriber_id(other.metadata.name, other.metadata.namespace) for other in utilities if other != utility
        ],
        "forecast": spec.forecast,
        "strategy": spec.strategy,
    }


def utility_config(agent: UtilityAgent) -> dict[str, Any]:
    """The configuration of a utility."""
    spec = agent.spec
    response = spec.demand_response
    return {
        "name": agent.metadata.name,
        "subscriber_id": subscriber_id(agent.metadata.name, agent.metadata.namespace),
        "feeder": spec.feeder,
        "tariff": _tariff(spec.tariff),
        "capacity_w": watt(spec.capacity_kw),
        "demand_response": {
            "start_at_ppm": ppm(response.start_at_percent),
            "max_price_micro_per_kwh": micro(response.max_price),
        }
        if response
        else None,
        "strategy": spec.strategy,
    }


def household_seed(seed: int, household_id: str) -> int:
    """A household's own seed: differs between households, is the same in every run, fits a JSON number exactly."""
    digest = blake2b(f"{seed}/{household_id}".encode(), digest_size=8).digest()
    return int.from_bytes(digest, "big") >> 11


def _profile_csv(profile: Profile, household: str) -> str:
    if profile.csv is not None:
        return profile.csv
    folder = PROFILES if profile.folder is None else profile.folder
    return f"{folder}/{profile_file(household)}"


def _battery(battery: Battery) -> dict[str, int]:
    return {
        "capacity_wh": wh(battery.capacity_kwh),
        "initial_level_wh": wh(battery.initial_kwh),
        "min_level_wh": wh(battery.min_kwh),
        "charge_power_w": watt(battery.power_kw if battery.charge_power_kw is None else battery.charge_power_kw),
        "discharge_power_w": watt(
            battery.power_kw if battery.discharge_power_kw is None else battery.discharge_power_kw
        ),
        "charge_efficiency_ppm": ppm(battery.charge_efficiency_percent),
        "discharge_efficiency_ppm": ppm(battery.discharge_efficiency_percent),
        "self_discharge_ppm_per_day": ppm(battery.self_discharge_percent_per_day),
    }


def _trading(trading: Trading, battery: Battery | None) -> dict[str, int | str | None]:
    capacity_wh = wh(battery.capacity_kwh) if battery else 0
    # A share of a Wh is dropped. The rules between thresholds and minimum level still hold then.
    buy_below_wh, buy_target_wh, sell_above_wh = (
        capacity_wh * ppm(percent) // 1_000_000 for percent in trading.thresholds
    )
    sell_price = trading.sell_price
    if sell_price is None and trading.pricing == "fixed":
        sell_price = DEFAULT_SELL_PRICE
    return {
        "buy_below_wh": buy_below_wh,
        "buy_target_wh": buy_target_wh,
        "sell_above_wh": sell_above_wh,
        "pricing": trading.pricing,
        "sell_price_micro_per_kwh": None if sell_price is None else micro(sell_price),
        "max_buy_price_micro_per_kwh": None if trading.max_buy_price is None else micro(trading.max_buy_price),
    }


def _tariff(tariff: Tariff) -> dict[str, Any]:
    return {
        "price_micro_per_kwh": micro(tariff.price),
        "feed_in_micro_per_kwh": micro(tariff.feed_in),
        "grid_fee_micro_per_kwh": micro(tariff.grid_fee),
        "local_grid_fee_micro_per_kwh": micro(tariff.local_grid_fee),
        "periods": [
            {
                "start": period.start.isoformat(),
                "end": period.end.isoformat(),
                "price_micro_per_kwh": micro(period.price),
            }
            for period in tariff.periods
        ],
    }
