"""A party's meter and books in its database: who it is, roles, readings and ledger entries."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from dataclasses import dataclass

from wattmesh_market.energy.battery import Metered


@dataclass(frozen=True)
class PartyState:
    """Where a party stands: `level_wh` is stored at the start of `next_slot`, the first slot not metered yet."""

    level_wh: int
    next_slot: int
    buying: bool


@dataclass(frozen=True)
class Reading:
    """A metered slot and how far its backstop part is booked: `open`, `final`, `booked`."""

    slot: int
    metered: Metered
    state: str


@dataclass(frozen=True)
class LedgerEntry:
    """A booking of kind `trade`, `backstop` or `grid_fee`: energy received and money earned are positive."""

    kind: str
    slot: int
    counterparty: str
    reference: str
    energy_wh: int
    amount_micro: int


class MeterTable:
    """Reads and writes one party's state, roles, readings and ledger within the caller's transaction."""

    def __init__(self, connection: sqlite3.Connection, party: str) -> None:
        self._db = connection
        self._party = party

    def enrol(self, kind: str, capacity_wh: int, initial_level_wh: int, slot: int) -> None:
        """Enter the party at its first slot; later only a changed capacity is taken over."""
        self._db.execute(
            "INSERT INTO parties (party, kind, capacity_wh, initial_level_wh, level_wh, first_slot, next_slot) "
            "VALUES (?, ?, ?, ?, ?, ?, ?) ON CONFLICT (party) DO UPDATE SET capacity_wh = excluded.capacity_wh",
            (self._party, kind, capacity_wh, initial_level_wh, initial_level_wh, slot, slot),
        )

    def state(self) -> PartyState:
        """Where the party stands."""
        row = self._db.execute(
            "SELECT level_wh, next_slot, buying FROM parties WHERE party = ?", (self._party,)
        ).fetchone()
        return PartyState(row[0], row[1], bool(row[2]))

    def set_state(self, state: PartyState) -> None:
        """Move on."""
        self._db.execute(
            "UPDATE parties SET level_wh = ?, next_slot = ?, buying = ? WHERE party = ?",
            (state.level_wh, state.next_slot, state.buying, self._party),
        )

    def role(self, slot: int) -> str | None:
        """The role taken for a slot, if any."""
        row = self._db.execute("SELECT role FROM roles WHERE party = ? AND slot = ?", (self._party, slot)).fetchone()
        return None if row is None else str(row[0])

    def take_role(self, slot: int, role: str) -> None:
        """Take a role for a slot, once."""
        self._db.execute("INSERT INTO roles VALUES (?, ?, ?)", (self._party, slot, role))

    def add_reading(self, slot: int, metered: Metered, capacity_wh: int) -> None:
        """Write down a metered slot, once."""
        self._db.execute(
            "INSERT INTO readings VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, 'open')",
            (
                self._party,
                slot,
                metered.level_before_wh,
                metered.level_after_wh,
                capacity_wh,
                metered.pv_wh,
                metered.load_wh,
                metered.bought_wh,
                metered.sold_wh,
                metered.imported_wh,
                metered.exported_wh,
                metered.losses_wh,
            ),
        )

    def reading(self, slot: int) -> Reading | None:
        """The reading of a slot."""
        return next(iter(self._readings("slot = ?", slot)), None)

    def readings_after(self, slot: int, *, most: int) -> list[tuple[int, ...]]:
        """The newest `most` readings after a slot, oldest first.

        Each is slot, level after it, PV, load, bought, sold, imported, exported (Wh).
        """
        cursor = self._db.execute(
            "SELECT slot, level_after_wh, pv_wh, load_wh, bought_wh, sold_wh, imported_wh, exported_wh FROM readings "
            "WHERE party = ? AND slot > ? ORDER BY slot DESC LIMIT ?",
            (self._party, slot, most),
        )
        return cursor.fetchall()[::-1]

    def readings_in(self, state: str) -> list[Reading]:
        """All readings in a state, oldest first."""
        return self._readings("state = ?", state)

    def _readings(self, where: str, value: object) -> list[Reading]:
        cursor = self._db.execute(
            "SELECT slot, level_before_wh, level_after_wh, pv_wh, load_wh, bought_wh, sold_wh, imported_wh, "  # noqa: S608
            f"exported_wh, losses_wh, state FROM readings WHERE party = ? AND {where} ORDER BY slot",
            (self._party, value),
        )
        return [Reading(row[0], Metered(*row[1:10]), row[10]) for row in cursor]

    def move_import_to_bought(self, slot: int, energy_wh: int) -> None:
        """A purchase is known to be delivered: what stood as import was bought."""
        self._db.execute(
            "UPDATE readings SET bought_wh = bought_wh + ?, imported_wh = imported_wh - ? WHERE party = ? AND slot = ?",
            (energy_wh, energy_wh, self._party, slot),
        )

    def set_reading_state(self, slot: int, state: str) -> None:
        """`final` nets import against export first; `booked` once the backstop has priced it."""
        self._db.execute(
            "UPDATE readings SET state = ?, imported_wh = imported_wh - min(imported_wh, exported_wh), "
            "exported_wh = exported_wh - min(imported_wh, exported_wh) WHERE party = ? AND slot = ?",
            (state, self._party, slot),
        )

    def book(self, entry: LedgerEntry) -> None:
        """Enter a booking, once; sqlite3.IntegrityError when it stands there already."""
        self._db.execute(
            "INSERT INTO ledger VALUES (?, ?, ?, ?, ?, ?, ?)",
            (
                self._party,
                entry.kind,
                entry.slot,
                entry.counterparty,
                entry.reference,
                entry.energy_wh,
                entry.amount_micro,
            ),
        )

    def entries(self, kinds: Sequence[str], slot: int, counterparty: str) -> list[LedgerEntry]:
        """The bookings of these kinds with a counterparty for a slot, by kind."""
        cursor = self._db.execute(
            "SELECT kind, slot, counterparty, reference, energy_wh, amount_micro FROM ledger "  # noqa: S608
            f"WHERE party = ? AND kind IN ({', '.join('?' * len(kinds))}) AND slot = ? AND counterparty = ? "
            "ORDER BY kind, reference",
            (self._party, *kinds, slot, counterparty),
        )
        return [LedgerEntry(*row) for row in cursor]

    def backstop_import_wh(self, slot: int) -> int:
        """What all households together imported from this utility in a slot, less what they exported."""
        row = self._db.execute(
            "SELECT -sum(energy_wh) FROM ledger WHERE party = ? AND kind = 'backstop' AND slot = ?",
            (self._party, slot),
        ).fetchone()
        return row[0] or 0

    def last_backstop_slot(self, before: int) -> int | None:
        """The newest slot before `before` for which a household has reported."""
        row = self._db.execute(
            "SELECT max(slot) FROM ledger WHERE party = ? AND kind = 'backstop' AND slot < ?", (self._party, before)
        ).fetchone()
        return None if row is None else row[0]

    def totals(self) -> tuple[int, int, int]:
        """Energy sold and bought in trades (Wh), and the balance of all bookings (millionths)."""
        row = self._db.execute(
            "SELECT coalesce(-sum(min(energy_wh, 0)) FILTER (WHERE kind = 'trade'), 0), "
            "coalesce(sum(max(energy_wh, 0)) FILTER (WHERE kind = 'trade'), 0), coalesce(sum(amount_micro), 0) "
            "FROM ledger WHERE party = ?",
            (self._party,),
        ).fetchone()
        return row[0], row[1], row[2]
