"""A buyer whose orders are for two slots, half of the energy in each. All else it does by strategy `rules`.

`plan` orders as many slots as it has use for and looks again in each, which is more than can be searched through.
"""

from __future__ import annotations

from wattmesh_market.energy.slots import SLOT_S
from wattmesh_market.parties import buying
from wattmesh_market.parties.events import Events
from wattmesh_market.parties.selling import item_id
from wattmesh_market.steps import Event, Step, Trigger
from wattmesh_market.trade.contracts import Contract, ContractState
from wattmesh_market.trade.messages import Call, Line, Quote, Select, Send, Wanted
from wattmesh_market.trade.refusal import Refused


class BuyerOfTwoSlots(Events):
    """Wants one half of what it needs in the slot of its search, the other in the slot after it."""

    def perform(self, step: Step, trigger: Trigger) -> None:
        super().perform(step, trigger)
        sends = self.party.books.changes.sends
        sends[:] = [_in_halves(send) for send in sends]

    def receive(self, call: Call) -> Refused | None:
        quote = call.message
        if not isinstance(quote, Quote):
            return super().receive(call)
        self.catch_up()
        # `rules` selected one slot: it is shown a quote for all the energy, then the real terms are written down.
        shown = quote._replace(terms=quote.terms._replace(lines=(_whole(quote.terms.lines),), total_micro=0))
        refused = buying.on_quote(self.party, call, shown)
        contract = self.party.books.contract(call.transaction_id, call.sender)
        if contract is not None and contract.state is ContractState.QUOTED:
            self.party.books.put(_of(contract, quote.terms.lines))
        self._go_on(Event.QUOTED, call.transaction_id)
        return refused


def _in_halves(send: Send) -> Send:
    if not isinstance(send.message, Select) or len(send.message.wanted) > 1:
        return send
    ((slot, item, energy_wh),) = send.message.wanted
    half_wh, later = energy_wh // 2, slot + SLOT_S
    wanted = Wanted(slot, item, energy_wh - half_wh), Wanted(later, item_id(later), half_wh)
    return send._replace(message=send.message._replace(wanted=wanted))


def _whole(lines: tuple[Line, ...]) -> Line:
    return lines[0]._replace(energy_wh=sum(line.energy_wh for line in lines), amount_micro=0, fee_micro=0)


def _of(contract: Contract, lines: tuple[Line, ...]) -> Contract:
    shown = contract.deliveries[0]
    deliveries = [
        shown._replace(
            slot=line.slot,
            item_id=line.item_id,
            energy_wh=line.energy_wh,
            amount_micro=line.amount_micro,
            fee_micro=line.fee_micro or 0,
        )
        for line in lines
    ]
    return contract._replace(deliveries=tuple(deliveries))
