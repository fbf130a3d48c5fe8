"""The headline of a run, in sentences."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction

import pytest

from tests.cli.kpi.small_street import BATTERIES, FLAT, ROOF, STORE, kpis_with, small_street
from wattmesh_cli.kpi import Kpis, Loss, Possible, Reached, Stored
from wattmesh_cli.names import Names
from wattmesh_cli.report.benefit import benefit

KPIS = kpis_with(small_street(), BATTERIES)


def told(of: Kpis) -> tuple[str, ...]:
    return benefit(of, Names([FLAT, ROOF, STORE]), "EUR")


def test_bills_are_compared_with_each_alone() -> None:
    assert told(KPIS) == (
        "With the market the households paid 0.13 instead of 0.25 EUR (each alone with its battery and its utility); "
        "with what is left in the batteries they are 0.09 to 0.12 better off.",
        "Nobody is worse off than alone.",
        "As if behind one meter, 88.7% of the load needed nothing from outside with the market "
        "and 83.6% without; the peak import was 0.40 kW "
        "and 0.40 kW.",
    )


def test_a_market_that_costs_is_not_praised() -> None:
    money = replace(KPIS.community.money, utility_only_savings_micro=-500_000)
    bills, *_ = told(replace(KPIS, community=replace(KPIS.community, money=money)))
    assert bills.endswith("they are 0.51 to 0.53 worse off.")


@pytest.mark.parametrize(
    ("bill_micro", "alone_micro", "says"),
    [
        (-210_000, -140_000, "the households earned 0.21 instead of 0.14 EUR"),
        (-210_000, 140_000, "the households earned 0.21 instead of paying 0.14 EUR"),
        (210_000, -140_000, "the households paid 0.21 instead of earning 0.14 EUR"),
    ],
)
def test_a_negative_bill_is_earned(bill_micro: int, alone_micro: int, says: str) -> None:
    money = replace(KPIS.community.money, bill_micro=bill_micro, utility_only_bill_micro=alone_micro)
    assert says in told(replace(KPIS, community=replace(KPIS.community, money=money)))[0]


def test_who_is_worse_off_is_named() -> None:
    flat, *others = KPIS.households
    lost = replace(flat, money=replace(flat.money, utility_only_savings_micro=-500_000))
    assert "Worse off than alone (EUR): flat by 0.50." in told(replace(KPIS, households=(lost, *others)))


def test_what_was_possible() -> None:
    reached = {
        Stored.RETAIL: Reached(10_000_000, 4_000_000, 2_000_000),
        Stored.FEED_IN: Reached(10_000_000, 4_000_000, 10_000_000),
    }
    losses = (Loss(FLAT, 120_000, Fraction(1, 8)), Loss(STORE, 20_000, None))
    sentences = told(replace(KPIS, possible=Possible(reached, losses)))
    assert sentences[1:3] == (
        "Of what perfect foresight could have saved them together, they saved 6.00 (75.0%) of 8.00 EUR with what is "
        "left worth its retail price, and nothing of 0.00 EUR with what is left worth its feed-in price.",
        "Worse off than alone (EUR): flat by 0.12 (12.5% of what its load costs), store by 0.02.",
    )


def test_nothing_is_said_of_bills_that_are_not_complete() -> None:
    money = replace(KPIS.community.money, utility_only_savings_micro=None)
    sentences = told(replace(KPIS, community=replace(KPIS.community, money=money), unbooked_readings=1))
    assert sentences[0] == "What the market saved is not known yet: the money of 1 metered slot is not booked."
    assert not any("worse off" in sentence for sentence in sentences)
