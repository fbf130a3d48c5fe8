"""The parts of v2's messages that contracts, readings and offers share: series of intervals, energies, money."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from datetime import timedelta
from decimal import ROUND_HALF_UP, Decimal

from wattmesh_beckn.codec.v2.messages import Flow, Interval, TimeSeries, decimal
from wattmesh_beckn.codec.v2.writing import PRICE
from wattmesh_beckn.errors import invalid
from wattmesh_market.energy.slots import SLOT_S
from wattmesh_market.units import MAX_ENERGY_WH, MAX_MONEY_MICRO, money_text

CONTRACT, COMMITMENTS = "message.contract", "message.contract.commitments"
CONSIDERATION, SETTLEMENTS = f"{CONTRACT}.consideration", f"{CONTRACT}.settlements"
CATALOGS = "message.catalogs"
SERIES = f"{COMMITMENTS}.0.commitmentAttributes"
_SLOT_ID = re.compile(r"(?:payment-)?slot-(\d{1,12})", re.ASCII)
_UNITS: Mapping[str, Decimal] = {"WH": Decimal("0.001"), "MWH": Decimal(1000)}
"""How many kWh a unit is."""


def start_of(series: TimeSeries) -> int:
    """The slot (unix seconds) that a series begins with."""
    return int(series.interval_period.start.timestamp())


def of_other_length(series: TimeSeries) -> bool:
    """Whether any interval is said to last anything else than a delivery slot."""
    periods = [series.interval_period, *(one.interval_period for one in series.intervals if one.interval_period)]
    return any(one.duration not in (None, timedelta(seconds=SLOT_S)) for one in periods)


def intervals_of(series: TimeSeries, path: str = SERIES) -> Iterator[tuple[int, Interval]]:
    """The intervals, each with its slot, and energies in kWh.

    Refusal where one begins beside a slot, two are of the same, or energy is in a unit that is not known.
    """
    start, slots, factors = start_of(series), set[int](), _factors(series, path)
    for interval in series.intervals:
        own = interval.interval_period
        slot = start + interval.id * SLOT_S if own is None else int(own.start.timestamp())
        if slot % SLOT_S or slot in slots:
            text = "each interval must be another delivery slot, of which one begins every quarter of an hour"
            raise invalid(text, f"{path}.intervals")
        slots.add(slot)
        yield slot, _in_kwh(interval, factors, path) if factors else interval


def _factors(series: TimeSeries, path: str) -> dict[str, Decimal]:
    """By what the energies of each type are to be multiplied that are not in kWh."""
    found = {}
    for one in series.payload_descriptors:
        if one.payload_type == PRICE or one.units is None or one.units.upper() == "KWH":
            continue
        factor = _UNITS.get(one.units.upper())
        if factor is None:
            text = f"{one.payload_type} in {one.units!r:.50}: energy is read in KWH, WH and MWH"
            raise invalid(text, f"{path}.payloadDescriptors")
        found[one.payload_type] = factor
    return found


def _in_kwh(interval: Interval, factors: Mapping[str, Decimal], path: str) -> Interval:
    payloads = []
    for one in interval.payloads:
        values = one.values
        if (factor := factors.get(one.type)) is not None and values:
            try:
                values = tuple([str(decimal(value) * factor) for value in values])
            except ValueError as error:
                raise invalid(f"{one.type} {error}", f"{path}.intervals") from None
        payloads.append(one.model_copy(update={"values": values}))
    return interval.model_copy(update={"payloads": tuple(payloads)})


def slot_named(name: str | None) -> int | None:
    """The slot (unix seconds) that an id of wattmesh's own names; None where it is another's."""
    said = _SLOT_ID.fullmatch(name or "")
    return None if said is None else int(said[1])


def wh_in(interval: Interval, name: str) -> int | None:
    """An energy of an interval, in Wh; None where it has none of that name."""
    value = number_in(interval, name)
    return None if value is None else whole_wh(value, SERIES)


def whs_in(interval: Interval, name: str) -> list[int]:
    """All energies of that name in an interval, in Wh."""
    try:
        return [whole_wh(value, SERIES) for value in interval.numbers(name)]
    except ValueError as error:
        raise invalid(f"{name} {error}", f"{SERIES}.intervals") from None


def number_in(interval: Interval, *names: str, path: str = SERIES) -> Decimal | None:
    """The first number of these names in an interval."""
    try:
        return interval.number(*names)
    except ValueError as error:
        raise invalid(f"{' or '.join(names)} {error}", f"{path}.intervals") from None


def whole_wh(kwh: Decimal, path: str) -> int:
    """kWh in whole Wh, half rounded up."""
    energy_wh = _whole(kwh * 1000, path)
    if not 0 <= energy_wh <= MAX_ENERGY_WH:
        raise invalid(f"energy must be from 0 to {MAX_ENERGY_WH // 1000} kWh, not {kwh}", path)
    return energy_wh


def whole_micro(value: Decimal, path: str) -> int:
    """Money in whole millionths, half rounded up."""
    micro = _whole(value * 1_000_000, path)
    if abs(micro) > MAX_MONEY_MICRO:
        raise invalid(f"an amount must be at most {money_text(MAX_MONEY_MICRO)}, not {value}", path)
    return micro


def _whole(value: Decimal, path: str) -> int:
    if not value.is_finite() or value.adjusted() > 20:
        raise invalid("a number is beyond all bounds", path)
    return int(value.quantize(Decimal(1), ROUND_HALF_UP))


def sum_of(flows: Iterable[Flow], *, role: str | None = None, description: str | None = None) -> int:
    """What flows come to (millionths): all, those to one role, or those of one description."""
    return sum(
        whole_micro(flow.value, CONSIDERATION)
        for flow in flows
        if role in (None, flow.role) and description in (None, flow.description)
    )
