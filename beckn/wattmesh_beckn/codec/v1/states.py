"""What `order.status` and the states of fulfillments mean. The status is read first: it is the one that core names."""

from __future__ import annotations

from collections.abc import Mapping

from wattmesh_beckn.errors import ErrorCode, declined
from wattmesh_beckn.messages import Descriptor
from wattmesh_market.trade.contracts import DELIVERED, OVER, ContractState

ACTIVE, COMPLETE, CANCELLED = "ACTIVE", "COMPLETE", "CANCELLED"
_STATUSES: Mapping[str, str] = {
    "ACTIVE": ACTIVE,
    "CREATED": ACTIVE,
    "ACCEPTED": ACTIVE,
    "CONFIRMED": ACTIVE,
    "IN_PROGRESS": ACTIVE,
    "COMPLETE": COMPLETE,
    "COMPLETED": COMPLETE,
    "CANCELLED": CANCELLED,
    "CANCELED": CANCELLED,
    "REJECTED": CANCELLED,
}
"""Core has ACTIVE, COMPLETE and CANCELLED; networks write others, too."""
_OWN: Mapping[str | None, ContractState] = {state.value: state for state in ContractState}
_COARSE = frozenset({"ORDER_PLACED", "ORDER_COMPLETED", "CANCELLED"})
_STATES: Mapping[str | None, ContractState] = {
    **_OWN,
    "ORDER_PLACED": ContractState.CONFIRMED,
    "ORDER_ACCEPTED": ContractState.CONFIRMED,
    "ORDER_CONFIRMED": ContractState.CONFIRMED,
    "ACCEPTED": ContractState.CONFIRMED,
    "SCHEDULED": ContractState.CONFIRMED,
    "PENDING": ContractState.CONFIRMED,
    "IN_PROGRESS": ContractState.CONFIRMED,
    "ACTIVE": ContractState.CONFIRMED,
    "ORDER_DELIVERED": ContractState.DELIVERED,
    "ORDER_COMPLETED": ContractState.DELIVERED,
    "COMPLETE": ContractState.DELIVERED,
    "COMPLETED": ContractState.DELIVERED,
    "FULFILLED": ContractState.DELIVERED,
    "ORDER_CANCELLED": ContractState.CANCELLED,
    "CANCELED": ContractState.CANCELLED,
    "REJECTED": ContractState.CANCELLED,
}


def status_named(text: str | None, path: str) -> str | None:
    """Core's status for what stands in `order.status`; declined when it is none that is known."""
    if text is None:
        return None
    status = _STATUSES.get(_normal(text))
    if status is None:
        raise declined(ErrorCode.BUSINESS_ERROR, f"an order with status {text!r} is not understood here", path)
    return status


def state_named(descriptor: Descriptor | None, status: str | None, path: str) -> ContractState | None:
    """How a delivery stands, by its fulfillment's state and its order's status; None when neither says.

    Where the network's codes are too few, wattmesh says in the name which state it is. Declined when the code is none
    that is known.
    """
    state, code = None, descriptor.code if descriptor else None
    if descriptor is not None and descriptor.name in _OWN and code in _COARSE:
        state = _OWN[descriptor.name]
    elif code is not None:
        state = _STATES.get(_normal(code))
        if state is None:
            raise declined(ErrorCode.BUSINESS_ERROR, f"a fulfillment in state {code!r} is not understood here", path)
    if status == CANCELLED:
        return state if state in OVER else ContractState.CANCELLED
    if status == COMPLETE:
        return state if state in DELIVERED or state in OVER else ContractState.DELIVERED
    return ContractState.CONFIRMED if status == ACTIVE and state is None else state


def _normal(text: str) -> str:
    return text.upper().replace("-", "_").replace(" ", "_")
