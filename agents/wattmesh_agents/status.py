"""How a party stands, for people, the operator and the live page."""

from __future__ import annotations

from wattmesh_agents.pod import Pod
from wattmesh_common.pod_pages import MOST_DISTRUSTED, Distrusted, PartyKind, PartyState, PartyStatus
from wattmesh_market.energy.slots import slot_range
from wattmesh_market.parties.household import Household
from wattmesh_market.parties.party import Party
from wattmesh_market.trade.contracts import Side
from wattmesh_market.trade.partners import distrusted, is_unanswered


def party_state(party: Party) -> PartyState:
    """Level and totals of a household or utility, and what is still open."""
    standing, totals = party.books.standing, party.books.totals
    contracts = party.open_contracts()
    return PartyState(
        name=party.name,
        kind=PartyKind(party.kind),
        subscriber_id=party.id,
        feeder=party.feeder,
        level_wh=standing.level_wh,
        capacity_wh=party.battery.capacity_wh if isinstance(party, Household) else 0,
        sold_wh=totals.sold_wh,
        bought_wh=totals.bought_wh,
        balance_micro=totals.balance_micro,
        currency=party.around.currency,
        open_contracts=len(contracts),
        in_doubt=sum(contract.in_doubt for contract in contracts),
        draining=party.draining,
        held_readings=len(party.books.unbooked) - len(party.books.unpriced),
    )


def party_status(pod: Pod, party: Party) -> PartyStatus:
    """The party's entry on `/status`."""
    metered_until, _ = slot_range(party.books.standing.next_slot)
    return PartyStatus(
        **party_state(party).model_dump(),
        metered_until=metered_until,
        key_id=pod.key_id(party),
        waits_until=pod.waits_until(party),
        account=pod.account(party),
        distrusts=tuple(_distrusts(party)),
    )


def _distrusts(party: Party) -> list[Distrusted]:
    books, now_slot = party.books, party.now.slot
    # Asked for in each pass of the operator: nobody else is ever distrusted, and mostly these are none.
    unanswered = [one for one in books.open[Side.BUYER].values() if is_unanswered(one, now_slot)]
    suspects = {(one.counterparty, one.side) for one in (*books.failed.values(), *unanswered)}
    if not suspects:
        return []
    contracts = [one for one in books.contracts.values() if (one.counterparty, one.side) in suspects]
    found = distrusted(contracts, now_slot, party.slot_text, MOST_DISTRUSTED)
    return [Distrusted(partner=one.partner, side=one.side, why=one.why) for one in found]


def pod_status(pod: Pod) -> list[PartyStatus]:
    """The page `/status`."""
    return [party_status(pod, party) for party in pod.parties.values()]
