"""The optimum of streets that ran: within every battery's limits, and never above what the market's households paid."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from bench.families import FAMILIES
from bench.optimum import CASES
from bench.streets import Street, run, street, street_of
from tests.world.manifests import MARKET, households, planned, utility
from wattmesh_cli.alone import alone, alone_by_strategy
from wattmesh_cli.books import LedgerEntry, Reading
from wattmesh_cli.field.metered import demand_of, home, metered_feeders, metered_possible
from wattmesh_cli.field.optimum import Demand, Home, Optimum, optimum
from wattmesh_cli.kpi import ALL_SLOTS, Cost, Rows, Stored, supplied_micro
from wattmesh_cli.terms import terms_of

NEAR = 1e-3
"""Wh: what HiGHS leaves of a constraint."""


def paid_micro(rows: Rows, homes: Mapping[str, Home]) -> float:
    """What the market's households paid, less what is left in their batteries."""
    bills = -sum(entry.amount_micro for name in homes for entry in rows.ledger[name])
    return bills - sum(
        home.stored_micro_per_kwh * rows.readings[name][-1].level_after_wh / 1000 for name, home in homes.items()
    )


def check_limits(homes: Mapping[str, Home], found: Optimum) -> None:
    """Every battery balances in every slot, within its level and power."""
    for name, flows in found.flows.items():
        store = homes[name].store
        assert store is not None
        before = np.concatenate([[store.level_wh], flows.level_wh[:-1]])
        stored = flows.charged_wh * store.charge_efficiency - flows.discharged_wh / store.discharge_efficiency
        np.testing.assert_allclose(flows.level_wh, before * (1 - store.leak) + stored, atol=NEAR)
        lowest = min(store.min_level_wh, store.level_wh) * np.cumprod(1 - store.leak)
        assert (flows.level_wh >= lowest - NEAR).all()
        assert (flows.level_wh <= store.capacity_wh + NEAR).all()
        for power, limit in ((flows.charged_wh, store.charge_wh), (flows.discharged_wh, store.discharge_wh)):
            assert (power >= -NEAR).all()
            assert (power <= limit + NEAR).all()


def check_bill(homes: Mapping[str, Home], demand: Demand | None, found: Optimum) -> None:
    """The bill is what the flows cost at one tariff: what meters need and have meets within the feeder, under its fee;
    the rest is the utility's.
    """
    net = {
        name: home.net_wh + (found.flows[name].charged_wh - found.flows[name].discharged_wh if home.store else 0)
        for name, home in homes.items()
    }
    one = next(iter(homes.values()))
    needs = np.sum([np.maximum(0, wh) for wh in net.values()], axis=0)
    gives = np.sum([np.maximum(0, -wh) for wh in net.values()], axis=0)
    local = np.where(one.local_fee_micro <= one.tariff_micro - one.feed_in_micro, np.minimum(needs, gives), 0)
    cost = (needs - local) * one.tariff_micro - (gives - local) * one.feed_in_micro + local * one.local_fee_micro
    if demand is None:
        assert found.bills_micro.sum() == pytest.approx(cost.sum() / 1000, rel=1e-6, abs=1)


def check(of: Street, rows: Rows) -> None:
    for stored in Stored:
        for homes, demand in metered_feeders(rows, of.terms, ALL_SLOTS, stored):
            found = optimum(homes, demand)
            check_limits(homes, found)
            check_bill(homes, demand, found)
            # Each of the market's entries is rounded to a millionth.
            roundings = sum(len(rows.ledger[name]) for name in homes)
            assert found.cost_micro(homes) <= paid_micro(rows, homes) + roundings


@pytest.mark.parametrize("name", CASES)
def test_the_optimum_of_a_case_keeps_all_limits_and_is_not_above_what_was_paid(name: str, tmp_path: Path) -> None:
    of = street(CASES[name], "perfect", tmp_path)
    check(of, run(of, days=1))


@settings(max_examples=8, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.sampled_from(sorted(FAMILIES)), st.integers(0, 10**6), st.sampled_from(["profile", "perfect"]))
def test_the_optimum_of_any_street_keeps_all_limits_and_is_not_above_what_was_paid(
    tmp_path: Path, family: str, seed: int, forecast: str
) -> None:
    of = street_of(FAMILIES[family].street(seed), forecast, tmp_path / "street.yaml")
    check(of, run(of, days=1))


def test_nobody_is_better_off_alone_than_all_could_be(tmp_path: Path) -> None:
    of = street(CASES["street"], "perfect", tmp_path)
    rows = run(of, days=1)
    found = metered_possible(rows, of.plan, of.terms, ALL_SLOTS, alone(rows, of.terms.battery, ALL_SLOTS))
    for reached in found.reached.values():
        assert reached.optimum_micro < reached.alone_micro
        assert reached.ratio is not None
        assert reached.ratio < 1


def test_a_household_that_is_alone_anyway_does_by_strategy_what_it_did(tmp_path: Path) -> None:
    of = street(CASES["flat1"], "profile", tmp_path)
    rows = run(of, days=1)
    (flat,) = rows.households
    bill_micro = -sum(entry.amount_micro for entry in rows.ledger[flat])
    assert alone_by_strategy(rows, of.plan, ALL_SLOTS) == {flat: Cost(bill_micro, left_wh=0)}
    found = metered_possible(rows, of.plan, of.terms, ALL_SLOTS, alone(rows, of.terms.battery, ALL_SLOTS))
    backstop_micro = supplied_micro(alone(rows, of.terms.battery, ALL_SLOTS)[flat], of.terms.prices)
    for reached in found.reached.values():
        assert reached.alone_micro == min(bill_micro, backstop_micro)
        assert reached.ratio is None  # nothing can be saved


def test_a_roof_alone_by_strategy_keeps_its_battery(tmp_path: Path) -> None:
    of = street(CASES["winter"], "profile", tmp_path)
    rows = run(of, days=1)
    costs = alone_by_strategy(rows, of.plan, ALL_SLOTS)
    assert set(costs) == set(rows.households)
    for name, cost in costs.items():
        assert 0 <= cost.left_wh <= of.terms.battery(name).capacity_wh


def test_a_household_that_comes_later_and_leaves_earlier_keeps_what_it_has_outside(tmp_path: Path) -> None:
    of = street(CASES["street"], "perfect", tmp_path)
    rows = run(of, days=1)
    late = "rooftop-0.default"
    readings = rows.readings[late][10:40]
    part = Rows(**{**vars(rows), "readings": {**rows.readings, late: readings}})
    ((homes, demand),) = metered_feeders(part, of.terms, ALL_SLOTS, Stored.RETAIL)
    found = optimum(homes, demand)
    check_limits(homes, found)
    flows = found.flows[late]
    outside = np.ones(len(flows.level_wh), dtype=bool)
    outside[10:40] = False
    assert not homes[late].load_wh[outside].any()
    assert not (flows.charged_wh + flows.discharged_wh)[outside].round(3).any()
    assert flows.level_wh[:10] == pytest.approx(readings[0].level_before_wh)
    assert flows.level_wh[40:] == pytest.approx(flows.level_wh[39])


def test_a_long_run_is_solved_in_windows_that_agree_with_the_whole(tmp_path: Path) -> None:
    of = street_of(FAMILIES["fees"].street(3), "perfect", tmp_path / "street.yaml")
    ((homes, demand),) = metered_feeders(run(of, days=5), of.terms, ALL_SLOTS, Stored.RETAIL)
    whole, parts = optimum(homes, demand), optimum(homes, demand, window=96)
    check_limits(homes, parts)
    check_bill(homes, demand, parts)
    assert len(parts.bills_micro) == 5 * 96
    assert parts.cost_micro(homes) == pytest.approx(whole.cost_micro(homes), rel=1e-4)
    assert parts.cost_micro(homes) >= whole.cost_micro(homes) - 1


CHEAP = utility(price="0.30", fees=", gridFee: 0.05")
DEAR = utility(price="0.40", fees=", localGridFee: 0.03").replace("{name: utility}", "{name: dear}")
FLAT = households("flat", "load: {annualKwh: 3000}, utilityRef: {name: dear}")


def test_energy_is_bought_from_the_cheapest_utility_and_fed_in_to_the_own() -> None:
    terms = terms_of(planned(MARKET + CHEAP + DEAR + FLAT))
    flat = "flat-0.default"
    assert (terms.cheapest_micro(flat, 0), terms.prices.tariff_micro(flat, 0)) == (350_000, 400_000)
    reading = Reading(flat, 900, 0, 0, 0, 0, 600, 0, 0, 600, 0, 0, "booked")
    of = home(terms, [reading], range(900, 2700, 900), Stored.RETAIL)
    assert list(of.load_wh) == [600, 0]
    assert list(of.tariff_micro) == [350_000, 350_000]
    assert list(of.feed_in_micro) == [80_000, 80_000]
    assert list(of.local_fee_micro) == [30_000, 30_000]
    assert of.store is None


def test_demand_is_what_utilities_bought_on_the_market_at_their_mean_price() -> None:
    entries = [
        LedgerEntry("a", "trade", 0, "utility", "1", -300, 90_000),
        LedgerEntry("b", "trade", 0, "utility", "2", -100, 20_000),
        LedgerEntry("b", "trade", 0, "a", "3", -100, 20_000),  # to a neighbour
        LedgerEntry("a", "trade", 900, "utility", "4", 500, -150_000),  # bought from it
        LedgerEntry("a", "backstop", 900, "utility", "supply", -500, 40_000),
        LedgerEntry("a", "trade", 5400, "utility", "5", -500, 150_000),  # later
    ]
    demand = demand_of(entries, frozenset(["utility"]), range(0, 1800, 900))
    assert demand is not None
    assert list(demand.energy_wh) == [400, 0]
    assert list(demand.price_micro) == [275_000, 0]
    assert demand_of(entries[2:5], frozenset(["utility"]), range(0, 1800, 900)) is None
