"""When things happen in a delivery slot.

Every moment is a part of the slot and follows from seed, party, slot and attempt alone: never from the speed of grid
time, the machine, or how households share pods. Where two moments are equal, the party whose id comes first acts first.
"""

from __future__ import annotations

from hashlib import blake2b

from wattmesh_market.energy.slots import SLOT_S, slot_of

PPM = 1_000_000
HOUSEHOLD_LOOKS_PPM = ((80_000, 240_000), (600_000, 680_000))
"""Between which parts of a slot a household looks whether to buy for the next one, for each attempt."""
UTILITY_LOOKS_PPM = ((450_000, 500_000), (700_000, 750_000))
"""The same for a utility with demand response: after the households have bought, then after they looked again."""
WINDOW_PPM = 120_000
"""How long after its search a buyer chooses among the offers."""
REPORT_PPM = (200_000, 500_000)
"""Between which parts of the following slot a household reports its reading to the utility."""
AHEAD_S = 8 * SLOT_S
"""How many slots one order covers at most, from the one that is traded on."""
CLOSED_AFTER_S = 3 * SLOT_S
"""So long after a slot's start, with the third slot after it, a utility shares what was reported of it."""
PUBLISHED_S = 2 * AHEAD_S
"""For how many slots a seller publishes what it has: more than anybody asks for, so that they may pass."""
QUIET_PPM = ((240_000, 440_000), (500_000, 590_000), (750_000, 1_000_000))
"""Between which parts of a slot nobody looks for offers: what changes then is published at the end, if not later."""
_EARLY_PPM = 1_000
"""So much earlier than its moment a reminder may be heard."""
BILLED_EVERY_S = 4 * SLOT_S
"""For how much of grid time a household's bills are told in one message: by the hour."""
PAID_WITHIN_S = 3 * SLOT_S
"""How long after its slot's start a delivery may wait to be paid with later ones of its order."""
SURELY_REPORTED_S = 2 * SLOT_S
"""What was delivered so long before the current slot has been reported by everybody who could."""

READ_WITHIN_S = 30 * 86_400
"""So long after its slot a reading is taken by the utility; for that long a seller can say what became of an order."""


def look_ppm(looks: tuple[tuple[int, int], ...], seed: int, party: str, slot: int, attempt: int) -> int:
    """The part of the current slot at which `party` looks whether to buy for `slot`."""
    return _between(looks[attempt], seed, party, slot, f"look-{attempt}")


def report_ppm(seed: int, party: str, slot: int) -> int:
    """The part of the slot after `slot` at which `party` reports its reading of `slot`.

    At the same part of the slot after that it reports whatever is still in doubt, before the slot is closed.
    """
    return _between(REPORT_PPM, seed, party, slot, "report")


def billed_s(slot: int, end: int | None) -> int:
    """When (grid time) the bill of a slot that is shared is told: with those of its hour, when the last slot of that is
    closed. None of them is traded from `end` on, if that is given.
    """
    until = slot - slot % BILLED_EVERY_S + BILLED_EVERY_S
    if end is not None:
        until = max(slot + SLOT_S, min(until, end))
    return until - SLOT_S + CLOSED_AFTER_S


def moment_s(slot: int, part_ppm: int) -> float:
    """Grid time (unix seconds) of a part of a slot."""
    return slot + part_ppm * SLOT_S / PPM


def quiet_until_s(now_s: float) -> float | None:
    """When (grid time) somebody looks for offers again; None where somebody may do so now."""
    slot = slot_of(now_s)
    part_ppm = (now_s - slot) * PPM / SLOT_S
    ends = [high for low, high in QUIET_PPM if low <= part_ppm < high - _EARLY_PPM]
    return moment_s(slot, ends[0]) if ends else None


def _between(bounds_ppm: tuple[int, int], seed: int, party: str, slot: int, what: str) -> int:
    low, high = bounds_ppm
    raw = blake2b(f"{seed}/{party}/{slot}/{what}".encode(), digest_size=8).digest()
    return low + int.from_bytes(raw, "big") % (high - low)
