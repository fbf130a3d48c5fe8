"""What a household expects of a slot beforehand. Forecasts are picked by name; `profile` is the default.

To add one, write a class with `expected` and name it in `FORECASTS`: resources may then name it (`make crds chart`).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Protocol

from wattmesh_market.energy.profiles import Profile, SlotProfile
from wattmesh_market.energy.slots import DAY_S

Metered = Callable[[int], SlotProfile | None]
"""What was metered in a slot; None when nothing was, or not yet."""


class Forecast(Protocol):
    """PV and load to expect."""

    def expected(self, slot: int) -> SlotProfile:
        """What to expect of a slot that was not metered yet."""
        ...


@dataclass(frozen=True)
class ProfileForecast:
    """What the profile says to expect: the built-in shapes without noise, or the values of its file."""

    profile: Profile
    metered: Metered

    def expected(self, slot: int) -> SlotProfile:
        """The profile's own forecast."""
        return self.profile.forecast(slot)


@dataclass(frozen=True)
class PersistenceForecast:
    """Tomorrow will be as today: the usual yardstick that a forecast has to beat.

    R. J. Hyndman, G. Athanasopoulos: Forecasting: Principles and Practice (3rd ed., 2021), 5.2: the seasonal naïve
    method, with a day as season.
    """

    profile: Profile
    metered: Metered

    def expected(self, slot: int) -> SlotProfile:
        """What was metered in the same slot of the day before; what the profile expects if nothing was."""
        return self.metered(slot - DAY_S) or self.profile.forecast(slot)


@dataclass(frozen=True)
class PerfectForecast:
    """What will be metered: how well a household would do if it knew."""

    profile: Profile
    metered: Metered

    def expected(self, slot: int) -> SlotProfile:
        """What the meter is going to say."""
        return self.profile.actual(slot)


FORECASTS: Mapping[str, Callable[[Profile, Metered], Forecast]] = {
    "profile": ProfileForecast,
    "persistence": PersistenceForecast,
    "perfect": PerfectForecast,
}


def forecast_named(name: str, profile: Profile, metered: Metered) -> Forecast:
    """The forecast of that name; ValueError lists the names there are."""
    if name not in FORECASTS:
        raise ValueError(f"no forecast {name!r}; there are: {', '.join(sorted(FORECASTS))}")
    return FORECASTS[name](profile, metered)
