"""All KPIs together."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from wattmesh_cli.kpi.energy import EnergyKpis
from wattmesh_cli.kpi.fairness import Fairness
from wattmesh_cli.kpi.money import LocalTrade, MoneyKpis, Stored
from wattmesh_cli.kpi.possible import Possible
from wattmesh_cli.kpi.protocol import ProtocolKpis
from wattmesh_cli.kpi.utilities import UtilityKpis

COMMUNITY = "community"
"""Stands for all households together; no subscriber id, as it has no dot."""


@dataclass(frozen=True)
class PartyKpis:
    """A household's, or with COMMUNITY as `party` the community's; `alone` is with each household's utility only."""

    party: str
    energy: EnergyKpis
    alone: EnergyKpis
    money: MoneyKpis


@dataclass(frozen=True)
class Kpis:
    """Households by id, the community of them, and what only the community has.

    The utilities stand outside the community; their bill is what they paid, so it is negative where they earn.
    `unbooked_readings` > 0: the money of so many metered slots is not booked yet, so bills are of what is booked.
    """

    households: tuple[PartyKpis, ...]
    community: PartyKpis
    utilities_bill_micro: int
    local_trade: LocalTrade
    against_no_market: Fairness
    against_utility_only: Mapping[Stored, Fairness]
    protocol: ProtocolKpis
    unbooked_readings: int
    utilities: tuple[UtilityKpis, ...] = ()
    """What each utility's customers drew together, where the manifests are known."""
    possible: Possible | None = None
    """How near the street came to its optimum, where that was asked for and all is booked."""
