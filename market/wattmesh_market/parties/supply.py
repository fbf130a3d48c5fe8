"""The standing supply order between a household and its backstop utility: names that both sides use."""

from __future__ import annotations

from wattmesh_market.units import kwh_text

SUPPLY = "supply"
"""The ledger's reference for what was exchanged with the backstop."""
SHARED = "shared"
"""… for what was shared with the utility's other customers."""
CORRECTION = "correction"
"""… for what was billed by a provisional reading and turned out otherwise."""


def supply_order_id(household: str) -> str:
    """The id of a household's standing supply order."""
    return f"{SUPPLY}-{household}"


def fee_reference(sold_wh: int) -> str:
    """The ledger's reference for the grid fee on what a household has sold to others in a slot."""
    return f"{kwh_text(sold_wh)} kWh sold"
