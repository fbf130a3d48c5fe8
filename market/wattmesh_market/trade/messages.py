"""What parties say to each other, in the market's own terms. A codec translates it to and from a network's messages.

Energy is in Wh, money in millionths of the currency, a slot is its start in unix seconds of grid time. Who says it to
whom, and in which transaction, stands outside of a message (`Call`, `Send`).
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from typing import NamedTuple

from wattmesh_market.trade.contracts import ContractState
from wattmesh_market.trade.offers import Offer
from wattmesh_market.trade.refusal import Reason


class Action(StrEnum):
    """What a message is called among parties: a request, or the callback that answers it."""

    SEARCH = "search"
    SELECT = "select"
    INIT = "init"
    CONFIRM = "confirm"
    STATUS = "status"
    CANCEL = "cancel"
    UPDATE = "update"
    PUBLISH = "publish"
    ON_SEARCH = "on_search"
    ON_SELECT = "on_select"
    ON_INIT = "on_init"
    ON_CONFIRM = "on_confirm"
    ON_STATUS = "on_status"
    ON_CANCEL = "on_cancel"
    ON_UPDATE = "on_update"
    ON_PUBLISH = "on_publish"


class Search(NamedTuple):
    """A buyer asks what could be had in a slot, and what beside it in later ones that begin before `until`, if any.

    With `window` any of them will do, without the first one, too. How much it needs may not be said.
    """

    slot: int
    energy_wh: int | None
    until: int | None = None
    window: bool = False


class Offers(NamedTuple):
    """What sellers could spare, by slot: a seller's answer, or the discovery service's. Nothing is held for it."""

    offers: tuple[tuple[int, Offer], ...]


class Publish(NamedTuple):
    """A seller tells the discovery service all that it could spare, by slot, in place of what it told before."""

    offers: tuple[tuple[int, Offer], ...]


class Wanted(NamedTuple):
    """How much a buyer wants in a slot."""

    slot: int
    item_id: str
    energy_wh: int


class Select(NamedTuple):
    """A buyer asks a provider, the seller itself or one that it sells for, for a quote."""

    provider: str
    wanted: tuple[Wanted, ...]


class Line(NamedTuple):
    """A slot of a quote. `amount_micro` is the price in all, `fee_micro` the grid fee in it, None if none is stated."""

    slot: int
    item_id: str
    energy_wh: int
    amount_micro: int
    fee_micro: int | None


class Terms(NamedTuple):
    """What is quoted, agreed or confirmed with a provider: the seller, or one that it sells for.

    `total_micro` is the price in all; the lines' amounts must make it up.
    """

    provider: str
    lines: tuple[Line, ...]
    total_micro: int
    currency: str


class Quote(NamedTuple):
    """A seller's quote, which holds until `expires_ms` (wall time)."""

    terms: Terms
    expires_ms: int


class Init(NamedTuple):
    """A buyer takes a quote, or what was offered if nothing was `quoted`: then it may get less than it asks for."""

    terms: Terms
    quoted: bool = True


class Agreed(NamedTuple):
    """A seller has fixed the terms; `due_micro` is to be paid after delivery. The order's id may come later."""

    order_id: str | None
    terms: Terms
    due_micro: int
    expires_ms: int


class Confirm(NamedTuple):
    """A buyer confirms agreed terms; until it hears what became of that, it is in doubt."""

    order_id: str | None
    terms: Terms
    due_micro: int


class Confirmed(NamedTuple):
    """A seller is committed."""

    order_id: str
    terms: Terms
    due_micro: int


class AskStatus(NamedTuple):
    """A buyer asks how an order stands."""

    order_id: str


class DeliveryStatus(NamedTuple):
    """How one delivery stands; `delivered_wh` and `due_micro` once it was metered."""

    slot: int
    state: ContractState
    delivered_wh: int | None
    due_micro: int | None


class Status(NamedTuple):
    """How an order stands at the seller: asked for, or told after a delivery. `reason` when it came to nothing."""

    order_id: str
    terms: Terms
    deliveries: tuple[DeliveryStatus, ...]
    reason: str | None


class Cancel(NamedTuple):
    """A buyer cancels an order, or the deliveries of some slots of it."""

    order_id: str
    reason: str
    slots: tuple[int, ...] | None = None


class Cancelled(NamedTuple):
    """A seller's answer to that, or its own cancellation: how the order stands now."""

    status: Status


class Paid(NamedTuple):
    """What was paid for the delivery of a slot; None: of the only one."""

    slot: int | None
    amount_micro: int


class Pay(NamedTuple):
    """A buyer has paid for the delivery of a slot (None: of the only one), and for `others` of the same order."""

    order_id: str
    slot: int | None
    amount_micro: int
    currency: str
    others: tuple[Paid, ...] = ()

    @property
    def parts(self) -> tuple[Paid, ...]:
        """What was paid for each delivery."""
        return (Paid(self.slot, self.amount_micro), *self.others)


class Receipt(NamedTuple):
    """A seller has been paid for the delivery of a slot (None: of the only one), and for `others` of the same order."""

    order_id: str
    slot: int | None
    amount_micro: int
    currency: str
    others: tuple[Paid, ...] = ()

    @property
    def parts(self) -> tuple[Paid, ...]:
        """What was paid for each delivery."""
        return (Paid(self.slot, self.amount_micro), *self.others)


class ReportReading(NamedTuple):
    """A household tells its utility what it imported or exported in a slot, and what it sold to others under a fee.

    It is `provisional` where a purchase is in doubt, which counts as import until then; a last one follows.
    """

    order_id: str
    slot: int
    imported_wh: int
    exported_wh: int
    sold_wh: int
    provisional: bool = False


class Readings(NamedTuple):
    """A household tells its utility several readings at once, each of another slot."""

    told: tuple[ReportReading, ...]


class HeldReading(NamedTuple):
    """The utility holds a reading, as it was told, for a person to decide about it. Its price follows then."""

    reading: ReportReading


class SharedPart(NamedTuple):
    """What of a reading was shared with neighbours: its part of the amount, and the local grid fee in that."""

    energy_wh: int
    amount_micro: int
    fee_micro: int


class Basis(StrEnum):
    """What a reading is billed by: what the meter has told, or a person's decision about one that was held."""

    METER = "meter"
    ESTIMATE = "estimated"
    CORRECTION = "corrected"


MOST_CORRECTIONS = 10
"""How often what is billed of one reading is corrected at most."""


class Correction(NamedTuple):
    """What was billed before, and what is paid back for it (negative: owed on top)."""

    imported_wh: int
    exported_wh: int
    back_micro: int


class PricedReading(NamedTuple):
    """The utility has priced a reading: `amount_micro` for import or export, `fee_micro` of it the grid fee.

    `local_fee_micro` is the grid fee on what was sold to others; None where none is stated. Where `corrections` are
    there, the oldest first, the amounts are those of what was billed first, and `reading` is what is billed now. `by`
    says whether a person has had another reading billed than the one that was told.
    """

    order_id: str
    reading: ReportReading
    amount_micro: int
    fee_micro: int
    local_fee_micro: int | None
    currency: str
    shared: SharedPart | None = None
    corrections: tuple[Correction, ...] = ()
    by: Basis = Basis.METER


class Bills(NamedTuple):
    """The utility has priced several readings of a household, each of another slot."""

    priced: tuple[PricedReading, ...]


class Declined(NamedTuple):
    """A partner's answer to a request: an error in place of what was asked for. Sent by others; wattmesh refuses."""

    action: Action
    reason: Reason
    text: str


class PublishResult(NamedTuple):
    """Why what was published was not taken; None: it was. Sent by the discovery service."""

    refusal: str | None


Request = Search | Publish | Select | Init | Confirm | AskStatus | Cancel | Pay | ReportReading | Readings
Callback = Offers | Quote | Agreed | Confirmed | Status | Cancelled | Receipt | PricedReading | Bills | HeldReading
Sent = Request | Callback
Message = Sent | Declined | PublishResult


ACTION_OF: Mapping[type[Sent], Action] = {
    Search: Action.SEARCH,
    Publish: Action.PUBLISH,
    Select: Action.SELECT,
    Init: Action.INIT,
    Confirm: Action.CONFIRM,
    AskStatus: Action.STATUS,
    Cancel: Action.CANCEL,
    Pay: Action.UPDATE,
    ReportReading: Action.UPDATE,
    Readings: Action.UPDATE,
    Offers: Action.ON_SEARCH,
    Quote: Action.ON_SELECT,
    Agreed: Action.ON_INIT,
    Confirmed: Action.ON_CONFIRM,
    Status: Action.ON_STATUS,
    Cancelled: Action.ON_CANCEL,
    Receipt: Action.ON_UPDATE,
    PricedReading: Action.ON_UPDATE,
    Bills: Action.ON_UPDATE,
    HeldReading: Action.ON_UPDATE,
}


class Call(NamedTuple):
    """A message that was received: who says it, in which transaction, and the id that its answer will carry.

    `near` says whether the sender is registered on the receiver's feeder; energy is traded within one. Before `since_s`
    (grid time) it was not registered at all.
    """

    sender: str
    transaction_id: str
    message_id: str
    message: Message
    near: bool = True
    since_s: float = 0.0


class Send(NamedTuple):
    """A message to send. An answer carries the id of what it answers; another is named by `occasion`.

    After `until_ms` (wall time) it is not worth sending any more.
    """

    to: str
    transaction_id: str
    message: Sent
    reply_to: str | None
    occasion: str
    until_ms: int | None
