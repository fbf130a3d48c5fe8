"""What was metered, traded and asked in each slot. Pure.

Energy is in Wh, money in millionths of the currency (`micro`), a slot is its start in unix seconds of grid time.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from wattmesh_cli.books import LedgerEntry, Reading
from wattmesh_cli.kpi import Prices, Rows, Slots
from wattmesh_cli.kpi.money import price_micro_per_kwh


@dataclass(frozen=True)
class Metered:
    """The readings of one slot together: of a household, or of all. `households` counts them.

    `plans` counts those of batteries whose households plan, and `worth_micro` sums what a kWh in their stores is worth.
    `devices_wh` has what devices took of the load, by name. Where slots are put together for a plot, it is what they
    sum up to, and `slots` counts them.
    """

    slot: int
    households: int = 0
    pv_wh: int = 0
    load_wh: int = 0
    bought_wh: int = 0
    sold_wh: int = 0
    imported_wh: int = 0
    exported_wh: int = 0
    level_before_wh: int = 0
    level_after_wh: int = 0
    capacity_wh: int = 0
    plans: int = 0
    worth_micro: int = 0
    slots: int = 1
    devices_wh: Mapping[str, int] = field(default_factory=dict)

    @property
    def net_import_wh(self) -> int:
        """What came in less what went out; what households sell each other cancels in the sum of all."""
        return self.bought_wh + self.imported_wh - self.sold_wh - self.exported_wh

    @property
    def worth_micro_per_kwh(self) -> int | None:
        """What a stored kWh is worth to its owner, the mean of those who plan; None where nobody does."""
        return self.worth_micro // self.plans if self.plans else None

    def with_(self, reading: Reading) -> Metered:
        """Together with one more reading of the slot."""
        return Metered(
            self.slot,
            self.households + 1,
            self.pv_wh + reading.pv_wh,
            self.load_wh + reading.load_wh,
            self.bought_wh + reading.bought_wh,
            self.sold_wh + reading.sold_wh,
            self.imported_wh + reading.imported_wh,
            self.exported_wh + reading.exported_wh,
            self.level_before_wh + reading.level_before_wh,
            self.level_after_wh + reading.level_after_wh,
            self.capacity_wh + reading.capacity_wh,
            self.plans + bool(reading.stored_micro_per_kwh),
            self.worth_micro + reading.stored_micro_per_kwh,
            devices_wh=_with_devices(self.devices_wh, reading) if reading.devices else self.devices_wh,
        )


def _with_devices(devices_wh: Mapping[str, int], reading: Reading) -> Mapping[str, int]:
    return summed(devices_wh, {device.name: device.taken_wh for device in reading.by_device})


def summed(*taken_wh: Mapping[str, int]) -> Mapping[str, int]:
    """What devices took in all, by name; a name that is not there has taken nothing."""
    names = {name for of in taken_wh for name in of}
    return {name: sum(of.get(name, 0) for of in taken_wh) for name in sorted(names)}


def devices(rows: Iterable[Metered]) -> list[str]:
    """The names of all devices."""
    return sorted({name for row in rows for name in row.devices_wh})


@dataclass(frozen=True)
class Traded:
    """Trades of one slot, by what buyers and sellers among the households booked: with each other (`local`, of which
    `shared_wh` by sharing), and with utilities on the market. The backstop is not among them.
    """

    slot: int
    local_wh: int = 0
    local_micro: int = 0
    from_utilities_wh: int = 0
    to_utilities_wh: int = 0
    shared_wh: int = 0

    @property
    def local_price_micro_per_kwh(self) -> int | None:
        """What a kWh cost between households, weighted by volume, rounded half up; None without such a trade."""
        return price_micro_per_kwh(self.local_micro, self.local_wh) if self.local_wh else None


@dataclass(frozen=True)
class UtilityPrices:
    """What a utility asks and pays per kWh, in the same slots as the report's."""

    utility: str
    tariff_micro: tuple[int, ...]
    feed_in_micro: tuple[int, ...]


def metered(rows: Rows, households: Iterable[str], slots: Slots) -> tuple[Metered, ...]:
    """The readings of these households summed by slot; slots without any are left out."""
    found: dict[int, Metered] = {}
    for household in households:
        for reading in rows.readings[household]:
            if reading.slot in slots:
                found[reading.slot] = found.get(reading.slot, Metered(reading.slot)).with_(reading)
    return tuple(found[slot] for slot in sorted(found))


def traded(rows: Rows, slots: Sequence[int]) -> tuple[Traded, ...]:
    """The trades of each of these slots."""
    neighbours = rows.neighbours
    by_slot: defaultdict[int, list[LedgerEntry]] = defaultdict(list)
    for household in rows.households:
        for entry in rows.ledger[household]:
            if entry.kind in ("trade", "shared"):
                by_slot[entry.slot].append(entry)
    return tuple(_traded(slot, by_slot[slot], neighbours) for slot in slots)


def _traded(slot: int, entries: Sequence[LedgerEntry], neighbours: frozenset[str]) -> Traded:
    # A sale to a household is counted by its buyer's entry.
    bought = [entry for entry in entries if entry.energy_wh > 0 and entry.kind == "trade"]
    shared = [entry for entry in entries if entry.energy_wh > 0 and entry.kind == "shared"]
    local = [entry for entry in bought if entry.counterparty in neighbours] + shared
    return Traded(
        slot,
        local_wh=sum(entry.energy_wh for entry in local),
        local_micro=-sum(entry.amount_micro for entry in local),
        from_utilities_wh=sum(entry.energy_wh for entry in bought if entry.counterparty not in neighbours),
        to_utilities_wh=-sum(
            entry.energy_wh
            for entry in entries
            if entry.energy_wh < 0 and entry.kind == "trade" and entry.counterparty not in neighbours
        ),
        shared_wh=sum(entry.energy_wh for entry in shared),
    )


def utility_prices(prices: Prices, customers: dict[str, str], slots: Sequence[int]) -> tuple[UtilityPrices, ...]:
    """Tariff and feed-in price of each utility; `customers` has one household of each, by utility."""
    return tuple(
        UtilityPrices(
            utility,
            tuple(prices.tariff_micro(household, slot) for slot in slots),
            tuple(prices.feed_in_micro(household, slot) for slot in slots),
        )
        for utility, household in sorted(customers.items())
    )


def local_at_tariff_micro_per_kwh(rows: Rows, prices: Prices, slots: Slots) -> int | None:
    """What a kWh of the energy traded or shared between households would have cost those who took it at their utility's
    tariff, weighted by volume, rounded half up; None without any.
    """
    neighbours = rows.neighbours
    bought = [
        entry
        for household in rows.households
        for entry in rows.ledger[household]
        if entry.energy_wh > 0
        and (entry.kind == "shared" or (entry.kind == "trade" and entry.counterparty in neighbours))
        and entry.slot in slots
    ]
    energy_wh = sum(entry.energy_wh for entry in bought)
    amount_micro = sum(prices.supply_micro(entry.party, entry.slot, entry.energy_wh) for entry in bought)
    return price_micro_per_kwh(amount_micro, energy_wh) if energy_wh else None
