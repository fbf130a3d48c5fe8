"""What a party makes of how its partners kept their word: whom it passes over for a while, and whom it trusts how far.

All of it follows from the contracts of the last day, so it survives a restart and can be explained by them. Words are
weighed by their energy. It is forgiven: who keeps as much as it has broken is trusted again, and nothing weighs longer
than a day.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import NamedTuple

from wattmesh_market.energy.slots import DAY_S, SLOT_S
from wattmesh_market.trade.contracts import DELIVERED, OVER, PROMISED, Contract, ContractState, Ended, Side
from wattmesh_market.units import kwh_text

MOST_DOUBTS = 4
"""With so many contracts in doubt a buyer takes offers of sellers only that have delivered to it within the day."""
FAILURES_FORGIVEN = 1
"""Of a seller in a row, without harm: a forecast of sun fails, a disk is lost."""
LAPSES_FORGIVEN = 10
"""Of a buyer in a row, without harm: messages are lost."""
TRIAL_WH = 100
"""What a partner that was passed over may have under way at first; then twice what it has kept since."""
_LONGEST_DOUBLINGS = 6
"""A partner rests for at most 64 slots."""
_FORGIVEN = {Side.BUYER: FAILURES_FORGIVEN, Side.SELLER: LAPSES_FORGIVEN}


class Trust(NamedTuple):
    """How far a partner is trusted on a side: `failures` in a row that are not made good.

    Before slot `until` it is passed over. After that it may have `most_wh` under way, with what it has; None: anything.
    """

    failures: int = 0
    until: int = 0
    most_wh: int | None = None


class Distrust(NamedTuple):
    """A partner that is not trusted as others are, on which side of the contracts one stands oneself, and why."""

    partner: str
    side: Side
    why: str


UNANSWERED = "what became of a contract with it is not known"


def is_unanswered(contract: Contract, now_slot: int) -> bool:
    """Whether a buyer waits for its seller's word: on a confirmation, or for more than a slot on what was delivered."""
    if contract.in_doubt or contract.first_slot + SLOT_S >= now_slot:
        return contract.in_doubt
    return any(one.state is ContractState.CONFIRMED and one.slot + SLOT_S < now_slot for one in contract.deliveries)


def broken_and_kept_wh(contract: Contract) -> tuple[int, int]:
    """For how much energy of a contract a partner has broken its word, and for how much it has kept it.

    A seller breaks it by all that it has quoted and not delivered, whatever it says: it is silent, cancels, has lost
    the order, delivers less. A buyer breaks it by what it lets run out or cancels, and keeps it by what it takes.
    """
    broken_wh = kept_wh = 0
    if contract.side is Side.BUYER:
        for _, _, energy_wh, _, _, state, delivered_wh, *_ in contract.deliveries:
            if state in DELIVERED:
                kept_wh += delivered_wh or 0
                broken_wh += energy_wh - (delivered_wh or 0)
            elif state in OVER:
                broken_wh += energy_wh
        return broken_wh, kept_wh
    by_buyer = (contract.reason or "").startswith(Ended.BY_BUYER)
    for _, _, energy_wh, _, _, state, *_ in contract.deliveries:
        if state is ContractState.EXPIRED or (by_buyer and state is ContractState.CANCELLED):
            broken_wh += energy_wh
        elif state is ContractState.CONFIRMED or state in DELIVERED:
            kept_wh += energy_wh
    return broken_wh, kept_wh


def has_failed(contract: Contract) -> bool:
    """Whether a partner has broken its word for more energy than it has kept it."""
    broken_wh, kept_wh = broken_and_kept_wh(contract)
    return broken_wh > kept_wh


def has_kept(contract: Contract) -> bool:
    """Whether a partner has kept its word, for most of the energy."""
    broken_wh, kept_wh = broken_and_kept_wh(contract)
    return kept_wh > 0 and kept_wh >= broken_wh


def trust_of(contracts: Iterable[Contract], now_slot: int) -> Trust:
    """How far a partner is trusted. `contracts` are those with it, on one side.

    After more failures than are forgiven it rests for two slots from the one that the last was about, then for twice as
    long each time. Then it is on trial, until it has kept its word for as much energy as it had broken it.
    """
    within = sorted(
        [one for one in contracts if one.last_slot >= now_slot - DAY_S], key=lambda one: (one.created_ms, one.key)
    )
    failures = last_slot = owed_wh = kept_since_wh = 0
    for contract in within:
        broken_wh, kept_wh = broken_and_kept_wh(contract)
        if broken_wh > kept_wh:
            failures += 1
            last_slot = min(contract.last_slot, now_slot)
            owed_wh += broken_wh - kept_wh
            kept_since_wh = 0
        elif failures:
            owed_wh -= kept_wh - broken_wh
            kept_since_wh += kept_wh
            if owed_wh <= 0:
                failures = owed_wh = 0
    forgiven = _FORGIVEN[within[0].side] if within else 0
    if failures <= forgiven:
        return Trust(failures)
    until = last_slot + SLOT_S * 2 ** min(failures - forgiven, _LONGEST_DOUBLINGS)
    return Trust(failures, until, max(TRIAL_WH, 2 * kept_since_wh))


def left_wh(trust: Trust, contracts: Iterable[Contract], now_slot: int) -> int | None:
    """How much a partner may be bought or sold now, beside what it has under way; None: as much as there is.

    `contracts` are the open ones with it.
    """
    if trust.most_wh is None:
        return None
    if now_slot < trust.until:
        return 0
    under_way = [one.energy_wh for contract in contracts for one in contract.deliveries if one.state in PROMISED]
    return max(0, trust.most_wh - sum(under_way))


def explained(trust: Trust, side: Side, now_slot: int, slot_text: Callable[[int], str]) -> str:
    """Why a partner is passed over, or on trial: for people. `side` is one's own."""
    what = "contracts in a row came to nothing" if side is Side.BUYER else "quotes in a row came to nothing"
    then = f"on trial with {kwh_text(trust.most_wh or 0)} kWh at a time"
    return f"{trust.failures} {what}; {f'until {slot_text(trust.until)}' if now_slot < trust.until else then}"


def distrusted(
    contracts: Iterable[Contract], now_slot: int, slot_text: Callable[[int], str], most: int | None = None
) -> list[Distrust]:
    """All partners that are not trusted as others are, by id, or the first `most` of them: for people.

    `contracts` are those of one party.
    """
    by_partner: dict[tuple[str, Side], list[Contract]] = {}
    for contract in contracts:
        by_partner.setdefault((contract.counterparty, contract.side), []).append(contract)
    found = []
    for (partner, side), theirs in sorted(by_partner.items()):
        if side is Side.BUYER and any(is_unanswered(one, now_slot) for one in theirs):
            found.append(Distrust(partner, side, UNANSWERED))
        elif (trust := trust_of(theirs, now_slot)).most_wh is not None:
            found.append(Distrust(partner, side, explained(trust, side, now_slot, slot_text)))
    return found[:most]
