"""Bills as they are, and as they would be without the market."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum

from wattmesh_cli.books import DELIVERED, LedgerEntry, Reading
from wattmesh_cli.kpi.energy import local_purchases
from wattmesh_cli.kpi.rows import Rows, Slots, Supplied, supplied

PriceMicro = Callable[[str, int], int]
"""The price per kWh (millionths) that a household has with its utility in a slot."""


class Stored(StrEnum):
    """Which value is put on what is left in a battery: no bill has it, so all that it bears on is told at both."""

    RETAIL = "retail"
    FEED_IN = "feed-in"


AtBoth = Mapping[Stored, int]
"""Money (millionths) at either value of what is left in batteries."""


@dataclass(frozen=True)
class Prices:
    """What each household's utility asks for a kWh, grid fee included, what it pays for one fed in, that fee, and the
    local one; and how much of a stored kWh comes out of the household's battery (ppm).
    """

    tariff_micro: PriceMicro
    feed_in_micro: PriceMicro
    grid_fee_micro: PriceMicro
    local_fee_micro: PriceMicro
    discharge_ppm: Callable[[str], int]

    def stored_micro(self, household: str, slots: Iterable[int], stored: Stored) -> int:
        """What a kWh is worth that is left in the household's battery after these slots: what comes out of it, at the
        lowest tariff or feed-in price in them.

        At the lowest tariff nobody gains by charging from the grid only to have more left.
        """
        price_micro = self.tariff_micro if stored is Stored.RETAIL else self.feed_in_micro
        lowest_micro = min((price_micro(household, slot) for slot in slots), default=0)
        return lowest_micro * self.discharge_ppm(household) // 1_000_000

    def supply_micro(self, household: str, slot: int, energy_wh: int) -> int:
        """What a household pays for net import (`energy_wh` > 0) in a slot; negative: it is paid for export."""
        if energy_wh > 0:
            return worth_micro(self.tariff_micro(household, slot), energy_wh)
        return -worth_micro(self.feed_in_micro(household, slot), -energy_wh)


@dataclass(frozen=True)
class MoneyKpis:
    """Bills: what was or would be paid less what was or would be earned; negative is earned. Savings: how much lower
    the bill is than the one it is compared with; against utility only None while a metered slot is not booked, as its
    bill would lack what the other has.

    `grid_fees_micro` is the grid fees of purchases and imports, in the bill. `stored_more_wh` is how much more is in
    the battery at the end than if the household had been alone, and `stored_more_micro` what that is worth. No bill has
    it; `utility_only_benefit_micro` is savings and it.
    """

    bill_micro: int
    no_market_bill_micro: int
    no_market_savings_micro: int
    utility_only_bill_micro: int
    utility_only_savings_micro: int | None
    stored_more_wh: int = 0
    stored_more_micro: AtBoth = field(default_factory=lambda: dict.fromkeys(Stored, 0))
    grid_fees_micro: int = 0

    @property
    def utility_only_benefit_micro(self) -> AtBoth | None:
        """Savings against utility only, were the battery left as full as it would have been alone."""
        saved_micro = self.utility_only_savings_micro
        if saved_micro is None:
            return None
        return {stored: saved_micro + more_micro for stored, more_micro in self.stored_more_micro.items()}


@dataclass(frozen=True)
class LocalTrade:
    """What households sold to households, or shared among them, grid fees included.

    The price per kWh is volume-weighted, rounded half up, None without trade.
    """

    energy_wh: int
    amount_micro: int
    price_micro_per_kwh: int | None


def worth_micro(price_micro_per_kwh: int, energy_wh: int) -> int:
    """What `energy_wh` ≥ 0 is worth at a price per kWh, rounded half up."""
    return (price_micro_per_kwh * energy_wh + 500) // 1000


def stored_worth_micro(stored_micro_per_kwh: int, stored_wh: int) -> int:
    """What so much more (or less, below 0) in a battery is worth, rounded half up."""
    of_it_micro = worth_micro(stored_micro_per_kwh, abs(stored_wh))
    return of_it_micro if stored_wh > 0 else -of_it_micro


def price_micro_per_kwh(amount_micro: int, energy_wh: int) -> int:
    """What a kWh costs when `energy_wh` > 0 cost `amount_micro`, rounded half up."""
    return (2000 * amount_micro + energy_wh) // (2 * energy_wh)


def trade_benefit_micro(trades: Iterable[LedgerEntry], prices: Prices) -> int:
    """How much better these trades of a household were than the same energy at its utility's tariff and feed-in.

    Among them are the grid fees that it owes for its sales: entries without energy.
    """
    return sum(entry.amount_micro + prices.supply_micro(entry.party, entry.slot, entry.energy_wh) for entry in trades)


def supplied_micro(readings: Iterable[Reading], prices: Prices) -> int:
    """The bill of a household that exchanges with its utility only."""
    return sum(prices.supply_micro(of.party, of.slot, of.imported_wh - of.exported_wh) for of in readings)


def shared_benefit_micro(household: str, of_slot: Supplied, prices: Prices) -> int:
    """How much better off a household was by what was shared with it in a slot than by tariff and feed-in."""
    if not of_slot.shared_wh:
        return 0
    return of_slot.amount_micro + prices.supply_micro(household, of_slot.slot, of_slot.net_wh)


def money(rows: Rows, household: str, prices: Prices, alone: Sequence[Reading], slots: Slots) -> MoneyKpis:
    """A household's bills. `alone` has what it would have metered with its utility only, in the same slots."""
    ledger = [entry for entry in rows.ledger[household] if entry.slot in slots]
    readings = [reading for reading in rows.readings[household] if reading.slot in slots]
    bill_micro = -sum(entry.amount_micro for entry in ledger)
    supplies = supplied(ledger)
    saved_micro = trade_benefit_micro((entry for entry in ledger if entry.kind in ("trade", "grid_fee")), prices)
    saved_micro += sum(shared_benefit_micro(household, of_slot, prices) for of_slot in supplies)
    alone_micro = supplied_micro(alone, prices)
    booked = all(reading.state == "booked" for reading in readings)
    stored_more_wh = readings[-1].level_after_wh - alone[-1].level_after_wh if readings else 0
    metered = [reading.slot for reading in readings]
    return MoneyKpis(
        bill_micro=bill_micro,
        no_market_bill_micro=bill_micro + saved_micro,
        no_market_savings_micro=saved_micro,
        utility_only_bill_micro=alone_micro,
        utility_only_savings_micro=alone_micro - bill_micro if booked else None,
        stored_more_wh=stored_more_wh,
        stored_more_micro={
            stored: stored_worth_micro(prices.stored_micro(household, metered, stored), stored_more_wh)
            for stored in Stored
        },
        grid_fees_micro=_fees_bought_micro(rows, household, slots)
        + sum(
            worth_micro(prices.grid_fee_micro(household, of_slot.slot), of_slot.utility_wh)
            + worth_micro(prices.local_fee_micro(household, of_slot.slot), of_slot.shared_wh)
            for of_slot in supplies
            if of_slot.net_wh > 0
        ),
    )


def _fees_bought_micro(rows: Rows, household: str, slots: Slots) -> int:
    """The grid fees in what a household has bought: of part deliveries the same part, rounded half up."""
    return sum(
        (2 * row.fee_micro * row.delivered_wh + row.energy_wh) // (2 * row.energy_wh)
        for row in rows.purchases[household]
        if row.slot in slots and row.state in DELIVERED and row.delivered_wh is not None
    )


def money_sum(parts: Collection[MoneyKpis]) -> MoneyKpis:
    """The community's: what its households pay each other cancels, what is left is paid to utilities."""
    savings = [part.utility_only_savings_micro for part in parts]
    known = [saved_micro for saved_micro in savings if saved_micro is not None]
    return MoneyKpis(
        bill_micro=sum(part.bill_micro for part in parts),
        no_market_bill_micro=sum(part.no_market_bill_micro for part in parts),
        no_market_savings_micro=sum(part.no_market_savings_micro for part in parts),
        utility_only_bill_micro=sum(part.utility_only_bill_micro for part in parts),
        utility_only_savings_micro=sum(known) if len(known) == len(savings) else None,
        stored_more_wh=sum(part.stored_more_wh for part in parts),
        stored_more_micro={stored: sum(part.stored_more_micro[stored] for part in parts) for stored in Stored},
        grid_fees_micro=sum(part.grid_fees_micro for part in parts),
    )


def local_trade(rows: Rows, slots: Slots) -> LocalTrade:
    """All trade among households and what they shared, by what the buyers booked."""
    bought = [
        entry for name in rows.households for entry in local_purchases(rows, rows.ledger[name]) if entry.slot in slots
    ]
    bought += [
        entry
        for name in rows.households
        for entry in rows.ledger[name]
        if entry.kind == "shared" and entry.energy_wh > 0 and entry.slot in slots
    ]
    energy_wh, amount_micro = sum(entry.energy_wh for entry in bought), -sum(entry.amount_micro for entry in bought)
    price_micro = price_micro_per_kwh(amount_micro, energy_wh) if energy_wh else None
    return LocalTrade(energy_wh, amount_micro, price_micro)
