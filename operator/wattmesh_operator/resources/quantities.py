"""Exact decimal quantities: what a manifest writes in kWh, kW, currency or percent, and the integers the ledger counts.

Kubernetes stores a number as JSON, so it may arrive as a binary float. A float's shortest decimal text is what was
written, as long as that had at most 15 digits; the bounds below keep every quantity within 15.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from decimal import Decimal
from typing import Annotated, Any

from wattmesh_operator.resources.values import Constraint, WordOr, not_allowed


def plain(value: Decimal) -> str:
    """`value` as people write it: no exponent, no trailing zeros."""
    text = format(value, "f")
    return text.rstrip("0").rstrip(".") if "." in text else text


def exact_int(value: Decimal, decimals: int) -> int:
    """`value` x 10**`decimals`, exactly. Raises ValueError if that is no integer.

    Works on the digits: Decimal's own arithmetic rounds to the context's precision.
    """
    sign, digits, exponent = value.as_tuple()
    if not isinstance(exponent, int):
        raise ValueError(f"{value} is not a finite number")
    if not any(digits):
        return 0
    shift = exponent + decimals
    whole, rest = (digits, ()) if shift >= 0 else (digits[:shift], digits[shift:])
    if any(rest):
        raise ValueError(f"{value} has more than {decimals} decimals")
    magnitude = int("".join(map(str, whole)) or "0") * int("1" + "0" * shift)
    return -magnitude if sign else magnitude


@dataclass(frozen=True)
class Quantity(Constraint):
    """A Decimal with a unit (may be empty), inclusive bounds and at most `decimals` decimals, `step` in words."""

    unit: str
    decimals: int
    step: str
    minimum: Decimal
    maximum: Decimal
    allowed: str = field(init=False)

    def __post_init__(self) -> None:
        unit = f" of {self.unit}" if self.unit else ""
        allowed = f"a number{unit} from {plain(self.minimum)} to {plain(self.maximum)}"
        object.__setattr__(self, "allowed", allowed)

    def _read(self, value: object) -> Decimal:
        if isinstance(value, bool) or not isinstance(value, int | float | Decimal):
            raise not_allowed(self.allowed, value)
        number = Decimal(float.__repr__(value)) if isinstance(value, float) else Decimal(value)
        if not number.is_finite() or not self.minimum <= number <= self.maximum:
            raise not_allowed(self.allowed, value)
        try:
            exact_int(number, self.decimals)
        except ValueError:
            raise not_allowed(f"a multiple of {self.step}", value) from None
        return number

    def _write(self, value: Decimal) -> float:
        return float(value)

    def _schema(self) -> dict[str, Any]:
        # No multipleOf: API servers compute it in binary floating point and would refuse 0.15. The rule holds exactly
        # for multiples of the step: a whole number divided by a power of ten is the float nearest to that decimal.
        scale = f"1{self.decimals * '0'}.0"
        half = "0.5" if self.minimum >= 0 else "(self < 0.0 ? -0.5 : 0.5)"
        rule = f"double(int(self * {scale} + {half})) / {scale} == self"
        return {
            "type": "number",
            "minimum": float(self.minimum),
            "maximum": float(self.maximum),
            "x-kubernetes-validations": [{"rule": rule, "message": f"must be a multiple of {self.step}"}],
        }


def _quantity(unit: str, decimals: int, step: str, minimum: str, maximum: str) -> Quantity:
    return Quantity(unit, decimals, step, Decimal(minimum), Decimal(maximum))


Kwh = Annotated[Decimal, _quantity("kWh", 3, "0.001 kWh (1 Wh)", "0", "1e9")]
CapacityKwh = Annotated[Decimal, _quantity("kWh", 3, "0.001 kWh (1 Wh)", "0.001", "1e9")]
PositiveKw = Annotated[Decimal, _quantity("kW", 3, "0.001 kW (1 W)", "0.001", "1e9")]
Kw = Annotated[Decimal, _quantity("kW", 3, "0.001 kW (1 W)", "0", "1e9")]
_PRICE = _quantity("currency per kWh", 6, "0.000001 (a millionth of the currency)", "0", "1e6")
Price = Annotated[Decimal, _PRICE]
SignedPrice = Annotated[
    Decimal, _quantity("currency per kWh", 6, "0.000001 (a millionth of the currency)", "-1e6", "1e6")
]
MidOrPrice = Annotated[Decimal | None, WordOr("mid", _PRICE)]
Percent = Annotated[Decimal, _quantity("percent", 4, "0.0001 percent", "0", "100")]
EfficiencyPercent = Annotated[Decimal, _quantity("percent", 4, "0.0001 percent", "1", "100")]
Latitude = Annotated[Decimal, _quantity("degrees", 6, "0.000001 degrees", "-90", "90")]
Longitude = Annotated[Decimal, _quantity("degrees", 6, "0.000001 degrees", "-180", "180")]
Tilt = Annotated[Decimal, _quantity("degrees", 3, "0.001 degrees", "0", "90")]
Azimuth = Annotated[Decimal, _quantity("degrees", 3, "0.001 degrees", "0", "360")]
Speed = Annotated[Decimal, _quantity("", 3, "0.001", "0.001", "100000")]


def wh(kwh: Decimal) -> int:
    """kWh → Wh. Raises ValueError if `kwh` is no multiple of 1 Wh."""
    return exact_int(kwh, 3)


def watt(kw: Decimal) -> int:
    """kW → W. Raises ValueError if `kw` is no multiple of 1 W."""
    return exact_int(kw, 3)


def micro(price: Decimal) -> int:
    """Currency → millionths of it. Raises ValueError if `price` is no multiple of a millionth."""
    return exact_int(price, 6)


def ppm(percent: Decimal) -> int:
    """Percent → parts per million. Raises ValueError if `percent` is no multiple of 0.0001."""
    return exact_int(percent, 4)
