"""Contracts, purchases and offers of one party, in its database."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable
from dataclasses import dataclass, fields
from operator import attrgetter
from typing import Any

from wattmesh_agents.trade.contracts import PROMISED, Contract, ContractState, Side
from wattmesh_market.trade.offers import Offer


@dataclass(frozen=True)
class Purchase:
    """A buyer's transaction: what it wants for a slot.

    `asked` is how many sellers heard the search, once known; `searched_ms` when it began (None before schema 3).
    """

    transaction_id: str
    slot: int
    attempt: int
    need_wh: int
    max_price_micro: int | None
    asked: int | None
    closed: bool
    searched_ms: int | None = None


@dataclass(frozen=True)
class Selection:
    """An offer and what the buyer made of it."""

    offer: Offer
    selected_wh: int | None
    outcome: str


_COLUMNS = tuple(field.name for field in fields(Contract))
_values = attrgetter(*_COLUMNS)
_PUT = (
    f"INSERT INTO contracts ({', '.join(_COLUMNS)}) VALUES ({', '.join('?' * len(_COLUMNS))}) "  # noqa: S608
    f"ON CONFLICT (party, transaction_id, counterparty) DO UPDATE SET "
    f"{', '.join(f'{name} = excluded.{name}' for name in _COLUMNS)} WHERE side = excluded.side"
)


_SIDE, _STATE, _IN_DOUBT = (_COLUMNS.index(name) for name in ("side", "state", "in_doubt"))


def _contract(row: tuple[Any, ...]) -> Contract:
    values = list(row)
    values[_SIDE], values[_STATE] = Side(row[_SIDE]), ContractState(row[_STATE])
    values[_IN_DOUBT] = bool(row[_IN_DOUBT])
    return Contract(*values)


class ContractTable:
    """Reads and writes one party's contracts, purchases and offers within the caller's transaction."""

    def __init__(self, connection: sqlite3.Connection, party: str) -> None:
        self._db = connection
        self._party = party

    def put(self, contract: Contract) -> None:
        """Insert, or replace the same contract on the same side.

        sqlite3.IntegrityError rather than that one contract pushes out another.
        """
        if self._db.execute(_PUT, _values(contract)).rowcount != 1:
            raise sqlite3.IntegrityError("a contract cannot change sides")

    def get(self, transaction_id: str, counterparty: str) -> Contract | None:
        """The contract of a transaction with a counterparty."""
        return next(iter(self._select("transaction_id = ? AND counterparty = ?", transaction_id, counterparty)), None)

    def by_order(self, order_id: str, counterparty: str) -> Contract | None:
        """The contract under an order id with a counterparty."""
        return next(iter(self._select("order_id = ? AND counterparty = ?", order_id, counterparty)), None)

    def of_transaction(self, transaction_id: str) -> list[Contract]:
        """All contracts of a transaction."""
        return self._select("transaction_id = ?", transaction_id)

    def in_states(self, side: Side, states: Iterable[ContractState], counterparty: str | None = None) -> list[Contract]:
        """All contracts on a side in one of the states, with anybody or with one, oldest slot first."""
        states = tuple(states)
        marks = ", ".join("?" * len(states))
        where = f"side = ? AND state IN ({marks})"
        if counterparty is None:
            return self._select(where, side, *states)
        return self._select(f"{where} AND counterparty = ?", side, *states, counterparty)

    def promised(self, side: Side) -> list[Contract]:
        """Contracts that reserve or commit energy not delivered yet."""
        return self.in_states(side, PROMISED)

    def of_slot(self, side: Side, slot: int) -> list[Contract]:
        """All contracts on a side for a slot."""
        return self._select("slot = ? AND side = ?", slot, side)

    def from_slot(self, slot: int, *, most: int) -> list[Contract]:
        """The newest `most` contracts for a slot and later ones, the newest first."""
        cursor = self._db.execute(
            f"SELECT {', '.join(_COLUMNS)} FROM contracts WHERE party = ? AND slot >= ? "  # noqa: S608
            "ORDER BY slot DESC, created_ms DESC LIMIT ?",
            (self._party, slot, most),
        )
        return [_contract(row) for row in cursor]

    def _select(self, where: str, *values: object) -> list[Contract]:
        cursor = self._db.execute(
            f"SELECT {', '.join(_COLUMNS)} FROM contracts "  # noqa: S608
            f"WHERE party = ? AND {where} ORDER BY slot, created_ms, transaction_id, counterparty",
            (self._party, *values),
        )
        return [_contract(row) for row in cursor]

    def start_purchase(self, purchase: Purchase) -> None:
        """Record a purchase; nothing when it stands there already."""
        self._db.execute(
            "INSERT OR IGNORE INTO purchases (party, transaction_id, slot, attempt, need_wh, max_price_micro, "
            "searched_ms) VALUES (?, ?, ?, ?, ?, ?, ?)",
            (
                self._party,
                purchase.transaction_id,
                purchase.slot,
                purchase.attempt,
                purchase.need_wh,
                purchase.max_price_micro,
                purchase.searched_ms,
            ),
        )

    def purchase(self, transaction_id: str) -> Purchase | None:
        """The purchase of a transaction."""
        return next(iter(self._purchases("transaction_id = ?", transaction_id)), None)

    def purchases_of_slot(self, slot: int) -> list[Purchase]:
        """All purchases for a slot, in order of attempt."""
        return self._purchases("slot = ?", slot)

    def _purchases(self, where: str, *values: object) -> list[Purchase]:
        cursor = self._db.execute(
            "SELECT transaction_id, slot, attempt, need_wh, max_price_micro, asked, closed, searched_ms "  # noqa: S608
            f"FROM purchases WHERE party = ? AND {where} ORDER BY attempt",
            (self._party, *values),
        )
        return [Purchase(row[0], row[1], row[2], row[3], row[4], row[5], bool(row[6]), row[7]) for row in cursor]

    def note_asked(self, transaction_id: str, sellers: int) -> None:
        """How many sellers heard the search."""
        self._db.execute(
            "UPDATE purchases SET asked = ? WHERE party = ? AND transaction_id = ?",
            (sellers, self._party, transaction_id),
        )

    def close_purchase(self, transaction_id: str) -> None:
        """Nothing more is bought in this transaction."""
        self._db.execute(
            "UPDATE purchases SET closed = 1 WHERE party = ? AND transaction_id = ?", (self._party, transaction_id)
        )

    def add_offer(self, transaction_id: str, offer: Offer) -> None:
        """Record a seller's first offer in a transaction; later ones change nothing."""
        self._db.execute(
            "INSERT OR IGNORE INTO offers (party, transaction_id, seller, item_id, price_micro, available_wh) "
            "VALUES (?, ?, ?, ?, ?, ?)",
            (
                self._party,
                transaction_id,
                offer.seller,
                offer.item_id,
                offer.price_micro_per_kwh,
                offer.available_wh,
            ),
        )

    def offers(self, transaction_id: str) -> list[Selection]:
        """All offers of a transaction by seller."""
        return self._offers("transaction_id = ?", transaction_id)

    def offer(self, transaction_id: str, seller: str) -> Selection | None:
        """A seller's offer in a transaction."""
        return next(iter(self._offers("transaction_id = ? AND seller = ?", transaction_id, seller)), None)

    def _offers(self, where: str, *values: object) -> list[Selection]:
        cursor = self._db.execute(
            "SELECT seller, item_id, price_micro, available_wh, selected_wh, outcome FROM offers "  # noqa: S608
            f"WHERE party = ? AND {where} ORDER BY seller",
            (self._party, *values),
        )
        return [Selection(Offer(*row[:4]), row[4], row[5]) for row in cursor]

    def count_offers(self, transaction_id: str) -> int:
        """How many sellers have made an offer in a transaction."""
        query = "SELECT count(*) FROM offers WHERE party = ? AND transaction_id = ?"
        count: int = self._db.execute(query, (self._party, transaction_id)).fetchone()[0]
        return count

    def has_chosen(self, transaction_id: str) -> bool:
        """Whether an offer of a transaction was selected, whatever came of it."""
        query = "SELECT 1 FROM offers WHERE party = ? AND transaction_id = ? AND outcome <> 'open' LIMIT 1"
        return self._db.execute(query, (self._party, transaction_id)).fetchone() is not None

    def mark_offer(self, transaction_id: str, seller: str, outcome: str, selected_wh: int | None = None) -> None:
        """What became of an offer; `selected_wh` when it was selected."""
        self._db.execute(
            "UPDATE offers SET outcome = ?, selected_wh = coalesce(?, selected_wh) "
            "WHERE party = ? AND transaction_id = ? AND seller = ?",
            (outcome, selected_wh, self._party, transaction_id, seller),
        )
