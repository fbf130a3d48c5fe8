"""From the messages of Beckn v2.0.0 LTS to the market's.

The models have checked each field. Here commitments, flows, settlements and performance are put together to deliveries.
What a message leaves out stands as it was said before; what does not fit is refused.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import timedelta
from decimal import ROUND_HALF_UP, Decimal
from typing import NamedTuple

from wattmesh_beckn.codec.defaults import NO_REASON, QUOTE_TTL, unix_ms
from wattmesh_beckn.codec.port import Lookup
from wattmesh_beckn.codec.refusals import reason_of
from wattmesh_beckn.codec.v2.messages import (
    CatalogsMessage,
    CatalogV2,
    ContractMessage,
    ContractV2,
    DiscoverMessage,
    ErrorMessageV2,
    Flow,
    Interval,
    OfferV2,
    ResultsMessage,
    Settlement,
    TimeSeries,
    decimal,
)
from wattmesh_beckn.codec.v2.writing import (
    ACTIONS,
    ACTIVE,
    ALLOCATIONS,
    AVAILABLE,
    BASES,
    BILL,
    BILLED_EXPORTED,
    BILLED_IMPORTED,
    BUYER,
    CANCELLED,
    COMPLETE,
    CORRECTION,
    DRAFT,
    EXPORTED,
    FINAL,
    GRID_FEE,
    HELD,
    IMPORTED,
    LOCAL_GRID_FEE,
    OWN_GRID_FEE,
    PAYMENT_ACTION,
    PRICE,
    PROVISIONAL,
    REQUESTED,
    SELLER,
    SELLER_DISCOM,
    SHARED,
    SHARED_ENERGY,
    SOLD,
    delivery_id,
    filter_for,
    sought,
)
from wattmesh_beckn.context import Addressed
from wattmesh_beckn.errors import ErrorCode, Refusal, declined, invalid
from wattmesh_beckn.receiver import Received
from wattmesh_beckn.registry import Subscription
from wattmesh_market.energy.slots import SLOT_S
from wattmesh_market.parties.terms import Known
from wattmesh_market.trade.contracts import DELIVERED, ContractState
from wattmesh_market.trade.messages import (
    Action,
    Agreed,
    AskStatus,
    Basis,
    Bills,
    Cancel,
    Cancelled,
    Confirm,
    Confirmed,
    Correction,
    Declined,
    DeliveryStatus,
    HeldReading,
    Init,
    Line,
    Message,
    Offers,
    Paid,
    Pay,
    PricedReading,
    PublishResult,
    Quote,
    Readings,
    Receipt,
    ReportReading,
    Search,
    Select,
    SharedPart,
    Status,
    Terms,
    Wanted,
)
from wattmesh_market.trade.offers import Offer
from wattmesh_market.units import MAX_ENERGY_WH, MAX_MONEY_MICRO, kwh_text, money_text, share_micro

_CONTRACT, _COMMITMENTS = "message.contract", "message.contract.commitments"
_CONSIDERATION, _SETTLEMENTS = f"{_CONTRACT}.consideration", f"{_CONTRACT}.settlements"
_CATALOGS = "message.catalogs"
_SERIES = f"{_COMMITMENTS}.0.commitmentAttributes"
_OWN_OFFER = re.compile(r"energy-(\d{1,12})", re.ASCII)
_SLOT_ID = re.compile(r"(?:payment-)?slot-(\d{1,12})", re.ASCII)
_UNITS: Mapping[str, Decimal] = {"WH": Decimal("0.001"), "MWH": Decimal(1000)}
"""How many kWh a unit is."""
_OWN_STATES: Mapping[str | None, ContractState] = {state.value: state for state in ContractState}


class _Delivery(NamedTuple):
    """What a contract says of one slot."""

    slot: int
    item_id: str
    interval: Interval


def item_in(offer_id: str, series_start: int, slot: int, *, alone: bool) -> str:
    """The item of an offer in a slot: wattmesh's own name theirs, others' are told apart where there are several."""
    own = _OWN_OFFER.fullmatch(offer_id)
    if own is not None and int(own[1]) == series_start:
        return f"energy-{slot}"
    return offer_id if alone else f"{offer_id}@{slot}"


def read(received: Received, currency: str, known: Lookup) -> Message:
    """What a call says; Refusal where its form is wrong. Offers in another currency are left out."""
    message, context = received.message, received.context
    action = ACTIONS[received.action]
    match message:
        case DiscoverMessage():
            return _search(message)
        case CatalogsMessage():
            return Offers(tuple(_all_offers(message, received.sender, currency)))
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
                raise invalid("what is wanted, and when, is missing", _SERIES)
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
            return Pay(_named(contract, known()), *_payments(paid)) if paid else _readings(contract)
        case Action.ON_UPDATE:
            paid = _paid(contract)
            return Receipt(_named(contract, known()), *_payments(paid)) if paid else _priced(contract)
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
            raise declined(ErrorCode.BUSINESS_ERROR, text, f"{_CONTRACT}.contractAttributes.roles.{number}")


# --- discovery ---


def _search(message: DiscoverMessage) -> Search:
    message.require_filters_alone()
    expression = message.intent.filters.expression if message.intent.filters else ""
    wanted = sought(expression)
    if wanted is None:
        text = f"a seller is asked for one slot: {filter_for(0)}; the discovery service takes any filter"
        raise declined(ErrorCode.ITEM_NOT_FOUND, text, "message.intent.filters.expression")
    return Search(wanted[0], None, wanted[1])


def _all_offers(catalogs: CatalogsMessage, sender: Subscription, currency: str) -> Iterator[tuple[int, Offer]]:
    """The offers of catalogs. What the discovery service tells of one seller does not spoil what it tells of others."""
    for catalog in catalogs.catalogs:
        seller = catalog.bpp_id or sender.subscriber_id
        for offer in catalog.offers if catalog.is_active else ():
            try:
                yield from [*_offers(catalog, offer, seller, currency)]
            except Refusal:
                if sender.type != "BG":
                    raise


def _offers(catalog: CatalogV2, offer: OfferV2, seller: str, currency: str) -> Iterator[tuple[int, Offer]]:
    provider = None if catalog.provider.id == seller else catalog.provider.id
    attributes = offer.offer_attributes
    series = attributes.commitment_attributes if attributes else None
    if attributes is None or series is None or series.currency() not in (None, currency) or _of_other_length(series):
        return
    alone = len(series.intervals) == 1
    fees = [flow for one in offer.considerations for flow in one.flows if flow.description == LOCAL_GRID_FEE]
    if any(fee.currency != currency for fee in fees):
        return
    start = _start(series)
    for slot, interval in _intervals(series, _CATALOGS):
        price, available = _number(interval, PRICE, path=_CATALOGS), _number(interval, AVAILABLE, path=_CATALOGS)
        if price is None:
            continue
        available_wh = MAX_ENERGY_WH if available is None else _wh(available, _CATALOGS)
        fee_micro = _sum(one for one in fees if one.delivery_id in (delivery_id(slot), *([None] if alone else [])))
        item_id = item_in(offer.id, start, slot, alone=alone)
        price_micro, selects = _micro(price, _CATALOGS), not attributes.select_optional
        yield slot, Offer(seller, item_id, price_micro, available_wh, provider, fee_micro, selects)


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
        if _of_other_length(series):
            raise invalid(f"intervals must last PT{SLOT_S // 60}M, a delivery slot", f"{_SERIES}.intervalPeriod")
        start, alone = _start(series), len(series.intervals) == 1
        for slot, interval in _intervals(series):
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
        raise invalid("what is delivered, and when, is missing", _COMMITMENTS)
    provider = _provider(contract, known, context)
    quoted = known is not None and known.total_micro is not None
    if not flows and not quoted and deliveries and all(_price(one) is not None for one in deliveries):
        return Terms(provider, lines, sum(line.amount_micro for line in lines), _currency(contract, known))
    if not flows:
        if known is None or known.total_micro is None:
            raise invalid("the price of the contract is missing, and none was quoted", _CONSIDERATION)
        prices = {line.slot: (line.amount_micro, line.fee_micro) for line in known.lines}
        lines = tuple(Line(*line[:3], *prices.get(line.slot, (0, None))) for line in lines)
        return Terms(provider, lines, known.total_micro, known.currency)
    currency = flows[0].currency
    if any(flow.currency != currency for flow in flows):
        raise declined(ErrorCode.QUOTE_UNAVAILABLE, f"the flows are not in {currency} throughout", _CONSIDERATION)
    paid = any(flow.role == BUYER for flow in flows)
    total_micro = -_sum(flows, role=BUYER) if paid else sum(line.amount_micro for line in lines)
    return Terms(provider, lines, total_micro, currency)


def _line(delivery: _Delivery, flows: Sequence[Flow], alone: bool) -> Line:
    """A delivery, at what its flows to others than the buyer come to; without any, at its price per kWh."""
    energy_wh = _energy_wh(delivery)
    names = {delivery_id(delivery.slot), *([None] if alone else [])}
    parts = [one for one in flows if one.role != BUYER and one.delivery_id in names]
    if parts:
        stated = any(one.role == SELLER_DISCOM for one in parts)
        fee_micro = _sum(parts, role=SELLER_DISCOM) if stated else None
        return Line(delivery.slot, delivery.item_id, energy_wh, _sum(parts), fee_micro)
    if alone and flows:
        return Line(delivery.slot, delivery.item_id, energy_wh, -_sum(flows, role=BUYER), None)
    amount_micro = _micro((_price(delivery) or Decimal(0)) * energy_wh / 1000, _SERIES)
    return Line(delivery.slot, delivery.item_id, energy_wh, amount_micro, None)


def _price(delivery: _Delivery) -> Decimal | None:
    """What a kWh of it costs, where the series says so."""
    return _number(delivery.interval, PRICE)


def _currency(contract: ContractV2, known: Known | None) -> str:
    """The currency of prices by the kWh."""
    series = [one.commitment_attributes for one in contract.commitments if one.commitment_attributes is not None]
    found = next((said for one in series if (said := one.currency()) is not None), known.currency if known else None)
    if found is None:
        raise invalid(f"the currency of {PRICE} is missing", f"{_SERIES}.payloadDescriptors")
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
        raise declined(ErrorCode.ORDER_NOT_FOUND, f"no contract {contract.id!r} with you here", f"{_CONTRACT}.id")
    terms = _terms(contract, known, context, deliveries)
    intervals = {one.slot: one.interval for one in deliveries}
    states = {_slot_named(one.id): one.status for one in contract.performance}
    currency = terms.currency if known is None else known.currency
    due = {
        _slot_named(one.id): _due(one, currency, ErrorCode.BUSINESS_ERROR)
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
        raise declined(ErrorCode.BUSINESS_ERROR, "how the contract stands is missing", f"{_CONTRACT}.status")
    reason = contract.status.short_desc if contract.status else None
    return Status(_named(contract, known), terms, tuple(told), reason)


def _allocated_wh(interval: Interval) -> int | None:
    """What of a delivery is final: as it says, else the least that a utility allocates; None where nothing is said.

    Refusal where more is final than a utility has allocated, which is nobody's to pay for.
    """
    stated = {name: found for name in ALLOCATIONS if (found := _wh_in(interval, name)) is not None}
    if not stated:
        return None
    final_wh = stated.get(FINAL)
    for name, allocated_wh in stated.items():
        if final_wh is not None and allocated_wh < final_wh:
            text = f"{FINAL} of {kwh_text(final_wh)} kWh is more than {name} of {kwh_text(allocated_wh)} kWh"
            raise declined(ErrorCode.BUSINESS_ERROR, text, f"{_SERIES}.intervals")
    return min(stated.values()) if final_wh is None else final_wh


def _cancelled_unpriced(contract: ContractV2, context: Addressed) -> Status:
    """What is cancelled of a contract of which no more is known than what the message says, which is no price."""
    named = [_slot_named(one.id) for one in contract.performance]
    lines = [
        Line(one.slot, one.item_id, _wh_in(one.interval, REQUESTED) or 0, 0, None) for one in _deliveries(contract)
    ]
    slots = sorted({*(line.slot for line in lines), *(slot for slot in named if slot is not None)})
    told = tuple(DeliveryStatus(slot, ContractState.CANCELLED, None, None) for slot in slots)
    reason = contract.status.short_desc if contract.status else None
    terms = Terms(_provider(contract, None, context), tuple(lines), 0, "")
    return Status(_named(contract, None), terms, told, reason)


def _cancelled(contract: ContractV2) -> tuple[int, ...] | None:
    """The slots whose deliveries are cancelled; None: all of them."""
    found = [_slot_named(one.id) for one in contract.performance]
    slots = tuple(slot for slot in found if slot is not None)
    if len(slots) != len(found):
        raise invalid("must name the deliveries that are cancelled, as slot-<unix seconds>", f"{_CONTRACT}.performance")
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
    raise declined(ErrorCode.BUSINESS_ERROR, text, f"{_CONTRACT}.status.code")


def _named(contract: ContractV2, known: Known | None) -> str:
    name = contract.id or (known and known.order_id)
    if not name:
        raise invalid("the contract's id is missing", f"{_CONTRACT}.id")
    return name


def _provider(contract: ContractV2, known: Known | None, context: Addressed) -> str:
    named = next((one.offer.provider.id for one in contract.commitments if one.offer.provider), None)
    return named or (known.provider if known else context.bpp_id or "")


def _until_ms(contract: ContractV2, context: Addressed) -> int:
    return unix_ms(contract.contract_attributes.quote_valid_until or context.timestamp + QUOTE_TTL)


# --- payments and readings ---


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
            raise invalid("a payment must say its amount and currency", _SETTLEMENTS)
        if currency not in (None, amount.currency):
            raise invalid(f"the payments are not in {currency} throughout", _SETTLEMENTS)
        named, currency = _SLOT_ID.fullmatch(settlement.id or ""), amount.currency
        parts.append(Paid(int(named[1]) if named else None, _micro(amount.value, _SETTLEMENTS)))
    return *parts[0], currency or "", tuple(parts[1:])


def _due(settlement: Settlement, currency: str, code: ErrorCode = ErrorCode.QUOTE_UNAVAILABLE) -> int | None:
    """What is due (millionths), where it is said. In another currency than the price it is declined with `code`."""
    attributes = settlement.settlement_attributes
    amount = attributes.amount if attributes else None
    if amount is None:
        return None
    if amount.currency != currency:
        raise declined(code, f"what is due is in {amount.currency} and the price in {currency}", _SETTLEMENTS)
    return _micro(amount.value, _SETTLEMENTS)


def _told_series(contract: ContractV2) -> list[TimeSeries | None]:
    """The series of what was metered, of which there is one at least; None where it is missing."""
    return [one.commitment_attributes for one in contract.commitments if one.commitment_attributes] or [None]


def _metered(contract: ContractV2, series: TimeSeries | None) -> tuple[Interval, ReportReading, str | None]:
    customer = next((one.participant_attributes for one in contract.participants if one.participant_attributes), None)
    if series is None or len(series.intervals) != 1 or _of_other_length(series):
        raise invalid("a reading is one slot's: a series of one interval", _SERIES)
    if customer is None or customer.utility_customer_id is None:
        path = f"{_CONTRACT}.participants"
        raise invalid("a reading needs the household's participantAttributes.utilityCustomerId", path)
    ((slot, interval),) = _intervals(series)
    imported_wh, exported_wh, sold_wh = (_wh_in(interval, name) or 0 for name in (IMPORTED, EXPORTED, SOLD))
    if _wh_in(interval, IMPORTED) is None and _wh_in(interval, EXPORTED) is None:
        raise invalid(f"a reading needs {IMPORTED} or {EXPORTED}", f"{_SERIES}.intervals.0.payloads")
    status, provisional = series.reading_status, series.reading_status == PROVISIONAL
    name = customer.utility_customer_id
    return interval, ReportReading(name, slot, imported_wh, exported_wh, sold_wh, provisional), status


def _readings(contract: ContractV2) -> ReportReading | Readings:
    told = [_metered(contract, one)[1] for one in _told_series(contract)]
    if len({one.slot for one in told}) < len(told):
        raise invalid("the readings must be of different slots", _SERIES)
    return told[0] if len(told) == 1 else Readings(tuple(told))


def _priced(contract: ContractV2) -> PricedReading | Bills | HeldReading:
    series = _told_series(contract)
    readings = [_metered(contract, one) for one in series]
    if len(series) == 1:
        [(interval, reading, status)] = readings
        if status == HELD:
            return HeldReading(reading)
        return _bill(contract, interval, reading, status, None)
    names = {delivery_id(reading.slot) for _, reading, _ in readings}
    if len(names) < len(series):
        raise invalid("the bills must be of different slots", _SERIES)
    if any(flow.delivery_id not in names for flow in contract.flows()):
        raise invalid(f"each flow of several bills must name its deliveryId, as {min(names)!r}", _CONSIDERATION)
    return Bills(tuple(_bill(contract, *one, delivery_id(one[1].slot)) for one in readings))


def _bill(
    contract: ContractV2, interval: Interval, reading: ReportReading, status: str | None, named: str | None
) -> PricedReading:
    """What a reading was priced at: by the flows `named` so, or by all."""

    def flows(consideration: str) -> list[Flow]:
        return [flow for flow in contract.flows(consideration) if named in (None, flow.delivery_id)]

    bill = flows(BILL)
    if not bill:
        text = "neither a receipt nor a priced reading of this household's supply"
        raise declined(ErrorCode.BUSINESS_ERROR, text, _CONSIDERATION)
    currency = bill[0].currency
    if any(flow.currency != currency for flow in contract.flows()):
        raise declined(ErrorCode.BUSINESS_ERROR, f"the flows are not in {currency} throughout", _CONSIDERATION)
    amount_micro = -_sum(bill, role=BUYER)
    parts_micro = _sum(bill) + amount_micro
    if parts_micro != amount_micro:
        text = f"the flows sum to {money_text(parts_micro)} but the bill is {money_text(amount_micro)}"
        raise declined(ErrorCode.BUSINESS_ERROR, text, _CONSIDERATION)
    fee_micro = _sum(bill, description=GRID_FEE)
    own_fee, back = flows(OWN_GRID_FEE), flows(CORRECTION)
    shared_wh, shared = _wh_in(interval, SHARED), None
    if shared_wh is not None:
        local_micro = _sum(bill, description=LOCAL_GRID_FEE)
        shared = SharedPart(shared_wh, _sum(bill, description=SHARED_ENERGY) + local_micro, local_micro)
    imported_wh, exported_wh = (_whs_in(interval, name) for name in (BILLED_IMPORTED, BILLED_EXPORTED))
    if not len(imported_wh) == len(exported_wh) == len(back):
        text = f"{BILLED_IMPORTED} and {BILLED_EXPORTED} need a value for each flow of {CORRECTION}"
        raise invalid(text, f"{_SERIES}.intervals.0.payloads")
    corrections = tuple(
        Correction(imported, exported, _sum([flow], role=BUYER))
        for imported, exported, flow in zip(imported_wh, exported_wh, back, strict=True)
    )
    return PricedReading(
        reading.order_id,
        reading,
        amount_micro,
        fee_micro,
        _sum(own_fee, role=SELLER_DISCOM) if own_fee else None,
        currency,
        shared,
        corrections,
        next((basis for basis, name in BASES.items() if name == status), Basis.METER),
    )


def _sum(flows: Iterable[Flow], *, role: str | None = None, description: str | None = None) -> int:
    """What flows come to (millionths): all, those to one role, or those of one description."""
    return sum(
        _micro(flow.value, _CONSIDERATION)
        for flow in flows
        if role in (None, flow.role) and description in (None, flow.description)
    )


# --- parts ---


def _start(series: TimeSeries) -> int:
    return int(series.interval_period.start.timestamp())


def _of_other_length(series: TimeSeries) -> bool:
    periods = [series.interval_period, *(one.interval_period for one in series.intervals if one.interval_period)]
    return any(one.duration not in (None, timedelta(seconds=SLOT_S)) for one in periods)


def _intervals(series: TimeSeries, path: str = _SERIES) -> Iterator[tuple[int, Interval]]:
    """The intervals, each with its slot, and energies in kWh.

    Refusal where one begins beside a slot, two are of the same, or energy is in a unit that is not known.
    """
    start, slots, factors = _start(series), set[int](), _factors(series, path)
    for interval in series.intervals:
        own = interval.interval_period
        slot = start + interval.id * SLOT_S if own is None else int(own.start.timestamp())
        if slot % SLOT_S or slot in slots:
            text = "each interval must be another delivery slot, of which one begins every quarter of an hour"
            raise invalid(text, f"{path}.intervals")
        slots.add(slot)
        yield slot, _in_kwh(interval, factors, path) if factors else interval


def _factors(series: TimeSeries, path: str) -> dict[str, Decimal]:
    """By what the energies of each type are to be multiplied that are not in kWh."""
    found = {}
    for one in series.payload_descriptors:
        if one.payload_type == PRICE or one.units is None or one.units.upper() == "KWH":
            continue
        factor = _UNITS.get(one.units.upper())
        if factor is None:
            text = f"{one.payload_type} in {one.units!r:.50}: energy is read in KWH, WH and MWH"
            raise invalid(text, f"{path}.payloadDescriptors")
        found[one.payload_type] = factor
    return found


def _in_kwh(interval: Interval, factors: Mapping[str, Decimal], path: str) -> Interval:
    payloads = []
    for one in interval.payloads:
        values = one.values
        if (factor := factors.get(one.type)) is not None and values:
            try:
                values = tuple([str(decimal(value) * factor) for value in values])
            except ValueError as error:
                raise invalid(f"{one.type} {error}", f"{path}.intervals") from None
        payloads.append(one.model_copy(update={"values": values}))
    return interval.model_copy(update={"payloads": tuple(payloads)})


def _slot_named(name: str | None) -> int | None:
    said = _SLOT_ID.fullmatch(name or "")
    return None if said is None else int(said[1])


def _energy_wh(delivery: _Delivery) -> int:
    """How much is ordered."""
    found = _wh_in(delivery.interval, REQUESTED)
    if found is None:
        raise invalid(f"{REQUESTED} of the delivery is missing", f"{_SERIES}.intervals")
    return found


def _wh_in(interval: Interval, name: str) -> int | None:
    value = _number(interval, name)
    return None if value is None else _wh(value, _SERIES)


def _whs_in(interval: Interval, name: str) -> list[int]:
    try:
        return [_wh(value, _SERIES) for value in interval.numbers(name)]
    except ValueError as error:
        raise invalid(f"{name} {error}", f"{_SERIES}.intervals") from None


def _number(interval: Interval, *names: str, path: str = _SERIES) -> Decimal | None:
    try:
        return interval.number(*names)
    except ValueError as error:
        raise invalid(f"{' or '.join(names)} {error}", f"{path}.intervals") from None


def _wh(kwh: Decimal, path: str) -> int:
    """kWh in whole Wh, half rounded up."""
    energy_wh = _whole(kwh * 1000, path)
    if not 0 <= energy_wh <= MAX_ENERGY_WH:
        raise invalid(f"energy must be from 0 to {MAX_ENERGY_WH // 1000} kWh, not {kwh}", path)
    return energy_wh


def _micro(value: Decimal, path: str) -> int:
    """Money in whole millionths, half rounded up."""
    micro = _whole(value * 1_000_000, path)
    if abs(micro) > MAX_MONEY_MICRO:
        raise invalid(f"an amount must be at most {money_text(MAX_MONEY_MICRO)}, not {value}", path)
    return micro


def _whole(value: Decimal, path: str) -> int:
    if not value.is_finite() or value.adjusted() > 20:
        raise invalid("a number is beyond all bounds", path)
    return int(value.quantize(Decimal(1), ROUND_HALF_UP))
