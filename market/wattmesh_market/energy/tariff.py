"""A utility's time-of-use tariff. Prices are millionths of the currency per kWh."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import time
from typing import ClassVar

from wattmesh_market.energy.slots import time_of_day
from wattmesh_market.units import require_amounts


@dataclass(frozen=True)
class TariffPeriod:
    """A price from `start` to `end` local grid time, every day; a period may run past midnight."""

    __pydantic_config__: ClassVar = {"extra": "forbid"}

    start: time
    end: time
    price_micro_per_kwh: int

    def __post_init__(self) -> None:
        require_amounts(price_micro_per_kwh=self.price_micro_per_kwh)


@dataclass(frozen=True)
class Tariff:
    """The first matching period's price, else the base price.

    `grid_fee_micro_per_kwh` comes on top of it; `local_grid_fee_micro_per_kwh` is for what households sell each other.
    """

    __pydantic_config__: ClassVar = {"extra": "forbid"}

    price_micro_per_kwh: int
    feed_in_micro_per_kwh: int
    grid_fee_micro_per_kwh: int = 0
    local_grid_fee_micro_per_kwh: int = 0
    periods: tuple[TariffPeriod, ...] = ()

    def __post_init__(self) -> None:
        require_amounts(
            price_micro_per_kwh=self.price_micro_per_kwh,
            feed_in_micro_per_kwh=self.feed_in_micro_per_kwh,
            grid_fee_micro_per_kwh=self.grid_fee_micro_per_kwh,
            local_grid_fee_micro_per_kwh=self.local_grid_fee_micro_per_kwh,
        )


def price_micro_per_kwh(tariff: Tariff, slot: int, utc_offset_s: int) -> int:
    """What the utility asks for a kWh in a slot, without grid fee, by local time of day at the slot's start."""
    if not tariff.periods:
        return tariff.price_micro_per_kwh
    now = time_of_day(slot, utc_offset_s)
    for period in tariff.periods:
        inside = (
            period.start <= now < period.end if period.start < period.end else now >= period.start or now < period.end
        )
        if inside:
            return period.price_micro_per_kwh
    return tariff.price_micro_per_kwh


def all_in_micro_per_kwh(tariff: Tariff, slot: int, utc_offset_s: int) -> int:
    """What a kWh of the utility costs a household in a slot: price and grid fee."""
    return price_micro_per_kwh(tariff, slot, utc_offset_s) + tariff.grid_fee_micro_per_kwh
