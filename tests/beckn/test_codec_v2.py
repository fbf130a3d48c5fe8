from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.beckn.codec_support import ANY, NEXT, NOW_MS, SELLER_ID, SLOT, envelope, received, status_of, terms_of
from tests.beckn.support import BUYER, GATEWAY, Json, entry
from wattmesh_beckn.codec.v2.catalogs import read_catalog, trimmed, trimmed_body
from wattmesh_beckn.codec.v2.codec import CodecV2
from wattmesh_beckn.codec.v2.writing import filter_for, sought
from wattmesh_beckn.codec.versions import codecs_of
from wattmesh_beckn.errors import ErrorCode, Refusal
from wattmesh_market.energy.slots import SLOT_S
from wattmesh_market.parties.terms import Known
from wattmesh_market.trade.contracts import ContractState
from wattmesh_market.trade.messages import (
    Action,
    Agreed,
    Cancel,
    Cancelled,
    Confirm,
    Declined,
    DeliveryStatus,
    Init,
    Offers,
    Publish,
    Quote,
    Readings,
    ReportReading,
    Search,
    Select,
    Sent,
    Status,
    Wanted,
)
from wattmesh_market.trade.offers import Offer
from wattmesh_market.trade.refusal import Reason

CODEC = CodecV2("EUR", "wattmesh.io/market.default", utc_offset_s=7200)
KNOWN = Known(SLOT, SELLER_ID, terms_of(SLOT).lines, 234_375, "EUR", "order-1")


def encoded(message: Sent) -> Json:
    found: Json = json.loads(CODEC.encode(message, envelope(message)))
    return found


def decoded(raw: Json, known: Known | None = None) -> Any:
    return CODEC.decode(received(raw), lambda: known)


@pytest.mark.parametrize("kind", ANY, ids=lambda kind: kind.__name__)
@settings(max_examples=50)
@given(data=st.data())
def test_what_is_written_is_read_as_the_same(kind: type[Sent], data: st.DataObject) -> None:
    message = data.draw(ANY[kind])
    found = decoded(encoded(message))
    if isinstance(message, Offers):
        assert sorted(found.offers) == sorted(message.offers)
    elif isinstance(message, Search):
        assert found == message._replace(energy_wh=None)  # a filter says when, not how much
    elif isinstance(message, Init):
        assert found == message._replace(quoted=False)  # nothing is known of a quote
        assert decoded(encoded(message), KNOWN).quoted
    else:
        assert found == message


def test_the_slots_of_an_order_are_intervals_of_one_commitment() -> None:
    (commitment,) = encoded(Quote(terms_of(SLOT, NEXT), NOW_MS + 30_000))["message"]["contract"]["commitments"]
    assert commitment["offer"]["id"] == f"energy-{SLOT}"
    assert commitment["resources"][0]["quantity"]["unitQuantity"] == 2.5
    series = commitment["commitmentAttributes"]
    assert series["intervalPeriod"] == {"start": "2026-05-28T20:45:00.000Z", "duration": "PT15M"}
    assert [(one["id"], one["payloads"]) for one in series["intervals"]] == [
        (number, [{"type": "REQUESTED_QTY", "values": [1.25]}]) for number in (0, 1)
    ]


def test_the_grid_fee_flows_to_the_sellers_utility() -> None:
    (consideration,) = encoded(Quote(terms_of(SLOT), NOW_MS + 30_000))["message"]["contract"]["consideration"]
    flows = consideration["considerationAttributes"]["revenueFlows"]
    assert [(flow["role"], flow["value"]) for flow in flows] == [
        ("buyerPlatform", -0.234375),
        ("sellerPlatform", 0.204376),
        ("sellerDiscom", 0.029999),
    ]


@pytest.mark.parametrize(
    ("state", "contract", "commitment", "settlement"),
    [
        (ContractState.AGREED, "DRAFT", "DRAFT", "DRAFT"),
        (ContractState.CONFIRMED, "ACTIVE", "ACTIVE", "COMMITTED"),
        (ContractState.DELIVERED, "COMPLETE", "CLOSED", "COMMITTED"),
        (ContractState.SETTLED, "COMPLETE", "CLOSED", "COMPLETE"),
        (ContractState.EXPIRED, "CANCELLED", "CLOSED", "DRAFT"),
        (ContractState.CANCELLED, "CANCELLED", "CLOSED", "DRAFT"),
    ],
)
def test_how_a_contract_stands_is_said_in_the_words_of_v2(
    state: ContractState, contract: str, commitment: str, settlement: str
) -> None:
    booked = (1250, 234_375) if contract == "COMPLETE" else (None, None)
    said = encoded(status_of(DeliveryStatus(SLOT, state, *booked)))["message"]["contract"]
    assert said["status"]["code"] == contract
    assert said["commitments"][0]["status"]["descriptor"]["code"] == commitment
    assert said["settlements"][0]["status"] == settlement
    del said["performance"]  # which says more than others do
    read = {ContractState.AGREED: None, ContractState.EXPIRED: ContractState.CANCELLED}.get(state, state)
    raw = {"context": encoded(status_of(DeliveryStatus(SLOT, state, *booked)))["context"]}
    raw["message"] = {"contract": said}
    if read is None:
        with pytest.raises(Refusal, match="how the contract stands is missing"):
            decoded(raw)
    else:
        assert decoded(raw).deliveries[0].state is read


def test_what_was_agreed_need_not_be_said_again() -> None:
    raw = encoded(Confirm("order-1", terms_of(SLOT), 234_375))
    raw["message"]["contract"] = {"commitments": [{"offer": {"id": f"energy-{SLOT}"}}]}
    assert decoded(raw, KNOWN) == Confirm("order-1", terms_of(SLOT), 234_375)
    with pytest.raises(Refusal, match="what is delivered, and when, is missing"):
        decoded(raw)


def test_the_allocation_says_what_was_delivered() -> None:
    raw = encoded(status_of(DeliveryStatus(SLOT, ContractState.DELIVERED, 1000, 187_500)))
    contract = raw["message"]["contract"]
    del contract["performance"], contract["settlements"]
    for interval in contract["commitments"][0]["commitmentAttributes"]["intervals"]:
        interval["payloads"] = [one for one in interval["payloads"] if one["type"] != "SELLER_DISCOM_ALLOC"]
    assert decoded(raw, KNOWN).deliveries == (DeliveryStatus(SLOT, ContractState.DELIVERED, 1000, 187_500),)


def allocated(**kwh: float) -> Json:
    """A delivery of a slot that was ordered, with these allocations."""
    raw = encoded(status_of(DeliveryStatus(SLOT, ContractState.DELIVERED, 1000, 187_500)))
    [commitment] = raw["message"]["contract"]["commitments"]
    payloads = commitment["commitmentAttributes"]["intervals"][0]["payloads"]
    payloads[:] = [one for one in payloads if not one["type"].endswith("_ALLOC")]
    payloads += [{"type": f"{name}_ALLOC", "values": [value]} for name, value in kwh.items()]
    return raw


def test_without_a_final_allocation_the_least_counts() -> None:
    [told] = decoded(allocated(SELLER_DISCOM=0.9, BUYER_DISCOM=0.7), KNOWN).deliveries
    assert told.delivered_wh == 700
    [told] = decoded(allocated(FINAL=0.6, SELLER_DISCOM=0.9, BUYER_DISCOM=0.7), KNOWN).deliveries
    assert told.delivered_wh == 600


@pytest.mark.parametrize("utility", ["SELLER_DISCOM", "BUYER_DISCOM"])
def test_no_more_is_final_than_a_utility_has_allocated(utility: str) -> None:
    text = rf"FINAL_ALLOC of 1\.000 kWh is more than {utility}_ALLOC of 0\.999 kWh"
    with pytest.raises(Refusal, match=text):
        decoded(allocated(FINAL=1.0, **{utility: 0.999}), KNOWN)


@pytest.mark.parametrize(("role", "whose"), [("buyerPlatform", "bppId"), ("sellerPlatform", "bapId")])
def test_who_buys_by_the_context_does_not_sell_by_the_contract_nor_the_other_way_round(role: str, whose: str) -> None:
    raw = encoded(Confirm("order-1", terms_of(SLOT), 234_375))
    attributes = raw["message"]["contract"]["contractAttributes"]
    attributes["roles"] = [{"role": role, "participantId": raw["context"][whose]}]
    with pytest.raises(Refusal, match=f"cannot be {role} of this contract"):
        decoded(raw, KNOWN)
    attributes["roles"] = [{"role": role, "participantId": "somebody.else"}, {"role": "sellerDiscom"}]
    assert decoded(raw, KNOWN) == Confirm("order-1", terms_of(SLOT), 234_375)


def test_offers_of_another_series_are_read_interval_by_interval() -> None:
    raw = encoded(Offers(((SLOT, Offer(SELLER_ID, "sun", 150_000, 500)),)))
    (offer,) = raw["message"]["catalogs"][0]["offers"]
    series = offer["offerAttributes"]["commitmentAttributes"]
    payloads = series["intervals"][0]["payloads"]
    series["intervals"] = [{"id": 0, "payloads": payloads}, {"id": 2, "payloads": payloads[:1]}]
    found = decoded(raw).offers
    assert [(slot, offer.item_id, offer.available_wh) for slot, offer in found] == [
        (SLOT, f"sun@{SLOT}", 500),
        (SLOT + 1800, f"sun@{SLOT + 1800}", 10**9),
    ]
    # Who takes one of them names the offer that it belongs to.
    wanted = Select(SELLER_ID, (Wanted(SLOT + 1800, f"sun@{SLOT + 1800}", 250),))
    assert encoded(wanted)["message"]["contract"]["commitments"][0]["offer"]["id"] == "sun"


def test_a_catalog_may_be_of_another_than_who_sends_it() -> None:
    raw = encoded(Offers(((SLOT, Offer("roof.default", f"energy-{SLOT}", 150_000, 500, "cellar.default")),)))
    assert decoded(raw) == Offers(((SLOT, Offer("roof.default", f"energy-{SLOT}", 150_000, 500, "cellar.default")),))
    raw["message"]["catalogs"][0]["isActive"] = False
    assert decoded(raw) == Offers(())


@pytest.mark.parametrize(
    "error", [{"errorCode": "40002", "errorMessage": "sold"}, {"code": "40002", "message": "sold"}]
)
def test_a_callback_may_hold_an_error(error: Json) -> None:
    raw = encoded(Agreed("order-1", terms_of(SLOT), 234_375, NOW_MS + 1000))
    assert decoded({"context": raw["context"], "error": error}) == Declined(
        Action.INIT, Reason.QUANTITY_UNAVAILABLE, "40002 sold"
    )


@pytest.mark.parametrize(
    ("change", "path"),
    [
        (lambda series: series["intervalPeriod"].update(duration="PT1H"), "intervalPeriod"),
        (lambda series: series["intervalPeriod"].update(start="2026-05-28T20:46:00Z"), "intervals"),
        (lambda series: series["intervals"].append(series["intervals"][0]), "intervals"),
        (lambda series: series["intervals"][0]["payloads"].clear(), "intervals"),
        (lambda series: series["intervals"][0]["payloads"][0].update(values=["much"]), "intervals"),
        (lambda series: series["intervals"][0]["payloads"][0].update(values=[1e300]), "commitmentAttributes"),
        (lambda series: series["intervals"][0]["payloads"][0].update(values=[-1]), "commitmentAttributes"),
    ],
)
def test_a_series_that_makes_no_deliveries_is_refused(change: Any, path: str) -> None:
    raw = encoded(Select(SELLER_ID, (Wanted(SLOT, f"energy-{SLOT}", 250),)))
    change(raw["message"]["contract"]["commitments"][0]["commitmentAttributes"])
    with pytest.raises(Refusal) as refused:
        decoded(raw)
    assert refused.value.code is ErrorCode.INVALID_REQUEST
    assert (refused.value.paths or "").endswith(path)


def test_a_status_that_nobody_knows_is_refused() -> None:
    raw = encoded(Cancelled(status_of(DeliveryStatus(SLOT, ContractState.CANCELLED, None, None))))
    del raw["message"]["contract"]["performance"]
    raw["message"]["contract"]["status"] = {"code": "LOST"}
    with pytest.raises(Refusal, match="'LOST' is not understood"):
        decoded(raw, KNOWN)
    raw["message"]["contract"]["status"] = {}
    assert isinstance(decoded(raw, KNOWN), Cancelled)


def test_single_deliveries_are_cancelled_by_their_names() -> None:
    raw = encoded(Cancel("order-1", "changed-mind", (SLOT,)))
    assert raw["message"]["contract"]["performance"][0]["id"] == f"slot-{SLOT}"
    raw["message"]["contract"]["performance"][0]["id"] = "the first"
    with pytest.raises(Refusal, match="must name the deliveries"):
        decoded(raw)


def test_a_wrong_field_is_named() -> None:
    raw = encoded(Status("order-1", terms_of(SLOT), (DeliveryStatus(SLOT, ContractState.CONFIRMED, None, None),), None))
    raw["message"]["contract"]["settlements"][0]["settlementAttributes"]["amount"]["currency"] = "euro"
    with pytest.raises(Refusal, match=r"message\.contract\.settlements\.0\.settlementAttributes\.amount\.currency"):
        decoded(raw)
    with pytest.raises(Refusal, match=r"context\.transactionId"):
        decoded({**raw, "context": {**raw["context"], "transactionId": "7"}})


def test_what_is_cancelled_is_understood_without_what_was_agreed() -> None:
    raw = encoded(Cancelled(status_of(DeliveryStatus(SLOT, ContractState.CANCELLED, None, None))))
    raw["message"]["contract"] = {"id": "order-1", "status": {"code": "CANCELLED", "shortDesc": "sold"}}
    found = decoded(raw)
    assert (found.status.order_id, found.status.deliveries, found.status.reason) == ("order-1", (), "sold")
    raw["message"]["contract"]["performance"] = [{"id": f"slot-{SLOT}"}]
    assert decoded(raw).status.deliveries == (DeliveryStatus(SLOT, ContractState.CANCELLED, None, None),)


@pytest.mark.parametrize(("unit", "value"), [("WH", 250), ("MWH", 0.00025), ("KWH", 0.25), ("kWh", 0.25)])
def test_energy_is_read_in_the_unit_that_its_descriptor_says(unit: str, value: float) -> None:
    wanted = Select(SELLER_ID, (Wanted(SLOT, f"energy-{SLOT}", 250),))
    raw = encoded(wanted)
    series = raw["message"]["contract"]["commitments"][0]["commitmentAttributes"]
    series["payloadDescriptors"][0]["units"] = unit
    series["intervals"][0]["payloads"][0]["values"] = [value]
    assert decoded(raw) == wanted


def test_energy_in_a_unit_that_nobody_knows_is_refused() -> None:
    raw = encoded(Select(SELLER_ID, (Wanted(SLOT, f"energy-{SLOT}", 250),)))
    raw["message"]["contract"]["commitments"][0]["commitmentAttributes"]["payloadDescriptors"][0]["units"] = "J"
    with pytest.raises(Refusal, match="REQUESTED_QTY in 'J': energy is read in KWH, WH and MWH"):
        decoded(raw)


HERE = Offer(SELLER_ID, f"energy-{SLOT}", 150_000, 500, local_fee_micro_per_kwh=20_000)
LATER = HERE._replace(item_id=f"energy-{NEXT}", local_fee_micro_per_kwh=0)


def found_at_the_gateway(raw: Json) -> Offers:
    """What a buyer reads that the gateway tells of catalogs."""
    context = {**raw["context"], "action": "on_discover", "bapId": BUYER.subscriber_id, "bapUri": "http://buyer"}
    call = received({**raw, "context": context})
    offers = CODEC.decode(replace(call, sender=entry(GATEWAY, "BG")))
    assert isinstance(offers, Offers)
    return offers


def test_a_seller_publishes_an_offer_for_each_slot_and_the_fee_of_neighbours_beside_the_price() -> None:
    raw = encoded(Publish(((SLOT, HERE), (NEXT, LATER))))
    assert "bapId" not in raw["context"]
    first, second = raw["message"]["catalogs"][0]["offers"]
    flows = first["considerations"][0]["considerationAttributes"]["revenueFlows"]
    assert flows == [{"role": "sellerDiscom", "value": 0.02, "currency": "EUR", "description": "local grid fee"}]
    assert "considerations" not in second
    assert [one["offerAttributes"]["commitmentAttributes"]["intervalPeriod"]["start"] for one in (first, second)] == [
        "2026-05-28T20:45:00.000Z",
        "2026-05-28T21:00:00.000Z",
    ]
    assert [one["validity"] for one in (first, second)] == [
        {"endDate": "2026-05-28T20:45:00.000Z"},
        {"endDate": "2026-05-28T21:00:00.000Z"},
    ]
    assert found_at_the_gateway(raw) == Offers(((SLOT, HERE), (NEXT, LATER)))


def test_an_offer_says_whether_its_terms_are_taken_without_a_quote() -> None:
    offers = (SLOT, HERE), (NEXT, LATER._replace(selects=False))
    raw = encoded(Publish(offers))
    said = [one["offerAttributes"].get("selectOptional") for one in raw["message"]["catalogs"][0]["offers"]]
    assert said == [None, True]
    assert found_at_the_gateway(raw) == Offers(offers)


def test_who_has_nothing_to_sell_withdraws_its_catalog() -> None:
    (catalog,) = encoded(Publish(()))["message"]["catalogs"]
    assert (catalog["id"], catalog["isActive"], catalog["offers"]) == (f"catalog-{SELLER_ID}", False, [])


def test_an_offer_that_cannot_be_read_spoils_no_other_of_the_gateways() -> None:
    raw = encoded(Publish(((SLOT, HERE), (NEXT, LATER))))
    payloads = raw["message"]["catalogs"][0]["offers"][0]["offerAttributes"]["commitmentAttributes"]["intervals"][0]
    payloads["payloads"][0]["values"] = ["cheap"]
    assert found_at_the_gateway(raw) == Offers(((NEXT, LATER),))


@pytest.mark.parametrize("until", [None, NEXT, SLOT + 8 * 900])
def test_the_own_filter_is_recognised(until: int | None) -> None:
    assert sought(filter_for(SLOT, until)) == (SLOT, until)
    assert sought(filter_for(SLOT + 1, until)) is None
    assert sought(f"{filter_for(SLOT, until)}.id") is None


@pytest.mark.parametrize("intent", [{"textSearch": "sun"}, {"spatial": [{"op": "S_DWITHIN"}]}, {"mediaSearch": {}}])
def test_a_seller_is_asked_by_filters_alone_as_the_discovery_service_is(intent: Json) -> None:
    raw = encoded(Search(SLOT, None))
    raw["message"]["intent"] |= intent
    [name] = intent
    if not intent[name]:  # which asks for nothing
        assert decoded(raw) == Search(SLOT, None)
        return
    with pytest.raises(Refusal, match=f"intent.{name} is not offered here; use filters"):
        decoded(raw)


def test_readings_that_are_told_together_have_a_series_each() -> None:
    nothing = ReportReading(f"supply-{BUYER.subscriber_id}", SLOT, 0, 0, 0)
    raw = encoded(Readings((nothing, nothing._replace(slot=NEXT, imported_wh=200))))
    commitments = raw["message"]["contract"]["commitments"]
    assert [one["id"] for one in commitments] == [f"slot-{SLOT}", f"slot-{NEXT}"]
    assert [
        {told["type"]: told["values"] for told in one["commitmentAttributes"]["intervals"][0]["payloads"]}
        for one in commitments
    ] == [
        {"IMPORTED_QTY": [0], "EXPORTED_QTY": [0], "SOLD_QTY": [0]},
        {"IMPORTED_QTY": [0.2], "EXPORTED_QTY": [0], "SOLD_QTY": [0]},
    ]
    commitments[1]["commitmentAttributes"] = commitments[0]["commitmentAttributes"]
    with pytest.raises(Refusal, match="the readings must be of different slots"):
        decoded(raw)


def test_the_host_of_the_schemas_is_the_networks_choice() -> None:
    message = Select(SELLER_ID, (Wanted(SLOT, f"energy-{SLOT}", 250),))
    codec = codecs_of(("v2",), "EUR", GATEWAY.subscriber_id, schema_host="schema.beckn.io")["v2"]
    raw = json.loads(codec.encode(message, envelope(message)))
    series = raw["message"]["contract"]["commitments"][0]["commitmentAttributes"]
    assert series["@context"] == "https://schema.beckn.io/BecknTimeSeries/v1.0/context.jsonld"
    assert all(one.startswith("https://schema.beckn.io/") for one in raw["context"]["schemaContext"])


def test_a_quote_by_the_kwh_needs_a_currency_and_a_price_for_each_delivery() -> None:
    raw = encoded(Quote(terms_of(SLOT, NEXT), NOW_MS + 30_000))
    contract = raw["message"]["contract"]
    del contract["consideration"]
    series = contract["commitments"][0]["commitmentAttributes"]
    with pytest.raises(Refusal, match="the price of the contract is missing, and none was quoted"):
        decoded(raw)
    for price, interval in zip((0.2, 0), series["intervals"], strict=True):
        interval["payloads"].append({"type": "PRICE_PER_KWH", "values": [price]})
    with pytest.raises(Refusal, match="the currency of PRICE_PER_KWH is missing"):
        decoded(raw)
    series["payloadDescriptors"].append({"payloadType": "PRICE_PER_KWH", "currency": "EUR"})
    found = decoded(raw).terms
    assert ([one.amount_micro for one in found.lines], found.total_micro) == ([250_000, 0], 250_000)
    assert decoded(raw, KNOWN).terms.total_micro == KNOWN.total_micro  # what was quoted stands


@given(st.sets(st.integers(0, 2), min_size=1))
def test_a_catalog_is_trimmed_alike_as_json(kept: set[int]) -> None:
    offers = tuple((SLOT + n * SLOT_S, HERE._replace(item_id=f"energy-{SLOT + n * SLOT_S}")) for n in range(3))
    (raw,) = encoded(Publish(offers))["message"]["catalogs"]
    body, numbers = read_catalog(raw, SELLER_ID).body, sorted(kept)
    assert json.loads(trimmed_body(body, numbers)) == trimmed(json.loads(body), numbers)
