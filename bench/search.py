"""From a search sent to the gateway until its first offer is heard, with 10, 50 and 200 sellers on the feeder; in Beckn
v2 from `discover` until the first page of `on_discover` is, with 200.

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
from typing import NamedTuple

from fastapi import FastAPI

from bench.memory import market
from bench.tables import Measured
from wattmesh_beckn.answers import ack
from wattmesh_beckn.codec.port import Envelope
from wattmesh_beckn.codec.v1.codec import CodecV1
from wattmesh_beckn.codec.v2.codec import CodecV2
from wattmesh_beckn.codec.v2.messages import network_of
from wattmesh_beckn.http import add_post
from wattmesh_beckn.signature import AUTHORIZATION, Signer
from wattmesh_beckn.subscribing import subscribe
from wattmesh_beckn.transport import HttpTransport, Reply
from wattmesh_cli.state import locked
from wattmesh_cli.street.keys import derived_signers, kept_signers
from wattmesh_cli.street.local import LOOPBACK, listen, running_street, serving
from wattmesh_cli.street.run import StreetRun
from wattmesh_common.clock import SystemClock, utc
from wattmesh_common.fields import ProtocolVersion
from wattmesh_common.runtime import REGISTRAR
from wattmesh_market.energy.slots import SLOT_S, slot_of
from wattmesh_market.trade.messages import Search
from wattmesh_operator.plan import Participant
from wattmesh_operator.registry.entries import Registrant, wanted_entries

SELLERS = (10, 50, 200)
SEARCHES = 200
GOAL_MS = {"v1": 250, "v2": 50}
_BUYER = "buyer.default"
_NEED_WH = 1000
_WAIT_S = 10.0
_PAUSE_S = 0.05
"""As much as a subscriber's limit of searches wants."""
_TTL_S = 30.0


def measure() -> list[Measured]:
    """A row for each number of sellers, and one of v2."""
    columns = ["sellers", "version", "searches", "first offer p50 ms", "p99 ms", "goal p99 ms", "all offers p50 ms"]
    rows = [asyncio.run(_row(sellers, "v1")) for sellers in SELLERS]
    return [Measured("search", columns, [*rows, asyncio.run(_row(SELLERS[-1], "v2"))])]


class Searched(NamedTuple):
    """Where a search is sent, and on which feeder it is heard."""

    url: str
    subscriber_id: str
    domain: str
    feeder: str


class Ear:
    """A buyer that hears offers: when the first of a search came, and when the last did."""

    def __init__(self) -> None:
        self.first_at = self.last_at = 0.0
        self.sellers = 0
        self.all_heard = asyncio.Event()
        self._left = 0

    def expect(self, offers: int) -> None:
        """A search goes out that so many sellers will answer."""
        self.first_at, self._left, self.sellers = 0.0, offers, 0
        self.all_heard.clear()

    async def post(self, path: str, body: bytes, headers: Mapping[str, str]) -> Reply:  # noqa: ARG002
        """Take an offer, or a page of them."""
        self.last_at = time.perf_counter()
        self.first_at = self.first_at or self.last_at
        found = body.count(b'"bppUri"') if path == "/on_discover" else 1
        self.sellers += found
        self._left -= found
        if self._left <= 0:
            self.all_heard.set()
        return ack()


async def _row(sellers: int, version: ProtocolVersion) -> tuple[str, ...]:
    ear, listener = Ear(), listen()
    url = f"http://{LOOPBACK}:{listener.getsockname()[1]}"
    app = FastAPI()
    for action in ("on_search", "on_discover"):
        add_post(app, ear, f"/{action}", action, {})
    [signer] = derived_signers([_BUYER], 0).values()
    first_ms, all_ms = [], []
    with tempfile.TemporaryDirectory() as name, locked(Path(name)):
        async with running_street(market(sellers, version), Path(name), speed=1) as street, serving(app, listener):
            transport = HttpTransport()
            [registrar] = kept_signers(Path(name) / "keys.json", [REGISTRAR]).values()
            await _enter(street, transport, registrar, signer, url)
            grid = next(iter(street.pods.values())).grid
            plan = street.plan
            gateway = Searched(street.gateway_url, plan.subscriber_id, plan.resource.spec.domain, "main")

            async def search() -> None:
                await send_search(gateway, transport, signer, url, slot_of(grid.now()) + SLOT_S, version)

            while version == "v2" and ear.sellers <= sellers:  # until all have published
                ear.expect(sellers + 1)
                await search()
                await asyncio.sleep(0.5)
            for _ in range(SEARCHES):
                await asyncio.sleep(_PAUSE_S)
                ear.expect(sellers + 1)  # the utility answers, too
                begun = time.perf_counter()
                await search()
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
        version,
        str(SEARCHES),
        f"{statistics.median(first_ms):.1f}",
        f"{p99_ms:.1f}",
        str(GOAL_MS[version]),
        f"{statistics.median(all_ms):.0f}",
    )


async def _enter(street: StreetRun, transport: HttpTransport, registrar: Signer, signer: Signer, url: str) -> None:
    clock = SystemClock()
    buyer = Registrant(
        Participant("buyer", _BUYER, "main", ("BAP",), street.plan.resource.spec.protocols),
        url,
        signer.key_id,
        signer.public_key,
    )
    [wanted] = wanted_entries([buyer], street.plan.resource.spec.domain)
    await subscribe(street.gateway_url, transport, clock, registrar, wanted.entry(utc(clock.wall())))


async def send_search(
    gateway: Searched, transport: HttpTransport, signer: Signer, url: str, slot: int, version: ProtocolVersion
) -> None:
    """Send one search of the buyer that `signer` signs for and that is reached at `url`. SystemExit if refused."""
    now = SystemClock().wall()
    envelope = Envelope(
        domain=gateway.domain,
        feeder=gateway.feeder,
        bap=(signer.subscriber_id, url),
        bpp=None,
        transaction_id=str(uuid.uuid4()),
        message_id=str(uuid.uuid4()),
        now_ms=int(now * 1000),
        ttl_s=_TTL_S,
    )
    codec = CodecV1("EUR") if version == "v1" else CodecV2("EUR", network_of(gateway.subscriber_id))
    body = codec.encode(Search(slot, _NEED_WH), envelope)
    signature = signer.sign(body, created=int(now), expires=int(now + _TTL_S))
    headers = {"content-type": "application/json", AUTHORIZATION: signature}
    reply = await transport.post(
        f"{gateway.url}/{'search' if version == 'v1' else 'discover'}", body, headers, timeout_s=_WAIT_S
    )
    if reply.status != 200:
        raise SystemExit(f"the gateway refused a search: {reply.body.decode()}")
