"""The same street in core's words and in those of the energy networks' layer-2 document."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from tests.beckn.codec_support import ANY, NOW_MS, encoded, envelope, received, status_of, terms_of
from tests.foreign.test_seller import BUYER
from tests.street.puppet import SEED
from tests.world.manifests import households, market, planned, utility
from tests.world.street import Street, play
from wattmesh_beckn.codec.v1.codec import CodecV1
from wattmesh_cli.audit import audit
from wattmesh_cli.books import ContractRow
from wattmesh_common.runtime import Vocabulary
from wattmesh_market.energy.slots import SLOT_S
from wattmesh_market.trade.contracts import ContractState
from wattmesh_market.trade.messages import Agreed, DeliveryStatus, Pay, Quote, Receipt, Sent

DEG = CodecV1("EUR", utc_offset_s=7200, vocabulary="deg")
SLOT = 1_780_001_100


@pytest.mark.parametrize("kind", ANY, ids=lambda kind: kind.__name__)
@settings(max_examples=30)
@given(data=st.data())
def test_what_is_written_in_the_networks_words_is_read_as_the_same(kind: type[Sent], data: st.DataObject) -> None:
    message = data.draw(ANY[kind])
    assume(not isinstance(message, Pay | Receipt) or message.slot is not None)  # wattmesh always names it
    # There an order has its id once it is confirmed.
    expected = message._replace(order_id=None) if isinstance(message, Agreed) else message
    assert DEG.decode(received(DEG.encode(message, envelope(message)))) == expected


@pytest.mark.parametrize(
    ("state", "code"),
    [
        (ContractState.AGREED, "ORDER_PLACED"),
        (ContractState.CONFIRMED, "ORDER_PLACED"),
        (ContractState.DELIVERED, "ORDER_COMPLETED"),
        (ContractState.SETTLED, "ORDER_COMPLETED"),
        (ContractState.EXPIRED, "CANCELLED"),
    ],
)
def test_what_three_codes_cannot_tell_apart_stands_in_the_name(state: ContractState, code: str) -> None:
    booked = (1250, 234_375) if code == "ORDER_COMPLETED" else (None, None)
    status = status_of(DeliveryStatus(SLOT // SLOT_S * SLOT_S, state, *booked))
    raw = DEG.encode(status, envelope(status))
    assert f'"state":{{"descriptor":{{"code":"{code}","name":"{state}"}}}}'.encode() in raw
    assert DEG.decode(received(raw)) == status
    assert encoded(status)["message"]["order"]["fulfillments"][0]["state"]["descriptor"] == {"code": state}


@pytest.mark.parametrize(
    "slots", [(SLOT // SLOT_S * SLOT_S,), (SLOT // SLOT_S * SLOT_S, SLOT // SLOT_S * SLOT_S + SLOT_S)]
)
def test_an_ordered_items_price_has_the_grid_fee_in_it(slots: tuple[int, ...]) -> None:
    quote = Quote(terms_of(*slots), NOW_MS + 30_000)  # of each, 1.250 kWh for 0.234375
    order = json.loads(DEG.encode(quote, envelope(quote)))["message"]["order"]
    assert {item["price"]["value"] for item in order["items"]} == {"0.187500"}


def played(vocabulary: Vocabulary) -> Street:
    street = planned(
        market(f"vocabulary: {vocabulary}")
        + utility(fees=", gridFee: 0.07, localGridFee: 0.02", more=", sharing: {key: proRata}")
        + households("roof", "battery: {capacityKwh: 10, initialKwh: 10}, pv: {peakKw: 8}, load: {annualKwh: 3000}")
        + households(BUYER.removesuffix("-0"), "battery: {capacityKwh: 10, initialKwh: 1}, strategy: rules")
        + households("flat", "load: {annualKwh: 6000}")
    )
    return play(street, 5.0, seed=SEED)


def test_a_street_trades_the_same_in_either_words() -> None:
    def by_nature(row: ContractRow) -> ContractRow:
        return replace(row, transaction_id="", order_id="", created_ms=0, searched_ms=None, confirmed_ms=None)

    core, deg = (played(vocabulary) for vocabulary in ("core", "deg"))
    assert audit(deg.books).findings == ()
    assert len(core.contracts("buyer")) > 10
    for side in ("buyer", "seller"):
        assert [by_nature(row) for row in deg.contracts(side)] == [by_nature(row) for row in core.contracts(side)]
    assert [row.ledger for row in deg.books] == [row.ledger for row in core.books]
