"""A party's state in memory, and what one event changes of it.

State is changed in place while an event is handled; `Changes` has each row that changed and what stood there before.
Whoever runs the party stores the rows and keeps the changes, or takes all of them back. Nobody looks in between.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable, Iterator, Sequence
from enum import StrEnum
from typing import Any, NamedTuple

from wattmesh_market.energy.availability import Promise
from wattmesh_market.energy.slots import DAY_S, SLOT_S
from wattmesh_market.schedule import READ_WITHIN_S
from wattmesh_market.trade.advice import Consultation
from wattmesh_market.trade.contracts import OPEN, PROMISED, TENTATIVE, Contract, ContractState, Delivery, Key, Side
from wattmesh_market.trade.ledger import (
    Closing,
    EntryKind,
    Held,
    HeldState,
    LedgerEntry,
    Reading,
    ReadingState,
    Reported,
)
from wattmesh_market.trade.messages import Send, Wanted
from wattmesh_market.trade.offers import Block, Offer
from wattmesh_market.trade.partners import has_failed

REMEMBERED_S = DAY_S + 5 * 3600
"""How long what is over stays in memory after its slot (grid time): a plan looks a day back from when it was made."""
CORRECTED_WITHIN_S = READ_WITHIN_S + DAY_S
"""How long a household is ready for a correction (grid time); a utility makes none after `READ_WITHIN_S`."""


class Role(StrEnum):
    """What a household is for a slot, never two of them."""

    BUYER = "buyer"
    SELLER = "seller"
    NEITHER = "neither"


class Standing(NamedTuple):
    """Where a party stands: `level_wh` and `carried_uwh` (millionths of a Wh) are stored at the start of `next_slot`.

    That is the first slot not metered yet. `vehicle_wh` of it is in a car: what the house may use of it.

    `buying` says that the battery fell below its threshold and has not reached the target since.
    """

    capacity_wh: int
    initial_level_wh: int
    level_wh: int
    first_slot: int
    next_slot: int
    buying: bool
    carried_uwh: int = 0
    vehicle_wh: int = 0

    @property
    def battery_wh(self) -> int:
        """What is stored in the battery."""
        return self.level_wh - self.vehicle_wh


class Purchase(NamedTuple):
    """What a buyer wants for a slot, in one transaction. `asked_adviser` once one was asked about it.

    Beside it, offers for later slots that begin before `until` are asked for, where that is named. `failures` counts
    searches for it that failed; `answered` says whether one was answered, if only by that there is nothing.
    """

    transaction_id: str
    slot: int
    attempt: int
    wants: tuple[Block, ...]
    searched_ms: int
    closed: bool = False
    asked_adviser: bool = False
    until: int | None = None
    failures: int = 0
    answered: bool = False

    @property
    def need_wh(self) -> int:
        """What is wanted in all."""
        return sum([block.energy_wh for block in self.wants])


class Outcome(StrEnum):
    """What became of an offer."""

    OPEN = "open"
    SELECTED = "selected"
    QUOTED = "quoted"
    FAILED = "failed"


class Selection(NamedTuple):
    """An offer and what the buyer made of it; with it, what the seller offered for later slots and what of that too."""

    offer: Offer
    selected_wh: int | None = None
    outcome: Outcome = Outcome.OPEN
    later: Iterable[tuple[int, Offer]] = ()
    selected_later: tuple[Wanted, ...] = ()


class AlarmKind(StrEnum):
    """What a party asks to be reminded of."""

    LOOK = "look"
    OFFERS_IN = "offers in"
    ADVICE_LATE = "advice late"
    STALLED = "stalled"
    DOUBT = "doubt"
    REPORT = "report"
    PUBLISH = "publish"


class Alarm(NamedTuple):
    """A reminder: of a slot's look or report, or of a purchase and one of its sellers. None of them outlives a restart:
    whoever loads a party asks it anew (`Events.resume`).
    """

    kind: AlarmKind
    slot: int = 0
    attempt: int = 0
    transaction_id: str = ""
    seller: str = ""


class LogLine(NamedTuple):
    """A line of the event log; `text % values` is what people read."""

    text: str
    values: tuple[Any, ...]
    transaction_id: str | None
    level: int = logging.INFO


class Changes:
    """What one event changes: rows to store, messages to send, alarms to set (grid time), questions to an adviser,
    lines for the event log.

    A study, in which nothing is refused, needs none of it to be `reversible`.
    """

    __slots__ = (
        "alarms",
        "before",
        "closings",
        "consultations",
        "contracts",
        "held",
        "ledger",
        "lines",
        "missed_gates",
        "readings",
        "reported",
        "roles",
        "sends",
        "standing",
        "undo",
    )

    def __init__(self, *, reversible: bool = True) -> None:
        self.contracts: dict[Key, Contract] = {}
        self.before: dict[Key, Contract] = {}
        """How those of several deliveries stood, most of which have not changed, and those that were quoted."""
        self.readings: dict[int, Reading] = {}
        self.roles: dict[int, Role] = {}
        self.ledger: list[LedgerEntry] = []
        self.reported: dict[tuple[int, str], Reported] = {}
        self.held: dict[tuple[int, str], Held] = {}
        self.closings: list[Closing] = []
        self.standing: Standing | None = None
        self.sends: list[Send] = []
        self.alarms: list[tuple[Alarm, float]] = []
        self.lines: list[LogLine] = []
        self.consultations: list[Consultation] = []
        self.missed_gates = 0
        self.undo: list[tuple[dict[Any, Any], Any, Any]] | None = [] if reversible else None

    @property
    def stored(self) -> bool:
        """Whether there is a row to store."""
        return bool(
            self.contracts
            or self.readings
            or self.roles
            or self.ledger
            or self.reported
            or self.held
            or self.closings
            or self.standing
        )

    def revert(self) -> None:
        """Put back what stood there before."""
        for table, key, before in reversed(self.undo or ()):
            if before is None:
                table.pop(key, None)
            else:
                table[key] = before


class Published(NamedTuple):
    """What was published last, and whether that has failed. `number` tells one publication from the next."""

    offers: tuple[tuple[int, Offer], ...] | None = None
    failed: bool = False
    number: int = 0


class Totals(NamedTuple):
    """Energy sold and bought in trades (Wh), and the balance of all bookings (millionths)."""

    sold_wh: int = 0
    bought_wh: int = 0
    balance_micro: int = 0


_NEVER_MS = 2**62
_NO_PROMISES: tuple[int, list[Promise]] = (-1, [])


class Books:
    """One party's state. Contracts and readings that are over leave it some time after their slot: see `forget`.

    `changes` is where changes are written down. All tables are dictionaries of immutable rows.
    """

    def __init__(self, standing: Standing, changes: Changes | None = None) -> None:
        self.changes = changes or Changes()
        self.standing = standing
        """Where the party stands."""
        self.totals = Totals()
        """What it has traded and earned so far."""
        self.first_expiry_ms = 0
        """Before that no quote that was given runs out (wall time)."""
        self.published = Published()
        """What the discovery service knows. It does not outlive a restart: then all of it is said again."""
        self._repeated = -1
        self.contracts: dict[Key, Contract] = {}
        self.open: dict[Side, dict[Key, Contract]] = {Side.BUYER: {}, Side.SELLER: {}}
        self.failed: dict[Key, Contract] = {}
        """Those of `contracts` in which a partner broke its word; few or none."""
        self._by_slot: dict[int, tuple[Key, ...]] = {}
        self._by_order: dict[tuple[str, str], Key] = {}
        self._by_transaction: dict[str, tuple[Key, ...]] = {}
        self.readings: dict[int, Reading] = {}
        self.unbooked: dict[int, bool] = {}
        self.estimated: dict[int, bool] = {}
        """The slots in which another reading was billed than the meter's: a person may correct that."""
        self.roles: dict[int, Role] = {}
        self.purchases: dict[str, Purchase] = {}
        self.selections: dict[str, dict[str, Selection]] = {}
        self.supplied: dict[tuple[int, str], tuple[LedgerEntry, ...]] = {}
        self.reported: dict[int, dict[str, Reported]] = {}
        """What a utility's customers reported, by slot and household."""
        self.held: dict[tuple[int, str], Held] = {}
        """Which of it is held for a person, and what became of that, by slot and household."""
        self.net_import_wh: dict[int, int] = {}
        self.version = 0
        """Grows with every change of promises or standing; what is computed from them may be kept until then."""
        self._promises: dict[Side, tuple[int, list[Promise]]] = {}

    def take_back(self) -> None:
        """Undo all changes since the last event."""
        self.changes.revert()
        self.changes = Changes()
        self.version += 1

    # --- standing and totals ---

    def stand(self, standing: Standing) -> None:
        """Move on."""
        self._set(self.__dict__, "standing", standing)
        self.changes.standing = standing
        self.version += 1

    # --- contracts ---

    def put(self, contract: Contract) -> None:
        """Enter a contract, or its new state."""
        key, state = contract.key, contract.state
        before = self.contracts.get(key)
        self._set(self.contracts, key, contract)
        # How it stood before this event, in which it may be entered several times.
        first = key not in self.changes.contracts
        if first and before is not None and (len(before.deliveries) > 1 or before.state is ContractState.QUOTED):
            self.changes.before[key] = before
        self.changes.contracts[key] = contract
        if before is None:
            self._set(self._by_transaction, key[0], _with(self._by_transaction.get(key[0], ()), key))
        if before is None or len(before.deliveries) != len(contract.deliveries):
            for delivery in contract.deliveries:
                keys = self._by_slot.get(delivery.slot, ())
                if key not in keys:
                    self._set(self._by_slot, delivery.slot, _with(keys, key))
        if contract.order_id is not None and (before is None or before.order_id is None):
            self._set(self._by_order, (contract.order_id, key[1]), key)
        self._set(self.open[contract.side], key, contract if state in OPEN else None)
        failed = has_failed(contract)
        if failed or key in self.failed:
            self._set(self.failed, key, contract if failed else None)
        if state in TENTATIVE and contract.expires_ms < self.first_expiry_ms:
            self._set(self.__dict__, "first_expiry_ms", contract.expires_ms)
        now_slot = self.standing.next_slot
        if before is None or _promised(before, now_slot) != _promised(contract, now_slot):
            self.version += 1

    def note_first_expiry(self) -> None:
        """Work out when the next quote runs out, after those that have were ended."""
        quotes = [one.expires_ms for one in self.open[Side.SELLER].values() if one.state in TENTATIVE]
        self._set(self.__dict__, "first_expiry_ms", min(quotes, default=_NEVER_MS))

    def contract(self, transaction_id: str, counterparty: str) -> Contract | None:
        """The contract of a transaction with a counterparty."""
        return self.contracts.get((transaction_id, counterparty))

    def by_order(self, order_id: str, counterparty: str) -> Contract | None:
        """The contract under an order id with a counterparty."""
        key = self._by_order.get((order_id, counterparty))
        return None if key is None else self.contracts[key]

    def of_transaction(self, transaction_id: str) -> Sequence[Contract]:
        """All contracts of a transaction."""
        return tuple([self.contracts[key] for key in self._by_transaction.get(transaction_id, ())])

    def deliveries(self, side: Side, slot: int) -> list[tuple[Contract, Delivery]]:
        """All deliveries in a slot, with their contracts, on a side; in no order."""
        keys = self._by_slot.get(slot)
        if not keys:
            return []
        contracts = [self.contracts[key] for key in keys]
        return [
            (contract, delivery)
            for contract in contracts
            if contract.side is side
            for delivery in contract.deliveries
            if delivery.slot == slot
        ]

    def of_slot(self, side: Side, slot: int) -> list[tuple[Contract, Delivery]]:
        """The same, of the oldest contract first."""
        found = self.deliveries(side, slot)
        return sorted(found, key=_age) if len(found) > 1 else found

    def promises(self, side: Side) -> Sequence[Promise]:
        """What is reserved or committed and not delivered yet, delivery by delivery.

        What is still in doubt when its gate has closed is not counted on.
        """
        version, found = self._promises.get(side, _NO_PROMISES)
        if version != self.version:
            now_slot = self.standing.next_slot
            found = [
                Promise(delivery.slot, delivery.energy_wh, delivery.sun_wh)
                for contract in self.open[side].values()
                if not _doubtful(contract, now_slot)
                for delivery in contract.deliveries
                if delivery.state in PROMISED
            ]
            self._promises[side] = (self.version, found)
        return found

    def failures(self, side: Side, counterparty: str) -> Iterable[Contract]:
        """All contracts of late on a side with a partner that has broken its word in one; none if it has not."""
        if not any(one.side is side and one.counterparty == counterparty for one in self.failed.values()):
            return ()
        return self.of_late(side, counterparty)

    def of_late(self, side: Side, counterparty: str) -> Iterator[Contract]:
        """All contracts on a side with a counterparty that deliver within the last day or later, whatever became of
        them; one by one, as few ask for them. How much longer memory keeps some depends on when a process started.
        """
        since = self.standing.next_slot - DAY_S
        return (
            one
            for one in self.contracts.values()
            if one.side is side and one.counterparty == counterparty and one.last_slot >= since
        )

    def open_with(self, side: Side, counterparty: str) -> list[Contract]:
        """All contracts on a side with a counterparty that are not over."""
        return [one for one in self.open[side].values() if one.counterparty == counterparty]

    def expired(self, side: Side, now_ms: int) -> list[Contract]:
        """All contracts on a side whose quotes have run out, the oldest first."""
        found = [one for one in self.open[side].values() if one.expired(now_ms)]
        return sorted(found, key=lambda one: (one.created_ms, one.transaction_id, one.counterparty))

    # --- meter and ledger ---

    @property
    def unpriced(self) -> list[int]:
        """The slots whose readings are not booked, nor held for a person."""
        return [slot for slot in self.unbooked if self.readings[slot].state is not ReadingState.HELD]

    def read(self, reading: Reading) -> None:
        """Enter a reading, or its new state."""
        self._set(self.readings, reading.slot, reading)
        self.changes.readings[reading.slot] = reading
        self._set(self.unbooked, reading.slot, None if reading.state is ReadingState.BOOKED else True)
        if reading.estimated_wh is not None:
            self._set(self.estimated, reading.slot, True)

    def take_role(self, slot: int, role: Role) -> None:
        """Take a role for a slot, once."""
        self._set(self.roles, slot, role)
        self.changes.roles[slot] = role

    def report(self, reported: Reported) -> None:
        """Enter what a customer reported of a slot, or how it was priced."""
        slot, household = reported.slot, reported.household
        of_slot = self._part(self.reported, slot)
        before = of_slot.get(household)
        self._set(of_slot, household, reported)
        self.changes.reported[slot, household] = reported
        more_wh = reported.net_wh - (0 if before is None else before.net_wh)
        if more_wh:
            self._set(self.net_import_wh, slot, self.net_import_wh.get(slot, 0) + more_wh or None)

    def hold(self, held: Held) -> None:
        """Enter a reading that is held for a person, or what became of it."""
        self._set(self.held, (held.slot, held.household), held)
        self.changes.held[held.slot, held.household] = held

    def close(self, closing: Closing) -> None:
        """Enter how a slot was shared, once."""
        self.changes.closings.append(closing)

    def book(self, entry: LedgerEntry) -> None:
        """Enter a booking."""
        self.changes.ledger.append(entry)
        self._count(entry)

    def _count(self, entry: LedgerEntry) -> None:
        sold_wh, bought_wh, balance_micro = self.totals
        if entry.kind is EntryKind.TRADE:
            if entry.energy_wh < 0:
                sold_wh -= entry.energy_wh
            else:
                bought_wh += entry.energy_wh
        else:
            key = (entry.slot, entry.counterparty)
            self._set(self.supplied, key, (*self.supplied.get(key, ()), entry))
        self._set(self.__dict__, "totals", Totals(sold_wh, bought_wh, balance_micro + entry.amount_micro))

    def mark_repeated(self, occasion: int) -> bool:
        """Note that what is unfinished is said again on an occasion; False when it was on that one."""
        if self._repeated == occasion:
            return False
        self._set(self.__dict__, "_repeated", occasion)
        return True

    def know(self, supplied: Iterable[LedgerEntry], totals: Totals | None = None) -> None:
        """Take up bookings that stand in the journal: those for what was supplied, and the totals of all.

        Without `totals` they stay what they are: what is taken up again was counted when it was booked.
        """
        known = self.totals if totals is None else totals
        for entry in supplied:
            self._count(entry)
        self.totals = known

    # --- purchases ---

    def purchase(self, purchase: Purchase) -> None:
        """Enter a purchase, or its new state."""
        self._set(self.purchases, purchase.transaction_id, purchase)

    def publish(self, published: Published) -> None:
        """Note what was published."""
        self._set(self.__dict__, "published", published)

    def select(self, transaction_id: str, seller: str, selection: Selection) -> None:
        """Enter an offer, or what became of it."""
        self._set(self._part(self.selections, transaction_id), seller, selection)

    def select_among(self, transaction_id: str, offers: dict[str, Selection]) -> None:
        """Enter all first offers of a purchase."""
        self._set(self.selections, transaction_id, offers)

    # --- time ---

    def forget(self, now_slot: int) -> None:
        """Let go of what is over since `REMEMBERED_S`. Done between events: it changes no row and is not reverted."""
        before, changes = now_slot - REMEMBERED_S, self.changes
        self.changes = Changes(reversible=False)
        for slot in [slot for slot in self.estimated if slot < now_slot - CORRECTED_WITHIN_S]:
            self._set(self.estimated, slot, None)
        # A reading that is not booked, or may be corrected, tells what was sold in its slot under a grid fee.
        told = self.unbooked.keys() | self.estimated.keys()
        for slot in [slot for slot in self._by_slot if slot < before and slot not in told]:
            for key in self._by_slot.get(slot, ()):
                contract = self.contracts.get(key)
                if contract is not None and contract.state not in OPEN and contract.last_slot < before:
                    self._drop(contract)
        for table in (self.roles, self.net_import_wh, self.reported):
            for slot in [slot for slot in table if slot < before]:
                self._set(table, slot, None)
        for slot in [slot for slot in self.readings if slot < before and slot not in told]:
            self._set(self.readings, slot, None)
        for reported in [one for one in self.supplied if one[0] < before and one[0] not in told]:
            self._set(self.supplied, reported, None)
        for held in [one for one in self.held.values() if one.slot < before and one.state is not HeldState.HELD]:
            self._set(self.held, (held.slot, held.household), None)
        for purchase in [one for one in self.purchases.values() if one.slot < now_slot - 2 * SLOT_S]:
            self._set(self.purchases, purchase.transaction_id, None)
            self.selections.pop(purchase.transaction_id, None)
        self.changes = changes

    def take_over(self, loaded: Books, forgotten: str) -> None:
        """Have what was loaded anew, after the rows of the party `forgotten` were changed. Done between events.

        What is not stored stays: what is being bought, without that party, and what was published.
        """
        kept = {name: self.__dict__[name] for name in ("purchases", "selections", "published", "_repeated")}
        for sellers in self.selections.values():
            sellers.pop(forgotten, None)
        self.__dict__.update(loaded.__dict__, **kept, version=self.version + 1)

    def _drop(self, contract: Contract) -> None:
        key = contract.key
        self._set(self.contracts, key, None)
        if key in self.failed:
            self._set(self.failed, key, None)
        for delivery in contract.deliveries:
            self._set(self._by_slot, delivery.slot, _without(self._by_slot.get(delivery.slot, ()), key))
        self._set(self._by_transaction, key[0], _without(self._by_transaction[key[0]], key))
        if contract.order_id is not None:
            self._set(self._by_order, (contract.order_id, key[1]), None)

    def _part(self, table: dict[Any, dict[Any, Any]], key: Any) -> dict[Any, Any]:
        """A table within a table; a new one goes when the event is taken back."""
        if key not in table:
            self._set(table, key, {})
        return table[key]

    def _set(self, table: dict[Any, Any], key: Any, row: Any) -> None:
        undo = self.changes.undo
        if undo is not None:
            undo.append((table, key, table.get(key)))
        if row is None:
            table.pop(key, None)
        else:
            table[key] = row


def _with(keys: tuple[Key, ...], key: Key) -> tuple[Key, ...]:
    """In an order that follows from the keys: what is loaded anew is the same."""
    return tuple(sorted((*keys, key)))


def _without(keys: tuple[Key, ...], key: Key) -> tuple[Key, ...] | None:
    return tuple([one for one in keys if one != key]) or None


def _doubtful(contract: Contract, now_slot: int) -> bool:
    return contract.in_doubt and contract.first_slot <= now_slot


def _promised(contract: Contract, now_slot: int) -> bool | list[bool]:
    deliveries = contract.deliveries
    if _doubtful(contract, now_slot):
        return False
    if len(deliveries) == 1:
        return deliveries[0].state in PROMISED
    return [delivery.state in PROMISED for delivery in deliveries]


def _age(found: tuple[Contract, Delivery]) -> tuple[int, str, str]:
    contract, _ = found
    return contract.created_ms, contract.counterparty, contract.transaction_id
