from __future__ import annotations

import re
from decimal import ROUND_HALF_UP, Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import TypeAdapter, ValidationError

from wattmesh_beckn.units import WIRE, EnergyWh, MoneyMicro
from wattmesh_market.units import (
    MAX_ENERGY_WH,
    MAX_MONEY_MICRO,
    amount_micro,
    energy_from_kwh,
    kwh_text,
    money_from_text,
    money_text,
    share_micro,
)

energies = st.integers(0, MAX_ENERGY_WH)
amounts = st.integers(0, MAX_MONEY_MICRO)

ENERGY: TypeAdapter[int] = TypeAdapter(EnergyWh)
MONEY: TypeAdapter[int] = TypeAdapter(MoneyMicro)

ENERGY_FORM = 'must be a decimal string of kWh ≥ 0 with at most 3 decimals, for example "1.250", not '
MONEY_FORM = 'must be a decimal string ≥ 0 with at most 6 decimals, for example "0.25", not '


@pytest.mark.parametrize(
    ("text", "energy_wh", "again"),
    [
        ("5.200", 5200, "5.200"),
        ("5.2", 5200, "5.200"),
        ("0", 0, "0.000"),
        ("0.001", 1, "0.001"),
        ("007", 7000, "7.000"),
        ("1000000", MAX_ENERGY_WH, "1000000.000"),
    ],
)
def test_energy_is_kwh_on_the_wire_and_wh_inside(text: str, energy_wh: int, again: str) -> None:
    assert energy_from_kwh(text) == energy_wh
    assert kwh_text(energy_wh) == again


@pytest.mark.parametrize(
    ("text", "micro", "again"),
    [
        ("0.1875", 187_500, "0.187500"),
        ("0.000001", 1, "0.000001"),
        ("12", 12_000_000, "12.000000"),
        ("1000000000.000000", MAX_MONEY_MICRO, "1000000000.000000"),
    ],
)
def test_money_is_decimal_text_on_the_wire_and_millionths_inside(text: str, micro: int, again: str) -> None:
    assert money_from_text(text) == micro
    assert money_text(micro) == again


@given(energies)
def test_energy_survives_the_wire_exactly(energy_wh: int) -> None:
    assert energy_from_kwh(kwh_text(energy_wh)) == energy_wh
    assert Decimal(kwh_text(energy_wh)) * 1000 == energy_wh


@given(amounts)
def test_money_survives_the_wire_exactly(micro: int) -> None:
    assert money_from_text(money_text(micro)) == micro
    assert Decimal(money_text(micro)) * 1_000_000 == micro


@given(st.integers(0, 10**6 - 1), st.integers(0, 3), st.data())
def test_every_decimal_of_at_most_3_places_is_read_as_what_it_says(
    whole: int, places: int, data: st.DataObject
) -> None:
    fraction = data.draw(st.text("0123456789", min_size=places, max_size=places))
    text = f"{whole}.{fraction}" if places else str(whole)
    assert energy_from_kwh(text) == Decimal(text) * 1000


def test_debts_can_be_written_too() -> None:
    assert money_text(-187_500) == "-0.187500"
    assert kwh_text(-1) == "-0.001"


NO_DECIMALS = ["", " 1", "1 ", "1\n", "-1", "+1", "1.", ".5", "1e3", "1,5", "0x1", "NaN", "inf", "1_000", "٣", "²"]


@pytest.mark.parametrize("text", [*NO_DECIMALS, "1.2345", "1234567890123"])
def test_energy_refuses_what_is_no_exact_decimal(text: str) -> None:
    with pytest.raises(ValueError) as info:  # noqa: PT011 - the text is compared below
        energy_from_kwh(text)
    assert str(info.value) == ENERGY_FORM + repr(text)


@pytest.mark.parametrize("text", [*NO_DECIMALS, "1.2345678", "1234567890123"])
def test_money_refuses_what_is_no_exact_decimal(text: str) -> None:
    with pytest.raises(ValueError) as info:  # noqa: PT011 - the text is compared below
        money_from_text(text)
    assert str(info.value) == MONEY_FORM + repr(text)


def test_a_long_wrong_text_is_quoted_in_part() -> None:
    with pytest.raises(ValueError) as info:  # noqa: PT011 - the text is compared below
        energy_from_kwh("x" * 100_000)
    assert str(info.value) == ENERGY_FORM + "'" + "x" * 39


def test_quantities_beyond_any_street_are_refused() -> None:
    with pytest.raises(
        ValueError, match=r"^1000000\.001 kWh is more than 1000000\.000 kWh, the most one order can hold$"
    ):
        energy_from_kwh("1000000.001")
    with pytest.raises(ValueError, match=r"^1000000001 is more than 1000000000\.000000, the most one order can cost$"):
        money_from_text("1000000001")


@given(st.text() | st.from_regex(r"\d{1,14}\.?\d{0,8}", fullmatch=True))
def test_a_text_is_read_exactly_when_it_is_an_exact_decimal_within_bounds(text: str) -> None:
    for read, places, most in ((energy_from_kwh, 3, MAX_ENERGY_WH), (money_from_text, 6, MAX_MONEY_MICRO)):
        decimal = re.fullmatch(rf"[0-9]{{1,12}}(\.[0-9]{{1,{places}}})?", text)
        if decimal and Decimal(text) * 10**places <= most:
            assert read(text) == Decimal(text) * 10**places
        else:
            with pytest.raises(ValueError, match=r"^must be a decimal string|is more than"):
                read(text)


@pytest.mark.parametrize("value", [5200, -1, 0, 10**30, 5.2, True, None, ["1"], {"a": 1}])
@pytest.mark.parametrize(("adapter", "form"), [(ENERGY, ENERGY_FORM), (MONEY, MONEY_FORM)])
def test_numbers_in_json_are_refused_for_nobody_knows_their_unit(
    adapter: TypeAdapter[int], form: str, value: Any
) -> None:
    with pytest.raises(ValidationError) as info:
        adapter.validate_python(value, context=WIRE)
    assert info.value.errors()[0]["msg"] == f"Value error, {form}{value!r}"


def test_the_json_reader_of_pydantic_refuses_numbers_as_well() -> None:
    with pytest.raises(ValidationError, match="not 5200"):
        ENERGY.validate_json("5200")


@given(energies, amounts)
def test_the_types_take_integers_in_python_and_write_text_in_json(energy_wh: int, micro: int) -> None:
    assert ENERGY.validate_python(energy_wh) == energy_wh
    assert ENERGY.dump_json(energy_wh) == f'"{kwh_text(energy_wh)}"'.encode()
    assert ENERGY.validate_json(ENERGY.dump_json(energy_wh)) == energy_wh
    assert MONEY.validate_json(MONEY.dump_json(micro)) == MONEY.validate_python(micro) == micro


def test_an_amount_is_rounded_half_up_once() -> None:
    assert amount_micro(187_500, 1250) == 234_375
    assert amount_micro(1, 499) == 0
    assert amount_micro(1, 500) == 1
    assert amount_micro(3, 500) == 2


@given(amounts, energies)
def test_an_amount_is_the_exact_product_rounded_half_up(price: int, energy_wh: int) -> None:
    exact = Decimal(price) * energy_wh / 1000
    assert amount_micro(price, energy_wh) == int(exact.quantize(Decimal(1), ROUND_HALF_UP))


def test_a_share_is_rounded_half_up() -> None:
    assert share_micro(234_375, 1100, 1250) == 206_250
    assert [share_micro(3, part, 4) for part in range(5)] == [0, 1, 2, 2, 3]
    assert share_micro(1, 1, 2) == 1


@given(amounts, st.integers(1, MAX_ENERGY_WH))
def test_the_share_of_the_whole_is_the_whole_and_of_nothing_is_nothing(whole: int, whole_wh: int) -> None:
    assert share_micro(whole, whole_wh, whole_wh) == whole
    assert share_micro(whole, 0, whole_wh) == 0


@given(amounts, st.integers(1, MAX_ENERGY_WH), st.data())
def test_a_share_never_exceeds_the_whole_and_grows_with_the_part(
    whole: int, whole_wh: int, data: st.DataObject
) -> None:
    part = data.draw(st.integers(0, whole_wh))
    more = data.draw(st.integers(part, whole_wh))
    assert 0 <= share_micro(whole, part, whole_wh) <= share_micro(whole, more, whole_wh) <= whole


@given(amounts, st.integers(1, MAX_ENERGY_WH), st.data())
def test_two_shares_make_the_whole_but_for_one_rounding(whole: int, whole_wh: int, data: st.DataObject) -> None:
    part = data.draw(st.integers(0, whole_wh))
    rest = whole - share_micro(whole, part, whole_wh)
    assert rest <= share_micro(whole, whole_wh - part, whole_wh) <= rest + 1


@given(st.integers(0, 10**7), st.integers(1, 10**6), st.data())
def test_a_part_delivery_costs_what_its_energy_costs_at_the_price_give_or_take_the_rounding(
    price: int, ordered_wh: int, data: st.DataObject
) -> None:
    delivered_wh = data.draw(st.integers(0, ordered_wh))
    share = share_micro(amount_micro(price, ordered_wh), delivered_wh, ordered_wh)
    assert abs(share - amount_micro(price, delivered_wh)) <= 1
