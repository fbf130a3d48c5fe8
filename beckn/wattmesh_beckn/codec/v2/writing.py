"""From the market's messages to the JSON of Beckn v2.0.0 LTS.

A contract's deliveries are the intervals of its commitments' time series: one commitment for each offer taken. Its
consideration is a RevenueFlow, whose flows name a delivery where there are several; what is due for each, and what was
paid, stand in its settlements, and how each stands in its performance. Where LTS has no field, the attributes that it
leaves open hold it: until when a quote holds, and what a reading is.

A call that only names a contract repeats nothing of it; LTS wants a commitment of it all the same.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any, Final, NamedTuple, assert_never

import pydantic_core

from wattmesh_beckn.codec.port import Envelope
from wattmesh_beckn.codec.v2.messages import DISCOVER, ON_DISCOVER, ON_PUBLISH, PUBLISH, VERSION
from wattmesh_beckn.context import iso_duration
from wattmesh_common.clock import rfc3339
from wattmesh_market.energy.slots import SLOT_S, slot_text
from wattmesh_market.trade.contracts import ContractState, least_advanced
from wattmesh_market.trade.messages import (
    ACTION_OF,
    Action,
    Agreed,
    AskStatus,
    Basis,
    Bills,
    Cancel,
    Cancelled,
    Confirm,
    Confirmed,
    DeliveryStatus,
    HeldReading,
    Init,
    Line,
    Offers,
    Pay,
    PricedReading,
    Publish,
    Quote,
    Readings,
    Receipt,
    ReportReading,
    Search,
    Select,
    Sent,
    Status,
    Terms,
)
from wattmesh_market.trade.offers import Offer

Json = dict[str, Any]

NAMES: Final[Mapping[Action, str]] = {
    **{action: action.value for action in Action},
    Action.SEARCH: DISCOVER,
    Action.ON_SEARCH: ON_DISCOVER,
    Action.PUBLISH: PUBLISH,
    Action.ON_PUBLISH: ON_PUBLISH,
}
"""What an action is called in v2."""
ACTIONS: Final[Mapping[str, Action]] = {name: action for action, name in NAMES.items()}
DRAFT, ACTIVE, CLOSED, COMPLETE, CANCELLED = "DRAFT", "ACTIVE", "CLOSED", "COMPLETE", "CANCELLED"
COMMITTED: Final = "COMMITTED"
PRICE, AVAILABLE, REQUESTED = "PRICE_PER_KWH", "AVAILABLE_QTY", "REQUESTED_QTY"
FINAL = "FINAL_ALLOC"
ALLOCATIONS: Final = (FINAL, "SELLER_DISCOM_ALLOC", "BUYER_DISCOM_ALLOC")
IMPORTED, EXPORTED, SOLD, SHARED = "IMPORTED_QTY", "EXPORTED_QTY", "SOLD_QTY", "SHARED_QTY"
BILLED_IMPORTED, BILLED_EXPORTED = "BILLED_IMPORTED_QTY", "BILLED_EXPORTED_QTY"
BUYER, SELLER, SELLER_DISCOM = "buyerPlatform", "sellerPlatform", "sellerDiscom"
ENERGY, GRID_FEE = "energy", "grid fee"
SHARED_ENERGY, LOCAL_GRID_FEE = "shared energy", "local grid fee"
BILL, OWN_GRID_FEE, CORRECTION = "bill", "grid-fee", "correction"
"""Considerations of a priced reading: its price, the grid fee on what the household has sold, what is paid back."""
PROVISIONAL, HELD = "provisional", "held"
BASES: Mapping[Basis, str] = {Basis.ESTIMATE: "estimated", Basis.CORRECTION: "corrected"}
"""What a reading is, if not the last word as the meter has it."""
PAYMENT_ACTION: Final = "PaymentAction"
_STATUS: Mapping[ContractState, tuple[str, str, str]] = {
    ContractState.QUOTED: (DRAFT, DRAFT, DRAFT),
    ContractState.AGREED: (DRAFT, DRAFT, DRAFT),
    ContractState.CONFIRMED: (ACTIVE, ACTIVE, COMMITTED),
    ContractState.DELIVERED: (COMPLETE, CLOSED, COMMITTED),
    ContractState.SETTLED: (COMPLETE, CLOSED, COMPLETE),
    ContractState.EXPIRED: (CANCELLED, CLOSED, DRAFT),
    ContractState.CANCELLED: (CANCELLED, CLOSED, DRAFT),
}
"""Of a contract, its commitments, and its settlements."""
_STARTS: Final = "@.offerAttributes.commitmentAttributes.intervalPeriod.start"
_TIME = re.compile(r"'(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.000Z)'", re.ASCII)
_SLOT: Final = f"PT{SLOT_S // 60}M"
"""The length of a delivery slot, as networks write it."""
_SCHEMAS: Mapping[str, str] = {
    "EnergyResource": "v2.0",
    "EnergyTradeOffer": "v2.0",
    "DEGContract": "v2.0",
    "BecknTimeSeries": "v1.0",
    "EnergyCustomer": "v2.0",
    "RevenueFlow": "v2.0",
    "SettlementTerm": "v2.0",
    PAYMENT_ACTION: "v2.0",
}


class Market(NamedTuple):
    """What all messages of a market share: currency, local time for names, network, host of the JSON-LD contexts."""

    currency: str
    utc_offset_s: int
    network: str
    schema_host: str


def write(message: Sent, envelope: Envelope, market: Market) -> bytes:
    """The bytes of a message."""
    body = _Writer(envelope, market).body(message)
    return pydantic_core.to_json({"context": _context(message, envelope, market), "message": body})


def delivery_id(slot: int) -> str:
    """The name of the delivery in a slot among a contract's flows, settlements and performance."""
    return f"slot-{slot}"


def filter_for(slot: int, until: int | None = None) -> str:
    """The JSONPath by which offers of a slot are found, or of all slots from it on that begin before `until`."""
    if until is None:
        return f"$[*].offers[?{_STARTS} == '{rfc3339(slot)}']"
    return f"$[*].offers[?{_STARTS} >= '{rfc3339(slot)}' && {_STARTS} < '{rfc3339(until)}']"


def sought(expression: str) -> tuple[int, int | None] | None:
    """What wattmesh's own filter seeks: a slot, and until when later ones; None of any other filter."""
    named = [int(datetime.fromisoformat(one).timestamp()) for one in _TIME.findall(expression)[:2]]
    if not named or any(one % SLOT_S for one in named):
        return None
    slot, until = named[0], named[1] if len(named) > 1 else None
    return (slot, until) if expression == filter_for(slot, until) else None


def _context(message: Sent, envelope: Envelope, market: Market) -> Json:
    context: Json = {"networkId": market.network, "version": VERSION, "action": NAMES[ACTION_OF[type(message)]]}
    if not isinstance(message, Publish):
        context["bapId"], context["bapUri"] = envelope.bap
    if envelope.bpp is not None:
        context["bppId"], context["bppUri"] = envelope.bpp
    answers = envelope.request_digest
    return {
        **context,
        **({} if answers is None else {"requestDigest": {"digest": f"BLAKE-512={answers}"}}),
        "transactionId": envelope.transaction_id,
        "messageId": envelope.message_id,
        "timestamp": rfc3339(envelope.now_ms / 1000),
        "ttl": iso_duration(timedelta(seconds=envelope.ttl_s)),
        "schemaContext": [_schema(market, name) for name in _SCHEMAS],
    }


def _schema(market: Market, name: str) -> str:
    return f"https://{market.schema_host}/{name}/{_SCHEMAS[name]}/context.jsonld"


class _Writer:
    """Writes one message."""

    def __init__(self, envelope: Envelope, market: Market) -> None:
        self._envelope = envelope
        self._market = market

    def body(self, message: Sent) -> Json:
        match message:
            case Search(slot, _, until):
                return {"intent": {"filters": {"type": "jsonpath", "expression": filter_for(slot, until)}}}
            case Offers(offers):
                return {"catalogs": self._catalogs(offers)}
            case Publish(offers):
                return {"catalogs": [self._published(offers)], "results": "REJECTED"}
            case Select(provider, wanted):
                lines = [Line(one.slot, one.item_id, one.energy_wh, 0, None) for one in wanted]
                return self._contract(None, DRAFT, commitments=self._commitments(lines, provider, DRAFT, {}))
            case Quote(terms, expires_ms):
                return self._agreed(None, terms, expires_ms)
            case Init(terms, _):
                return self._agreed(None, terms, self._envelope.terms_until_ms)
            case Agreed(order_id, terms, due_micro, expires_ms):
                return self._agreed(order_id, terms, expires_ms, due_micro)
            case Confirm(order_id, terms, due_micro):
                return self._agreed(order_id, terms, self._envelope.terms_until_ms, due_micro)
            case Confirmed(order_id, terms, due_micro):
                until_ms = self._envelope.terms_until_ms
                return self._agreed(order_id, terms, until_ms, due_micro, ContractState.CONFIRMED)
            case AskStatus(order_id):
                return self._contract(order_id, ACTIVE, commitments=[_nothing_new(order_id, ACTIVE)])
            case Status():
                return self._status(message)
            case Cancelled(status):
                return self._status(status)
            case Cancel(order_id, reason, slots):
                over = [{"id": delivery_id(slot), "status": {"code": CANCELLED}} for slot in slots or ()]
                said = {"code": CANCELLED, "shortDesc": reason}
                named = {} if slots is None else {"performance": over}
                return self._contract(order_id, said, commitments=[_nothing_new(order_id, CLOSED)], **named)
            case Pay(order_id) | Receipt(order_id):
                paid = [self._payment(*part, message.currency) for part in message.parts]
                return self._contract(
                    order_id, COMPLETE, commitments=[_nothing_new(order_id, CLOSED)], settlements=paid
                )
            case ReportReading():
                return self._readings([message])
            case Readings(told):
                return self._readings(told)
            case HeldReading(reading):
                return self._reading(reading, HELD)
            case PricedReading():
                return self._priced(message)
            case Bills(priced):
                return self._bills(priced)
            case _:
                assert_never(message)

    # --- catalogs ---

    def _catalogs(self, offers: Iterable[tuple[int, Offer]]) -> list[Json]:
        by_provider: dict[tuple[str, str], dict[str, dict[int, Offer]]] = {}
        for slot, offer in offers:
            named = by_provider.setdefault((offer.seller, offer.provider or offer.seller), {})
            taken = named.setdefault(_group(offer.item_id, slot), {})
            if slot in taken:  # another offer of the same name: a series has one value for each interval
                taken = named.setdefault(f"{offer.item_id}#{len(named)}", {})
            taken[slot] = offer
        return [self._catalog(*names, offered) for names, offered in by_provider.items()]

    def _published(self, offers: Sequence[tuple[int, Offer]]) -> Json:
        """A seller's catalog: an offer for each slot, by which it is found, until that begins; withdrawn where there is
        none.
        """
        seller = self._seller
        catalog = self._catalog(seller, seller, {offer.item_id: {slot: offer} for slot, offer in offers})
        for (slot, _), written in zip(offers, catalog["offers"], strict=True):
            written["validity"] = {"endDate": rfc3339(slot)}
        return catalog if offers else {**catalog, "isActive": False}

    @property
    def _seller(self) -> str:
        if self._envelope.bpp is None:
            raise TypeError("it is a seller that publishes")
        return self._envelope.bpp[0]

    def _catalog(self, seller: str, provider: str, offered: Mapping[str, Mapping[int, Offer]]) -> Json:
        name = {"name": provider.partition(".")[0]}
        here = self._envelope.bpp
        found: Json = {"id": f"catalog-{provider}", "descriptor": name, "bppId": seller}
        if here is not None and here[0] == seller:
            found["bppUri"] = here[1]
        found["provider"] = {"id": provider, "descriptor": name}
        resources, offers = list[Json](), list[Json]()
        for slots in offered.values():
            first, one = min(slots.items())
            offer_id = _offer_id(one.item_id, first, first)
            text = {"name": f"{ENERGY} {slot_text(first, self._market.utc_offset_s)}"}
            resources.append({"id": offer_id, "descriptor": text, "resourceAttributes": self._resource(provider)})
            values = {
                slot: {PRICE: [_money(offer.price_micro_per_kwh)], AVAILABLE: [_kwh(offer.available_wh)]}
                for slot, offer in slots.items()
            }
            series = self._series(values, {PRICE: SELLER, AVAILABLE: SELLER})
            fees = [
                _flow(SELLER_DISCOM, offer.local_fee_micro_per_kwh, self._market.currency, LOCAL_GRID_FEE)
                | ({} if len(slots) == 1 else {"deliveryId": delivery_id(slot)})
                for slot, offer in slots.items()
                if offer.local_fee_micro_per_kwh
            ]
            optional = {} if one.selects else {"selectOptional": True}
            offers.append(
                {
                    "id": offer_id,
                    "resourceIds": [offer_id],
                    **({"considerations": [self._flows(OWN_GRID_FEE, fees)]} if fees else {}),
                    "offerAttributes": self._attributes("EnergyTradeOffer", commitmentAttributes=series, **optional),
                }
            )
        return {**found, "resources": resources, "offers": offers}

    # --- contracts ---

    def _contract(self, order_id: str | None, status: str | Json, **parts: Any) -> Json:
        named = {} if order_id is None else {"id": order_id}
        code = {"code": status} if isinstance(status, str) else status
        return {"contract": {**named, "status": code, **parts}}

    def _agreed(
        self,
        order_id: str | None,
        terms: Terms,
        until_ms: int | None,
        due_micro: int | None = None,
        state: ContractState = ContractState.AGREED,
    ) -> Json:
        status, commitment, settlement = _STATUS[state]
        parts = self._parts(terms, commitment, {}, until_ms)
        if due_micro is not None:
            one = len(terms.lines) == 1
            parts["settlements"] = [
                self._due(line.slot, due_micro if one else line.amount_micro, terms.currency, settlement)
                for line in terms.lines
            ]
        return self._contract(order_id, status, **parts)

    def _status(self, message: Status) -> Json:
        terms, deliveries = message.terms, message.deliveries
        code, commitment, _ = _STATUS[least_advanced([told.state for told in deliveries])]
        status: Json = {"code": code}
        if message.reason is not None:
            status["shortDesc"] = message.reason
        allocated = {told.slot: told.delivered_wh for told in deliveries if told.delivered_wh is not None}
        parts = self._parts(terms, commitment, allocated, self._envelope.terms_until_ms)
        parts["performance"] = [
            {"id": delivery_id(told.slot), "status": {"code": told.state.value}} for told in deliveries
        ]
        parts["settlements"] = [
            part
            for line, told in zip(terms.lines, deliveries, strict=True)
            for part in self._settled(line, told, terms.currency)
        ]
        return self._contract(message.order_id, status, **parts)

    def _parts(self, terms: Terms, status: str, allocated: Mapping[int, int], until_ms: int | None) -> Json:
        until = {} if until_ms is None else {"quoteValidUntil": rfc3339(until_ms / 1000)}
        roles = [{"role": BUYER, "participantId": self._envelope.bap[0]}]
        if self._envelope.bpp is not None:
            roles.append({"role": SELLER, "participantId": self._envelope.bpp[0]})
        return {
            "commitments": self._commitments(terms.lines, terms.provider, status, allocated),
            "consideration": [self._consideration(terms)],
            "participants": [{"id": one["participantId"]} for one in roles],
            "contractAttributes": self._attributes("DEGContract", roles=roles, **until),
        }

    def _commitments(
        self, lines: Sequence[Line], provider: str, status: str, allocated: Mapping[int, int]
    ) -> list[Json]:
        groups: dict[str, list[Line]] = {}
        for line in lines:
            groups.setdefault(_group(line.item_id, line.slot), []).append(line)
        return [self._commitment(group, provider, status, allocated) for group in groups.values()]

    def _commitment(self, lines: Sequence[Line], provider: str, status: str, allocated: Mapping[int, int]) -> Json:
        offer_id = _offer_id(lines[0].item_id, lines[0].slot, min(line.slot for line in lines))
        energy_wh = sum([line.energy_wh for line in lines])
        values: dict[int, dict[str, Sequence[float]]] = {}
        inserted = {REQUESTED: BUYER}
        for line in lines:
            values[line.slot] = {REQUESTED: [_kwh(line.energy_wh)]}
            if (final_wh := allocated.get(line.slot)) is not None:
                values[line.slot] |= {name: [_kwh(final_wh)] for name in ALLOCATIONS}
                inserted |= dict(zip(ALLOCATIONS, (SELLER_DISCOM, SELLER_DISCOM, "buyerDiscom"), strict=True))
        return {
            "id": offer_id,
            "status": {"descriptor": {"code": status}},
            "resources": [
                {
                    "id": offer_id,
                    "quantity": {"@type": "Quantity", "unitCode": "KWH", "unitQuantity": _kwh(energy_wh)},
                    "resourceAttributes": self._resource(provider),
                }
            ],
            "offer": {
                "id": offer_id,
                "resourceIds": [offer_id],
                "provider": {"id": provider, "descriptor": {"name": provider.partition(".")[0]}},
            },
            "commitmentAttributes": self._series(values, inserted),
        }

    def _consideration(self, terms: Terms) -> Json:
        one = len(terms.lines) == 1
        flows = [_flow(BUYER, -terms.total_micro, terms.currency)]
        for line in terms.lines:
            named = {} if one else {"deliveryId": delivery_id(line.slot)}
            fee_micro = line.fee_micro or 0
            flows.append(_flow(SELLER, line.amount_micro - fee_micro, terms.currency, ENERGY) | named)
            if line.fee_micro is not None:
                flows.append(_flow(SELLER_DISCOM, fee_micro, terms.currency, GRID_FEE) | named)
        return self._flows(ENERGY, flows)

    def _flows(self, name: str, flows: list[Json]) -> Json:
        attributes = self._attributes("RevenueFlow", revenueFlows=flows)
        return {"id": name, "status": {"code": "AGREED"}, "considerationAttributes": attributes}

    def _settled(self, line: Line, told: DeliveryStatus, currency: str) -> list[Json]:
        due_micro = line.amount_micro if told.due_micro is None else told.due_micro
        due = self._due(told.slot, due_micro, currency, _STATUS[told.state][2])
        paid = [self._payment(told.slot, due_micro, currency)] if told.state is ContractState.SETTLED else []
        return [due, *paid]

    def _due(self, slot: int, amount_micro: int, currency: str, status: str) -> Json:
        attributes = self._attributes(
            "SettlementTerm",
            paymentTrigger="ON_FULFILLMENT",
            settlementStatus=COMPLETE if status == COMPLETE else "PENDING",
            amount={"value": _money(amount_micro), "currency": currency},
        )
        return self._settlement(delivery_id(slot), status, attributes)

    def _payment(self, slot: int | None, amount_micro: int, currency: str) -> Json:
        attributes = self._attributes(
            PAYMENT_ACTION,
            amount={"value": _money(amount_micro), "currency": currency},
            paymentStatus="SETTLED",
            txnRef=self._envelope.transaction_id,
        )
        return self._settlement("payment" if slot is None else f"payment-{delivery_id(slot)}", COMPLETE, attributes)

    def _settlement(self, name: str, status: str, attributes: Json) -> Json:
        return {"id": name, "considerationId": ENERGY, "status": status, "settlementAttributes": attributes}

    # --- readings ---

    def _reading(
        self, reading: ReportReading, status: str | None, more: Mapping[str, Sequence[int]] | None = None
    ) -> Json:
        energies: dict[str, Sequence[int]] = {
            IMPORTED: [reading.imported_wh],
            EXPORTED: [reading.exported_wh],
            SOLD: [reading.sold_wh],
            **(more or {}),
        }
        values = {reading.slot: {name: [_kwh(one) for one in energies_wh] for name, energies_wh in energies.items()}}
        series = self._series(values, dict.fromkeys(energies, BUYER))
        if status is not None:
            series["readingStatus"] = status
        household = self._envelope.bap[0]
        meter = f"did:web:{household}:meter"
        customer = self._attributes("EnergyCustomer", meterId=meter, utilityCustomerId=reading.order_id)
        commitment = {**_nothing_new(meter, ACTIVE), "commitmentAttributes": series}
        participants = [{"id": household, "participantAttributes": customer}]
        return self._contract(None, ACTIVE, commitments=[commitment], participants=participants)

    def _readings(self, told: Sequence[ReportReading]) -> Json:
        """Readings: a series for each."""
        bodies = [self._reading(one, PROVISIONAL if one.provisional else None) for one in told]
        if len(bodies) > 1:
            bodies[0]["contract"]["commitments"] = [
                {**commitment, "id": delivery_id(one.slot)}
                for one, body in zip(told, bodies, strict=True)
                for commitment in body["contract"]["commitments"]
            ]
        return bodies[0]

    def _priced(self, message: PricedReading) -> Json:
        currency, shared, corrections = message.currency, message.shared, message.corrections
        energies: dict[str, Sequence[int]] = {}
        amount_micro, shared_micro = message.amount_micro, shared.amount_micro if shared else 0
        flows = [
            _flow(BUYER, -amount_micro, currency),
            _flow(SELLER, amount_micro - shared_micro - message.fee_micro, currency, ENERGY),
            _flow(SELLER_DISCOM, message.fee_micro, currency, GRID_FEE),
        ]
        if shared is not None:
            energies[SHARED] = [shared.energy_wh]
            flows.append(_flow(SELLER, shared.amount_micro - shared.fee_micro, currency, SHARED_ENERGY))
            flows.append(_flow(SELLER_DISCOM, shared.fee_micro, currency, LOCAL_GRID_FEE))
        considerations = [self._flows(BILL, flows)]
        if message.local_fee_micro is not None:
            fee = _flow(SELLER_DISCOM, message.local_fee_micro, currency, LOCAL_GRID_FEE)
            considerations.append(self._flows(OWN_GRID_FEE, [fee]))
        if corrections:
            energies[BILLED_IMPORTED] = [one.imported_wh for one in corrections]
            energies[BILLED_EXPORTED] = [one.exported_wh for one in corrections]
            back = [_flow(BUYER, one.back_micro, currency) for one in corrections]
            considerations.append(self._flows(CORRECTION, back))
        reading = message.reading
        status = BASES.get(message.by, PROVISIONAL if reading.provisional else None)
        body = self._reading(reading._replace(order_id=message.order_id), status, energies)
        body["contract"]["consideration"] = considerations
        return body

    def _bills(self, priced: Sequence[PricedReading]) -> Json:
        """Several priced readings: a series for each, and each flow names its delivery."""
        commitments, flows = list[Json](), dict[str, list[Json]]()
        for one in priced:
            named, contract = delivery_id(one.reading.slot), self._priced(one)["contract"]
            commitments += [{**commitment, "id": named} for commitment in contract["commitments"]]
            for each in contract["consideration"]:
                told = each["considerationAttributes"]["revenueFlows"]
                flows.setdefault(each["id"], []).extend([{**flow, "deliveryId": named} for flow in told])
        body = self._priced(priced[0])
        body["contract"]["commitments"] = commitments
        body["contract"]["consideration"] = [self._flows(*one) for one in flows.items()]
        return body

    # --- parts ---

    def _attributes(self, name: str, **values: Any) -> Json:
        return {"@context": _schema(self._market, name), "@type": name, **values}

    def _resource(self, provider: str) -> Json:
        return self._attributes("EnergyResource", id=f"did:web:{provider}:meter")

    def _series(self, values: Mapping[int, Mapping[str, Sequence[float]]], inserted: Mapping[str, str]) -> Json:
        """A time series: values by slot and type, and who inserts the values of a type."""
        first = min(values)
        return {
            "@context": _schema(self._market, "BecknTimeSeries"),
            "@type": "TimeSeries",
            "intervalPeriod": {"start": rfc3339(first), "duration": _SLOT},
            "payloadDescriptors": [
                {
                    "objectType": "EVENT_PAYLOAD_DESCRIPTOR",
                    "payloadType": name,
                    **({"currency": self._market.currency} if name == PRICE else {"units": "KWH"}),
                    "insertedBy": who,
                }
                for name, who in inserted.items()
            ],
            "intervals": [
                {
                    "id": (slot - first) // SLOT_S,
                    "payloads": [{"type": name, "values": [*found]} for name, found in told.items()],
                }
                for slot, told in sorted(values.items())
            ],
        }


def _nothing_new(name: str, status: str) -> Json:
    """A commitment of which a message says no more than that it is there."""
    return {
        "id": name,
        "status": {"descriptor": {"code": status}},
        "resources": [],
        "offer": {"id": name, "resourceIds": []},
    }


def _group(item_id: str, slot: int) -> str:
    """What items of one offer have in common; see `reading.item_in` for their names."""
    if item_id == f"energy-{slot}":
        return ENERGY
    base, at, _ = item_id.rpartition(f"@{slot}")
    return base if at and item_id.endswith(at) else f"{item_id}@{slot}"


def _offer_id(item_id: str, slot: int, first: int) -> str:
    """The id of the offer whose series begins at `first`, by the item of one of its slots; see `reading.item_in`."""
    return f"energy-{first}" if item_id == f"energy-{slot}" else item_id.removesuffix(f"@{slot}")


def _flow(role: str, value_micro: int, currency: str, description: str | None = None) -> Json:
    flow: Json = {"role": role, "value": _money(value_micro), "currency": currency}
    if description is not None:
        flow["description"] = description
    return flow


def _kwh(energy_wh: int) -> float:
    return energy_wh / 1000


def _money(value_micro: int) -> float:
    return value_micro / 1_000_000
