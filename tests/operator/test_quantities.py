"""Decimal quantities become the ledger's integers exactly."""

from __future__ import annotations

import json
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import TypeAdapter, ValidationError

from wattmesh_operator.manifests.documents import read_documents
from wattmesh_operator.resources import Battery, Trading
from wattmesh_operator.resources.quantities import Kwh, Price, exact_int, micro, plain, ppm, watt, wh

KWH: TypeAdapter[Decimal] = TypeAdapter(Kwh)
PRICE: TypeAdapter[Decimal] = TypeAdapter(Price)


@pytest.mark.parametrize(
    ("written", "integer"),
    [
        ("13.5", 13_500),
        ("0.001", 1),
        ("5.20", 5_200),
        ("1e-3", 1),
        ("1.5E+2", 150_000),
        ("0e99", 0),
        ("10.0000000", 10_000),
    ],
)
def test_kwh_become_wh(written: str, integer: int) -> None:
    assert wh(Decimal(written)) == integer


def test_each_unit_has_its_own_factor() -> None:
    assert (wh(Decimal("0.25")), watt(Decimal("0.25")), micro(Decimal("0.25")), ppm(Decimal("0.25"))) == (
        250,
        250,
        250_000,
        2_500,
    )


@pytest.mark.parametrize("written", ["0.0001", "1e-999999", "12345678901234567890123456789.0001", "NaN", "Infinity"])
def test_what_is_no_whole_number_of_wh_is_refused(written: str) -> None:
    with pytest.raises(ValueError, match=r"decimals|finite"):
        wh(Decimal(written))


@given(st.integers(min_value=-(10**40), max_value=10**40), st.integers(min_value=0, max_value=9))
def test_conversion_is_exact_beyond_the_precision_of_decimal_arithmetic(integer: int, decimals: int) -> None:
    sign, digits = "-" if integer < 0 else "", str(abs(integer)).rjust(decimals + 1, "0")
    written = f"{sign}{digits[: len(digits) - decimals]}.{digits[len(digits) - decimals :]}"
    assert exact_int(Decimal(written), decimals) == integer


@given(st.integers(min_value=0, max_value=10**12))
def test_a_quantity_survives_yaml_and_the_float_that_kubernetes_makes_of_it(energy_wh: int) -> None:
    written = f"{energy_wh // 1000}.{energy_wh % 1000:03}"
    [document] = read_documents("test", f"kwh: {written}")
    assert wh(KWH.validate_python(document.value["kwh"])) == energy_wh
    assert wh(KWH.validate_python(json.loads(written))) == energy_wh


@given(st.integers(min_value=0, max_value=10**12))
def test_a_price_survives_yaml_and_the_float_that_kubernetes_makes_of_it(price_micro: int) -> None:
    written = f"{price_micro // 10**6}.{price_micro % 10**6:06}"
    [document] = read_documents("test", f"price: {written}")
    assert micro(PRICE.validate_python(document.value["price"])) == price_micro
    assert micro(PRICE.validate_python(json.loads(written))) == price_micro


@pytest.mark.parametrize("value", ["1", True, None, [], float("nan"), -0.001, 10**9 + 1])
def test_what_is_no_quantity_is_refused(value: object) -> None:
    with pytest.raises(ValidationError, match="must be a number of kWh from 0 to 1000000000, not "):
        KWH.validate_python(value)


@pytest.mark.parametrize(("value", "text"), [("1.500", "1.5"), ("1E+2", "100"), ("100", "100"), ("0.0", "0")])
def test_plain(value: str, text: str) -> None:
    assert plain(Decimal(value)) == text


def test_the_schema_for_kubernetes_has_bounds_and_defaults_as_numbers() -> None:
    power = Battery.model_json_schema(mode="serialization")["properties"]["powerKw"]
    assert (power["type"], power["default"], power["minimum"], power["maximum"]) == ("number", 5, 0, 10**9)


def test_the_schema_leaves_threshold_defaults_to_the_program() -> None:
    threshold = Trading.model_json_schema(mode="serialization")["properties"]["sellAbovePercent"]
    assert threshold["default"] is None
    assert Trading().thresholds.sell_above == 80
