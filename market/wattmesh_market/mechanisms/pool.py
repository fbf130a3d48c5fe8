"""No trade between two: what neighbours import and export in a slot is shared by their utility, and nothing else.

That is an energy community as most laws have it: see `sharing`.
"""

from __future__ import annotations

from wattmesh_market.mechanisms.orders import Match, Orders


def match(orders: Orders) -> list[Match]:  # noqa: ARG001 - whatever is ordered
    """Nobody is matched."""
    return []
