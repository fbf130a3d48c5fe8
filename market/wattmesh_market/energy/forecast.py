"""What a household expects of a slot beforehand. Forecasts are picked by name; `profile` is the default.

A forecast is a class with `expected`. Those of `FORECASTS` are built in. A plug-in is such a class, in the group
`wattmesh.forecasts`: see `plugins`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Protocol

from wattmesh_market.energy.profiles import Profile, SlotProfile
from wattmesh_market.energy.slots import DAY_S, SLOT_S
from wattmesh_market.plugins import Catalog, Kind, Plugin
from wattmesh_market.plugins.watch import Nonsense, whole
from wattmesh_market.units import MAX_ENERGY_WH

Metered = Callable[[int], SlotProfile | None]
"""What was metered in a slot; None when nothing was, or not yet."""


class Seen:
    """What a household has metered, for its forecast: all of it, or what was there when something was planned.

    A plan that is made anew, as a start forgets it, must be the one that was made then.
    """

    def __init__(self, metered: Metered, end: Callable[[], int]) -> None:
        """`end` says when the newest slot ended that was metered."""
        self._metered = metered
        self._end = end
        self._until: int | None = None

    @property
    def end(self) -> int:
        """When the newest slot ended that can be looked at."""
        end = self._end()
        return end if self._until is None else min(end, self._until)

    def __call__(self, slot: int) -> SlotProfile | None:
        """What was metered in a slot; None when nothing was, or not yet."""
        return None if self._until is not None and slot >= self._until else self._metered(slot)

    @contextmanager
    def until(self, slot: int) -> Iterator[None]:
        """Look at no slot from that one on meanwhile."""
        before, self._until = self._until, slot
        try:
            yield
        finally:
            self._until = before


class Forecast(Protocol):
    """PV and load to expect."""

    def expected(self, slot: int) -> SlotProfile:
        """What to expect of a slot that was not metered yet."""
        ...


_SKY_SLOTS = 16
"""By how many slots before it the sky of the hours to come is judged."""
_SKY_LASTS_S = 12 * 3600
"""How long it is expected to stay: until the next night at most."""


@dataclass
class ProfileForecast:
    """What the profile says to expect, with as much of its sun in the hours to come as the last ones had of theirs.

    The persistence of the clear-sky index, the usual yardstick of short-term forecasts of the sun: R. H. Inman,
    H. T. C. Pedro, C. F. M. Coimbra: Solar forecasting methods for renewable energy integration. Progress in Energy and
    Combustion Science 39 (2013) 535-576. The slot itself counts as one more that is as the profile says, so that the
    first rays of a day say little about its noon.
    """

    profile: Profile
    seen: Seen
    _end: int = field(default=-1, init=False, repr=False, compare=False)
    _sky_wh: tuple[int, int] = field(default=(0, 0), init=False, repr=False, compare=False)

    def expected(self, slot: int) -> SlotProfile:
        """The profile's own forecast under the sky as it was of late."""
        average = self.profile.forecast(slot)
        pv_wh, load_wh = average
        if not pv_wh:
            return average
        end = self.seen.end
        if slot >= end + _SKY_LASTS_S:
            return average
        if end != self._end:
            self._end, self._sky_wh = end, self._sky(end)
        metered_wh, expected_wh = self._sky_wh
        return SlotProfile(pv_wh * (metered_wh + pv_wh) // (expected_wh + pv_wh), load_wh)

    def _sky(self, end: int) -> tuple[int, int]:
        """What the sun gave in the slots before `end`, and what the profile expected of it."""
        metered_wh = expected_wh = 0
        for slot in range(end - _SKY_SLOTS * SLOT_S, end, SLOT_S):
            pv_wh = self.profile.forecast(slot).pv_wh
            if pv_wh and (metered := self.seen(slot)) is not None:
                metered_wh += metered.pv_wh
                expected_wh += pv_wh
        return metered_wh, expected_wh


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


MakesForecast = Callable[[Profile, Seen], Forecast]
"""What makes a household's forecast of its profile and its meter: a class, or a function."""


Asks = Callable[[Plugin, int, Callable[[], SlotProfile]], SlotProfile | None]


@dataclass(frozen=True)
class Guarded:
    """A forecast from outside. `ask` asks a plug-in about a slot for an answer that was checked; None: it has none.

    Then the profile's own forecast holds, and who goes by it should not trade in that slot.
    """

    plugin: Plugin
    profile: Profile
    metered: Metered
    ask: Asks
    _made: list[Forecast] = field(default_factory=list, init=False, repr=False, compare=False)

    def expected(self, slot: int) -> SlotProfile:
        """What the plug-in expects, else the profile's own forecast."""
        found = self.known(slot)
        return self.profile.forecast(slot) if found is None else found

    def known(self, slot: int) -> SlotProfile | None:
        """What the plug-in expects; None where it does not say."""
        return self.ask(self.plugin, slot, lambda: self._checked(slot))

    def _checked(self, slot: int) -> SlotProfile:
        if not self._made:
            self._made.append(self.plugin.target(self.profile, self.metered))
        found = self._made[0].expected(slot)
        if not isinstance(found, tuple) or len(found) != 2:
            raise Nonsense(f"expected(slot) must be a SlotProfile, not {type(found).__name__}")
        return SlotProfile(*(whole(wh, "PV and load", 0, MAX_ENERGY_WH) for wh in found))


def _of_plugin(plugin: Plugin) -> Plugin:
    if not callable(plugin.target):
        raise ValueError(f"must be a class with expected(slot), not {type(plugin.target).__name__}")
    return plugin


FORECASTS: Mapping[str, MakesForecast] = {
    "profile": ProfileForecast,
    "persistence": PersistenceForecast,
    "perfect": PerfectForecast,
}
forecasts: Catalog[MakesForecast | Plugin] = Catalog(Kind.FORECAST, FORECASTS, _of_plugin)


def forecast_named(
    name: str,
    profile: Profile,
    seen: Seen,
    ask: Asks = lambda plugin, slot, answer: answer(),  # noqa: ARG005 - whatever it is about
) -> Forecast:
    """The forecast of that name; ValueError lists the names there are. `ask` is how a plug-in is asked: `Guarded`."""
    found = forecasts[name]
    return Guarded(found, profile, seen, ask) if isinstance(found, Plugin) else found(profile, seen)
