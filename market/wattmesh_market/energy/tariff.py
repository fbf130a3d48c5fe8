"""A utility's tariff: by time of use, and by series of prices. Prices are millionths of the currency per kWh.

What is paid for energy may be negative, a grid fee may not.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields
from datetime import time
from pathlib import Path
from typing import ClassVar, NamedTuple
from weakref import WeakValueDictionary

from wattmesh_market.energy.slots import DAY_S, SLOT_S, SLOTS_PER_DAY, local, require_slot_borders, time_of_day
from wattmesh_market.units import require_amounts, require_prices

DAYS = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")


@dataclass(frozen=True)
class TariffPeriod:
    """A price from `start` to `end` local grid time; a period may run past midnight, and is then of the day before.

    `days` and `months` are those in which it begins; none: all.
    """

    __pydantic_config__: ClassVar = {"extra": "forbid"}

    start: time
    end: time
    price_micro_per_kwh: int
    days: tuple[str, ...] = ()
    months: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        require_prices(price_micro_per_kwh=self.price_micro_per_kwh)
        require_slot_borders(self.start, self.end)

    def holds(self, slot: int, utc_offset_s: int) -> bool:
        """Whether a slot lies in it."""
        now, overnight = time_of_day(slot, utc_offset_s), self.start >= self.end
        inside = now >= self.start or now < self.end if overnight else self.start <= now < self.end
        if not inside or not (self.days or self.months):
            return inside
        begun = slot - DAY_S if overnight and now < self.end else slot
        return on_days(self.days, self.months, begun, utc_offset_s)


def on_days(days: Sequence[str], months: Sequence[str], slot: int, utc_offset_s: int) -> bool:
    """Whether a slot is on one of these days of the week, in one of these months, by local time; none named: any."""
    at = local(slot, utc_offset_s)
    return (not days or DAYS[at.weekday()] in days) and (not months or MONTHS[at.month - 1] in months)


@dataclass(frozen=True)
class PriceFile:
    """Where a series of prices is written, and what is told of it: its columns, unit, order of dates and time zone.

    None is detected. With `text` that is what is written, and `path` is what it is called.
    """

    __pydantic_config__: ClassVar = {"extra": "forbid"}

    path: Path
    price: str | None = None
    feed_in: str | None = None
    grid_fee: str | None = None
    local_grid_fee: str | None = None
    unit: str | None = None
    dates: str | None = None
    timezone: str | None = None
    text: str | None = None


@dataclass(frozen=True)
class PriceSeries:
    """Prices of each slot from `first` on, as many of each kind, or none."""

    first: int
    price: tuple[int, ...] = ()
    feed_in: tuple[int, ...] = ()
    grid_fee: tuple[int, ...] = ()
    local_grid_fee: tuple[int, ...] = ()

    def __post_init__(self) -> None:
        lengths = {len(values) for values in self._columns if values}
        if len(lengths) != 1:
            raise ValueError("a series needs prices, as many of each kind")

    @property
    def end(self) -> int:
        """End of the last slot that it has prices of."""
        return self.first + max(len(values) for values in self._columns) * SLOT_S

    @property
    def _columns(self) -> tuple[tuple[int, ...], ...]:
        return tuple(getattr(self, of.name) for of in fields(self)[1:])

    def after(self, former: PriceSeries) -> PriceSeries:
        """This one, with what a former one said of slots before it, where they meet and say the same kinds."""
        before = (self.first - former.first) // SLOT_S
        pairs = list(zip(former._columns, self._columns, strict=True))
        if not former.first < self.first <= former.end or any(bool(old) != bool(new) for old, new in pairs):
            return self
        return PriceSeries(former.first, *((*old[:before], *new) for old, new in pairs))

    def at(self, values: tuple[int, ...], slot: int) -> int:
        """The price in a slot; beyond what is published, that of the same time of the nearest day, else the nearest."""
        if not values:
            return 0
        at, size = (slot - self.first) // SLOT_S, len(values)
        if at < 0:
            at %= SLOTS_PER_DAY
            return values[at] if at < size else values[0]
        if at >= size:
            at -= -(-(at - size + 1) // SLOTS_PER_DAY) * SLOTS_PER_DAY
            return values[at] if at >= 0 else values[-1]
        return values[at]


@dataclass(frozen=True)
class Tariff:
    """The first matching period's price, else the base price; what a file of prices says comes on top of each.

    `grid_fee_micro_per_kwh` comes on top of it; `local_grid_fee_micro_per_kwh` is for what households sell each other.
    """

    __pydantic_config__: ClassVar = {"extra": "forbid"}

    price_micro_per_kwh: int
    feed_in_micro_per_kwh: int
    grid_fee_micro_per_kwh: int = 0
    local_grid_fee_micro_per_kwh: int = 0
    periods: tuple[TariffPeriod, ...] = ()
    file: PriceFile | None = None

    def __post_init__(self) -> None:
        require_prices(price_micro_per_kwh=self.price_micro_per_kwh, feed_in_micro_per_kwh=self.feed_in_micro_per_kwh)
        require_amounts(
            grid_fee_micro_per_kwh=self.grid_fee_micro_per_kwh,
            local_grid_fee_micro_per_kwh=self.local_grid_fee_micro_per_kwh,
        )

    @property
    def may_be_negative(self) -> bool:
        """Whether a price of energy may be below 0: one is, or there is a file."""
        prices = [self.price_micro_per_kwh, self.feed_in_micro_per_kwh]
        return self.file is not None or min(prices + [one.price_micro_per_kwh for one in self.periods]) < 0


class SlotRates(NamedTuple):
    """What a slot is priced at: what the utility asks, without and with grid fee, what it pays, and its fees."""

    price: int
    all_in: int
    feed_in: int
    grid_fee: int
    local_grid_fee: int


_REMEMBERED = 1_000
"""So many slots' prices are kept: a plan looks two days ahead."""


class _Slots(dict[int, SlotRates]):
    """What slots are priced at, each worked out once."""

    def __init__(self, tariff: Tariff, utc_offset_s: int, series: PriceSeries | None) -> None:
        self.tariff = tariff
        self.utc_offset_s = utc_offset_s
        self.series = series

    def __missing__(self, slot: int) -> SlotRates:
        if len(self) >= _REMEMBERED:
            self.clear()
        tariff, series, price = self.tariff, self.series, self._of_first_period(slot)
        feed_in, fee = tariff.feed_in_micro_per_kwh, tariff.grid_fee_micro_per_kwh
        local_fee = tariff.local_grid_fee_micro_per_kwh
        if series is not None:
            price += series.at(series.price, slot)
            feed_in += series.at(series.feed_in, slot)
            fee += series.at(series.grid_fee, slot)
            local_fee += series.at(series.local_grid_fee, slot)
        self[slot] = found = SlotRates(price, price + fee, feed_in, fee, local_fee)
        return found

    def _of_first_period(self, slot: int) -> int:
        """The price of the period that a slot lies in, else the base price."""
        for period in self.tariff.periods:
            if period.holds(slot, self.utc_offset_s):
                return period.price_micro_per_kwh
        return self.tariff.price_micro_per_kwh


_shared: WeakValueDictionary[tuple[Tariff, int, int], _Slots] = WeakValueDictionary()
"""Those in use. A town's households have the same tariff: what they know of it is kept once."""


def _slots_of(tariff: Tariff, utc_offset_s: int, series: PriceSeries | None) -> _Slots:
    key = (tariff, utc_offset_s, id(series))  # a series that is in use is kept, so no other has its id
    found = _shared.get(key)
    if found is None:
        found = _shared[key] = _Slots(tariff, utc_offset_s, series)
    return found


class Rates:
    """A tariff in a street's local time, with the series of its file, slot by slot."""

    def __init__(self, tariff: Tariff, utc_offset_s: int, series: PriceSeries | None = None) -> None:
        """ValueError when the tariff has a file and its series is not there."""
        if tariff.file is not None and series is None:
            raise ValueError(f"the prices of {tariff.file.path} were not read")
        self.tariff = tariff
        self._newest = series
        self._slots = _slots_of(tariff, utc_offset_s, series)
        self._same_each_day = not any(period.days or period.months for period in tariff.periods)

    @property
    def end(self) -> int | None:
        """Up to which slot (not included) prices are published; None: there is no series."""
        series = self._slots.series
        return None if series is None else series.end

    @property
    def daily(self) -> bool:
        """Whether every day has the same prices."""
        return self._slots.series is None and self._same_each_day

    def publish(self, series: PriceSeries) -> None:
        """Go by a newer series from now on; of slots before it, by what is known."""
        if series is not self._newest:
            self._newest, former = series, self._slots
            known = series if former.series is None else series.after(former.series)
            self._slots = _slots_of(self.tariff, former.utc_offset_s, known)

    def price(self, slot: int) -> int:
        """What the utility asks for a kWh, without grid fee, by local time at the slot's start."""
        return self._slots[slot].price

    def all_in(self, slot: int) -> int:
        """What a kWh of the utility costs a household: price and grid fee."""
        return self._slots[slot].all_in

    def feed_in(self, slot: int) -> int:
        """What the utility pays for a kWh that is fed in."""
        return self._slots[slot].feed_in

    def grid_fee(self, slot: int) -> int:
        """The grid fee on a kWh of the utility."""
        return self._slots[slot].grid_fee

    def local_grid_fee(self, slot: int) -> int:
        """The grid fee on a kWh of a neighbour."""
        return self._slots[slot].local_grid_fee
