"""Energy and money on the wire: Beckn writes both as decimal strings, energy in kWh.

`EnergyWh`, `MoneyMicro` and `BillMicro` are the pydantic types that convert at that border to the integers of
`wattmesh_market`; they refuse what the integers could not hold.
"""

from __future__ import annotations

import re
from typing import Annotated, Any

from pydantic import BeforeValidator, PlainSerializer, ValidationInfo, WithJsonSchema

from wattmesh_market.units import energy_from_kwh, kwh_text, money_from_text, money_text

WIRE = object()
"""Validation context of parsed JSON, where numbers must be decimal text."""


def _energy_in(value: Any, info: ValidationInfo) -> int:
    return value if type(value) is int and not _on_wire(info) else energy_from_kwh(value)


def _money_in(value: Any, info: ValidationInfo) -> int:
    return value if type(value) is int and not _on_wire(info) else money_from_text(value)


def _bill_in(value: Any, info: ValidationInfo) -> int:
    if isinstance(value, str) and re.match(r"-\d", value):
        return -money_from_text(value[1:])
    return _money_in(value, info)


def _on_wire(info: ValidationInfo) -> bool:
    # An integer in JSON is no Wh and no micro: there it is refused like every other number.
    return info.mode == "json" or info.context is WIRE


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
