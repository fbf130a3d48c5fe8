"""Meters that say what cannot be."""

from __future__ import annotations

from collections.abc import Container

from wattmesh_market.energy.profiles import Profile, SlotProfile


class BrokenMeter:
    """A meter that says a load of so much for some slots, and else what its profile says."""

    def __init__(self, profile: Profile, slots: Container[int], outlier_wh: int) -> None:
        self._profile = profile
        self._slots = slots
        self._outlier_wh = outlier_wh

    def actual(self, slot: int) -> SlotProfile:
        """See Profile."""
        return SlotProfile(0, self._outlier_wh) if slot in self._slots else self._profile.actual(slot)

    def forecast(self, slot: int) -> SlotProfile:
        """See Profile."""
        return self._profile.forecast(slot)
