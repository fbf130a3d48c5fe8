"""What trading took: offers, quotes and messages for each delivery that was settled, and time until it was sure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction

from wattmesh_cli.books import Pair
from wattmesh_cli.kpi.rows import ALL_SLOTS, Rows, Slots, share


@dataclass(frozen=True)
class ProtocolKpis:
    """Of deliveries by utilities, too. `offers` counts those in transactions that came to a quote at least.

    A delivery is settled, expired or cancelled when one side at least has it so; `quotes` counts deliveries of any
    state. `messages` and what needs it is None where it was not counted, and for some slots only, as counts are of the
    whole run. `confirm_ms_…` is wall time from a buyer's search until it had the delivery confirmed.
    """

    offers: int
    quotes: int
    settled: int
    expired: int
    cancelled: int
    offers_per_delivery: Fraction | None
    settled_of_quotes: Fraction | None
    messages: int | None
    messages_per_delivery: Fraction | None
    deliveries_per_search: Fraction | None
    confirm_ms_median: int | None
    confirm_ms_p95: int | None


def protocol(rows: Rows, slots: Slots) -> ProtocolKpis:
    """Of deliveries in `slots`."""
    pairs = [pair for pair in rows.pairs if pair.known.slot in slots]
    bought = [row for of_buyer in rows.purchases.values() for row in of_buyer if row.slot in slots]
    heard: dict[tuple[str, str], int] = {}
    for row in bought:
        heard[row.party, row.transaction_id] = max(heard.get((row.party, row.transaction_id), 0), row.offers or 0)
    offers = sum(heard.values())
    settled = _in(pairs, "SETTLED")
    messages = rows.messages if slots == ALL_SLOTS else {}
    sent = sum(messages.values()) if messages else None
    waits_ms = sorted(
        row.confirmed_ms - row.searched_ms
        for row in bought
        if row.searched_ms is not None and row.confirmed_ms is not None
    )
    return ProtocolKpis(
        offers=offers,
        quotes=len(pairs),
        settled=settled,
        expired=_in(pairs, "EXPIRED"),
        cancelled=_in(pairs, "CANCELLED"),
        offers_per_delivery=share(offers, settled),
        settled_of_quotes=share(settled, len(pairs)),
        messages=sent,
        messages_per_delivery=None if sent is None else share(sent, settled),
        deliveries_per_search=share(settled, messages.get("search", 0)),
        confirm_ms_median=percentile(waits_ms, 50),
        confirm_ms_p95=percentile(waits_ms, 95),
    )


def percentile(ranked: Sequence[int], percent: int) -> int | None:
    """By nearest rank: the smallest of the ranked values that at least `percent` % do not exceed; None of nothing."""
    return ranked[-(-len(ranked) * percent // 100) - 1] if ranked else None


def _in(pairs: list[Pair], state: str) -> int:
    return sum(any(row is not None and row.state == state for row in (pair.buyer, pair.seller)) for pair in pairs)
