"""What a strategy decides for a delivery slot."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

from wattmesh_market.trade.offers import Block


class Buy(NamedTuple):
    """Buy what is wanted, each block (the most valuable first) at no more than it is worth. `reason` is for people."""

    wants: tuple[Block, ...]
    reason: str = "its strategy buys"

    @property
    def energy_wh(self) -> int:
        """What is wanted in all."""
        return sum([block.energy_wh for block in self.wants])


@dataclass(frozen=True)
class Sell:
    """Answer searches, with up to `energy_wh` in all for the slot, at a price per kWh in millionths, without grid fee.

    None: all that can be sold, at the price that pricing or plan names.
    """

    energy_wh: int | None = None
    price_micro_per_kwh: int | None = None


@dataclass(frozen=True)
class Hold:
    """Neither buy nor sell."""


Decision = Buy | Sell | Hold
