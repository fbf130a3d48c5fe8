"""What a pod sends, and in which order."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable, Mapping
from datetime import UTC, datetime

import pytest

from tests.world.clocks import StillClock
from tests.world.parties import EPOCH_S, GATEWAY
from tests.world.subscribers import DOMAIN, entry_at, signer
from wattmesh_agents.sending import Sender
from wattmesh_agents.store.mail import Outgoing
from wattmesh_beckn.answers import ack, in_v2
from wattmesh_beckn.client import Outcome
from wattmesh_beckn.codec.v2.messages import PUBLISH
from wattmesh_beckn.proofs import Proof
from wattmesh_beckn.receiver import Asked
from wattmesh_beckn.registry import Subscription
from wattmesh_beckn.transport import Reply
from wattmesh_common.runtime import ClockConfig, GatewayAddress, RuntimeConfig

ROOF, FLAT = "roof-0.default", "flat-0.default"


class Gate:
    """A transport whose answers come once it is open."""

    def __init__(self, answer: Callable[[bytes, str], Reply] = lambda *_: ack()) -> None:
        self.open = asyncio.Event()
        self.heard: list[tuple[str, bytes]] = []
        self.answer = answer

    async def post(self, url: str, body: bytes, headers: Mapping[str, str], *, timeout_s: float) -> Reply:  # noqa: ARG002
        self.heard.append((url, body))
        await self.open.wait()
        return self.answer(body, headers["authorization"])


class Everybody:
    """A directory in which all are registered."""

    async def find(self, subscriber_id: str, *, fresh: bool = False) -> list[Subscription]:  # noqa: ARG002
        owner = signer(subscriber_id)
        return [entry_at(EPOCH_S, owner, role, feeder="main") for role in ("BAP", "BPP", "BG")]


def message(name: str, action: str = PUBLISH, to: str = GATEWAY) -> Outgoing:
    return Outgoing(ROOF, name, action, to, "t-1", name.encode(), int(EPOCH_S * 1000) + 30_000)


def sender(
    gate: Gate, told: list[str], asked: Mapping[tuple[str, str, str], Asked] | None = None, *proofs: list[Proof]
) -> Sender:
    start = datetime(2026, 6, 21, tzinfo=UTC)
    config = RuntimeConfig(
        pod="roof",
        domain=DOMAIN,
        currency="EUR",
        protocols=("v2",),
        gateway=GatewayAddress(subscriber_id=GATEWAY, url="http://gateway"),
        clock=ClockConfig(start=start, epoch=EPOCH_S, speed=60),
    )

    def sent(outgoing: Outgoing, at: float, outcome: Outcome) -> None:  # noqa: ARG001
        told.append(outgoing.message_id)

    signers = {ROOF: signer(ROOF)}

    def proven(proof: Proof) -> None:
        for kept in proofs:
            kept.append(proof)

    def find(*key: str) -> Asked | None:
        return (asked or {}).get((key[0], key[1], key[2]))

    rng, clock = random.Random(1), StillClock(EPOCH_S)
    return Sender(config, signers, Everybody(), gate, clock, rng, sent, find, proven)


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


async def _sent(gate: Gate, asked: Mapping[tuple[str, str, str], Asked] | None = None) -> list[Proof]:
    """Send a select; what its answer's signature proves."""
    proofs = list[Proof]()
    gate.open.set()
    await sender(gate, [], asked, proofs).send(message("m-1", "select", FLAT))
    return proofs


def test_a_request_whose_callback_may_name_its_signature_is_sent_with_that_one() -> None:
    seen = list[str]()

    def answer(body: bytes, authorization: str) -> Reply:  # noqa: ARG001
        seen.append(authorization)
        return ack()

    known = signer(ROOF).sign(b"m-1", created=int(EPOCH_S) - 5, expires=int(EPOCH_S) + 25)
    asyncio.run(_sent(Gate(answer), {(ROOF, "m-1", "select"): Asked("a digest", known)}))
    assert seen == [known]


@pytest.mark.parametrize(
    ("owner", "proof"), [(FLAT, Proof.SIGNED), (ROOF, Proof.WRONG), (None, Proof.UNSIGNED)], ids=str
)
def test_what_the_signature_of_an_answer_proves_is_counted(owner: str | None, proof: Proof) -> None:
    def answer(body: bytes, authorization: str) -> Reply:
        return ack() if owner is None else in_v2(ack(), body, "m-1", signer(owner), EPOCH_S, authorization)

    assert asyncio.run(_sent(Gate(answer))) == [proof]
