"""How a party stands, for people, the operator and the live page."""

from __future__ import annotations

from wattmesh_agents.brain.graph import Party
from wattmesh_agents.parties.household import Household
from wattmesh_common.pod_pages import PartyKind, PartyState, PartyStatus
from wattmesh_market.energy.slots import slot_range
from wattmesh_market.trade.contracts import OPEN, Contract, Side


def open_contracts(party: Party) -> int:
    """How many contracts are not settled, expired or cancelled."""
    return len(_open(party))


def party_state(party: Party) -> PartyState:
    """Level and totals of a household or utility, and what is still open."""
    trader = party.trader
    sold_wh, bought_wh, balance_micro = trader.meter.totals()
    contracts = _open(party)
    return PartyState(
        name=party.name,
        kind=PartyKind(party.kind),
        subscriber_id=trader.id,
        feeder=trader.feeder,
        level_wh=trader.meter.state().level_wh,
        capacity_wh=party.battery.capacity_wh if isinstance(party, Household) else 0,
        sold_wh=sold_wh,
        bought_wh=bought_wh,
        balance_micro=balance_micro,
        currency=trader.currency,
        open_contracts=len(contracts),
        in_doubt=sum(contract.in_doubt for contract in contracts),
        draining=trader.draining,
    )


def party_status(party: Party, key_id: str) -> PartyStatus:
    """The party's entry on `/status`; `key_id` is the key that it signs with."""
    metered_until, _ = slot_range(party.trader.meter.state().next_slot)
    return PartyStatus(**party_state(party).model_dump(), metered_until=metered_until, key_id=key_id)


def _open(party: Party) -> list[Contract]:
    return [c for side in Side for c in party.trader.contracts.in_states(side, OPEN)]
