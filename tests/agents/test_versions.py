"""A pod that speaks both versions of Beckn: what it says in which."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import pytest

from tests.world.clocks import StillClock
from tests.world.parties import CURRENCY, EPOCH_S, FEEDER, GATEWAY, NEXT, battery, household
from tests.world.pod import Node, entry, url_of
from tests.world.subscribers import DOMAIN
from wattmesh_beckn.client import Undelivered
from wattmesh_beckn.codec.port import Codec, Envelope
from wattmesh_beckn.codec.versions import BOTH, codecs_of
from wattmesh_beckn.signature import digest
from wattmesh_common.fields import ProtocolVersion
from wattmesh_market.trade.messages import AskStatus, Search, Select, Send, Sent, Wanted

ROOF, FLAT = "roof-0.default", "flat-0.default"
TRANSACTION = "6d3f6c5e-0000-4000-8000-000000000001"
CODECS: Mapping[ProtocolVersion, Codec] = codecs_of(BOTH, CURRENCY, GATEWAY)
SELECT = Select(ROOF, (Wanted(NEXT, f"energy-{NEXT}", 300),))


@pytest.fixture
def roof() -> Node:
    """A household with a full battery, in its first slot."""
    node = Node(household("roof-0", battery(), sell_percent=50), StillClock(EPOCH_S), protocols=BOTH)
    node.open_slot()
    return node


def said(message: Sent, protocol: ProtocolVersion) -> bytes:
    """What a flat says to the roof."""
    envelope = Envelope(
        domain=DOMAIN,
        feeder=FEEDER,
        bap=(FLAT, url_of(FLAT)),
        bpp=(ROOF, url_of(ROOF)),
        transaction_id=TRANSACTION,
        message_id="6d3f6c5e-0000-4000-8000-000000000011",
        now_ms=int(EPOCH_S * 1000),
        ttl_s=30,
    )
    return CODECS[protocol].encode(message, envelope)


def contexts(node: Node, action: str) -> list[Any]:
    """The contexts of what a pod sends of an action."""
    return [json.loads(one.body)["context"] for one in node.posted if one.action == action]


@pytest.mark.parametrize(("protocol", "version"), [("v1", "1.1.0"), ("v2", "2.0.0")])
def test_a_reply_is_in_the_version_of_its_request(roof: Node, protocol: ProtocolVersion, version: str) -> None:
    body = said(SELECT, protocol)
    assert not roof.receive(body, "select").refused
    [context] = contexts(roof, "on_select")
    assert context["version"] == version
    answered = context.get("requestDigest")
    assert answered == ({"digest": f"BLAKE-512={digest(body)}"} if protocol == "v2" else None)


def test_a_seller_that_is_asked_itself_answers_in_v2(roof: Node) -> None:
    assert not roof.receive(said(Search(NEXT, None), "v2"), "discover").refused
    [found] = [json.loads(one.body) for one in roof.posted if one.action == "on_discover"]
    assert (found["context"]["bapId"], found["message"]["catalogs"][0]["bppId"]) == (FLAT, ROOF)


@pytest.mark.parametrize(("registered", "version"), [(("v1",), "1.1.0"), (("v2",), "2.0.0"), (BOTH, "2.0.0")])
def test_what_is_begun_is_in_what_the_registry_says_the_partner_speaks(
    roof: Node, registered: tuple[ProtocolVersion, ...], version: str
) -> None:
    partner = entry(FLAT, "BAP").model_copy(update={"protocols": registered})
    roof.driver.store.peers.meet(partner, roof.now.ms)
    told = Send(FLAT, TRANSACTION, AskStatus("order-1"), None, "", None)
    [written] = roof.writer.written(roof.party, told, None)
    assert json.loads(written.body)["context"]["version"] == version


def test_offers_are_published_with_each_change_and_an_unheard_publication_with_the_next_slot(roof: Node) -> None:
    [first] = [one for one in roof.posted if one.action == "catalog/publish"]
    assert json.loads(first.body)["context"]["bppId"] == ROOF
    assert roof.driver.store.outbox.waiting == {}  # it is not stored
    roof.receive(said(SELECT, "v2"), "select")
    assert len(contexts(roof, "catalog/publish")) == 2
    roof.driver.answered(roof.member, first, Undelivered("no answer"))
    assert len(contexts(roof, "catalog/publish")) == 2
