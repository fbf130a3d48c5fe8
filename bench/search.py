"""From a search sent to the gateway until its first offer is heard, with 10, 50 and 200 sellers on the feeder.

Gateway, sellers and the buyer that measures are in one process, each on a loopback port of its own (the sellers share
one). The next search follows when all have answered the one before, so what is measured is a search, not a queue.
"""

from __future__ import annotations

import asyncio
import contextlib
import statistics
import tempfile
import time
import uuid
from collections.abc import Mapping
from pathlib import Path

from fastapi import FastAPI

from bench.memory import market
from bench.tables import Measured
from wattmesh_beckn.answers import ack
from wattmesh_beckn.codec.port import Envelope
from wattmesh_beckn.codec.v1.codec import CodecV1
from wattmesh_beckn.http import add_calls
from wattmesh_beckn.signature import AUTHORIZATION, Signer
from wattmesh_beckn.subscribing import subscribe
from wattmesh_beckn.transport import HttpTransport, Reply
from wattmesh_cli.street.keys import derived_signers, kept_signers
from wattmesh_cli.street.local import LOOPBACK, listen, locked, running_street, serving
from wattmesh_cli.street.run import StreetRun
from wattmesh_common.clock import SystemClock, utc
from wattmesh_common.runtime import REGISTRAR
from wattmesh_market.energy.slots import SLOT_S, slot_of
from wattmesh_market.trade.messages import Search
from wattmesh_operator.plan import Participant
from wattmesh_operator.registry.entries import Registrant, wanted_entries

SELLERS = (10, 50, 200)
SEARCHES = 200
GOAL_MS = 250
_BUYER = "buyer.default"
_NEED_WH = 1000
_WAIT_S = 10.0
_TTL_S = 30.0


def measure() -> list[Measured]:
    """A row for each number of sellers."""
    columns = ["sellers", "searches", "first offer p50 ms", "p99 ms", "goal p99 ms", "all offers p50 ms"]
    return [Measured("search", columns, [asyncio.run(_row(sellers)) for sellers in SELLERS])]


class _Ear:
    """A buyer that hears offers: when the first of a search came, and when the last did."""

    def __init__(self) -> None:
        self.first_at = self.last_at = 0.0
        self.all_heard = asyncio.Event()
        self._left = 0

    def expect(self, offers: int) -> None:
        """A search goes out that so many sellers will answer."""
        self.first_at, self._left = 0.0, offers
        self.all_heard.clear()

    async def post(self, path: str, body: bytes, headers: Mapping[str, str]) -> Reply:  # noqa: ARG002
        """Take an offer."""
        self.last_at = time.perf_counter()
        self.first_at = self.first_at or self.last_at
        self._left -= 1
        if not self._left:
            self.all_heard.set()
        return ack()


async def _row(sellers: int) -> tuple[str, ...]:
    ear, listener = _Ear(), listen()
    url = f"http://{LOOPBACK}:{listener.getsockname()[1]}"
    app = FastAPI()
    add_calls(app, ear, "", ["on_search"])
    [signer] = derived_signers([_BUYER], 0).values()
    first_ms, all_ms = [], []
    with tempfile.TemporaryDirectory() as name, locked(Path(name)):
        async with running_street(market(sellers), Path(name), speed=1) as street, serving(app, listener):
            transport = HttpTransport()
            [registrar] = kept_signers(Path(name) / "keys.json", [REGISTRAR]).values()
            await _enter(street, transport, registrar, signer, url)
            for _ in range(SEARCHES):
                ear.expect(sellers + 1)  # the utility answers, too
                begun = time.perf_counter()
                await _search(street, transport, signer, url)
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(ear.all_heard.wait(), _WAIT_S)
                if not ear.first_at:
                    raise SystemExit(f"no offer within {_WAIT_S:g} s")
                first_ms.append(1000 * (ear.first_at - begun))
                all_ms.append(1000 * (ear.last_at - begun))
            await transport.close()
    p99_ms = statistics.quantiles(first_ms, n=100)[98]
    return (
        str(sellers),
        str(SEARCHES),
        f"{statistics.median(first_ms):.1f}",
        f"{p99_ms:.1f}",
        str(GOAL_MS),
        f"{statistics.median(all_ms):.0f}",
    )


async def _enter(street: StreetRun, transport: HttpTransport, registrar: Signer, signer: Signer, url: str) -> None:
    clock = SystemClock()
    buyer = Registrant(Participant("buyer", _BUYER, "main", ("BAP",)), url, signer.key_id, signer.public_key)
    [wanted] = wanted_entries([buyer], street.plan.resource.spec.domain)
    await subscribe(street.gateway_url, transport, clock, registrar, wanted.entry(utc(clock.wall())))


async def _search(street: StreetRun, transport: HttpTransport, signer: Signer, url: str) -> None:
    grid, now = next(iter(street.pods.values())).grid, SystemClock().wall()
    envelope = Envelope(
        domain=street.plan.resource.spec.domain,
        feeder="main",
        bap=(_BUYER, url),
        bpp=None,
        transaction_id=str(uuid.uuid4()),
        message_id=str(uuid.uuid4()),
        now_ms=int(now * 1000),
        ttl_s=_TTL_S,
    )
    body = CodecV1("EUR").encode(Search(slot_of(grid.now()) + SLOT_S, _NEED_WH), envelope)
    signature = signer.sign(body, created=int(now), expires=int(now + _TTL_S))
    headers = {"content-type": "application/json", AUTHORIZATION: signature}
    reply = await transport.post(f"{street.gateway_url}/search", body, headers, timeout_s=_WAIT_S)
    if reply.status != 200:
        raise SystemExit(f"the gateway refused a search: {reply.body.decode()}")
