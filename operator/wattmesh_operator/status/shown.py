"""Numbers as `kubectl get` shows them."""

from __future__ import annotations


def kwh(energy_wh: int) -> str:
    """Energy with two decimals: 12 404 Wh gives 12.40."""
    return _hundredths(energy_wh, 10)


def money(amount_micro: int, currency: str) -> str:
    """Millionths of the currency with two decimals: -1.20 EUR."""
    return f"{_hundredths(amount_micro, 10_000)} {currency}"


def percent(part: int, whole: int) -> str | None:
    """A share in whole percent; None of nothing."""
    return f"{(200 * part + whole) // (2 * whole)}%" if whole else None


def _hundredths(value: int, step: int) -> str:
    """`value` in steps of a hundredth, rounded half away from zero."""
    whole, rest = divmod((2 * abs(value) + step) // (2 * step), 100)
    sign = "-" if value < 0 and (whole or rest) else ""
    return f"{sign}{whole}.{rest:02d}"
