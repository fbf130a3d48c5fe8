"""What is booked: readings of the meter and entries of the ledger."""

from __future__ import annotations

from enum import StrEnum
from typing import NamedTuple

from wattmesh_market.energy.battery import Metered
from wattmesh_market.energy.devices.flexible import DeviceReading


class ReadingState(StrEnum):
    """How far the backstop part of a reading is booked.

    OPEN while a purchase is not known to be delivered, FINAL when it is to be priced, HELD when the utility has said
    that a person looks at it first, BOOKED once it is priced.
    """

    OPEN = "open"
    FINAL = "final"
    HELD = "held"
    BOOKED = "booked"


class Reading(NamedTuple):
    """A metered slot. What is bought but not booked yet stands in `metered.imported_wh`.

    A household that plans notes what it thinks now (millionths of the currency per kWh): what its neighbours' energy
    costs at that time of day, without grid fee, and what stored energy is worth.

    `estimated_wh` is the net import that was billed in place of what was metered; None: what was metered. `devices` has
    what each device took of the load whose window the slot lies in.
    """

    slot: int
    metered: Metered
    capacity_wh: int
    state: ReadingState
    local_micro: int = 0
    stored_micro: int = 0
    estimated_wh: int | None = None
    devices: tuple[DeviceReading, ...] = ()


class EntryKind(StrEnum):
    """What a booking is for."""

    TRADE = "trade"
    BACKSTOP = "backstop"
    SHARED = "shared"
    GRID_FEE = "grid_fee"


class LedgerEntry(NamedTuple):
    """A booking: energy received (Wh) and money earned (millionths of the currency) are positive."""

    kind: EntryKind
    slot: int
    counterparty: str
    reference: str
    energy_wh: int
    amount_micro: int


class ReportState(StrEnum):
    """How a reported reading was priced: not yet, in its slot's closing, or by itself, unshared."""

    WAITING = "waiting"
    CLOSED = "closed"
    ALONE = "alone"


class Reported(NamedTuple):
    """What a utility's customer reported first of a slot, and in which transaction; what it was billed for.

    `provisional` until the last word on it has come, which may lead to a correction in the ledger; a person's word may,
    too.
    """

    slot: int
    household: str
    transaction_id: str
    imported_wh: int
    exported_wh: int
    sold_wh: int
    provisional: bool
    state: ReportState

    @property
    def net_wh(self) -> int:
        """Net import; export is negative."""
        return self.imported_wh - self.exported_wh


class HeldState(StrEnum):
    """What became of a held reading: a person has not decided, has accepted it, has had it estimated, or has said what
    it should have been; or its household has replaced it by one that need not be held.
    """

    HELD = "held"
    ACCEPTED = "accepted"
    ESTIMATED = "estimated"
    CORRECTED = "corrected"
    REPLACED = "replaced"


class Held(NamedTuple):
    """A customer's reading that a utility holds for a person: its last word, in that transaction. Not booked before."""

    slot: int
    household: str
    transaction_id: str
    imported_wh: int
    exported_wh: int
    sold_wh: int
    state: HeldState

    @property
    def net_wh(self) -> int:
        """Net import; export is negative."""
        return self.imported_wh - self.exported_wh


class Closing(NamedTuple):
    """How a utility shared a slot among the readings that were there, in state CLOSED: its terms, millionths per kWh.

    `price_micro_per_kwh` is None where nothing could be shared without loss. `seed` draws the lots.
    """

    slot: int
    key: str
    seed: int
    price_micro_per_kwh: int | None
    tariff_micro_per_kwh: int
    feed_in_micro_per_kwh: int
    local_fee_micro_per_kwh: int
