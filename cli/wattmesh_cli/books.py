"""Rows of the runtimes' books, as plain values, wherever they were read from.

Energy is in Wh, money in millionths of the currency (`micro`), a slot is its start in unix seconds of grid time.
`party` is the subscriber id of the household or utility that keeps the row. Source: `wattmesh_agents.store.schema`.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from dataclasses import dataclass, fields

SLOT_S = 900
"""Length of a delivery slot (seconds of grid time)."""
OPEN = frozenset({"QUOTED", "AGREED", "CONFIRMED", "DELIVERED"})
"""States in which a contract is not over yet."""
FORGOTTEN = "forgotten"
"""Counterparty in place of all households that were forgotten."""
DELIVERED = frozenset({"DELIVERED", "SETTLED"})
"""States in which a contract's energy and money are booked."""


class BooksError(Exception):
    """The books cannot be read as asked. The message is one line for the user."""


@dataclass(frozen=True, slots=True)
class Party:
    """A household or utility. `level_wh` and `carried_uwh` (millionths of a Wh) are stored at the start of `next_slot`,
    the first slot not metered yet.
    """

    party: str
    kind: str
    capacity_wh: int
    initial_level_wh: int
    level_wh: int
    first_slot: int
    next_slot: int
    carried_uwh: int = 0


@dataclass(frozen=True, slots=True)
class ContractRow:
    """One side's record of a contract's delivery in a slot; `side` is `buyer` or `seller`.

    `fee_micro` is the grid fee in the amount. `created_ms` is when this side made its record, `searched_ms` when the
    buyer's search began, `confirmed_ms` when this side had it in force (wall time). A buyer also keeps what the seller
    had asked, how many `offers` there were, and the `provider` where the seller is a platform that sells for others.
    """

    party: str
    side: str
    transaction_id: str
    counterparty: str
    item_id: str
    slot: int
    energy_wh: int
    amount_micro: int
    state: str
    order_id: str | None
    delivered_wh: int | None
    settled_micro: int | None
    in_doubt: bool
    reason: str | None
    fee_micro: int = 0
    created_ms: int = 0
    searched_ms: int | None = None
    confirmed_ms: int | None = None
    offered_micro_per_kwh: int | None = None
    offers: int | None = None
    provider: str | None = None

    @property
    def buyer(self) -> str:
        """Who buys."""
        return self.party if self.side == "buyer" else self.counterparty

    @property
    def seller(self) -> str:
        """Who sells."""
        return self.counterparty if self.side == "buyer" else self.party


@dataclass(frozen=True, slots=True)
class LedgerEntry:
    """A booking of kind `trade`, `backstop`, `shared` or `grid_fee`: energy received and money earned are positive."""

    party: str
    kind: str
    slot: int
    counterparty: str
    reference: str
    energy_wh: int
    amount_micro: int

    @property
    def correction(self) -> int | None:
        """Which correction it is of what was billed for a reading, from 1; None: none."""
        found = _CORRECTION.fullmatch(self.reference) if self.kind == "backstop" else None
        return None if found is None else int(found[1] or 1)


_CORRECTION = re.compile(r"correction(?: ([2-9]|[1-9]\d{1,3}))?", re.ASCII)


@dataclass(frozen=True, slots=True)
class Device:
    """What a device took in a slot, a part of the load: of what it needs in its window, from slot `begin` to slot `end`
    (not included), `left_wh` is left after the slot. Of a car's store that the house may use, what it was charged and
    discharged beside that (at the charger), and its level, a part of the reading's.
    """

    name: str
    begin: int
    end: int
    needs_wh: int
    left_wh: int
    taken_wh: int
    charged_wh: int = 0
    discharged_wh: int = 0
    level_before_wh: int = 0
    level_after_wh: int = 0


@dataclass(frozen=True, slots=True)
class Reading:
    """A household's metered slot; `state` is `open`, `final` (reported to the backstop), `held` (there, for a person)
    or `booked`. `estimated_wh` is the net import that was billed in place of what was metered, if any.

    Of what was sold, `covered_wh` came from the backstop; `carried_uwh` (millionths of a Wh) is stored beyond
    `level_after_wh`. A plan notes what it thinks a kWh is worth: `local_micro_per_kwh` of neighbours, without fee, and
    `stored_micro_per_kwh` in the store. `devices` has what each device took whose window the slot lies in, as JSON.
    """

    party: str
    slot: int
    level_before_wh: int
    level_after_wh: int
    capacity_wh: int
    pv_wh: int
    load_wh: int
    bought_wh: int
    sold_wh: int
    imported_wh: int
    exported_wh: int
    losses_wh: int
    state: str
    covered_wh: int = 0
    carried_uwh: int = 0
    local_micro_per_kwh: int = 0
    stored_micro_per_kwh: int = 0
    estimated_wh: int | None = None
    devices: str | None = None

    @property
    def by_device(self) -> tuple[Device, ...]:
        """What each device took whose window the slot lies in. BooksError where it is not written as it should be."""
        return () if self.devices is None else _devices(self)

    @property
    def net_wh(self) -> int:
        """Net import that is to be billed; export is negative."""
        return self.imported_wh - self.exported_wh if self.estimated_wh is None else self.estimated_wh

    @property
    def drawn_wh(self) -> int:
        """What came in through the meter, traded or not, less what went out."""
        return self.bought_wh + self.imported_wh - self.sold_wh - self.exported_wh


def mean_power_w(energy_wh: int) -> int:
    """The mean power of what goes through a meter in a slot (W)."""
    return energy_wh * 3600 // SLOT_S


def _devices(reading: Reading) -> tuple[Device, ...]:
    names = [of.name for of in fields(Device)]
    try:
        devices = tuple(Device(**one) for one in json.loads(reading.devices or ""))
    except (ValueError, TypeError):
        devices = ()
    if not devices or any(
        type(getattr(one, name)) is not (str if name == "name" else int) for one in devices for name in names
    ):
        raise BooksError(
            f"{reading.party}: the reading of slot {reading.slot} has no devices but {reading.devices!r:.80}"
        )
    return devices


@dataclass(frozen=True, slots=True)
class Reported:
    """What a utility's customer reported of a slot first; `state` is `waiting`, `closed` (priced in the slot's closing)
    or `alone` (priced unshared). `provisional` until the last word on it has come.
    """

    party: str
    slot: int
    household: str
    imported_wh: int
    exported_wh: int
    sold_wh: int
    provisional: bool
    state: str

    @property
    def net_wh(self) -> int:
        """Net import; export is negative."""
        return self.imported_wh - self.exported_wh


@dataclass(frozen=True, slots=True)
class Held:
    """A customer's reading that a utility holds for a person; `state` is `held`, then `accepted`, `estimated` or
    `corrected` (what is billed stands in `Reported`, and in the ledger's corrections), or `replaced` by its household
    before.
    """

    party: str
    slot: int
    household: str
    imported_wh: int
    exported_wh: int
    sold_wh: int
    state: str

    @property
    def net_wh(self) -> int:
        """Net import; export is negative."""
        return self.imported_wh - self.exported_wh


@dataclass(frozen=True, slots=True)
class Closing:
    """How a utility shared a slot; prices per kWh, `price_micro` None where nothing could be shared.

    It was closed with `forgotten` more readings, of households that were forgotten since; then entry `number` of the
    utility's chain commits to that, with `salt` (hexadecimal).
    """

    party: str
    slot: int
    sharing_key: str
    seed: int
    price_micro: int | None
    tariff_micro: int
    feed_in_micro: int
    local_fee_micro: int
    forgotten: int = 0
    number: int | None = None
    salt: str | None = None


@dataclass(frozen=True, slots=True)
class Messages:
    """How many messages of a Beckn action a party has sent, up to its last slot."""

    party: str
    action: str
    sent: int


@dataclass(frozen=True, slots=True)
class Account:
    """Since when (wall time; 0: not known) a party has its ledger, and the id of that ledger."""

    party: str
    account: str
    opened_ms: int


@dataclass(frozen=True, slots=True)
class ClosingRecord:
    """What a counterparty that left says it had booked with a party, in all, before the slot `until`.

    Energy received and money earned by the counterparty are positive. `record` is the text that it signed, `signature`
    the Authorization header of that, `public_key` (base64) the key that the registry had of it.
    """

    party: str
    counterparty: str
    account: str
    until: int
    entries: int
    energy_wh: int
    amount_micro: int
    record: str
    signature: str
    public_key: str


@dataclass(frozen=True, slots=True)
class Carried:
    """What a party has booked of a kind with another for slots before `until`, of which it has deleted the rows.

    How many entries, energy received and given (Wh), and money earned (millionths). Entry `number` of the party's chain
    commits to it, with `salt` (hexadecimal).
    """

    party: str
    counterparty: str
    kind: str
    until: int
    entries: int
    received_wh: int
    given_wh: int
    amount_micro: int
    number: int | None = None
    salt: str | None = None


@dataclass(frozen=True, slots=True)
class Deletions:
    """What entry `number` of a party's chain commits to with `salt` (hexadecimal), the last one about deleted rows.

    So many rows of the chain are `without_entry` by then, itself among them. `sums` has the numbers of the entries that
    commit to what is carried forward, as a JSON list in ascending order.
    """

    party: str
    number: int
    salt: str
    without_entry: int
    sums: str


@dataclass(frozen=True, slots=True)
class Forgetting:
    """That a pod was told to forget a household: a hash of its id after the salt, both hexadecimal. Nothing of it that
    belongs to a slot before `before` may be left anywhere.
    """

    digest: str
    salt: str
    before: int


@dataclass(frozen=True, slots=True)
class ChainLink:
    """Entry `number` of the hash chain over a party's ledger: which entry it is, its salt, and the head after it.

    Of an entry that was deleted, `commitment` is left in place of these; so it is from the start where an entry commits
    to what is left of deleted ones. Salt and hashes are hexadecimal.
    """

    party: str
    number: int
    kind: str | None
    slot: int | None
    counterparty: str | None
    reference: str | None
    salt: str | None
    commitment: str | None
    head: str


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """What `signer` has signed of its chain after the day that ended with `until`, as `party` keeps it.

    `record` is the text that it signed, `signature` the Authorization header of that, `public_key` (base64) the key
    that the registry had of it.
    """

    party: str
    signer: str
    until: int
    record: str
    signature: str
    public_key: str


@dataclass(frozen=True, slots=True)
class Book:
    """All rows of one runtime at one moment; `name` is the runtime's pod."""

    name: str
    parties: tuple[Party, ...] = ()
    contracts: tuple[ContractRow, ...] = ()
    ledger: tuple[LedgerEntry, ...] = ()
    readings: tuple[Reading, ...] = ()
    messages: tuple[Messages, ...] = ()
    reported: tuple[Reported, ...] = ()
    held: tuple[Held, ...] = ()
    closings: tuple[Closing, ...] = ()
    accounts: tuple[Account, ...] = ()
    closing_records: tuple[ClosingRecord, ...] = ()
    chain: tuple[ChainLink, ...] = ()
    checkpoints: tuple[Checkpoint, ...] = ()
    carried: tuple[Carried, ...] = ()
    deletions: tuple[Deletions, ...] = ()
    forgettings: tuple[Forgetting, ...] = ()


@dataclass(frozen=True, slots=True)
class Pair:
    """A delivery of a contract as its two sides hold it; None where a side has no record. One of them is there."""

    buyer: ContractRow | None
    seller: ContractRow | None

    @property
    def known(self) -> ContractRow:
        """The seller's record, as the seller decides and meters; the buyer's where there is no other."""
        row = self.seller or self.buyer
        if row is None:
            raise ValueError("a pair needs a side")
        return row


def paired(contracts: Iterable[ContractRow]) -> list[Pair]:
    """Deliveries by transaction, buyer, seller and slot; ordered by slot, then by those."""
    sides: dict[tuple[str, str, str, int], dict[str, ContractRow]] = {}
    for row in contracts:
        sides.setdefault((row.transaction_id, row.buyer, row.seller, row.slot), {})[row.side] = row
    pairs = [Pair(of.get("buyer"), of.get("seller")) for _, of in sorted(sides.items())]
    return sorted(pairs, key=lambda pair: pair.known.slot)
