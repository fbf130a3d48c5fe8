"""Books of a town as large as asked, made up at once: a run of so many households takes too long for a test."""

from __future__ import annotations

from datetime import UTC

from wattmesh_cli.alone import alone
from wattmesh_cli.audit import audit
from wattmesh_cli.books import SLOT_S, Book, LedgerEntry, Party, Reading
from wattmesh_cli.kpi import ALL_SLOTS, Prices, collect, kpis
from wattmesh_cli.report.content import Content, Market, Origin, content
from wattmesh_market.energy.battery import Battery

FIRST = 1_782_021_600
GRID = "grid.town"
PRICES = Prices(lambda _, __: 300_000, lambda _, __: 80_000, lambda _, __: 0, lambda _, __: 0, lambda _: 950_000)
BATTERY = Battery(10_000, 0, 5000, 5000, 1_000_000, 1_000_000)


def town(households: int, slots: int = 96, *, agents: int = 40) -> Content:
    """A town in which the second half of households sells 100 Wh to the first in each slot; of `agents` SolarAgents."""
    names = [f"house-{number}.town" for number in range(households)]
    half = households // 2
    when = [FIRST + number * SLOT_S for number in range(slots)]
    books = [
        Book(
            name,
            parties=(Party(name, "household", 10_000, 5000, 5000, FIRST, when[-1] + SLOT_S),),
            ledger=tuple(_entry(number, slot, names, half) for slot in when),
            readings=tuple(_reading(name, slot, buys=number < half) for slot in when),
        )
        for number, name in enumerate(names[: 2 * half])
    ]
    books.append(Book("grid", parties=(Party(GRID, "utility", 0, 0, 0, FIRST, when[-1] + SLOT_S),)))
    market = Market(
        "town & <country>", "EUR", UTC, dict.fromkeys(names, GRID),
        {name: f"street-{number % agents}" for number, name in enumerate(names)},
        {name: f"feeder-{number % 8}" for number, name in enumerate(names)},
    )  # fmt: skip
    result = kpis(books, PRICES, alone(collect(books), lambda _: BATTERY, ALL_SLOTS))
    return content(books, market, Origin("", None), PRICES, result, audit(books), ALL_SLOTS)


def _entry(number: int, slot: int, names: list[str], half: int) -> LedgerEntry:
    energy_wh, amount_micro = (100, -20_000) if number < half else (-100, 20_000)
    other = names[(number + half) % (2 * half)]
    return LedgerEntry(names[number], "trade", slot, other, f"{slot}-{number % half}", energy_wh, amount_micro)


def _reading(name: str, slot: int, *, buys: bool) -> Reading:
    bought, sold, pv, load = (100, 0, 0, 100) if buys else (0, 100, 200, 100)
    return Reading(name, slot, 5000, 5000, 10_000, pv, load, bought, sold, 0, 0, 0, "booked")
