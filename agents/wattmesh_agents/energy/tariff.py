"""A utility's time-of-use tariff."""

from __future__ import annotations

from wattmesh_agents.config import TariffConfig
from wattmesh_agents.energy.slots import time_of_day


def price_micro_per_kwh(tariff: TariffConfig, slot: int, utc_offset_s: int) -> int:
    """What the utility asks for a kWh in a slot, without grid fee, by local time of day at the slot's start."""
    now = time_of_day(slot, utc_offset_s)
    for period in tariff.periods:
        inside = (
            period.start <= now < period.end if period.start < period.end else now >= period.start or now < period.end
        )
        if inside:
            return period.price_micro_per_kwh
    return tariff.price_micro_per_kwh


def all_in_micro_per_kwh(tariff: TariffConfig, slot: int, utc_offset_s: int) -> int:
    """What a kWh of the utility costs a household in a slot: price and grid fee."""
    return price_micro_per_kwh(tariff, slot, utc_offset_s) + tariff.grid_fee_micro_per_kwh
