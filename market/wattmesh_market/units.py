"""Energy and money: integers inside, decimal text where people or others read them.

Energy is an `int` of Wh and money an `int` of millionths of the currency ("micro"), so sums are exact.
"""

from __future__ import annotations

import re

MAX_ENERGY_WH = 10**9
"""1 GWh: more than any street trades in a slot; a larger quantity on the wire is a mistake or an attack."""
MAX_MONEY_MICRO = 10**15
"""One thousand million of the currency."""
MAX_CONFIGURED = 10**12
"""Of a single quantity in a configuration, whatever its unit."""

_KWH = re.compile(r"(\d{1,12})(?:\.(\d{1,3}))?", re.ASCII)
_MONEY = re.compile(r"(\d{1,12})(?:\.(\d{1,6}))?", re.ASCII)


def require_amounts(**amounts: int | None) -> None:
    """Raise ValueError unless every amount that is given is from 0 to `MAX_CONFIGURED`."""
    for name, value in amounts.items():
        if value is not None and not 0 <= value <= MAX_CONFIGURED:
            raise ValueError(f"{name} must be from 0 to {MAX_CONFIGURED}, not {value}")


def require_prices(**prices: int) -> None:
    """Raise ValueError unless every price, which may be negative, is at most `MAX_CONFIGURED` from 0."""
    for name, value in prices.items():
        if abs(value) > MAX_CONFIGURED:
            raise ValueError(f"{name} must be from -{MAX_CONFIGURED} to {MAX_CONFIGURED}, not {value}")


def kwh_text(energy_wh: int) -> str:
    """Energy in Wh as kWh text with three decimals: `5200` gives `"5.200"`."""
    return _text(energy_wh, 3)


def money_text(amount_micro: int) -> str:
    """Money in millionths as decimal text with six decimals: `187500` gives `"0.187500"`."""
    return _text(amount_micro, 6)


def energy_from_kwh(text: str) -> int:
    """The Wh that a kWh text says; ValueError when it is not a decimal ≥ 0 in whole Wh or beyond 1 GWh."""
    energy_wh = _parse(_KWH, text, 3, 'a decimal string of kWh ≥ 0 with at most 3 decimals, for example "1.250"')
    if energy_wh > MAX_ENERGY_WH:
        raise ValueError(f"{text} kWh is more than {kwh_text(MAX_ENERGY_WH)} kWh, the most one order can hold")
    return energy_wh


def money_from_text(text: str) -> int:
    """The millionths that a money text says; ValueError when it is not a decimal ≥ 0 with at most 6 decimals."""
    amount_micro = _parse(_MONEY, text, 6, 'a decimal string ≥ 0 with at most 6 decimals, for example "0.25"')
    if amount_micro > MAX_MONEY_MICRO:
        raise ValueError(f"{text} is more than {money_text(MAX_MONEY_MICRO)}, the most one order can cost")
    return amount_micro


def amount_micro(price_micro_per_kwh: int, energy_wh: int) -> int:
    """What `energy_wh` costs at a price per kWh, rounded half up to a millionth; the seller does this, once."""
    return (price_micro_per_kwh * energy_wh + 500) // 1000


def share_micro(whole_micro: int, part_wh: int, whole_wh: int) -> int:
    """The part of an agreed amount that a part delivery is worth, rounded half up."""
    return (2 * whole_micro * part_wh + whole_wh) // (2 * whole_wh)


def _text(value: int, decimals: int) -> str:
    whole, fraction = divmod(abs(value), 10**decimals)
    return f"{'-' if value < 0 else ''}{whole}.{fraction:0{decimals}d}"


def _parse(pattern: re.Pattern[str], text: object, decimals: int, form: str) -> int:
    match = pattern.fullmatch(text) if isinstance(text, str) else None
    if match is None:
        raise ValueError(f"must be {form}, not {text!r:.40}")
    return int(match[1] + (match[2] or "").ljust(decimals, "0"))
