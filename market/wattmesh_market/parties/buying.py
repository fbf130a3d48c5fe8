"""The second half of a purchase: follow each contract from its quote until it is paid.

Functions named `on_…` write down what a message changes; the others decide and send what comes next, and do nothing
when run twice.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from wattmesh_market.energy.slots import SLOT_S
from wattmesh_market.parties.books import Alarm, AlarmKind, Outcome, Selection
from wattmesh_market.parties.party import CLOCK_TOLERANCE_S, MOST_REPEATED
from wattmesh_market.parties.shopping import no_search, short, stalled_after_s, watch
from wattmesh_market.parties.terms import difference, terms_of, wrong_parts
from wattmesh_market.schedule import PAID_WITHIN_S
from wattmesh_market.trade.contracts import (
    DELIVERED,
    OPEN,
    OVER,
    TENTATIVE,
    Contract,
    ContractState,
    Delivery,
    Ended,
    Side,
)
from wattmesh_market.trade.ledger import EntryKind, LedgerEntry
from wattmesh_market.trade.messages import (
    Action,
    Agreed,
    AskStatus,
    Call,
    Cancel,
    Cancelled,
    Confirm,
    Confirmed,
    DeliveryStatus,
    Init,
    Paid,
    Pay,
    Quote,
    Receipt,
    Status,
    Terms,
)
from wattmesh_market.trade.refusal import About, Reason, Refused
from wattmesh_market.units import amount_micro, kwh_text, money_text, share_micro

if TYPE_CHECKING:
    from wattmesh_market.parties.events import Unanswered
    from wattmesh_market.parties.party import Party

_DOUBT_S, _LEAST_DOUBT_S, _DOUBT_PARTS = 3.0, 0.2, 4
"""In doubt a buyer asks again after 3 s or a quarter of a slot, whichever is less, but not before 0.2 s (wall time)."""


def on_quote(party: Party, call: Call, message: Quote) -> Refused | None:
    """A quote for what was selected, or less. A dearer one, more, or a wrong sum is refused."""
    books, terms = party.books, message.terms
    transaction_id, seller = call.transaction_id, call.sender
    purchase = books.purchases.get(transaction_id)
    selection = books.selections.get(transaction_id, {}).get(seller)
    if purchase is None:
        raise no_search(transaction_id)
    if selection is None or selection.selected_wh is None:
        raise Refused(Reason.BUSINESS, f"nothing was selected from {seller!r} in this transaction")
    if selection.outcome is not Outcome.SELECTED:
        return None
    if books.contract(transaction_id, seller) is not None:
        raise Refused(Reason.BUSINESS, f"{seller!r} buys in this transaction; it cannot sell in it, too")
    wrong = _wrong_quote(party, purchase.slot, selection, terms, seller)
    if wrong is not None:
        books.select(transaction_id, seller, selection._replace(outcome=Outcome.FAILED))
        party.tell("refused the quote of %s: %s", short(seller), wrong, transaction_id=transaction_id)
        return Refused(Reason.QUOTE_UNAVAILABLE, wrong, About.QUOTE)
    books.select(transaction_id, seller, selection._replace(outcome=Outcome.QUOTED))
    now_ms = party.now.ms
    offers = {purchase.slot: selection.offer, **dict(selection.later)}
    deliveries = [
        Delivery(
            one.slot,
            one.item_id,
            one.energy_wh,
            one.amount_micro,
            one.fee_micro or 0,
            ContractState.QUOTED,
            offered_micro_per_kwh=offers[one.slot].price_micro_per_kwh,
        )
        for one in terms.lines
    ]
    books.put(
        Contract(
            party.id,
            Side.BUYER,
            transaction_id,
            seller,
            tuple(deliveries),
            min(message.expires_ms, party.gate_ms(purchase.slot)),
            now_ms,
            now_ms,
            searched_ms=purchase.searched_ms,
            offers=len(books.selections[transaction_id]),
            provider=selection.offer.provider,
        )
    )
    return None


def init(party: Party, transaction_id: str) -> None:
    """Take every quote that stands."""
    for contract in _standing(party, transaction_id, ContractState.QUOTED):
        terms = terms_of(contract, party.around.currency)
        party.send(contract.counterparty, transaction_id, Init(terms), until_ms=contract.expires_ms)
        _tell_terms(party, "init", contract)


def on_agreed(party: Party, call: Call, message: Agreed) -> Refused | None:
    """The order id. Terms other than the quote's are refused and the order cancelled.

    Where no quote was asked for these terms are it.
    """
    contract = party.books.contract(call.transaction_id, call.sender)
    if contract is None and _taken_as_offered(party, call):
        refused = on_quote(party, call, Quote(message.terms, message.expires_ms))
        if refused is not None and message.order_id is not None:
            party.send(call.sender, call.transaction_id, Cancel(message.order_id, "terms-changed"))
        contract = party.books.contract(call.transaction_id, call.sender)
        if contract is None:
            return refused
    contract = _contract(party, call)
    if contract.state is not ContractState.QUOTED:
        return None
    wrong = _other_terms(party, contract, message.terms, message.due_micro)
    if wrong is not None:
        party.books.put(contract.ended(ContractState.CANCELLED, wrong[1], party.now.ms))
        text = "refused the terms of %s: %s"
        party.tell(text, short(contract.counterparty), wrong[1], transaction_id=contract.transaction_id)
        if message.order_id is not None:
            party.send(call.sender, call.transaction_id, Cancel(message.order_id, "terms-changed"))
        return Refused(Reason.QUOTE_UNAVAILABLE, wrong[1], wrong[0])
    if message.order_id is not None:
        _require_new(party, contract, message.order_id)
    if not contract.expired(party.now.ms):
        party.books.put(contract.agreed(message.order_id, party.now.ms))
    return None


def _taken_as_offered(party: Party, call: Call) -> bool:
    """Whether the terms are of an offer that was taken without a quote."""
    selection = party.books.selections.get(call.transaction_id, {}).get(call.sender)
    return selection is not None and selection.selected_wh is not None and not selection.offer.selects


def confirm(party: Party, transaction_id: str) -> None:
    """Confirm all that is agreed. From here on only the seller knows whether the contract holds: in doubt."""
    for contract in _standing(party, transaction_id, ContractState.AGREED):
        if contract.in_doubt:
            continue
        party.books.put(contract.doubted(party.now.ms))
        _send_confirm(party, contract, contract.expires_ms)
        _tell_terms(party, "confirm", contract)
        doubt_again(party, contract)


def on_confirmed(party: Party, call: Call, message: Confirmed) -> None:
    """In force. What differs from the agreed terms is refused and stays in doubt."""
    contract = _contract(party, call)
    wrong = _other_terms(party, contract, message.terms, message.due_micro)
    if wrong is None and contract.order_id is None:
        contract = _named(party, contract, message.order_id)
    if wrong is None and message.order_id != contract.order_id:
        wrong = (About.ORDER_ID, f"order says {message.order_id!r} but {contract.order_id!r} was agreed")
    if wrong is not None:
        raise Refused(Reason.BUSINESS, wrong[1], wrong[0])
    if contract.state is ContractState.AGREED and contract.in_doubt:
        party.books.put(contract.confirmed(party.now.ms))
        if party.tells:
            party.tell(
                "confirmed by %s: %s kWh for %s",
                short(contract.counterparty),
                kwh_text(contract.energy_wh),
                party.slots_text(contract),
                transaction_id=contract.transaction_id,
            )


def ask_status(party: Party, transaction_id: str, seller: str) -> None:
    """Ask what became of a contract that is in doubt, or of which a delivery was not reported."""
    contract = party.books.contract(transaction_id, seller)
    if contract is None or contract.side is not Side.BUYER:
        return
    if contract.order_id is None:  # there is nothing to name it by yet
        if contract.in_doubt:
            _send_confirm(party, contract, None)
            doubt_again(party, contract)
        return
    overdue = any(one.state is ContractState.CONFIRMED and party.now.slot > one.slot for one in contract.deliveries)
    if contract.in_doubt or overdue:
        party.send(seller, transaction_id, AskStatus(contract.order_id), occasion=party.now.ms)
        if contract.in_doubt:
            doubt_again(party, contract)


def on_status(party: Party, call: Call, message: Status) -> None:
    """What the seller says of the contract, believed as far as it can be."""
    contract = party.books.contract(call.transaction_id, call.sender)
    if contract is not None and contract.order_id is None and contract.in_doubt and message.order_id:
        contract = _named(party, contract, message.order_id)
    if contract is None or contract.side is not Side.BUYER or contract.order_id != message.order_id:
        raise Refused(Reason.ORDER_NOT_FOUND, f"no order {message.order_id!r} with you here", About.ORDER_ID)
    for told in message.deliveries:
        if contract.of_slot(told.slot) is None:
            raise Refused(Reason.BUSINESS, "a delivery in a slot that is not in the order", About.SLOT)
        if told.state is ContractState.CONFIRMED and contract.in_doubt:
            contract = contract.confirmed(party.now.ms)
            party.books.put(contract)
        elif told.state in OVER:
            contract = _ended_by_seller(party, contract, told, message.reason)
        elif told.state in DELIVERED:
            contract = _delivered(party, contract, told)


def on_cancelled(party: Party, call: Call, message: Cancelled) -> None:
    """How the contract stands after a cancellation."""
    on_status(party, call, message.status)


def settle(party: Party, transaction_id: str, occasion: object = "delivered") -> None:
    """Pay for what was delivered: all of an order at once. `occasion` tells a payment said again from the first."""
    for contract in party.books.of_transaction(transaction_id):
        if contract.side is not Side.BUYER or contract.order_id is None:
            continue
        owed = [one for one in contract.deliveries if one.state is ContractState.DELIVERED]
        if owed and not _more_to_come(party, contract, owed[0].slot):
            paid, *others = [Paid(one.slot, one.settled_micro or 0) for one in owed]
            pay = Pay(contract.order_id, *paid, party.around.currency, tuple(others))
            named = " ".join([str(one.slot) for one in owed])
            party.send(contract.counterparty, transaction_id, pay, f"{named} {occasion}")


def _more_to_come(party: Party, contract: Contract, slot: int) -> bool:
    """Whether a delivery waits to be paid with others of its order that will be told within `PAID_WITHIN_S`."""
    until = slot + PAID_WITHIN_S
    coming = any(one.state is ContractState.CONFIRMED and one.slot < until for one in contract.deliveries)
    return coming and party.now.slot <= until


def on_receipt(party: Party, call: Call, message: Receipt) -> None:
    """Paid: settled."""
    contract = _contract(party, call)
    for paid in message.parts:
        delivery = contract.paid_for(paid.slot)
        if contract.order_id != message.order_id or delivery is None:
            raise Refused(Reason.BUSINESS, "no receipt for a payment of this order", About.ORDER)
        if delivery.state is ContractState.DELIVERED:
            contract = contract.settled(delivery.slot, party.now.ms)
            party.books.put(contract)


def unanswered(party: Party, seller: str, transaction_id: str, action: Action, why: Unanswered) -> bool:
    """What it means that a request was declined or not answered; whether something else may be missing now."""
    books = party.books
    contract = books.contract(transaction_id, seller)
    if action is Action.SELECT or (action is Action.INIT and contract is None):
        selection = books.selections.get(transaction_id, {}).get(seller)
        if selection is None or selection.outcome is not Outcome.SELECTED:
            return False
        books.select(transaction_id, seller, selection._replace(outcome=Outcome.FAILED))
        party.tell("%s declined: %s", short(seller), why.text, transaction_id=transaction_id)
        return True
    if action is Action.INIT and why.reason is not None:
        if contract is not None and contract.state is ContractState.QUOTED:
            books.put(contract.ended(ContractState.EXPIRED, why.text, party.now.ms))
            party.tell("%s declined: %s", short(seller), why.text, transaction_id=transaction_id)
        return True
    if action is Action.CONFIRM:
        if contract is not None and contract.order_id is None and why.reason is not None:
            # There is no order to ask about: what was refused is not bought.
            if contract.in_doubt:
                books.put(contract.ended(ContractState.CANCELLED, why.text, party.now.ms))
                party.tell("%s declined: %s", short(seller), why.text, transaction_id=transaction_id)
            return True
        party.tell("in doubt about %s: %s", short(seller), why.text, transaction_id=transaction_id)
        ask_status(party, transaction_id, seller)
    elif action is Action.STATUS and why.reason is Reason.ORDER_NOT_FOUND and contract is not None:
        # Without a doubt the seller has lost its ledger: what it has not delivered will not come.
        lost = {one.slot for one in contract.deliveries if one.state is ContractState.CONFIRMED}
        if contract.in_doubt or lost:
            slots = None if contract.in_doubt else lost
            books.put(contract.ended(ContractState.CANCELLED, Ended.UNKNOWN_TO_SELLER, party.now.ms, slots))
            return True
    return False


def expire(party: Party) -> list[str]:
    """End quotes that ran out unconfirmed; returns their transactions."""
    found = party.books.expired(Side.BUYER, party.now.ms)
    for contract in found:
        late = not party.gate_open(contract.first_slot)
        reason = Ended.GATE_CLOSED if late else Ended.QUOTE_RAN_OUT
        party.books.put(contract.ended(ContractState.EXPIRED, reason, party.now.ms))
        party.books.changes.missed_gates += late
        party.tell("%s: %s", short(contract.counterparty), reason, transaction_id=contract.transaction_id)
    return [contract.transaction_id for contract in found]


def stalled(party: Party, transaction_id: str) -> None:
    """Sellers that did not answer in time are given up: whose offer was selected, and whose quote was taken."""
    expire(party)
    silent_ms = party.now.ms - int(stalled_after_s(party) * 1000 / party.grid.speed)
    for contract in _standing(party, transaction_id, ContractState.QUOTED):
        if contract.updated_ms <= silent_ms:
            party.books.put(contract.ended(ContractState.EXPIRED, Ended.NOT_AGREED, party.now.ms))
            party.tell("%s: %s", short(contract.counterparty), Ended.NOT_AGREED, transaction_id=transaction_id)
    for seller, selection in party.books.selections.get(transaction_id, {}).items():
        if selection.outcome is Outcome.SELECTED:
            party.books.select(transaction_id, seller, selection._replace(outcome=Outcome.FAILED))
            party.tell("no answer from %s", short(seller), transaction_id=transaction_id)
    contracts = party.books.of_transaction(transaction_id)
    if any(one.state in TENTATIVE and not one.in_doubt for one in contracts):
        watch(party, transaction_id)


def repeat(party: Party, before: int, occasion: int) -> None:
    """Say again what purchases for slots before `before` wait for."""
    late = [
        one
        for one in party.books.open[Side.BUYER].values()
        if any(delivery.slot < before and delivery.state in OPEN for delivery in one.deliveries)
    ]
    late.sort(key=lambda one: (one.first_slot, one.created_ms, one.counterparty))
    for contract in late[:MOST_REPEATED]:
        if any(delivery.state is ContractState.DELIVERED for delivery in contract.deliveries):
            settle(party, contract.transaction_id, occasion)
        if any(delivery.slot < before and delivery.state in _UNKNOWN for delivery in contract.deliveries):
            ask_status(party, contract.transaction_id, contract.counterparty)


_UNKNOWN = frozenset((*TENTATIVE, ContractState.CONFIRMED))


def _require_new(party: Party, contract: Contract, order_id: str) -> None:
    if party.books.by_order(order_id, contract.counterparty) is not None:
        raise Refused(Reason.BUSINESS, f"{order_id!r} is the id of another order", About.ORDER_ID)


def _named(party: Party, contract: Contract, order_id: str) -> Contract:
    """A contract under the order id that its seller gives it at last."""
    _require_new(party, contract, order_id)
    return contract.named(order_id)


def _send_confirm(party: Party, contract: Contract, until_ms: int | None) -> None:
    message = Confirm(contract.order_id, terms_of(contract, party.around.currency), contract.amount_micro)
    party.send(contract.counterparty, contract.transaction_id, message, until_ms=until_ms)


def doubt_again(party: Party, contract: Contract) -> None:
    """Be reminded to ask again what became of a contract."""
    wait_s = max(_LEAST_DOUBT_S, min(_DOUBT_S, SLOT_S / party.grid.speed / _DOUBT_PARTS))
    alarm = Alarm(AlarmKind.DOUBT, transaction_id=contract.transaction_id, seller=contract.counterparty)
    party.alarm(alarm, party.grid_in(wait_s))


def scheduled(contract: Contract, delivery: Delivery) -> bool:
    """Whether a household takes the energy: in doubt it does too, at the backstop's price if it must."""
    state = delivery.state
    return state is ContractState.CONFIRMED or state in DELIVERED or (contract.in_doubt and state not in OVER)


# --- parts ---


def _standing(party: Party, transaction_id: str, state: ContractState) -> list[Contract]:
    """What is bought in a transaction, is in a state and has not run out."""
    return [
        one
        for one in party.books.of_transaction(transaction_id)
        if one.side is Side.BUYER and one.state is state and not one.expired(party.now.ms)
    ]


def _contract(party: Party, call: Call) -> Contract:
    contract = party.books.contract(call.transaction_id, call.sender)
    if contract is None or contract.side is not Side.BUYER:
        raise Refused(Reason.ORDER_NOT_FOUND, "no order with you in this transaction", About.TRANSACTION)
    return contract


def _wrong_quote(party: Party, slot: int, selection: Selection, terms: Terms, seller: str) -> str | None:
    """What is wrong with a quote: more, dearer or something else than was selected; a seller may leave out some."""
    selected = {slot: (selection.offer, selection.selected_wh or 0)}
    later = dict(selection.later)
    selected |= {one.slot: (later[one.slot], one.energy_wh) for one in selection.selected_later}
    currency = party.around.currency
    for line in terms.lines:
        offer, selected_wh = selected.pop(line.slot, (None, 0))
        if offer is None or line.item_id != offer.item_id or terms.provider != (offer.provider or seller):
            return "quoted another item, slot or provider than was selected"
        if line.energy_wh > selected_wh:
            return f"quoted {kwh_text(line.energy_wh)} kWh but {kwh_text(selected_wh)} kWh was selected"
        most_micro = amount_micro(offer.price_micro_per_kwh, line.energy_wh)
        if line.amount_micro > most_micro or terms.currency != currency:
            quoted = f"{money_text(line.amount_micro)} {terms.currency}"
            return f"quoted {quoted} but the offer makes it {money_text(most_micro)} {currency}"
    return wrong_parts(terms)


def _other_terms(party: Party, contract: Contract, terms: Terms, due_micro: int) -> tuple[About, str] | None:
    wrong = difference(contract, terms, party.around.currency)
    if wrong is None and due_micro != contract.amount_micro:
        text = f"payment of {money_text(due_micro)} but {money_text(contract.amount_micro)} was quoted"
        return About.PAYMENT_AMOUNT, text
    return wrong


def _tell_terms(party: Party, what: str, contract: Contract) -> None:
    if party.tells:
        party.tell(
            f"{what}: %s kWh from %s for %s %s",
            kwh_text(contract.energy_wh),
            short(contract.counterparty),
            money_text(contract.amount_micro),
            party.around.currency,
            transaction_id=contract.transaction_id,
        )


def _ended_by_seller(party: Party, contract: Contract, told: DeliveryStatus, why: str | None) -> Contract:
    delivery = contract.delivery(told.slot)
    if delivery.state in OVER:
        return contract
    if delivery.state in DELIVERED or (
        delivery.state is ContractState.CONFIRMED and told.state is ContractState.EXPIRED
    ):
        raise Refused(Reason.BUSINESS, f"the order is {delivery.state} here; it cannot be {told.state}")
    reason = why or Ended.BY_SELLER
    contract = contract.ended(told.state, reason, party.now.ms, (told.slot,))
    party.books.put(contract)
    party.tell(
        "%s says %s: %s",
        short(contract.counterparty),
        told.state.lower(),
        why or "no reason given",
        transaction_id=contract.transaction_id,
    )
    return contract


def _delivered(party: Party, contract: Contract, told: DeliveryStatus) -> Contract:
    slot, delivered_wh, due_micro = told.slot, told.delivered_wh, told.due_micro
    delivery = contract.delivery(slot)
    if delivery.state in DELIVERED:
        if (delivered_wh, due_micro) != (delivery.delivered_wh, delivery.settled_micro):
            text = f"a delivery of {kwh_text(delivery.delivered_wh or 0)} kWh is booked already"
            raise Refused(Reason.BUSINESS, text, About.READING)
        return contract
    if delivered_wh is None or delivered_wh > delivery.energy_wh:
        raise Refused(
            Reason.BUSINESS,
            f"delivery of {'nothing stated' if delivered_wh is None else kwh_text(delivered_wh) + ' kWh'} for an "
            f"order of {kwh_text(delivery.energy_wh)} kWh",
            About.READING,
        )
    if due_micro != share_micro(delivery.amount_micro, delivered_wh, delivery.energy_wh):
        raise Refused(
            Reason.BUSINESS,
            f"{money_text(due_micro or 0)} is not what {kwh_text(delivered_wh)} kWh of this order cost",
            About.PAYMENT_AMOUNT,
        )
    if party.now.grid_s < slot + SLOT_S - CLOCK_TOLERANCE_S * party.grid.speed:
        raise Refused(Reason.BUSINESS, "delivery reported before its slot has ended")
    if contract.in_doubt and delivery.state not in OVER:
        contract = contract.confirmed(party.now.ms)
    elif delivery.state is not ContractState.CONFIRMED:
        raise Refused(Reason.BUSINESS, f"the order is {delivery.state} here; it cannot be delivered")
    contract = contract.delivered(slot, delivered_wh, due_micro, party.now.ms)
    party.books.put(contract)
    party.books.book(
        LedgerEntry(EntryKind.TRADE, slot, contract.counterparty, contract.transaction_id, delivered_wh, -due_micro)
    )
    party.on_delivered(contract, contract.delivery(slot))
    return contract
