"""The page that a live view is made from: how each party stands, its newest contracts and readings, what happened.

Everything on it is bounded, so that it can be asked for once a second and stays below what a client reads (1 MiB).
"""

from __future__ import annotations

from collections.abc import Sequence

from wattmesh_agents.pod import Pod
from wattmesh_agents.status import party_state
from wattmesh_common.pod_pages import SLOTS_BACK, Grid, LiveContract, LivePage, LiveParty, LiveReading
from wattmesh_market.energy.slots import SLOT_S, slot_of
from wattmesh_market.parties.books import Role
from wattmesh_market.parties.household import Household
from wattmesh_market.parties.party import Party
from wattmesh_market.parties.utility import Utility
from wattmesh_market.trade.contracts import Contract, Delivery

MOST_CONTRACTS = 500
MOST_READINGS = 2_000
MOST_READINGS_OF_ONE = 96
"""A day."""
LONGEST_REASON = 200


def live_page(pod: Pod, *, after: int, slot: int) -> LivePage:
    """What is new since happening number `after` and for slots after `slot` (unix seconds), and how all stand now.

    Who knows nothing yet (`after` is 0) gets older contracts, too: those of the happenings that it is told of.
    """
    grid, parties = pod.grid, list(pod.parties.values())
    now_slot = slot_of(grid.now())
    of_one = min(MOST_READINGS_OF_ONE, max(1, MOST_READINGS // max(1, len(parties))))
    since = now_slot - SLOTS_BACK * SLOT_S if after else 0
    return LivePage(
        boot=pod.happenings.boot,
        number=pod.happenings.newest,
        grid=Grid(now_s=grid.now(), speed=grid.time.speed, utc_offset_s=grid.time.utc_offset_s),
        parties=tuple(_party(party, now_slot) for party in parties),
        contracts=_newest_contracts(parties, since),
        readings={party.id: _readings_after(party, slot, of_one) for party in parties if isinstance(party, Household)},
        happenings=tuple(happening.shown() for happening in pod.happenings.after(after)),
        open_purchases=tuple(
            purchase.transaction_id
            for party in parties
            for purchase in party.books.purchases.values()
            if not purchase.closed
        ),
        missed_gates=pod.metrics.missed_gate_count,
    )


def _party(party: Household | Utility, slot: int) -> LiveParty:
    return LiveParty(
        **party_state(party).model_dump(),
        role=_role(party, slot),
        next_role=_role(party, slot + SLOT_S),
        price_micro_per_kwh=party.price_micro_per_kwh(slot),
        next_price_micro_per_kwh=party.price_micro_per_kwh(slot + SLOT_S),
        grid_fee_micro_per_kwh=(
            party.rates.local_grid_fee(slot) if isinstance(party, Household) else party.rates.grid_fee(slot)
        ),
        feed_in_micro_per_kwh=party.rates.feed_in(slot),
        slot=slot,
    )


def _role(party: Household | Utility, slot: int) -> Role | None:
    """The role taken for a slot; looking must not make anybody decide."""
    return party.books.roles.get(slot) if isinstance(party, Household) else Role.SELLER


def _newest_contracts(parties: Sequence[Party], since: int) -> tuple[LiveContract, ...]:
    """The deliveries of all in `since` and later slots, the newest first."""
    found = [
        (delivery.slot, contract.created_ms, contract, delivery)
        for party in parties
        for contract in party.books.contracts.values()
        for delivery in contract.deliveries
        if delivery.slot >= since
    ]
    found.sort(key=lambda one: one[:2], reverse=True)
    return tuple(_contract(contract, delivery) for _, _, contract, delivery in found[:MOST_CONTRACTS])


def _readings_after(party: Party, slot: int, most: int) -> tuple[LiveReading, ...]:
    """The newest readings after a slot, oldest first."""
    newest = sorted((one for one in party.books.readings.values() if one.slot > slot), key=lambda one: one.slot)
    return tuple(
        LiveReading(
            slot=one.slot,
            level_after_wh=one.metered.level_after_wh,
            pv_wh=one.metered.pv_wh,
            load_wh=one.metered.load_wh,
            bought_wh=one.metered.bought_wh,
            sold_wh=one.metered.sold_wh,
            imported_wh=one.metered.imported_wh,
            exported_wh=one.metered.exported_wh,
        )
        for one in newest[-most:]
    )


def _contract(contract: Contract, delivery: Delivery) -> LiveContract:
    return LiveContract(
        party=contract.party,
        side=contract.side,
        transaction_id=contract.transaction_id,
        counterparty=contract.counterparty,
        slot=delivery.slot,
        energy_wh=delivery.energy_wh,
        amount_micro=delivery.amount_micro,
        state=delivery.state,
        in_doubt=contract.in_doubt,
        delivered_wh=delivery.delivered_wh,
        settled_micro=delivery.settled_micro,
        reason=contract.reason and contract.reason[:LONGEST_REASON],
        created_ms=contract.created_ms,
        updated_ms=contract.updated_ms,
    )
