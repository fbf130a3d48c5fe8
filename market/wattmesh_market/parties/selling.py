"""The selling side of a party: answers each of a buyer's messages, promises no more than there is.

A `Refused` that a function raises undoes all that it did.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from wattmesh_market.energy.slots import SLOT_S
from wattmesh_market.parties.party import MOST_REPEATED
from wattmesh_market.parties.shopping import short
from wattmesh_market.parties.terms import difference, terms_of
from wattmesh_market.schedule import AHEAD_S, PAID_WITHIN_S, UTILITY_LOOKS_PPM, WINDOW_PPM, moment_s
from wattmesh_market.trade.contracts import (
    DELIVERED,
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
    Agreed,
    AskStatus,
    Call,
    Cancel,
    Cancelled,
    Confirm,
    Confirmed,
    DeliveryStatus,
    Init,
    Offers,
    Paid,
    Pay,
    Quote,
    Receipt,
    Search,
    Select,
    Status,
    Terms,
    Wanted,
)
from wattmesh_market.trade.offers import MIN_TRADE_WH, Offer
from wattmesh_market.trade.quotas import check_open_quotes, check_orders, check_unpaid, limit_wh, owing_wh
from wattmesh_market.trade.refusal import About, Reason, Refused
from wattmesh_market.units import MAX_ENERGY_WH, amount_micro, kwh_text, money_text, share_micro

if TYPE_CHECKING:
    from wattmesh_market.parties.party import Party

QUOTE_TTL_MS = 30_000
"""How long a quote holds its energy, if the gate does not close before (wall time)."""
CANCEL_BEFORE_PPM = UTILITY_LOOKS_PPM[-1][1] + WINDOW_PPM
"""Up to this part of the slot before its own a confirmed delivery may be cancelled: by then everybody has chosen. Later
it would be an option that costs nothing, on energy that nobody else buys any more."""
ANYBODY = ""
"""A buyer that is not known yet, and is none of the utilities."""
HORIZON_S = 86_400
"""How far ahead slots are sold (grid time)."""


def item_id(slot: int) -> str:
    """The catalog id of energy in a slot."""
    return f"energy-{slot}"


def offer(party: Party, call: Call, message: Search) -> None:
    """Say what could be had; nothing is held for it."""
    party.require_near(call)
    offers = offers_to(party, call.sender, message)
    party.answer(call, Offers(offers), until_ms=party.gate_ms(offers[0][0]))


def offers_to(party: Party, buyer: str, message: Search) -> tuple[tuple[int, Offer], ...]:
    """What a buyer could have, by slot; Refused when there is nothing for it."""
    available = (
        _in_window(party, message)
        if message.window
        else _from_slot_on(party, message.slot, min(message.until or 0, message.slot + AHEAD_S))
    )
    return tuple(
        [
            (at, Offer(party.id, item_id(at), _all_in_micro_per_kwh(party, at, buyer), available_wh))
            for at, available_wh in available.items()
        ]
    )


def offered(party: Party, slot: int, until: int) -> tuple[tuple[int, Offer], ...]:
    """What could be had in a slot and in later ones before `until`, at prices that hold for any buyer; Refused when
    nothing can in the slot itself.

    A fee that all pay is in the price, the one of local trade beside it.
    """
    found = []
    for at, available_wh in _from_slot_on(party, slot, until).items():
        price, fee = party.price_micro_per_kwh(at), party.grid_fee_micro_per_kwh(ANYBODY, at)
        local_fee = fee if party.is_neighbour else 0
        one = Offer(party.id, item_id(at), price + fee - local_fee, available_wh, None, local_fee, selects=False)
        found.append((at, one))
    return tuple(found)


def quote(party: Party, call: Call) -> None:
    """Reserve, less when less is left, and price it. A cart that changes before `init` is quoted anew."""
    message = call.message
    assert isinstance(message, Select)  # noqa: S101 - the step follows from the message
    contract = _reserve(party, call, message)
    party.answer(call, Quote(terms_of(contract, party.around.currency), contract.expires_ms), contract.expires_ms)


def _reserve(party: Party, call: Call, message: Select) -> Contract:
    """A quote for what a buyer wants, or less; Refused when there is none for it."""
    buyer, now_ms = call.sender, party.now.ms
    party.require_near(call)
    if message.provider != party.id:
        raise Refused(Reason.ITEM_NOT_FOUND, f"no provider {message.provider!r} here", About.PROVIDER)
    for wanted in message.wanted:
        if wanted.item_id != item_id(wanted.slot):
            raise Refused(Reason.ITEM_NOT_FOUND, f"no item {wanted.item_id!r} in that slot", About.ITEM)
    slots = [wanted.slot for wanted in message.wanted]
    if slots != sorted(set(slots)):
        raise Refused(Reason.UNSOUND, "an order's delivery slots must differ and be in order", About.SLOT)
    former = party.books.contract(call.transaction_id, buyer)
    expires_ms = now_ms + QUOTE_TTL_MS
    if former is not None:
        quoted = former.side is Side.SELLER and former.state is ContractState.QUOTED
        if not quoted or slots != [one.slot for one in former.deliveries]:
            raise Refused(Reason.BUSINESS, "this transaction has an order here already; search anew")
        expires_ms = former.expires_ms  # who changes its cart again and again holds energy no longer
        party.books.put(former.ended(ContractState.EXPIRED, Ended.NOT_TAKEN, now_ms))
    most_wh = _limit_wh(party, call, sum([wanted.energy_wh for wanted in message.wanted]))
    contract = Contract(
        party.id,
        Side.SELLER,
        call.transaction_id,
        buyer,
        (),
        expires_ms,
        now_ms,
        now_ms,
    )
    deliveries: list[Delivery] = []
    refused = None
    for slot, item, wanted_wh in message.wanted:
        if most_wh is not None and most_wh < MIN_TRADE_WH:
            break
        # Each delivery counts for the next one: they draw on the same store. What cannot be had is left out.
        try:
            others = [one for one, _ in party.books.deliveries(Side.SELLER, slot) if one.key != contract.key]
            check_orders(buyer, party.slot_text(slot), others)
            energy_wh = min(wanted_wh, _available_wh(party, slot))
        except Refused as nothing:
            refused = nothing
            continue
        if most_wh is not None:
            energy_wh = min(energy_wh, most_wh)
            most_wh -= energy_wh
        amount = amount_micro(_all_in_micro_per_kwh(party, slot, buyer), energy_wh)
        fee = amount_micro(party.grid_fee_micro_per_kwh(buyer, slot), energy_wh)
        sun_wh = party.sun_wh(slot, energy_wh)
        deliveries.append(Delivery(slot, item, energy_wh, amount, fee, ContractState.QUOTED, sun_wh=sun_wh))
        contract = contract._replace(
            deliveries=tuple(deliveries), expires_ms=min(contract.expires_ms, party.gate_ms(slot))
        )
        party.books.put(contract)
    if former is not None and len(deliveries) < len(slots):
        raise refused or Refused(Reason.QUANTITY_UNAVAILABLE, "the cart cannot be had as it is now; search anew")
    if refused is not None and not deliveries:
        raise refused
    if party.tells:
        _tell_sale(party, "quoted %s kWh for %s to %s at %s %s", contract)
    return contract


def agree(party: Party, call: Call) -> None:
    """Fix the quoted terms under an order id. Who takes an offer as it is gets a quote with them."""
    message = call.message
    assert isinstance(message, Init)  # noqa: S101 - the step follows from the message
    if message.quoted or _of_buyer(party, call.transaction_id, call.sender) is not None:
        contract = _tentative(party, call)
        _check(party, contract, message.terms)
    else:
        wanted = tuple(Wanted(one.slot, one.item_id, one.energy_wh) for one in message.terms.lines)
        contract = _reserve(party, call, Select(message.terms.provider, wanted))
    if contract.state is ContractState.QUOTED:
        contract = contract.agreed(party.derive_id("order", call.transaction_id, call.sender), party.now.ms)
        party.books.put(contract)
    terms = terms_of(contract, party.around.currency)
    agreed = Agreed(contract.order_id or "", terms, contract.amount_micro, contract.expires_ms)
    party.answer(call, agreed, until_ms=contract.expires_ms)


def commit(party: Party, call: Call) -> None:
    """The reservation becomes a commitment."""
    message = call.message
    assert isinstance(message, Confirm)  # noqa: S101 - the step follows from the message
    contract = _of_buyer(party, call.transaction_id, call.sender)
    if contract is None or contract.order_id is None or contract.order_id != message.order_id:
        raise _no_order(message.order_id or "")
    _check(party, contract, message.terms)
    if message.due_micro != contract.amount_micro:
        raise Refused(
            Reason.QUOTE_UNAVAILABLE,
            f"payment of {money_text(message.due_micro)} is not the agreed {money_text(contract.amount_micro)}",
            About.PAYMENT_AMOUNT,
        )
    if contract.state is not ContractState.CONFIRMED:
        contract = _tentative(party, call).confirmed(party.now.ms)
        party.books.put(contract)
        if party.tells:
            _tell_sale(party, "sold %s kWh for %s to %s at %s %s", contract)
    terms = terms_of(contract, party.around.currency)
    party.answer(call, Confirmed(contract.order_id or "", terms, contract.amount_micro))


def report(party: Party, call: Call) -> None:
    """Say how an order stands."""
    message = call.message
    assert isinstance(message, AskStatus)  # noqa: S101 - the step follows from the message
    party.answer(call, status_of(party, _ordered(party, message.order_id, call.sender)))


def withdraw(party: Party, call: Call) -> None:
    """Free what was promised, until its slot starts: the whole order, or some of its deliveries."""
    message = call.message
    assert isinstance(message, Cancel)  # noqa: S101 - the step follows from the message
    contract = _ordered(party, message.order_id, call.sender)
    slots = message.slots if message.slots is not None else [one.slot for one in contract.deliveries]
    asked = [one for one in contract.deliveries if one.slot in slots]
    if message.slots is not None and (len(asked) != len(slots) or contract.state in TENTATIVE):
        raise Refused(Reason.CANCELLATION_NOT_POSSIBLE, "single deliveries are cancelled of a confirmed order only")
    live = [one for one in asked if one.state not in OVER]
    for one in live:
        if one.state in DELIVERED:
            raise Refused(Reason.CANCELLATION_NOT_POSSIBLE, f"the order is {one.state}")
        if not party.gate_open(one.slot):
            raise Refused(
                Reason.CANCELLATION_NOT_POSSIBLE,
                f"the delivery slot {party.slot_text(one.slot)} has started; what was confirmed is delivered",
            )
        if one.state is ContractState.CONFIRMED and party.now.grid_s >= moment_s(one.slot - SLOT_S, CANCEL_BEFORE_PPM):
            raise Refused(
                Reason.CANCELLATION_NOT_POSSIBLE,
                f"too late to sell it to somebody else: {party.slot_text(one.slot)} is cancelled until "
                f"{CANCEL_BEFORE_PPM // 10_000} % of the slot before it",
            )
    if live:
        reason = f"{Ended.BY_BUYER}: {message.reason}"
        contract = contract.ended(ContractState.CANCELLED, reason, party.now.ms, [one.slot for one in live])
        party.books.put(contract)
        party.tell("order cancelled by %s", short(contract.counterparty), transaction_id=contract.transaction_id)
    party.answer(call, Cancelled(status_of(party, contract)))


def receive_payment(party: Party, call: Call) -> None:
    """Deliveries of an order are paid: settled, all of them or none."""
    message = call.message
    assert isinstance(message, Pay)  # noqa: S101 - the step follows from the message
    contract = _ordered(party, message.order_id, call.sender)
    parts = []
    for part in message.parts:
        delivery = _paid(party, contract, part, message.currency)
        contract = _settle(party, contract, delivery)
        parts.append(part._replace(slot=delivery.slot))
    paid, *others = parts
    party.answer(call, Receipt(message.order_id, *paid, party.around.currency, tuple(others)))


def _paid(party: Party, contract: Contract, paid: Paid, currency: str) -> Delivery:
    """The delivery that is paid; Refused when nothing is due for it, or another amount."""
    delivery = contract.paid_for(paid.slot)
    if delivery is None:
        raise Refused(Reason.UNSOUND, "a payment must name a delivery of its order", About.PAYMENT_STATUS)
    if delivery.state not in DELIVERED:
        raise Refused(Reason.BUSINESS, f"nothing to pay yet: the order is {delivery.state}")
    if paid.amount_micro != delivery.settled_micro or currency != party.around.currency:
        raise Refused(
            Reason.BUSINESS,
            f"paid {money_text(paid.amount_micro)} {currency} but "
            f"{money_text(delivery.settled_micro or 0)} {party.around.currency} is due",
            About.PAYMENT_AMOUNT,
        )
    return delivery


def _settle(party: Party, contract: Contract, delivery: Delivery) -> Contract:
    """A contract with a delivery settled; as it is where that was settled before."""
    if delivery.state is not ContractState.DELIVERED:
        return contract
    contract = contract.settled(delivery.slot, party.now.ms)
    party.books.put(contract)
    if party.tells:
        party.tell(
            "paid %s %s by %s",
            money_text(delivery.settled_micro or 0),
            party.around.currency,
            short(contract.counterparty),
            transaction_id=contract.transaction_id,
        )
    return contract


def deliver(party: Party, contract: Contract, slot: int, delivered_wh: int) -> None:
    """Book what was metered for a confirmed delivery and tell the buyer."""
    delivery = contract.delivery(slot)
    settled_micro = share_micro(delivery.amount_micro, delivered_wh, delivery.energy_wh)
    contract = contract.delivered(slot, delivered_wh, settled_micro, party.now.ms)
    party.books.put(contract)
    party.books.book(
        LedgerEntry(EntryKind.TRADE, slot, contract.counterparty, contract.transaction_id, -delivered_wh, settled_micro)
    )
    if delivered_wh < delivery.energy_wh and party.tells:
        party.tell(
            "delivered only %s of %s kWh to %s",
            kwh_text(delivered_wh),
            kwh_text(delivery.energy_wh),
            short(contract.counterparty),
            transaction_id=contract.transaction_id,
        )
    tell_delivery(party, contract, slot, "end of slot")


def tell_delivery(party: Party, contract: Contract, slot: int, occasion: object) -> None:
    """Say unasked what was delivered. `occasion` tells one telling from the next."""
    status = status_of(party, contract)
    party.send(contract.counterparty, contract.transaction_id, status, f"{slot} {occasion}")


def repeat(party: Party, before: int, occasion: int) -> None:
    """Tell again what was delivered in slots before `before` and is not paid; of an order of several slots, what should
    have been paid with later ones by then.
    """
    unpaid = []
    for contract in party.books.open[Side.SELLER].values():
        several = len(contract.deliveries) > 1
        late = before - (PAID_WITHIN_S - SLOT_S if several else 0)
        slots = [one.slot for one in contract.deliveries if one.state is ContractState.DELIVERED and one.slot < late]
        if slots:  # how an order stands says it of all its deliveries
            unpaid.append((slots[0], contract.created_ms, contract.counterparty, contract))
    for slot, _, _, contract in sorted(unpaid, key=lambda one: one[:3])[:MOST_REPEATED]:
        tell_delivery(party, contract, slot, occasion)


def declined_by_buyer(party: Party, transaction_id: str, buyer: str, reason: str) -> None:
    """The buyer refused the quote or the terms: free what they held."""
    contract = _of_buyer(party, transaction_id, buyer)
    if contract is not None and contract.state in TENTATIVE:
        party.books.put(contract.ended(ContractState.CANCELLED, reason, party.now.ms))


def expire(party: Party) -> None:
    """Free what expired quotes held. There is nothing to do before `Books.first_expiry_ms`."""
    now_ms, books = party.now.ms, party.books
    for contract in books.expired(Side.SELLER, now_ms):
        reason = Ended.NOT_TAKEN if party.gate_open(contract.first_slot) else Ended.GATE_CLOSED
        books.put(contract.ended(ContractState.EXPIRED, reason, now_ms))
    books.note_first_expiry()


def status_of(party: Party, contract: Contract) -> Status:
    """How a contract stands."""
    return Status(
        contract.order_id or "",
        terms_of(contract, party.around.currency),
        tuple(
            [DeliveryStatus(one.slot, one.state, one.delivered_wh, one.settled_micro) for one in contract.deliveries]
        ),
        contract.reason,
    )


def _all_in_micro_per_kwh(party: Party, slot: int, buyer: str) -> int:
    return party.price_micro_per_kwh(slot) + party.grid_fee_micro_per_kwh(buyer, slot)


def _limit_wh(party: Party, call: Call, asked_wh: int) -> int | None:
    """How much a buyer may be quoted; None: as much as there is. Refused where that is nothing."""
    books, now_ms, buyer = party.books, party.now.ms, call.sender
    contracts = books.open_with(Side.SELLER, buyer)
    check_open_quotes(buyer, contracts, now_ms)
    check_unpaid(buyer, contracts, now_ms, party.slot_ms(), party.gate_ms)
    had = books.failures(Side.SELLER, buyer)
    # A cart that changes has not run out: its quote makes room for the next one.
    others = (one for one in books.of_late(Side.SELLER, buyer) if one.transaction_id != call.transaction_id)
    limits = (
        owing_wh(buyer, contracts, asked_wh, others, party.lends_wh(buyer)),
        limit_wh(
            buyer, contracts, had, party.now.slot, party.slot_text, lambda slot: (party.gate_ms(slot) - now_ms) / 1000
        ),
    )
    return min((limit for limit in limits if limit is not None), default=None)


def _available_wh(party: Party, slot: int) -> int:
    if not party.gate_open(slot):
        raise Refused(
            Reason.BUSINESS, f"gate closed: the delivery slot {party.slot_text(slot)} has started", About.SLOT
        )
    if slot > party.now.slot + HORIZON_S:
        raise Refused(Reason.BUSINESS, f"slots are sold up to {HORIZON_S // 3600} h ahead")
    available_wh = _spare_wh(party, slot) if party.sells(slot) else 0
    if available_wh < MIN_TRADE_WH:
        raise Refused(Reason.QUANTITY_UNAVAILABLE, f"nothing to sell for {party.slot_text(slot)}")
    return available_wh


def _from_slot_on(party: Party, slot: int, until: int) -> dict[int, int]:
    """What can be had in a slot, and beside it in later ones; Refused when nothing can in the slot itself."""
    found = {slot: _available_wh(party, slot)}
    for later in range(slot + SLOT_S, until, SLOT_S):
        if party.sells_ahead(later) and (spare_wh := _spare_wh(party, later)) >= MIN_TRADE_WH:
            found[later] = spare_wh
    return found


def _in_window(party: Party, message: Search) -> dict[int, int]:
    """What can be had in each slot of a window that has anything; Refused when none has."""
    first = max(message.slot, party.now.slot)
    last = min(message.until or 0, party.now.slot + HORIZON_S + SLOT_S)
    found: dict[int, int] = {}
    refused = Refused(Reason.BUSINESS, f"slots are sold up to {HORIZON_S // 3600} h ahead")
    for slot in range(first, last, SLOT_S):
        try:
            found[slot] = _available_wh(party, slot)
        except Refused as nothing:
            refused = nothing
    if not found:
        raise refused
    return found


def _spare_wh(party: Party, slot: int) -> int:
    return min(party.sellable_wh(slot), MAX_ENERGY_WH)


def _of_buyer(party: Party, transaction_id: str, buyer: str) -> Contract | None:
    contract = party.books.contract(transaction_id, buyer)
    return contract if contract is not None and contract.side is Side.SELLER else None


def _tentative(party: Party, call: Call) -> Contract:
    contract = _of_buyer(party, call.transaction_id, call.sender)
    if contract is None:
        raise Refused(Reason.QUOTE_UNAVAILABLE, "no quote was given in this transaction")
    if contract.state not in TENTATIVE:
        raise Refused(Reason.QUOTE_UNAVAILABLE, f"the quote is {contract.state}: {contract.reason or 'taken'}")
    return contract


def _ordered(party: Party, order_id: str, buyer: str) -> Contract:
    contract = party.books.by_order(order_id, buyer)
    if contract is None or contract.side is not Side.SELLER:
        raise _no_order(order_id)
    return contract


def _check(party: Party, contract: Contract, terms: Terms) -> None:
    wrong = difference(contract, terms, party.around.currency)
    if wrong is not None:
        raise Refused(Reason.QUOTE_UNAVAILABLE, wrong[1], wrong[0])


def _tell_sale(party: Party, text: str, contract: Contract) -> None:
    party.tell(
        text,
        kwh_text(contract.energy_wh),
        party.slots_text(contract),
        short(contract.counterparty),
        money_text(contract.amount_micro),
        party.around.currency,
        transaction_id=contract.transaction_id,
    )


def _no_order(order_id: str) -> Refused:
    return Refused(Reason.ORDER_NOT_FOUND, f"no order {order_id!r} of yours here", About.ORDER_ID)
