"""What a household or utility is made of: energy in Wh, power in W, money in millionths of the currency (`micro`)."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from wattmesh_market.energy.battery import Battery
from wattmesh_market.energy.devices.flexible import FlexibleLoad
from wattmesh_market.energy.profiles import Load, Pv, peak_load_w
from wattmesh_market.energy.tariff import Tariff
from wattmesh_market.ids import require_name, require_subscriber_id
from wattmesh_market.mechanisms.sharing import Sharing
from wattmesh_market.strategies import STRATEGIES
from wattmesh_market.units import require_amounts

CONNECTION_W = 30_000
"""Power of a household's connection where nothing else is said: 3 × 43 A at 230 V."""
RETENTION_DAYS = 3650
LEAST_RETENTION_DAYS = 35
"""Partners may come back to a contract or reading for 30 days."""


def require_retention(days: int) -> None:
    """ValueError unless books are kept for as long as partners may come back to them."""
    if days < LEAST_RETENTION_DAYS:
        raise ValueError(f"retention_days must be at least {LEAST_RETENTION_DAYS}")


def installed_w(
    pv: Iterable[Pv], load: Load | None, battery: Battery | None, devices: Iterable[FlexibleLoad] = ()
) -> int:
    """What all that is behind a meter can move in all, in W: all roofs' panels, appliances, and a battery both ways.

    No true reading is beyond it, with what others were sold and had to be imported in the same slot.
    """
    found = sum(roof.peak_w for roof in pv) + (peak_load_w(load) if load else 0)
    found += sum(device.power_w for device in devices)
    if battery:
        found += battery.charge_power_w * 1_000_000 // battery.charge_efficiency_ppm + 1 + battery.discharge_power_w
    return found


@dataclass(frozen=True)
class Trading:
    """When and at what price a household trades. Levels are absolute, and 0 without a battery."""

    __pydantic_config__: ClassVar = {"extra": "forbid"}

    buy_below_wh: int
    buy_target_wh: int
    sell_above_wh: int
    pricing: str = "fixed"
    sell_price_micro_per_kwh: int | None = None
    max_buy_price_micro_per_kwh: int | None = None

    def __post_init__(self) -> None:
        require_amounts(
            buy_below_wh=self.buy_below_wh,
            buy_target_wh=self.buy_target_wh,
            sell_above_wh=self.sell_above_wh,
            sell_price_micro_per_kwh=self.sell_price_micro_per_kwh,
            max_buy_price_micro_per_kwh=self.max_buy_price_micro_per_kwh,
        )


@dataclass(frozen=True)
class Backstop:
    """The utility that supplies what the market did not, its tariff, and whether it shares among its customers."""

    __pydantic_config__: ClassVar = {"extra": "forbid"}

    utility_id: str
    tariff: Tariff
    shares: bool = False

    def __post_init__(self) -> None:
        require_subscriber_id(self.utility_id)


@dataclass(frozen=True)
class HouseholdConfig:
    """One household. What its books have of more than `retention_days` ago (grid time) is deleted.

    `profile_csv` (columns slot, pv_wh, load_wh) replaces `pv`, its roofs, and `load`; what `devices` take, each with a
    name of its own, is on top of either. `utility_ids` are the utilities
    on the feeder besides the backstop; sales to them bear no local grid fee. Households with the same `weather_seed`
    are under the same clouds. What it sells in a slot stays within `connection_w`.
    """

    __pydantic_config__: ClassVar = {"extra": "forbid"}

    name: str
    subscriber_id: str
    feeder: str
    seed: int
    trading: Trading
    backstop: Backstop
    battery: Battery | None = None
    pv: tuple[Pv, ...] = ()
    load: Load | None = None
    profile_csv: Path | None = None
    utility_ids: tuple[str, ...] = ()
    forecast: str = "profile"
    strategy: str = "rules"
    weather_seed: int = 0
    connection_w: int = CONNECTION_W
    retention_days: int = RETENTION_DAYS
    devices: tuple[FlexibleLoad, ...] = ()

    def __post_init__(self) -> None:
        require_amounts(connection_w=self.connection_w)
        names = [device.name for device in self.devices]
        if len(set(names)) < len(names):
            raise ValueError(f"each device needs a name of its own, not {', '.join(names)}")
        if sum([device.store is not None for device in self.devices]) > 1:
            raise ValueError("of one car only can the house use the store")
        require_retention(self.retention_days)
        require_name(self.name)
        require_name(self.feeder)
        for subscriber_id in (self.subscriber_id, *self.utility_ids):
            require_subscriber_id(subscriber_id)

    @property
    def vehicle_wh(self) -> int:
        """What the house may use of a car's store."""
        return sum([device.store.capacity_wh for device in self.devices if device.store])

    @property
    def may_ever_sell(self) -> bool:
        """Whether it has anything that it could sell: a battery, or panels and more than rules.

        A strategy that is not built in need not be installed where this is asked.
        """
        panels, strategy = bool(self.pv) or self.profile_csv is not None, STRATEGIES.get(self.strategy)
        return self.battery is not None or (panels and (strategy is None or strategy.plans))

    @property
    def utilities(self) -> frozenset[str]:
        """The utilities it deals with: who supplies it, and the others on its feeder."""
        return frozenset((self.backstop.utility_id, *self.utility_ids))


@dataclass(frozen=True)
class DemandResponse:
    """When a utility turns buyer: above `start_at_ppm` of its slot capacity, up to the price given."""

    __pydantic_config__: ClassVar = {"extra": "forbid"}

    start_at_ppm: int
    max_price_micro_per_kwh: int

    def __post_init__(self) -> None:
        if not 0 <= self.start_at_ppm <= 1_000_000:
            raise ValueError("start_at_ppm must be from 0 to 1000000")
        require_amounts(max_price_micro_per_kwh=self.max_price_micro_per_kwh)


@dataclass(frozen=True)
class UtilityConfig:
    """One utility. What its books have of more than `retention_days` ago is deleted.

    `sharing` is how it nets its customers' imports and exports, None: not at all; `seed` draws lots.

    `connections` has what customers can import or export at most, in W, of all those whose name begins so (and has a
    number behind it); of any other it is `CONNECTION_W`. `installed` has what all that is installed there can move in
    all (`installed_w`), where that is known.
    """

    __pydantic_config__: ClassVar = {"extra": "forbid"}

    name: str
    subscriber_id: str
    feeder: str
    tariff: Tariff
    capacity_w: int
    demand_response: DemandResponse | None = None
    strategy: str = "rules"
    sharing: Sharing | None = None
    seed: int = 0
    connections: tuple[tuple[str, int], ...] = ()
    installed: tuple[tuple[str, int], ...] = ()
    retention_days: int = RETENTION_DAYS

    def __post_init__(self) -> None:
        require_retention(self.retention_days)
        require_name(self.name)
        require_name(self.feeder)
        require_subscriber_id(self.subscriber_id)
        require_amounts(capacity_w=self.capacity_w, **{f"connections.{name}": watt for name, watt in self.connections})
        require_amounts(**{f"installed.{name}": watt for name, watt in self.installed})
