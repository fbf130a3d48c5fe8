"""What a runtime process is told at start: its clock, its gateway, its households and utilities.

The operator (or `wattmesh up`) writes this as JSON; the runtime reads it once. Energy is in Wh, power in W,
money in millionths of the currency (`micro`), efficiency in parts per million (`ppm`).
"""

from __future__ import annotations

from datetime import datetime, time
from pathlib import Path
from typing import Annotated, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

Wh = Annotated[int, Field(ge=0, le=10**12)]
Watt = Annotated[int, Field(ge=0, le=10**12)]
Micro = Annotated[int, Field(ge=0, le=10**12)]
EfficiencyPpm = Annotated[int, Field(gt=0, le=1_000_000)]
Name = Annotated[str, Field(pattern=r"^[a-z0-9]([-a-z0-9]*[a-z0-9])?$", max_length=63)]
SubscriberId = Annotated[str, Field(pattern=r"^[a-z0-9]([-a-z0-9.]*[a-z0-9])?$", max_length=253)]


class _Config(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class ClockConfig(_Config):
    """Grid time = `start` + (wall clock - `epoch`) x `speed`; no slot starting at or after `end` is traded."""

    start: datetime
    epoch: float = Field(description="unix seconds of the wall clock at which grid time was `start`")
    speed: float = Field(gt=0, le=100_000)
    end: datetime | None = None

    @model_validator(mode="after")
    def _zoned(self) -> Self:
        if self.start.tzinfo is None or (self.end is not None and self.end.tzinfo is None):
            raise ValueError("clock.start and clock.end need a time zone, for example 2026-06-21T06:00:00+02:00")
        return self


class GatewayConfig(_Config):
    """Where searches and look-ups go."""

    subscriber_id: SubscriberId
    url: str


class TariffPeriodConfig(_Config):
    """A price from `start` to `end` local grid time, every day; a period may run past midnight."""

    start: time
    end: time
    price_micro_per_kwh: Micro


class TariffConfig(_Config):
    """A utility's time-of-use tariff: the first matching period's price, else the base price.

    `grid_fee_micro_per_kwh` comes on top of it; `local_grid_fee_micro_per_kwh` is for what households sell each other.
    """

    price_micro_per_kwh: Micro
    feed_in_micro_per_kwh: Micro
    grid_fee_micro_per_kwh: Micro = 0
    local_grid_fee_micro_per_kwh: Micro = 0
    periods: tuple[TariffPeriodConfig, ...] = ()


class BatteryConfig(_Config):
    """Limits of a battery, powers measured at the terminals. Of what is stored, a share leaks each day."""

    capacity_wh: Wh
    initial_level_wh: Wh
    min_level_wh: Wh
    charge_power_w: Watt
    discharge_power_w: Watt
    charge_efficiency_ppm: EfficiencyPpm
    discharge_efficiency_ppm: EfficiencyPpm
    self_discharge_ppm_per_day: int = Field(default=0, ge=0, le=1_000_000)


class PvConfig(_Config):
    """A roof: peak power, where it stands, its slope and where it looks (degrees; azimuth from north over east)."""

    peak_w: Watt
    latitude: float = Field(ge=-66, le=66)
    longitude: float = Field(ge=-180, le=180)
    tilt_degrees: float = Field(default=0, ge=0, le=90)
    azimuth_degrees: float = Field(default=180, ge=0, le=360)


class LoadConfig(_Config):
    """A household's consumption: yearly energy, spread over the day by the built-in shape."""

    annual_wh: Wh


class HouseholdTradingConfig(_Config):
    """When and at what price a household trades. Levels are absolute, and 0 without a battery."""

    buy_below_wh: Wh
    buy_target_wh: Wh
    sell_above_wh: Wh
    pricing: str = "fixed"
    sell_price_micro_per_kwh: Micro | None = None
    max_buy_price_micro_per_kwh: Micro | None = None


class BackstopConfig(_Config):
    """The utility that supplies what the market did not, and its tariff."""

    utility_id: SubscriberId
    tariff: TariffConfig


class HouseholdConfig(_Config):
    """One household."""

    name: Name
    subscriber_id: SubscriberId
    feeder: Name
    seed: int
    battery: BatteryConfig | None = None
    pv: PvConfig | None = None
    load: LoadConfig | None = None
    profile_csv: Path | None = Field(default=None, description="CSV with slot, pv_wh and load_wh; replaces pv and load")
    trading: HouseholdTradingConfig
    backstop: BackstopConfig
    utility_ids: tuple[SubscriberId, ...] = Field(
        default=(), description="utilities on the feeder besides the backstop; sales to them bear no local grid fee"
    )
    forecast: str = "profile"
    strategy: str = "rules"


class DemandResponseConfig(_Config):
    """When a utility turns buyer: above `start_at_ppm` of its slot capacity, up to the price given."""

    start_at_ppm: int = Field(ge=0, le=1_000_000)
    max_price_micro_per_kwh: Micro


class UtilityConfig(_Config):
    """One utility."""

    name: Name
    subscriber_id: SubscriberId
    feeder: Name
    tariff: TariffConfig
    capacity_w: Watt
    demand_response: DemandResponseConfig | None = None
    strategy: str = "rules"


class RuntimeConfig(_Config):
    """Everything one runtime process (a pod) runs."""

    pod: Name
    domain: str
    currency: str = Field(pattern=r"^[A-Z]{3}$")
    gateway: GatewayConfig
    clock: ClockConfig
    registrar_keys: dict[str, str] = Field(
        default={}, description="key id to public key (base64) of whoever may ask a household to drain"
    )
    households: tuple[HouseholdConfig, ...] = ()
    utilities: tuple[UtilityConfig, ...] = ()
