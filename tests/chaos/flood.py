"""Searches thrown at the gateway by subscribers that want nothing from them."""

from __future__ import annotations

import asyncio
import uuid
from collections import Counter
from collections.abc import Sequence

from tests.chaos.carrier import SINK
from tests.chaos.street import GATEWAY, Street
from wattmesh_agents.parties.terms import selected
from wattmesh_agents.parties.trader import delivery
from wattmesh_beckn.context import Code, request_context
from wattmesh_beckn.messages import ENERGY, Intent, IntentItem, SearchMessage, write_call
from wattmesh_beckn.signature import AUTHORIZATION, Signer
from wattmesh_beckn.transport import Transport, TransportError
from wattmesh_common.clock import Clock, GridClock
from wattmesh_market.energy.slots import SLOT_S, slot_of

_AT_ONCE = 20
_TTL_S = 5.0


async def flood(street: Street, feeder: str, searches: int, transport: Transport, clock: Clock) -> Counter[str]:
    """Send that many searches to a feeder as fast as they are taken; how many were answered with which status."""
    grid = GridClock(clock, street.plan.resource.spec.clock.start.timestamp(), street.epoch, street.speed)
    slot = slot_of(grid.now()) + SLOT_S
    waiting = list(range(searches))
    statuses: Counter[str] = Counter()

    async def one_after_another(signer: Signer) -> None:
        while waiting:
            waiting.pop()
            body, headers = _search(street, signer, feeder, slot, clock)
            try:
                reply = await transport.post(f"{street.url_of(GATEWAY)}/search", body, headers, timeout_s=_TTL_S)
            except TransportError:
                statuses["unanswered"] += 1
            else:
                statuses[str(reply.status)] += 1

    senders: Sequence[Signer] = street.flooders(feeder)
    await asyncio.gather(*(one_after_another(senders[number % len(senders)]) for number in range(_AT_ONCE)))
    return statuses


def _search(street: Street, signer: Signer, feeder: str, slot: int, clock: Clock) -> tuple[bytes, dict[str, str]]:
    now = clock.wall()
    context = request_context(
        domain=street.plan.resource.spec.domain,
        feeder=feeder,
        action="search",
        bap=(signer.subscriber_id, street.url_of(SINK)),
        bpp=None,
        transaction_id=str(uuid.uuid4()),
        message_id=str(uuid.uuid4()),
        now=now,
        ttl_s=_TTL_S,
    )
    item = IntentItem(descriptor=Code(code=ENERGY), quantity=selected(1000))
    body = write_call(context, SearchMessage(intent=Intent(item=item, fulfillment=delivery(slot))))
    signature = signer.sign(body, created=int(now), expires=int(now + _TTL_S))
    return body, {"content-type": "application/json", AUTHORIZATION: signature}
