"""What a pod sends, and in which order."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Mapping
from datetime import UTC, datetime

from tests.world.clocks import StillClock
from tests.world.parties import EPOCH_S, GATEWAY
from tests.world.pod import entry
from tests.world.subscribers import DOMAIN, signer
from wattmesh_agents.sending import Sender
from wattmesh_agents.store.mail import Outgoing
from wattmesh_beckn.answers import ack
from wattmesh_beckn.client import Outcome
from wattmesh_beckn.codec.v2.messages import PUBLISH
from wattmesh_beckn.registry import Subscription
from wattmesh_beckn.transport import Reply
from wattmesh_common.fields import Protocols
from wattmesh_common.runtime import ClockConfig, GatewayAddress, RuntimeConfig

ROOF, FLAT = "roof-0.default", "flat-0.default"


class Gate:
    """A transport whose answers come once it is open."""

    def __init__(self) -> None:
        self.open = asyncio.Event()
        self.heard: list[tuple[str, bytes]] = []

    async def post(self, url: str, body: bytes, headers: Mapping[str, str], *, timeout_s: float) -> Reply:  # noqa: ARG002
        self.heard.append((url, body))
        await self.open.wait()
        return ack()


class Everybody:
    """A directory in which all are registered."""

    async def find(self, subscriber_id: str, *, fresh: bool = False) -> list[Subscription]:  # noqa: ARG002
        return [entry(subscriber_id, "BAP"), entry(subscriber_id, "BPP")]


def message(name: str, action: str = PUBLISH, to: str = GATEWAY) -> Outgoing:
    return Outgoing(ROOF, name, action, to, "t-1", name.encode(), int(EPOCH_S * 1000) + 30_000)


def sender(gate: Gate, told: list[str], protocols: Protocols = ("v2",)) -> Sender:
    start = datetime(2026, 6, 21, tzinfo=UTC)
    config = RuntimeConfig(
        pod="roof",
        domain=DOMAIN,
        currency="EUR",
        protocols=protocols,
        gateway=GatewayAddress(subscriber_id=GATEWAY, url="http://gateway"),
        clock=ClockConfig(start=start, epoch=EPOCH_S, speed=60),
    )

    def sent(outgoing: Outgoing, at: float, outcome: Outcome) -> None:  # noqa: ARG001
        told.append(outgoing.message_id)

    signers = {ROOF: signer(ROOF)}
    return Sender(config, signers, Everybody(), gate, StillClock(EPOCH_S), random.Random(1), sent)


def test_of_publications_that_wait_for_one_under_way_the_newest_alone_is_sent() -> None:
    async def publish() -> tuple[list[bytes], list[str], int]:
        gate, told = Gate(), list[str]()
        sending = sender(gate, told)
        tasks = [asyncio.ensure_future(sending.send(message(name))) for name in ("first", "second", "third")]
        await asyncio.sleep(0)
        gate.open.set()
        await asyncio.gather(*tasks)
        return [body for _, body in gate.heard], told, sending.under_way

    assert asyncio.run(publish()) == ([b"first", b"third"], ["first", "third"], 0)


def test_a_request_is_remembered_for_what_its_callback_says_of_it() -> None:
    async def ask(protocols: Protocols) -> list[bytes | None]:
        gate = Gate()
        gate.open.set()
        sending = sender(gate, [], protocols)
        await sending.send(message("m-1", "select", FLAT))
        asked = [
            sending.asked(*key) for key in ((ROOF, "m-1", "select"), (ROOF, "m-1", "init"), (FLAT, "m-1", "select"))
        ]
        return [one and one.body for one in asked]

    assert asyncio.run(ask(("v2",))) == [b"m-1", None, None]
    assert asyncio.run(ask(("v1",))) == [None, None, None]
