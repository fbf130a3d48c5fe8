"""The standing supply order between a household and its backstop utility: names that both sides use."""

from __future__ import annotations

SUPPLY = "supply"
"""The ledger's reference for what was exchanged with the backstop."""


def supply_order_id(household: str) -> str:
    """The id of a household's standing supply order."""
    return f"{SUPPLY}-{household}"
