"""What anybody may see of a street: sums over all of its households, slot by slot. Pure.

A slot is told once, when the pods that answer have booked it, and never again otherwise: who compared two sums of a
slot would see what came between them, perhaps one household's. Of fewer than `LEAST_SUMMED` households nothing is told.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from wattmesh_common.pod_pages import HistoryRow
from wattmesh_gateway.live.history import add_rows
from wattmesh_market.energy.slots import SLOT_S

LEAST_SUMMED = 5
MOST_SLOTS = 96
LATE_S = 12 * SLOT_S
"""Pods that are behind the first by more are not waited for: a reading that is held may stay unbooked for days."""


class PublicSums:
    """The newest `MOST_SLOTS` slots that were told, oldest first, as `rows`."""

    def __init__(self) -> None:
        self.rows: list[HistoryRow] = []
        self._decided = 0

    def wants(self, booked_until: Mapping[str, int | None]) -> int | None:
        """Until which slot there is something new, by the slot until which each pod has booked all; None if nothing is.

        Pods that have not told all that they had (None) are waited for.
        """
        told = [until for until in booked_until.values() if until is not None]
        if not told or len(told) < len(booked_until):
            return None
        until = min(slot for slot in told if slot >= max(told) - LATE_S)
        return until if until > self._decided else None

    def take(self, by_feeder: Iterable[Iterable[HistoryRow]], until: int) -> None:
        """Take the slots before `until` from each feeder's rows."""
        sums: dict[int, HistoryRow] = {}
        for rows in by_feeder:
            for row in rows:
                if self._decided <= row.slot < until:
                    sums[row.slot] = add_rows(row, sums.get(row.slot))
        found = [sums[slot] for slot in sorted(sums) if sums[slot].households >= LEAST_SUMMED]
        self.rows = [*self.rows, *found][-MOST_SLOTS:]
        self._decided = until
