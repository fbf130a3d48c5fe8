"""A contract as one of its two sides holds it: terms once, deliveries one by one, and the states both go through."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from enum import StrEnum
from typing import NamedTuple


class ContractState(StrEnum):
    """Where a delivery stands, and so a contract. QUOTED and AGREED reserve energy at the seller; CONFIRMED commits."""

    QUOTED = "QUOTED"
    AGREED = "AGREED"
    CONFIRMED = "CONFIRMED"
    DELIVERED = "DELIVERED"
    SETTLED = "SETTLED"
    EXPIRED = "EXPIRED"
    CANCELLED = "CANCELLED"


class Side(StrEnum):
    """Which side of a contract a party is on."""

    BUYER = "buyer"
    SELLER = "seller"


class Ended(StrEnum):
    """Why a contract, or a delivery of it, came to nothing."""

    GATE_CLOSED = "gate closed before it was confirmed"
    QUOTE_RAN_OUT = "quote ran out"
    NOT_AGREED = "no answer to init"
    NOT_TAKEN = "quote not taken in time"
    BY_BUYER = "cancelled by the buyer"
    BY_SELLER = "ended by the seller"
    UNKNOWN_TO_SELLER = "unknown to the seller"
    RESTORED = "run out in the seller's restored books"


_NEXT = {
    ContractState.QUOTED: {ContractState.AGREED, ContractState.EXPIRED, ContractState.CANCELLED},
    ContractState.AGREED: {ContractState.CONFIRMED, ContractState.EXPIRED, ContractState.CANCELLED},
    ContractState.CONFIRMED: {ContractState.DELIVERED, ContractState.CANCELLED},
    ContractState.DELIVERED: {ContractState.SETTLED},
}
TENTATIVE = frozenset((ContractState.QUOTED, ContractState.AGREED))
OPEN = frozenset((*TENTATIVE, ContractState.CONFIRMED, ContractState.DELIVERED))
PROMISED = frozenset((*TENTATIVE, ContractState.CONFIRMED))
DELIVERED = frozenset((ContractState.DELIVERED, ContractState.SETTLED))
OVER = frozenset((ContractState.EXPIRED, ContractState.CANCELLED))
_PROGRESS = {state: number for number, state in enumerate(ContractState)}


def least_advanced(states: Sequence[ContractState]) -> ContractState:
    """Where a whole stands whose parts stand so: those that came to nothing count only when all did."""
    return min([state for state in states if state not in OVER], key=_PROGRESS.__getitem__, default=states[0])


class WrongState(Exception):
    """A contract was asked for a step that its state does not allow."""


class Delivery(NamedTuple):
    """One slot of a contract: energy in Wh, money in millionths of the currency; `slot` is grid time in unix seconds.

    `amount_micro` is the price in all as the seller quoted it, `fee_micro` the grid fee in it; `settled_micro` is what
    the delivered part costs. `sun_wh` of it the seller expects of the slot's own surplus (0 at the buyer);
    `offered_micro_per_kwh` is what the buyer was offered it for (None at the seller).
    """

    slot: int
    item_id: str
    energy_wh: int
    amount_micro: int
    fee_micro: int
    state: ContractState
    delivered_wh: int | None = None
    settled_micro: int | None = None
    sun_wh: int = 0
    offered_micro_per_kwh: int | None = None

    def to(self, state: ContractState, metered: tuple[int, int] | None = None) -> Delivery:
        """The same in a later state, with what was `metered` and what that costs; WrongState when the state does not
        lead there.
        """
        if state not in _NEXT.get(self.state, ()):
            raise WrongState(f"cannot go from {self.state} to {state}")
        delivered_wh, settled_micro = metered or (self.delivered_wh, self.settled_micro)
        return Delivery(
            self.slot,
            self.item_id,
            self.energy_wh,
            self.amount_micro,
            self.fee_micro,
            state,
            delivered_wh,
            settled_micro,
            self.sun_wh,
            self.offered_micro_per_kwh,
        )


Key = tuple[str, str]
"""What names a contract among those of a party: its transaction and the counterparty."""


class Contract(NamedTuple):
    """One side's record of a contract. Times are milliseconds of wall time; deliveries are in order of their slots.

    `in_doubt` marks a buyer that has sent `confirm` and not heard what became of it. `searched_ms` is when the buyer's
    search for it began and `offers` how many offers it chose among (None at a seller), `confirmed_ms` when this side
    had it in force. `reason` says why it, or a part of it, came to nothing. `provider` is whose energy it is where the
    seller is a platform that sells for others; None: the seller's own.
    """

    party: str
    side: Side
    transaction_id: str
    counterparty: str
    deliveries: tuple[Delivery, ...]
    expires_ms: int
    created_ms: int
    updated_ms: int
    order_id: str | None = None
    in_doubt: bool = False
    reason: str | None = None
    searched_ms: int | None = None
    confirmed_ms: int | None = None
    offers: int | None = None
    provider: str | None = None

    @property
    def key(self) -> Key:
        """What names it among those of its party."""
        return self.transaction_id, self.counterparty

    @property
    def state(self) -> ContractState:
        """Its least advanced delivery's, of those that did not come to nothing."""
        deliveries = self.deliveries
        if len(deliveries) == 1:
            return deliveries[0].state
        return least_advanced([delivery.state for delivery in deliveries])

    @property
    def first_slot(self) -> int:
        """The earliest slot: with its gate the time to confirm is over."""
        return self.deliveries[0].slot

    @property
    def last_slot(self) -> int:
        """The latest slot."""
        return self.deliveries[-1].slot

    @property
    def energy_wh(self) -> int:
        """What was agreed in all."""
        return sum([delivery.energy_wh for delivery in self.deliveries])

    @property
    def amount_micro(self) -> int:
        """What that costs: the sum of its deliveries' amounts, each rounded once."""
        deliveries = self.deliveries
        if len(deliveries) == 1:
            return deliveries[0].amount_micro
        return sum([delivery.amount_micro for delivery in deliveries])

    @property
    def fee_micro(self) -> int:
        """The grid fee in it."""
        return sum([delivery.fee_micro for delivery in self.deliveries])

    def of_slot(self, slot: int) -> Delivery | None:
        """The delivery of a slot."""
        for delivery in self.deliveries:
            if delivery.slot == slot:
                return delivery
        return None

    def delivery(self, slot: int) -> Delivery:
        """The delivery of a slot that is known to be in it; WrongState when it is not."""
        found = self.of_slot(slot)
        if found is None:
            raise WrongState(f"has no delivery in slot {slot}")
        return found

    def paid_for(self, slot: int | None) -> Delivery | None:
        """The delivery that a payment is for: the slot's, or the only one where it names none."""
        if slot is None:
            return self.deliveries[0] if len(self.deliveries) == 1 else None
        return self.of_slot(slot)

    def expired(self, now_ms: int) -> bool:
        """Whether its quote has run out unconfirmed. In doubt nothing expires: only the seller knows."""
        return now_ms >= self.expires_ms and not self.in_doubt and self.state in TENTATIVE

    def agreed(self, order_id: str | None, now_ms: int) -> Contract:
        """Terms fixed, under an order id where the seller has given one already."""
        return self._moved(self._all_to(ContractState.AGREED), now_ms, order_id=order_id)

    def named(self, order_id: str) -> Contract:
        """Under the order id that the seller has given it at last."""
        return self._replace(order_id=order_id)

    def doubted(self, now_ms: int) -> Contract:
        """`confirm` is on its way."""
        if self.state is not ContractState.AGREED:
            raise WrongState(f"cannot confirm what is {self.state}")
        return self._moved(self.deliveries, now_ms, in_doubt=True)

    def confirmed(self, now_ms: int) -> Contract:
        """In force."""
        return self._moved(self._all_to(ContractState.CONFIRMED), now_ms, in_doubt=False, confirmed_ms=now_ms)

    def delivered(self, slot: int, delivered_wh: int, settled_micro: int, now_ms: int) -> Contract:
        """One slot metered. At most what was contracted is ever booked."""
        found = self.delivery(slot)
        if not 0 <= delivered_wh <= found.energy_wh:
            raise WrongState(f"cannot book {delivered_wh} Wh of a contract over {found.energy_wh} Wh")
        return self._with(found.to(ContractState.DELIVERED, (delivered_wh, settled_micro)), now_ms)

    def settled(self, slot: int, now_ms: int) -> Contract:
        """One slot paid."""
        return self._with(self.delivery(slot).to(ContractState.SETTLED), now_ms)

    def ended(self, state: ContractState, reason: str, now_ms: int, slots: Collection[int] | None = None) -> Contract:
        """EXPIRED or CANCELLED, and why: the whole, or the deliveries of some slots.

        Where one delivery has ended, the others may still be in doubt.
        """
        if slots is None:
            deliveries = self._all_to(state)
        else:
            deliveries = tuple([one.to(state) if one.slot in slots else one for one in self.deliveries])
        in_doubt = self.in_doubt and any(one.state in TENTATIVE for one in deliveries)
        return self._moved(deliveries, now_ms, in_doubt=in_doubt, reason=reason)

    def _all_to(self, state: ContractState) -> tuple[Delivery, ...]:
        # What has come to nothing stays so; where that is all there is, there is no further step.
        over = self.state in OVER
        return tuple([one if one.state in OVER and not over else one.to(state) for one in self.deliveries])

    def _with(self, changed: Delivery, now_ms: int) -> Contract:
        deliveries = self.deliveries
        new: tuple[Delivery, ...] = (changed,)
        if len(deliveries) > 1:
            new = tuple([changed if one.slot == changed.slot else one for one in deliveries])
        return self._moved(new, now_ms)

    def _moved(
        self,
        deliveries: tuple[Delivery, ...],
        now_ms: int,
        *,
        order_id: str | None = None,
        in_doubt: bool | None = None,
        reason: str | None = None,
        confirmed_ms: int | None = None,
    ) -> Contract:
        # A contract moves on nine times in its life; `_replace` takes thrice as long.
        return Contract(
            self.party,
            self.side,
            self.transaction_id,
            self.counterparty,
            deliveries,
            self.expires_ms,
            self.created_ms,
            now_ms,
            self.order_id if order_id is None else order_id,
            self.in_doubt if in_doubt is None else in_doubt,
            self.reason if reason is None else reason,
            self.searched_ms,
            self.confirmed_ms if confirmed_ms is None else confirmed_ms,
            self.offers,
            self.provider,
        )
