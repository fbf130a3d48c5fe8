"""Checks of readings that are held for a person: none is booked before, and what is billed then is what was decided."""

from __future__ import annotations

from collections.abc import Iterator
from fractions import Fraction
from itertools import pairwise
from math import ceil

from wattmesh_cli.audit.findings import Finding
from wattmesh_cli.audit.rows import Rows
from wattmesh_cli.books import Held, Reading, Reported

BY_A_PERSON = ("estimated", "corrected")
"""States of what is billed by another reading than the meter's."""


def check_held(rows: Rows) -> Iterator[Finding]:
    """Check all that utilities hold, or have held, and all that households have been told of that."""
    for (utility, slot, household), held in rows.held.items():
        reported = rows.reported.get((utility, slot), {}).get(household)
        problem = _billed(held, reported)
        if not problem and reported is not None:
            problem = _corrected(held, reported, rows)
        if problem:
            yield Finding("held-bill", utility, slot, None, f"{household}: {problem}")
        reading = rows.readings.get(household, {}).get(slot)
        known_wh = None if reported is None else rows.known_wh(reported)
        if reading is not None and (problem := _known(held, known_wh, reading)):
            yield Finding("held-reading", household, slot, None, problem)
    by_household = {(household, slot) for _, slot, household in rows.held}
    deleted = max((rows.parties[name].first_slot for name in rows.carried if rows.is_kind(name, "utility")), default=0)
    for household, readings in rows.readings.items():
        for slot, reading in readings.items():
            told = reading.state == "held" or reading.estimated_wh is not None
            if told and (household, slot) not in by_household and slot >= deleted:
                what = "is held" if reading.state == "held" else "was billed by another than the meter's"
                yield Finding("held-reading", household, slot, None, f"reading {what}, but no utility holds or held it")


def _billed(held: Held, reported: Reported | None) -> str:
    """What is wrong with what a utility billed of what it holds; empty: nothing."""
    if held.state == "held":
        return "" if reported is None else "its reading is held, and priced nevertheless"
    if held.state == "replaced":
        return ""
    if reported is None:
        return f"its reading was {held.state}, but is not priced"
    if held.state == "accepted" and reported.net_wh != held.net_wh:
        return f"{held.net_wh:+d} Wh were accepted, but {reported.net_wh:+d} Wh billed"
    if held.state == "estimated" and not min(0, held.net_wh) <= reported.net_wh <= max(0, held.net_wh):
        return f"{reported.net_wh:+d} Wh were estimated, but only {held.net_wh:+d} Wh reported"
    return ""


def _corrected(held: Held, reported: Reported, rows: Rows) -> str:
    """What is wrong with the corrections of a reading that is or was held; empty: nothing."""
    key = (held.party, held.slot, held.household)
    numbers = sorted(rows.corrections.get(key, {}))
    if held.state in ("held", "accepted", "estimated") and numbers:
        return f"its reading was {held.state}, but is corrected"
    if numbers != list(range(1, len(numbers) + 1)):
        return f"it has the corrections {', '.join(map(str, numbers))}"
    if held.state != "corrected":
        return ""
    supply = rows.supply.get(key)
    earned_micro, billed_wh = 0 if supply is None else supply.amount_micro, rows.billed_wh(reported)
    for number, (before_wh, after_wh) in zip(numbers, pairwise(billed_wh), strict=True):
        entry, less_wh = rows.corrections[key][number], abs(before_wh) - abs(after_wh)
        # What was billed too much is repaid as it was billed, a fraction to the household's gain; the tariff by which
        # more is priced may have changed.
        if before_wh * after_wh >= 0 and less_wh > 0:
            due_micro = ceil(Fraction(earned_micro * less_wh, abs(before_wh)))
            if -entry.amount_micro != due_micro:
                return f"{-entry.amount_micro:+d} millionths were paid back; {due_micro:+d} were due"
        earned_micro += entry.amount_micro
    return ""


def _known(held: Held, billed_wh: int | None, reading: Reading) -> str:
    """What is wrong with the household's side of a reading that is or was held; empty: nothing.

    `billed_wh` is what it can know of what was billed.
    """
    metered_wh = reading.imported_wh - reading.exported_wh
    if held.state == "replaced":
        return ""  # whether it is the one that it says is checked with all that was reported
    if metered_wh != held.net_wh:
        return f"reading has {metered_wh:+d} Wh, but the utility holds one of {held.net_wh:+d} Wh"
    if reading.state != "booked":
        return ""
    if held.state == "held":
        return "reading is booked, but the utility holds it"
    if (held.state in BY_A_PERSON) != (reading.estimated_wh is not None):
        return f"reading was {held.state} by the utility; the household has it {_booked(reading)}"
    if billed_wh is not None and reading.net_wh != billed_wh:
        return f"reading is booked with {reading.net_wh:+d} Wh, but {billed_wh:+d} Wh were billed"
    return ""


def _booked(reading: Reading) -> str:
    return "as it was metered" if reading.estimated_wh is None else "by another"
