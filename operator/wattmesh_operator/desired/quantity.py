"""Kubernetes quantities such as 250m, 1Gi or 0.5."""

from __future__ import annotations

import re
from decimal import Decimal

_QUANTITY = re.compile(r"([+-]?(?:\d+\.?\d*|\.\d+))(?:(Ki|Mi|Gi|Ti|Pi|Ei|n|u|m|k|M|G|T|P|E)|[eE]([+-]?\d{1,2}))?")
_FACTORS = {
    **{f"{prefix}i": Decimal(1024) ** power for power, prefix in enumerate("KMGTPE", 1)},
    **{prefix: Decimal(1000) ** power for power, prefix in enumerate("kMGTPE", 1)},
    **{"n": Decimal("1e-9"), "u": Decimal("1e-6"), "m": Decimal("1e-3")},
}


def quantity(text: str) -> Decimal:
    """The number that a quantity stands for. Raises ValueError if it is none."""
    match = _QUANTITY.fullmatch(text)
    if match is None:
        raise ValueError(f"{text!r} is no Kubernetes quantity such as 250m or 1Gi")
    number, suffix, exponent = match.groups()
    return Decimal(number) * _FACTORS.get(suffix, Decimal(1)) * Decimal(10) ** int(exponent or 0)
