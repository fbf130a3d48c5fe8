"""Profiles by slot, to be read from a file: the day of `MARKET`, whose slots repeat a few given ones."""

from __future__ import annotations

from datetime import UTC, datetime

from wattmesh_market.energy.slots import SLOT_S, SLOTS_PER_DAY

START = int(datetime(2026, 6, 21, tzinfo=UTC).timestamp())
Meter = tuple[tuple[int, int], ...]
"""PV and load (Wh) in each of some slots, which repeat."""


def metered(meter: Meter, slot: int) -> tuple[int, int]:
    """PV and load in a slot."""
    return meter[(slot - START) // SLOT_S % len(meter)]


def profile_csv(meter: Meter) -> str:
    """The text of the file."""
    slots = range(START, START + SLOTS_PER_DAY * SLOT_S, SLOT_S)
    lines = [
        f"{datetime.fromtimestamp(slot, UTC).isoformat()},{pv},{load}"
        for slot in slots
        for pv, load in [metered(meter, slot)]
    ]
    return "\n".join(["slot,pv_wh,load_wh", *lines, ""])
