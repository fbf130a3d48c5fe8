"""Energy KPIs of a household, or of all households as if behind one meter."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction

from wattmesh_cli.books import LedgerEntry, Reading, mean_power_w
from wattmesh_cli.kpi.rows import Rows, Slots, share, supplied


@dataclass(frozen=True)
class EnergyKpis:
    """`inflow_wh` and `outflow_wh` passed the boundary, netted within each slot; `local_wh` came from other households,
    bought or shared, less what these had to import for it.

    `used_pv_wh` is what the load used of the own PV, at once or out of the battery. `autarky` is the share of the load
    that nothing had to come in for at that moment. `taken_wh` is what households took from others, local or not.
    `unserved_wh` and `curtailed_wh` are what readings do not account for.
    """

    pv_wh: int
    load_wh: int
    inflow_wh: int
    outflow_wh: int
    losses_wh: int
    used_pv_wh: int
    self_consumption: Fraction | None
    self_sufficiency: Fraction | None
    autarky: Fraction | None
    local_wh: int
    taken_wh: int
    peak_import_w: int | None
    unserved_wh: int
    curtailed_wh: int

    @property
    def local_share(self) -> Fraction | None:
        """The share of local energy in what households took from others."""
        return share(self.local_wh, self.taken_wh)


@dataclass(frozen=True)
class _Slot:
    """What went on behind a meter in a slot; `net_wh` is what came in less what went out."""

    slot: int
    level_before_wh: int = 0
    level_after_wh: int = 0
    pv_wh: int = 0
    load_wh: int = 0
    net_wh: int = 0
    losses_wh: int = 0

    def with_(self, reading: Reading) -> _Slot:
        """Together with a household's reading of the slot."""
        return _Slot(
            self.slot,
            self.level_before_wh + reading.level_before_wh,
            self.level_after_wh + reading.level_after_wh,
            self.pv_wh + reading.pv_wh,
            self.load_wh + reading.load_wh,
            self.net_wh + reading.drawn_wh,
            self.losses_wh + reading.losses_wh,
        )


def household_energy(rows: Rows, household: str, slots: Slots) -> EnergyKpis:
    """The boundary is the household's meter."""
    return _energy(rows, [household], slots)


def community_energy(rows: Rows, slots: Slots) -> EnergyKpis:
    """The boundary is around all households; what they trade among each other does not pass it."""
    return _energy(rows, rows.households, slots)


def _energy(rows: Rows, households: Sequence[str], slots: Slots) -> EnergyKpis:
    readings = [reading for name in households for reading in rows.readings[name]]
    behind = _by_slot(readings)
    wanted = [slot for slot in behind if slot.slot in slots]
    pv_wh, load_wh = sum(slot.pv_wh for slot in wanted), sum(slot.load_wh for slot in wanted)
    used_pv_wh = sum(used_wh for slot, used_wh in _used_pv(behind) if slot in slots)
    ledgers = [[entry for entry in rows.ledger[name] if entry.slot in slots] for name in households]
    supplies = [of_slot for entries in ledgers for of_slot in supplied(entries) if of_slot.net_wh > 0]
    bought = [entry for entries in ledgers for entry in entries if entry.kind == "trade" and entry.energy_wh > 0]
    local_wh = sum(entry.energy_wh - rows.covered_wh.get(entry, 0) for entry in local_purchases(rows, bought))
    local_wh += sum(of_slot.shared_wh for of_slot in supplies)
    taken_wh = sum(entry.energy_wh for entry in bought) + sum(of_slot.net_wh for of_slot in supplies)
    missing_wh = [_missing_wh(reading) for reading in readings if reading.slot in slots]
    return EnergyKpis(
        pv_wh=pv_wh,
        load_wh=load_wh,
        inflow_wh=sum(max(0, slot.net_wh) for slot in wanted),
        outflow_wh=sum(max(0, -slot.net_wh) for slot in wanted),
        losses_wh=sum(slot.losses_wh for slot in wanted),
        used_pv_wh=used_pv_wh,
        self_consumption=share(used_pv_wh, pv_wh),
        self_sufficiency=share(used_pv_wh, load_wh),
        autarky=share(sum(slot.load_wh - min(slot.load_wh, max(0, slot.net_wh)) for slot in wanted), load_wh),
        local_wh=local_wh,
        taken_wh=taken_wh,
        peak_import_w=max((mean_power_w(max(0, slot.net_wh)) for slot in wanted), default=None),
        unserved_wh=sum(max(0, wh) for wh in missing_wh),
        curtailed_wh=sum(max(0, -wh) for wh in missing_wh),
    )


def local_purchases(rows: Rows, entries: Iterable[LedgerEntry]) -> Iterator[LedgerEntry]:
    """Of these entries the purchases from other households."""
    neighbours = rows.neighbours
    for entry in entries:
        if entry.kind == "trade" and entry.energy_wh > 0 and entry.counterparty in neighbours:
            yield entry


def _by_slot(readings: Iterable[Reading]) -> list[_Slot]:
    slots: dict[int, _Slot] = {}
    for reading in readings:
        slots[reading.slot] = slots.get(reading.slot, _Slot(reading.slot)).with_(reading)
    return [slots[slot] for slot in sorted(slots)]


def _used_pv(slots: Iterable[_Slot]) -> Iterator[tuple[int, int]]:
    """Each slot, and what the load used of the own PV in it (Wh, rounded down).

    PV serves load first, then charges. What is in the store is mixed, so every draw has the store's share of own PV.
    What was stored before the first slot is of nobody knows where, so it is not own PV.
    """
    stored_pv_wh = after_wh = 0
    for slot in slots:
        if slot.level_before_wh < after_wh:  # a household that left took its store along
            stored_pv_wh = stored_pv_wh * slot.level_before_wh // after_wh
        before_wh, after_wh = slot.level_before_wh, slot.level_after_wh
        direct_wh = min(slot.pv_wh, slot.load_wh)
        discharged_wh = slot.load_wh - slot.pv_wh - slot.net_wh
        to_load_wh = max(0, min(slot.load_wh - direct_wh, discharged_wh))
        used_wh = direct_wh + (to_load_wh * stored_pv_wh // before_wh if before_wh else 0)
        if after_wh > before_wh and discharged_wh < 0:
            from_pv_wh = min(slot.pv_wh - direct_wh, -discharged_wh)
            stored_pv_wh += (after_wh - before_wh) * from_pv_wh // -discharged_wh
        elif before_wh:
            stored_pv_wh = stored_pv_wh * after_wh // before_wh
        yield slot.slot, used_wh


def _missing_wh(reading: Reading) -> int:
    """What a reading has used, given and stored beyond what it had: unserved if positive, curtailed if negative."""
    out_wh = reading.load_wh + reading.sold_wh + reading.exported_wh + reading.losses_wh + reading.level_after_wh
    return out_wh - reading.pv_wh - reading.bought_wh - reading.imported_wh - reading.level_before_wh
