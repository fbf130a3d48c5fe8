"""How each party stands. Pure. Whom it passes over, and why, is said by the market's own rules."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from wattmesh_cli.books import OPEN, Book, ContractRow, LedgerEntry, Party
from wattmesh_market.trade.contracts import Contract, ContractState, Delivery, Side
from wattmesh_market.trade.partners import Distrust, distrusted


@dataclass(frozen=True)
class PartyStatus:
    """A party's stored energy, its trades so far and the balance of its ledger (with what was deleted of it), the slot
    that it is in, how many of its readings its utility holds for a person, and the partners that it passes over or
    tries.
    """

    party: str
    kind: str
    capacity_wh: int
    level_wh: int
    sold_wh: int
    bought_wh: int
    balance_micro: int
    open_contracts: int
    slot: int
    held_readings: int = 0
    distrusts: tuple[Distrust, ...] = ()

    @property
    def soc_tenths_percent(self) -> int | None:
        """State of charge in tenths of a percent, rounded half up; None without a battery."""
        if not self.capacity_wh:
            return None
        return (2000 * self.level_wh + self.capacity_wh) // (2 * self.capacity_wh)


def status_of(books: Sequence[Book], slot_text: Callable[[int], str]) -> list[PartyStatus]:
    """The status of all parties: households, then utilities, each by id. `slot_text` shows a slot to people."""
    rows = [_status(book, party, slot_text) for book in books for party in book.parties]
    return sorted(rows, key=lambda row: (row.kind, row.party))


def _status(book: Book, party: Party, slot_text: Callable[[int], str]) -> PartyStatus:
    ledger = [entry for entry in book.ledger if entry.party == party.party]
    traded = [entry for entry in ledger if entry.kind == "trade"]
    carried = [sums for sums in book.carried if sums.party == party.party]
    deleted = [sums for sums in carried if sums.kind == "trade"]
    contracts = _contracts(row for row in book.contracts if row.party == party.party)
    return PartyStatus(
        party=party.party,
        kind=party.kind,
        capacity_wh=party.capacity_wh,
        level_wh=party.level_wh,
        sold_wh=_energy_wh(traded, -1) + sum(sums.given_wh for sums in deleted),
        bought_wh=_energy_wh(traded, 1) + sum(sums.received_wh for sums in deleted),
        balance_micro=sum(entry.amount_micro for entry in ledger) + sum(sums.amount_micro for sums in carried),
        open_contracts=sum(contract.state in OPEN for contract in contracts),
        slot=party.next_slot,
        held_readings=sum(one.party == party.party and one.state == "held" for one in book.readings),
        distrusts=tuple(distrusted(contracts, party.next_slot, slot_text)),
    )


def _contracts(rows: Iterable[ContractRow]) -> list[Contract]:
    """One party's contracts, made of the rows of their deliveries."""
    by_key: dict[tuple[str, str], list[ContractRow]] = {}
    for row in rows:
        by_key.setdefault((row.transaction_id, row.counterparty), []).append(row)
    return [_contract(sorted(deliveries, key=lambda row: row.slot)) for deliveries in by_key.values()]


def _contract(rows: Sequence[ContractRow]) -> Contract:
    deliveries = [
        Delivery(
            row.slot,
            row.item_id,
            row.energy_wh,
            row.amount_micro,
            row.fee_micro,
            ContractState(row.state),
            row.delivered_wh,
            row.settled_micro,
        )
        for row in rows
    ]
    first = rows[0]
    return Contract(
        first.party,
        Side(first.side),
        first.transaction_id,
        first.counterparty,
        tuple(deliveries),
        0,
        first.created_ms,
        0,
        first.order_id,
        any(row.in_doubt for row in rows),
        next((row.reason for row in rows if row.reason is not None), None),
    )


def _energy_wh(entries: Iterable[LedgerEntry], sign: int) -> int:
    return sum(max(0, sign * entry.energy_wh) for entry in entries)
