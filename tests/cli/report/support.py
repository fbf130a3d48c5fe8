"""The report of the small street (`tests/cli/kpi/small_street.py`), whose numbers can be computed by hand."""

from __future__ import annotations

from datetime import timedelta, timezone

from tests.cli.kpi.small_street import BATTERIES, FLAT, GRID, PRICES, ROOF, STORE, kpis_with, small_street
from wattmesh_cli.audit import audit
from wattmesh_cli.books import Book
from wattmesh_cli.kpi import ALL_SLOTS, Slots
from wattmesh_cli.report.content import Content, Market, Origin, content

SUMMER = timezone(timedelta(hours=2))
MARKET = Market(
    name="street",
    currency="EUR",
    zone=SUMMER,
    utility=dict.fromkeys((FLAT, ROOF, STORE), GRID),
    agent={FLAT: "flat", ROOF: "roof", STORE: "store"},
    feeder=dict.fromkeys((FLAT, ROOF, STORE), "main"),
)
ORIGIN = Origin("kind: BecknGateway  # <of> the street\n", seed=7)


def reported(books: list[Book] | None = None, slots: Slots = ALL_SLOTS, market: Market = MARKET) -> Content:
    """The report of the small street, or of other books of its households."""
    books = small_street() if books is None else books
    return content(books, market, ORIGIN, PRICES, kpis_with(books, BATTERIES, slots), audit(books), slots)
