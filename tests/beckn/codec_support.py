"""Messages for tests of a codec: any of each kind, and how one gets to the other side."""

from __future__ import annotations

import json
from typing import Any

from hypothesis import strategies as st

from tests.beckn.support import BUYER, MESSAGE, NOW, SELLER, TRANSACTION, Json, entry
from tests.world.parties import FEEDER
from tests.world.subscribers import DOMAIN
from wattmesh_beckn.codec.port import Codec, Envelope
from wattmesh_beckn.codec.v1.codec import CodecV1
from wattmesh_beckn.receiver import Received, parse, read_any
from wattmesh_market.energy.slots import SLOT_S
from wattmesh_market.trade.contracts import DELIVERED, ContractState
from wattmesh_market.trade.messages import (
    MOST_CORRECTIONS,
    Agreed,
    AskStatus,
    Basis,
    Bills,
    Cancel,
    Cancelled,
    Confirm,
    Confirmed,
    Correction,
    DeliveryStatus,
    HeldReading,
    Init,
    Line,
    Offers,
    Paid,
    Pay,
    PricedReading,
    Quote,
    Readings,
    Receipt,
    ReportReading,
    Search,
    Select,
    Sent,
    SharedPart,
    Status,
    Terms,
    Wanted,
)
from wattmesh_market.trade.offers import Offer

CODEC: Codec = CodecV1("EUR", utc_offset_s=7200)
NOW_MS = int(NOW * 1000) + 123
SLOT = 1_780_001_100
"""2026-05-28T20:45:00Z"""
NEXT = SLOT + 900
BUYER_ID, SELLER_ID = BUYER.subscriber_id, SELLER.subscriber_id


def envelope(message: Sent) -> Envelope:
    """From the buyer to the seller, or back, at NOW_MS."""
    return Envelope(
        domain=DOMAIN,
        feeder=FEEDER,
        bap=(BUYER_ID, f"http://{BUYER_ID}/beckn"),
        bpp=None if isinstance(message, Search) else (SELLER_ID, f"http://{SELLER_ID}/beckn"),
        transaction_id=TRANSACTION,
        message_id=MESSAGE,
        now_ms=NOW_MS,
        ttl_s=12.5,
        terms_until_ms=NOW_MS + 28_400,
    )


def encoded(message: Sent) -> Json:
    """What a message is on the wire."""
    found: Json = json.loads(CODEC.encode(message, envelope(message)))
    return found


def received(raw: Any) -> Received:
    """A call that has come, from whoever must have signed it."""
    body = raw if isinstance(raw, bytes) else json.dumps(raw).encode()
    action = parse(body)["context"]["action"]
    call = read_any(action, parse(body))
    sender = entry(SELLER, "BPP") if call.context.is_callback else entry(BUYER, "BAP")
    return Received(action, call.context, call.message, sender, body, "", 0)


def terms_of(*slots: int) -> Terms:
    """1.250 kWh in each slot for 0.234375 EUR, 0.029999 of it a grid fee."""
    lines = tuple(Line(slot, f"energy-{slot}", 1250, 234_375, 29_999) for slot in slots)
    return Terms(SELLER_ID, lines, sum(line.amount_micro for line in lines), "EUR")


def status_of(*deliveries: DeliveryStatus, reason: str | None = None) -> Status:
    """How an order over `terms_of` the deliveries' slots stands."""
    return Status("order-1", terms_of(*[one.slot for one in deliveries]), deliveries, reason)


ids = st.from_regex(r"[!-~]{1,100}", fullmatch=True)
slot_numbers = st.integers(0, 10_000_000).map(lambda number: number * 900)
slot_lists = st.lists(slot_numbers, min_size=1, max_size=4, unique=True).map(sorted)
energies = st.integers(0, 10**9)
positive = st.integers(1, 10**9)
amounts = st.integers(0, 10**14)
currencies = st.from_regex(r"[A-Z]{3}", fullmatch=True)
others_paid = st.lists(st.builds(Paid, slot_numbers, amounts), max_size=3).map(tuple)
moments = st.integers(NOW_MS + 1, NOW_MS + 86_400_000)
reasons = st.none() | st.text(max_size=200)
metered = st.tuples(energies, energies, energies)


@st.composite
def offers(draw: st.DrawFn) -> Offers:
    one = st.builds(Offer, st.just(SELLER_ID), ids, amounts, energies, st.none(), st.just(0), st.just(True))
    return Offers(tuple(draw(st.lists(st.tuples(slot_numbers, one), max_size=4))))


@st.composite
def selections(draw: st.DrawFn) -> Select:
    slots = draw(slot_lists)
    items = draw(st.lists(ids, min_size=len(slots), max_size=len(slots), unique=True))
    return Select(SELLER_ID, tuple(Wanted(slot, item, draw(positive)) for slot, item in zip(slots, items, strict=True)))


@st.composite
def terms(draw: st.DrawFn) -> Terms:
    wanted = draw(selections()).wanted
    lines = []
    for slot, item_id, energy_wh in wanted:
        amount_micro = draw(amounts)
        lines.append(Line(slot, item_id, energy_wh, amount_micro, draw(st.integers(0, amount_micro))))
    total_micro = draw(st.just(sum(line.amount_micro for line in lines)) | amounts)
    if len(lines) == 1 and draw(st.booleans()):
        lines = [lines[0]._replace(fee_micro=None, amount_micro=total_micro)]  # without a breakup
    return Terms(SELLER_ID, tuple(lines), total_micro, draw(currencies))


@st.composite
def terms_and_due(draw: st.DrawFn) -> tuple[Terms, int]:
    quoted = draw(terms())
    parts_micro = sum(line.amount_micro for line in quoted.lines)
    return quoted, draw(amounts) if len(quoted.lines) == 1 else parts_micro


@st.composite
def statuses(draw: st.DrawFn) -> Status:
    quoted, deliveries = draw(terms()), []
    for line in quoted.lines:
        state = draw(st.sampled_from(ContractState))
        booked = (draw(energies), draw(amounts)) if state in DELIVERED else (None, None)
        deliveries.append(DeliveryStatus(line.slot, state, *booked))
    return Status(draw(ids), quoted, tuple(deliveries), draw(reasons))


@st.composite
def priced_readings(draw: st.DrawFn) -> PricedReading:
    order_id, amount_micro = draw(ids), draw(amounts)
    reading = ReportReading(order_id, draw(slot_numbers), *draw(metered))._replace(provisional=draw(st.booleans()))
    fee_micro, local_fee_micro = draw(st.integers(0, amount_micro)), draw(st.none() | amounts)
    shared_micro = draw(st.integers(0, amount_micro - fee_micro))
    shared = draw(st.none() | st.builds(SharedPart, energies, st.just(shared_micro), st.integers(0, shared_micro)))
    one = st.builds(Correction, energies, energies, amounts | amounts.map(lambda owed: -owed))
    corrections = tuple(draw(st.lists(one, max_size=MOST_CORRECTIONS)))
    currency = draw(currencies)
    by = Basis.METER if reading.provisional else draw(st.sampled_from(Basis))
    return PricedReading(order_id, reading, amount_micro, fee_micro, local_fee_micro, currency, shared, corrections, by)


@st.composite
def readings(draw: st.DrawFn) -> Readings:
    order_id, slots = draw(ids), draw(st.lists(slot_numbers, min_size=2, max_size=4, unique=True))
    return Readings(tuple(ReportReading(order_id, slot, *draw(metered), draw(st.booleans())) for slot in slots))


@st.composite
def bills(draw: st.DrawFn) -> Bills:
    slots = draw(st.lists(slot_numbers, min_size=2, max_size=4, unique=True))
    first = draw(priced_readings())
    found = []
    for slot in slots:
        one = draw(priced_readings())
        reading = one.reading._replace(order_id=first.order_id, slot=slot)
        found.append(one._replace(order_id=first.order_id, reading=reading, currency=first.currency))
    return Bills(tuple(found))


ANY: dict[type[Sent], st.SearchStrategy[Sent]] = {
    Search: st.builds(
        lambda slot, wh, ahead: Search(slot, wh, ahead and slot + ahead * SLOT_S),
        slot_numbers,
        positive,
        st.none() | st.integers(1, 96),
    ),
    Offers: offers(),
    Select: selections(),
    Quote: st.builds(Quote, terms(), moments),
    Init: st.builds(Init, terms(), st.just(True)),
    Agreed: st.builds(lambda name, due, moment: Agreed(name, due[0], due[1], moment), ids, terms_and_due(), moments),
    Confirm: st.builds(lambda name, due: Confirm(name, *due), ids, terms_and_due()),
    Confirmed: st.builds(lambda name, due: Confirmed(name, *due), ids, terms_and_due()),
    AskStatus: st.builds(AskStatus, ids),
    Status: statuses(),
    Cancel: st.builds(Cancel, ids, ids, st.none() | slot_lists.map(tuple)),
    Cancelled: st.builds(Cancelled, statuses()),
    Pay: st.builds(Pay, ids, st.none() | slot_numbers, amounts, currencies, others_paid),
    Receipt: st.builds(Receipt, ids, st.none() | slot_numbers, amounts, currencies, others_paid),
    ReportReading: st.builds(
        lambda name, slot, wh, in_doubt: ReportReading(name, slot, *wh)._replace(provisional=in_doubt),
        ids,
        slot_numbers,
        metered,
        st.booleans(),
    ),
    Readings: readings(),
    PricedReading: priced_readings(),
    Bills: bills(),
    HeldReading: st.builds(
        lambda name, slot, wh: HeldReading(ReportReading(name, slot, *wh)), ids, slot_numbers, metered
    ),
}
"""Any message of each kind, with 1 to 4 deliveries."""
