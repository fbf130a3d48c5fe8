"""A report as programs read it: JSON with a list for each series, and CSV with one value a row. Pure.

Energy is in kWh, money and prices are decimal text, slots are local times as RFC 3339 has them; null (JSON) or nothing
(CSV) stands where a value is not defined.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from wattmesh_cli.kpi import COMMUNITY
from wattmesh_cli.kpi_forms import kpi_rows, kpis_json
from wattmesh_cli.output import slot_json
from wattmesh_cli.report.content import Content
from wattmesh_cli.report.flows import Flow
from wattmesh_cli.report.series import Metered, Traded, UtilityPrices, devices
from wattmesh_market.units import kwh_text, money_text

COLUMNS = ("part", "slot", "party", "counterparty", "name", "value")
"""Of the CSV. `part` is `series`, `flow`, `kpi` (the bills among them) or `audit`; in a flow `party` sells."""

Values = Mapping[str, Sequence[str | None]]


def as_json(shown: Content, audited: Mapping[str, object]) -> dict[str, object]:
    """The report, JSON-able; `audited` is the audit's result in that form."""
    zone = shown.market.zone
    return {
        "market": shown.market.name,
        "currency": shown.market.currency,
        "from": slot_json(shown.slots[0] if shown.slots else None, zone),
        "until": slot_json(shown.end, zone),
        "slots": [slot_json(slot, zone) for slot in shown.slots],
        "community": _of_all(shown),
        "households": {
            name: {"slots": [slot_json(row.slot, zone) for row in rows], **_metered(rows)}
            for name, rows in shown.households.items()
        },
        "utilities": {of.utility: _prices(of) for of in shown.prices},
        "flows": [
            {"seller": flow.seller, "buyer": flow.buyer, "kind": flow.kind} | _flow(flow) for flow in shown.flows
        ],
        "kpis": kpis_json(shown.kpis),
        "audit": dict(audited),
        "origin": {"manifests": shown.origin.manifests, "seed": shown.origin.seed},
    }


def csv_rows(shown: Content, audited: Mapping[str, object]) -> Iterator[tuple[str, ...]]:
    """The report's values below COLUMNS."""
    zone = shown.market.zone
    yield from _series(shown, shown.slots, COMMUNITY, _of_all(shown))
    for name, rows in shown.households.items():
        yield from _series(shown, [row.slot for row in rows], name, _metered(rows))
    for of in shown.prices:
        yield from _series(shown, shown.slots, of.utility, _prices(of))
    for flow in shown.flows:
        for name, value in _flow(flow).items():
            yield "flow", "", flow.seller, flow.buyer, f"{flow.kind}_{name}", str(value)
    for party, name, value in kpi_rows(shown.kpis):
        yield "kpi", "", party, "", name, str(value)
    for name, value in audited.items():
        if name != "findings":
            yield "audit", "", "", "", name, str(value)
    for finding in shown.audited.findings:
        yield "audit", slot_json(finding.slot, zone) or "", finding.party or "", "", finding.kind, finding.text


def _series(shown: Content, slots: Sequence[int], party: str, values: Values) -> Iterator[tuple[str, ...]]:
    times = [slot_json(slot, shown.market.zone) or "" for slot in slots]
    for name, column in values.items():
        for time, value in zip(times, column, strict=True):
            yield "series", time, party, "", name, value or ""


def _of_all(shown: Content) -> Values:
    return {**_metered(shown.community), **_traded(shown.traded)}


def _metered(rows: Sequence[Metered]) -> Values:
    worths = [row.worth_micro_per_kwh for row in rows]
    return {
        "pv_kwh": [kwh_text(row.pv_wh) for row in rows],
        "load_kwh": [kwh_text(row.load_wh) for row in rows],
        "bought_kwh": [kwh_text(row.bought_wh) for row in rows],
        "sold_kwh": [kwh_text(row.sold_wh) for row in rows],
        "import_kwh": [kwh_text(row.imported_wh) for row in rows],
        "export_kwh": [kwh_text(row.exported_wh) for row in rows],
        "net_import_kwh": [kwh_text(row.net_import_wh) for row in rows],
        "level_kwh": [kwh_text(row.level_after_wh) for row in rows],
        "capacity_kwh": [kwh_text(row.capacity_wh) for row in rows],
        "stored_worth_per_kwh": [None if worth is None else money_text(worth) for worth in worths],
        **{f"load_{name}_kwh": [kwh_text(row.devices_wh.get(name, 0)) for row in rows] for name in devices(rows)},
    }


def _traded(rows: Sequence[Traded]) -> Values:
    prices = [row.local_price_micro_per_kwh for row in rows]
    return {
        "local_kwh": [kwh_text(row.local_wh) for row in rows],
        "local_amount": [money_text(row.local_micro) for row in rows],
        "local_price_per_kwh": [None if price is None else money_text(price) for price in prices],
        "from_utilities_kwh": [kwh_text(row.from_utilities_wh) for row in rows],
        "to_utilities_kwh": [kwh_text(row.to_utilities_wh) for row in rows],
    }


def _prices(of: UtilityPrices) -> Values:
    return {
        "price_per_kwh": [money_text(micro) for micro in of.tariff_micro],
        "feed_in_per_kwh": [money_text(micro) for micro in of.feed_in_micro],
    }


def _flow(flow: Flow) -> dict[str, object]:
    return {
        "bookings": flow.bookings,
        "kwh": kwh_text(flow.energy_wh),
        "amount": money_text(flow.amount_micro),
        "price_per_kwh": money_text(flow.price_micro_per_kwh),
    }
