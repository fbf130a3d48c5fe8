"""The standing supply order between a household and its backstop utility: names that both sides use."""

from __future__ import annotations

from collections.abc import Iterable

from wattmesh_market.trade.ledger import EntryKind, LedgerEntry
from wattmesh_market.units import kwh_text

SUPPLY = "supply"
"""The ledger's reference for what was exchanged with the backstop."""
SHARED = "shared"
"""… for what was shared with the utility's other customers."""
CORRECTION = "correction"
"""… for what was billed and turned out otherwise, the first time; see `correction_reference`."""


def supply_order_id(household: str) -> str:
    """The id of a household's standing supply order."""
    return f"{SUPPLY}-{household}"


def correction_reference(number: int) -> str:
    """The ledger's reference for a household's correction of that number (from 1) in a slot."""
    return CORRECTION if number == 1 else f"{CORRECTION} {number}"


def corrections(entries: Iterable[LedgerEntry]) -> list[LedgerEntry]:
    """Those of a household's entries for a slot that are corrections, the first one first."""
    found = {one.reference: one for one in entries if one.kind is EntryKind.BACKSTOP}
    numbers = range(1, len(found) + 1)
    return [found[name] for number in numbers if (name := correction_reference(number)) in found]


def fee_reference(sold_wh: int) -> str:
    """The ledger's reference for the grid fee on what a household has sold to others in a slot."""
    return f"{kwh_text(sold_wh)} kWh sold"
