"""What each plot shows, in words, for who cannot see it. Pure."""

from __future__ import annotations

from collections.abc import Sequence

from wattmesh_cli.report.benefit import benefit
from wattmesh_cli.report.content import Content, backstop_wh
from wattmesh_cli.report.flows import TRADE, Flow, grouped
from wattmesh_cli.report.text import clock, kw, kwh, many, moment, money, price

NOTHING = "No slot was metered."
_TOLD = 3
_DAY_S = 86_400


def opening(shown: Content) -> str:
    """What the street saved, or lost, against each household alone with its battery and its utility."""
    if not shown.slots:
        return "Nothing is known of this street yet: no slot was metered."
    return " ".join(benefit(shown.kpis, shown.names, shown.market.currency))


def power(shown: Content) -> str:
    """Load, PV and net import of all households."""
    if not shown.community:
        return NOTHING
    pv = max(shown.community, key=lambda row: row.pv_wh)
    load = max(shown.community, key=lambda row: row.load_wh)
    net = max(shown.community, key=lambda row: row.net_import_wh)
    sun = f"PV was highest at {_at(shown, pv.slot)} with {kw(pv.pv_wh)} kW" if pv.pv_wh else "There was no PV"
    drawn = (
        f"most was drawn from outside at {_at(shown, net.slot)}, {kw(net.net_import_wh)} kW"
        if net.net_import_wh > 0
        else "nothing was drawn from outside"
    )
    return f"{sun}, the load at {_at(shown, load.slot)} with {kw(load.load_wh)} kW; {drawn}."


def level(shown: Content) -> str:
    """What the batteries held."""
    if not shown.community:
        return NOTHING
    first, last = shown.community[0], shown.community[-1]
    if not max(row.capacity_wh for row in shown.community):
        return "No household has a battery."
    fullest = max(shown.community, key=lambda row: row.level_after_wh)
    emptiest = min(shown.community, key=lambda row: row.level_after_wh)
    return (
        f"Together the batteries held {kwh(first.level_before_wh)} kWh at the start and {kwh(last.level_after_wh)} of "
        f"{kwh(last.capacity_wh)} kWh at the end; after the slot of {_at(shown, fullest.slot)} they were fullest "
        f"({kwh(fullest.level_after_wh)} kWh), after that of {_at(shown, emptiest.slot)} emptiest "
        f"({kwh(emptiest.level_after_wh)} kWh)."
    )


def prices(shown: Content) -> str:
    """What a kWh cost among households, and at the utility."""
    if not shown.community:
        return NOTHING
    parts = _asked(shown)
    local = [row.local_price_micro_per_kwh for row in shown.traded]
    known = tuple(micro for micro in local if micro is not None)
    if known:
        parts.append(f"households paid each other {_range(known)}, in {many(len(known), 'slot')}")
    else:
        parts.append("households sold each other nothing")
    if shown.worths:
        parts.append(f"a stored kWh was worth {_range(shown.worths)} to those who plan")
    return f"Per kWh in {shown.market.currency}: {'; '.join(parts)}."


def _asked(shown: Content) -> list[str]:
    """What utilities asked and paid, those with the same prices together."""
    alike: dict[str, list[str]] = {}
    for of in shown.prices:
        terms = f"asked {_range(of.tariff_micro)} and paid {_range(of.feed_in_micro)}"
        alike.setdefault(terms, []).append(shown.names.short(of.utility))
    told = [f"{_utilities(names)} {terms}" for terms, names in list(alike.items())[:_TOLD]]
    others = [name for names in list(alike.values())[_TOLD:] for name in names]
    return [*told, f"{_utilities(others)} had other prices"] if others else told


def _utilities(names: Sequence[str]) -> str:
    return names[0] if len(names) == 1 else many(len(names), "utility", "utilities")


def trades(shown: Content) -> str:
    """How much was traded, and how much the backstop supplied and took."""
    if not shown.community:
        return NOTHING
    supplied_wh, taken_wh = (sum(column) for column in zip(*backstop_wh(shown), strict=True))
    return (
        f"Households sold each other or shared {kwh(sum(row.local_wh for row in shown.traded))} kWh; "
        "on the market they bought "
        f"{kwh(sum(row.from_utilities_wh for row in shown.traded))} kWh from utilities and sold them "
        f"{kwh(sum(row.to_utilities_wh for row in shown.traded))} kWh. The backstop supplied "
        f"{kwh(supplied_wh)} kWh and took {kwh(taken_wh)} kWh."
    )


def flows(shown: Content) -> str:
    """Who sold most to whom."""
    traded = [flow for flow in grouped(shown.flows, shown.grouping.groups) if flow.kind == TRADE]
    if not traded:
        return "Nothing was traded on the market."
    largest = sorted(traded, key=lambda flow: (-flow.energy_wh, flow.seller, flow.buyer))
    told = "; ".join(_told(shown, flow) for flow in largest[:_TOLD])
    return f"{many(len(traded), 'pair')} of seller and buyer traded. The largest: {told}."


def _told(shown: Content, flow: Flow) -> str:
    return (
        f"{shown.names.short(flow.seller)} sold {shown.names.short(flow.buyer)} {kwh(flow.energy_wh)} kWh for "
        f"{money(flow.amount_micro)} {shown.market.currency}"
    )


def _at(shown: Content, slot: int) -> str:
    """When a slot starts; without its date where the whole run is no longer than a day."""
    zone = shown.market.zone
    return clock(slot, zone) if shown.slots[-1] - shown.slots[0] < _DAY_S else moment(slot, zone)


def _range(values: tuple[int, ...]) -> str:
    low, high = min(values), max(values)
    return price(low) if low == high else f"{price(low)} to {price(high)}"
