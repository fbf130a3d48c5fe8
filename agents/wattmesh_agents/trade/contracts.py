"""A contract, as one of its two sides holds it, and the states it may go through."""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import StrEnum


class ContractState(StrEnum):
    """Where a contract stands. QUOTED and AGREED reserve energy at the seller; CONFIRMED commits it."""

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


_NEXT = {
    ContractState.QUOTED: {ContractState.AGREED, ContractState.EXPIRED, ContractState.CANCELLED},
    ContractState.AGREED: {ContractState.CONFIRMED, ContractState.EXPIRED, ContractState.CANCELLED},
    ContractState.CONFIRMED: {ContractState.DELIVERED, ContractState.CANCELLED},
    ContractState.DELIVERED: {ContractState.SETTLED},
}
TENTATIVE = (ContractState.QUOTED, ContractState.AGREED)
OPEN = (*TENTATIVE, ContractState.CONFIRMED, ContractState.DELIVERED)
PROMISED = (*TENTATIVE, ContractState.CONFIRMED)
DELIVERED = (ContractState.DELIVERED, ContractState.SETTLED)


class WrongState(Exception):
    """A contract was asked for a step that its state does not allow."""


@dataclass(frozen=True)
class Contract:
    """One side's record of a contract. Times are milliseconds of wall time, `slot` is grid time in unix seconds.

    `amount_micro` is the price in all as the seller quoted it, `fee_micro` the grid fee in it; `settled_micro` is what
    the delivered part costs. `in_doubt` marks a buyer that has sent `confirm` and not heard what became of it.
    `searched_ms` is when the buyer's search for it began (None at a seller), `confirmed_ms` when this side had it in
    force.
    """

    party: str
    side: Side
    transaction_id: str
    counterparty: str
    item_id: str
    slot: int
    energy_wh: int
    amount_micro: int
    state: ContractState
    expires_ms: int
    created_ms: int
    updated_ms: int
    order_id: str | None = None
    delivered_wh: int | None = None
    settled_micro: int | None = None
    in_doubt: bool = False
    reason: str | None = None
    fee_micro: int = 0
    searched_ms: int | None = None
    confirmed_ms: int | None = None

    def expired(self, now_ms: int) -> bool:
        """Whether its quote has run out unconfirmed. In doubt nothing expires: only the seller knows."""
        return self.state in TENTATIVE and not self.in_doubt and now_ms >= self.expires_ms

    def agreed(self, order_id: str, now_ms: int) -> Contract:
        """Terms fixed under an order id."""
        return replace(self._to(ContractState.AGREED, now_ms), order_id=order_id)

    def doubted(self, now_ms: int) -> Contract:
        """`confirm` is on its way."""
        if self.state is not ContractState.AGREED:
            raise WrongState(f"cannot confirm what is {self.state}")
        return replace(self, in_doubt=True, updated_ms=now_ms)

    def confirmed(self, now_ms: int) -> Contract:
        """In force."""
        return replace(self._to(ContractState.CONFIRMED, now_ms), in_doubt=False, confirmed_ms=now_ms)

    def delivered(self, delivered_wh: int, settled_micro: int, now_ms: int) -> Contract:
        """Metered. At most what was contracted is ever booked."""
        if not 0 <= delivered_wh <= self.energy_wh:
            raise WrongState(f"cannot book {delivered_wh} Wh of a contract over {self.energy_wh} Wh")
        contract = self._to(ContractState.DELIVERED, now_ms)
        return replace(contract, delivered_wh=delivered_wh, settled_micro=settled_micro)

    def settled(self, now_ms: int) -> Contract:
        """Paid."""
        return self._to(ContractState.SETTLED, now_ms)

    def ended(self, state: ContractState, reason: str, now_ms: int) -> Contract:
        """EXPIRED or CANCELLED, and why."""
        return replace(self._to(state, now_ms), in_doubt=False, reason=reason)

    def _to(self, state: ContractState, now_ms: int) -> Contract:
        if state not in _NEXT.get(self.state, ()):
            raise WrongState(f"cannot go from {self.state} to {state}")
        return replace(self, state=state, updated_ms=now_ms)
