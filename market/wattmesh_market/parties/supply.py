"""The standing supply order between a household and its backstop utility: names that both sides use."""

from __future__ import annotations

from wattmesh_market.units import kwh_text

SUPPLY = "supply"
"""The ledger's reference for what was exchanged with the backstop."""


def supply_order_id(household: str) -> str:
    """The id of a household's standing supply order."""
    return f"{SUPPLY}-{household}"


def fee_reference(sold_wh: int) -> str:
    """The ledger's reference for the grid fee on what a household has sold to others in a slot."""
    return f"{kwh_text(sold_wh)} kWh sold"
