"""Checks of readings that are held for a person: none is booked before, and what is billed then is what was decided."""

from __future__ import annotations

from collections.abc import Iterator

from wattmesh_cli.audit.findings import Finding
from wattmesh_cli.audit.rows import Rows
from wattmesh_cli.books import Held, Reading, Reported


def check_held(rows: Rows) -> Iterator[Finding]:
    """Check all that utilities hold, or have held, and all that households have been told of that."""
    for (utility, slot, household), held in rows.held.items():
        reported = rows.reported.get((utility, slot), {}).get(household)
        if problem := _billed(held, reported):
            yield Finding("held-bill", utility, slot, None, f"{household}: {problem}")
        reading = rows.readings.get(household, {}).get(slot)
        if reading is not None and (problem := _known(held, reported, reading)):
            yield Finding("held-reading", household, slot, None, problem)
    by_household = {(household, slot) for _, slot, household in rows.held}
    deleted = max((rows.parties[name].first_slot for name in rows.carried if rows.is_kind(name, "utility")), default=0)
    for household, readings in rows.readings.items():
        for slot, reading in readings.items():
            told = reading.state == "held" or reading.estimated_wh is not None
            if told and (household, slot) not in by_household and slot >= deleted:
                what = "is held" if reading.state == "held" else "was billed by an estimate"
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
    if not min(0, held.net_wh) <= reported.net_wh <= max(0, held.net_wh):
        return f"{reported.net_wh:+d} Wh were estimated, but only {held.net_wh:+d} Wh reported"
    return ""


def _known(held: Held, reported: Reported | None, reading: Reading) -> str:
    """What is wrong with the household's side of a reading that is or was held; empty: nothing."""
    metered_wh = reading.imported_wh - reading.exported_wh
    if held.state == "replaced":
        return ""  # whether it is the one that it says is checked with all that was reported
    if metered_wh != held.net_wh:
        return f"reading has {metered_wh:+d} Wh, but the utility holds one of {held.net_wh:+d} Wh"
    if reading.state != "booked":
        return ""
    if held.state == "held":
        return "reading is booked, but the utility holds it"
    if (held.state == "estimated") != (reading.estimated_wh is not None):
        return f"reading was {held.state} by the utility; the household has it {_booked(reading)}"
    if reported is not None and reading.net_wh != reported.net_wh:
        return f"reading is booked with {reading.net_wh:+d} Wh, but {reported.net_wh:+d} Wh were billed"
    return ""


def _booked(reading: Reading) -> str:
    return "as it was metered" if reading.estimated_wh is None else "by an estimate"
