"""Readings that are not booked: those that wait for their slot's closing as all do, and those that are overdue."""

from __future__ import annotations

from collections.abc import Sequence

from wattmesh_cli.audit.findings import AuditResult, Unbooked
from wattmesh_cli.audit.rows import Rows
from wattmesh_cli.books import SLOT_S, Book
from wattmesh_cli.durations import duration_text

_BOOKED_WITHIN_S = 7 * SLOT_S
"""After the end of its slot. Bills are told by the hour: when its last slot is closed, so up to five slots later; what
was not heard then is asked for in the next."""


def count_unbooked(rows: Rows, books: Sequence[Book]) -> Unbooked:
    """Count what is not booked, and what of it is held for a person. How late it is, is told by the newest of its own
    book and its utilities' slots: other markets in the same books may be at other grid times.
    """
    now = {one.party: max(other.next_slot for other in book.parties) for book in books for one in book.parties}
    for (utility, _), reported in rows.reported.items():
        for household in reported.keys() & now.keys():
            now[household] = max(now[household], rows.parties[utility].next_slot)
    waiting = [
        (party, reading)
        for party, readings in rows.readings.items()
        for reading in readings.values()
        if reading.state != "booked"
    ]
    ages_s = [now[party] - reading.slot - SLOT_S for party, reading in waiting if reading.state != "held"]
    overdue_s = [age_s for age_s in ages_s if age_s >= _BOOKED_WITHIN_S]
    return Unbooked(len(waiting), len(overdue_s), max(overdue_s, default=0), len(waiting) - len(ages_s))


def overdue_text(result: AuditResult) -> str:
    """How many readings are overdue, and how old the oldest is."""
    unbooked = result.unbooked
    share = 100 * unbooked.overdue // max(1, result.readings_checked)
    return (
        f"{unbooked.overdue} of {result.readings_checked} readings ({share} %) are overdue: the oldest is not booked "
        f"{duration_text(unbooked.oldest_s)} after its slot"
    )
