"""What a pod says on its pages `/status` (read by the operator), `/live` and `/history` (read by the gateway).

Energy is in Wh, money in millionths of the currency. Readers treat a page as untrusted input: every field is bounded,
unknown ones are ignored. Pod and reader may be of different versions, so a field that is added needs a default.
"""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum
from typing import Annotated, Literal, NamedTuple

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter

from wattmesh_market.parties.books import Role
from wattmesh_market.trade.contracts import ContractState, Side

SLOTS_BACK = 4
"""`/live` shows contracts from that many slots before the current one: by then they are settled. Who asks for the first
time is shown all that are in memory.
"""
MOST_DISTRUSTED = 20
"""On `/status`, of each party."""
MOST_HISTORY_SLOTS = 192
"""On a page `/history`: two days."""

Id = Annotated[str, Field(max_length=253)]
TransactionId = Annotated[str, Field(max_length=36)]
Text = Annotated[str, Field(max_length=500)]
Whole = Annotated[int, Field(ge=-(2**53) + 1, lt=2**53)]
"""What JavaScript's numbers hold exactly."""
Amount = Annotated[int, Field(ge=0, lt=2**53)]


class PartyKind(StrEnum):
    """What a party is."""

    HOUSEHOLD = "household"
    UTILITY = "utility"


class Answer(StrEnum):
    """How a message was answered. LOST: nobody answered within its ttl."""

    ACK = "ACK"
    NACK = "NACK"
    LOST = "LOST"


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="ignore")


class PartyState(_Part):
    """How a household or utility stands. A utility's level and capacity are 0. `held_readings` are held by the
    household's utility for a person.
    """

    name: Id
    kind: PartyKind
    subscriber_id: Id
    feeder: Id
    level_wh: Amount
    capacity_wh: Amount
    sold_wh: Amount
    bought_wh: Amount
    balance_micro: Whole
    currency: Annotated[str, Field(max_length=3)]
    open_contracts: Amount
    in_doubt: Amount
    draining: bool
    held_readings: Amount = 0


class Distrusted(_Part):
    """A partner that is passed over or on trial, by which side one has of its contracts, and why."""

    partner: Id
    side: Side
    why: Text


class PartyStatus(PartyState):
    """An entry of `/status`. `metered_until` is grid time, `key_id` the key that the party signs with, `account` the id
    of its ledger (empty from a pod of a version that says none).

    `waits_until` is the wall time at which grid time has caught up with the party's books, where these are ahead of it:
    until then it neither trades nor answers. None where all is as it should be. `distrusts` are partners that did not
    keep their word of late, the first of them by id.
    """

    metered_until: datetime
    key_id: Annotated[str, Field(max_length=253)]
    waits_until: datetime | None = None
    account: Annotated[str, Field(max_length=36)] = ""
    distrusts: Annotated[tuple[Distrusted, ...], Field(max_length=MOST_DISTRUSTED)] = ()


class LiveParty(PartyState):
    """A party on `/live`. Prices are per kWh. Role and price are of `slot`; `next_` is about the one after it, which is
    traded in `slot`.

    The grid fee comes on top of what it sells at, to those on its feeder.
    """

    role: Role | None
    next_role: Role | None
    price_micro_per_kwh: Whole
    next_price_micro_per_kwh: Whole
    grid_fee_micro_per_kwh: Amount
    feed_in_micro_per_kwh: Whole
    slot: Amount = 0


class LiveContract(_Part):
    """One side's record of a contract."""

    party: Id
    side: Side
    transaction_id: TransactionId
    counterparty: Id
    slot: Amount
    energy_wh: Amount
    amount_micro: Amount
    state: ContractState
    in_doubt: bool
    delivered_wh: Amount | None
    settled_micro: Amount | None
    reason: Text | None
    created_ms: Amount
    updated_ms: Amount


class LiveMessage(_Part):
    """A message and how it was answered; `text` says why it is no ACK."""

    kind: Literal["message"] = "message"
    at_ms: Amount
    transaction_id: TransactionId
    message_id: Annotated[str, Field(max_length=36)]
    action: Annotated[str, Field(max_length=20)]
    sender: Id
    recipient: Id
    answer: Answer
    text: Text


class LiveStory(_Part):
    """A line of a party's story."""

    kind: Literal["story"] = "story"
    at_ms: Amount
    transaction_id: TransactionId | None
    party: Id
    text: Text


class Grid(_Part):
    """Grid time at the pod, and how fast it goes."""

    now_s: float = Field(ge=0, lt=2**40, allow_inf_nan=False)
    speed: float = Field(gt=0, le=1_000_000, allow_inf_nan=False)
    utc_offset_s: int = Field(ge=-86_400, le=86_400)


class LiveReading(NamedTuple):
    """What was metered in a slot; a list in JSON."""

    slot: Amount
    level_after_wh: Amount
    pv_wh: Amount
    load_wh: Amount
    bought_wh: Amount
    sold_wh: Amount
    imported_wh: Amount
    exported_wh: Amount


class LivePage(_Part):
    """The page `/live`.

    `number` is that of the last happening on it, to be asked for next; `boot` changes with each start of the pod.
    `open_purchases` are the transactions in which its parties still want to buy; None: the pod does not say.
    `missed_gates` counts purchases since the pod's start that were not done when the gate closed.
    """

    boot: Annotated[str, Field(max_length=64)]
    number: Amount
    grid: Grid
    parties: Annotated[tuple[LiveParty, ...], Field(max_length=2_000)]
    contracts: Annotated[tuple[LiveContract, ...], Field(max_length=2_000)]
    readings: dict[Id, Annotated[tuple[LiveReading, ...], Field(max_length=200)]]
    happenings: Annotated[
        tuple[Annotated[LiveMessage | LiveStory, Field(discriminator="kind")], ...], Field(max_length=2_000)
    ]
    open_purchases: Annotated[tuple[TransactionId, ...], Field(max_length=2_000)] | None = None
    missed_gates: Amount = 0


class HistoryRow(NamedTuple):
    """The readings of a slot and what is booked for it, summed over a pod's households on a feeder; a list in JSON.

    `net_wh` is what came in less what went out. `taken_wh` was bought or supplied, `local_wh` of it came from other
    households. `saved_micro` is how much better its trades were than the utility's prices for the same energy.
    `unbooked` counts readings whose money is not booked yet.
    """

    slot: Amount
    households: Amount
    pv_wh: Amount
    load_wh: Amount
    net_wh: Whole
    level_before_wh: Amount
    level_after_wh: Amount
    taken_wh: Amount
    local_wh: Amount
    saved_micro: Whole
    unbooked: Amount


class HistoryPage(_Part):
    """The page `/history`: rows by feeder, oldest first, of the slots before `until`, which is to be asked for next.

    `more`: there are later ones already.
    """

    until: Amount
    more: bool
    feeders: Annotated[
        dict[Id, Annotated[tuple[HistoryRow, ...], Field(max_length=MOST_HISTORY_SLOTS)]], Field(max_length=2_000)
    ]


class SlotPage(_Part):
    """The page `/history/<slot>`: each household's reading of one slot, and each side's record of its contracts."""

    readings: Annotated[dict[Id, LiveReading], Field(max_length=2_000)]
    contracts: Annotated[tuple[LiveContract, ...], Field(max_length=4_000)]


_STATUS = TypeAdapter(tuple[PartyStatus, ...])


def read_status(body: bytes) -> tuple[PartyStatus, ...]:
    """The parties on a page `/status`. Raises pydantic's ValidationError, a ValueError, if it is none."""
    return _STATUS.validate_json(body)


def read_live(body: bytes) -> LivePage:
    """The page `/live` in an answer's body. Raises pydantic's ValidationError, a ValueError, if it is none."""
    return LivePage.model_validate_json(body, strict=True)


def read_history(body: bytes) -> HistoryPage:
    """The page `/history` in an answer's body. Raises pydantic's ValidationError, a ValueError, if it is none."""
    return HistoryPage.model_validate_json(body, strict=True)


def read_slot(body: bytes) -> SlotPage:
    """The page `/history/<slot>` in an answer's body. Raises pydantic's ValidationError if it is none."""
    return SlotPage.model_validate_json(body, strict=True)
