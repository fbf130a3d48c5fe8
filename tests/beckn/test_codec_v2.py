from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.beckn.codec_support import ANY, NEXT, NOW_MS, SELLER_ID, SLOT, envelope, received, status_of, terms_of
from tests.beckn.support import Json
from wattmesh_beckn.codec.v2.codec import CodecV2
from wattmesh_beckn.errors import ErrorCode, Refusal
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
    Offers,
    Quote,
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
        assert found == Search(message.slot, None)  # a filter says when, not how much
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
