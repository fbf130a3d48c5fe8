"""What the manifests say of a household and its books do not: its battery's limits, its utility's tariff. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from wattmesh_cli.books import BooksError
from wattmesh_cli.kpi import Prices
from wattmesh_market.energy.battery import NO_BATTERY, Battery
from wattmesh_market.energy.tariff import Tariff, all_in_micro_per_kwh
from wattmesh_market.parties.config import HouseholdConfig
from wattmesh_operator.plan import GatewayPlan


@dataclass(frozen=True)
class Terms:
    """Households and utilities' tariffs by subscriber id; `utc_offset_s` is that of the street's local time, which
    tariff periods go by.
    """

    households: Mapping[str, HouseholdConfig]
    tariffs: Mapping[str, Tariff]
    utc_offset_s: int

    @property
    def prices(self) -> Prices:
        """What each household's utility asks, grid fee included, and pays per kWh, that grid fee, and what batteries
        give back.
        """
        return Prices(self._tariff_micro, self._feed_in_micro, self._grid_fee_micro, self._discharge_ppm)

    def battery(self, household: str) -> Battery:
        """A household's battery."""
        return self.households[household].battery or NO_BATTERY

    def cheapest_micro(self, household: str, slot: int) -> int:
        """The least that a utility on the household's feeder asks for a kWh, grid fee included."""
        config = self.households[household]
        near = [config.backstop.tariff, *(self.tariffs[utility] for utility in config.utility_ids)]
        return min(all_in_micro_per_kwh(tariff, slot, self.utc_offset_s) for tariff in near)

    def local_fee_micro(self, household: str, slot: int) -> int:  # noqa: ARG002 - one fee for all slots
        """The grid fee on a kWh that the household sells to another."""
        return self.households[household].backstop.tariff.local_grid_fee_micro_per_kwh

    def check(self, households: Iterable[str]) -> None:
        """Raise BooksError when a household is in none of the manifests."""
        missing = sorted(set(households) - self.households.keys())
        if missing:
            raise BooksError(f"the manifests do not have {', '.join(missing)}; give those that this street ran with")

    def _tariff_micro(self, household: str, slot: int) -> int:
        return all_in_micro_per_kwh(self.households[household].backstop.tariff, slot, self.utc_offset_s)

    def _feed_in_micro(self, household: str, slot: int) -> int:  # noqa: ARG002 - one price for all slots
        return self.households[household].backstop.tariff.feed_in_micro_per_kwh

    def _grid_fee_micro(self, household: str, slot: int) -> int:  # noqa: ARG002 - one fee for all slots
        return self.households[household].backstop.tariff.grid_fee_micro_per_kwh

    def _discharge_ppm(self, household: str) -> int:
        return self.battery(household).discharge_efficiency_ppm


def terms_of(plan: GatewayPlan) -> Terms:
    """The terms of all households of a street."""
    households = {household.subscriber_id: household for pod in plan.pods for household in pod.households}
    offset = plan.resource.spec.clock.start.utcoffset()
    tariffs = {utility.subscriber_id: utility.tariff for pod in plan.pods for utility in pod.utilities}
    return Terms(households, tariffs, 0 if offset is None else int(offset.total_seconds()))
