"""Searches thrown at the gateway, as a broadcast or at its discovery service, by subscribers that want nothing."""

from __future__ import annotations

import asyncio
import uuid
from collections import Counter
from collections.abc import Sequence

from tests.chaos.carrier import SINK
from tests.chaos.street import GATEWAY, Street
from wattmesh_beckn.codec.port import Codec, Envelope
from wattmesh_beckn.codec.versions import codecs_of, name_of
from wattmesh_beckn.signature import AUTHORIZATION, Signer
from wattmesh_beckn.transport import Transport, TransportError
from wattmesh_common.clock import Clock, GridClock
from wattmesh_common.fields import ProtocolVersion
from wattmesh_market.energy.grid_time import GridTime
from wattmesh_market.energy.slots import SLOT_S, slot_of
from wattmesh_market.trade.messages import Action, Search

_AT_ONCE = 20
_TTL_S = 5.0


async def flood(street: Street, feeder: str, searches: int, transport: Transport, clock: Clock) -> Counter[str]:
    """Send that many searches to a feeder as fast as they are taken; how many were answered with which status."""
    start = street.plan.resource.spec.clock.start
    grid = GridClock(clock, GridTime(start.timestamp(), street.epoch, street.speed))
    slot = slot_of(grid.now()) + SLOT_S
    waiting = list(range(searches))
    statuses: Counter[str] = Counter()
    version: ProtocolVersion = "v1" if street.broadcasts else "v2"
    path, codec = name_of(Action.SEARCH, version), codecs_of((version,), "EUR", street.plan.subscriber_id)[version]

    async def one_after_another(signer: Signer) -> None:
        while waiting:
            waiting.pop()
            body, headers = _search(street, codec, signer, feeder, slot, clock)
            try:
                reply = await transport.post(f"{street.url_of(GATEWAY)}/{path}", body, headers, timeout_s=_TTL_S)
            except TransportError:
                statuses["unanswered"] += 1
            else:
                statuses[str(reply.status)] += 1

    senders: Sequence[Signer] = street.flooders(feeder)
    await asyncio.gather(*(one_after_another(senders[number % len(senders)]) for number in range(_AT_ONCE)))
    return statuses


def _search(
    street: Street, codec: Codec, signer: Signer, feeder: str, slot: int, clock: Clock
) -> tuple[bytes, dict[str, str]]:
    now = clock.wall()
    envelope = Envelope(
        domain=street.plan.resource.spec.domain,
        feeder=feeder,
        bap=(signer.subscriber_id, street.url_of(SINK)),
        bpp=None,
        transaction_id=str(uuid.uuid4()),
        message_id=str(uuid.uuid4()),
        now_ms=int(now * 1000),
        ttl_s=_TTL_S,
    )
    body = codec.encode(Search(slot, 1000), envelope)
    signature = signer.sign(body, created=int(now), expires=int(now + _TTL_S))
    return body, {"content-type": "application/json", AUTHORIZATION: signature}
