"""Lies that only v2 has a form for: a contract whose parts contradict each other, and catalogs.

Each false message is refused with code and reason, and changes nothing: the good one is taken after all of them, and
the honest books are right. What can be said in both versions is in test_dishonest_buyers and test_dishonest_sellers.
"""

from __future__ import annotations

import json
import uuid
from collections.abc import Callable, Mapping
from typing import Any

import pytest

from tests.beckn.support import changed
from tests.foreign.platform_v2 import instant
from tests.security import partners
from tests.security.partners import ACKED, anew, answer_to, answer_to_altered, said
from tests.security.test_dishonest_buyers import EARNED_MICRO, SOLD_WH, held_wh, taking, with_puppet
from tests.security.test_dishonest_sellers import BOUGHT_WH, COST_MICRO
from tests.street.puppet import NETWORK, STRANGER, Puppet, puppet_play
from tests.street.stages import QUIET_S, confirm, on_init, on_search, on_status, search
from tests.street.translating import published
from tests.world.calls import Json
from wattmesh_beckn.receiver import MAX_BODY_BYTES
from wattmesh_beckn.transport import Reply
from wattmesh_cli.audit import audit
from wattmesh_gateway import gateway

Changes = Mapping[str, Any]
"""Dotted path in the message on the wires → what stands there instead, or a function of the puppet that makes it."""
Lies = Mapping[str, tuple[Changes, tuple[int, str, str]]]
"""Each with what it is answered."""
_CONTRACT = "message.contract"
_COMMITMENT = f"{_CONTRACT}.commitments.0"
_SERIES = f"{_COMMITMENT}.commitmentAttributes"
_PAYLOADS = f"{_SERIES}.intervals.0.payloads"
_FLOWS = f"{_CONTRACT}.consideration.0.considerationAttributes.revenueFlows"
_ROLES = f"{_CONTRACT}.contractAttributes.roles"
_DUE = f"{_CONTRACT}.settlements.0.settlementAttributes.amount"
_ONE_KWH = {"id": 0, "payloads": [{"type": "REQUESTED_QTY", "values": [1.0]}]}
_FINAL, _OF_SELLER, _OF_BUYER = (f"{_PAYLOADS}.{place}.values" for place in (1, 2, 3))
_GRID = "each interval must be another delivery slot, of which one begins every quarter of an hour"


def _begins(seconds: int) -> Callable[[Puppet], str]:
    """When a series begins: so much after the slot that is traded."""
    return lambda puppet: instant(puppet.next_slot + seconds)


CONFIRM: Lies = {
    "cheaper": (
        {f"{_FLOWS}.0.value": -0.01, f"{_FLOWS}.1.value": 0.01},
        (200, "40003", "order says 10000 but 150000 was quoted"),
    ),
    "cheaper for who pays": ({f"{_FLOWS}.0.value": -0.01}, (200, "40003", "order says 10000 but 150000 was quoted")),
    "less for who is paid": (
        {f"{_FLOWS}.1.value": 0.14},
        (200, "40003", "the breakup sums to 0.140000 but the price is 0.150000"),
    ),
    "the seller pays": (
        {f"{_FLOWS}.0.value": 0.15, f"{_FLOWS}.1.value": -0.15},
        (200, "40003", "order says -150000 but 150000 was quoted"),
    ),
    "another currency": (
        {f"{_FLOWS}.{place}.currency": "CHF" for place in range(3)} | {f"{_DUE}.currency": "CHF"},
        (200, "40003", "order says CHF but EUR was quoted"),
    ),
    "two currencies": ({f"{_FLOWS}.1.currency": "CHF"}, (200, "40003", "the flows are not in EUR throughout")),
    "a price beyond all bounds": ({f"{_FLOWS}.0.value": "-1e300"}, (400, "30000", "a number is beyond all bounds")),
    "less is due": ({f"{_DUE}.value": 0.01}, (200, "40003", "payment of 0.010000 is not the agreed 0.150000")),
    "due in another currency": (
        {f"{_DUE}.currency": "CHF"},
        (200, "40003", "what is due is in CHF and the price in EUR"),
    ),
    "more energy": ({f"{_PAYLOADS}.0.values": [1.2]}, (200, "40003", "order says 1.200 kWh but 1.000 kWh was quoted")),
    "in MWh": (
        {f"{_SERIES}.payloadDescriptors.0.units": "MWH"},
        (200, "40003", "order says 1000.000 kWh but 1.000 kWh was quoted"),
    ),
    "less than nothing": (
        {f"{_PAYLOADS}.0.values": [-1.0]},
        (400, "30000", "energy must be from 0 to 1000000 kWh, not -1.0"),
    ),
    "off the grid": ({f"{_SERIES}.intervalPeriod.start": _begins(60)}, (400, "30000", _GRID)),
    "a slot twice": ({f"{_SERIES}.intervals": [_ONE_KWH, _ONE_KWH]}, (400, "30000", _GRID)),
    "an hour": (
        {f"{_SERIES}.intervalPeriod.duration": "PT1H"},
        (400, "30000", "intervals must last PT15M, a delivery slot"),
    ),
    "a slot more": (
        {f"{_SERIES}.intervals": [_ONE_KWH, {**_ONE_KWH, "id": 1}]},
        (200, "40003", "order has 2 deliveries but 1 were quoted"),
    ),
    "another contract": ({f"{_CONTRACT}.id": "order-x"}, (200, "30010", "no order 'order-x' of yours here")),
    "whose energy it is": (
        {f"{_COMMITMENT}.offer.provider.id": "low-0.default"},
        (200, "40003", "order says provider 'low-0.default' but 'roof-0.default' was quoted"),
    ),
    "sides swapped": (
        {f"{_ROLES}.0.participantId": "roof-0.default"},
        (
            200,
            "40000",
            "'roof-0.default' cannot be buyerPlatform of this contract, by whose context it is the other",
        ),
    ),
    "said to another seller": (
        {"context.bppId": "low-0.default"},
        (400, "30000", "context.bppId is 'low-0.default' but this is 'roof-0.default'"),
    ),
    "said by another buyer": (
        {"context.bapId": "low-0.default"},
        (401, "30000", "signed by 'puppet.default' but context.bapId is 'low-0.default'"),
    ),
}
ON_STATUS: Lies = {
    "more is final than the seller's utility allocates": (
        {_OF_SELLER: [0.5]},
        (200, "40000", "FINAL_ALLOC of 1.000 kWh is more than SELLER_DISCOM_ALLOC of 0.500 kWh"),
    ),
    "more is final than the buyer's utility allocates": (
        {_OF_BUYER: [0.5]},
        (200, "40000", "FINAL_ALLOC of 1.000 kWh is more than BUYER_DISCOM_ALLOC of 0.500 kWh"),
    ),
    "more than ordered": (
        {_FINAL: [1.001], _OF_SELLER: [1.001], _OF_BUYER: [1.001]},
        (200, "40000", "delivery of 1.001 kWh for an order of 1.000 kWh"),
    ),
    "all is due for a half": (
        {_FINAL: [0.5]},
        (200, "40000", "0.050000 is not what 0.500 kWh of this order cost"),
    ),
    "more is due": (
        {f"{_DUE}.value": 0.050001},
        (200, "40000", "0.050001 is not what 1.000 kWh of this order cost"),
    ),
    "due in another currency": (
        {f"{_DUE}.currency": "CHF"},
        (200, "40000", "what is due is in CHF and the price in EUR"),
    ),
    "all in another currency": (
        {f"{_FLOWS}.{place}.currency": "CHF" for place in range(3)} | {f"{_DUE}.currency": "CHF"},
        (200, "40000", "what is due is in CHF and the price in EUR"),
    ),
    "sides swapped": (
        {f"{_ROLES}.1.participantId": "low-0.default"},
        (
            200,
            "40000",
            "'low-0.default' cannot be sellerPlatform of this contract, by whose context it is the other",
        ),
    ),
}


async def answers(puppet: Puppet, good: Json, lies: Lies) -> dict[str, tuple[int, str, str]]:
    """What each lie is answered; then the good message is taken."""
    found = {}
    for name, (changes, _) in lies.items():
        made = {path: value(puppet) if callable(value) else value for path, value in changes.items()}
        found[name] = await answer_to_altered(puppet, anew(puppet, good), made)
    assert await answer_to(puppet, anew(puppet, good)) == ACKED
    return found


def expected(lies: Lies) -> dict[str, tuple[int, str, str]]:
    return {name: answer for name, (_, answer) in lies.items()}


def test_a_contract_that_contradicts_what_was_quoted_or_itself_is_not_confirmed() -> None:
    found: dict[str, tuple[int, str, str]] = {}

    async def work(puppet: Puppet) -> None:
        found.update(await answers(puppet, await confirm(puppet), CONFIRM))

    street = partners.played(work, energy_wh=-SOLD_WH, amount_micro=EARNED_MICRO, protocol="v2")
    assert found == expected(CONFIRM)
    assert with_puppet(street) == [("DELIVERED", SOLD_WH, EARNED_MICRO)]


def test_a_delivery_that_contradicts_the_contract_or_itself_is_not_booked() -> None:
    found: dict[str, tuple[int, str, str]] = {}

    async def work(puppet: Puppet) -> None:
        found.update(await answers(puppet, await on_status(puppet), ON_STATUS))

    partners.played(work, energy_wh=BOUGHT_WH, amount_micro=-COST_MICRO, protocol="v2")
    assert found == expected(ON_STATUS)


def test_a_delivery_costs_what_was_agreed_whatever_price_is_repeated_beside_it() -> None:
    dearer = {f"{_FLOWS}.0.value": -0.06, f"{_FLOWS}.1.value": 0.06}

    async def work(puppet: Puppet) -> None:
        assert await answer_to_altered(puppet, await on_status(puppet), dearer) == ACKED

    partners.played(work, energy_wh=BOUGHT_WH, amount_micro=-COST_MICRO, protocol="v2")


def test_an_answer_to_another_request_is_refused_and_the_right_one_taken() -> None:
    async def work(puppet: Puppet) -> None:
        good = await on_init(puppet)
        refused = await answer_to_altered(puppet, good, {"context.requestDigest": {"digest": "BLAKE-512=eA=="}})
        assert refused[:2] == (400, "30000")
        assert refused[2].startswith("it answers 'BLAKE-512=eA==', and what was asked is BLAKE-512=")
        assert await answer_to(puppet, good) == ACKED

    partners.played(work, protocol="v2")


def test_who_takes_an_offer_in_anothers_transaction_gets_terms_of_its_own() -> None:
    """In v2 what is published is taken without a quote, so nobody need have been quoted."""

    async def work(puppet: Puppet) -> None:
        other = puppet.signers[STRANGER]
        await puppet.register(other)
        good = await confirm(puppet)
        assert await answer_to(puppet, taking(puppet, good), other) == ACKED
        theirs = await puppet.hears("on_init", "roof-0")
        assert theirs["message"]["order"]["id"] != good["message"]["order"]["id"]
        assert held_wh(puppet) == SOLD_WH
        assert await answer_to(puppet, good) == ACKED

    street = puppet_play(work, protocol="v2")
    assert with_puppet(street) == [("DELIVERED", SOLD_WH, EARNED_MICRO)]
    rows = [row for row in street.contracts("seller", "roof-0") if row.counterparty == STRANGER]
    assert [(row.state, row.order_id is not None) for row in rows] == [("EXPIRED", True)]
    assert audit(street.books, partners.HONEST).findings == ()


# --- catalogs; which of them are refused is in tests/gateway/test_discovery ---


async def to_gateway(puppet: Puppet, action: str, raw: Json, **context: Any) -> Reply:
    """Send a call to the discovery service, as a message of its own."""
    told = {**raw, "context": {**raw["context"], "messageId": str(uuid.uuid4()), **context}}
    body = json.dumps(told).encode()
    return await puppet.sites.post(f"http://gateway/{action}", body, puppet.signed(body), timeout_s=5.0)


async def publication(puppet: Puppet) -> Json:
    """`catalog/publish` of what the puppet offers low-0."""
    raw: Json = json.loads(published(await on_search(puppet), NETWORK))
    return raw


def test_a_seller_that_answers_itself_cannot_offer_in_anothers_name() -> None:
    async def work(puppet: Puppet) -> None:
        call = await on_search(puppet)
        named = {"message.catalogs.0.bppId": "roof-0.default", "message.catalogs.0.bppUri": puppet.url}
        assert await answer_to_altered(puppet, call, named) == ACKED
        await puppet.clock.sleep(QUIET_S)
        kept = partners.books_of(puppet, "low-0").selections.values()
        offers = {seller: one.offer.price_micro_per_kwh for found in kept for seller, one in found.items()}
        assert offers == {"roof-0.default": 150_000, "utility.default": 250_000}

    partners.played(work, protocol="v2")


def test_a_flood_of_publications_is_refused_and_the_street_trades_on(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gateway, "PUBLICATIONS_AT_ONCE", 30)

    async def work(puppet: Puppet) -> None:
        raw = await publication(puppet)
        for _ in range(30):
            assert said(await to_gateway(puppet, "catalog/publish", raw)) == ACKED
        reply = await to_gateway(puppet, "catalog/publish", raw)
        text = "'puppet.default' may send 30 publications at once and 20 a second; come again in 1 s"
        assert (said(reply), reply.headers["retry-after"]) == ((429, "50000", text), "1")
        long = changed(raw, "message.catalogs.0.descriptor.name", "x" * MAX_BODY_BYTES)
        assert (await to_gateway(puppet, "catalog/publish", long)).status == 413

    street = partners.played(work, protocol="v2")
    assert [row for row in street.contracts("seller", "roof-0") if row.state == "SETTLED"]


def test_a_flood_of_questions_is_refused_and_others_are_answered(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gateway, "SEARCHES_AT_ONCE", 30)

    async def work(puppet: Puppet) -> None:
        raw = json.loads(puppet.written(await search(puppet))[1])
        for name in ("bppId", "bppUri"):
            del raw["context"][name]
        for _ in range(30):
            assert said(await to_gateway(puppet, "discover", raw)) == ACKED
            await puppet.clock.sleep(0.001)  # its answer is taken
        reply = await to_gateway(puppet, "discover", raw)
        text = "'puppet.default' may send 30 searches at once and 20 a second; come again in 1 s"
        assert (said(reply), reply.headers["retry-after"]) == ((429, "50000", text), "1")

    street = partners.played(work, protocol="v2")
    assert [row for row in street.contracts("seller", "roof-0") if row.state == "SETTLED"]
