"""What panels give, by pvlib: a clear sky or a weather file, onto the roof's plane, through panels and inverter."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from functools import lru_cache

import numpy as np
import pandas as pd
from pvlib import inverter, irradiance, pvsystem, temperature
from pvlib.location import Location

from wattmesh_cli.field.rounding import Series, whole_wh
from wattmesh_cli.field.weather import FIELDS, Weather
from wattmesh_market.energy.profiles import Pv

_GAMMA_PER_K = -0.004
"""Power of silicon cells by temperature, against 25 °C."""
_INVERTER_EFFICIENCY = 0.96
_MILD_AIR = {"temp_air": 20.0, "wind_speed": 1.0}
"""Air under a clear sky of which nothing is known; ModelChain of pvlib takes the same."""


def pv_wh(roof: Pv, slots: Sequence[datetime], weather: Weather | None, altitude_m: float | None) -> list[int]:
    """Energy of a roof in each slot, by the slots' starts (with zone), in whole Wh with what is left over carried.

    Without `weather` the sky is clear: Ineichen and Perez (2002) with the monthly Linke turbidity of pvlib's table.
    `altitude_m` is the site's; None takes it from pvlib's table. ValueError if the weather leaves a slot out.
    """
    rated = _of_rated_power(
        roof.latitude, roof.longitude, roof.tilt_degrees, roof.azimuth_degrees, tuple(slots), weather, altitude_m
    )
    return whole_wh(rated * (roof.peak_w / 4))


@lru_cache(maxsize=16)
def _of_rated_power(
    latitude: float,
    longitude: float,
    tilt_degrees: float,
    azimuth_degrees: float,
    slots: tuple[datetime, ...],
    weather: Weather | None,
    altitude_m: float | None,
) -> Series:
    """Power against peak power, 0 to 1, at the sun of each slot's middle.

    Light on the plane by Hay and Davies, ground with an albedo of 0.25; cells as warm as Faiman says; panels,
    losses (14 %) and inverter by PVWatts (Dobos, 2014), with an inverter of the panels' peak power.
    """
    site = Location(latitude, longitude, altitude=altitude_m)
    # In UTC: zones differ between the slots' and pvlib's tables.
    middles = pd.DatetimeIndex([slot + timedelta(seconds=450) for slot in slots]).tz_convert("UTC")
    sun = site.get_solarposition(middles)
    if weather is None:
        sky = site.get_clearsky(middles).assign(**_MILD_AIR)
    else:
        sky = pd.DataFrame(weather.during(slots), index=middles, columns=list(FIELDS))
    light = irradiance.get_total_irradiance(
        tilt_degrees,
        azimuth_degrees,
        sun["apparent_zenith"],
        sun["azimuth"],
        sky["dni"],
        sky["ghi"],
        sky["dhi"],
        dni_extra=irradiance.get_extra_radiation(middles),
        model="haydavies",
    )["poa_global"]
    cell_celsius = temperature.faiman(light, sky["temp_air"], sky["wind_speed"])
    panels = pvsystem.pvwatts_dc(light, cell_celsius, 1, _GAMMA_PER_K) * (1 - pvsystem.pvwatts_losses() / 100)
    power = inverter.pvwatts(panels, 1 / _INVERTER_EFFICIENCY, _INVERTER_EFFICIENCY)
    # An hour's mean stands for all its slots, also for those before sunrise and after sunset.
    by_day = np.where(sun["apparent_elevation"] > 0, np.nan_to_num(power.to_numpy(dtype=np.float64)), 0.0)
    return np.clip(by_day, 0.0, 1.0)
