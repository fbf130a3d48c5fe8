"""A street small enough to compute by hand: three households, three slots.

The tariff is 0.30 per kWh, in the third slot 0.40; feed-in pays 0.08. Wh:

            roof                                  flat                  store
    slot    pv   load sold  out  level            load bought in        load bought in   level
    1st     1500 200  -     300  1000 -> 2000     300  -      300       100  -      100     0
    2nd     600  200  500   -    2000 -> 1900     400  300    100       100  200    -       0 -> 90
    3rd     -    380  -     -    1900 -> 1520     -    -      -         90   -      -       90 -> 0

roof's battery (2000 Wh) loses nothing; store's (1000 Wh) loses a tenth of what it is charged with. In the second slot
roof sells 300 Wh to flat and 200 Wh to store, all at 0.20. flat asked for a quote for the third slot, too; it expired.
"""

from __future__ import annotations

from dataclasses import replace

from tests.cli.street_books import other_side
from wattmesh_cli.alone import alone
from wattmesh_cli.books import Book, Closing, ContractRow, LedgerEntry, Party, Reading, Reported
from wattmesh_cli.kpi import ALL_SLOTS, AtBoth, Kpis, Prices, Slots, Stored, collect, kpis
from wattmesh_market.energy.battery import NO_BATTERY, Battery

FIRST = 1_782_036_000
SECOND, THIRD, END = FIRST + 900, FIRST + 1800, FIRST + 2700
FLAT, ROOF, STORE, GRID = "flat.default", "roof.default", "store.default", "grid.default"

BATTERIES = {
    FLAT: NO_BATTERY,
    ROOF: Battery(2000, 0, 8000, 8000, 1_000_000, 1_000_000),
    STORE: Battery(1000, 0, 4000, 4000, 900_000, 1_000_000),
}


def tariff(_: str, slot: int) -> int:
    return 300_000 if slot < THIRD else 400_000


def feed_in(_: str, __: int) -> int:
    return 80_000


def nothing_is_lost(_: str) -> int:
    return 1_000_000


PRICES = Prices(tariff, feed_in, lambda *_: 0, local_fee_micro=lambda *_: 0, discharge_ppm=nothing_is_lost)


def at_both(retail_micro: int, feed_in_micro: int) -> AtBoth:
    return {Stored.RETAIL: retail_micro, Stored.FEED_IN: feed_in_micro}


def bought(buyer: str, transaction_id: str, energy_wh: int, amount_micro: int, *, offers: int) -> ContractRow:
    """A purchase from roof for the second slot, as the buyer holds it."""
    return ContractRow(
        buyer, "buyer", transaction_id, ROOF, "energy", SECOND, energy_wh, amount_micro, "SETTLED", "order",
        energy_wh, amount_micro, False, None, offered_micro_per_kwh=200_000, offers=offers,
    )  # fmt: skip


FLAT_BOUGHT = bought(FLAT, "a", 300, 60_000, offers=2)
STORE_BOUGHT = bought(STORE, "b", 200, 40_000, offers=1)
FLAT_ASKED = ContractRow(
    FLAT, "buyer", "c", ROOF, "energy", THIRD, 50, 10_000, "EXPIRED", None, None, None, False, None,
    offered_micro_per_kwh=200_000, offers=1,
)  # fmt: skip


def supply(party: str, counterparty: str, slot: int, energy_wh: int, amount_micro: int) -> LedgerEntry:
    return LedgerEntry(party, "backstop", slot, counterparty, "supply", energy_wh, amount_micro)


def trade(party: str, counterparty: str, reference: str, energy_wh: int, amount_micro: int) -> LedgerEntry:
    return LedgerEntry(party, "trade", SECOND, counterparty, reference, energy_wh, amount_micro)


def small_street() -> list[Book]:
    roof = Book(
        "roof",
        parties=(Party(ROOF, "household", 2000, 1000, 1520, FIRST, END),),
        contracts=tuple(map(other_side, (FLAT_BOUGHT, STORE_BOUGHT, FLAT_ASKED))),
        ledger=(
            supply(ROOF, GRID, FIRST, -300, 24_000),
            trade(ROOF, FLAT, "a", -300, 60_000),
            trade(ROOF, STORE, "b", -200, 40_000),
        ),
        # level before and after, capacity, pv, load, bought, sold, imported, exported, losses
        readings=(
            Reading(ROOF, FIRST, 1000, 2000, 2000, 1500, 200, 0, 0, 0, 300, 0, "booked"),
            Reading(ROOF, SECOND, 2000, 1900, 2000, 600, 200, 0, 500, 0, 0, 0, "booked"),
            Reading(ROOF, THIRD, 1900, 1520, 2000, 0, 380, 0, 0, 0, 0, 0, "booked"),
        ),
    )
    flat = Book(
        "flat",
        parties=(Party(FLAT, "household", 0, 0, 0, FIRST, END),),
        contracts=(FLAT_BOUGHT, FLAT_ASKED),
        ledger=(
            supply(FLAT, GRID, FIRST, 300, -90_000),
            supply(FLAT, GRID, SECOND, 100, -30_000),
            trade(FLAT, ROOF, "a", 300, -60_000),
        ),
        readings=(
            Reading(FLAT, FIRST, 0, 0, 0, 0, 300, 0, 0, 300, 0, 0, "booked"),
            Reading(FLAT, SECOND, 0, 0, 0, 0, 400, 300, 0, 100, 0, 0, "booked"),
            Reading(FLAT, THIRD, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, "booked"),
        ),
    )
    store = Book(
        "store",
        parties=(Party(STORE, "household", 1000, 0, 0, FIRST, END),),
        contracts=(STORE_BOUGHT,),
        ledger=(supply(STORE, GRID, FIRST, 100, -30_000), trade(STORE, ROOF, "b", 200, -40_000)),
        readings=(
            Reading(STORE, FIRST, 0, 0, 1000, 0, 100, 0, 0, 100, 0, 0, "booked"),
            Reading(STORE, SECOND, 0, 90, 1000, 0, 100, 200, 0, 0, 0, 10, "booked"),
            Reading(STORE, THIRD, 90, 0, 1000, 0, 90, 0, 0, 0, 0, 0, "booked"),
        ),
    )
    grid = Book(
        "grid",
        parties=(Party(GRID, "utility", 0, 0, 0, FIRST, END),),
        ledger=(
            supply(GRID, ROOF, FIRST, 300, -24_000),
            supply(GRID, FLAT, FIRST, -300, 90_000),
            supply(GRID, STORE, FIRST, -100, 30_000),
            supply(GRID, FLAT, SECOND, -100, 30_000),
        ),
        reported=(
            Reported(GRID, FIRST, ROOF, 0, 300, 0, False, "alone"),
            Reported(GRID, FIRST, FLAT, 300, 0, 0, False, "alone"),
            Reported(GRID, FIRST, STORE, 100, 0, 0, False, "alone"),
            Reported(GRID, SECOND, FLAT, 100, 0, 0, False, "alone"),
        ),
    )
    return [roof, flat, store, grid]


CLOSING = Closing(GRID, FIRST, "proRata", 7, 190_000, 300_000, 80_000, 0)
SHARED = {ROOF: (-300, 57_000), FLAT: (225, -42_750), STORE: (75, -14_250)}
"""What was shared of the first slot, and what it cost or brought, at 0.19: the middle of 0.08 and 0.30."""
LEFT = {FLAT: (75, -22_500), STORE: (25, -7_500)}
"""What the utility supplied beside it."""


def shared_street() -> list[Book]:
    """The small street, with its first slot shared: what roof fed in went to flat and store."""
    rows = [
        *((party, "shared", "shared", *row) for party, row in SHARED.items()),
        *((party, "backstop", "supply", *row) for party, row in LEFT.items()),
    ]
    booked = [LedgerEntry(party, kind, FIRST, GRID, reference, wh, micro) for party, kind, reference, wh, micro in rows]
    booked += [
        replace(one, party=GRID, counterparty=one.party, energy_wh=-one.energy_wh, amount_micro=-one.amount_micro)
        for one in booked
    ]
    street = [
        replace(
            book,
            ledger=(
                *(one for one in book.ledger if (one.kind, one.slot) != ("backstop", FIRST)),
                *(one for one in booked if one.party == book.parties[0].party),
            ),
        )
        for book in small_street()
    ]
    *others, grid = street
    reported = [replace(one, state="closed") if one.slot == FIRST else one for one in grid.reported]
    return [*others, replace(grid, reported=tuple(reported), closings=(CLOSING,))]


def kpis_with(books: list[Book], batteries: dict[str, Battery], slots: Slots = ALL_SLOTS) -> Kpis:
    """The KPIs of books, the counterfactual with these batteries."""
    return kpis(books, PRICES, alone(collect(books), batteries.__getitem__, slots), slots)
