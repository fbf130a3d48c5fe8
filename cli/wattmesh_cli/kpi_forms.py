"""KPIs as programs read them: values for JSON, and rows for CSV. Pure."""

from __future__ import annotations

from fractions import Fraction

from wattmesh_cli.kpi import Kpis, PartyKpis
from wattmesh_market.units import kwh_text, money_text


def kpis_json(result: Kpis) -> dict[str, object]:
    """All KPIs, JSON-able: energy in kWh, money and ratios as decimal text, null where undefined."""
    return {
        "unbooked_readings": result.unbooked_readings,
        "households": [{"party": row.party, **_party(row)} for row in result.households],
        "community": _party(result.community) | _only_community(result),
    }


def kpi_rows(result: Kpis) -> list[tuple[str, str, object]]:
    """Party, KPI and value of all KPIs, the community's last; "" where undefined."""
    parts = [(row, _party(row)) for row in result.households]
    parts.append((result.community, _party(result.community) | _only_community(result)))
    rows: list[tuple[str, str, object]] = [
        (row.party, name, "" if value is None else value) for row, values in parts for name, value in values.items()
    ]
    return [*rows, (result.community.party, "unbooked_readings", result.unbooked_readings)]


def _party(row: PartyKpis) -> dict[str, object]:
    energy, money = row.energy, row.money
    return {
        "pv_kwh": kwh_text(energy.pv_wh),
        "load_kwh": kwh_text(energy.load_wh),
        "inflow_kwh": kwh_text(energy.inflow_wh),
        "outflow_kwh": kwh_text(energy.outflow_wh),
        "losses_kwh": kwh_text(energy.losses_wh),
        "used_pv_kwh": kwh_text(energy.used_pv_wh),
        "self_consumption": _ratio(energy.self_consumption),
        "self_sufficiency": _ratio(energy.self_sufficiency),
        "local_kwh": kwh_text(energy.local_wh),
        "local_share": _ratio(energy.local_share),
        "peak_import_kw": None if energy.peak_import_w is None else kwh_text(energy.peak_import_w),
        "unserved_kwh": kwh_text(energy.unserved_wh),
        "curtailed_kwh": kwh_text(energy.curtailed_wh),
        "bill": money_text(money.bill_micro),
        "no_market_bill": money_text(money.no_market_bill_micro),
        "no_market_savings": money_text(money.no_market_savings_micro),
        "utility_only_bill": money_text(money.utility_only_bill_micro),
        "utility_only_savings": _money(money.utility_only_savings_micro),
        "stored_more_kwh": kwh_text(money.stored_more_wh),
        "stored_more_worth": money_text(money.stored_more_micro),
        "utility_only_benefit": _money(money.utility_only_benefit_micro),
        "grid_fees": money_text(money.grid_fees_micro),
    }


def _only_community(result: Kpis) -> dict[str, object]:
    trade, protocol = result.local_trade, result.protocol
    return {
        "utilities_bill": money_text(result.utilities_bill_micro),
        "local_trade_kwh": kwh_text(trade.energy_wh),
        "local_trade_amount": money_text(trade.amount_micro),
        "local_price_per_kwh": _money(trade.price_micro_per_kwh),
        "no_market_gini": _ratio(result.against_no_market.gini),
        "no_market_losers": _ratio(result.against_no_market.losers),
        "utility_only_gini": _ratio(result.against_utility_only.gini),
        "utility_only_losers": _ratio(result.against_utility_only.losers),
        "offers": protocol.offers,
        "quotes": protocol.quotes,
        "contracts_settled": protocol.settled,
        "contracts_expired": protocol.expired,
        "contracts_cancelled": protocol.cancelled,
        "offers_per_contract": _ratio(protocol.offers_per_contract),
        "settled_of_quotes": _ratio(protocol.settled_of_quotes),
        "messages": protocol.messages,
        "messages_per_contract": _ratio(protocol.messages_per_contract),
        "contracts_per_search": _ratio(protocol.contracts_per_search),
        "confirm_ms_median": protocol.confirm_ms_median,
        "confirm_ms_p95": protocol.confirm_ms_p95,
    }


def _money(amount_micro: int | None) -> str | None:
    return None if amount_micro is None else money_text(amount_micro)


def _ratio(value: Fraction | None) -> str | None:
    return None if value is None else f"{float(value):.4f}"
