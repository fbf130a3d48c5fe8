"""What trading took: offers, quotes and messages for each contract that was settled."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from fractions import Fraction

from wattmesh_cli.books import Pair
from wattmesh_cli.kpi.rows import Rows, Slots, share


@dataclass(frozen=True)
class ProtocolKpis:
    """Of contracts with utilities, too. `offers` counts those in transactions that came to a quote at least.

    A contract is settled, expired or cancelled when one side at least has it so; `quotes` counts contracts of any
    state. What needs counts of messages is None without them.
    """

    offers: int
    quotes: int
    settled: int
    expired: int
    cancelled: int
    offers_per_contract: Fraction | None
    settled_of_quotes: Fraction | None
    messages_per_contract: Fraction | None
    contracts_per_search: Fraction | None


def protocol(rows: Rows, slots: Slots, messages: Mapping[str, int] | None) -> ProtocolKpis:
    """Of contracts for delivery in `slots`; `messages` by Beckn action."""
    pairs = [pair for pair in rows.pairs if pair.known.slot in slots]
    transactions = {(pair.known.buyer, pair.known.transaction_id) for pair in pairs}
    offers = sum((offer.party, offer.transaction_id) in transactions for offer in rows.offers)
    settled = _in(pairs, "SETTLED")
    return ProtocolKpis(
        offers=offers,
        quotes=len(pairs),
        settled=settled,
        expired=_in(pairs, "EXPIRED"),
        cancelled=_in(pairs, "CANCELLED"),
        offers_per_contract=share(offers, settled),
        settled_of_quotes=share(settled, len(pairs)),
        messages_per_contract=None if messages is None else share(sum(messages.values()), settled),
        contracts_per_search=None if messages is None else share(settled, messages.get("search", 0)),
    )


def _in(pairs: list[Pair], state: str) -> int:
    return sum(any(row is not None and row.state == state for row in (pair.buyer, pair.seller)) for pair in pairs)
