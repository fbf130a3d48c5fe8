"""How a party stands, for people and the operator."""

from __future__ import annotations

from typing import Any

from wattmesh_market.energy.slots import slot_range
from wattmesh_market.parties.household import Household
from wattmesh_market.parties.party import Party


def party_status(party: Party) -> dict[str, Any]:
    """Level and totals of a household or utility: Wh, millionths of the currency, and what is still open."""
    standing, totals = party.books.standing, party.books.totals
    contracts = party.open_contracts()
    return {
        "name": party.name,
        "kind": party.kind,
        "subscriber_id": party.id,
        "feeder": party.feeder,
        "level_wh": standing.level_wh,
        "capacity_wh": party.battery.capacity_wh if isinstance(party, Household) else 0,
        "sold_wh": totals.sold_wh,
        "bought_wh": totals.bought_wh,
        "balance_micro": totals.balance_micro,
        "currency": party.around.currency,
        "open_contracts": len(contracts),
        "in_doubt": sum(contract.in_doubt for contract in contracts),
        "draining": party.draining,
        "metered_until": slot_range(standing.next_slot)[0].isoformat(),
    }
