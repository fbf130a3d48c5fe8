"""What the market was worth to its households, in sentences. Pure.

Bills are compared with each household alone; what is left in batteries is in no bill, so it is told at both its values.
"""

from __future__ import annotations

from wattmesh_cli.kpi import AtBoth, EnergyKpis, Kpis, Stored, UtilityKpis
from wattmesh_cli.names import Names
from wattmesh_cli.report.text import UNDEFINED, kwh, many, money, percent


def benefit(kpis: Kpis, names: Names, currency: str) -> tuple[str, ...]:
    """The headline: bills against each household alone, how much of what was possible, who is worse off,
    self-sufficiency and peak with and without the market, and which utilities supplied more than their capacity.
    """
    possible = () if kpis.possible is None else (_possible(kpis, currency),)
    known = kpis.community.money.utility_only_benefit_micro is not None
    losers = (_worse_off(kpis, names, currency),) if known else ()
    above = [_above(of, names) for of in kpis.utilities if of.above]
    return (_bills(kpis, currency), *possible, *losers, _one_meter(kpis), *above)


def _bills(kpis: Kpis, currency: str) -> str:
    of = kpis.community.money
    benefit_micro = of.utility_only_benefit_micro
    if benefit_micro is None:
        unbooked = many(kpis.unbooked_readings, "metered slot")
        return f"What the market saved is not known yet: the money of {unbooked} is not booked."
    paid = _paid(of.bill_micro, of.utility_only_bill_micro)
    return (
        f"With the market the households {paid} {currency} (each alone with its battery and its utility); with "
        f"what is left in the batteries they are {_better(benefit_micro)}."
    )


def _paid(bill_micro: int, instead_of_micro: int) -> str:
    """Two bills; a negative one is earned."""
    now, then = money(abs(bill_micro)), money(abs(instead_of_micro))
    if (bill_micro < 0) == (instead_of_micro < 0):
        return f"{'earned' if bill_micro < 0 else 'paid'} {now} instead of {then}"
    return f"earned {now} instead of paying {then}" if bill_micro < 0 else f"paid {now} instead of earning {then}"


def _better(benefit_micro: AtBoth) -> str:
    low, high = sorted(benefit_micro.values())
    if low == high:
        return f"{money(abs(low))} {'better' if low >= 0 else 'worse'} off"
    if high <= 0:
        return f"{money(-high)} to {money(-low)} worse off"
    return f"{money(low)} to {money(high)} better off"


def _possible(kpis: Kpis, currency: str) -> str:
    assert kpis.possible is not None  # noqa: S101
    told = []
    for stored, of in kpis.possible.reached.items():
        share = "nothing" if of.ratio is None else f"{money(of.saved_micro)} ({percent(of.ratio)})"
        told.append(
            f"{share} of {money(max(0, of.possible_micro))} {currency} with what is left worth {_worth(stored)}"
        )
    return f"Of what perfect foresight could have saved them together, they saved {', and '.join(told)}."


def _worth(stored: Stored) -> str:
    return "its retail price" if stored is Stored.RETAIL else "its feed-in price"


def _worse_off(kpis: Kpis, names: Names, currency: str) -> str:
    if kpis.possible is None:
        benefits = [(row.party, row.money.utility_only_benefit_micro) for row in kpis.households]
        lost = [(-max(of.values()), party) for party, of in benefits if of is not None and max(of.values()) < 0]
        losses = [f"{names.short(party)} by {money(micro)}" for micro, party in sorted(lost, reverse=True)]
    else:
        losses = [
            f"{names.short(loss.household)} by {money(loss.micro)}"
            + ("" if loss.of_load is None else f" ({percent(loss.of_load)} of what its load costs)")
            for loss in kpis.possible.losses
        ]
    if not losses:
        return "Nobody is worse off than alone."
    return f"Worse off than alone ({currency}): {', '.join(losses)}."


def _one_meter(kpis: Kpis) -> str:
    alone, market = kpis.community.alone, kpis.community.energy
    return (
        f"As if behind one meter, {_autarky(market)} of the load needed nothing from outside with the market and "
        f"{_autarky(alone)} without; the peak import was {_peak(market)} and {_peak(alone)}."
    )


def _autarky(of: EnergyKpis) -> str:
    return UNDEFINED if of.autarky is None else percent(of.autarky)


def _peak(of: EnergyKpis) -> str:
    return UNDEFINED if of.peak_import_w is None else f"{kwh(of.peak_import_w)} kW"


def _above(of: UtilityKpis, names: Names) -> str:
    drew = f"The customers of {names.short(of.party)} drew up to {kwh(of.peak_w or 0)} kW together"
    above = f"more than its capacity of {kwh(of.capacity_w)} kW in {of.above} of {many(of.slots, 'slot')}"
    return f"{drew}, {above}; capacity limits what it sells on the market."
