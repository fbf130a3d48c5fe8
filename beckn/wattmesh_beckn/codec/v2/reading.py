"""From the messages of Beckn v2.0.0 LTS to the market's.

The models have checked each field. Here commitments, flows, settlements and performance are put together to deliveries.
What a message leaves out stands as it was said before; what does not fit is refused.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from decimal import Decimal
from typing import NamedTuple

from wattmesh_beckn.codec.defaults import NO_REASON, QUOTE_TTL, unix_ms
from wattmesh_beckn.codec.port import Lookup
from wattmesh_beckn.codec.refusals import reason_of
from wattmesh_beckn.codec.v2.messages import (
    CatalogsMessage,
    ContractMessage,
    ContractV2,
    DiscoverMessage,
    ErrorMessageV2,
    Flow,
    Interval,
    ResultsMessage,
    Settlement,
)
from wattmesh_beckn.codec.v2.metering import read_priced, read_readings
from wattmesh_beckn.codec.v2.offers import all_offers, item_in, read_search
from wattmesh_beckn.codec.v2.parts import (
    COMMITMENTS,
    CONSIDERATION,
    CONTRACT,
    SERIES,
    SETTLEMENTS,
    intervals_of,
    number_in,
    of_other_length,
    slot_named,
    start_of,
    sum_of,
    wh_in,
    whole_micro,
)
from wattmesh_beckn.codec.v2.writing import (
    ACTIONS,
    ACTIVE,
    ALLOCATIONS,
    BUYER,
    CANCELLED,
    COMPLETE,
    DRAFT,
    FINAL,
    PAYMENT_ACTION,
    PRICE,
    REQUESTED,
    SELLER,
    SELLER_DISCOM,
    delivery_id,
)
from wattmesh_beckn.context import Addressed
from wattmesh_beckn.errors import ErrorCode, declined, invalid
from wattmesh_beckn.receiver import Received
from wattmesh_market.energy.slots import SLOT_S
from wattmesh_market.parties.terms import Known
from wattmesh_market.trade.contracts import DELIVERED, ContractState
from wattmesh_market.trade.messages import (
    Action,
    Agreed,
    AskStatus,
    Cancel,
    Cancelled,
    Confirm,
    Confirmed,
    Declined,
    DeliveryStatus,
    Init,
    Line,
    Message,
    Offers,
    Paid,
    Pay,
    PublishResult,
    Quote,
    Receipt,
    Select,
    Status,
    Terms,
    Wanted,
)
from wattmesh_market.units import kwh_text, share_micro

_OWN_STATES: Mapping[str | None, ContractState] = {state.value: state for state in ContractState}


class _Delivery(NamedTuple):
    """What a contract says of one slot."""

    slot: int
    item_id: str
    interval: Interval


def read(received: Received, currency: str, known: Lookup) -> Message:
    """What a call says; Refusal where its form is wrong. Offers in another currency are left out."""
    message, context = received.message, received.context
    action = ACTIONS[received.action]
    match message:
        case DiscoverMessage():
            return read_search(message)
        case CatalogsMessage():
            return Offers(tuple(all_offers(message, received.sender, currency)))
        case ErrorMessageV2(error=error):
            code, text = error.said
            asked = Action(action.removeprefix("on_"))
            return Declined(asked, reason_of(code), f"{code} {text}".strip() or "an error that says no more")
        case ResultsMessage(results=results):
            refused = [one for one in results if one.status == "REJECTED"]
            why = [" ".join(error.said).strip() for one in refused for error in one.errors]
            return PublishResult((why or ["refused without a reason"])[0] if refused else None)
        case ContractMessage(contract=contract):
            return _read_contract(action, context, contract, known)
        case _:
            raise TypeError(f"no message of a party: {type(message).__name__}")


def _read_contract(action: Action, context: Addressed, contract: ContractV2, known: Lookup) -> Message:
    """What a call says of a contract; Refusal where its form is wrong."""
    _require_roles(contract, context)
    match action:
        case Action.SELECT:
            wanted = tuple(Wanted(one.slot, one.item_id, _energy_wh(one)) for one in _deliveries(contract))
            if not wanted:
                raise invalid("what is wanted, and when, is missing", SERIES)
            return Select(_provider(contract, None, context), wanted)
        case Action.ON_SELECT:
            return Quote(_terms(contract, known(), context), _until_ms(contract, context))
        case Action.INIT:
            quoted = known()
            return Init(_terms(contract, quoted, context), quoted=quoted is not None)
        case Action.ON_INIT:
            return Agreed(contract.id, *_agreed(contract, known(), context), _until_ms(contract, context))
        case Action.CONFIRM:
            agreed = known()
            return Confirm(contract.id or (agreed and agreed.order_id), *_agreed(contract, agreed, context))
        case Action.ON_CONFIRM:
            agreed = known()
            return Confirmed(_named(contract, agreed), *_agreed(contract, agreed, context))
        case Action.STATUS:
            return AskStatus(_named(contract, known()))
        case Action.ON_STATUS:
            return _status(contract, known(), context)
        case Action.CANCEL:
            reason = contract.status.short_desc if contract.status else None
            return Cancel(_named(contract, known()), NO_REASON if reason is None else reason, _cancelled(contract))
        case Action.ON_CANCEL:
            agreed = known()
            if agreed is None and not [*contract.flows()]:
                return Cancelled(_cancelled_unpriced(contract, context))
            return Cancelled(_status(contract, agreed, context, otherwise=CANCELLED))
        case Action.UPDATE:
            paid = _paid(contract)
            return Pay(_named(contract, known()), *_payments(paid)) if paid else read_readings(contract)
        case Action.ON_UPDATE:
            paid = _paid(contract)
            return Receipt(_named(contract, known()), *_payments(paid)) if paid else read_priced(contract)
        case _:
            raise TypeError(f"{action} is about no contract")


def _require_roles(contract: ContractV2, context: Addressed) -> None:
    """Refuse a contract by which who buys sells, or the other way round: it would prove the contrary of what was done.

    Whom else it names is not for here: a platform may name those for whom it trades.
    """
    swapped = {(BUYER, context.bpp_id), (SELLER, context.bap_id)}
    for number, one in enumerate(contract.contract_attributes.roles):
        if one.participant_id is not None and (one.role, one.participant_id) in swapped:
            text = f"{one.participant_id!r} cannot be {one.role} of this contract, by whose context it is the other"
            raise declined(ErrorCode.BUSINESS_ERROR, text, f"{CONTRACT}.contractAttributes.roles.{number}")


# --- contracts ---


def _deliveries(contract: ContractV2, known: Known | None = None) -> list[_Delivery]:
    """The deliveries that a contract's commitments name, in order of their slots.

    One slot taken of an offer for several keeps the name by which it was selected.
    """
    found: list[_Delivery] = []
    selected = {(line.slot, line.item_id) for line in known.lines} if known is not None else set[tuple[int, str]]()
    for commitment in contract.commitments:
        series = commitment.commitment_attributes
        if series is None:
            continue
        if of_other_length(series):
            raise invalid(f"intervals must last PT{SLOT_S // 60}M, a delivery slot", f"{SERIES}.intervalPeriod")
        start, alone = start_of(series), len(series.intervals) == 1
        for slot, interval in intervals_of(series):
            of_several = (slot, item_in(commitment.offer.id, start, slot, alone=False)) in selected
            item_id = item_in(commitment.offer.id, start, slot, alone=alone and not of_several)
            found.append(_Delivery(slot, item_id, interval))
    return sorted(found, key=lambda one: one.slot)


def _terms(
    contract: ContractV2, known: Known | None, context: Addressed, deliveries: Sequence[_Delivery] | None = None
) -> Terms:
    """The terms of a contract, whose `deliveries` may have been put together before."""
    flows = [*contract.flows()]
    deliveries = _deliveries(contract, known) if deliveries is None else deliveries
    if not deliveries and known is not None:
        lines = known.lines
    else:
        lines = tuple(_line(one, flows, len(deliveries) == 1) for one in deliveries)
    if not lines:
        raise invalid("what is delivered, and when, is missing", COMMITMENTS)
    provider = _provider(contract, known, context)
    quoted = known is not None and known.total_micro is not None
    if not flows and not quoted and deliveries and all(_price(one) is not None for one in deliveries):
        return Terms(provider, lines, sum(line.amount_micro for line in lines), _currency(contract, known))
    if not flows:
        if known is None or known.total_micro is None:
            raise invalid("the price of the contract is missing, and none was quoted", CONSIDERATION)
        prices = {line.slot: (line.amount_micro, line.fee_micro) for line in known.lines}
        lines = tuple(Line(*line[:3], *prices.get(line.slot, (0, None))) for line in lines)
        return Terms(provider, lines, known.total_micro, known.currency)
    currency = flows[0].currency
    if any(flow.currency != currency for flow in flows):
        raise declined(ErrorCode.QUOTE_UNAVAILABLE, f"the flows are not in {currency} throughout", CONSIDERATION)
    paid = any(flow.role == BUYER for flow in flows)
    total_micro = -sum_of(flows, role=BUYER) if paid else sum(line.amount_micro for line in lines)
    return Terms(provider, lines, total_micro, currency)


def _line(delivery: _Delivery, flows: Sequence[Flow], alone: bool) -> Line:
    """A delivery, at what its flows to others than the buyer come to; without any, at its price per kWh."""
    energy_wh = _energy_wh(delivery)
    names = {delivery_id(delivery.slot), *([None] if alone else [])}
    parts = [one for one in flows if one.role != BUYER and one.delivery_id in names]
    if parts:
        stated = any(one.role == SELLER_DISCOM for one in parts)
        fee_micro = sum_of(parts, role=SELLER_DISCOM) if stated else None
        return Line(delivery.slot, delivery.item_id, energy_wh, sum_of(parts), fee_micro)
    if alone and flows:
        return Line(delivery.slot, delivery.item_id, energy_wh, -sum_of(flows, role=BUYER), None)
    amount_micro = whole_micro((_price(delivery) or Decimal(0)) * energy_wh / 1000, SERIES)
    return Line(delivery.slot, delivery.item_id, energy_wh, amount_micro, None)


def _price(delivery: _Delivery) -> Decimal | None:
    """What a kWh of it costs, where the series says so."""
    return number_in(delivery.interval, PRICE)


def _currency(contract: ContractV2, known: Known | None) -> str:
    """The currency of prices by the kWh."""
    series = [one.commitment_attributes for one in contract.commitments if one.commitment_attributes is not None]
    found = next((said for one in series if (said := one.currency()) is not None), known.currency if known else None)
    if found is None:
        raise invalid(f"the currency of {PRICE} is missing", f"{SERIES}.payloadDescriptors")
    return found


def _agreed(contract: ContractV2, known: Known | None, context: Addressed) -> tuple[Terms, int]:
    """The terms, and what the settlements come to: the price, where they do not say."""
    terms = _terms(contract, known, context)
    due = [_due(one, terms.currency) for one in contract.settlements if not _is_payment(one)]
    stated = [one for one in due if one is not None]
    return terms, sum(stated) if stated and len(stated) == len(due) else terms.total_micro


def _status(contract: ContractV2, known: Known | None, context: Addressed, otherwise: str | None = None) -> Status:
    deliveries = _deliveries(contract, known)
    if not deliveries and known is None:
        raise declined(ErrorCode.ORDER_NOT_FOUND, f"no contract {contract.id!r} with you here", f"{CONTRACT}.id")
    terms = _terms(contract, known, context, deliveries)
    intervals = {one.slot: one.interval for one in deliveries}
    states = {slot_named(one.id): one.status for one in contract.performance}
    currency = terms.currency if known is None else known.currency
    due = {
        slot_named(one.id): _due(one, currency, ErrorCode.BUSINESS_ERROR)
        for one in contract.settlements
        if not _is_payment(one)
    }
    code = (contract.status.code if contract.status else None) or otherwise
    told: list[DeliveryStatus] = []
    for line in terms.lines:
        descriptor = states.get(line.slot)
        state = _state(descriptor.code if descriptor else None, code, contract.settlements)
        if state is None:
            continue
        if state not in DELIVERED:
            told.append(DeliveryStatus(line.slot, state, None, None))
            continue
        interval = intervals.get(line.slot)
        allocated_wh = None if interval is None else _allocated_wh(interval)
        delivered_wh = line.energy_wh if allocated_wh is None else allocated_wh
        stated = due.get(line.slot)
        share = share_micro(line.amount_micro, delivered_wh, line.energy_wh) if line.energy_wh else 0
        told.append(DeliveryStatus(line.slot, state, delivered_wh, share if stated is None else stated))
    if not told:
        raise declined(ErrorCode.BUSINESS_ERROR, "how the contract stands is missing", f"{CONTRACT}.status")
    reason = contract.status.short_desc if contract.status else None
    return Status(_named(contract, known), terms, tuple(told), reason)


def _allocated_wh(interval: Interval) -> int | None:
    """What of a delivery is final: as it says, else the least that a utility allocates; None where nothing is said.

    Refusal where more is final than a utility has allocated, which is nobody's to pay for.
    """
    stated = {name: found for name in ALLOCATIONS if (found := wh_in(interval, name)) is not None}
    if not stated:
        return None
    final_wh = stated.get(FINAL)
    for name, allocated_wh in stated.items():
        if final_wh is not None and allocated_wh < final_wh:
            text = f"{FINAL} of {kwh_text(final_wh)} kWh is more than {name} of {kwh_text(allocated_wh)} kWh"
            raise declined(ErrorCode.BUSINESS_ERROR, text, f"{SERIES}.intervals")
    return min(stated.values()) if final_wh is None else final_wh


def _cancelled_unpriced(contract: ContractV2, context: Addressed) -> Status:
    """What is cancelled of a contract of which no more is known than what the message says, which is no price."""
    named = [slot_named(one.id) for one in contract.performance]
    lines = [Line(one.slot, one.item_id, wh_in(one.interval, REQUESTED) or 0, 0, None) for one in _deliveries(contract)]
    slots = sorted({*(line.slot for line in lines), *(slot for slot in named if slot is not None)})
    told = tuple(DeliveryStatus(slot, ContractState.CANCELLED, None, None) for slot in slots)
    reason = contract.status.short_desc if contract.status else None
    terms = Terms(_provider(contract, None, context), tuple(lines), 0, "")
    return Status(_named(contract, None), terms, told, reason)


def _cancelled(contract: ContractV2) -> tuple[int, ...] | None:
    """The slots whose deliveries are cancelled; None: all of them."""
    found = [slot_named(one.id) for one in contract.performance]
    slots = tuple(slot for slot in found if slot is not None)
    if len(slots) != len(found):
        raise invalid("must name the deliveries that are cancelled, as slot-<unix seconds>", f"{CONTRACT}.performance")
    return slots or None


def _state(own: str | None, code: str | None, settlements: Iterable[Settlement]) -> ContractState | None:
    """How a delivery stands: as its performance says, else as its contract does."""
    if own in _OWN_STATES:
        return _OWN_STATES[own]
    if code is None or code == DRAFT:
        return None
    if code == ACTIVE:
        return ContractState.CONFIRMED
    if code == COMPLETE:
        due = list(settlements)
        paid = bool(due) and all(one.status == COMPLETE for one in due)
        return ContractState.SETTLED if paid else ContractState.DELIVERED
    if code == CANCELLED:
        return ContractState.CANCELLED
    text = f"a contract with status {code!r} is not understood here"
    raise declined(ErrorCode.BUSINESS_ERROR, text, f"{CONTRACT}.status.code")


def _named(contract: ContractV2, known: Known | None) -> str:
    name = contract.id or (known and known.order_id)
    if not name:
        raise invalid("the contract's id is missing", f"{CONTRACT}.id")
    return name


def _provider(contract: ContractV2, known: Known | None, context: Addressed) -> str:
    named = next((one.offer.provider.id for one in contract.commitments if one.offer.provider), None)
    return named or (known.provider if known else context.bpp_id or "")


def _until_ms(contract: ContractV2, context: Addressed) -> int:
    return unix_ms(contract.contract_attributes.quote_valid_until or context.timestamp + QUOTE_TTL)


# --- payments ---


def _is_payment(settlement: Settlement) -> bool:
    attributes = settlement.settlement_attributes
    return attributes is not None and attributes.type == PAYMENT_ACTION


def _paid(contract: ContractV2) -> list[Settlement]:
    return [one for one in contract.settlements if _is_payment(one)]


def _payments(settlements: Sequence[Settlement]) -> tuple[int | None, int, str, tuple[Paid, ...]]:
    """Slot, amount and currency of the first payment, and the others. Another id than wattmesh's names no slot."""
    amounts = [one.settlement_attributes.amount if one.settlement_attributes else None for one in settlements]
    currency, parts = None, []
    for settlement, amount in zip(settlements, amounts, strict=True):
        if amount is None:
            raise invalid("a payment must say its amount and currency", SETTLEMENTS)
        if currency not in (None, amount.currency):
            raise invalid(f"the payments are not in {currency} throughout", SETTLEMENTS)
        currency = amount.currency
        parts.append(Paid(slot_named(settlement.id), whole_micro(amount.value, SETTLEMENTS)))
    return *parts[0], currency or "", tuple(parts[1:])


def _due(settlement: Settlement, currency: str, code: ErrorCode = ErrorCode.QUOTE_UNAVAILABLE) -> int | None:
    """What is due (millionths), where it is said. In another currency than the price it is declined with `code`."""
    attributes = settlement.settlement_attributes
    amount = attributes.amount if attributes else None
    if amount is None:
        return None
    if amount.currency != currency:
        raise declined(code, f"what is due is in {amount.currency} and the price in {currency}", SETTLEMENTS)
    return whole_micro(amount.value, SETTLEMENTS)


def _energy_wh(delivery: _Delivery) -> int:
    """How much is ordered."""
    found = wh_in(delivery.interval, REQUESTED)
    if found is None:
        raise invalid(f"{REQUESTED} of the delivery is missing", f"{SERIES}.intervals")
    return found
