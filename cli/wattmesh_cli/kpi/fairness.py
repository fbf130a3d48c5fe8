"""How evenly a benefit is spread over households."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction

from wattmesh_cli.kpi.rows import share


@dataclass(frozen=True)
class Fairness:
    """Of households' benefits: their Gini coefficient, None where it is undefined, and the share of those who lose."""

    gini: Fraction | None
    losers: Fraction | None


def fairness(benefits_micro: Sequence[int | None]) -> Fairness:
    """One benefit for each household; undefined where one is not known."""
    known = [benefit for benefit in benefits_micro if benefit is not None]
    if len(known) < len(benefits_micro):
        return Fairness(None, None)
    return Fairness(gini(known), share(sum(benefit < 0 for benefit in known), len(known)))


def gini(values: Sequence[int]) -> Fraction | None:
    """0 when all have the same, below 1 always; None for nobody, nothing to share, or when a value is negative."""
    total = sum(values)
    if total == 0 or min(values) < 0:
        return None
    number = len(values)
    ranked = sum((2 * rank - number - 1) * value for rank, value in enumerate(sorted(values), start=1))
    return Fraction(ranked, number * total)
