"""How far a seller trusts one buyer: quotes it may hold open, and deliveries it may owe. No I/O."""

from __future__ import annotations

from collections.abc import Collection

from wattmesh_agents.trade.contracts import Contract
from wattmesh_beckn.errors import ErrorCode, declined, too_many

MOST_OPEN_QUOTES = 8
"""Each holds energy until it expires. A household of wattmesh holds at most two with one seller, one per attempt to buy
for the next slot; others may buy for more slots ahead."""
MOST_UNPAID = 4
"""Deliveries owed for longer than `unpaid_after_ms` says. Payment follows delivery at once; even after lost messages it
is made within that time, so an honest buyer owes none."""
_UNPAID_SLOTS = 4
_UNPAID_MS = 60_000


def check_open_quotes(buyer: str, quotes: Collection[Contract], now_ms: int) -> None:
    """Refuse (429) one more quote than `buyer` may hold. `quotes` are its open ones: not confirmed, not expired."""
    if len(quotes) >= MOST_OPEN_QUOTES:
        first_end_ms = min(quote.expires_ms for quote in quotes)
        text = f"{buyer!r} holds {len(quotes)} quotes that are not confirmed, and may hold no more"
        raise too_many(text, (first_end_ms - now_ms) / 1000)


def check_unpaid(buyer: str, delivered: Collection[Contract], now_ms: int, slot_ms: int) -> None:
    """Decline to sell more to a `buyer` that does not pay. `delivered` is what it has got and not paid."""
    longest_ms = unpaid_after_ms(slot_ms)
    unpaid = [contract for contract in delivered if now_ms - contract.updated_ms > longest_ms]
    if len(unpaid) > MOST_UNPAID:
        text = f"{buyer!r} has {len(unpaid)} unpaid contracts here; pay them, then select again"
        raise declined(ErrorCode.BUSINESS_ERROR, text)


def unpaid_after_ms(slot_ms: int) -> int:
    """How long after its delivery a contract counts as unpaid: four slots, but at least a minute of wall time."""
    return max(_UNPAID_MS, _UNPAID_SLOTS * slot_ms)
