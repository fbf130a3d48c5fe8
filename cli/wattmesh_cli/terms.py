"""What the manifests say of a household and its books do not: its battery's limits, its utility's tariff."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property, partial

from wattmesh_cli.alone import Devices
from wattmesh_cli.books import BooksError
from wattmesh_cli.kpi import Prices, Rows, Slots, UtilityKpis, utility_kpis
from wattmesh_cli.street_record import Version
from wattmesh_common.price_files import series_of
from wattmesh_market.energy.battery import NO_BATTERY, Battery
from wattmesh_market.energy.tariff import Rates, Tariff
from wattmesh_market.parties.config import HouseholdConfig, UtilityConfig
from wattmesh_market.strategies import strategy_named
from wattmesh_operator.plan import GatewayPlan


@dataclass(frozen=True)
class Terms:
    """Households by subscriber id, of each version of the manifests, oldest first, with the slot it holds from; and all
    utilities by subscriber id, as they were last.

    `utc_offset_s` is that of the street's local time, which tariff periods go by.
    """

    versions: Sequence[tuple[int, Mapping[str, HouseholdConfig]]]
    utilities: Mapping[str, UtilityConfig]
    utc_offset_s: int
    _read: dict[Tariff, Rates] = field(default_factory=dict, compare=False)

    @cached_property
    def households(self) -> Mapping[str, HouseholdConfig]:
        """All that there ever were, as they were last."""
        return {name: household for _, of_version in self.versions for name, household in of_version.items()}

    @property
    def prices(self) -> Prices:
        """What each household's utility asks, grid fee included, and pays per kWh, its grid fees, and what its battery
        gives back.
        """
        return Prices(
            self._tariff_micro, self._feed_in_micro, self._grid_fee_micro, self._local_fee_micro, self._discharge_ppm
        )

    def battery(self, household: str) -> Battery:
        """A household's battery."""
        return self.households[household].battery or NO_BATTERY

    def devices(self, household: str) -> Devices | None:
        """A household's devices, and the prices that it has; None where it has none."""
        of, prices = self.households[household], self.prices
        if not of.devices:
            return None
        return Devices(
            {device.name: device.limit_wh for device in of.devices},
            partial(prices.tariff_micro, household),
            partial(prices.feed_in_micro, household),
            strategy_named(of.strategy).plans,
            next((device.name for device in of.devices if device.store), None),
            of.vehicle_wh,
        )

    def cheapest_micro(self, household: str, slot: int) -> int:
        """The least that a utility on the household's feeder asks for a kWh, grid fee included."""
        others = self.households[household].utility_ids
        near = [self._tariff(household, slot), *(self.utilities[name].tariff for name in others)]
        return min(self._rates(tariff).all_in(slot) for tariff in near)

    def supply(self, rows: Rows, slots: Slots) -> tuple[UtilityKpis, ...]:
        """What the customers of each utility drew together, by its name."""
        customers: defaultdict[str, list[str]] = defaultdict(list)
        for name, household in self.households.items():
            customers[household.backstop.utility_id].append(name)
        return tuple(
            utility_kpis(rows, name, self.utilities[name].capacity_w, customers[name], slots)
            for name in rows.utilities
            if name in self.utilities
        )

    def check(self, households: Iterable[str]) -> None:
        """Raise BooksError when a household is in none of the manifests."""
        missing = sorted(set(households) - self.households.keys())
        if missing:
            raise BooksError(f"the manifests do not have {', '.join(missing)}; give those that this street ran with")

    def _tariff_micro(self, household: str, slot: int) -> int:
        return self._rates(self._tariff(household, slot)).all_in(slot)

    def _feed_in_micro(self, household: str, slot: int) -> int:
        return self._rates(self._tariff(household, slot)).feed_in(slot)

    def _grid_fee_micro(self, household: str, slot: int) -> int:
        return self._rates(self._tariff(household, slot)).grid_fee(slot)

    def _tariff(self, household: str, slot: int) -> Tariff:
        """The tariff in force in a slot; before the household's first version, and after its last, the next to it."""
        having = [version for version in self.versions if household in version[1]]
        in_force = [version for version in having if version[0] <= slot] or having[:1]
        return in_force[-1][1][household].backstop.tariff

    def _local_fee_micro(self, household: str, slot: int) -> int:
        return self._rates(self.households[household].backstop.tariff).local_grid_fee(slot)

    def _rates(self, tariff: Tariff) -> Rates:
        found = self._read.get(tariff)
        if found is None:
            try:
                found = self._read[tariff] = Rates(tariff, self.utc_offset_s, series_of(tariff))
            except (OSError, ValueError) as error:
                raise BooksError(f"the prices of this street cannot be read: {error}") from None
        return found

    def _discharge_ppm(self, household: str) -> int:
        return self.battery(household).discharge_efficiency_ppm


def terms_of(plan: GatewayPlan) -> Terms:
    """The terms of all households of a street that ran with one version of its manifests."""
    return terms_of_versions([Version(0, plan)])


def terms_of_versions(versions: Sequence[Version]) -> Terms:
    """The terms of all households of a street, from the versions of its manifests, oldest first."""
    households = [
        (one.since, {household.subscriber_id: household for pod in one.plan.pods for household in pod.households})
        for one in versions
    ]
    utilities = {
        utility.subscriber_id: utility for one in versions for pod in one.plan.pods for utility in pod.utilities
    }
    offset = versions[-1].plan.resource.spec.clock.start.utcoffset()
    return Terms(households, utilities, 0 if offset is None else int(offset.total_seconds()))
