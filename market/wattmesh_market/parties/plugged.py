"""The strategies, pricings, forecasts and devices that households go by, and whether they are installed here."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from wattmesh_market.energy.devices.demand import devices
from wattmesh_market.energy.forecast import forecasts
from wattmesh_market.parties.config import HouseholdConfig
from wattmesh_market.plugins import Catalog, Kind
from wattmesh_market.pricing import pricings
from wattmesh_market.strategies import strategies

CATALOGS: Mapping[Kind, Catalog[Any]] = {
    Kind.STRATEGY: strategies,
    Kind.PRICING: pricings,
    Kind.FORECAST: forecasts,
    Kind.DEVICE: devices,
}
"""Where what a household names is found."""


def plugins_of(households: Iterable[HouseholdConfig]) -> list[tuple[Kind, str]]:
    """What households go by, by kind and name, the built-in ones, too; each once, in order."""
    found: set[tuple[Kind, str]] = set()
    for household in households:
        found.add((Kind.STRATEGY, household.strategy))
        found.add((Kind.PRICING, household.trading.pricing))
        found.add((Kind.FORECAST, household.forecast))
        found |= {(Kind.DEVICE, one.plugin) for one in household.devices if one.plugin is not None}
    return sorted(found)


def require_installed(households: Iterable[HouseholdConfig]) -> None:
    """ValueError unless all that households go by can be had here."""
    for kind, name in plugins_of(households):
        CATALOGS[kind][name]


def origins(households: Iterable[HouseholdConfig]) -> Iterator[str]:
    """What tells the plug-ins that households go by from others of these names."""
    for kind, name in plugins_of(households):
        origin = CATALOGS[kind].origin(name)
        if origin is not None:
            yield f"{kind} {name} {origin}"
