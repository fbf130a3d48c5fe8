"""What the street traded. Pure."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from wattmesh_cli.books import Book, LedgerEntry, paired
from wattmesh_cli.kpi.money import price_micro_per_kwh
from wattmesh_cli.kpi.rows import supplied


@dataclass(frozen=True)
class Flow:
    """All that one party bought from another. The price has grid fees in it; volume-weighted, rounded half up."""

    buyer: str
    seller: str
    deliveries: int
    energy_wh: int
    price_micro_per_kwh: int
    amount_micro: int


@dataclass(frozen=True)
class Traded:
    """What households traded with each other from `start` (unix seconds of grid time) on; the price as in `Flow`."""

    start: int
    energy_wh: int
    price_micro_per_kwh: int


@dataclass(frozen=True)
class HouseholdSummary:
    """A household's energy, as booked. `shared_wh` is what it took from and gave to its neighbours by sharing;
    `imported_wh` and `exported_wh` is the rest.
    """

    household: str
    bought_wh: int
    sold_wh: int
    shared_wh: int
    imported_wh: int
    exported_wh: int


@dataclass(frozen=True)
class MarketSummary:
    """Flows by seller within buyer, households by id.

    `contracts` counts those between households of which one side at least has a delivery as settled, `settled` these
    deliveries.
    """

    flows: tuple[Flow, ...]
    households: tuple[HouseholdSummary, ...]
    contracts: int
    settled: int


def summarize(books: Sequence[Book]) -> MarketSummary:
    """Summarise all that is booked."""
    households = {party.party: party for book in books for party in book.parties if party.kind == "household"}
    pairs = paired(row for book in books for row in book.contracts)
    ledgers: defaultdict[str, list[LedgerEntry]] = defaultdict(list)
    for book in books:
        for entry in book.ledger:
            ledgers[entry.party].append(entry)
    settled = [
        pair.known
        for pair in pairs
        if {pair.known.buyer, pair.known.seller} <= households.keys()
        and any(row is not None and row.state == "SETTLED" for row in (pair.buyer, pair.seller))
    ]
    return MarketSummary(
        flows=_flows(entry for entries in ledgers.values() for entry in entries),
        households=tuple(_household(name, ledgers[name]) for name in sorted(households)),
        contracts=len({(row.transaction_id, row.seller) for row in settled}),
        settled=len(settled),
    )


def _flows(entries: Iterable[LedgerEntry]) -> tuple[Flow, ...]:
    purchases: defaultdict[tuple[str, str], list[LedgerEntry]] = defaultdict(list)
    for entry in entries:
        # Of an entry of zeros (nothing was delivered) nobody could say which side it is; it is no flow.
        if entry.kind == "trade" and entry.energy_wh > 0:
            purchases[entry.party, entry.counterparty].append(entry)
    flows = []
    for (buyer, seller), bought in sorted(purchases.items()):
        energy_wh = sum(entry.energy_wh for entry in bought)
        paid_micro = -sum(entry.amount_micro for entry in bought)
        price_micro = price_micro_per_kwh(paid_micro, energy_wh)
        flows.append(Flow(buyer, seller, len(bought), energy_wh, price_micro, paid_micro))
    return tuple(flows)


def traded_every(hours: int, books: Sequence[Book]) -> tuple[Traded, ...]:
    """What households traded, in so many hours each, the earliest first."""
    households = {party.party for book in books for party in book.parties if party.kind == "household"}
    found: defaultdict[int, list[LedgerEntry]] = defaultdict(list)
    for book in books:
        for entry in book.ledger:
            if entry.kind == "trade" and entry.energy_wh > 0 and {entry.party, entry.counterparty} <= households:
                found[entry.slot - entry.slot % (hours * 3600)].append(entry)
    return tuple(Traded(start, *_paid(bought)) for start, bought in sorted(found.items()))


def _paid(bought: Sequence[LedgerEntry]) -> tuple[int, int]:
    """What was bought (Wh), and its price."""
    energy_wh = sum(entry.energy_wh for entry in bought)
    return energy_wh, price_micro_per_kwh(-sum(entry.amount_micro for entry in bought), energy_wh)


def _household(household: str, ledger: list[LedgerEntry]) -> HouseholdSummary:
    trades = [entry for entry in ledger if entry.kind == "trade"]
    supplies = supplied(ledger)
    bought = [entry for entry in trades if entry.energy_wh > 0]
    sold = [entry for entry in trades if entry.energy_wh < 0]
    return HouseholdSummary(
        household=household,
        bought_wh=sum(entry.energy_wh for entry in bought),
        sold_wh=-sum(entry.energy_wh for entry in sold),
        shared_wh=sum(of_slot.shared_wh for of_slot in supplies),
        imported_wh=sum(max(0, of_slot.utility_wh) for of_slot in supplies),
        exported_wh=sum(max(0, -of_slot.utility_wh) for of_slot in supplies),
    )
