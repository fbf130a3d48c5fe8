"""The examples are valid, and what the operator plans for them is what the runtime understands."""

from __future__ import annotations

import csv
import runpy
from collections import Counter
from datetime import datetime, timedelta
from pathlib import Path

import pytest

from wattmesh_common.profile_files import read_profile_csv
from wattmesh_common.runtime import RuntimeConfig
from wattmesh_market.energy.forecast import FORECASTS
from wattmesh_market.parties.config import HouseholdConfig
from wattmesh_market.pricing import PRICINGS
from wattmesh_operator.manifests import load
from wattmesh_operator.plan import plan, runtime_config

EXAMPLES = Path(__file__).parents[2] / "examples"


def _configs(example: str) -> list[RuntimeConfig]:
    return [
        runtime_config(pod, gateway_url="http://127.0.0.1:8000", epoch=1_750_000_000.5)
        for gateway in plan(load([EXAMPLES / example]))
        for pod in gateway.pods
    ]


@pytest.mark.parametrize("example", sorted(file.name for file in EXAMPLES.glob("*.yaml")))
def test_the_runtime_understands_what_is_planned(example: str) -> None:
    configs = _configs(example)
    assert configs
    for config in configs:
        assert RuntimeConfig.model_validate_json(config.model_dump_json(), strict=True) == config


def _households(example: str) -> list[HouseholdConfig]:
    return [household for config in _configs(example) for household in config.households]


def _levels(example: str) -> dict[str, tuple[int, int, int]]:
    """Initial level, level below which it buys and level above which it sells, of households with a battery."""
    return {
        household.name: (
            household.battery.initial_level_wh,
            household.trading.buy_below_wh,
            household.trading.sell_above_wh,
        )
        for household in _households(example)
        if household.battery
    }


def test_the_household_of_seed_has_to_buy() -> None:
    assert _levels("seed.yaml") == {"household-0": (2_000, 3_000, 12_000)}


def test_street_has_ten_households_of_three_kinds() -> None:
    assert [household.name for household in _households("street.yaml")] == [
        *("rooftop-0", "rooftop-1", "rooftop-2", "rooftop-3"),
        *("battery-0", "battery-1", "battery-2"),
        *("flat-0", "flat-1", "flat-2"),
    ]
    assert _levels("street.yaml")["rooftop-0"] == (8_500, 2_000, 8_000)


def test_heatwave_has_more_load_than_the_utility_likes_and_full_batteries_below_its_price() -> None:
    [utility] = [utility for config in _configs("heatwave.yaml") for utility in config.utilities]
    households = _households("heatwave.yaml")
    mean_load_w = sum(household.load.annual_wh for household in households if household.load) / (365 * 24)
    response = utility.demand_response
    assert response is not None
    assert mean_load_w > utility.capacity_w * response.start_at_ppm / 1_000_000
    roofs = [household for household in households if household.name.startswith("rooftop-")]
    assert all(roof.battery and roof.battery.initial_level_wh == roof.battery.capacity_wh for roof in roofs)
    limit = response.max_price_micro_per_kwh
    assert all((roof.trading.sell_price_micro_per_kwh or limit) < limit for roof in roofs)


def test_strategies_shows_every_pricing_and_every_forecast() -> None:
    households = _households("strategies.yaml")
    assert {household.trading.pricing for household in households} == set(PRICINGS)
    assert {household.forecast for household in households} == set(FORECASTS)


def test_the_measured_profile_covers_its_day_slot_by_slot_and_the_runtime_reads_it() -> None:
    [(profile, connection_w)] = [
        (household.profile_csv, household.connection_w)
        for household in _households("measured.yaml")
        if household.profile_csv
    ]
    with profile.open(newline="") as lines:
        slots = [datetime.fromisoformat(line["slot"]) for line in csv.DictReader(lines)]
    start = datetime.fromisoformat("2026-06-21T00:00:00+02:00")
    assert slots == [start + number * timedelta(minutes=15) for number in range(96)]
    read_profile_csv(profile, connection_w)


def test_the_town_is_what_its_generator_writes() -> None:
    generated: str = runpy.run_path(str(EXAMPLES.parent / "hack" / "town.py"))["town"]()
    assert (EXAMPLES / "town.yaml").read_text() == generated


def test_the_town_has_20_feeders_of_50_households_and_a_utility() -> None:
    [town] = plan(load([EXAMPLES / "town.yaml"]))
    households = Counter(pod.participants[0].feeder for pod in town.pods for _ in pod.households)
    assert set(households.values()) == {50}
    utilities = Counter(pod.participants[0].feeder for pod in town.pods for _ in pod.utilities)
    assert len(households) == 20
    assert utilities == Counter(households.keys())
