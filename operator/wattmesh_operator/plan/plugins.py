"""The strategies, pricings and forecasts that a plan's households go by, and where those come from."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from wattmesh_market.energy.forecast import forecasts
from wattmesh_market.plugins import Catalog, Kind
from wattmesh_market.pricing import pricings
from wattmesh_market.strategies import strategies
from wattmesh_operator.plan.pods import GatewayPlan

CATALOGS: Mapping[Kind, Catalog[Any]] = {
    Kind.STRATEGY: strategies,
    Kind.PRICING: pricings,
    Kind.FORECAST: forecasts,
}


def plugins_named(plan: GatewayPlan) -> set[tuple[Kind, str]]:
    """What households go by, by kind and name, the built-in ones, too."""
    found: set[tuple[Kind, str]] = set()
    for pod in plan.pods:
        for household in pod.households:
            found.add((Kind.STRATEGY, household.strategy))
            found.add((Kind.PRICING, household.trading.pricing))
            found.add((Kind.FORECAST, household.forecast))
    return found


def require_installed(plan: GatewayPlan) -> None:
    """ValueError unless all that a plan's households go by can be had here."""
    for kind, name in sorted(plugins_named(plan)):
        CATALOGS[kind][name]


def origins(plan: GatewayPlan) -> Iterator[str]:
    """What tells the plug-ins that a plan's households go by from others of these names, in a fixed order."""
    for kind, name in sorted(plugins_named(plan)):
        origin = CATALOGS[kind].origin(name)
        if origin is not None:
            yield f"{kind} {name} {origin}"
