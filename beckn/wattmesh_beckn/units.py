"""Energy and money on the wire: Beckn writes both as decimal strings, energy in kWh.

`EnergyWh`, `MoneyMicro` and `BillMicro` are the pydantic types that convert at that border to the integers of
`wattmesh_market`; they refuse what the integers could not hold. Of more decimals than these have, half is rounded up.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from decimal import ROUND_HALF_UP, Decimal
from typing import Annotated, Any

from pydantic import BeforeValidator, Field, PlainSerializer, ValidationInfo, WithJsonSchema

from wattmesh_market.units import energy_from_kwh, kwh_text, money_from_text, money_text

WIRE = object()
"""Validation context of parsed JSON, where numbers must be decimal text."""
_DECIMAL = re.compile(r"\+?(\d{1,30}(\.\d{0,30})?|\.\d{1,30})", re.ASCII)
_FACTORS: Mapping[str, Decimal] = {"wh": Decimal("0.001"), "kwh": Decimal(1), "mwh": Decimal(1000)}


def in_kwh(raw: dict[str, Any]) -> dict[str, Any]:
    """A measure in kWh, whose unit may be any of Wh, kWh and MWh in any case. ValueError when it is another."""
    unit = raw.get("unit", "kWh")
    if unit == "kWh":
        return raw
    factor = _FACTORS.get(unit.casefold()) if isinstance(unit, str) else None
    if factor is None:
        raise ValueError(f"unit must be kWh, Wh or MWh, not {unit!r:.40}")
    value = raw.get("value")
    if isinstance(value, str) and _DECIMAL.fullmatch(value):
        value = f"{Decimal(value) * factor:f}"
    return {**raw, "unit": "kWh", "value": value}


def _rounded(value: Any, decimals: int) -> Any:
    """Decimal text with no more decimals than that; anything else as it is."""
    if not isinstance(value, str) or not _DECIMAL.fullmatch(value):
        return value
    return f"{Decimal(value).quantize(Decimal(1).scaleb(-decimals), ROUND_HALF_UP):f}"


def _of_money(value: Any) -> Any:
    # A price per unit of energy is in the currency "EUR/kWh" with some: here it stands on items only, always per kWh.
    return value[:-4] if isinstance(value, str) and value[3:].casefold() == "/kwh" else value


def _energy_in(value: Any, info: ValidationInfo) -> int:
    return value if type(value) is int and not _on_wire(info) else energy_from_kwh(_rounded(value, 3))


def _money_in(value: Any, info: ValidationInfo) -> int:
    return value if type(value) is int and not _on_wire(info) else money_from_text(_rounded(value, 6))


def _bill_in(value: Any, info: ValidationInfo) -> int:
    if isinstance(value, str) and re.match(r"-\d", value):
        return -money_from_text(_rounded(value[1:], 6))
    return _money_in(value, info)


def _on_wire(info: ValidationInfo) -> bool:
    # An integer in JSON is no Wh and no micro: there it is refused like every other number.
    return info.mode == "json" or info.context is WIRE


Currency = Annotated[str, Field(pattern=r"^[A-Z]{3}$"), BeforeValidator(_of_money)]
EnergyWh = Annotated[
    int,
    BeforeValidator(_energy_in),
    PlainSerializer(kwh_text, return_type=str, when_used="json"),
    WithJsonSchema({"type": "string", "pattern": r"^\d{1,12}(\.\d{1,3})?$", "description": "kWh"}),
]
MoneyMicro = Annotated[
    int,
    BeforeValidator(_money_in),
    PlainSerializer(money_text, return_type=str, when_used="json"),
    WithJsonSchema({"type": "string", "pattern": r"^\d{1,12}(\.\d{1,6})?$", "description": "currency"}),
]
BillMicro = Annotated[
    int,
    BeforeValidator(_bill_in),
    PlainSerializer(money_text, return_type=str, when_used="json"),
    WithJsonSchema({"type": "string", "pattern": r"^-?\d{1,12}(\.\d{1,6})?$", "description": "currency"}),
]
"""Of a bill, which a negative price makes negative."""
