"""How a party stands, for people and the operator."""

from __future__ import annotations

from typing import Any

from wattmesh_agents.brain.graph import Party
from wattmesh_agents.parties.household import Household
from wattmesh_agents.trade.contracts import OPEN, Contract, Side
from wattmesh_market.energy.slots import slot_range


def open_contracts(party: Party) -> int:
    """How many contracts are not settled, expired or cancelled."""
    return len(_open(party))


def party_status(party: Party) -> dict[str, Any]:
    """Level and totals of a household or utility: Wh, millionths of the currency, and what is still open."""
    trader = party.trader
    state = trader.meter.state()
    sold_wh, bought_wh, balance_micro = trader.meter.totals()
    contracts = _open(party)
    capacity_wh = party.battery.capacity_wh if isinstance(party, Household) else 0
    return {
        "name": party.name,
        "kind": party.kind,
        "subscriber_id": trader.id,
        "feeder": trader.feeder,
        "level_wh": state.level_wh,
        "capacity_wh": capacity_wh,
        "sold_wh": sold_wh,
        "bought_wh": bought_wh,
        "balance_micro": balance_micro,
        "currency": trader.currency,
        "open_contracts": len(contracts),
        "in_doubt": sum(contract.in_doubt for contract in contracts),
        "draining": trader.draining,
        "metered_until": slot_range(state.next_slot)[0].isoformat(),
    }


def _open(party: Party) -> list[Contract]:
    return [c for side in Side for c in party.trader.contracts.in_states(side, OPEN)]
