"""How far a seller trusts one buyer: quotes it may hold or let run out, orders it may make, and what it may owe."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable

from wattmesh_market.energy.slots import SLOT_S
from wattmesh_market.trade.contracts import OPEN, TENTATIVE, Contract, ContractState, Side
from wattmesh_market.trade.offers import MIN_TRADE_WH
from wattmesh_market.trade.partners import TRIAL_WH, broken_and_kept_wh, explained, left_wh, trust_of
from wattmesh_market.trade.refusal import Reason, Refused
from wattmesh_market.units import kwh_text

MOST_OPEN_QUOTES = 8
"""Each holds energy until it expires. A household of wattmesh holds at most two with one seller, one per attempt to buy
for the next slot; others may buy for more slots ahead."""
MOST_UNPAID = 4
"""Deliveries owed for longer than `unpaid_after_ms` says. They are paid within three slots (`schedule.PAID_WITHIN_S`),
and again in each slot after that where messages are lost, so an honest buyer owes hardly any."""
MOST_OF_SLOT = 2 * 8
"""Orders of one buyer for one delivery slot: each is a row that is kept, however little it is for. A household of
wattmesh makes at most two in each of the eight slots before, one per attempt."""
NEWCOMER_WH = 1_200
"""What a buyer may have quoted, ordered and not yet paid at a household: what a flat needs in an hour, and little of
what there is, for anybody who is registered is lent it. What it has paid within the day comes on top; what it has let
run out or cancelled comes off, until `TRIAL_WH` is left."""
CUSTOMER_WH = 60_000
"""The same where a utility sells or buys: what a connection of 30 kW takes in two hours, the longest order of a
household of wattmesh. It and its customers have an account with each other anyway."""
_UNPAID_SLOTS = 4
_UNPAID_MS = 60_000


def check_open_quotes(buyer: str, contracts: Collection[Contract], now_ms: int) -> None:
    """Refuse (TOO_MANY) one more quote than `buyer` may hold. `contracts` are its open ones."""
    quotes = [contract for contract in contracts if contract.state in TENTATIVE]
    if len(quotes) >= MOST_OPEN_QUOTES:
        first_end_ms = min(quote.expires_ms for quote in quotes)
        text = f"{buyer!r} holds {len(quotes)} quotes that are not confirmed, and may hold no more"
        raise Refused(Reason.TOO_MANY, text, wait_s=(first_end_ms - now_ms) / 1000)


def check_unpaid(
    buyer: str, contracts: Collection[Contract], now_ms: int, slot_ms: int, gate_ms: Callable[[int], int]
) -> None:
    """Decline to sell more to a `buyer` that does not pay. `contracts` are its open ones.

    One delivery is owed since its contract changed last. Of several, each is owed since its slot ended, as the contract
    changes with every other one. `gate_ms` gives the wall time at which a slot starts.
    """
    longest_ms = unpaid_after_ms(slot_ms)
    unpaid = 0
    for contract in contracts:
        one = len(contract.deliveries) == 1
        for delivery in contract.deliveries:
            if delivery.state is ContractState.DELIVERED:
                since_ms = contract.updated_ms if one else gate_ms(delivery.slot + SLOT_S)
                unpaid += now_ms - since_ms > longest_ms
    if unpaid > MOST_UNPAID:
        text = f"{buyer!r} has {unpaid} unpaid contracts here; pay them, then select again"
        raise Refused(Reason.BUSINESS, text)


def owing_wh(
    buyer: str, contracts: Iterable[Contract], asked_wh: int, had: Iterable[Contract], lends_wh: int
) -> int | None:
    """How much more a `buyer` may have quoted and owe; None: all that it asks for. Refused where that is nothing.

    `contracts` are its open ones, `had` all that it has had of late; `lends_wh` is what a newcomer may owe.
    """
    owed_wh = sum([one.energy_wh for contract in contracts for one in contract.deliveries if one.state in OPEN])
    most_wh = lends_wh
    for contract in had:
        most_wh -= broken_and_kept_wh(contract)[0]
        most_wh += sum([one.delivered_wh or 0 for one in contract.deliveries if one.state is ContractState.SETTLED])
    most_wh = max(TRIAL_WH, most_wh)
    left_wh = most_wh - owed_wh
    if left_wh < MIN_TRADE_WH:
        text = f"{buyer!r} has {kwh_text(owed_wh)} kWh here that are not paid, and may have {kwh_text(most_wh)} kWh"
        raise Refused(Reason.BUSINESS, f"{text}; pay what was delivered first")
    return None if asked_wh <= left_wh else left_wh


def limit_wh(
    buyer: str,
    contracts: Iterable[Contract],
    had: Iterable[Contract],
    now_slot: int,
    slot_text: Callable[[int], str],
    wait_s: Callable[[int], float],
) -> int | None:
    """How much a `buyer` may be quoted that lets quotes run out or cancels, again and again; None: all that there is.

    Refused (TOO_MANY) while it may be quoted nothing. `contracts` are its open ones, `had` all that it has had here;
    `wait_s` says how long it is until a slot.
    """
    trust = trust_of(had, now_slot)
    most_wh = left_wh(trust, contracts, now_slot)
    if most_wh is not None and most_wh < MIN_TRADE_WH:
        text = f"of {buyer!r} {explained(trust, Side.SELLER, now_slot, slot_text)}"
        raise Refused(Reason.TOO_MANY, text, wait_s=wait_s(max(trust.until, now_slot + SLOT_S)))
    return most_wh


def check_orders(buyer: str, slot_text: str, contracts: Iterable[Contract]) -> None:
    """Decline one more order of `buyer` for a slot. `contracts` are all that deliver in it, whatever became of them."""
    orders = sum(one.counterparty == buyer and one.order_id is not None for one in contracts)
    if orders >= MOST_OF_SLOT:
        text = f"{buyer!r} has {orders} orders here for {slot_text}, and may have no more; buy more in one"
        raise Refused(Reason.BUSINESS, text)


def unpaid_after_ms(slot_ms: int) -> int:
    """How long after its delivery a contract counts as unpaid: four slots, but at least a minute of wall time."""
    return max(_UNPAID_MS, _UNPAID_SLOTS * slot_ms)
