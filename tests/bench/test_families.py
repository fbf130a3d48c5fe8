"""Streets that are made up by seed."""

from __future__ import annotations

from pathlib import Path

import pytest

from bench.families import FAMILIES
from bench.streets import run, street_of


@pytest.mark.parametrize("name", FAMILIES)
def test_a_seed_makes_the_same_street_again_and_another_makes_another(name: str) -> None:
    family = FAMILIES[name]
    assert family.street(7) == family.street(7)
    assert family.street(7) != family.street(8)


@pytest.mark.parametrize("name", FAMILIES)
def test_all_streets_of_the_bench_are_valid_and_differ_as_their_family_says(name: str, tmp_path: Path) -> None:
    streets = [street_of(FAMILIES[name].street(seed), "profile", tmp_path / "street.yaml") for seed in range(20)]
    months = {of.plan.resource.spec.clock.start.month for of in streets}
    assert len(months) > 6
    sizes = {len(of.terms.households) for of in streets}
    low, high = FAMILIES[name].households
    assert low <= min(sizes) < max(sizes) <= high
    roofs = [roof for of in streets for home in of.terms.households.values() for roof in home.pv]
    assert {roof.latitude < 0 for roof in roofs} == {name == "south"}
    fees = {
        home.backstop.tariff.local_grid_fee_micro_per_kwh > 0 for of in streets for home in of.terms.households.values()
    }
    assert fees == {"free": {False}, "fees": {True}, "south": {False, True}}[name]


def test_a_street_runs_to_the_end_of_its_last_slot(tmp_path: Path) -> None:
    of = street_of(FAMILIES["free"].street(0), "profile", tmp_path / "street.yaml")
    rows = run(of, days=1)
    for name in rows.households:
        assert len(rows.readings[name]) == 96
        assert {reading.state for reading in rows.readings[name]} == {"booked"}
    assert sum(entry.amount_micro for entries in rows.ledger.values() for entry in entries) == 0
