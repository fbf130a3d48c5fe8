"""KPIs as programs read them: values for JSON, and rows for CSV. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from fractions import Fraction

from wattmesh_cli.kpi import EnergyKpis, Kpis, PartyKpis, Possible, Stored, UtilityKpis
from wattmesh_market.units import kwh_text, money_text


def kpis_json(result: Kpis) -> dict[str, object]:
    """All KPIs, JSON-able: energy in kWh, money and ratios as decimal text, null where undefined."""
    return {
        "unbooked_readings": result.unbooked_readings,
        "households": [{"party": row.party, **_party(row)} for row in result.households],
        "community": _party(result.community) | _only_community(result),
        "utilities": [{"party": of.party, **_supply(of)} for of in result.utilities],
        **({} if result.possible is None else {"optimum": _possible(result.possible)}),
    }


def _possible(found: Possible) -> dict[str, object]:
    return {
        **{
            _key(stored): {
                "alone": money_text(of.alone_micro),
                "market": money_text(of.market_micro),
                "optimum": money_text(of.optimum_micro),
                "possible": money_text(of.possible_micro),
                "saved": money_text(of.saved_micro),
                "ratio": _ratio(of.ratio),
            }
            for stored, of in found.reached.items()
        },
        "worse_off": [
            {"party": loss.household, "amount": money_text(loss.micro), "of_load": _ratio(loss.of_load)}
            for loss in found.losses
        ],
    }


def kpi_rows(result: Kpis) -> list[tuple[str, str, object]]:
    """Party, KPI and value of all KPIs of households, the community's last; "" where undefined."""
    parts = [(row.party, _party(row)) for row in result.households]
    parts.append((result.community.party, _party(result.community) | _only_community(result)))
    rows = _rows(parts)
    if result.possible is not None:
        rows += [
            (result.community.party, f"optimum_{_key(stored)}_ratio", _ratio(of.ratio) or "")
            for stored, of in result.possible.reached.items()
        ]
        rows += [(loss.household, "worse_off", money_text(loss.micro)) for loss in result.possible.losses]
    return [*rows, (result.community.party, "unbooked_readings", result.unbooked_readings)]


def utility_rows(result: Kpis) -> list[tuple[str, str, object]]:
    """The same of utilities."""
    return _rows([(of.party, _supply(of)) for of in result.utilities])


def _rows(parts: Iterable[tuple[str, Mapping[str, object]]]) -> list[tuple[str, str, object]]:
    return [(party, name, "" if value is None else value) for party, values in parts for name, value in values.items()]


def _party(row: PartyKpis) -> dict[str, object]:
    energy, money = row.energy, row.money
    benefit = money.utility_only_benefit_micro
    return {
        "pv_kwh": kwh_text(energy.pv_wh),
        "load_kwh": kwh_text(energy.load_wh),
        "inflow_kwh": kwh_text(energy.inflow_wh),
        "outflow_kwh": kwh_text(energy.outflow_wh),
        "losses_kwh": kwh_text(energy.losses_wh),
        "used_pv_kwh": kwh_text(energy.used_pv_wh),
        "self_consumption": _ratio(energy.self_consumption),
        "self_sufficiency": _ratio(energy.self_sufficiency),
        "autarky": _ratio(energy.autarky),
        "local_kwh": kwh_text(energy.local_wh),
        "local_share": _ratio(energy.local_share),
        "peak_import_kw": _peak(energy),
        "unserved_kwh": kwh_text(energy.unserved_wh),
        "curtailed_kwh": kwh_text(energy.curtailed_wh),
        "bill": money_text(money.bill_micro),
        "no_market_bill": money_text(money.no_market_bill_micro),
        "no_market_savings": money_text(money.no_market_savings_micro),
        "utility_only_bill": money_text(money.utility_only_bill_micro),
        "utility_only_savings": _money(money.utility_only_savings_micro),
        "stored_more_kwh": kwh_text(money.stored_more_wh),
        **{f"stored_more_worth_{_key(stored)}": money_text(micro) for stored, micro in money.stored_more_micro.items()},
        **{
            f"utility_only_benefit_{_key(stored)}": None if benefit is None else money_text(benefit[stored])
            for stored in Stored
        },
        "grid_fees": money_text(money.grid_fees_micro),
        **{f"utility_only_{name}": value for name, value in _without_market(row.alone).items()},
    }


def _supply(of: UtilityKpis) -> dict[str, object]:
    return {
        "capacity_kw": kwh_text(of.capacity_w),
        "customers_peak_kw": None if of.peak_w is None else kwh_text(of.peak_w),
        "slots_above_capacity": of.above,
        "slots_metered": of.slots,
    }


def _without_market(energy: EnergyKpis) -> dict[str, object]:
    return {
        "inflow_kwh": kwh_text(energy.inflow_wh),
        "outflow_kwh": kwh_text(energy.outflow_wh),
        "self_consumption": _ratio(energy.self_consumption),
        "self_sufficiency": _ratio(energy.self_sufficiency),
        "autarky": _ratio(energy.autarky),
        "peak_import_kw": _peak(energy),
    }


def _peak(energy: EnergyKpis) -> str | None:
    return None if energy.peak_import_w is None else kwh_text(energy.peak_import_w)


def _key(stored: Stored) -> str:
    return stored.replace("-", "_")


def _only_community(result: Kpis) -> dict[str, object]:
    trade, protocol = result.local_trade, result.protocol
    return {
        "utilities_bill": money_text(result.utilities_bill_micro),
        "local_trade_kwh": kwh_text(trade.energy_wh),
        "local_trade_amount": money_text(trade.amount_micro),
        "local_price_per_kwh": _money(trade.price_micro_per_kwh),
        "no_market_gini": _ratio(result.against_no_market.gini),
        "no_market_losers": _ratio(result.against_no_market.losers),
        **{f"utility_only_gini_{_key(at)}": _ratio(of.gini) for at, of in result.against_utility_only.items()},
        **{f"utility_only_losers_{_key(at)}": _ratio(of.losers) for at, of in result.against_utility_only.items()},
        "offers": protocol.offers,
        "quotes": protocol.quotes,
        "deliveries_settled": protocol.settled,
        "deliveries_expired": protocol.expired,
        "deliveries_cancelled": protocol.cancelled,
        "offers_per_delivery": _ratio(protocol.offers_per_delivery),
        "settled_of_quotes": _ratio(protocol.settled_of_quotes),
        "messages": protocol.messages,
        "messages_per_delivery": _ratio(protocol.messages_per_delivery),
        "deliveries_per_search": _ratio(protocol.deliveries_per_search),
        "confirm_ms_median": protocol.confirm_ms_median,
        "confirm_ms_p95": protocol.confirm_ms_p95,
    }


def _money(amount_micro: int | None) -> str | None:
    return None if amount_micro is None else money_text(amount_micro)


def _ratio(value: Fraction | None) -> str | None:
    return None if value is None else f"{float(value):.4f}"
