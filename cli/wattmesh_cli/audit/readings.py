"""Checks of households' meters: each slot balances, follows the one before, and counts what the contracts say."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field

from wattmesh_cli.audit.devices import DeviceCheck, held_by_cars
from wattmesh_cli.audit.findings import Finding
from wattmesh_cli.audit.rows import Rows
from wattmesh_cli.books import DELIVERED, SLOT_S, Party, Reading

_QUANTITIES = ("pv", "load", "bought", "sold", "imported", "exported", "losses", "covered")
_WHOLE = 1_000_000
"""Millionths in a Wh."""


@dataclass
class _Traded:
    """What a household's contracts say of one slot. The lists hold transaction ids."""

    bought_wh: int = 0
    sold_wh: int = 0
    sold_to_households_wh: int = 0
    sold_to_unknown_wh: int = 0
    purchases: int = 0
    short_sales: list[str] = field(default_factory=list)
    undecided_purchases: list[str] = field(default_factory=list)
    undelivered_sales: list[str] = field(default_factory=list)
    delivered_sales: list[str] = field(default_factory=list)


def check_readings(rows: Rows) -> Iterator[Finding]:
    """Check the meters of all households."""
    traded: defaultdict[tuple[str, int], _Traded] = defaultdict(_Traded)
    for row in rows.contracts:
        of_slot = traded[row.party, row.slot]
        of_slot.purchases += row.side == "buyer"
        if row.state in DELIVERED:
            if row.side == "buyer":
                of_slot.bought_wh += row.delivered_wh or 0
            else:
                of_slot.sold_wh += row.delivered_wh or 0
                of_slot.delivered_sales.append(row.transaction_id)
                # Of who has left nobody knows whether it was a household.
                if rows.is_kind(row.counterparty, "household"):
                    of_slot.sold_to_households_wh += row.delivered_wh or 0
                    if row.delivered_wh != row.energy_wh:
                        of_slot.short_sales.append(row.transaction_id)
                elif row.counterparty in rows.departed:
                    of_slot.sold_to_unknown_wh += row.delivered_wh or 0
        elif row.side == "buyer" and (row.state == "CONFIRMED" or row.in_doubt):
            of_slot.undecided_purchases.append(row.transaction_id)
        elif row.side == "seller" and row.state == "CONFIRMED":
            of_slot.undelivered_sales.append(row.transaction_id)
    for party in rows.parties.values():
        if party.kind != "household":
            continue
        readings = sorted(rows.readings[party.party].values(), key=lambda reading: reading.slot)
        yield from _sequence(party, readings)
        carried_uwh = 0
        devices = DeviceCheck()
        for reading in readings:
            of_slot = traded[party.party, reading.slot]
            yield from _balance(reading)
            yield from devices.of(reading)
            yield from _trades(reading, of_slot)
            if (
                reading is not readings[0] or party.party not in rows.carried
            ):  # else what was carried into it is deleted
                yield from _covered(reading, of_slot, carried_uwh)
            carried_uwh = reading.carried_uwh
    for (name, slot), of_slot in traded.items():
        if rows.is_kind(name, "household") and slot not in rows.readings[name]:
            for transaction_id in of_slot.delivered_sales:
                text = "sale is delivered, but its slot is not metered"
                yield Finding("reading-trades", name, slot, transaction_id, text)


def _sequence(party: Party, readings: list[Reading]) -> Iterator[Finding]:
    slot, level_wh, carried_uwh = party.first_slot, party.initial_level_wh, 0
    for reading in readings:
        if reading.slot != slot:
            text = f"reading starts {reading.slot - slot:+d} s from where the one before ends"
            yield _of("reading-sequence", reading, text)
        if reading.level_before_wh != level_wh:
            text = f"level is {reading.level_before_wh} Wh before the slot, but was {level_wh} Wh after the one before"
            yield _of("reading-level", reading, text)
        slot, level_wh, carried_uwh = reading.slot + SLOT_S, reading.level_after_wh, reading.carried_uwh
    if party.next_slot != slot:
        text = f"next slot is {party.next_slot - slot:+d} s from where the last reading ends"
        yield Finding("reading-sequence", party.party, party.next_slot, None, text)
    if party.level_wh != level_wh:
        text = f"level is {party.level_wh} Wh, but was {level_wh} Wh after the last reading"
        yield Finding("reading-level", party.party, party.next_slot, None, text)
    if party.carried_uwh != carried_uwh:
        text = f"carries {party.carried_uwh} millionths of a Wh, but {carried_uwh} were left of the last reading"
        yield Finding("reading-level", party.party, party.next_slot, None, text)


def _balance(reading: Reading) -> Iterator[Finding]:
    change_wh = reading.level_after_wh - reading.level_before_wh
    explained_wh = (
        reading.pv_wh
        - reading.load_wh
        + reading.bought_wh
        - reading.sold_wh
        + reading.imported_wh
        - reading.exported_wh
        - reading.losses_wh
    )
    if change_wh != explained_wh:
        text = f"level changes by {change_wh:+d} Wh, but what was metered explains {explained_wh:+d} Wh"
        yield _of("reading-balance", reading, text)
    for name in _QUANTITIES:
        quantity_wh = getattr(reading, f"{name}_wh")
        if quantity_wh < 0:
            yield _of("reading-quantity", reading, f"{name} is {quantity_wh} Wh")
    if not 0 <= reading.level_after_wh <= reading.capacity_wh:
        text = f"level is {reading.level_after_wh} Wh after the slot; capacity is {reading.capacity_wh} Wh"
        yield _of("reading-level", reading, text)
    room_uwh = (reading.capacity_wh - reading.level_after_wh) * _WHOLE
    if not 0 <= reading.carried_uwh < _WHOLE or 0 <= room_uwh < reading.carried_uwh:
        text = f"carries {reading.carried_uwh} millionths of a Wh; level is {reading.level_after_wh} Wh after the slot"
        yield _of("reading-level", reading, text)


def _covered(reading: Reading, traded: _Traded, carried_before_uwh: int) -> Iterator[Finding]:
    """What neighbours bought is delivered in full: out of the sun that the house does not need, the store, or else the
    backstop. That part was imported.
    """
    for transaction_id in traded.short_sales:
        yield _of("reading-trades", reading, "a household's purchase is not delivered in full", transaction_id)
    if reading.covered_wh > min(reading.sold_wh, reading.imported_wh):
        text = (
            f"{reading.covered_wh} Wh of sales came from the backstop, but {reading.sold_wh} Wh were sold and "
            f"{reading.imported_wh} Wh imported"
        )
        yield _of("reading-covered", reading, text)
    if reading.covered_wh and reading.exported_wh:
        text = f"{reading.covered_wh} Wh of sales came from the backstop, but {reading.exported_wh} Wh were exported"
        yield _of("reading-covered", reading, text)
    if traded.purchases:  # not all of what was bought need be booked yet, or ever be
        return
    # A car gives nothing for neighbours; what it takes is not theirs.
    charged_wh, held_wh = held_by_cars(reading)
    surplus_wh = max(0, reading.pv_wh - reading.load_wh - charged_wh)
    most_wh = max(0, traded.sold_to_households_wh + traded.sold_to_unknown_wh - surplus_wh)
    drawn_wh = reading.level_before_wh - reading.level_after_wh + held_wh
    drawn_uwh = drawn_wh * _WHOLE + carried_before_uwh - reading.carried_uwh
    stored_wh = max(0, drawn_uwh) // _WHOLE
    least_wh = max(0, traded.sold_to_households_wh - surplus_wh - stored_wh)
    if not least_wh <= reading.covered_wh <= most_wh:
        text = (
            f"{reading.covered_wh} Wh of sales came from the backstop; by what sun and store gave, {least_wh} to "
            f"{most_wh} Wh"
        )
        yield _of("reading-covered", reading, text)


def _trades(reading: Reading, traded: _Traded) -> Iterator[Finding]:
    for name, metered_wh, contracted_wh in (
        ("bought", reading.bought_wh, traded.bought_wh),
        ("sold", reading.sold_wh, traded.sold_wh),
    ):
        if metered_wh != contracted_wh:
            text = f"reading has {metered_wh} Wh {name}; delivered contracts have {contracted_wh} Wh"
            yield _of("reading-trades", reading, text)
    for transaction_id in traded.undelivered_sales:
        yield _of("reading-trades", reading, "slot is metered, but this sale is still CONFIRMED", transaction_id)
    if reading.state == "open":
        return
    if reading.imported_wh and reading.exported_wh:
        text = (
            f"reading is {reading.state} with {reading.imported_wh} Wh imported and {reading.exported_wh} Wh exported"
        )
        yield _of("reading-open", reading, text)
    for transaction_id in traded.undecided_purchases:
        text = f"reading is {reading.state}, but this purchase is still open"
        yield _of("reading-open", reading, text, transaction_id)


def _of(kind: str, reading: Reading, text: str, transaction_id: str | None = None) -> Finding:
    return Finding(kind, reading.party, reading.slot, transaction_id, text)
