"""Values of fields by their path."""

from __future__ import annotations

from decimal import Decimal

import pytest

from tests.world.manifests import MARKET, households, utility
from wattmesh_operator.manifests import as_document, load, parsed_value, values_of, with_values
from wattmesh_operator.manifests.documents import read_documents
from wattmesh_operator.resources import Resource, SolarAgent, Tariff, UtilityAgent
from wattmesh_operator.resources.mistakes import ManifestErrors

ROOF = households("roof", "battery: {capacityKwh: 6, initialKwh: 1}, pv: {peakKw: 8}")
FLAT = households("flat", "load: {annualKwh: 2500}")
PERIODS = ", periods: [{from: '17:00', to: '21:00', price: 0.4}]"
STREET = load(
    document.value for document in read_documents("", MARKET + utility(fees=PERIODS) + ROOF + FLAT)
)  # fmt: skip


def named(name: str, resources: tuple[Resource, ...]) -> Resource:
    [found] = [one for one in resources if one.metadata.name == name]
    return found


def test_a_field_without_a_name_is_that_of_all_that_have_what_it_is_in() -> None:
    street = with_values(STREET, {"spec.battery.capacityKwh": 7.5})
    roof, flat = named("roof", street), named("flat", street)
    assert isinstance(roof, SolarAgent)
    assert isinstance(flat, SolarAgent)
    assert roof.spec.battery is not None
    assert roof.spec.battery.capacity_kwh == Decimal("7.5")
    assert flat.spec.battery is None


@pytest.mark.parametrize(
    ("path", "changed"),
    [
        ("spec.seed", {"utility", "roof", "flat"}),
        ("solaragent.spec.seed", {"roof", "flat"}),
        ("SolarAgent/flat.spec.seed", {"flat"}),
    ],
)
def test_a_kind_or_a_name_says_whose_field_it_is(path: str, changed: set[str]) -> None:
    street = with_values(STREET, {path: 3})
    assert {one.metadata.name for one in street if getattr(one.spec, "seed", 0) == 3} == changed


def test_one_that_is_named_gets_what_it_did_not_have() -> None:
    flat = named("flat", with_values(STREET, {"solaragent/flat.spec.pv.peakKw": 2}))
    assert isinstance(flat, SolarAgent)
    assert flat.spec.pv is not None


def test_a_roof_of_several() -> None:
    roofs = households("roof", "pv: {roofs: [{peakKw: 5}, {peakKw: 4}]}")
    street = load(document.value for document in read_documents("", MARKET + utility() + roofs))
    roof = named("roof", with_values(street, {"spec.pv.roofs[1].peakKw": 6}))
    assert isinstance(roof, SolarAgent)
    assert roof.spec.pv is not None
    assert roof.spec.pv.total_kw == 11


def test_an_entry_of_a_list() -> None:
    supplier = named("utility", with_values(STREET, {"spec.tariff.periods[0].price": Decimal("0.5")}))
    assert isinstance(supplier, UtilityAgent)
    assert supplier.spec.tariff.periods[0].price == Decimal("0.5")


def test_a_value_may_be_a_part_of_a_resource() -> None:
    tariff = Tariff(price=Decimal("0.3"), feed_in=Decimal("0.1"))
    supplier = named("utility", with_values(STREET, {"utilityagent.spec.tariff": tariff}))
    assert isinstance(supplier, UtilityAgent)
    assert supplier.spec.tariff == tariff


@pytest.mark.parametrize(
    ("path", "wrong"),
    [
        ("battery.capacityKwh", "is no path of a field"),
        ("roof.spec.seed", "there is no kind roof"),
        ("solaragent/house.spec.seed", "there is no SolarAgent house; there is roof, flat"),
        ("spec.tarif.price", "did you mean spec.tariff.price?"),
        ("spec.sharing.price", "name one that shall get it, KIND/NAME.spec.sharing.price"),
        ("utilityagent/utility.spec.tariff.periods[1].price", r"there is no entry \[1\], there are 1"),
        ("utilityagent/utility.spec.tariff.price.micro", "is within something that has no such part"),
    ],
)
def test_a_path_that_leads_nowhere(path: str, wrong: str) -> None:
    with pytest.raises(ValueError, match=wrong):
        with_values(STREET, {path: 1})


def test_all_that_the_values_make_wrong_is_said_at_once() -> None:
    with pytest.raises(ManifestErrors) as caught:
        with_values(STREET, {"spec.battery.capacityKwh": 0.5, "spec.tariff.price": "much"})
    assert [mistake.path for mistake in caught.value.mistakes] == ["spec.tariff.price", "spec.battery.initialKwh"]


@pytest.mark.parametrize(
    ("text", "value"),
    [("7.50", Decimal("7.50")), ("plan", "plan"), ("{price: mid, key: equal}", {"price": "mid", "key": "equal"})],
)
def test_a_value_is_written_as_in_a_manifest(text: str, value: object) -> None:
    assert parsed_value(text) == value


@pytest.mark.parametrize("text", ["", "{price: ", "1\n---\n2"])
def test_what_is_no_value(text: str) -> None:
    with pytest.raises(ValueError, match="is not"):
        parsed_value(text)


def test_every_value_has_the_path_that_sets_it() -> None:
    for resource in STREET:
        said = dict(values_of(as_document(resource)))
        assert said
        assert with_values(STREET, said) == STREET


def test_a_utility_that_shares_nothing_still_does_when_it_is_written_and_read() -> None:
    street = with_values(STREET, {"utilityagent/utility.spec.sharing": "none"})
    [supplier] = [one for one in load(map(as_document, street)) if isinstance(one, UtilityAgent)]
    assert supplier.spec.sharing is None
