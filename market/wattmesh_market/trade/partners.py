"""What a party makes of how its partners kept their word: whom it passes over for a while, and whom it trusts.

All of it follows from the contracts of the last day, so it survives a restart and can be explained by them. It is
forgiven: a kept word makes good all that was broken before, and nothing weighs longer than a day.
"""

from __future__ import annotations

from collections.abc import Iterable

from wattmesh_market.energy.slots import DAY_S, SLOT_S
from wattmesh_market.trade.contracts import DELIVERED, Contract, ContractState, Ended, Side

MOST_DOUBTS = 4
"""With so many contracts in doubt a buyer takes offers of sellers only that have delivered to it within the day."""
FAILURES_FORGIVEN = 1
"""Of a seller in a row, without harm: a forecast of sun fails, a disk is lost."""
_LONGEST_DOUBLINGS = 6
"""A partner rests for at most 64 slots."""


def is_unanswered(contract: Contract, now_slot: int) -> bool:
    """Whether a buyer waits for its seller's word: on a confirmation, or for more than a slot on what was delivered."""
    late = any(one.state is ContractState.CONFIRMED and one.slot + SLOT_S < now_slot for one in contract.deliveries)
    return contract.in_doubt or late


def has_failed(contract: Contract) -> bool:
    """Whether a partner has broken its word: a seller by cancelling or losing what the buyer had confirmed or by
    delivering nothing of it, a buyer by letting a quote run out.
    """
    if contract.side is Side.SELLER:
        return contract.state is ContractState.EXPIRED
    if contract.order_id is None:
        return False
    reason = contract.reason or ""
    if contract.state is ContractState.CANCELLED and reason.startswith((Ended.UNKNOWN_TO_SELLER, Ended.BY_SELLER)):
        return True
    return any(one.state in DELIVERED for one in contract.deliveries) and not _delivered_wh(contract)


def has_kept(contract: Contract) -> bool:
    """Whether a partner has kept its word: a seller by delivering, a buyer by taking what it was quoted."""
    if contract.side is Side.SELLER:
        return contract.state is ContractState.CONFIRMED or contract.state in DELIVERED
    return _delivered_wh(contract) > 0


def rests_until(contracts: Iterable[Contract], now_slot: int, forgiven: int) -> tuple[int, int]:
    """How often in a row a partner has failed of late, and before which slot it is therefore passed over.

    `contracts` are those with it, on one side. After more failures than are `forgiven` it rests for two slots from the
    one that the last was about, then for twice as long each time.
    """
    within = sorted(
        [one for one in contracts if one.last_slot >= now_slot - DAY_S], key=lambda one: (one.created_ms, one.key)
    )
    failures, last_slot = 0, 0
    for contract in within:
        if has_failed(contract):
            failures += 1
            last_slot = min(contract.last_slot, now_slot)
        elif has_kept(contract):
            failures = 0
    if failures <= forgiven:
        return failures, 0
    return failures, last_slot + SLOT_S * 2 ** min(failures - forgiven, _LONGEST_DOUBLINGS)


def _delivered_wh(contract: Contract) -> int:
    return sum([one.delivered_wh or 0 for one in contract.deliveries])
