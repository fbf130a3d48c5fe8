"""The page that a live view is made from: how each party stands, its newest contracts and readings, what happened.

Everything on it is bounded, so that it can be asked for once a second and stays below what a client reads (1 MiB).
"""

from __future__ import annotations

from wattmesh_agents.brain.graph import Party
from wattmesh_agents.parties.household import Household
from wattmesh_agents.pod import Pod
from wattmesh_agents.status import party_state
from wattmesh_common.pod_pages import SLOTS_BACK, Grid, LiveContract, LivePage, LiveParty, LiveReading, Role
from wattmesh_market.energy.slots import SLOT_S
from wattmesh_market.trade.contracts import Contract

MOST_CONTRACTS = 500
MOST_READINGS = 2_000
MOST_READINGS_OF_ONE = 96
"""A day."""
_LONGEST_REASON = 200


def live_page(pod: Pod, *, after: int, slot: int) -> LivePage:
    """What is new since happening number `after` and for slots after `slot` (unix seconds), and how all stand now."""
    grid, parties = pod.grid, list(pod.parties.values())
    of_one = min(MOST_READINGS_OF_ONE, max(1, MOST_READINGS // max(1, len(parties))))
    contracts: list[Contract] = []
    for party in parties:
        since = party.trader.current_slot - SLOTS_BACK * SLOT_S
        contracts += party.trader.contracts.from_slot(since, most=MOST_CONTRACTS - len(contracts))
    return LivePage(
        boot=pod.happenings.boot,
        number=pod.happenings.newest,
        grid=Grid(now_s=grid.now(), speed=grid.speed, utc_offset_s=grid.utc_offset_s),
        parties=tuple(map(_party, parties)),
        contracts=tuple(map(_contract, contracts)),
        readings={
            party.trader.id: tuple(LiveReading(*row) for row in party.trader.meter.readings_after(slot, most=of_one))
            for party in parties
            if isinstance(party, Household)
        },
        happenings=tuple(happening.shown() for happening in pod.happenings.after(after)),
    )


def _party(party: Party) -> LiveParty:
    slot = party.trader.current_slot
    tariff = party.config.backstop.tariff if isinstance(party, Household) else party.config.tariff
    return LiveParty(
        **party_state(party).model_dump(),
        role=_role(party, slot),
        next_role=_role(party, slot + SLOT_S),
        price_micro_per_kwh=party.price_micro_per_kwh(slot),
        next_price_micro_per_kwh=party.price_micro_per_kwh(slot + SLOT_S),
        grid_fee_micro_per_kwh=(
            tariff.local_grid_fee_micro_per_kwh if isinstance(party, Household) else tariff.grid_fee_micro_per_kwh
        ),
        feed_in_micro_per_kwh=tariff.feed_in_micro_per_kwh,
    )


def _role(party: Party, slot: int) -> Role | None:
    """The role taken for a slot; looking must not make anybody decide."""
    taken = party.trader.meter.role(slot)
    if taken is None:
        return None if isinstance(party, Household) else Role.SELLER
    return Role(taken)


def _contract(contract: Contract) -> LiveContract:
    return LiveContract(
        party=contract.party,
        side=contract.side,
        transaction_id=contract.transaction_id,
        counterparty=contract.counterparty,
        slot=contract.slot,
        energy_wh=contract.energy_wh,
        amount_micro=contract.amount_micro,
        state=contract.state,
        in_doubt=contract.in_doubt,
        delivered_wh=contract.delivered_wh,
        settled_micro=contract.settled_micro,
        reason=contract.reason and contract.reason[:_LONGEST_REASON],
        created_ms=contract.created_ms,
        updated_ms=contract.updated_ms,
    )
