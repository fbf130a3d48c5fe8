"""Messages, searches and milliseconds of the small street, by hand."""

from __future__ import annotations

from dataclasses import replace

import pytest

from tests.cli.kpi.small_street import BATTERIES, FLAT, ROOF, SECOND, STORE, THIRD, kpis_with, small_street
from wattmesh_cli.books import Book, Messages
from wattmesh_cli.kpi import ALL_SLOTS, ProtocolKpis, Slots
from wattmesh_cli.kpi.protocol import percentile

SENT = {
    "flat": (Messages(FLAT, "search", 3), Messages(FLAT, "select", 2), Messages(FLAT, "confirm", 1)),
    "store": (Messages(STORE, "search", 1), Messages(STORE, "select", 1), Messages(STORE, "confirm", 1)),
    "roof": (Messages(ROOF, "on_search", 4), Messages(ROOF, "on_select", 3), Messages(ROOF, "on_confirm", 2)),
}
"""6 + 3 + 9 = 18 messages, 4 of them searches."""
TIMES_MS = {"a": (1_000, 2_500), "b": (1_200, 4_200), "c": (9_000, None)}
"""When each search began and when the contract was confirmed: after 1500 and 3000 ms; the third expired."""


def counted() -> list[Book]:
    return [
        replace(
            book,
            messages=SENT.get(book.name, ()),
            contracts=tuple(
                replace(row, searched_ms=TIMES_MS[row.transaction_id][0], confirmed_ms=TIMES_MS[row.transaction_id][1])
                if row.side == "buyer"
                else replace(row, confirmed_ms=TIMES_MS[row.transaction_id][1])  # the seller knows of no search
                for row in book.contracts
            ),
        )
        for book in small_street()
    ]


def protocol(books: list[Book], slots: Slots = ALL_SLOTS) -> ProtocolKpis:
    return kpis_with(books, BATTERIES, slots).protocol


def test_messages_and_searches_of_a_run() -> None:
    found = protocol(counted())
    assert found.settled == 2
    assert found.messages == 18
    assert found.messages_per_delivery == 9
    assert found.deliveries_per_search == 0.5


def test_milliseconds_from_search_to_confirmation() -> None:
    # Ranked 1500, 3000: the first of two is the median, the second the 95th percentile (95 % of 2 is 1.9).
    found = protocol(counted())
    assert (found.confirm_ms_median, found.confirm_ms_p95) == (1_500, 3_000)


def test_counts_are_of_the_whole_run_and_times_of_their_slots() -> None:
    found = protocol(counted(), Slots(first=SECOND))
    assert (found.messages, found.messages_per_delivery, found.deliveries_per_search) == (None, None, None)
    assert (found.confirm_ms_median, found.confirm_ms_p95) == (1_500, 3_000)
    third = protocol(counted(), Slots(first=THIRD))
    assert (third.confirm_ms_median, third.confirm_ms_p95) == (None, None)


def test_what_nobody_has_counted_is_not_0() -> None:
    found = protocol(small_street())
    assert (found.messages, found.messages_per_delivery, found.deliveries_per_search) == (None, None, None)
    assert (found.confirm_ms_median, found.confirm_ms_p95) == (None, None)


@pytest.mark.parametrize(
    ("values", "percent", "rank"),
    [(range(1, 21), 50, 10), (range(1, 21), 95, 19), (range(1, 22), 95, 20), (range(1, 4), 50, 2), ([7], 95, 7)],
)
def test_percentiles_are_by_nearest_rank(values: range, percent: int, rank: int) -> None:
    assert percentile(values, percent) == rank
