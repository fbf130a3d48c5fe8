"""What is booked: readings of the meter and entries of the ledger."""

from __future__ import annotations

from enum import StrEnum
from typing import NamedTuple

from wattmesh_market.energy.battery import Metered


class ReadingState(StrEnum):
    """How far the backstop part of a reading is booked.

    OPEN while a purchase is not known to be delivered, FINAL when it is to be reported, BOOKED once it is priced.
    """

    OPEN = "open"
    FINAL = "final"
    BOOKED = "booked"


class Reading(NamedTuple):
    """A metered slot. What is bought but not booked yet stands in `metered.imported_wh`."""

    slot: int
    metered: Metered
    capacity_wh: int
    state: ReadingState


class EntryKind(StrEnum):
    """What a booking is for."""

    TRADE = "trade"
    BACKSTOP = "backstop"
    GRID_FEE = "grid_fee"


class LedgerEntry(NamedTuple):
    """A booking: energy received (Wh) and money earned (millionths of the currency) are positive."""

    kind: EntryKind
    slot: int
    counterparty: str
    reference: str
    energy_wh: int
    amount_micro: int
