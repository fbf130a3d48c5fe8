"""Books that were put back, or begun anew, are brought up to date by what their party has signed since.

Partners hold those messages. What follows from them is entered in the order of time, and each slot that has ended is
metered in between by the same rules as ever: so sales are delivered as they were, and purchases are in doubt until
their sellers say what became of them.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable, Iterator, Sequence
from math import inf
from typing import TYPE_CHECKING, NamedTuple

from wattmesh_market.energy.slots import DAY_S, SLOT_S
from wattmesh_market.parties import buying
from wattmesh_market.parties.books import LogLine
from wattmesh_market.parties.shopping import short
from wattmesh_market.trade.contracts import (
    DELIVERED,
    OVER,
    TENTATIVE,
    Contract,
    ContractState,
    Delivery,
    Ended,
    Side,
    WrongState,
)
from wattmesh_market.trade.messages import (
    Bills,
    Cancelled,
    Confirm,
    Confirmed,
    HeldReading,
    Message,
    PricedReading,
    Readings,
    Receipt,
    ReportReading,
    Status,
    Terms,
)
from wattmesh_market.units import kwh_text, money_text

if TYPE_CHECKING:
    from wattmesh_market.parties.party import Party

OLDEST_S = 30 * DAY_S
"""How far back books that are begun anew are brought (grid time): partners keep readings for as long."""
_COMMITTED = frozenset((ContractState.CONFIRMED, *DELIVERED))
_ENDS = DELIVERED | OVER


class Signed(NamedTuple):
    """What a party has signed: to whom, in which transaction, when (ms of wall time), and what it said."""

    to: str
    transaction_id: str
    signed_ms: int
    message: Message


def parts_of(message: Message) -> Sequence[Message]:
    """What a message says: readings or bills that were told together, one by one."""
    if isinstance(message, Readings):
        return message.told
    return message.priced if isinstance(message, Bills) else (message,)


def is_news(party: Party, one: Signed) -> bool:
    """Whether a party's books do not know yet what it has signed."""
    books, message = party.books, one.message
    if isinstance(message, ReportReading):
        return message.slot >= books.standing.next_slot
    if isinstance(message, PricedReading):
        return party.lacks_price(one.to, message)
    if isinstance(message, HeldReading):
        return party.lacks_held(one.to, message)
    contract = books.contract(one.transaction_id, one.to)
    if contract is None or (contract.state in TENTATIVE and not contract.in_doubt) or _ran_out(contract):
        return _terms(message) is not None
    if contract.side is not Side.SELLER:
        return False
    if isinstance(message, Receipt):
        paid = [contract.paid_for(part.slot) for part in message.parts]
        return any(one is not None and one.state is not ContractState.SETTLED for one in paid)
    status = _status(message)
    return status is not None and any(
        told.state in _ENDS and (mine := contract.of_slot(told.slot)) is not None and mine.state not in _ENDS
        for told in status.deliveries
    )


def take_over(party: Party, signed: Sequence[Signed]) -> None:
    """Enter what a party has signed and its books do not know, and meter what has ended since.

    A slot that is metered stays so: what is found of it only now is told as lost. So is what contradicts the books.
    """
    books, now = party.books, party.now
    moment, until, told = (now.ms, now.grid_s), now.slot, _told(signed)
    standing = books.standing
    if standing.first_slot == standing.next_slot and not books.contracts:
        slots = [slot for one in signed for slot in slots_of(one.message)]
        first_slot = max(min([*slots, standing.next_slot]), until - OLDEST_S)
        if first_slot != standing.next_slot:
            party.begin(first_slot)
    first_slot = books.standing.next_slot
    todo = sorted(_in_time(party, signed), key=lambda one: one[:2])
    party.told.update(told)
    taken: list[Contract] = []
    lost: list[str] = []
    try:
        for end in [*range(first_slot + SLOT_S, until + SLOT_S, SLOT_S), None]:
            while todo and (end is None or todo[0][0] < party.grid.wall_ms(end)):
                _, moves_on, one = todo.pop(0)
                try:
                    if moves_on:
                        _move_on(party, one)
                    elif (contract := _enter(party, one)) is not None:
                        taken.append(contract)
                except (WrongState, _Lost) as problem:
                    lost.append(f"{_text(one)} with {short(one.to)}: {problem}")
            if end is not None:
                now.move(party.grid.wall_ms(end), end)
                party.meter()
    finally:
        now.move(*moment)
        party.told.clear()
    party.take_shares({one.message.reading.slot for one in signed if isinstance(one.message, PricedReading)})
    readings = {one.message.slot: one.message for one in signed if isinstance(one.message, ReportReading)}
    for reading in readings.values():
        party.take_reading(reading)
    for contract in taken:
        if contract.side is Side.BUYER:
            buying.ask_status(party, contract.transaction_id, contract.counterparty)
    _tell(party, taken, first_slot, sorted({one.to for one in signed}), lost)


class _Lost(Exception):
    """Why what was signed cannot be entered any more."""


def _told(signed: Iterable[Signed]) -> dict[tuple[str, str, int], int]:
    """What a party has said it delivered, by transaction, buyer and slot (Wh)."""
    return {
        (one.transaction_id, one.to, delivery.slot): delivery.delivered_wh
        for one in signed
        if (status := _status(one.message)) is not None
        for delivery in status.deliveries
        if delivery.state in DELIVERED and delivery.delivered_wh is not None
    }


def _in_time(party: Party, signed: Sequence[Signed]) -> Iterator[tuple[float, bool, Signed]]:
    """Each message when what it says was so: a contract before its first slot, what ended it before the slot's end, and
    what was paid after all slots.

    Where a street has stood still, signatures are older than their slots are by the clock that goes now. What a utility
    has billed is entered first: no slot of it is to be closed again; what it held before that.
    """
    for one in sorted(signed, key=lambda one: one.signed_ms):
        if isinstance(one.message, PricedReading | HeldReading):
            yield -1 if isinstance(one.message, HeldReading) else 0, True, one
            continue
        if isinstance(one.message, Receipt):
            yield inf, True, one
            continue
        if (terms := _terms(one.message)) is not None and terms.lines:
            yield min(one.signed_ms, party.grid.wall_ms(terms.lines[0].slot) - 1), False, one
        status = _status(one.message)
        over = [told.slot for told in status.deliveries if told.state in OVER] if status is not None else []
        yield min([one.signed_ms, *(party.grid.wall_ms(slot + SLOT_S) - 1 for slot in over)]), True, one


def _status(message: Message) -> Status | None:
    if isinstance(message, Cancelled):
        return message.status
    return message if isinstance(message, Status) else None


def _terms(message: Message) -> Terms | None:
    """The terms to which a message has committed its sender, if it has."""
    if isinstance(message, Confirm | Confirmed):
        return message.terms
    status = _status(message)
    return None if status is None or all(one.state not in _COMMITTED for one in status.deliveries) else status.terms


def slots_of(message: Message) -> list[int]:
    """The slots of what a message commits its sender to."""
    if isinstance(message, ReportReading):
        return [message.slot]
    if isinstance(message, PricedReading | HeldReading):
        return [message.reading.slot]
    terms = _terms(message)
    return [] if terms is None else [line.slot for line in terms.lines]


def _enter(party: Party, one: Signed) -> Contract | None:
    """Enter a contract that the books do not know, as it was when it was signed; None when they do."""
    books, message = party.books, one.message
    side = Side.BUYER if isinstance(message, Confirm) else Side.SELLER
    terms, status = _terms(message), _status(message)
    order_id = (
        message.order_id if isinstance(message, Confirm | Confirmed) else "" if status is None else status.order_id
    )
    known = books.contract(one.transaction_id, one.to)
    if terms is not None and known is not None and _ran_out(known):
        _take_back(party, known)
        return None
    if terms is None or (known is not None and (known.state not in TENTATIVE or known.in_doubt)):
        return None
    foreign = side is Side.SELLER and terms.provider != party.id
    if terms.currency != party.around.currency or foreign:
        raise _Lost("it is no contract of these books")
    other = books.by_order(order_id, one.to) if order_id is not None else None
    if (known is not None and known.side is not side) or other not in (None, known):
        raise _Lost("another contract stands in its place")
    if terms.lines[0].slot < books.standing.next_slot:
        raise _Lost("its slot is metered already")
    contract = Contract(
        party.id,
        side,
        one.transaction_id,
        one.to,
        tuple(
            [
                Delivery(
                    line.slot,
                    line.item_id,
                    line.energy_wh,
                    line.amount_micro,
                    line.fee_micro or 0,
                    ContractState.AGREED if side is Side.BUYER else ContractState.CONFIRMED,
                    # What was offered is not known any more; nobody took a quote above it.
                    offered_micro_per_kwh=-(-line.amount_micro * 1000 // line.energy_wh)
                    if side is Side.BUYER
                    else None,
                )
                for line in terms.lines
            ]
        ),
        one.signed_ms,
        one.signed_ms,
        one.signed_ms,
        order_id,
        in_doubt=side is Side.BUYER,
        confirmed_ms=None if side is Side.BUYER else one.signed_ms,
        provider=terms.provider if terms.provider not in (one.to, party.id) else None,
    )
    books.put(contract)
    for line in terms.lines:
        party.take_part(line.slot, side)
    return contract


def _ran_out(contract: Contract) -> bool:
    return contract.side is Side.SELLER and contract.state is ContractState.EXPIRED


def _take_back(party: Party, contract: Contract) -> None:
    """Say that nothing is delivered of what was sold and has then run out in books that knew only its quote.

    Its buyer, who holds the seller's word, believes no EXPIRED.
    """
    if any((contract.transaction_id, contract.counterparty, one.slot) in party.told for one in contract.deliveries):
        raise _Lost("it had run out before its delivery was heard of")
    cancelled = tuple([one._replace(state=ContractState.CANCELLED) for one in contract.deliveries])
    party.books.put(contract._replace(deliveries=cancelled, reason=Ended.RESTORED, updated_ms=party.now.ms))


def _move_on(party: Party, one: Signed) -> None:
    """Enter what a seller has said became of a contract, or what a utility has billed."""
    books, message = party.books, one.message
    if isinstance(message, PricedReading):
        party.take_price(one.to, one.transaction_id, message)
        return
    if isinstance(message, HeldReading):
        party.take_held(one.to, one.transaction_id, message)
        return
    contract = books.contract(one.transaction_id, one.to)
    if contract is None or contract.side is not Side.SELLER:
        return
    if isinstance(message, Receipt):
        for part in message.parts:
            delivery = contract.paid_for(part.slot)
            if delivery is not None and delivery.state is ContractState.DELIVERED:
                contract = contract.settled(delivery.slot, one.signed_ms)
                books.put(contract)
    elif (status := _status(message)) is not None:
        over = {told.slot for told in status.deliveries if told.state in OVER}
        live = {delivery.slot for delivery in contract.deliveries if delivery.state is ContractState.CONFIRMED} & over
        if live:
            reason = status.reason or "ended"
            books.put(contract.ended(ContractState.CANCELLED, reason, one.signed_ms, live))


def _text(one: Signed) -> str:
    terms = _terms(one.message)
    if terms is None:
        return "a message"
    energy_wh = sum([line.energy_wh for line in terms.lines])
    return f"{kwh_text(energy_wh)} kWh for {money_text(terms.total_micro)} {terms.currency}"


def _tell(
    party: Party, taken: Sequence[Contract], first_slot: int, partners: Sequence[str], lost: Iterable[str]
) -> None:
    slots = (party.books.standing.next_slot - first_slot) // SLOT_S
    lines = [
        LogLine(
            "its books were older than what it has signed since: %d contracts (%s kWh, %s %s) taken over, "
            "%d slots metered from %s on, by what %s held",
            (
                len(taken),
                kwh_text(sum([one.energy_wh for one in taken])),
                money_text(sum([one.amount_micro for one in taken])),
                party.around.currency,
                slots,
                party.slot_text(first_slot),
                ", ".join([short(one) for one in partners]),
            ),
            None,
            logging.WARNING,
        )
    ]
    lines += [LogLine("lost with its books: %s", (text,), None, logging.WARNING) for text in dict.fromkeys(lost)]
    party.books.changes.lines.extend(lines)
