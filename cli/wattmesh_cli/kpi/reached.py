"""How much of what a market could save its households has been saved.

What is left in a battery is in no bill. So all is told at two values of it: what the utility would pay for it (feed-in)
and what it saves to buy (retail). Where results agree at both, the battery's end does not matter.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from fractions import Fraction


class Stored(StrEnum):
    """What a kWh left in the batteries is worth."""

    RETAIL = "retail"
    FEED_IN = "feed-in"


@dataclass(frozen=True)
class Reached:
    """Costs of all households at one value of what is stored (millionths): bills less what is left in batteries."""

    alone_micro: int
    market_micro: int
    optimum_micro: int

    @property
    def possible_micro(self) -> int:
        """What could be saved."""
        return self.alone_micro - self.optimum_micro

    @property
    def saved_micro(self) -> int:
        """What was saved; negative where the market has cost."""
        return self.alone_micro - self.market_micro

    @property
    def ratio(self) -> Fraction | None:
        """The share of the possible saving that was realised; None where nothing could be saved."""
        return Fraction(self.saved_micro, self.possible_micro) if self.possible_micro > 0 else None


@dataclass(frozen=True)
class Cost:
    """A household's bill (millionths), and what is left in its battery at the end (Wh)."""

    bill_micro: int
    left_wh: int

    def micro(self, stored_micro_per_kwh: int) -> int:
        """The bill less what is left, at a value per kWh stored; rounded half up."""
        return self.bill_micro - (2 * stored_micro_per_kwh * self.left_wh + 1000) // 2000


def gains_micro(
    alone: Mapping[str, Cost], market: Mapping[str, Cost], stored_micro_per_kwh: Mapping[str, int]
) -> dict[str, int]:
    """How much better off each household is than alone, at a value per kWh stored; negative: worse off."""
    return {
        name: alone[name].micro(stored_micro_per_kwh[name]) - market[name].micro(stored_micro_per_kwh[name])
        for name in alone
    }
