"""What was metered and what it was priced at, from v2's updates."""

from __future__ import annotations

from wattmesh_beckn.codec.v2.messages import ContractV2, Flow, Interval, TimeSeries
from wattmesh_beckn.codec.v2.parts import (
    CONSIDERATION,
    CONTRACT,
    SERIES,
    intervals_of,
    of_other_length,
    sum_of,
    wh_in,
    whs_in,
)
from wattmesh_beckn.codec.v2.writing import (
    BASES,
    BILL,
    BILLED_EXPORTED,
    BILLED_IMPORTED,
    BUYER,
    CORRECTION,
    EXPORTED,
    GRID_FEE,
    HELD,
    IMPORTED,
    LOCAL_GRID_FEE,
    OWN_GRID_FEE,
    PROVISIONAL,
    SELLER_DISCOM,
    SHARED,
    SHARED_ENERGY,
    SOLD,
    delivery_id,
)
from wattmesh_beckn.errors import ErrorCode, declined, invalid
from wattmesh_market.trade.messages import (
    Basis,
    Bills,
    Correction,
    HeldReading,
    PricedReading,
    Readings,
    ReportReading,
    SharedPart,
)
from wattmesh_market.units import money_text


def _told_series(contract: ContractV2) -> list[TimeSeries | None]:
    """The series of what was metered, of which there is one at least; None where it is missing."""
    return [one.commitment_attributes for one in contract.commitments if one.commitment_attributes] or [None]


def _metered(contract: ContractV2, series: TimeSeries | None) -> tuple[Interval, ReportReading, str | None]:
    customer = next((one.participant_attributes for one in contract.participants if one.participant_attributes), None)
    if series is None or len(series.intervals) != 1 or of_other_length(series):
        raise invalid("a reading is one slot's: a series of one interval", SERIES)
    if customer is None or customer.utility_customer_id is None:
        path = f"{CONTRACT}.participants"
        raise invalid("a reading needs the household's participantAttributes.utilityCustomerId", path)
    ((slot, interval),) = intervals_of(series)
    imported_wh, exported_wh, sold_wh = (wh_in(interval, name) or 0 for name in (IMPORTED, EXPORTED, SOLD))
    if wh_in(interval, IMPORTED) is None and wh_in(interval, EXPORTED) is None:
        raise invalid(f"a reading needs {IMPORTED} or {EXPORTED}", f"{SERIES}.intervals.0.payloads")
    status, provisional = series.reading_status, series.reading_status == PROVISIONAL
    name = customer.utility_customer_id
    return interval, ReportReading(name, slot, imported_wh, exported_wh, sold_wh, provisional), status


def read_readings(contract: ContractV2) -> ReportReading | Readings:
    """What a household says was metered."""
    told = [_metered(contract, one)[1] for one in _told_series(contract)]
    if len({one.slot for one in told}) < len(told):
        raise invalid("the readings must be of different slots", SERIES)
    return told[0] if len(told) == 1 else Readings(tuple(told))


def read_priced(contract: ContractV2) -> PricedReading | Bills | HeldReading:
    """What a utility has priced, or holds."""
    series = _told_series(contract)
    readings = [_metered(contract, one) for one in series]
    if len(series) == 1:
        [(interval, reading, status)] = readings
        if status == HELD:
            return HeldReading(reading)
        return _bill(contract, interval, reading, status, None)
    names = {delivery_id(reading.slot) for _, reading, _ in readings}
    if len(names) < len(series):
        raise invalid("the bills must be of different slots", SERIES)
    if any(flow.delivery_id not in names for flow in contract.flows()):
        raise invalid(f"each flow of several bills must name its deliveryId, as {min(names)!r}", CONSIDERATION)
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
        raise declined(ErrorCode.BUSINESS_ERROR, text, CONSIDERATION)
    currency = bill[0].currency
    if any(flow.currency != currency for flow in contract.flows()):
        raise declined(ErrorCode.BUSINESS_ERROR, f"the flows are not in {currency} throughout", CONSIDERATION)
    amount_micro = -sum_of(bill, role=BUYER)
    parts_micro = sum_of(bill) + amount_micro
    if parts_micro != amount_micro:
        text = f"the flows sum to {money_text(parts_micro)} but the bill is {money_text(amount_micro)}"
        raise declined(ErrorCode.BUSINESS_ERROR, text, CONSIDERATION)
    fee_micro = sum_of(bill, description=GRID_FEE)
    own_fee, back = flows(OWN_GRID_FEE), flows(CORRECTION)
    shared_wh, shared = wh_in(interval, SHARED), None
    if shared_wh is not None:
        local_micro = sum_of(bill, description=LOCAL_GRID_FEE)
        shared = SharedPart(shared_wh, sum_of(bill, description=SHARED_ENERGY) + local_micro, local_micro)
    imported_wh, exported_wh = (whs_in(interval, name) for name in (BILLED_IMPORTED, BILLED_EXPORTED))
    if not len(imported_wh) == len(exported_wh) == len(back):
        text = f"{BILLED_IMPORTED} and {BILLED_EXPORTED} need a value for each flow of {CORRECTION}"
        raise invalid(text, f"{SERIES}.intervals.0.payloads")
    corrections = tuple(
        Correction(imported, exported, sum_of([flow], role=BUYER))
        for imported, exported, flow in zip(imported_wh, exported_wh, back, strict=True)
    )
    return PricedReading(
        reading.order_id,
        reading,
        amount_micro,
        fee_micro,
        sum_of(own_fee, role=SELLER_DISCOM) if own_fee else None,
        currency,
        shared,
        corrections,
        next((basis for basis, name in BASES.items() if name == status), Basis.METER),
    )
